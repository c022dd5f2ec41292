"""Losses that became NaN though the data are finite: numbers that grew beyond all limits."""

from __future__ import annotations

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import ModelCalled
from sostenuto.diagnosis.rules.losses_missing import arrays_of
from sostenuto.diagnosis.rules.output_ends import end_of
from sostenuto.diagnosis.rules.output_pages import SO423
from sostenuto.diagnosis.rules.output_views import activation_of, assigned, head_kinds, loss_name
from sostenuto.diagnosis.rules.token_ids import too_large
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import is_ours, recurrent_layers, source_of, title


@SO423.on(ModelCalled)
def nan_of_finite(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a loss that became NaN while the data are finite, and for what may have done it."""
    history = getattr(event.result, "history", None)
    if event.verb != "fit" or event.within is not None or is_ours(event.model) or not isinstance(history, dict):
        return None
    losses = [one for one in history.get("loss") or () if isinstance(one, float | int | np.number)]
    epoch = next((number for number, one in enumerate(losses, 1) if np.isnan(one)), None)
    # Missing values and labels out of range have codes of their own.
    if epoch is None or {"missing", "SO415", "SO421"} & set(seen.marks(event.model)):
        return None
    # On JAX an id beyond the table is NaN.
    if list(too_large(event, seen)):
        return None
    looked = [array for _, value in arrays_of(event, event.x, event.y) if (array := as_array(value)) is not None]
    if any(array.dtype.kind == "f" and not np.isfinite(some_rows(array)).all() for array in looked):
        return None
    reasons, fixes = _reasons(event, seen)
    seen_words = f"{reasons[0]}" if reasons else "numbers that grow from step to step"
    before = f", after {losses[epoch - 2]:.4g} in the epoch before" if epoch > 1 else ""
    return Evidence(
        title=f"The loss became NaN in epoch {epoch}, though the data are finite."
        if looked
        else f"The loss became NaN in epoch {epoch}.",
        got=f"loss NaN in epoch {epoch} of {len(losses)}{before}" + "".join(f"\n{one}" for one in reasons),
        wanted="a loss that stays finite",
        cause=f"NaN comes of numbers beyond what floats hold, or of the logarithm of a negative one: here {seen_words}."
        "\nWith it every weight becomes NaN, and so does every prediction."
        if reasons
        else "NaN comes of numbers beyond what floats hold, or of NaN in the data. With it every weight becomes NaN.",
        fix="\n".join(fixes) or "keras.optimizers.Adam(1e-4, clipnorm=1.0)        # smaller steps, gradients cut",
        unsure="what made the numbers grow"
        + ("" if looked else "; batches of a dataset are not looked into, so NaN in the data is possible too"),
        boundary=("model", "loss"),
    )


def _reasons(event: ModelCalled, seen: Seen) -> tuple[list[str], list[str]]:
    reasons, fixes = [], []
    for layer in recurrent_layers(event.model):
        name = str(getattr(getattr(layer, "activation", None), "__name__", ""))
        if name in ("relu", "linear", "elu", "leaky_relu", "exponential"):
            source = source_of(layer, seen)
            reasons.append(
                f"{title(layer)} has activation='{name}', which has no upper limit: states grow at every step"
            )
            fixes.append(with_keyword(source, "activation", "'tanh'") + "        # the default, -1 to 1")
            break
    rate = getattr(getattr(event.model, "optimizer", None), "learning_rate", None)
    # A schedule, or a variable of a backend, that is no number.
    try:
        rate = float(np.asarray(rate)) if rate is not None else 0.0
    except Exception:
        rate = 0.0
    if rate >= 0.1:
        kind = type(event.model.optimizer).__name__
        reasons.append(f"learning_rate={rate:g}: steps that overshoot")
        fixes.append(f"keras.optimizers.{kind}({min(rate / 100, 0.001):g}, clipnorm=1.0)        # smaller steps")
    for name, value in arrays_of(event, event.x, event.y):
        array = as_array(value)
        most = float(np.abs(some_rows(array).astype("float64")).max()) if array is not None and array.size else 0.0
        if most > 1000:
            reasons.append(f"{name} reaches {most:.4g}")
            target, value = assigned(name, "x")
            fixes.append(f"{target} = ({value} - {value}.mean()) / {value}.std()        # about -1 to 1")
    end = end_of(event.model, seen)
    below = "Dense" in head_kinds(end) and activation_of(end) in ("linear", "tanh", "leaky_relu", "elu", "softsign")
    if loss_name(event.model) == "poisson" and below:
        reasons.insert(0, f"poisson takes the logarithm of predictions, and {title(end)} can put out numbers below 0")
        fixes.insert(0, with_keyword(source_of(end, seen), "activation", "'exponential'") + "        # above 0 always")
    return reasons, fixes
