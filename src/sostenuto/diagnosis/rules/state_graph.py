"""Models of Keras whose outputs hang on another input than the one they are given."""

from __future__ import annotations

import ast
import re

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.container_calls import own_verb
from sostenuto.diagnosis.rules.state_pages import SO331
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import called

_MESSAGE = re.compile(r"not connected to `?inputs|[Gg]raph disconnected")


@SO331.on(Failure)
def two_inputs(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a model made of one Input and of outputs that come from another."""
    place = failure.place
    # JAX says the same where fit or predict gives a model too few inputs.
    if place is None or not _MESSAGE.search(failure.message) or own_verb(failure) is not None:
        return None
    call = place.call("Model", "Functional")
    fresh = [
        one
        for one in (ast.walk(call) if call is not None else ())
        if isinstance(one, ast.Call) and called(one) == "Input"
    ]
    first = place.source(fresh[0]) if fresh else "keras.Input(...)"
    made = (
        f"{len(fresh)} calls of Input in one line, each of which makes an input of its own"
        if len(fresh) > 1
        else ("outputs that were computed from another Input than the model's")
    )
    fix = f"inputs = {first}\n"
    if call is not None:
        text = place.source(call)
        for one in fresh:
            text = text.replace(place.source(one), "inputs")
        fix += text
    else:
        fix += "model = keras.Model(inputs, outputs)        # outputs computed from the same inputs"
    return Evidence(
        got=made,
        wanted="one Input, given to the first layer and to the model: the same input",
        cause="Each call of keras.Input makes a different input, even of the same shape. The layers were applied to "
        "one, "
        "and the\nmodel is given another, so its outputs are not connected to its inputs.",
        fix=fix,
        boundary=("Input", "Model"),
    )
