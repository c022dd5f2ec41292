"""``Session``: a model that runs sequences as their steps arrive, each id from its own state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from sostenuto.diagnosis import count
from sostenuto.models.checks import title
from sostenuto.sequences.checks import check_count, check_option
from sostenuto.sessions import by_name, fingerprint
from sostenuto.sessions.held import Held
from sostenuto.sessions.hot import NOTHING, Kept
from sostenuto.sessions.naming import one_or_several, unknown
from sostenuto.sessions.numbering import repeated, step_numbers, times
from sostenuto.sessions.opening import check_eviction, check_model
from sostenuto.sessions.turns import Turns
from sostenuto.stores import Id, Store, open_store, plain_id


class Session(Turns):
    """Runs sequences as their steps arrive: any ids, any number of them, any number of steps in every call.

    Every call of ``step`` is written to the store, whole, before it returns: a step that was answered survives a crash.
    A call that fails changes nothing. The states of ids used last stay in memory too, so that they need not be read
    again. One process owns an id at a time; a second one on the same store gets a ConflictError.

    The weights are read at every call. Train a copy of the model, or open a session after training: a store remembers
    which weights wrote it.

    Args:
        model: a built SequenceModel whose layers read forwards.
        store: where states rest: None for this process's memory, the path of a SQLite file, ``"valkey://..."`` for a
            server, or a Store. A store that the session opens is closed with it.
        strict: whether ``step``, ``peek`` and ``forget`` refuse ids that are not known; ``reset`` makes them known.
        hot: how many ids stay in memory. All others are in the store.
        idle: after how many seconds without use an id leaves memory, looked at in every call; None for never.
        on_evict: called with a list of ids after these left memory, outside of any lock. What it raises reaches the
            caller, after the call was kept.
        other_model: what to do with a store that another model wrote: ``"refuse"`` it, begin ``"fresh"`` (its states
            are forgotten), or ``"migrate"``: go on from states that the same layers left with other weights.

    Raises:
        ModelError: SO601, SO608, no built SequenceModel; SO607, it cannot run sequences in pieces.
        StoreError: SO901, SO902, SO906, SO908, the store cannot be opened; SO903, another model wrote it.
        DataError: SO214, SessionError: SO315, an option cannot be meant.

    Example:
        >>> import keras, numpy as np, sostenuto as so
        >>> model = so.SequenceModel([so.GRU(4, return_sequences=True), keras.layers.Dense(1)])
        >>> model.build(3)
        >>> live = model.session()
        >>> answers = live.step({"engine-17": np.ones(3), "engine-4": np.ones((5, 3))})
        >>> answers["engine-17"].shape, answers["engine-4"].shape
        ((1,), (5, 1))
        >>> live.step(["engine-4", "engine-17"], np.ones((2, 3))).shape
        (2, 1)
        >>> live.steps("engine-4"), live.steps("engine-17"), sorted(live.ids())
        (6, 2, ['engine-17', 'engine-4'])
    """

    def __init__(
        self,
        model: Any,
        store: Store | str | os.PathLike[str] | None = None,
        *,
        strict: bool = False,
        hot: int = 10_000,
        idle: float | None = None,
        on_evict: Callable[[list[Id]], object] | None = None,
        other_model: str = "refuse",
    ) -> None:
        check_model(model)
        check_option("strict", strict, (False, True))
        check_option("other_model", other_model, ("refuse", "fresh", "migrate"))
        hot = check_count("hot", hot, least=0)
        check_eviction(idle, on_evict)
        opened = open_store(store)
        try:
            super().__init__(model, opened, strict=strict, hot=hot, idle=idle, on_evict=on_evict)
            fingerprint.agree(model, opened, other_model)
        except BaseException:
            if opened is not store:
                opened.close()
            raise
        self._owns_store = opened is not store

    # --- steps -----------------------------------------------------------------------------------------------------

    def step(self, ids: Any, x: Any = None, *, step: Any = None, at: Any = None) -> Any:
        """Runs the next steps of some ids. Unknown ids begin.

        Args:
            ids: a dict of arrays by id (or Sequences): (F,) is one step, (T, F) are several, T may differ. For token
                ids: a number, or (T,). Or a list or array of B ids, with ``x``.
            x: (B, F), (B, T, F), or a list of B arrays (F,) or (T, F); for token ids (B,), (B, T) or a list.
            step: the number of the first of these steps, counted from 0 for each id: one for all, one for each, or a
                dict by id. The number of the last call makes this call its repeat: it returns the recorded answer, and
                nothing is counted. Any other number but the next is refused.
            at: the time of the call, in the same forms (whole numbers, floats, datetime64). It must grow for each id;
                without ``step``, the time of the last call makes this one its repeat.

        Returns:
            For a dict, a dict of arrays by id: the output of one step, (...), or (T, ...) for several; (...) in both
            cases where the model has one output per sequence, which is its output after these steps. For a list of
            ids, one array (B, ...), or a list where numbers of steps differ.

        Raises:
            DataTypeError, DataError, ShapeError, TokenError, ModelError: SO202, SO204, SO205, SO103, SO501, SO502,
                SO605, a step does not fit the model; the id is named.
            IdError, UnknownIdError, SessionError: SO311, SO212, SO312, SO313, SO314, SO315, ids, step numbers or times
                do not fit.
            ConflictError, StoreError: SO904, SO905, SO906, SO908, the store cannot take the call. Whatever is raised,
                nothing of the call is kept.
        """
        request = self._reader.read(ids, x)
        numbers, moments = step_numbers(step, request.ids), times(at, request.ids)
        with self._turn(request.ids) as gone:
            known = self._known(request.ids)
            again = repeated(request, known, numbers, moments)
            if moments is not None:
                given = [row for row, moment in enumerate(moments) if moment is not None]
                known.at[given] = [moments[row] for row in given]
            if not again.any():
                answers = self._taken(request, known, gone)
            else:
                answers = [None] * len(request.ids)
                old, new = np.flatnonzero(again), np.flatnonzero(~again)
                for row, answer in zip(old, self._recorded(request, known, old), strict=True):
                    answers[row] = answer
                for row, answer in zip(new, self._taken(request.take(new), known.take(new), gone), strict=True):
                    answers[row] = answer
        return request.formed(answers, self._runner.per_step)

    def peek(self, ids: Any, x: Any = None) -> Any:
        """What ``step`` would answer; no state changes, and nothing is counted or kept.

        Args:
            ids: as for ``step``.
            x: as for ``step``.

        Returns:
            As ``step``.

        Raises:
            As ``step``.
        """
        request = self._reader.read(ids, x)
        with self._turn(request.ids):
            answers = self._run(request, self._known(request.ids))[0]
        return request.formed(answers, self._runner.per_step)

    def hold(self, ids: Any) -> Held:
        """Takes ids into arrays, for loops that step them together at microseconds.

        ``Session.step`` writes to the store in every call; a hold writes at ``rows.keep()`` and when its ``with`` block
        is left. **Steps since the last of these are lost if the process dies.** Until it is closed, the other calls of
        this session refuse these ids.

        Args:
            ids: B ids in a list or array, in the order of the rows, or one. Unknown ones begin.

        Returns:
            The ids in arrays: ``y = rows.step(x)`` with x (B, F) gives y (B, ...).

        Raises:
            UnknownIdError: SO212, an id is not known and the session is strict.
            SessionError: SO316, an id is held already.
            IdError, SessionError, StoreError: SO311, SO312, SO901, SO906, SO908.

        Example:
            >>> import keras, numpy as np, sostenuto as so
            >>> model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
            >>> model.build(2)
            >>> live = model.session()
            >>> with live.hold(["pump", "fan"]) as rows:
            ...     for x in np.ones((100, 2, 2), "float32"):
            ...         y = rows.step(x)
            >>> live.steps("pump")
            100
        """
        names = one_or_several(ids)
        with self._turn(names):
            held = Held(self, names, self._known(names))
            self._hot.drop(names)
            self._held.update(dict.fromkeys(names, held))
        return held

    # --- states ----------------------------------------------------------------------------------------------------

    def reset(self, ids: Any) -> None:
        """Puts ids at their beginning: the initial state, step 0. Unknown ones become known.

        Args:
            ids: one id, or several in a list or array.

        Raises:
            IdError, SessionError, ConflictError, StoreError: SO311, SO312, SO904, SO905, SO906, SO908.
        """
        names = one_or_several(ids)
        with self._turn(names):
            new = Kept.new(len(names), self._runner.first)
            new.revision = self._records.revisions(names)
            with self._read_anew(names):
                self._records.write(names, new, [None] * len(names))

    def forget(self, ids: Any) -> None:
        """Removes ids, from memory and from the store; their next step begins a new sequence.

        Args:
            ids: one id, or several in a list or array. Those that are not known are passed over, unless the session is
                strict.

        Raises:
            UnknownIdError: SO212, an id is not known and the session is strict.
            IdError, SessionError, ConflictError, StoreError: SO311, SO312, SO904, SO905, SO906, SO908.
        """
        names = one_or_several(ids)
        with self._turn(names):
            revisions = self._records.revisions(names)
            strange = [name for name, revision in zip(names, revisions, strict=True) if revision == NOTHING]
            if strange and self.strict:
                raise unknown(strange, self.store, self._hot)
            with self._read_anew(names):
                self._records.delete(names, revisions)

    def copy(self, source: Any, target: Any) -> None:
        """Lets ``target`` go on from where ``source`` stands: state, step number, time and last answer.

        Args:
            source: an id that is known.
            target: another id; what it was is replaced.

        Raises:
            UnknownIdError: SO212, ``source`` is not known.
            IdError, ConflictError, StoreError: SO311, SO904, SO905, SO906, SO908.
        """
        source, target = plain_id(source), plain_id(target)
        with self._turn([source, target]):
            self._check_known(source)
            if source != target:
                with self._read_anew([target]):
                    self._records.copy(source, target)

    def get_state(self, id: Any) -> by_name.States:
        """The state of an id.

        Args:
            id: an id that is known.

        Returns:
            ``{layer: {state: (U,)}}``, for instance ``{"lstm": {"h": ..., "c": ...}}``; copies.

        Raises:
            UnknownIdError: SO212, the id is not known.
            IdError, StoreError: SO311, SO906, SO908.
        """
        id = plain_id(id)
        with self._turn([id]):
            known = self._one(id)
        return by_name.named(self._runner.specs, [state[0] for state in known.states])

    def set_state(self, id: Any, state: Any) -> None:
        """Replaces states of an id; step number, time and last answer stay.

        Args:
            id: an id; an unknown one becomes known and begins from these states, unless the session is strict.
            state: ``{layer: {state: (U,)}}`` as ``get_state`` returns it; states that are not named stay.

        Raises:
            StateError: SO302, SO304, there is no such state, or it has another shape.
            DataError: SO204, SO205, a state holds no finite numbers.
            UnknownIdError, IdError, ConflictError, StoreError: SO212, SO311, SO904, SO905, SO906, SO908.
        """
        id = plain_id(id)
        with self._turn([id]):
            if self.strict:
                self._check_known(id)
            known, answers = self._records.read_with_answers([id])
            rows = by_name.replaced(self._runner.specs, [rows[0] for rows in known.states], state, id)
            known.states = [row[None] for row in rows]
            with self._read_anew([id]):
                self._records.write([id], known, answers)

    def steps(self, id: Any) -> int:
        """How many steps of an id were counted: the number of its next step.

        Args:
            id: an id that is known.

        Raises:
            UnknownIdError: SO212, the id is not known.
            IdError, StoreError: SO311, SO906, SO908.
        """
        id = plain_id(id)
        with self._turn([id]):
            return int(self._one(id).step[0])

    # --- which ids -------------------------------------------------------------------------------------------------

    def ids(self) -> Iterator[Id]:
        """All ids that are known, one after the other, never all in memory."""
        self._check_open()
        return self.store.ids()

    def __iter__(self) -> Iterator[Id]:
        return self.ids()

    def __len__(self) -> int:
        self._check_open()
        return len(self.store)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, id: object) -> bool:
        self._check_open()
        return plain_id(id) in self.store

    def evict(self, ids: Any = None) -> None:
        """Lets ids leave memory; the store keeps them, and their next step reads them again.

        Args:
            ids: one id, or several in a list or array; all by default. Those that are not in memory are passed over.

        Raises:
            IdError, SessionError: SO311, SO312.
        """
        names = None if ids is None else one_or_several(ids)
        with self._turn(names or ()) as gone:
            gone += self._hot.drop(list(self._hot) if names is None else names)

    # --- the session itself ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the session, and closes the store if the session opened it; a second call does nothing.

        What is held still is kept first.
        """
        try:
            self._end_holds()
        finally:
            with self._lock:
                if not self._closed:
                    self._closed = True
                    self._hot.drop(list(self._hot))
                    if self._owns_store:
                        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def explain(self) -> str:
        """How the session runs: the native program, or the backend and why; the shapes, the states, the store."""
        specs = ", ".join(f"{spec.layer} {spec.state} ({spec.size},) {spec.dtype}" for spec in self._runner.specs)
        idle = "" if self._hot.idle is None else f", {self._hot.idle:g} s without use"
        lines = [
            ("model", title(self.model)),
            ("sums", self._runner.how()),
            ("batches", self._runner.batches()),
            ("states", specs),
            ("memory", f"{count(len(self._hot), 'id')} of at most {self._hot.limit:,}{idle}"),
            ("store", self.store.name),
        ]
        return "\n".join(f"{name:<10}{text}" for name, text in lines)

    def __repr__(self) -> str:
        if self._closed:
            return f"Session({title(self.model)}, closed)"
        return f"Session({title(self.model)}, {self.store.name}, {count(len(self._hot), 'id')} in memory)"
