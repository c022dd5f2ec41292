"""How much of the data a mask covers: counted for every layer where a mask begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import some_rows
from sostenuto.diagnosis.events import Batch, ModelCall
from sostenuto.diagnosis.rules.masks_graph import all_layers, way_to
from sostenuto.diagnosis.rules.padding_given import Given, inputs_given
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import kinds, makes_mask

# Calls of one model that are counted; a loop of train_on_batch makes thousands.
_CALLS = 20


@dataclass(frozen=True)
class Counted:
    """How much of one input a mask covers.

    Attributes:
        source: of the input, in the user's words.
        masked: steps that are masked.
        steps: all steps.
        empty: rows of which every step is masked.
        rows: all rows.
    """

    source: str
    masked: int
    steps: int
    empty: int
    rows: int


def mask_value(layer: Any) -> float:
    """The value that a Masking layer, or an Embedding with ``mask_zero=True``, masks."""
    return 0.0 if "Embedding" in kinds(layer) else float(getattr(layer, "mask_value", 0.0))


def masks_and_data(event: ModelCall | Batch) -> Iterator[tuple[Any, Given]]:
    """Every layer of a model where a mask begins, with each array that it may read."""
    call = event.call if isinstance(event, Batch) else event
    makers = [one for one in all_layers(call.model) if makes_mask(one)]
    if not makers:
        return
    given = inputs_given(event)
    for layer in makers:
        way = way_to(call.model, layer)
        for one in given:
            rank = one.array.ndim
            fits = rank == 2 if "Embedding" in kinds(layer) else rank in (2, 3)
            if fits and way.reads(one.index) and one.array.shape[1] > 1:
                yield layer, one


def covered(array: np.ndarray, value: float) -> np.ndarray:
    """Which steps of a batch a mask for a value covers: (B, T)."""
    same = array == value
    return same if same.ndim == 2 else same.all(axis=-1)


def count_masked(event: ModelCall | Batch, seen: Seen) -> None:
    """Counts masked steps in what a model is given, and remembers the numbers with the model: ``counted``."""
    call = event.call if isinstance(event, Batch) else event
    if "masked_steps" not in seen.marks(call.model):
        seen.mark(call.model, masked_steps={"calls": 0})
    known = seen.marks(call.model).get("masked_steps")
    if known is None or known["calls"] >= _CALLS:
        return
    known["calls"] += 1
    for layer, given in masks_and_data(event):
        before = known.get(id(layer))
        if before is not None and before.masked:
            continue
        steps = covered(some_rows(given.array), mask_value(layer))
        counted = Counted(given.source, int(steps.sum()), steps.size, int(steps.all(axis=1).sum()), len(steps))
        known[id(layer)] = counted


def counted(model: Any, number: int, seen: Seen) -> Counted | None:
    """What was counted for a layer of a model; None where its data could not be looked at.

    Args:
        model: of Keras.
        number: id() of the layer.
        seen: what happened so far.
    """
    known = seen.marks(model).get("masked_steps")
    return known.get(number) if known is not None else None
