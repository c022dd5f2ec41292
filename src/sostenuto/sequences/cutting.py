"""Parts of a collection: by position, by id, at random."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import DataError, TargetError
from sostenuto.sequences.batching import flat_steps
from sostenuto.sequences.checks import id_array, offsets_of, to_numpy

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


def take(self: Sequences, indices: Any) -> Sequences:
    """The sequences at some positions, in that order.

    Args:
        indices: positions (0 .. S-1), or a boolean array of length S.

    Returns:
        New sequences; a run of neighbours (3, 4, 5) shares the values of this collection, others are copied.

    Raises:
        UnknownIdError: there is no sequence at a position (SO212).
        DataError: a position comes twice (SO206).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.from_list([[1, 2], [3], [4, 5]]).take([2, 0]).values[:, 0].tolist()
        [4, 5, 1, 2]
    """
    rows = self.positions(indices)
    ids = id_array(self._ids[rows], len(rows))
    if len(rows) and bool(np.all(np.diff(rows) == 1)):
        first, last = int(rows[0]), int(rows[-1]) + 1
        steps: Any = slice(int(self.offsets[first]), int(self.offsets[last]))
        chosen: Any = slice(first, last)
    else:
        steps, chosen = flat_steps(self.offsets[rows], self.lengths[rows]), rows
    changes: dict[str, Any] = {}
    for noun in ("targets", "weights"):
        array = getattr(self, noun)
        if array is not None:
            changes[noun] = array[steps if getattr(self, f"{noun}_per") == "step" else chosen]
    return self.derive(values=self.values[steps], offsets=offsets_of(self.lengths[rows]), _ids=ids, **changes)


def select(self: Sequences, ids: Any) -> Sequences:
    """The sequences of some ids, in that order.

    Raises:
        UnknownIdError: an id is not there (SO212).
        DataError: an id comes twice (SO206).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.from_list({"a": [1], "b": [2], "c": [3]}).select(["c", "a"]).ids
        ('c', 'a')
    """
    return self.take([self.position(name) for name in ids])


def split(
    self: Sequences,
    *fractions: float,
    seed: int = 0,
    by: Callable[[Any], Hashable] | None = None,
    stratify: Any = None,
) -> tuple[Sequences, ...]:
    """Random parts; a sequence is never cut, and each part keeps the order of the whole.

    Args:
        fractions: the share of each part in the number of sequences; a last part takes what is left, unless the
            fractions add up to 1. ``split(0.8)`` gives two parts, ``split(0.7, 0.15)`` three.
        seed: the same seed gives the same parts.
        by: a function of the id; sequences for which it gives the same stay in one part. After ``window`` or
            ``chunk``, ``by=lambda id: id[0]`` keeps the pieces of one sequence together, so that no part has seen
            another's steps. Shares then count groups.
        stratify: True to keep the shares of each target per sequence in every part, or one label per sequence.

    Raises:
        DataError: the fractions cannot be meant (SO214), or a part would be empty (SO210).
        TargetError: there are no targets per sequence to stratify by, or the labels do not fit (SO401).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> train, valid = Sequences.from_list([[i] for i in range(10)]).split(0.8)
        >>> len(train), len(valid), set(train.ids) & set(valid.ids)
        (8, 2, set())
    """
    shares = _shares(fractions)
    random = np.random.default_rng(seed)
    if by is not None and stratify is not None:
        raise DataError(
            "by= and stratify= cannot be had together.",
            code="SO214",
            where="arguments 'by' and 'stratify' of split",
            fix="leave one of them out",
            got="by= and stratify=",
            wanted="one of the two",
        )
    part = np.empty(len(self), np.int64)
    if by is not None:
        numbers: dict[Hashable, int] = {}
        groups = np.array([numbers.setdefault(by(name), len(numbers)) for name in self.ids], np.int64)
        part = _deal(len(numbers), shares, random)[groups]
    elif stratify is not None:
        part = _deal_strata(_strata(self, stratify), shares, random)
    else:
        part = _deal(len(self), shares, random)
    parts = [np.flatnonzero(part == number) for number in range(len(shares))]
    empty = [number for number, rows in enumerate(parts) if not len(rows)]
    if empty:
        raise DataError(
            "A part of the split would be empty.",
            code="SO210",
            where=f"part {empty[0]}, a share of {shares[empty[0]]:g}",
            got=count(len(self), "sequence")
            if by is None
            else f"{count(len(self), 'sequence')} in {count(len(numbers), 'group')}",
            wanted="at least 1 for each part",
            fix="use other fractions, or more sequences",
        )
    return tuple(self.take(rows) for rows in parts)


def _shares(fractions: tuple[float, ...]) -> list[float]:
    fits = fractions and all(isinstance(share, int | float | np.number) and 0 < share <= 1 for share in fractions)
    left = 1 - float(sum(fractions)) if fits else -1.0
    if left < -1e-9 or (left <= 1e-9 and len(fractions) == 1):
        raise DataError(
            "These fractions do not make parts.",
            code="SO214",
            where="argument 'fractions' of split",
            got=", ".join(repr(share) if isinstance(share, int | float) else shape_of(share) for share in fractions)
            or "none",
            wanted="numbers between 0 and 1 that add up to 1 at most",
            fix="train, valid = sequences.split(0.8)",
        )
    return [float(share) for share in fractions] + ([left] if left > 1e-9 else [])


def _deal(number: int, shares: list[float], random: np.random.Generator) -> np.ndarray:
    """The part of each of ``number`` items, the sizes of parts rounded to the shares."""
    bounds = np.rint(np.cumsum(shares) * number).astype(np.int64)
    part = np.empty(number, np.int64)
    part[random.permutation(number)] = np.searchsorted(bounds, np.arange(number), side="right").clip(
        max=len(shares) - 1
    )
    return part


def _strata(self: Sequences, stratify: Any) -> np.ndarray:
    if stratify is True:
        if self.targets is None or self.targets_per != "sequence":
            raise TargetError(
                "There are no targets per sequence to stratify by.",
                code="SO401",
                where="argument 'stratify' of split",
                got="no targets" if self.targets is None else "targets per step",
                wanted="one target per sequence",
                fix="pass stratify=labels, one label per sequence",
            )
        labels = self.targets.reshape(len(self), -1)
    else:
        labels = np.asarray(to_numpy(stratify))
        if labels.ndim != 1 or len(labels) != len(self):
            raise TargetError(
                "The labels to stratify by do not fit the sequences.",
                code="SO401",
                where="argument 'stratify' of split",
                got=shape_of(stratify),
                wanted=f"{len(self):,} labels, one per sequence",
                fix="give one label per sequence, in order",
            )
    return np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)


def _deal_strata(strata: np.ndarray, shares: list[float], random: np.random.Generator) -> np.ndarray:
    # Items of one stratum lie side by side at random; dealing the whole row out at even spacing then gives every
    # stratum its share, off by at most one item, and the parts their sizes.
    order = np.lexsort((random.random(len(strata)), strata))
    number = len(strata)
    due = np.outer(np.arange(1, number + 1), shares)
    part = np.empty(number, np.int64)
    dealt = np.zeros(len(shares))
    for position in range(number):
        chosen = int(np.argmax(due[position] - dealt))
        dealt[chosen] += 1
        part[order[position]] = chosen
    return part
