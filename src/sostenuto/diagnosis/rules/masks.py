"""Masks that get lost on the way, that mask nothing, or that mask what is real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, padding_in, some_rows
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.padding_learnt import filling_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import (
    first_layers,
    input_tensors,
    is_ours,
    is_recurrent,
    kinds,
    makes_mask,
    output_tensors,
    source_of,
    title,
)
from sostenuto.diagnosis.wording import count

_DATA = """
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)).astype("float32") + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32"{})
model = keras.Sequential([keras.Input((11, 2)), {}, keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
"""

SO271 = rule(
    "SO271",
    "A layer on the way loses the mask",
    """A mask travels with the tensor, through layers that know what to do with it. A layer that moves, joins or makes
    steps of its own and does not support masking drops it, with a warning at most: every layer behind it reads padding
    as data.""",
    """Put that layer in front of the mask or behind the recurrent layers; give a layer of yours supports_masking = True
    where it keeps the steps in their places.""",
    example=_DATA.format("", 'keras.layers.Masking(0.0), keras.layers.Conv1D(3, 2, padding="same")'),
    repaired=_DATA.format("", "keras.layers.Masking(0.0), keras.layers.Dense(3)"),
)

SO272 = rule(
    "SO272",
    "The mask looks for another value than the padding has",
    """Masking(mask_value) masks the steps whose features all have that value, and Embedding(mask_zero=True) id 0.
    Padding of another value is not masked.""",
    """The same value in both: pad_sequences(..., value=0.0) and Masking(0.0). Scale first, pad afterwards: scaling
    moves the zeros.""",
    example=_DATA.format(", value=-1.0", "keras.layers.Masking(0.0)"),
    repaired=_DATA.format(", value=-1.0", "keras.layers.Masking(-1.0)"),
)

SO273 = rule(
    "SO273",
    "Real steps have the value that is masked",
    """Masking(0.0) masks every step whose features are all 0, also one in the middle of a sequence that really was
    measured as 0: the layer passes over it as if it had not been.""",
    """Pad with a value that no real step has, outside of the range of the data, and mask that; or hand the sequences to
    SequenceModel, which knows their lengths.""",
    example="""
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)).astype("float32") + 1 for n in range(4, 14)]
rows = [np.where(np.arange(len(row))[:, None] == 2, 0, row) for row in rows]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
layers = [keras.layers.Masking(0.0), keras.layers.LSTM(4), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((None, 2)), *layers])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
""",
    repaired="""
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)).astype("float32") + 1 for n in range(4, 14)]
rows = [np.where(np.arange(len(row))[:, None] == 2, 0, row) for row in rows]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32", value=-99.0)
layers = [keras.layers.Masking(-99.0), keras.layers.LSTM(4), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((None, 2)), *layers])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
""",
)


@dataclass(frozen=True)
class _Lost:
    """Where a mask ends that somebody behind would need."""

    begins: Any
    at: Any
    reader: Any


def _lost(model: Any) -> _Lost | None:
    # Follows masks through the layers of a model, in the order in which Keras runs them.
    begins: dict[int, Any] = {}
    ended: dict[int, tuple[Any, Any]] = {}
    for layer, read, made in _steps(model):
        came = next((begins[one] for one in read if one in begins), None)
        was = next((ended[one] for one in read if one in ended), None)
        needs = is_recurrent(layer) or "GlobalAveragePooling1D" in kinds(layer) or "Attention" in kinds(layer)
        if needs and came is None and was is not None and not is_ours(layer):
            return _Lost(was[0], was[1], layer)
        if makes_mask(layer):
            came, was = layer, None
        elif came is not None and not _passes(layer):
            # A layer that gives up the steps has no use for a mask behind it.
            came, was = None, ((came, layer) if _keeps_steps(layer) else None)
        elif came is not None and is_recurrent(layer) and not _sequences(layer):
            came = None
        for one in made:
            if came is not None:
                begins[one] = came
            elif was is not None:
                ended[one] = was
    return None


def _steps(model: Any) -> list[tuple[Any, list[int], list[int]]]:
    layers = [one for one in getattr(model, "layers", ()) if "InputLayer" not in kinds(one)]
    if "Sequential" in kinds(model):
        return [(layer, [number], [number + 1]) for number, layer in enumerate(layers)]
    return [
        (layer, [id(one) for one in input_tensors(layer)], [id(one) for one in output_tensors(layer)])
        for layer in layers
    ]


def _passes(layer: Any) -> bool:
    return bool(getattr(layer, "supports_masking", False)) or is_recurrent(layer)


def _keeps_steps(layer: Any) -> bool:
    shapes = [tuple(one.shape) for one in output_tensors(layer)[:1] if hasattr(one, "shape")]
    return not shapes or len(shapes[0]) == 3


def _sequences(layer: Any) -> bool:
    return bool(getattr(getattr(layer, "forward_layer", layer), "return_sequences", False))


def _mask_value(layer: Any) -> float:
    return 0.0 if "Embedding" in kinds(layer) else float(getattr(layer, "mask_value", 0.0))


def _data(event: ModelCall) -> np.ndarray | None:
    array = as_array(event.x)
    return array if array is not None and array.ndim in (2, 3) and array.shape[1] > 1 else None


def _filled(array: np.ndarray, value: float) -> np.ndarray:
    return array == value if array.ndim == 2 else (array == value).all(axis=-1)


@SO271.on(ModelCall)
def lost_on_the_way(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for a layer that drops the mask of data which is padded, in front of one that needs it."""
    array = _data(event)
    if array is None or event.within is not None or id(event.model) in seen.notes["lost masks"]:
        return None
    found = _lost(event.model)
    if found is None:
        return None
    masked = _filled(some_rows(array), _mask_value(found.begins))
    steps = int(masked.sum())
    if not steps:
        return None
    seen.notes["lost masks"][id(event.model)] = True
    own = not type(found.at).__module__.startswith("keras.")
    source = source_of(found.at, seen)
    return Evidence(
        title=f"{title(found.at)} loses the mask, and {title(found.reader)} reads padding as data.",
        got=f"a mask from {title(found.begins)}, for {steps:,} of {masked.size:,} steps of {written(event, 'x')}; none "
        f"behind {title(found.at)}",
        wanted=f"the mask at {title(found.reader)}",
        cause=f"{type(found.at).__name__} does not support masking: the mask ends there, and {title(found.reader)} "
        "behind it "
        "takes the\npadded steps for real ones. Keras warns at most.",
        fix=f"class {type(found.at).__name__}(keras.layers.Layer):\n    supports_masking = True        # it keeps "
        "every step "
        "in its place"
        if own
        else f"# {source} behind the recurrent layers, or in front of {title(found.begins)};\n"
        f"# or pass the mask on by hand: {title(found.reader).split()[0]}(...)(x, mask=mask)",
        boundary=(title(found.at), title(found.reader)),
    )


@SO272.on(ModelCall)
def other_value(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for padding that a mask does not catch."""
    array = _data(event)
    masks = [one for one in first_layers(event.model) if makes_mask(one)]
    if array is None or len(masks) != 1 or event.within is not None or id(event.model) in seen.notes["other values"]:
        return None
    layer, value = masks[0], _mask_value(masks[0])
    filling = filling_of(event.x, seen)
    rows = some_rows(array)
    if filling is not None and filling.value != value:
        found, words = filling.value, f"value={filling.value:g} in pad_sequences"
    else:
        moved = _moved(rows, value, seen)
        if moved is None:
            return None
        found, words = moved, "moved from its value by what was done after padding, scaling perhaps"
    masked = int(_filled(rows, value).sum())
    if found == value or (masked and filling is None):
        return None
    seen.notes["other values"][id(event.model)] = True
    padded = int(_filled(rows, found).sum())
    shown = f"{found:.4g}"
    embedding = "Embedding" in kinds(layer)
    fix = (
        "keras.utils.pad_sequences(..., value=0)        # ids from 1 for words"
        if embedding
        else (
            f"keras.layers.Masking(mask_value={shown})"
            if filling is not None
            else "# scale each sequence first, then pad with 0.0: the padding stays what Masking looks for"
        )
    )
    return Evidence(
        title=f"{title(layer)} masks {value:g}, and the padding is {shown}.",
        got=f"{count(padded, 'step')} of {written(event, 'x')} filled with {shown} ({words}); {masked:,} steps are "
        "masked",
        wanted=f"one value for both: padding of {value:g}, or a mask for {shown}",
        cause=f"{type(layer).__name__} masks the steps whose values are all {value:g}. The padding has another value, "
        "so it is "
        "not masked, and is\nread as data.",
        fix=fix,
        boundary=(written(event, "x"), title(layer)),
    )


def _moved(rows: np.ndarray, value: float, seen: Seen) -> float | None:
    # Scaled after padding: runs of one and the same vector at the ends, of different lengths, in data of a padded
    # shape.
    shapes = {tuple(one.shape[1:]) for one in seen.notes["padded"].values() if one.steps and one.value == value}
    if rows.ndim != 3 or tuple(rows.shape[1:]) not in shapes or _filled(rows, value).any():
        return None
    for ends in (rows[:, -1], rows[:, 0]):
        vectors, counts = np.unique(ends, axis=0, return_counts=True)
        common = vectors[counts.argmax()]
        if counts.max() >= 2 and (rows == common).all(axis=-1).sum(axis=1).max() > 1:
            return float(common[0])
    return None


@SO273.on(ModelCall)
def real_steps_masked(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for masked steps between real ones, in data that was padded with the same value."""
    array = _data(event)
    masks = [one for one in first_layers(event.model) if "Masking" in kinds(one)]
    if array is None or array.ndim != 3 or len(masks) != 1 or event.within is not None or event.verb != "fit":
        return None
    value, rows = _mask_value(masks[0]), some_rows(array)
    masked = _filled(rows, value)
    real = ~masked
    before = np.maximum.accumulate(real, axis=1)
    behind = np.maximum.accumulate(real[:, ::-1], axis=1)[:, ::-1]
    inside = masked & before & behind
    steps = int(inside.sum())
    if not steps or padding_in(rows, value) is None or filling_of(event.x, seen) is None:
        return None
    source = written(event, "x")
    low = f"{float(rows.min()) - 1:.0f}.0" if np.isfinite(rows).all() else "-99.0"
    return Evidence(
        title=f"{count(steps, 'real step')} of {source} {'has' if steps == 1 else 'have'} the value that is masked.",
        got=f"{steps:,} steps between real ones are all {value:g}, in {int(inside.any(axis=1).sum()):,} of "
        f"{len(rows):,} rows; "
        f"{title(masks[0])} masks {value:g}",
        wanted="a value for padding that no real step has",
        cause=f"Padding and real steps share the value {value:g}, and a mask cannot tell them apart: the layer passes "
        "over these "
        "steps as\nif they had not been measured.",
        fix=f"x = keras.utils.pad_sequences(..., value={low}, dtype='float32')\nkeras.layers.Masking({low})",
        unsure="whether these steps are missing readings, which a mask is for",
        boundary=(source, title(masks[0])),
    )
