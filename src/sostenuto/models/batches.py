"""Sequences as batches for Keras's trainers: few distinct shapes, no row left out, no row made up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from sostenuto.sequences import Sequences
from sostenuto.sequences.bucketing import best_bounds

# Each distinct shape is compiled once, so it has to save padding in several batches of every epoch.
MOST_LENGTHS = 5
BATCHES_PER_LENGTH = 3


@dataclass(frozen=True)
class Row:
    """One batch of a plan: the positions of its sequences and its number of steps."""

    positions: np.ndarray
    steps: int


def grid_of(lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """The few numbers of steps, ascending, that batches of these lengths are padded to.

    Example:
        >>> grid_of(np.array([0, 5, 3, 3, 3, 3, 3, 3]), 1).tolist()
        [3, 5]
    """
    batches = -(-len(lengths) // batch_size)
    groups = min(max(batches // BATCHES_PER_LENGTH, 1), MOST_LENGTHS)
    return best_bounds(np.maximum(lengths, 1), groups)


def rounded_up(fed: dict[str, np.ndarray], declared_steps: int | None) -> dict[str, np.ndarray]:
    """A batch with rows of length 0 and padding added, up to sizes that come back: 1, 2, 3, 4, 6, 8, 12, 16, 24, ...

    Args:
        fed: ``{"lengths": (B,), "values": (B, T, ...)}``.
        declared_steps: T where the model fixes it.

    Example:
        >>> fed = rounded_up({"lengths": np.ones(5, "int32"), "values": np.ones((5, 7, 2))}, None)
        >>> fed["lengths"].tolist(), fed["values"].shape
        ([1, 1, 1, 1, 1, 0], (6, 8, 2))
    """
    rows, steps = fed["values"].shape[:2]
    more_rows = _coarse(rows) - rows
    more_steps = 0 if declared_steps is not None else _coarse(steps) - steps
    around = [(0, more_rows), (0, more_steps), *[(0, 0)] * (fed["values"].ndim - 2)]
    return {"lengths": np.pad(fed["lengths"], (0, more_rows)), "values": np.pad(fed["values"], around)}


def _coarse(size: int) -> int:
    power = 1 << max(size - 1, 0).bit_length()
    return power * 3 // 4 if power >= 4 and size <= power * 3 // 4 else power


def plan(lengths: np.ndarray, batch_size: int, grid: np.ndarray, random: np.random.Generator | None) -> list[Row]:
    """Groups sequences of similar length into batches.

    What is left of a group once its full batches are made joins the next longer group, so that all batches but the last
    are full: there are at most ``len(grid) + 1`` shapes.

    Args:
        lengths: lengths of the sequences (S,).
        batch_size: rows of a batch.
        grid: the numbers of steps on offer, ascending; the last one holds the longest sequence.
        random: shuffles sequences and batches; None keeps their order.

    Returns:
        The batches; every sequence is in exactly one.

    Example:
        >>> rows = plan(np.array([2, 9, 3, 2, 8]), 2, np.array([3, 9]), None)
        >>> [(row.positions.tolist(), row.steps) for row in rows]
        [([0, 2], 3), ([3, 1], 9), ([4], 9)]
    """
    order = np.arange(len(lengths)) if random is None else random.permutation(len(lengths))
    group = np.searchsorted(grid, lengths[order])
    rows: list[Row] = []
    waiting = order[:0]
    for number, steps in enumerate(grid.tolist()):
        members = np.concatenate([waiting, order[group == number]])
        full = len(members) // batch_size * batch_size
        rows += [Row(members[start : start + batch_size], steps) for start in range(0, full, batch_size)]
        waiting = members[full:]
    if len(waiting):
        rows.append(Row(waiting, int(grid[-1])))
    if random is not None:
        rows = [rows[position] for position in random.permutation(len(rows))]
    _lead_with_two_lengths(rows)
    return rows


def _lead_with_two_lengths(rows: list[Row]) -> None:
    # Keras's adapter for TensorFlow learns from the first two batches which axes vary.
    for position in range(2, len(rows)):
        if rows[0].steps != rows[1].steps:
            return
        if rows[position].steps != rows[0].steps:
            rows[1], rows[position] = rows[position], rows[1]


class Batches(keras.utils.PyDataset):
    """What ``SequenceModel`` has prepared for Keras's trainers.

    Args:
        blocks: one or more collections, gone through in order; a stream is gone through anew in each epoch.
    """

    def __init__(self, blocks: Iterable[Sequences]) -> None:
        super().__init__()
        self._blocks = blocks
        self._rewind()

    def _rewind(self) -> None:
        self._at = -1
        self._block: Sequences | None = None
        self._iterator: Iterator[Sequences] = iter(self._blocks)

    def _block_number(self, number: int) -> Sequences:
        if number < self._at:
            self._rewind()
        while self._at < number:
            self._block = next(self._iterator)
            self._at += 1
        assert self._block is not None
        return self._block


class SequenceBatches(Batches):
    """Batches ``({"lengths", "values"}, targets, weights)`` of sequences for ``keras.Model.fit``.

    Args:
        blocks: one or more collections, gone through in order; a stream is gone through anew in each epoch.
        batch_size: rows of a batch.
        prepare: turns a ``Batch`` into what the model is fed.
        seed: shuffles sequences within a block, anew in each epoch; None keeps their order.
        declared_steps: the number of steps that the model fixes; chosen from the lengths by default.
    """

    def __init__(
        self,
        blocks: Iterable[Sequences],
        batch_size: int,
        prepare: Any,
        *,
        seed: int | None = None,
        declared_steps: int | None = None,
    ) -> None:
        super().__init__(blocks)
        self._batch_size = batch_size
        self._prepare = prepare
        self._random = None if seed is None else np.random.default_rng(seed)
        self._lengths = [block.lengths for block in blocks]
        every = np.concatenate(self._lengths) if self._lengths else np.zeros(0, np.int64)
        self.grid = grid_of(every, batch_size) if declared_steps is None else np.array([declared_steps])
        self._make_plan()

    def _make_plan(self) -> None:
        plans = [plan(lengths, self._batch_size, self.grid, self._random) for lengths in self._lengths]
        self._rows = [(number, row) for number, rows in enumerate(plans) for row in rows]
        self._rewind()

    @property
    def rows(self) -> list[Row]:
        """The plan of this epoch."""
        return [row for _, row in self._rows]

    def numbered_rows(self) -> list[tuple[int, Row]]:
        """The plan of this epoch, each batch with the number of its block."""
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        number, row = self._rows[index]
        return self._prepare(self._block_number(number).batch(row.positions, row.steps))

    def on_epoch_end(self) -> None:
        """Shuffles anew."""
        if self._random is not None:
            self._make_plan()
