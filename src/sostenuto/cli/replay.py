"""Which rows were done before the stream was stopped, and the answers of those that may not have reached anybody.

A session keeps, for each id, how many steps it took, the time of its last call, how many steps that call had, and its
answer. Rows up to that time (or, without times, as many rows as steps were taken) were done before. A crash may have
come after the last call was kept and before its lines were written: these are written again, from the record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sostenuto.cli.arrivals import Unreadable
from sostenuto.cli.rows import Row
from sostenuto.errors import SessionError
from sostenuto.sessions.requests import Reader
from sostenuto.stores import Id, Store
from sostenuto.stores.record import unpack_many


@dataclass(eq=False)
class LastCall:
    """The last call of an id before this stream began.

    Args:
        steps: how many steps it had.
        checksum: that of its input.
        answers: one for each of its last steps that has one; empty if none is recorded.
        rows: rows of the id that came again, the last ones.
    """

    steps: int
    checksum: int
    answers: list[np.ndarray]
    rows: deque[Row] = field(default_factory=deque)


@dataclass(eq=False)
class Standing:
    """Where an id stands.

    Args:
        step: the number of its next step.
        at: the time of its last step; None if there was none, or without one.
        done_at: the time of its last step before this stream began.
        done_steps: how many of its rows were done before this stream, where they are counted.
        seen: how many of its rows came so far.
        last: its last call before this stream, until that was written again.
    """

    step: int = 0
    at: int | float | None = None
    done_at: int | float | None = None
    done_steps: int = 0
    seen: int = 0
    last: LastCall | None = None


@dataclass(frozen=True, eq=False)
class Answered:
    """A row with its answer.

    Args:
        row: the row.
        step: the number of the step.
        output: what the model said, as it came out of it.
        recorded: the steps of the call that this is the recorded answer of; empty for a new answer.
    """

    row: Row
    step: int
    output: np.ndarray
    recorded: range = range(0)


class Standings:
    """Where ids stand: read from the store when an id first comes, then kept up to date.

    Args:
        store: the store of the session.
        model: its model.
        counted: whether rows without a time that counts are counted: the first ones of an id were done before.
    """

    def __init__(self, store: Store, model: Any, counted: bool) -> None:
        self._store = store
        self._reader = Reader(model)
        self._per_step = model.output_per == "step"
        self._counted = counted
        self._known: dict[Id, Standing] = {}
        self.done = 0
        self.again = 0

    def __getitem__(self, id: Id) -> Standing:
        return self._known[id]

    def __len__(self) -> int:
        return len(self._known)

    def meet(self, ids: Iterable[Id]) -> None:
        """Reads where ids stand that came for the first time."""
        new = [id for id in dict.fromkeys(ids) if id not in self._known]
        entries = self._store.read(new)
        there = [(id, entry) for id, entry in zip(new, entries, strict=True) if entry is not None]
        self._known.update((id, Standing()) for id, entry in zip(new, entries, strict=True) if entry is None)
        if not there:
            return
        columns = unpack_many([entry.record for _, entry in there], [id for id, _ in there])
        for place, (id, _) in enumerate(there):
            step, at, steps = int(columns.step[place]), columns.at[place], int(columns.call_steps[place])
            answer = columns.answers[place]
            answers = [] if answer is None else list(answer) if self._per_step else [answer]
            last = LastCall(steps, int(columns.input_crc[place]), answers, deque(maxlen=steps)) if steps else None
            counted = step if self._counted and at is None else 0
            self._known[id] = Standing(step, at, at, counted, 0, last)

    def judge(self, row: Row) -> bool:
        """Whether a row is new; if so, it counts as taken.

        Raises:
            Unreadable: it comes after a later one of its id.
        """
        standing = self._known[row.id]
        if self._is_done(row, standing):
            return False
        if row.at is not None:
            if standing.at is not None and row.at <= standing.at:
                raise Unreadable(f"time {row.at} after time {standing.at} of the same id", "a later time")
            standing.at = row.at
        standing.seen += 1
        return True

    @staticmethod
    def _is_done(row: Row, standing: Standing) -> bool:
        if row.at is not None and standing.done_at is not None:
            return row.at <= standing.done_at
        return standing.seen < standing.done_steps

    def recorded(self, row: Row) -> list[Answered]:
        """The recorded answers that a row done before completes: those of its id's last call, or none.

        Raises:
            SessionError: SO314, the rows of that call were others.
        """
        standing = self._known[row.id]
        standing.seen += 1
        self.done += 1
        last = standing.last
        if last is None:
            return []
        last.rows.append(row)
        timed = row.at is not None and standing.done_at is not None
        if row.at != standing.done_at if timed else standing.seen < standing.done_steps:
            return []
        standing.last = None
        rows = list(last.rows)
        if len(rows) == last.steps:
            self._check_same(rows, last)
        number = min(len(rows), len(last.answers))
        recorded = range(standing.step - last.steps, standing.step)
        self.again += number
        return [
            Answered(row, standing.step - number + place, output, recorded)
            for place, (row, output) in enumerate(
                zip(rows[len(rows) - number :], last.answers[len(last.answers) - number :], strict=True)
            )
        ]

    def _check_same(self, rows: list[Row], last: LastCall) -> None:
        id = rows[0].id
        if int(self._reader.read([id], [np.stack([row.x for row in rows])]).checksums[0]) == last.checksum:
            return
        raise SessionError(
            f"The last rows of {id!r} that were done before have other values now.",
            code="SO314",
            where=f"{self._store.name}, id {id!r}",
            got="features with another checksum",
            wanted="the rows that were answered, to the last bit",
            fix="stream the table as it was; or leave the rows out that were done before",
        )
