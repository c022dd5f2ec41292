"""The states that are in memory: a table of rows, a row for each id, least recently used first out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic

import numpy as np

from sostenuto.stores import Id

NOTHING = -1  # in place of a revision, where the store holds nothing; revisions are not negative
_FIRST_ROWS = 64


@dataclass(eq=False)
class Kept:
    """What is known of B ids.

    Attributes:
        revision: (B,) int64, the store's revision, NOTHING for a new id.
        step: (B,) int64, how many steps were taken.
        at: (B,) objects, the time of the last call that gave one, or None.
        call_steps: (B,) int64, how many steps the last call took.
        input_crc: (B,) uint32, the checksum of its input.
        states: one array (B, U) per state.
    """

    revision: np.ndarray
    step: np.ndarray
    at: np.ndarray
    call_steps: np.ndarray
    input_crc: np.ndarray
    states: list[np.ndarray]

    @classmethod
    def new(cls, rows: int, states: Sequence[np.ndarray]) -> Kept:
        """B new ids in the first states (1, U)."""
        return cls(
            np.full(rows, NOTHING, np.int64),
            np.zeros(rows, np.int64),
            np.full(rows, None, object),
            np.zeros(rows, np.int64),
            np.zeros(rows, np.uint32),
            [np.repeat(state, rows, axis=0) for state in states],
        )

    def _columns(self) -> list[np.ndarray]:
        return [self.revision, self.step, self.at, self.call_steps, self.input_crc, *self.states]

    def take(self, rows: np.ndarray) -> Kept:
        """Copies of some rows."""
        revision, step, at, call_steps, input_crc, *states = [column[rows] for column in self._columns()]
        return Kept(revision, step, at, call_steps, input_crc, states)

    def put(self, rows: np.ndarray, other: Kept) -> None:
        """Sets some rows to those of ``other``, in order."""
        for column, values in zip(self._columns(), other._columns(), strict=True):
            column[rows] = values


class HotStates:
    """What is in memory of at most ``limit`` ids.

    Args:
        first: the first states (1, U), for their sizes and dtypes.
        limit: how many ids may stay.
        idle: after how many seconds without use an id leaves; None for never.

    Example:
        >>> import numpy as np
        >>> hot = HotStates([np.zeros((1, 2), "float32")], limit=2)
        >>> hot.keep(["a", "b"], Kept.new(2, [np.ones((1, 2), "float32")]))
        []
        >>> hot.keep(["c"], Kept.new(1, [np.ones((1, 2), "float32")]))
        ['a']
        >>> list(hot), hot.rows(["b", "a"]).tolist()
        (['b', 'c'], [1, -1])
    """

    def __init__(self, first: Sequence[np.ndarray], limit: int, idle: float | None = None) -> None:
        self._first = [np.zeros_like(state) for state in first]
        self.limit = limit
        self.idle = idle
        self._rows: dict[Id, int] = {}  # in the order of their last use
        self._table = Kept.new(0, self._first)
        self._used = np.zeros(0)
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Id]:
        return iter(self._rows)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def rows(self, ids: Sequence[Id]) -> np.ndarray:
        """(B,) the row of each id, -1 for one that is not in memory."""
        find = self._rows.get
        return np.array([find(id, -1) for id in ids], np.int64)

    def take(self, rows: np.ndarray) -> Kept:
        """Copies of some rows."""
        return self._table.take(rows)

    def keep(self, ids: Sequence[Id], kept: Kept) -> list[Id]:
        """Keeps ids that were just used, and lets go of as many as it takes.

        Returns:
            The ids that left memory; the first ones of ``ids`` too where these alone are too many.
        """
        surplus = len(ids) - self.limit
        if surplus > 0:
            self.drop(ids[:surplus])
            return [*ids[:surplus], *self.keep(ids[surplus:], kept.take(np.arange(surplus, len(ids))))]
        held = self._rows
        rows = [held.pop(id, -1) for id in ids]
        new = [place for place, row in enumerate(rows) if row < 0]
        gone = list(islice(held, max(0, len(held) + len(ids) - self.limit)))
        self.drop(gone)
        self._make_room(len(new))
        for place in new:
            rows[place] = self._free.pop()
        held.update(zip(ids, rows, strict=True))
        at = np.array(rows, np.int64)
        self._table.put(at, kept)
        self._used[at] = monotonic()
        return gone

    def drop(self, ids: Sequence[Id]) -> list[Id]:
        """Lets go of ids; returns those that were in memory."""
        gone = [id for id in ids if id in self._rows]
        for id in gone:
            row = self._rows.pop(id)
            self._table.at[row] = None
            self._free.append(row)
        return gone

    def expire(self) -> list[Id]:
        """Lets go of ids that were idle for too long, and returns them."""
        if self.idle is None or not self._rows:
            return []
        latest = monotonic() - self.idle
        gone = []
        for id, row in self._rows.items():
            if self._used[row] > latest:
                break
            gone.append(id)
        return self.drop(gone)

    def _make_room(self, rows: int) -> None:
        """Makes the table large enough for so many more rows."""
        lacking = rows - len(self._free)
        if lacking <= 0:
            return
        size = len(self._used)
        larger = min(self.limit, max(_FIRST_ROWS, 2 * size, size + lacking))
        table = Kept.new(larger, self._first)
        table.put(np.arange(size), self._table)
        self._table = table
        self._used = np.concatenate([self._used, np.zeros(larger - size)])
        self._free += range(larger - 1, size - 1, -1)
