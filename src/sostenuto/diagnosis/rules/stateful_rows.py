"""Does one piece of data go on where another ended? What can be proved from the numbers, and what cannot."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

# Rows and features that are looked at; the question is answered long before.
_ROWS, _FEATURES, _BYTES = 64, 8, 65_536


@dataclass(frozen=True)
class Piece:
    """A batch of steps in numbers: enough to tell whether another one goes on from it.

    Attributes:
        print: a checksum; equal for equal data.
        shape: (B, T, F) or (B, T).
        memory: (address, strides, item size, array it was cut from) of a slice in time, or None.
        first: the first step of some rows.
        last: their last step.
        steps: how far neighbouring steps lie apart: median and nearly the most, for each feature.
        smooth: for each feature, whether neighbouring steps are much closer than steps at random.
    """

    print: int
    shape: tuple[int, ...]
    memory: tuple[int, tuple[int, ...], int, int] | None
    first: np.ndarray
    last: np.ndarray
    steps: np.ndarray
    smooth: np.ndarray


def piece_of(array: np.ndarray, source: Any = None) -> Piece | None:
    """Describes a batch; None where it has no axis of time, or only one value.

    Args:
        array: (B, T, F), or (B, T).
        source: what the user gave, whose memory tells where it lies.
    """
    if array.ndim not in (2, 3) or not array.size:
        return None
    rows = array[:_ROWS, :, None] if array.ndim == 2 else array[:_ROWS, :, :_FEATURES]
    rows = rows.astype(np.float64, copy=False)
    finite = np.nan_to_num(rows)
    if finite.min() == finite.max():
        return None
    median, most, smooth = _steps(finite)
    return Piece(
        checksum(array), tuple(array.shape), _memory(source), finite[:, 0].copy(), finite[:, -1].copy(),
        np.stack([median, most]), smooth,
    )  # fmt: skip


def checksum(array: np.ndarray) -> int:
    """A number that equal data share; of big arrays from some of the rows."""
    if array.nbytes > _BYTES and len(array):
        array = array[:: max(1, -(-array.nbytes // _BYTES))]
    return zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(str((array.shape, array.dtype.str)).encode()))


def _memory(source: Any) -> tuple[int, tuple[int, ...], int, int] | None:
    if not isinstance(source, np.ndarray) or source.ndim < 2 or not isinstance(source.base, np.ndarray):
        return None
    base = source.base
    # Whole rows of an array of rows: one lies behind the other in memory, and need not in time.
    if base.ndim == source.ndim and base.shape[0] > 1 and base.shape[1:] == source.shape[1:]:
        return None
    return source.__array_interface__["data"][0], source.strides, source.itemsize, id(base)


def _steps(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features = rows.shape[-1]
    if rows.shape[1] < 4:
        return np.zeros(features), np.zeros(features), np.zeros(features, bool)
    apart = np.abs(np.diff(rows, axis=1)).reshape(-1, features)
    flat = rows.reshape(-1, features)
    # Pairs at random, the same ones every time.
    order = np.random.default_rng(0).permutation(len(flat))
    random = np.abs(flat - flat[order])
    median, most = np.median(apart, axis=0), np.quantile(apart, 0.99, axis=0)
    smooth = (median > 0) & (median < 0.2 * np.median(random, axis=0))
    return median, most, smooth


def lies_behind(before: Piece, after: Piece) -> bool:
    """Whether a piece is the next slice in time of the array that the other one was cut from."""
    if before.memory is None or after.memory is None or before.shape[0] != after.shape[0]:
        return False
    (start, strides, size, base), (begin, other, width, same) = before.memory, after.memory
    if size != width or base != same or before.shape[2:] != after.shape[2:] or strides[1:] != other[1:]:
        return False
    # One row may be cut out with x[None]: then the stride of the batch says nothing.
    same_rows = strides[0] == other[0] or before.shape[0] == 1
    return same_rows and begin == start + before.shape[1] * strides[1]


def goes_on(before: Piece, after: Piece) -> bool | None:
    """Whether the first steps of a piece follow the last steps of another, as far as smooth data can tell.

    Returns:
        True where they lie as near as neighbouring steps do, False where they jump far, None where nobody can tell.
    """
    rows = min(len(before.last), len(after.first))
    if before.last.shape[1:] != after.first.shape[1:] or not rows:
        return None
    return _judged(np.abs(after.first[:rows] - before.last[:rows]), before)


def _judged(jumps: np.ndarray, piece: Piece, least: int = 1, far: float = 5) -> bool | None:
    if len(jumps) < least or not piece.smooth.any():
        return None
    jump = np.median(jumps, axis=0)[piece.smooth]
    median, most = piece.steps[:, piece.smooth]
    if (jump <= 2 * np.maximum(median, 1e-12)).all() and (
        np.quantile(jumps, 0.9, axis=0)[piece.smooth] <= 3 * most
    ).all():
        return True
    return False if (jump >= far * most).any() else None


@dataclass(frozen=True)
class Order:
    """How the rows of an array belong together.

    Attributes:
        apart: by how many rows a row and its continuation lie apart, or 0 where that is not known.
        overlap: steps that a row shares with the row behind it, where they are windows of one series; else 0.
        shift: steps from one window to the next; 0 where they are no windows.
        whole: why every row is a sequence of its own; "" where that is not known.
        proof: what shows that rows go on from one another, in words; "" for nothing.
    """

    apart: int = 0
    overlap: int = 0
    shift: int = 0
    whole: str = ""
    proof: str = ""


def order_of(x: np.ndarray, y: np.ndarray | None, batch: int) -> Order:
    """Looks how rows of training data belong together.

    Args:
        x: (N, T, F) or (N, T).
        y: targets, or None.
        batch: rows in a batch: where state is carried, row i goes on in row i + batch.
    """
    if x.ndim not in (2, 3) or len(x) < 2 or not 0 < batch < len(x):
        return Order()
    piece = piece_of(x, None)
    if piece is None:
        return Order()
    if shift := _shift(x):
        return Order(1, x.shape[1] - shift, shift)
    if proof := _told_by_targets(x, y, batch, 1):
        return Order(apart=batch, proof=proof.format(behind="one batch later", front="one batch before"))
    if batch > 1 and (proof := _told_by_targets(x, y, 1, 0.9)):
        return Order(apart=1, proof=proof.format(behind="behind it", front="in front of it"))
    if x.ndim != 3 or x.shape[1] < 4:
        return Order(whole=_starts_alike(x))
    ends, begins = np.nan_to_num(x[:-batch, -1, :_FEATURES]), np.nan_to_num(x[batch:, 0, :_FEATURES])
    behind = _judged(np.abs(begins - ends)[: 8 * _ROWS], piece, 8, 3)
    if behind:
        return Order(
            apart=batch,
            proof="the first step of every row lies as near to the last step of the row one batch before as steps "
            "within a row do",
        )
    if batch > 1:
        next_row = np.abs(np.nan_to_num(x[1:, 0, :_FEATURES]) - np.nan_to_num(x[:-1, -1, :_FEATURES]))
        if _judged(next_row[: 8 * _ROWS], piece, 8):
            return Order(apart=1, proof="every row begins where the row in front of it ended")
    if behind is False:
        return Order(whole="the first step of a row lies far from the last step of the row one batch before")
    return Order(whole=_starts_alike(x))


def _shift(x: np.ndarray) -> int:
    # Windows of one series: x[i, s:] is x[i + 1, :-s].
    some, behind = x[:_ROWS][:-1], x[:_ROWS][1:]
    for shift in range(1, x.shape[1]):
        if np.array_equal(some[:, shift:], behind[:, :-shift]):
            # A constant tail agrees with anything.
            part = behind[:, :-shift]
            return shift if part.size and (part != part.flat[0]).any() and len(np.unique(part)) > 2 else 0
    return 0


def _told_by_targets(x: np.ndarray, y: np.ndarray | None, batch: int, least: float) -> str:
    # A target at the seam that is a value on the other side of it, in so many rows.
    if y is None or len(y) != len(x):
        return ""
    flat = x if x.ndim == 2 else x[..., 0]
    steps = y[..., 0] if y.ndim == 3 and y.shape[-1] == 1 else y
    if steps.ndim == 2 and steps.shape[1] == x.shape[1] and x.shape[1] > 1:
        first, last = steps[batch:, 0], steps[:-batch, -1]
    elif steps.ndim == 1 or (steps.ndim == 2 and steps.shape[1] == 1):
        first, last = None, steps.reshape(len(steps))[:-batch]
    else:
        return ""
    if first is not None and _same(first, flat[:-batch, -1], least):
        return "the target of the first step of a row is the last input of the row {front}"
    if _same(last, flat[batch:, 0], least):
        return "the last target of a row is the first input of the row {behind}"
    return ""


def _same(one: np.ndarray, other: np.ndarray, least: float) -> bool:
    values, counts = np.unique(other, return_counts=True)
    if len(one) < 20 or len(values) < 2 or counts.max() > 0.8 * len(other):
        return False
    return bool(np.isclose(one, other, atol=1e-6).mean() >= least)


def _starts_alike(x: np.ndarray) -> str:
    first = x[:, 0]
    if x.shape[1] < 3 or len(x) < 8 or (first != first[0]).any():
        return ""
    later = x[:, 1:]
    return (
        "every row begins with the same first step"
        if (later != later[:1]).any() and (later[:, -1] != first).any()
        else ""
    )
