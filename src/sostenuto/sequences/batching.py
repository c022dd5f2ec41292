"""From a ragged collection to rectangles of a batch, without a loop over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sostenuto.diagnosis import shape_of
from sostenuto.errors import DataError, DataTypeError
from sostenuto.sequences.checks import check_option

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


class Padded(NamedTuple):
    """Sequences in one rectangle.

    Args:
        values: (B, T, F), padding filled.
        lengths: (B,) int64, the real steps of each row.
        mask: (B, T) bool, true where a step is real.
    """

    values: np.ndarray
    lengths: np.ndarray
    mask: np.ndarray


class Batch(NamedTuple):
    """Some sequences, ready for a model: padded on the right with zeros.

    Args:
        values: (B, T, F).
        lengths: (B,) int64, the real steps of each row.
        targets: (B, T, ...) per step, (B, ...) per sequence, or None.
        weights: (B, T) per step (0 in the padding), (B,) per sequence, or None.
        ids: the ids of the rows.
    """

    values: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray | None
    weights: np.ndarray | None
    ids: tuple[Any, ...]


def to_padded(self: Sequences, length: int | None = None, side: str = "right", fill: float = 0) -> Padded:
    """All sequences in one rectangle; padding never cuts a sequence.

    Args:
        length: the number of steps T, by default the length of the longest sequence.
        side: where padding goes, ``"right"`` (default) or ``"left"``.
        fill: the value of padding, 0 by default.

    Returns:
        A named tuple ``Padded(values, lengths, mask)`` of new arrays.

    Raises:
        DataError: ``length`` is shorter than the longest sequence (SO211), or ``side`` is neither (SO214).
        DataTypeError: ``fill`` is no number that the dtype can hold (SO204).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> padded = Sequences.from_list([[1, 2, 3], [4]]).to_padded()
        >>> padded.values[..., 0].tolist(), padded.lengths.tolist()
        ([[1, 2, 3], [4, 0, 0]], [3, 1])
    """
    check_option("side", side, ("right", "left"))
    if not _fits(fill, self.dtype):
        raise DataTypeError(
            "The fill value does not fit the values.",
            code="SO204",
            where="argument 'fill'",
            got=f"fill={fill!r}" if isinstance(fill, int | float | str | None) else f"fill={shape_of(fill)}",
            wanted=f"a number that {self.dtype.name} can hold",
            fix="use another fill, or astype first",
        )
    lengths = self.lengths
    steps = padded_length(lengths, length)
    values = gather(self.values, self.offsets[:-1], lengths, steps, side, fill)
    return Padded(values, lengths.copy(), mask_of(lengths, steps, side))


def batch(self: Sequences, indices: Any, length: int | None = None) -> Batch:
    """The sequences at some positions as one batch, padded on the right with zeros.

    Args:
        indices: positions of sequences (B,), in any order, also repeated.
        length: the number of steps T, by default the length of the longest sequence of the batch.

    Returns:
        A named tuple ``Batch(values, lengths, targets, weights, ids)`` of new arrays.

    Raises:
        DataError: ``length`` is shorter than the longest sequence (SO211).
        UnknownIdError: there is no sequence at a position (SO212).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> sequences = Sequences.from_list({"a": [1.0, 2.0, 3.0], "b": [4.0]}, targets=[0, 1])
        >>> batch = sequences.batch([1, 0])
        >>> batch.values.shape, batch.lengths.tolist(), batch.targets.tolist(), batch.ids
        ((2, 3, 1), [1, 3], [1, 0], ('b', 'a'))
    """
    rows = self.positions(indices)
    lengths = self.offsets[rows + 1] - self.offsets[rows]
    return pieces(self, rows, np.zeros_like(rows), lengths, padded_length(lengths, length))


def pieces(self: Sequences, rows: np.ndarray, starts: np.ndarray, lengths: np.ndarray, steps: int) -> Batch:
    """Pieces of sequences as one batch.

    Args:
        rows: positions of sequences (B,).
        starts: where each piece begins (B,).
        lengths: steps of each piece (B,); it lies within its sequence.
        steps: T, at least the longest piece.

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> sequences = Sequences.from_list([[1, 2, 3], [4]])
        >>> batch = pieces(sequences, np.array([0, 1]), np.array([1, 0]), np.array([2, 1]), 2)
        >>> batch.values[..., 0].tolist(), batch.lengths.tolist()
        ([[2, 3], [4, 0]], [2, 1])
    """
    first = self.offsets[rows] + starts
    targets, weights = self.targets, self.weights
    if targets is not None:
        targets = gather(targets, first, lengths, steps) if self.targets_per == "step" else targets[rows]
    if weights is not None:
        weights = gather(weights, first, lengths, steps) if self.weights_per == "step" else weights[rows]
    values = gather(self.values, first, lengths, steps)
    return Batch(values, lengths, targets, weights, tuple(self._ids[rows].tolist()))


def _fits(fill: Any, dtype: np.dtype) -> bool:
    if not isinstance(fill, int | float | np.number):
        return False
    if dtype.kind == "f":
        return not np.isfinite(fill) or abs(float(fill)) <= float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    return bool(np.isfinite(float(fill)) and int(fill) == fill and limits.min <= int(fill) <= limits.max)


def padded_length(lengths: np.ndarray, length: int | None) -> int:
    """The number of steps of a rectangle that holds these lengths (SO211 if ``length`` is too short)."""
    longest = int(lengths.max(initial=0))
    if length is None:
        return longest
    if length < longest:
        raise DataError(
            "Padding never cuts a sequence.",
            code="SO211",
            where="argument 'length'",
            got=f"length={length}",
            wanted=f"at least {longest}, the length of the longest sequence",
            fix="leave length= out, or cut the sequences first with chunk or window",
        )
    return int(length)


def mask_of(lengths: np.ndarray, steps: int, side: str = "right") -> np.ndarray:
    """(B, T) bool, true where a step is real.

    Example:
        >>> mask_of(np.array([1, 2]), 2, "left").tolist()
        [[False, True], [True, True]]
    """
    numbers = np.arange(steps) if side == "right" else np.arange(steps)[::-1]
    return numbers < lengths[:, None]


def gather(
    flat: np.ndarray, first: np.ndarray, lengths: np.ndarray, steps: int, side: str = "right", fill: Any = 0
) -> np.ndarray:
    """Rows (B, T, ...) of flat steps (N, ...): ``lengths`` steps from ``first`` on, the rest filled."""
    padded = np.zeros((len(first) * steps, *flat.shape[1:]), flat.dtype)
    if fill != 0:
        padded[:] = fill
    if padded.size and flat.size:
        begin = np.arange(len(first)) * steps + (0 if side == "right" else steps - lengths)
        whole_steps(padded)[flat_steps(begin, lengths)] = whole_steps(flat)[flat_steps(first, lengths)]
    return padded.reshape(len(first), steps, *flat.shape[1:])


def whole_steps(flat: np.ndarray) -> np.ndarray:
    """Each step as one item (N,): NumPy then copies it in one piece, which is up to twice as fast."""
    if flat.ndim == 1:
        return flat
    return flat.reshape(len(flat), -1).view(np.dtype((np.void, flat.itemsize * flat[0].size)))[:, 0]


def flat_steps(first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers of the steps of several runs, one run after another.

    Example:
        >>> flat_steps(np.array([2, 0]), np.array([3, 2])).tolist()
        [2, 3, 4, 0, 1]
    """
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first - (ends - lengths), lengths)
