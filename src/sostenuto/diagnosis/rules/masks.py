"""Masks that get lost on the way."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, LayerCall, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.masks_counts import count_masked, counted
from sostenuto.diagnosis.rules.masks_flow import Ending, follow
from sostenuto.diagnosis.rules.masks_graph import all_layers, got_mask
from sostenuto.diagnosis.rules.padding_effects import compares_steps
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_ours, is_recurrent, makes_mask, title

_DATA = """
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)).astype("float32") + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
model = keras.Sequential([keras.Input((11, 2)), {}, keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
"""

SO271 = rule(
    "SO271",
    "A mask gets lost on the way",
    """A mask travels with the tensor, through layers that know what to do with it. A layer that moves, joins or makes
    steps of its own and does not support masking drops it, with a warning at most, and a function on tensors
    (x * 2, keras.ops.relu(x)) makes a new tensor without a mask: every layer behind reads padding as data.""",
    """Put that layer in front of the mask or behind the recurrent layers; give a layer of yours supports_masking = True
    where it keeps the steps in their places; make a layer of a function; or hand the mask on: LSTM(...)(x,
    mask=mask).""",
    example=_DATA.format('keras.layers.Masking(0.0), keras.layers.Conv1D(3, 2, padding="same")'),
    repaired=_DATA.format("keras.layers.Masking(0.0), keras.layers.Dense(3)"),
)

# Layers that change every step for itself: an own layer, or supports_masking, does the same with the mask.
_BY_STEP = {"Lambda", "EinsumDense", "Reshape", "Permute"}


@SO271.on(LayerCall)
def followed(event: LayerCall, seen: Seen) -> None:
    """Follows masks from layer to layer."""
    follow(event, seen)


@SO271.on(ModelCall, Batch)
def counts(event: ModelCall | Batch, seen: Seen) -> None:
    """Counts what is masked in the data."""
    call = event.call if isinstance(event, Batch) else event
    if call.within is None:
        count_masked(event, seen)


@SO271.on(ModelCalled)
def lost_on_the_way(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a layer that dropped the mask of data which is padded, in front of one that needs it."""
    model = event.model
    layers = all_layers(model)
    if event.within is not None or seen.marks(model).get("mask_loss") or any(map(is_ours, layers)):
        return None
    if not any(map(is_recurrent, layers)) or not any(map(makes_mask, layers)):
        return None
    for layer in layers:
        ended = seen.marks(layer).get("mask_lost")
        if isinstance(ended, Ending) and not got_mask(layer, seen):
            found = _lost(event, ended, title(layer), seen)
            if found is not None:
                seen.mark(model, mask_loss=True)
                return found
    ended = seen.marks(model).get("output_lost")
    if isinstance(ended, Ending) and not seen.marks(model).get("returned_mask") and compares_steps(event):
        found = _lost(event, ended, "the loss", seen)
        seen.mark(model, mask_loss=found is not None)
        return found
    return None


def _lost(event: ModelCalled, ended: Ending, reader: str, seen: Seen) -> Evidence | None:
    known = counted(event.model, ended.begins.number, seen)
    if known is not None and not known.masked:
        return None
    counts = (
        f"{known.masked:,} of {known.steps:,} steps of {known.source} are masked by {ended.begins.name}"
        if known is not None
        else f"a mask from {ended.begins.name}"
    )
    after = f"behind {ended.name}" if ended.kind else "behind it"
    data = written(event, "x")
    name = ended.name if ended.name.startswith("keras.") else ended.name[0].upper() + ended.name[1:]
    return Evidence(
        title=f"{name} loses the mask, and {reader} reads padding as data.",
        got=f"{counts}; no mask {after}",
        wanted=f"the mask at {reader}",
        cause=_cause(ended, reader),
        fix=_fix(ended, reader),
        unsure="" if known is not None else f"how much of {data} is padding; where nothing is, the mask is not missed",
        place=ended.place,
        boundary=(ended.name, reader),
    )


def _cause(ended: Ending, reader: str) -> str:
    takes = (
        "counts the padded steps like real ones."
        if reader == "the loss"
        else "takes the padded steps for real ones: padding is read as data."
    )
    if not ended.kind or ended.name.startswith("keras.ops"):
        return (
            "Keras keeps the mask with the tensor that a layer returned. A function on it (x * 2, ops.relu(x), "
            f"x[..., :1])\nmakes a new tensor that has none, and {reader} {takes}"
        )
    return (
        f"{ended.kind} does not support masking: the mask is dropped there, and {reader} behind\nit {takes} "
        "Keras warns at most."
    )


def _fix(ended: Ending, reader: str) -> str:
    mask = ended.begins.by_hand
    if ended.own and ended.kind:
        return (
            f"class {ended.kind}(keras.layers.Layer):\n"
            "    supports_masking = True        # where it keeps every step in its place"
        )
    if not ended.kind or ended.name.startswith("keras.ops"):
        if reader == "the loss":
            return "# a layer for the function, with supports_masking = True; or sample_weight=mask in fit"
        return f"{mask}\nx = {reader.split()[0]}(...)(x, mask=mask)"
    source = ended.source or f"{ended.kind}(...)"
    if reader == "the loss":
        return f"# {source} in front of {ended.begins.source}, or sample_weight=mask in fit (0 for padded steps)"
    if ended.kind in _BY_STEP:
        return (
            f"# {source} in front of {ended.begins.source}; or hand the mask on:\n{mask}\n"
            f"x = {reader.split()[0]}(...)(x, mask=mask)"
        )
    return (
        f"# {source} behind the recurrent layers; or, where it keeps all steps (padding='same', no strides):\n"
        f"{mask}\nx = {reader.split()[0]}(...)(x, mask=mask)"
    )
