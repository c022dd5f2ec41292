"""What a model says of whole sequences, by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sostenuto.diagnosis import count, nearest, some
from sostenuto.errors import UnknownIdError
from sostenuto.models.batches import SequenceBatches
from sostenuto.models.chunks import ChunkBatches
from sostenuto.sequences import Sequences
from sostenuto.sequences.targets import Per


class Predictions(Mapping[Any, np.ndarray]):
    """One output per sequence, by id and as one array.

    Args:
        ids: the ids (S,), in the order of the data.
        values: the outputs (S, ...).

    Example:
        >>> said = Predictions(["a", "b"], np.array([[0.2, 0.8], [0.9, 0.1]]))
        >>> said["b"].tolist(), np.argmax(said, axis=-1).tolist(), list(said)
        ([0.9, 0.1], [1, 0], ['a', 'b'])
    """

    def __init__(self, ids: Any, values: Any) -> None:
        self.ids = tuple(ids)
        self.array = np.asarray(values)
        self._positions = {name: position for position, name in enumerate(self.ids)}

    def __getitem__(self, name: Any) -> np.ndarray:
        try:
            return self.array[self._positions[name]]
        except (KeyError, TypeError):
            near = nearest(str(name), self.ids)
            raise UnknownIdError(
                f"There is no prediction for {name!r}.",
                code="SO212",
                where="the predictions",
                got=f"{name!r} ({type(name).__name__})",
                wanted=f"one of the {count(len(self), 'id')}: {some(self.ids, 3)}",
                fix=f"near ones: {', '.join(near)}" if near else "predictions.ids lists them",
            ) from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Predictions({count(len(self), 'sequence')}, each {self.array.shape[1:]} {self.array.dtype})"


def by_id(sequences: Any, batches: SequenceBatches, outputs: list[np.ndarray], per: Per) -> Any:
    """Outputs of batches put back in the order of the sequences, without padding.

    Args:
        sequences: Sequences, or a stream of them.
        batches: the plan that the outputs followed; outputs may stop early.
        outputs: (B, T, ...) or (B, ...) of each batch.
        per: "step" or "sequence".

    Returns:
        ``Sequences`` of outputs per step, ``Predictions`` per sequence.
    """
    first, lengths, ids = _all_of(sequences)
    rows = batches.numbered_rows()[: len(outputs)]
    positions = np.concatenate([row.positions + first[number] for number, row in rows])
    order = np.argsort(positions)
    known = positions[order]
    names = ids if len(known) == len(ids) else [ids[position] for position in known]
    if per == "sequence":
        return Predictions(names, np.concatenate(outputs)[order])
    offsets = np.concatenate([[0], np.cumsum(lengths[known])])
    values = np.empty((int(offsets[-1]), outputs[0].shape[2]), outputs[0].dtype)
    start_of = np.empty(len(lengths), np.int64)
    start_of[known] = offsets[:-1]
    for (number, row), output in zip(rows, outputs, strict=True):
        real = row.positions + first[number]
        mask = np.arange(output.shape[1]) < lengths[real][:, None]
        steps = start_of[real][:, None] + np.arange(output.shape[1])
        values[steps[mask]] = output[mask]
    return Sequences(values, offsets, names, features=_output_names(values.shape[1]), missing="keep")


def by_id_of_chunks(sequences: Any, batches: ChunkBatches, outputs: list[np.ndarray], per: Per) -> Any:
    """Outputs of chunks put together: the steps of each sequence, or what was said at its end.

    Args:
        sequences: Sequences, or a stream of them.
        batches: the plan that the outputs followed; outputs may stop early, and sequences without an end are left out.
        outputs: (B, T, ...) or (B, ...) of each batch.
        per: "step" or "sequence".

    Returns:
        ``Sequences`` of outputs per step, ``Predictions`` per sequence.
    """
    first, lengths, ids = _all_of(sequences)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ended = np.zeros(len(ids), bool)
    size = (int(offsets[-1]) if per == "step" else len(ids), *outputs[0].shape[2 if per == "step" else 1 :])
    values = np.empty(size, outputs[0].dtype)
    for (number, one), output in zip(batches.rounds, outputs, strict=False):
        real = one.positions + first[number]
        ended[real[one.ends]] = True
        if per == "sequence":
            values[real[one.ends]] = output[one.ends]
            continue
        mask = np.arange(output.shape[1]) < one.lengths[:, None]
        steps = (offsets[real] + one.starts)[:, None] + np.arange(output.shape[1])
        values[steps[mask]] = output[mask]
    known = np.flatnonzero(ended)
    names = ids if len(known) == len(ids) else [ids[position] for position in known]
    if per == "sequence":
        return Predictions(names, values[known])
    if len(known) < len(ids):
        values, offsets = values[np.repeat(ended, lengths)], np.concatenate([[0], np.cumsum(lengths[known])])
    return Sequences(values, offsets, names, features=_output_names(values.shape[1]), missing="keep")


def _all_of(sequences: Any) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """The number of the first sequence of each block, and the lengths and ids of all sequences."""
    blocks = [sequences] if isinstance(sequences, Sequences) else list(sequences)
    first = np.cumsum([0, *(len(block) for block in blocks)])
    return first, np.concatenate([block.lengths for block in blocks]), [name for block in blocks for name in block.ids]


def _output_names(number: int) -> list[str]:
    return ["output"] if number == 1 else [f"output_{position}" for position in range(number)]
