"""Groups of similar length, so that batches hold little padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sostenuto.diagnosis import shape_of
from sostenuto.errors import DataError
from sostenuto.sequences.checks import check_count

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences

# Bounds tried when the best groups are sought; more of them change the padding by less than a percent.
CANDIDATES = 512


def bucket(self: Sequences, groups: Any) -> list[np.ndarray]:
    """Positions of sequences in groups of similar length, shortest first.

    Args:
        groups: how many groups at most; their bounds are then chosen so that, each padded to its longest sequence,
            they hold the least padding (exactly, for up to 512 different lengths). Or the bounds themselves: a rising
            list of lengths, each the greatest of its group; longer sequences make a last group.

    Returns:
        A list of positions, each group in the order of the collection, without empty groups. ``take`` turns a group
        into sequences, ``batch`` positions of it into a batch.

    Raises:
        DataError: the number or the bounds cannot be meant (SO214).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> sequences = Sequences.from_list([[1] * length for length in (2, 9, 1, 8, 2)])
        >>> [group.tolist() for group in sequences.bucket(2)]
        [[0, 2, 4], [1, 3]]
    """
    lengths = self.lengths
    if isinstance(groups, list | tuple | np.ndarray):
        bounds = _checked_bounds(groups)
    else:
        bounds = best_bounds(lengths, check_count("groups", groups))
    number = np.searchsorted(bounds, lengths, side="left")
    order = np.argsort(number, kind="stable")
    cuts = np.flatnonzero(np.diff(number[order])) + 1
    return [part for part in np.split(order, cuts) if len(part)]


def best_bounds(lengths: np.ndarray, groups: int) -> np.ndarray:
    """The greatest length of each of at most ``groups`` groups that together hold the least padding.

    Example:
        >>> best_bounds(np.array([1, 2, 2, 8, 9]), 2).tolist()
        [2, 9]
    """
    sizes, members = np.unique(lengths, return_counts=True)
    if len(sizes) > CANDIDATES:
        kept = np.unique(np.linspace(0, len(sizes) - 1, CANDIDATES).round().astype(np.int64))
        members = np.diff(np.cumsum(members)[kept], prepend=0)
        sizes = sizes[kept]
    if groups >= len(sizes):
        return sizes
    # least[j] is the least padded size of the first j candidates, one group more in every round. The real steps are
    # the same in every grouping, so the padded size stands for the padding.
    before = np.concatenate([[0], np.cumsum(members)])
    padded = (before[None, 1:] - before[:-1, None]) * sizes[None, :].astype(np.float64)
    padded[np.tril_indices(len(sizes), -1)] = np.inf
    least = np.concatenate([[0.0], padded[0]])
    choices = []
    for _ in range(groups - 1):
        total = least[:-1, None] + padded
        choices.append(total.argmin(axis=0))
        least = np.concatenate([[0.0], total.min(axis=0)])
    bounds = [len(sizes) - 1]
    for choice in reversed(choices):
        bounds.append(int(choice[bounds[-1]]) - 1)
        if bounds[-1] < 0:
            break
    return sizes[sorted(bound for bound in bounds if bound >= 0)]


def padded_share(lengths: np.ndarray, bounds: np.ndarray) -> float:
    """The share of padding in rectangles of these lengths, each sequence padded to the longest of its group."""
    if not len(lengths):
        return 0.0
    group = np.searchsorted(bounds, lengths, side="left")
    longest = np.zeros(int(group.max()) + 1, np.int64)
    np.maximum.at(longest, group, lengths)
    total = int(longest[group].sum())
    return 1 - int(lengths.sum()) / total if total else 0.0


def _checked_bounds(groups: Any) -> np.ndarray:
    bounds = np.asarray(groups)
    rising = bounds.ndim == 1 and bounds.dtype.kind in "iu" and len(bounds) and bounds[0] >= 0
    if not rising or not np.all(np.diff(bounds.astype(np.int64)) > 0):
        raise DataError(
            "These are no bounds of groups.",
            code="SO214",
            where="argument 'groups'",
            got=shape_of(groups),
            wanted="whole numbers that rise, each the greatest length of its group",
            fix="sequences.bucket(8) chooses good bounds",
        )
    return bounds
