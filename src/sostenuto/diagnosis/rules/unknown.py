"""What can be said where no rule knows the mistake: shapes where it failed, and what would have to be known."""

from __future__ import annotations

import re

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import title
from sostenuto.diagnosis.wording import shape_of

# Three numbers or more in brackets, of which one has a fraction: shapes have none.
_NUMBERS = re.compile(r"[\[(][\s\[(]*(?=[^\])]*\d\.)[-+\d.,\seEnaif\[\]()]{8,}")

# A failure that no other rule knows is given to this one by Seen.
SO001 = rule(
    "SO001",
    "A layer failed, and the cause is not one of those Sostenuto knows",
    """The exception came out of a layer, a model or a product of a framework, and no rule recognised it. What is
    certain is said: the layer, its input, its weights. The rest is for your eyes.""",
    """Compare the axes that are listed. so.trace(model, x) shows how a batch flows through all layers.""",
    needs="a failure that no rule knows",
)


def what_is_known(failure: Failure, seen: Seen) -> Evidence | None:
    """Shapes at the innermost layer, or of the arguments of fit; None where neither was under way."""
    if failure.calls:
        call = failure.calls[0]
        layer = call.layer if isinstance(call, LayerCall) else call.module
        inputs = call.inputs if isinstance(call, LayerCall) else (call.inputs[0] if call.inputs else None)
        weights = getattr(layer, "weights", None) or getattr(layer, "_parameters", {}).values()
        shapes = ", ".join(str(tuple(weight.shape)) for weight in weights if weight is not None)
        given = "not known" if inputs is None else shape_of(inputs)
        return Evidence(
            title=f"{title(layer)} failed, and the cause is not one that Sostenuto knows.",
            got=f"input {given}" + (f", weights {shapes}" if shapes else ""),
            wanted="not known: no rule recognises this failure",
            cause=_first_line(failure),
            fix="so.trace(model, x) shows the axes before and behind every layer",
            unsure="what each axis of the input means, and which of them the layer was built for",
        )
    if failure.verb is not None:
        given = ", ".join(
            f"{name} {shape_of(value)}"
            for name, value in (("x", failure.verb.x), ("y", failure.verb.y))
            if value is not None
        )
        return Evidence(
            title=f"{failure.verb.name} failed, and the cause is not one that Sostenuto knows.",
            got=given or "data whose shapes are not known",
            wanted="not known: no rule recognises this failure",
            cause=_first_line(failure),
            fix="so.check(model, x, y) compares data, model and loss before training",
            unsure="what each axis of the data means, and what the model was built for",
        )
    return None


def _first_line(failure: Failure) -> str:
    # Keras quotes data in some of its messages; numbers of people's data belong in no report.
    text = _NUMBERS.sub("[...]", str(failure.error).strip())
    return f"{type(failure.error).__name__}" + (f": {text.splitlines()[0][:200]}" if text else "")
