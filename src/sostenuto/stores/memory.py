"""A store in this process's memory: for tests, for trying out, and for sequences that need not outlive the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from sostenuto.stores.contract import Change, Entry, Store, closed_error, conflict, new_revision, refuse_twice
from sostenuto.stores.ids import Id, plain_ids


class MemoryStore(Store):
    """A store that ends with its process.

    Example:
        >>> from sostenuto.stores import Change, MemoryStore
        >>> store = MemoryStore()
        >>> revision = store.write([Change("a", None, b"1"), Change(7, None, b"2")])
        >>> sorted(store.ids(), key=str), len(store), "a" in store
        ([7, 'a'], 2, True)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Id, Entry] = {}
        self._notes: dict[str, str] = {}
        self._closed = False

    @property
    def name(self) -> str:
        return "memory"

    def read(self, ids: Sequence[Id]) -> list[Entry | None]:
        plain = plain_ids(ids)
        with self._lock:
            entries = self._open()
            return [entries.get(id) for id in plain]

    def write(self, changes: Sequence[Change]) -> int:
        ids = plain_ids([change.id for change in changes])
        refuse_twice(self.name, ids)
        changes = [Change(id, expected, record) for id, (_, expected, record) in zip(ids, changes, strict=True)]
        revision = new_revision()
        written = {id: Entry(revision, bytes(record)) for id, _, record in changes if record is not None}
        with self._lock:
            entries = self._open()
            there = [entry.revision if (entry := entries.get(change.id)) else None for change in changes]
            others = [(change, now) for change, now in zip(changes, there, strict=True) if now != change.expected]
            if others:
                raise conflict(self.name, others)
            entries.update(written)
            for id, _, record in changes:
                if record is None:
                    entries.pop(id, None)
        return revision

    def ids(self) -> Iterator[Id]:
        # A list of references to keys that are in memory anyway: a dict may not change while it is walked through.
        with self._lock:
            return iter(list(self._open()))

    def __len__(self) -> int:
        with self._lock:
            return len(self._open())

    def note(self, name: str) -> str | None:
        with self._lock:
            self._open()
            return self._notes.get(name)

    def set_note(self, name: str, text: str) -> None:
        with self._lock:
            self._open()
            self._notes[name] = text

    def clear(self) -> None:
        with self._lock:
            self._open()
            self._entries = {}

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._entries = {}

    def _open(self) -> dict[Id, Entry]:
        if self._closed:
            raise closed_error(self.name)
        return self._entries
