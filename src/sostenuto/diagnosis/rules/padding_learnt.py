"""Padding that a model reads as if it were data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, ModelCall, ModelCalled, Padded
from sostenuto.diagnosis.rules.masks_graph import Way, all_layers, late_mask, masks_on, unmasked_readers
from sostenuto.diagnosis.rules.padding_effects import (
    effect,
    inputs_of_model,
    lengths_given,
    look_through,
    padding_known,
    speaks_of_masks,
)
from sostenuto.diagnosis.rules.padding_found import Found, looked_up_below_zero, remember
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import is_ours, kinds, makes_mask, recurrent_layers, source_of, title
from sostenuto.diagnosis.wording import count

SO221 = rule(
    "SO221",
    "Padding is read as data: nothing masks it",
    """Padded steps are steps like any other for a recurrent layer, unless a mask says which are real. The state runs on
    through the padding, and the last output, which mostly is the answer, is that of a padded step. It trains, and its
    results depend on how much was padded.""",
    """keras.layers.Masking(0.0) in front of the first recurrent layer, or Embedding(..., mask_zero=True) for token ids.
    SequenceModel needs neither.""",
    example="""
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)) + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
""",
    repaired="""
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)) + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
layers = [keras.layers.Masking(0.0), keras.layers.LSTM(4), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((None, 2)), *layers])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
""",
)


@SO221.on(Padded)
def remembered(event: Padded, seen: Seen) -> None:
    """Remembers what was padded, and how."""
    remember(event, seen)


@SO221.on(ModelCall, Batch)
def looked_through(event: ModelCall | Batch, seen: Seen) -> None:
    """Remembers the padding in what a model is given, for when its layers have been seen at work."""
    call = event.call if isinstance(event, Batch) else event
    if call.within is None and recurrent_layers(call.model):
        look_through(event, seen)


@SO221.on(ModelCalled)
def nothing_masks(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for padded data that reached a recurrent layer without a mask."""
    model = event.model
    if event.within is not None or seen.marks(model).get("unmasked") or any(map(is_ours, all_layers(model))):
        return None
    for found in padding_known(model, seen):
        for layer, way in unmasked_readers(model, found.index, seen):
            late = late_mask(model, found.index) is not None
            if late or masks_on(way) or looked_up_below_zero(event, found, seen):
                continue
            if _masks_elsewhere(model, way, event, found, seen):
                continue
            why = effect(event, layer, found, seen)
            if why:
                seen.mark(model, unmasked=True)
                return _unmasked(event, layer, way, found, why, seen)
    return None


@SO221.on(ModelCalled)
def goes_on(event: ModelCalled, seen: Seen) -> None:
    """Remembers padding in what predict returns for padded data: the mask stays behind."""
    shape = getattr(event.result, "shape", ())
    if event.verb not in ("predict", "predict_on_batch") or len(shape) != 3 or event.within is not None:
        return
    for found in padding_known(event.model, seen):
        if tuple(shape[:2]) == (found.of, found.length):
            how = f"returned by {event.name}, which was given padded data ({found.how})"
            seen.mark(event.result, found=replace(found, how=how, between=True, value=None))


def _masks_elsewhere(model: Any, way: Way, call: ModelCalled, found: Found, seen: Seen) -> bool:
    # A subclass may do with its layers what it likes: one mask anywhere, and it knows about masks.
    if way.inputs is None and any(makes_mask(one) for one in all_layers(model)):
        return True
    if lengths_given(call, found) or any("bool" in str(getattr(one, "dtype", "")) for one in inputs_of_model(model)):
        return True
    return speaks_of_masks(model)


def _unmasked(call: ModelCalled, layer: Any, way: Way, found: Found, why: str, seen: Seen) -> Evidence:
    return Evidence(
        title=f"{title(layer)} reads {count(found.padded, 'padded step')} as data: nothing masks them.",
        got=found.words,
        wanted=f"a mask that says which steps are real, at {title(layer)}: a Masking layer, or an Embedding with "
        "mask_zero=True",
        cause=f"Without a mask padding is read as data: {why}",
        fix=_fix(layer, way, found, seen),
        boundary=(found.source, title(layer)),
    )


def _fix(layer: Any, way: Way, found: Found, seen: Seen) -> str:
    if found.between:
        return (
            "model = keras.Sequential([first, second])        # one model: the mask goes on from layer to layer\n"
            "# or hand the mask on: a second input of the second model, and LSTM(...)(x, mask=mask)"
        )
    embedding = next((one for one in way.passed if "Embedding" in kinds(one)), None)
    value = 0.0 if found.moved or found.value is None else found.value
    if embedding is not None:
        fix = with_keyword(source_of(embedding, seen), "mask_zero", "True")
        return fix if value == 0 and not found.moved else f"{fix}        # and pad with value=0, real ids from 1"
    masking = f"keras.layers.Masking(mask_value={value})"
    fix = f"{masking},        # in front of {title(layer)}"
    if found.moved:
        return f"{fix}\n# and change (scale, encode) the sequences first, pad afterwards: the padding stays {value}"
    behind = next((one for one in way.passed if not _keeps_zeros(one)), None)
    if behind is None:
        return fix
    if bool(getattr(behind, "supports_masking", False)):
        return f"{masking},        # in front of {title(behind)}, as the first layer"
    return (
        f"mask = keras.ops.any(keras.ops.not_equal(inputs, {value}), axis=-1)\n"
        f"x = {type(layer).__name__}(...)(x, mask=mask)        # {title(behind)} would drop the mask of a Masking layer"
    )


def _keeps_zeros(layer: Any) -> bool:
    return bool(kinds(layer) & {"Dropout", "SpatialDropout1D", "Reshape", "RNN", "Bidirectional", "InputLayer"})
