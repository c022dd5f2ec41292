"""Losses beside targets and the activation of the last layer: classes, ranges, logits, missing values."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Batch, Failure, ModelCall
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.container_views import is_array
from sostenuto.diagnosis.rules.output_pages import SO413, SO414, SO415, SO416, SO417, SO418
from sostenuto.diagnosis.rules.output_views import (
    TRAINS,
    activation_of,
    asked,
    last_layer,
    loss_name,
    numbers,
    output_shape,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword
from sostenuto.diagnosis.views import source_of, title
from sostenuto.diagnosis.wording import count

_RANGES = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
}
_VALUES = {"mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh"}


@SO413.on(ModelCall, Batch)
def softmax_of_one(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for softmax over one unit, in training."""
    found = asked(event)
    if found is None:
        return None
    call, _, y = found
    output, layer = output_shape(call.model), last_layer(call.model)
    if output is None or layer is None or output[-1] != 1 or activation_of(layer) != "softmax":
        return None
    classes = numbers(y)
    different = len(np.unique(some_rows(classes))) if classes is not None else 0
    source = source_of(layer, seen)
    many = max(different, 2)
    return Evidence(
        title=f"{title(layer)} is softmax over 1 unit, which is 1.0 for every input.",
        got=f"{source}: 1 unit" + (f", for {count(different, 'class', 'classes')}" if different else ""),
        wanted="sigmoid for one unit, or softmax over one unit per class",
        cause="softmax divides by the sum over all units; over a single unit that is the unit itself, so the output is "
        "always 1.0,\nthe gradient is zero, and nothing is learnt.",
        fix=with_keyword(source, "activation", "'sigmoid'") + "        # loss='binary_crossentropy'"
        if different <= 2
        else f"keras.layers.Dense({many}, activation='softmax')        # loss='sparse_categorical_crossentropy'",
        boundary=(title(layer), "loss"),
    )


@SO414.on(ModelCall, Batch, Failure)
def other_form_of_classes(event: ModelCall | Batch | Failure, seen: Seen) -> Evidence | None:
    """Looks for class numbers where one-hot rows are read, and the other way round."""
    found = _of(event)
    if found is None:
        return None
    call, y = found
    name, output, array = loss_name(call.model), output_shape(call.model), numbers(y)
    if output is None or array is None or output[-1] in (None, 1) or not array.size:
        return None
    units, shape = output[-1], array.shape
    assert units is not None
    source = written(call, "y")
    flat = shape[:-1] if len(shape) == len(output) and shape[-1] == 1 else shape
    if name == "categorical_crossentropy" and len(flat) == len(output) - 1 and _whole(array):
        return Evidence(
            title="categorical_crossentropy wants one-hot rows, and the targets are class numbers.",
            got=f"targets {shape} of class numbers {int(array.min())} to {int(array.max())}; loss={name}",
            wanted=f"one-hot targets {(*flat, units)}, or loss='sparse_categorical_crossentropy' for class numbers",
            cause=f"categorical_crossentropy compares {units} units with {units} columns, one per class. Integer class "
            "ids "
            "need\nsparse_categorical_crossentropy, which looks the unit up.",
            fix="model.compile(..., loss='sparse_categorical_crossentropy')\n"
            f"# or {source} = keras.utils.to_categorical({source}, {units})",
            boundary=("targets", "loss"),
        )
    if name == "sparse_categorical_crossentropy" and len(shape) == len(output) and shape[-1] == units and units > 1:
        if not _one_hot(array):
            return None
        return Evidence(
            title="sparse_categorical_crossentropy wants class numbers, and the targets are one-hot rows.",
            got=f"targets {shape}: {units} columns, one of them 1; loss={name}",
            wanted=f"class numbers {shape[:-1]}, or loss='categorical_crossentropy' for one-hot rows",
            cause="sparse_categorical_crossentropy reads one integer per answer; one-hot rows are for "
            "categorical_crossentropy.",
            fix=f"model.compile(..., loss='categorical_crossentropy')\n# or {source} = {source}.argmax(-1)",
            boundary=("targets", "loss"),
        )
    return None


def _of(event: ModelCall | Batch | Failure) -> tuple[ModelCall, Any] | None:
    if isinstance(event, Failure):
        call = event.verb
        return None if call is None or call.verb not in TRAINS or call.y is None else (call, call.y)
    found = asked(event)
    return None if found is None else (found[0], found[2])


def _whole(array: np.ndarray) -> bool:
    some = some_rows(array)
    return bool(np.isfinite(some).all() and (some == np.round(some)).all() and some.min() >= 0)


def _one_hot(array: np.ndarray) -> bool:
    some = some_rows(array)
    return bool(((some == 0) | (some == 1)).all() and (some.sum(axis=-1) == 1).all())


@SO415.on(ModelCall, Batch, Failure)
def class_beyond_units(event: ModelCall | Batch | Failure, seen: Seen) -> Evidence | None:
    """Looks for class numbers that no unit stands for."""
    found = _of(event)
    if found is None:
        return None
    call, y = found
    output, array = output_shape(call.model), numbers(y)
    if loss_name(call.model) != "sparse_categorical_crossentropy" or output is None or array is None or not array.size:
        return None
    units, some = output[-1], some_rows(array)
    if (
        units is None
        or not np.isfinite(some).all()
        or (len(array.shape) == len(output) and array.shape[-1] == units > 1)
    ):
        return None
    low, high = int(some.min()), int(some.max())
    if high < units and low >= 0:
        return None
    layer = last_layer(call.model)
    source, name = source_of(layer, seen), written(call, "y")
    from_one = low == 1 and high == units
    wrong = int(((some >= units) | (some < 0)).sum())
    what = f"{wrong:,} of {some.size:,} targets" if wrong < some.size else "all targets"
    return Evidence(
        title=f"The targets hold class {high if high >= units else low}, and the output has {units} units.",
        got=f"class numbers from {low} to {high}; {what} have no unit",
        wanted=f"class numbers from 0 to {units - 1}: one for each of the {units} units of {title(layer)}",
        cause="sparse_categorical_crossentropy takes a target for the number of a unit, counted from 0. "
        + (
            f"These classes begin at 1,\nso class {high} lies beyond the last unit. "
            if from_one
            else "A number beyond the last unit has none. "
            if low >= 0
            else "A label below 0 names none. "
        )
        + "TensorFlow makes NaN of it or raises,\nPyTorch raises, JAX takes another unit without a word.",
        fix=f"{name} = {name} - 1        # classes from 0\n# or {_with_units(source, high + 1)}"
        if from_one
        else f"{_with_units(source, high + 1)}        # classes 0 to {high}"
        if low >= 0
        else f"keep = {name} >= 0        # leave unlabelled samples out: x[keep], {name}[keep]",
        boundary=(title(layer), "loss"),
    )


def _with_units(source: str, number: int) -> str:
    import re

    return re.sub(r"\(\s*(?:units\s*=\s*)?\d+", f"({number}", source, count=1)


@SO416.on(ModelCall, Batch)
def out_of_reach(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for targets that the activation of the last layer cannot reach."""
    found = asked(event)
    if found is None or loss_name(found[0].model) not in _VALUES | {"binary_crossentropy"}:
        return None
    call, _, y = found
    layer, array = last_layer(call.model), numbers(y)
    name = activation_of(layer) if layer is not None else ""
    if (
        array is None
        or name not in _RANGES
        or not array.size
        or not title(layer).startswith(("Dense", "Activation", "Time"))
    ):
        return None
    some = some_rows(array).astype("float64")
    some = some[np.isfinite(some)]
    low, high = _RANGES[name]
    slack = 1e-6 + 0.02 * (high - low if np.isfinite(high) else 0)
    beyond = int(((some < low - slack) | (some > high + slack)).sum())
    # A few of many may be outliers that the user accepts.
    if not some.size or beyond < 0.05 * some.size:
        return None
    source = source_of(layer, seen)
    limits = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and above"
    return Evidence(
        title=f"{beyond:,} of {some.size:,} targets lie outside of what {name} can put out.",
        got=f"targets from {some.min():.4g} to {some.max():.4g}; the output ends in {name}: {limits}",
        wanted=f"an output that reaches from {some.min():.4g} to {some.max():.4g}",
        cause=f"{title(layer)} has activation='{name}', whose range is {limits}. Targets beyond it cannot be reached, "
        "however "
        "long\nthe training: the predictions stick to the limit.",
        fix=f"{without_keyword(source, 'activation')}        # linear: any number\n"
        f"# or scale the targets into {limits}, and predictions back",
        boundary=(title(layer), "loss"),
    )


@SO417.on(ModelCall, Batch)
def missing_values(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for NaN and infinity in inputs and targets."""
    call = event.call if isinstance(event, Batch) else event
    if call.within is not None:
        return None
    for name, value in (("x", event.x), ("y", event.y)):
        array = as_array(value) if is_array(value) else None
        if array is None or array.dtype.kind != "f" or not array.size:
            continue
        some = some_rows(array)
        bad = ~np.isfinite(some)
        if not bad.any():
            continue
        source = written(call, name) if not isinstance(event, Batch) else name
        nan = int(np.isnan(some).sum())
        what = "NaN" if nan == bad.sum() else "infinite" if not nan else "NaN or infinite"
        row = int(np.flatnonzero(bad.reshape(len(some), -1).any(axis=1))[0])
        rows = int(bad.reshape(len(some), -1).any(axis=1).sum())
        columns = np.flatnonzero(bad.reshape(-1, some.shape[-1]).any(axis=0)) if some.ndim > 1 else np.array([0])
        where = f", all in column {columns[0]}" if some.ndim > 1 and len(columns) == 1 and some.shape[-1] > 1 else ""
        return Evidence(
            title=f"{source} holds {what} values.",
            got=f"{int(bad.sum()):,} of {some.size:,} numbers of {source} are {what}, in {count(rows, 'row')} of "
            f"{len(some)}, the first in row {row}{where}",
            wanted="finite numbers everywhere",
            cause="NaN spreads: one in a batch makes the loss NaN, and with the next update every weight. From then on "
            "the "
            "model\npredicts NaN for everything.",
            fix=f"{source} = np.nan_to_num({source})        # missing as 0; with a Masking layer if whole steps are "
            "missing\n"
            f"# or keep = np.isfinite({source}).reshape(len({source}), -1).all(axis=1), and {source}[keep]",
            boundary=(source, "model"),
        )
    return None


@SO418.on(ModelCall, Batch)
def logits(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for from_logits=True behind softmax or sigmoid, and for plain losses behind no activation at all."""
    found = asked(event)
    if found is None:
        return None
    call, _, _ = found
    loss, layer = getattr(call.model, "loss", None), last_layer(call.model)
    if layer is None or not title(layer).startswith(("Dense", "Activation", "Softmax", "TimeDistributed")):
        return None
    name, activation = loss_name(call.model), activation_of(layer)
    if "crossentropy" not in name:
        return None
    asks = _from_logits(loss)
    source = source_of(layer, seen)
    wanted = "sigmoid" if "binary" in name else "softmax"
    if asks and activation in ("softmax", "sigmoid"):
        return Evidence(
            title=f"{activation} is applied twice: by {title(layer)} and by the loss.",
            got=f"activation='{activation}' and a loss with from_logits=True",
            wanted="one of the two",
            cause=f"from_logits=True tells the loss that {activation} has not been applied yet, so it applies it to "
            "what are "
            "probabilities\nalready: the loss hardly moves, and the model learns slowly or not at all.",
            fix=f"{without_keyword(source, 'activation')}        # keep from_logits=True\n# or from_logits=False",
            boundary=(title(layer), "loss"),
        )
    if asks is False and activation in ("", "linear") and not title(layer).startswith("Softmax"):
        return Evidence(
            title=f"{name} reads probabilities, and {title(layer)} puts out plain numbers.",
            got=f"{source}, without an activation, and loss {name} with from_logits=False",
            wanted=f"activation='{wanted}', or from_logits=True in the loss",
            cause=f"Without from_logits=True the loss takes the outputs for probabilities between 0 and 1. Without "
            f"{wanted} they are any\nnumbers, and are cut to that range: where they are, no gradient is left.",
            fix=f"{with_keyword(source, 'activation', repr(wanted))}\n# or the loss with from_logits=True",
            boundary=(title(layer), "loss"),
        )
    return None


def _from_logits(loss: Any) -> bool | None:
    if isinstance(loss, str):
        return False
    found = getattr(loss, "from_logits", None)
    if found is None:
        found = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    return found if isinstance(found, bool) else None
