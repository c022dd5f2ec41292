"""Losses of classes beside their targets: class numbers, one-hot rows, numbers that no unit stands for."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.rules.output_ends import end_of
from sostenuto.diagnosis.rules.output_pages import SO414, SO415, SO421, SO424
from sostenuto.diagnosis.rules.output_views import BINARY, ONE_HOT, SPARSE, activation_of, assigned, numbers
from sostenuto.diagnosis.rules.outputs_compared import Compared, counted, on_targets
from sostenuto.diagnosis.rules.outputs_sizes import with_units
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import kinds, source_of, title
from sostenuto.diagnosis.wording import count


@on_targets(SO414)
def other_form_of_classes(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for class numbers where one-hot rows are read, and the other way round."""
    array, units = numbers(pair.y), pair.output[-1]
    if array is None or units in (None, 1) or not array.size:
        return None
    shape, output = pair.target, pair.output
    name, value = assigned(pair.targets, "y")
    flat = shape[:-1] if len(shape) == len(output) and shape[-1] == 1 else shape
    if pair.loss in ONE_HOT and len(flat) == len(output) - 1 and _whole(array) and not _one_hot(array):
        return Evidence(
            title=f"{pair.loss} wants one-hot rows, and the targets are class numbers.",
            got=f"targets {shape} of class numbers {int(array.min())} to {int(array.max())}; loss={pair.loss!r}",
            wanted=f"one-hot targets {(*flat, units)}, or loss='{SPARSE}' for class numbers",
            cause=f"{pair.loss} compares {units} units with {units} columns, one per class. Integer class ids need\n"
            f"{SPARSE}, which looks the unit up.",
            fix=f"model.compile(..., loss='{SPARSE}')\n# or {name} = keras.utils.to_categorical({value}, {units})",
            boundary=("targets", "loss"),
        )
    if pair.loss == SPARSE and len(shape) == len(output) and shape[-1] == units and _one_hot(array):
        return Evidence(
            title=f"{SPARSE} wants class numbers, and the targets are one-hot rows.",
            got=f"targets {shape}: one-hot, {units} columns, one of them 1; loss={pair.loss!r}",
            wanted=f"integer class numbers {shape[:-1]}, or loss='categorical_crossentropy' for one-hot rows",
            cause=f"{SPARSE} reads one integer per answer; one-hot rows are for categorical_crossentropy.",
            fix=f"model.compile(..., loss='categorical_crossentropy')\n# or {name} = {value}.argmax(-1)",
            boundary=("targets", "loss"),
        )
    return None


def _whole(array: np.ndarray) -> bool:
    some = some_rows(array)
    return bool(np.isfinite(some).all() and (some == np.round(some)).all() and some.min() >= 0)


def _one_hot(array: np.ndarray) -> bool:
    some = some_rows(array)
    if some.ndim < 2 or some.shape[-1] < 2:
        return False
    # Padded rows are all 0.
    of_rows = some.sum(axis=-1)
    return bool(((some == 0) | (some == 1)).all() and (of_rows <= 1).all() and of_rows.mean() > 0.2)


@on_targets(SO415)
def class_beyond_units(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for class numbers that no unit stands for."""
    some, units = counted(pair), pair.output[-1]
    if pair.loss != SPARSE or units is None or some is None or not np.isfinite(some).all():
        return None
    # Shapes of another kind are another mistake.
    if len(pair.target) == len(pair.output) and pair.target[-1] == units > 1:
        return None
    ignored = _option(pair.asks, "ignore_class")
    some = some[some != ignored] if ignored is not None else some
    if not some.size or (some.max() < units and some.min() >= 0):
        return None
    low, high = int(some.min()), int(some.max())
    end = end_of(pair.model, seen, pair.output)
    source = source_of(end, seen) if end is not None and "Dense" in kinds(end) else f"keras.layers.Dense({units})"
    wrong = int(((some >= units) | (some < 0)).sum())
    what = f"{wrong:,} of {some.size:,} targets have" if wrong < some.size else "no target has"
    have = "no unit" if wrong < some.size else "a unit"
    begin, fix = _classes_fix(pair, source, low, high, units)
    return Evidence(
        title=f"The targets hold class {high if high >= units else low}, and the output has {count(units, 'unit')}.",
        got=f"class numbers (labels) from {low} to {high}; {what} {have}",
        wanted=f"class numbers from 0 to {units - 1}: one for each of {count(units, 'unit')}"
        + (f" of {title(end)}" if end is not None else ""),
        cause=f"{SPARSE} takes a target for the number of a unit, counted from 0.{begin}\n"
        "TensorFlow makes NaN of it or raises, PyTorch raises, JAX takes another unit without a word.",
        fix=fix,
        boundary=(title(end) if end is not None else "model", "loss"),
    )


def _classes_fix(pair: Compared, source: str, low: int, high: int, units: int) -> tuple[str, str]:
    name, value = assigned(pair.targets, "y")
    if units == 1 and (low, high) == (0, 1):
        return (
            " A single unit is class 0 alone:\ntwo classes need two units, or one unit with sigmoid and "
            "binary_crossentropy.",
            f"{with_keyword(source, 'activation', repr('sigmoid'))}        # and loss='binary_crossentropy'\n"
            f"# or {with_keyword(with_units(source, 2), 'activation', repr('softmax'))}, with {SPARSE}",
        )
    if (low, high, units) == (-1, 1, 2):
        return " There is no class -1.", f"{name} = ({value} + 1) // 2        # -1 and 1 become 0 and 1"
    if low < 0:
        ignored = f"keras.losses.SparseCategoricalCrossentropy(ignore_class={low})"
        keep = f"keep = {name} >= 0        # leave unlabelled samples out: x[keep], {name}[keep]\n# or {ignored}"
        # Of some steps of a sequence nothing can be left out.
        fix = f"{ignored}        # as the loss" if len(pair.output) > 2 else keep
        return f" A label below 0 ({low}) names none.", fix
    if low >= 1 and high - low < units:
        return (
            f" These classes begin at {low},\nso class {high} lies beyond the last unit.",
            f"{name} = {value} - {low}        # classes from 0\n# or {with_units(source, high + 1)}",
        )
    return (
        " A number beyond the last unit has none.",
        f"{with_units(source, high + 1)}        # classes 0 to {high} are {high + 1} classes",
    )


def _option(loss: Any, name: str) -> Any:
    # An argument that a loss object of Keras was made with.
    found = getattr(loss, name, None)
    return getattr(loss, "_fn_kwargs", {}).get(name) if found is None else found


@on_targets(SO421)
def not_binary(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for class numbers other than 0 and 1 beside binary_crossentropy."""
    some, units = counted(pair), pair.output[-1]
    if pair.loss not in BINARY or some is None or units is None or not some.size or not _flat(pair):
        return None
    if not np.isfinite(some).all():
        return None
    values = np.unique(some)
    within = values[0] >= 0 and values[-1] <= 1
    # Probabilities are targets of binary_crossentropy too; several units need as many columns.
    if within and (units == 1 or pair.fits):
        return None
    if not (values == np.round(values)).all() or (pair.fits and units > 1 and len(values) > 2):
        return _measured(pair, seen, float(values[0]), float(values[-1]))
    low, high, number = int(values[0]), int(values[-1]), len(values)
    end = end_of(pair.model, seen, pair.output)
    source = source_of(end, seen) if end is not None and "Dense" in kinds(end) else f"keras.layers.Dense({units})"
    name, value = assigned(pair.targets, "y")
    if number <= 2 and pair.fits:
        wanted = "the two classes as 0 and 1"
        fix = f"{name} = ({value} == {high}).astype('float32')        # {high} becomes 1, {low} becomes 0"
        why = f"binary_crossentropy takes a target for the probability of the class, 0 or 1. With {low} and {high} the "
        why += "loss\nfalls without end, below 0, and means nothing."
    else:
        classes = max(high + 1, number)
        ends = f"keras.layers.Dense({classes}, activation='softmax')"
        if units is not None and units >= classes > 1:
            ends = with_keyword(source, "activation", "'softmax'")
        wanted = f"loss='{SPARSE}' with one unit per class: {max(classes, units)} units and softmax"
        fix = f"{ends}        # and model.compile(..., loss='{SPARSE}')"
        why = f"binary_crossentropy is for one yes or no per unit. Integer class ids of {number} classes need\n{SPARSE}"
        why += " and softmax, or one-hot rows and categorical_crossentropy."
    return Evidence(
        title=f"binary_crossentropy wants targets of 0 and 1, and these are classes from {low} to {high}.",
        got=f"targets {pair.target}: {count(number, 'class', 'classes')} from {low} to {high}; output with "
        f"{count(units, 'unit')}; loss={pair.loss!r}",
        wanted=wanted,
        cause=why,
        fix=fix,
        boundary=("targets", "loss"),
    )


def _flat(pair: Compared) -> bool:
    # One answer per output: (N,) and (N, 1) beside (N, units), (N, T) and (N, T, 1) beside (N, T, units).
    target = pair.target[:-1] if len(pair.target) == len(pair.output) and pair.target[-1] == 1 else pair.target
    return pair.fits or len(target) == len(pair.output) - 1


def _measured(pair: Compared, seen: Seen, low: float, high: float) -> Evidence | None:
    end = end_of(pair.model, seen, pair.output)
    if not pair.fits or end is None:
        return None
    return Evidence(
        title="binary_crossentropy wants targets between 0 and 1, and these are measured values.",
        got=f"targets {pair.target} from {low:.4g} to {high:.4g}; loss={pair.loss!r}",
        wanted="loss='mse' for values; or targets of 0 and 1",
        cause="binary_crossentropy takes a target for a probability. Values beyond 0 and 1 make a loss that falls "
        "below 0\nand means nothing; a regression needs a loss such as mse, and no sigmoid at the end.",
        fix="model.compile(..., loss='mse')        # and no activation on the last layer",
        boundary=("targets", "loss"),
    )


@on_targets(SO424)
def one_unit_of_many(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for categorical_crossentropy over a single unit, which is 0 always."""
    if pair.loss not in ONE_HOT or pair.output[-1] != 1 or pair.target[-1:] not in ((1,), pair.target[:1]):
        return None
    end = end_of(pair.model, seen, pair.output)
    # softmax over one unit has a code of its own.
    if end is not None and activation_of(end) == "softmax":
        return None
    source = source_of(end, seen) if end is not None else "keras.layers.Dense(1)"
    return Evidence(
        title="categorical_crossentropy over a single unit is 0, whatever the output.",
        got=f"output with 1 unit beside targets {pair.target}; loss={pair.loss!r}",
        wanted="loss='binary_crossentropy' for one unit; or one unit and one column per class",
        cause="categorical_crossentropy makes the units of an output add up to 1. Of a single unit that makes 1.0, so "
        "the loss is 0,\nits gradient too, and nothing is learnt.",
        fix=f"model.compile(..., loss='binary_crossentropy')        # with {_sigmoid(source)}",
        boundary=("targets", "loss"),
    )


def _sigmoid(source: str) -> str:
    return source if "sigmoid" in source else with_keyword(source, "activation", "'sigmoid'")
