"""One file of a SQLite store: a connection that writes, a connection that reads, and the steps of a transaction."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from sostenuto.stores.contract import Change, Entry, closed_error
from sostenuto.stores.sqlite_faults import FAULTS, damaged, explained, read_only, unwritable
from sostenuto.stores.sqlite_file import Identity, connect, identity_of, why_read_only

T = TypeVar("T")
KeyedChange = tuple[str, Change]

PAGE = 1000  # keys read at once by all_keys()
_MOST_AT_ONCE = 256  # keys asked for in one statement


class Shard:
    """One file of a store.

    Reads never wait for a write: they have a connection of their own, and see what was last committed.

    Args:
        path: an absolute path that ``inspect`` has passed.
        where: the file in words.
    """

    def __init__(self, path: Path, where: str) -> None:
        self.path = path
        self.where = where
        self.read_only = why_read_only(path)
        self.write_lock = threading.RLock()
        self._read_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = connect(path, where, not self.read_only)
        self._file = self._found()

    def identity(self) -> Identity:
        """Which store this file is a part of."""
        return self._reading(lambda connection: identity_of(connection, self.where))

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of those keys that have one, all as of one moment."""

        def read(connection: sqlite3.Connection) -> dict[str, Entry]:
            if len(keys) <= _MOST_AT_ONCE:
                return dict(self._entries(connection, keys))
            connection.execute("BEGIN")
            try:
                found: dict[str, Entry] = {}
                for begin in range(0, len(keys), _MOST_AT_ONCE):
                    found.update(self._entries(connection, keys[begin : begin + _MOST_AT_ONCE]))
                return found
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

        # Another connection's write empties the reader's cache; the writer's own stays warm, where nobody is writing.
        if self.write_lock.acquire(blocking=False):
            try:
                if self._writer is not None and not self._writer.in_transaction:
                    return self._used(self._writer, read)
            finally:
                self.write_lock.release()
        return self._reading(read)

    def _entries(self, connection: sqlite3.Connection, keys: Sequence[str]) -> Iterator[tuple[str, Entry]]:
        # A power of two, filled up with NULL, which equals nothing: few statements to prepare, whatever is asked.
        size = 1 << (len(keys) - 1).bit_length() if keys else 1
        marks = ",".join("?" * size)
        statement = f"SELECT key, revision, record FROM entries WHERE key IN ({marks})"
        for key, revision, record in connection.execute(statement, [*keys, *[None] * (size - len(keys))]):
            if not isinstance(record, bytes) or not isinstance(revision, int):
                raise damaged(self.where, "an entry that is no revision and record")
            yield key, Entry(revision, record)

    def all_keys(self) -> Iterator[str]:
        """All keys in order, page by page, so that no transaction stays open between two of them."""
        last = ""
        statement = "SELECT key FROM entries WHERE key > ? ORDER BY key LIMIT ?"
        while True:
            page = self._reading(lambda connection, last=last: connection.execute(statement, (last, PAGE)).fetchall())  # type: ignore[misc]
            for (key,) in page:
                yield key
            if len(page) < PAGE:
                return
            last = page[-1][0]

    def count(self) -> int:
        """How many entries there are."""
        return self._reading(lambda connection: connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def note(self, name: str) -> str | None:
        """A small fact, None where there is none."""
        row = self._reading(
            lambda connection: connection.execute("SELECT text FROM notes WHERE name = ?", (name,)).fetchone()
        )
        return None if row is None else row[0]

    def _reading(self, use: Callable[[sqlite3.Connection], T]) -> T:
        with self._read_lock:
            if self._reader is None:
                raise closed_error(self.where)
            return self._used(self._reader, use)

    def _used(self, connection: sqlite3.Connection, use: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return use(connection)
        except FAULTS as error:
            raise explained(error, self.where, writing=False) from None

    # --- writing: begin, change, then commit or roll back; the caller holds write_lock -----------------------------

    def begin(self) -> None:
        """Begins a transaction; no other process can write this file until it ends."""
        if self.read_only:
            raise read_only(self.where, self.read_only)
        if self._found() != self._file:
            raise unwritable(
                self.where,
                "another file under this name, or none: it was moved, deleted or replaced while the store was open",
                "the file that was opened",
                "put the file back, or open the store again",
            )
        with self._explained():
            if self._writer is None:
                self._writer = connect(self.path, self.where, writable=True)
            self._writer.execute("BEGIN IMMEDIATE")

    def change(self, changes: Iterable[KeyedChange], revision: int) -> bool:
        """Makes changes within the transaction; False where one met another revision than it expected."""
        new, changed, deleted, absent = [], [], [], []
        for key, (_, expected, record) in changes:
            if record is None:
                if expected is None:
                    absent.append(key)
                else:
                    deleted.append((key, expected))
            elif expected is None:
                new.append((key, revision, record))
            else:
                changed.append((revision, record, key, expected))
        return (
            self._each("INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT DO NOTHING", new)
            and self._each("UPDATE entries SET revision = ?, record = ? WHERE key = ? AND revision = ?", changed)
            and self._each("DELETE FROM entries WHERE key = ? AND revision = ?", deleted)
            and not self.revisions(absent)
        )

    def _each(self, statement: str, rows: Sequence[tuple[object, ...]]) -> bool:
        if not rows:
            return True
        with self._explained():
            return self._open_writer().executemany(statement, rows).rowcount == len(rows)

    def revisions(self, keys: Sequence[str]) -> dict[str, int]:
        """The revisions of those keys that have an entry, as the transaction sees them."""
        with self._explained():
            find = self._open_writer().execute
            rows = [find("SELECT key, revision FROM entries WHERE key = ?", (key,)).fetchone() for key in keys]
        return dict(row for row in rows if row is not None)

    def execute(self, statement: str, values: Sequence[object] = ()) -> None:
        """Any other change within the transaction."""
        with self._explained():
            self._open_writer().execute(statement, values)

    def commit(self) -> None:
        """Ends the transaction; its changes are on the disk."""
        with self._explained():
            self._open_writer().execute("COMMIT")

    def rollback(self) -> None:
        """Ends the transaction as if it had never begun; the next one works, whatever went wrong in this one."""
        if self._writer is None or not self._writer.in_transaction:
            return
        try:
            self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            # What a broken connection leaves uncommitted in the log is not read by the next one.
            self._writer.close()
            self._writer = None

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        return self._writer

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            raise explained(error, self.where, writing=True) from None

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Closes both connections; the last of all processes to do so copies the log into the file."""
        with self.write_lock, self._read_lock:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None
