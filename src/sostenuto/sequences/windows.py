"""Pieces of sequences: windows that may overlap, chunks that follow each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sostenuto.errors import DataError
from sostenuto.sequences.batching import flat_steps
from sostenuto.sequences.checks import check_count, object_array, offsets_of

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


def window(self: Sequences, length: int, stride: int = 1, drop_shorter: bool = False) -> Sequences:
    """Every window of ``length`` steps, one each ``stride`` steps, under ids ``(id, first step)``.

    Windows never reach beyond a sequence: steps after the last whole window are in none. Targets and weights per step
    are cut alike, those per sequence are repeated. Windows copy their steps, so a small stride multiplies the data.

    Args:
        length: the number of steps of a window.
        stride: the number of steps from the start of a window to that of the next, 1 by default.
        drop_shorter: False (default) keeps a sequence shorter than ``length`` whole as one window, True leaves it out.

    Raises:
        DataError: a number is not at least 1 (SO214), or no window is left (SO210).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> windows = Sequences.from_list({"a": [1, 2, 3, 4], "b": [5]}).window(3)
        >>> [(name, array[:, 0].tolist()) for name, array in windows.items()]
        [(('a', 0), [1, 2, 3]), (('a', 1), [2, 3, 4]), (('b', 0), [5])]
    """
    length, stride = check_count("length", length), check_count("stride", stride)
    lengths = self.lengths
    pieces = np.where(lengths >= length, (lengths - length) // stride + 1, 0 if drop_shorter else 1)
    if not pieces.any():
        raise DataError(
            "No window is left.",
            code="SO210",
            where="argument 'length' of window",
            got=f"sequences of at most {int(lengths.max(initial=0))} steps",
            wanted=f"at least {length} steps for a window",
            fix="use shorter windows, or drop_shorter=False",
        )
    rows, starts = _piece_starts(pieces, stride)
    sizes = np.minimum(length, lengths[rows])
    return _cut(self, rows, starts, sizes, flat_steps(self.offsets[rows] + starts, sizes))


def chunk(self: Sequences, length: int) -> Sequences:
    """Consecutive pieces of ``length`` steps, the last of a sequence shorter, under ids ``(id, first step)``.

    Every step lies in one piece, in order, and nothing is copied. A sequence without steps stays as one piece. Targets
    and weights per step are cut alike, those per sequence are repeated.

    Args:
        length: the greatest number of steps of a piece.

    Raises:
        DataError: ``length`` is not at least 1 (SO214).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> chunks = Sequences.from_list({"a": [1, 2, 3], "b": [4]}).chunk(2)
        >>> [(name, array[:, 0].tolist()) for name, array in chunks.items()]
        [(('a', 0), [1, 2]), (('a', 2), [3]), (('b', 0), [4])]
    """
    length = check_count("length", length)
    rows, starts = _piece_starts(np.maximum(1, -(-self.lengths // length)), length)
    sizes = np.minimum(length, self.lengths[rows] - starts)
    return _cut(self, rows, starts, sizes, slice(None))


def _piece_starts(pieces: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """For every piece the position of its sequence and the number of its first step."""
    rows = np.repeat(np.arange(len(pieces)), pieces)
    return rows, flat_steps(np.zeros(len(pieces), np.int64), pieces) * stride


def _cut(self: Sequences, rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray, steps: Any) -> Sequences:
    ids = object_array(list(zip(self._ids[rows].tolist(), starts.tolist(), strict=True)))
    changes: dict[str, Any] = {}
    for noun in ("targets", "weights"):
        array = getattr(self, noun)
        if array is not None:
            changes[noun] = array[steps if getattr(self, f"{noun}_per") == "step" else rows]
    return self.derive(values=self.values[steps], offsets=offsets_of(sizes), _ids=ids, **changes)
