"""Between what a session knows of ids and the records in its store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sostenuto.errors import StoreError
from sostenuto.sessions.hot import NOTHING, Kept
from sostenuto.stores import Change, Entry, Id, Store
from sostenuto.stores.contract import conflict
from sostenuto.stores.damage import corrupt
from sostenuto.stores.record import pack_many, unpack_many


class Records:
    """Reads and writes the records of ids.

    Args:
        store: the store.
        first: the first states (1, U) of a new id.
    """

    def __init__(self, store: Store, first: Sequence[np.ndarray]) -> None:
        self._store = store
        self._first = first

    def read(self, ids: Sequence[Id]) -> Kept:
        """What the store knows of ids; those that it does not hold are at their beginning."""
        return self.read_with_answers(ids)[0]

    def read_with_answers(self, ids: Sequence[Id]) -> tuple[Kept, list[np.ndarray | None]]:
        """What the store knows of ids, with the recorded answers."""
        return self._unpacked(ids, self._store.read(ids))

    def revisions(self, ids: Sequence[Id]) -> np.ndarray:
        """(B,) the revisions in the store, NOTHING for ids that it does not hold."""
        entries = self._store.read(ids)
        return np.array([NOTHING if entry is None else entry.revision for entry in entries], np.int64)

    def answers(self, ids: Sequence[Id], expected: np.ndarray) -> list[np.ndarray]:
        """The recorded answers of ids that bear the revisions expected.

        Raises:
            ConflictError: SO904, one bears another.
        """
        entries = self._store.read(ids)
        there = [None if entry is None else entry.revision for entry in entries]
        others = [
            (Change(id, wanted, None), found)
            for id, wanted, found in zip(ids, expected.tolist(), there, strict=True)
            if found != wanted
        ]
        if others:
            raise conflict(self._store.name, others)
        found = self._unpacked(ids, entries)[1]
        missing = [id for id, answer in zip(ids, found, strict=True) if answer is None]
        if missing:
            raise self._unfit(missing[0], "steps without their answer")
        return found  # type: ignore[return-value]

    def write(self, ids: Sequence[Id], kept: Kept, answers: Sequence[Any]) -> np.ndarray:
        """Writes ids in one transaction, each onto the revision that is known of it.

        Returns:
            The new revisions (B,).

        Raises:
            ConflictError, StoreError: SO904, SO905, SO908.
        """
        packed = pack_many(kept.step, kept.at.tolist(), kept.call_steps, kept.input_crc, kept.states, answers)
        expected = [None if known == NOTHING else known for known in kept.revision.tolist()]
        revision = self._store.write(list(map(Change, ids, expected, packed)))
        return np.full(len(ids), revision, np.int64)

    def delete(self, ids: Sequence[Id], revisions: np.ndarray) -> None:
        """Deletes those of the ids that are there."""
        changes = [
            Change(id, revision, None)
            for id, revision in zip(ids, revisions.tolist(), strict=True)
            if revision != NOTHING
        ]
        if changes:
            self._store.write(changes)

    def copy(self, source: Id, target: Id) -> None:
        """Writes the record of one id for another, too."""
        entry, replaced = self._store.read([source, target])
        assert entry is not None
        self._unpacked([source], [entry])  # a damaged record is not passed on
        self._store.write([Change(target, None if replaced is None else replaced.revision, entry.record)])

    def _unpacked(self, ids: Sequence[Id], entries: Sequence[Entry | None]) -> tuple[Kept, list[np.ndarray | None]]:
        kept = Kept.new(len(ids), self._first)
        answers: list[np.ndarray | None] = [None] * len(ids)
        there = [row for row, entry in enumerate(entries) if entry is not None]
        if not there:
            return kept, answers
        found = [entry for entry in entries if entry is not None]
        names = [ids[row] for row in there]
        columns = unpack_many([entry.record for entry in found], names)
        layout = [(state.dtype, state.shape[1:]) for state in columns.states]
        if layout != [(state.dtype, state.shape[1:]) for state in self._first]:
            raise self._unfit(names[0], "states of other sizes or dtypes than the model's")
        rows = np.array(there)
        kept.revision[rows] = [entry.revision for entry in found]
        kept.step[rows] = columns.step
        kept.at[rows] = columns.at
        kept.call_steps[rows] = columns.call_steps
        kept.input_crc[rows] = columns.input_crc
        for state, column in zip(kept.states, columns.states, strict=True):
            state[rows] = column
        for row, answer in zip(there, columns.answers, strict=True):
            answers[row] = answer
        return kept, answers

    def _unfit(self, id: Id, got: str) -> StoreError:
        return corrupt(f"the record of {id!r} in {self._store.name}", got, "a record that this model wrote")
