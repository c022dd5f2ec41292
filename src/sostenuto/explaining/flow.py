"""What the picture of a run shows: the layers a batch went through, where it broke, and which of its steps are real."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, padding_in
from sostenuto.diagnosis.events import Event, LayerCall, ModelCall
from sostenuto.diagnosis.views import first_layers, is_model, is_recurrent, kinds, layers_of, stateful_layers, title
from sostenuto.explaining.passages import Passage, axes_after

# A picture of more is no picture.
ROWS, STEPS, LAYERS = 40, 160, 40

REAL, PADDED, MASKED = 0, 1, 2


@dataclass
class Raster:
    """A batch as rows and steps.

    Attributes:
        cells: (B, T), each REAL, PADDED (read as if it were real) or MASKED.
        batch: rows in a batch of the training.
        stateful: whether rows go on from the state of the batch before.
        name: the user's name for the data.
    """

    cells: np.ndarray
    batch: int
    stateful: bool
    name: str


@dataclass
class Flow:
    """Collects it, event by event.

    Attributes:
        passages: the layers in the order they ran first.
        broken: names of the layer that an exception came out of; "" for none.
        raster: of the first batch of the first fit, evaluate or predict with an array; None before.
    """

    passages: list[Passage] = field(default_factory=list)
    broken: str = ""
    raster: Raster | None = None
    _known: dict[int, str] = field(default_factory=dict)
    _layers: set[int] = field(default_factory=set)

    def saw(self, event: Event) -> None:
        """Takes an event in."""
        if (isinstance(event, LayerCall) and event.outer is None) or (
            isinstance(event, LayerCall) and event.outer is not None and is_model(event.outer.layer)
        ):
            self._passed(event)
        elif type(event) is ModelCall and self.raster is None:
            self.raster = _raster(event)

    def failed(self, call: Any) -> None:
        """Takes in the innermost call that an exception came out of."""
        if isinstance(call, LayerCall):
            self._passed(call)
            self.broken = title(call.layer)

    def _passed(self, call: LayerCall) -> None:
        layer = call.layer
        if is_model(layer) or "InputLayer" in kinds(layer) or id(layer) in self._layers or len(self.passages) >= LAYERS:
            return
        shape = getattr(call.inputs, "shape", None)
        outputs = [one for one in _flat(call.output) if hasattr(one, "shape")]
        if shape is None:
            return
        self._layers.add(id(layer))
        rank = len(shape)
        default = (
            "BT"[:rank]
            if "Embedding" in kinds(layer)
            else {1: "B", 2: "BF", 3: "BTF"}.get(rank, "B" + "?" * (rank - 1))
        )
        letters = self._known.get(id(call.inputs)) or self._as_returned(tuple(shape)) or default
        after = tuple(axes_after(layer, letters, one) for one in outputs)
        for one, axes in zip(outputs, after, strict=True):
            self._known[id(one)] = axes
        self.passages.append(
            Passage(
                title(layer),
                (tuple(shape),),
                (letters,),
                tuple(tuple(one.shape) for one in outputs),
                after,
                "used" if call.masked and is_recurrent(layer) else "passed on" if call.masked else "none",
            )
        )

    def _as_returned(self, shape: tuple[int | None, ...]) -> str:
        # Keras makes new tensors when a model is put together again; what has the shape just returned is that.
        last = self.passages[-1] if self.passages else None
        return dict(zip(last.returns, last.axes_returned, strict=True)).get(shape, "") if last is not None else ""


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in _flat(one)]
    return [] if value is None else [value]


def _raster(call: ModelCall) -> Raster | None:
    data = call.x[0] if isinstance(call.x, list | tuple) and call.x else call.x
    array = as_array(data)
    if array is None or array.ndim not in (2, 3) or (array.ndim == 2 and "Embedding" not in _first_kinds(call.model)):
        return None
    cells = np.full(array.shape[:2], REAL, np.uint8)
    found = padding_in(array)
    value = _mask_value(call.model)
    if found is not None:
        filled = array == found.value if array.ndim == 2 else (array == found.value).all(axis=-1)
        ends = filled[:, ::-1] if found.side == "post" else filled
        runs = np.cumprod(ends, axis=1).astype(bool)
        cells[runs[:, ::-1] if found.side == "post" else runs] = PADDED
    if value is not None:
        cells[array == value if array.ndim == 2 else (array == value).all(axis=-1)] = MASKED
    names = call.place.names_of(data) if call.place else []
    batch = call.options.get("batch_size") or 32
    return Raster(cells[:ROWS, :STEPS], batch, bool(stateful_layers(call.model)), names[0] if names else "x")


def _first_kinds(model: Any) -> set[str]:
    return {kind for layer in first_layers(model) for kind in kinds(layer)}


def _mask_value(model: Any) -> float | None:
    for layer in layers_of(model):
        if "Masking" in kinds(layer):
            return float(layer.mask_value)
        if "Embedding" in kinds(layer) and getattr(layer, "mask_zero", False):
            return 0.0
    return None
