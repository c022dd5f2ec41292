"""``Held``: some ids of a session in arrays, stepped together, for loops that run at microseconds.

The states before and after a step rest in two sets of arrays that take turns: what a step overwrites is never what
counts. A step ends with one assignment, of the number of steps taken; that also says whose turn it is, so a step that
fails or is interrupted was not taken. The input and the answer of the last step wait beside its states for ``keep``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sostenuto.diagnosis import count, shape_of, some
from sostenuto.errors import ConflictError, SessionError, StateError
from sostenuto.models.checks import title
from sostenuto.sessions import by_name
from sostenuto.sessions.hot import NOTHING, Kept
from sostenuto.sessions.sides import Side
from sostenuto.stores import Id

if TYPE_CHECKING:
    from sostenuto.sessions.turns import Turns


class Held:
    """Ids of a session whose states rest in arrays while it is open: one step of all of them takes microseconds.

    ``session.hold(ids)`` opens one. **Steps since the last** ``keep()`` **are lost if the process dies:** that is the
    bargain. Leaving the ``with`` block, or ``close()``, keeps too, after an exception as well: the steps were taken.
    Until then the session refuses calls that name these ids. The weights are read at every step.

    One thread at a time may use it; a second one that calls meanwhile gets an error, and nothing is changed.

    Args:
        session: the session.
        ids: B ids of it, each once.
        known: what it knows of them.

    Example:
        >>> import keras, numpy as np, sostenuto as so
        >>> model = so.SequenceModel([so.GRU(4, return_sequences=True), keras.layers.Dense(1)])
        >>> model.build(3)
        >>> live = model.session()
        >>> with live.hold(["engine-17", "engine-4"]) as rows:
        ...     for _ in range(5):
        ...         answers = rows.step(np.ones((2, 3), "float32"))
        ...     rows.keep()
        ...     rows.reset([1])
        ...     answers.shape, rows.steps.tolist()
        ((2, 1), [5, 0])
        >>> live.steps("engine-17"), live.steps("engine-4")
        (5, 0)
    """

    def __init__(self, session: Turns, ids: list[Id], known: Kept) -> None:
        self._session = session
        self._ids = ids
        self._first = session._runner.first
        self._known = known  # as of the last keep; its states are those of the first of the two sides
        self._base = known.step.copy()
        self._at = known.at.copy()
        self._taken = 0
        self._kept = 0
        self._begun = np.full(len(ids), -1)  # the number of steps taken when a row was reset
        self._unwritten = np.zeros(len(ids), bool)  # rows reset since the last keep
        self._doubtful: tuple[np.ndarray, Kept] | None = None
        self._free = threading.Lock()
        self._closed = False
        states = [np.ascontiguousarray(state) for state in known.states]
        self._sides = tuple(Side(session, len(ids), own) for own in (states, [state.copy() for state in states]))
        self._shape = self._sides[0].x.shape
        self._dtype = self._sides[0].x.dtype
        self._unchanged = self._with_these_weights()

    # --- steps -----------------------------------------------------------------------------------------------------

    def step(self, x: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Runs the next step of every id. The store learns of it at the next ``keep()``.

        Args:
            x: (B, F), one step for each id, in their order; (B,) for token ids. Fastest as an array of the dtype that
                the model computes in (float32; int32 for token ids); anything else that ``Session.step`` reads is
                converted.
            out: (B, ...), where the answers are written; a new array by default.

        Returns:
            The answers, (B, ...): ``out``, or an array of the caller's own.

        Raises:
            DataTypeError, DataError, ShapeError, TokenError: SO202, SO204, SO205, SO103, SO501, SO502, a step does
                not fit the model.
            SessionError: SO315, ``x`` or ``out`` are for other rows, or this is closed; SO317, another thread is using
                it. Whatever is raised, the step was not taken.
        """
        if not self._free.acquire(False):
            raise self._not_free()
        try:
            taken = self._taken
            then = self._sides[~taken & 1]
            if type(x) is np.ndarray and x.dtype is self._dtype and x.shape == self._shape:
                then.x[...] = x
                if not then.fits():
                    self._read(x, then)
            else:
                self._read(x, then)
            if not self._unchanged():
                self._unchanged = self._with_these_weights()
            then.run()
            if out is None:
                out = then.answer.copy()
            else:
                self._check_out(out, then.answer)
                out[...] = then.answer
            self._taken = taken + 1
            return out
        finally:
            self._free.release()

    def _with_these_weights(self) -> Callable[[], bool]:
        """Gets the steps ready; returns what tells whether the weights are still the same."""
        program = self._session.model.step_function.native()
        one, two = self._sides
        one.prepare(two)
        two.prepare(one)
        return _always if program is None else program.unchanged

    def reset(self, rows: Any = None) -> None:
        """Puts ids at their beginning: the initial state, step 0. The store learns of it at the next ``keep()``.

        Args:
            rows: numbers of rows, one or several; all by default.

        Raises:
            StateError: SO304, there is no such row.
            SessionError: SO315, this is closed; SO317, another thread is using it.
        """
        with self._alone():
            chosen = self._rows(rows)
            now = self._sides[self._taken & 1]
            for state, first in zip(now.states, self._first, strict=True):
                state[chosen] = first[0]
            self._base[chosen] = -self._taken
            self._at[chosen] = None
            self._begun[chosen] = self._taken
            self._unwritten[chosen] = True

    # --- what is there ---------------------------------------------------------------------------------------------

    @property
    def ids(self) -> tuple[Id, ...]:
        """The ids, in the order of the rows."""
        return tuple(self._ids)

    @property
    def steps(self) -> np.ndarray:
        """(B,) how many steps of each id were counted, those since the last ``keep()`` among them."""
        return self._base + self._taken

    def get_state(self) -> by_name.States:
        """The states of all ids.

        Returns:
            ``{layer: {state: (B, U)}}``; copies.

        Raises:
            SessionError: SO315, this is closed; SO317, another thread is using it.
        """
        with self._alone():
            states = self._sides[self._taken & 1].states
            return by_name.named(self._session._runner.specs, [state.copy() for state in states])

    def __len__(self) -> int:
        return len(self._ids)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if self._closed:
            return f"Held({count(len(self._ids), 'id')}, closed)"
        return f"Held({count(len(self._ids), 'id')}, {count(self._taken - self._kept, 'step')} since keep())"

    # --- keeping ---------------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Writes states and step numbers to the store, whole, as ``Session.step`` does: they now survive a crash.

        The last step is recorded as the last call of each id: ``session.step(id, x, step=...)`` recognises its repeat.

        Raises:
            ConflictError, StoreError: SO904, SO905, SO908, the store cannot take them; nothing was overwritten. What
                was not kept is still here, and a later ``keep()`` tries again.
            SessionError: SO315, this is closed; SO317, another thread is using it.
        """
        with self._session._turn(), self._alone():
            self._write()

    def close(self) -> None:
        """Keeps, and gives the ids back to the session; a second call does nothing.

        The ids are given back even where the store cannot take what would be kept; steps since the last ``keep()`` are
        then lost, and the error says why.

        Raises:
            ConflictError, StoreError: SO904, SO905, SO908, the store cannot take them.
        """
        if self._closed:
            return
        with self._session._turn() as gone:
            self._free.acquire()  # for good: whoever comes later is told
            if self._closed:  # by another thread, just now
                return
            self._closed = True
            for id in self._ids:
                del self._session._held[id]
            self._write()
            there = np.flatnonzero(self._known.revision != NOTHING)
            gone += self._session._hot.keep([self._ids[row] for row in there], self._known.take(there))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write(self) -> None:
        stepped = self._taken > self._kept
        rows = np.arange(len(self._ids)) if stepped else np.flatnonzero(self._unwritten)
        if not len(rows):
            return
        ids = [self._ids[row] for row in rows]
        self._settle_doubts()
        after, answers = self._as_it_stands()
        try:
            written = after if stepped else after.take(rows)
            chosen = answers if stepped else [answers[row] for row in rows]
            after.revision[rows] = self._session._records.write(ids, written, chosen)
        except ConflictError:
            raise
        except BaseException:
            self._doubtful = rows, after
            raise
        self._known = after
        self._kept = self._taken
        self._unwritten[:] = False

    def _as_it_stands(self) -> tuple[Kept, Any]:
        """All rows as they would be kept, and the answers to their last calls."""
        now = self._sides[self._taken & 1]
        after = self._known.take(np.arange(len(self._ids)))
        after.step, after.at, after.states = self.steps, self._at.copy(), [state.copy() for state in now.states]
        answers: Any = [None] * len(self._ids)
        if self._taken > self._kept:
            after.call_steps[:], after.input_crc[:] = 1, now.request(self._ids).checksums
            answers = now.recorded()
        begun = np.flatnonzero(self._begun == self._taken)
        if len(begun):
            after.call_steps[begun] = 0
            after.input_crc[begun] = 0
            answers = list(answers)
            for row in begun:
                answers[row] = None
        return after, answers

    def _settle_doubts(self) -> None:
        """Looks whether a write that failed was made all the same, as where the answer of a server was lost."""
        if self._doubtful is None:
            return
        rows, tried = self._doubtful
        there = self._session._records.read([self._ids[row] for row in rows])
        tried = tried.take(rows)
        columns = ("step", "call_steps", "input_crc")
        alike = np.all([getattr(there, name) == getattr(tried, name) for name in columns], axis=0)
        for found, wanted in zip(there.states, tried.states, strict=True):
            alike &= (found == wanted).all(axis=1)
        self._known.revision[rows[alike]] = there.revision[alike]
        self._doubtful = None

    # --- what does not fit -----------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._free.acquire(False):
            raise self._not_free()
        try:
            yield
        finally:
            self._free.release()

    def _not_free(self) -> SessionError:
        where = f"a hold of {count(len(self._ids), 'id')} of the session of {title(self._session.model)}"
        if self._closed:
            return SessionError(
                "The hold is closed.",
                code="SO315",
                where=where,
                got="a call after its end",
                wanted="an open one",
                fix="hold the ids again, with session.hold(ids), or step them with session.step",
            )
        return SessionError(
            "Two threads use one hold at once.",
            code="SO317",
            where=where,
            got="a call while another one is under way",
            wanted="one call after the other: which step would be first?",
            fix="give each thread a hold of its own ids, or put a lock around the calls",
        )

    def _read(self, x: Any, side: Side) -> None:
        """Takes what is no array of the right kind, or may hold what is not finite, the long way of ``step``."""
        request = self._session._reader.read(self._ids, x)
        if self._ids and (request.steps != 1 or not request.single.all()):
            axes = "x (rows, features)" if side.x.ndim == 2 else "x (rows,)"
            raise SessionError(
                "A hold takes one step of each id.",
                code="SO315",
                where="argument 'x'",
                got=f"x {shape_of(x)}",
                wanted=f"{axes}: one step without an axis of time for each of {count(len(self._ids), 'id')}",
                fix="call it once for each step, x[:, t]; session.step takes several steps at once",
            )
        side.flat[...] = request.flat

    def _check_out(self, out: Any, answer: np.ndarray) -> None:
        if isinstance(out, np.ndarray) and out.shape == answer.shape and out.dtype == answer.dtype:
            if out.flags.writeable:
                return
            got = "an array that may only be read"
        else:
            got = shape_of(out)
        raise SessionError(
            "The answers cannot be written there.",
            code="SO315",
            where="argument 'out'",
            got=got,
            wanted=f"a NumPy array {shape_of(answer)}",
            fix=f"make it with np.empty({answer.shape}, {answer.dtype.name!r}), or leave out= away",
        )

    def _rows(self, rows: Any) -> np.ndarray:
        chosen = np.arange(len(self._ids)) if rows is None else np.atleast_1d(np.asarray(rows))
        if not chosen.size:
            return np.zeros(0, np.int64)
        if chosen.dtype.kind not in "iu" or np.any((chosen < 0) | (chosen >= len(self._ids))):
            raise StateError(
                "There are no such rows.",
                code="SO304",
                where="argument 'rows' of a hold",
                got=f"rows {some(chosen.ravel().tolist(), 3)}",
                wanted=f"numbers of the {count(len(self._ids), 'row')}, counted from 0",
                fix="rows.ids shows which id is in which row",
            )
        return chosen


def _always() -> bool:
    return True


def held_elsewhere(ids: list[Id], model: str) -> SessionError:
    """The error for ids that are held while another call names them (SO316)."""
    return SessionError(
        f"{some(ids, 1)} is held." if len(ids) == 1 else "These ids are held.",
        code="SO316",
        where=f"the session of {model}",
        got=f"a call with {some(ids, 3)} while session.hold has them",
        wanted="ids that no open hold has: their newest steps are in its arrays",
        fix="step them there, or close it first: leave its with block, or call its close()",
    )
