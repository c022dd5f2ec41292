"""What happens in a call's turn: states come from memory or the store, run, and go back whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from sostenuto.errors import SessionError
from sostenuto.models.checks import title
from sostenuto.sessions.held import Held, held_elsewhere
from sostenuto.sessions.hot import NOTHING, HotStates, Kept
from sostenuto.sessions.naming import unknown
from sostenuto.sessions.records import Records
from sostenuto.sessions.requests import Reader, Request
from sostenuto.sessions.running import Runner
from sostenuto.stores import Id, Store


class Turns:
    """The inside of a session.

    Args:
        model: a model that can be run in pieces.
        store: an open store that agrees with it.
        strict: whether unknown ids are refused.
        hot: how many ids stay in memory.
        idle: after how many seconds without use one leaves it; None for never.
        on_evict: what is told of those that left.
    """

    def __init__(
        self,
        model: Any,
        store: Store,
        *,
        strict: bool,
        hot: int,
        idle: float | None,
        on_evict: Callable[[list[Id]], object] | None,
    ) -> None:
        self.model = model
        self.store = store
        self.strict = strict
        self._on_evict = on_evict
        self._lock = threading.Lock()
        self._closed = False
        self._reader = Reader(model)
        self._runner = Runner(model)
        self._hot = HotStates(self._runner.first, hot, idle)
        self._records = Records(store, self._runner.first)
        self._held: dict[Id, Held] = {}

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError(
                "The session is closed.",
                code="SO315",
                where=f"the session of {title(self.model)}",
                got="a call after close()",
                wanted="an open session",
                fix="open another with model.session(store=...)",
            )

    @contextmanager
    def _turn(self, ids: Sequence[Id] = ()) -> Iterator[list[Id]]:
        """One call at a time; ids put into the list leave memory in it, and the hook learns of them after it.

        Refuses a call whose ``ids`` are held.
        """
        gone: list[Id] = []
        try:
            with self._lock:
                self._check_open()
                if self._held and not self._held.keys().isdisjoint(ids):
                    raise held_elsewhere([id for id in ids if id in self._held], title(self.model))
                gone += self._hot.expire()
                yield gone
        finally:
            if gone and self._on_evict is not None:
                self._on_evict(gone)

    def _end_holds(self) -> None:
        """Closes what is held still, each of them even where another fails."""
        with ExitStack() as stack:
            for held in set(self._held.values()):
                stack.callback(held.close)

    @contextmanager
    def _forgotten_on_failure(self, ids: Sequence[Id]) -> Iterator[None]:
        """Takes ids out of memory if the store fails: the next call reads what is really there."""
        try:
            yield
        except BaseException:
            self._hot.drop(ids)
            raise

    @contextmanager
    def _read_anew(self, ids: Sequence[Id]) -> Iterator[None]:
        """Takes ids out of memory whose record is written past it."""
        try:
            yield
        finally:
            self._hot.drop(ids)

    def _known(self, ids: list[Id]) -> Kept:
        """What is known of ids, from memory or the store; unknown ones are at their beginning."""
        rows = self._hot.rows(ids)
        cold = np.flatnonzero(rows < 0)
        if not len(cold):
            return self._hot.take(rows)
        names = [ids[row] for row in cold]
        read = self._records.read(names)
        if self.strict and (read.revision == NOTHING).any():
            strange = [names[row] for row in np.flatnonzero(read.revision == NOTHING)]
            raise unknown(strange, self.store, self._hot)
        if len(cold) == len(ids):
            return read
        known = Kept.new(len(ids), self._runner.first)
        warm = np.flatnonzero(rows >= 0)
        known.put(warm, self._hot.take(rows[warm]))
        known.put(cold, read)
        return known

    def _run(self, request: Request, known: Kept) -> tuple[Any, list[np.ndarray]]:
        if not request.ids:
            return self._runner.nothing(), known.states
        return self._runner(request, known.states)

    def _taken(self, request: Request, known: Kept, gone: list[Id]) -> Any:
        """The answers of new steps, once these are in the store."""
        answers, states = self._run(request, known)
        steps = known.step + request.lengths
        after = Kept(known.revision, steps, known.at, request.lengths, request.checksums, states)
        ids, kept_answers = request.ids, answers
        if not (request.steps or request.lengths.all()):  # no steps: nothing to count
            real = np.flatnonzero(request.lengths)
            ids, after = [ids[row] for row in real], after.take(real)
            kept_answers = [answers[row] for row in real]
        if ids:
            with self._forgotten_on_failure(ids):
                after.revision = self._records.write(ids, after, kept_answers)
                left = self._hot.keep(ids, after)
            gone += left
        return answers

    def _recorded(self, request: Request, known: Kept, rows: np.ndarray) -> list[np.ndarray]:
        ids = [request.ids[row] for row in rows]
        with self._forgotten_on_failure(ids):
            return self._records.answers(ids, known.revision[rows])

    def _one(self, id: Id) -> Kept:
        known = self._known([id])
        if known.revision[0] == NOTHING:
            raise unknown([id], self.store, self._hot)
        return known

    def _check_known(self, id: Id) -> None:
        if self._records.revisions([id])[0] == NOTHING:
            raise unknown([id], self.store, self._hot)
