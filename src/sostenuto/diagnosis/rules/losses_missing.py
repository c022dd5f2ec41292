"""Losses that became NaN: missing values in the data, or numbers that grew beyond all limits; accuracy of values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Batch, ModelCall, ModelCalled, TorchCall
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.container_views import is_array
from sostenuto.diagnosis.rules.losses_activations import VALUES
from sostenuto.diagnosis.rules.output_pages import SO417, SO422, SO423
from sostenuto.diagnosis.rules.output_views import loss_name, numbers
from sostenuto.diagnosis.rules.outputs_compared import Compared, on_targets
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import is_ours, recurrent_layers, source_of, title
from sostenuto.diagnosis.wording import count

_ACCURACY = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy")


# --- NaN and infinity in the data ------------------------------------------------------------------------------------


def became_nan(result: Any) -> bool:
    """Whether fit, evaluate, predict or train_on_batch returned NaN: a loss, or predictions."""
    history = getattr(result, "history", None)
    if isinstance(history, dict):
        losses = history.get("loss") or ()
        return any(isinstance(one, float | int | np.number) and np.isnan(one) for one in losses)
    if isinstance(result, dict):
        result = result.get("loss")
    if isinstance(result, list | tuple):
        result = result[0] if result and np.ndim(result[0]) == 0 else None
    if isinstance(result, float):
        return bool(np.isnan(result))
    array = as_array(result) if result is not None else None
    return array is not None and array.dtype.kind == "f" and bool(np.isnan(some_rows(array)).any())


@SO417.on(Batch)
def missing_in_batches(event: Batch, seen: Seen) -> None:
    """Remembers what is missing in the first batch of a generator."""
    found = next(_missing(event.call, event.x, event.y, of_batch=True), None)
    if found is not None:
        seen.notes["missing in batches"][id(event.call.model), event.call.verb] = found


@SO417.on(ModelCalled)
def missing_values(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for NaN and infinity in inputs and targets, where they made NaN of the result."""
    kept = seen.notes["missing in batches"].pop((id(event.model), event.verb), None)
    # Nothing ran where so.check asks; a layer or a loss of the user's own may know what to do with them.
    if event.within is not None or is_ours(event.model) or not (event.result is None or became_nan(event.result)):
        return None
    told = seen.marks(event.model).get("missing")
    found = kept or next(_missing(event, event.x, event.y), None)
    if found is None or told == found.title:
        return None
    seen.mark(event.model, missing=found.title)
    return found


def _missing(call: ModelCall, x: Any, y: Any, of_batch: bool = False) -> Iterator[Evidence]:
    for name, value in _arrays(call, x, y, of_batch):
        array = as_array(value)
        if array is None or array.dtype.kind != "f" or not array.size or not array.ndim:
            continue
        some = some_rows(array)
        bad = ~np.isfinite(some)
        if bad.any():
            yield _evidence(name, some, bad)


def _arrays(call: ModelCall, x: Any, y: Any, of_batch: bool) -> Iterator[tuple[str, Any]]:
    for name, value in (("x", x), ("y", y)):
        source = name if of_batch else written(call, name)
        parts: Iterable[tuple[Any, Any]] | None = value.items() if isinstance(value, Mapping) else None
        if parts is None and isinstance(value, list | tuple) and value and all(map(is_array, value)):
            parts = enumerate(value)
        if parts is not None:
            yield from ((f"{source}[{key!r}]", one) for key, one in parts if is_array(one))
        elif is_array(value):
            yield source, value


def _evidence(source: str, some: np.ndarray, bad: np.ndarray) -> Evidence:
    nan = int(np.isnan(some).sum())
    what = "NaN" if nan == bad.sum() else "infinite" if not nan else "NaN or infinite"
    of_rows = bad.reshape(len(some), -1).any(axis=1)
    row, rows = int(np.flatnonzero(of_rows)[0]), int(of_rows.sum())
    columns = np.flatnonzero(bad.reshape(-1, some.shape[-1]).any(axis=0)) if some.ndim > 1 else np.array([0])
    where = f", all in column {columns[0]}" if some.ndim > 1 and len(columns) == 1 and some.shape[-1] > 1 else ""
    return Evidence(
        title=f"{source} holds {what} values.",
        got=f"{int(bad.sum()):,} of {some.size:,} numbers of {source} are {what}, in {count(rows, 'row')} of "
        f"{len(some)}, the first in row {row}{where}",
        wanted="finite numbers everywhere",
        cause="NaN spreads: one missing value in a batch makes the loss NaN, and with the next update every weight. "
        "From then\non the model predicts NaN for everything.",
        fix=f"{source} = np.nan_to_num({source})        # missing as 0; with a Masking layer if whole steps are "
        f"missing\n# or keep = np.isfinite({source}).reshape(len({source}), -1).all(axis=1), and leave the other rows "
        f"out of x and y",
        boundary=(source, "model"),
    )


@SO417.on(TorchCall)
def missing_in_torch(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for NaN that a recurrent module of torch reads and returns."""
    if not hasattr(event.module, "hidden_size") or not event.inputs or seen.notes["missing in torch"].get("told"):
        return None
    given, output = event.inputs[0], event.output
    array = as_array(getattr(given, "data", given) if type(given).__name__ == "PackedSequence" else given)
    if array is None or array.dtype.kind != "f" or not array.size or not array.ndim or np.isfinite(array).all():
        return None
    first = output[0] if isinstance(output, tuple) and output else output
    returned = as_array(getattr(first, "data", first) if type(first).__name__ == "PackedSequence" else first)
    if returned is None or np.isfinite(returned).all():
        return None
    seen.notes["missing in torch"]["told"] = True
    place = event.place
    names = place.names_of(given) if place is not None else []
    names = [name for name in names if name != "self"]
    found = _evidence(names[0] if names else "x", array, ~np.isfinite(array))
    return Evidence(
        title=found.title,
        got=f"{found.got}; {type(event.module).__name__} returns NaN for them",
        wanted=found.wanted,
        cause=found.cause,
        fix=found.fix.replace("np.nan_to_num", "torch.nan_to_num")
        .replace("np.isfinite", "torch.isfinite")
        .replace("        # missing as 0; with a Masking layer if whole steps are missing", "        # missing as 0")
        .replace(".all(axis=1)", ".all(dim=1)"),
        boundary=found.boundary,
    )


# --- NaN of finite data ----------------------------------------------------------------------------------------------


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
    looked = [array for _, value in _arrays(event, event.x, event.y, False) if (array := as_array(value)) is not None]
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
    for name, value in _arrays(event, event.x, event.y, False):
        array = as_array(value)
        most = float(np.abs(some_rows(array).astype("float64")).max()) if array is not None and array.size else 0.0
        if most > 1000:
            reasons.append(f"{name} reaches {most:.4g}")
            fixes.append(f"{name} = ({name} - {name}.mean()) / {name}.std()        # about -1 to 1")
    targets = numbers(event.y)
    if loss_name(event.model) == "mean_squared_logarithmic_error" and targets is not None and targets.min() <= -1:
        reasons.insert(0, f"mean_squared_logarithmic_error takes log(1 + y), and y goes down to {targets.min():.4g}")
        fixes.insert(0, "model.compile(..., loss='mse')        # values below -1 have no logarithm")
    return reasons, fixes


# --- accuracy of values ----------------------------------------------------------------------------------------------


@on_targets(SO422)
def accuracy_of_values(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for accuracy among what fit measured, beside targets that are no classes."""
    history = getattr(getattr(pair.call, "result", None), "history", None)
    if pair.loss not in VALUES or not isinstance(history, dict) or pair.raised:
        return None
    metric = next((name for name in _ACCURACY if name in history), None)
    array = numbers(pair.y)
    if metric is None or array is None or array.dtype.kind != "f" or not array.size:
        return None
    some = some_rows(array)
    some = some[np.isfinite(some)]
    fractions = int((some != np.round(some)).sum())
    if fractions < 0.5 * some.size or len(np.unique(some)) < 10:
        return None
    last = history[metric][-1]
    return Evidence(
        title=f"{metric} is measured of a regression, where it means nothing.",
        got=f"metrics with {metric!r}, {last:.3g} in the last epoch; targets {pair.target} are measured values, "
        f"{fractions:,} of {some.size:,} with a fraction; loss={pair.loss!r}",
        wanted="metrics=['mae'] for values",
        cause="accuracy counts predictions that are equal to their target, as classes are. Measured values never are, "
        "so it says\nnothing about how good the model is.",
        fix="model.compile(..., metrics=['mae'])        # how far predictions are off, on average",
        boundary=("targets", "metrics"),
    )
