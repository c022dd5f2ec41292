"""A store in SQLite files: durable, no server, from the standard library."""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from sostenuto.diagnosis import count
from sostenuto.errors import StoreError
from sostenuto.stores.contract import Change, Entry, Store, closed_error, conflict, new_revision, refuse_twice
from sostenuto.stores.ids import Id, id_of, key_text
from sostenuto.stores.sqlite_faults import unreadable
from sostenuto.stores.sqlite_file import Identity, create, inspect
from sostenuto.stores.sqlite_shard import KeyedChange, Shard

MOST_SHARDS = 256


class SQLiteStore(Store):
    """A store in one SQLite file, or in a fixed number of them.

    Every ``write`` is one transaction, on the disk when it returns (a write-ahead log, ``synchronous=FULL``). Several
    processes may open the same store; two that write the same id are told apart by its revision, and the later one gets
    a ConflictError. Files that can only be read are read. The disk must be a local one: SQLite's log does not work over
    a network file system; several machines share a ValkeyStore.

    With several files, a call that touches more than one begins, checks and writes in all of them before it commits
    any. A crash between two commits leaves every id whole, but some ids of that call after it and the others before;
    step numbers show which. One file, the default, has no such gap.

    Args:
        path: the file, made where there is none; its folder must be there. Further files get ``.1``, ``.2`` ... behind
            their name.
        shards: the number of files of a new store, from 1 (the default) to 256. It cannot be changed later.

    Raises:
        StoreError: SO901, the path names something else; SO902, a newer format; SO905, no file can be made; SO906, a
            file is damaged.

    Example:
        >>> import tempfile, pathlib
        >>> from sostenuto.stores import Change, SQLiteStore
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name) / "engines.db"
        >>> with SQLiteStore(path) as store:
        ...     revision = store.write([Change("engine-17", None, b"state")])
        >>> with SQLiteStore(path) as store:
        ...     store.read(["engine-17"])[0].record
        b'state'
        >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str], shards: int | None = None) -> None:
        self._name = f"SQLite {os.fspath(path)!r}"
        self._path = Path(os.path.abspath(path))
        self._process = os.getpid()
        self._closed = False
        self._shards: list[Shard] = []
        self._check_number(shards)
        try:
            self._open(shards)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        return self._name

    def read(self, ids: Sequence[Id]) -> list[Entry | None]:
        self._check_open()
        keys = [key_text(id) for id in ids]
        found: dict[str, Entry] = {}
        for shard, members in self._by_shard(keys):
            found.update(shard.read([keys[row] for row in members]))
        return [found.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> int:
        self._check_open()
        keys = [key_text(change.id) for change in changes]
        if len(set(keys)) < len(keys):
            refuse_twice(self.name, [id_of(key, self.name) for key in keys])
        revision = new_revision()
        parts = [(shard, [(keys[row], changes[row]) for row in members]) for shard, members in self._by_shard(keys)]
        with self._transaction([shard for shard, _ in parts]):
            if not all(shard.change(part, revision) for shard, part in parts):
                # Rolled back first: the changes made so far would be found instead of what others wrote.
                for shard, _ in parts:
                    shard.rollback()
                raise conflict(self.name, _others(changes, parts))
        return revision

    def ids(self) -> Iterator[Id]:
        self._check_open()
        return self._ids()

    def _ids(self) -> Iterator[Id]:
        for shard in self._shards:
            for key in shard.all_keys():
                yield id_of(key, self.name)
                self._check_open()

    def __len__(self) -> int:
        self._check_open()
        return sum(shard.count() for shard in self._shards)

    def note(self, name: str) -> str | None:
        self._check_open()
        return self._shards[0].note(name)

    def set_note(self, name: str, text: str) -> None:
        self._check_open()
        with self._transaction(self._shards[:1]):
            self._shards[0].execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, text))

    def clear(self) -> None:
        self._check_open()
        with self._transaction(self._shards):
            for shard in self._shards:
                shard.execute("DELETE FROM entries")

    def close(self) -> None:
        self._closed = True
        if os.getpid() == self._process:
            for shard in self._shards:
                shard.close()

    # --- several files as one --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self, shards: Sequence[Shard]) -> Iterator[None]:
        """A transaction in each of ``shards``: all are committed, one after the other, or none."""
        with contextlib.ExitStack() as locks:
            # Always in the order of their numbers, so that no two calls wait for each other.
            for shard in shards:
                locks.enter_context(shard.write_lock)
            self._check_open()
            committed: list[Shard] = []
            try:
                for shard in shards:
                    shard.begin()
                yield
                for shard in shards:
                    shard.commit()
                    committed.append(shard)
            except BaseException as error:
                for shard in shards:
                    shard.rollback()
                if committed and isinstance(error, StoreError):
                    raise _split(error, len(committed), len(shards)) from None
                raise

    def _by_shard(self, keys: Sequence[str]) -> list[tuple[Shard, Sequence[int]]]:
        """The shards that hold ``keys``, in the order of their numbers, with the positions of their keys."""
        if not keys:
            return []
        if len(self._shards) == 1:
            return [(self._shards[0], range(len(keys)))]
        members: dict[int, list[int]] = {}
        for row, key in enumerate(keys):
            members.setdefault(zlib.crc32(key.encode()) % len(self._shards), []).append(row)
        return [(self._shards[number], members[number]) for number in sorted(members)]

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.name)
        if os.getpid() != self._process:
            # SQLite's locks do not pass to a child process; going on would damage the file.
            raise closed_error(self.name, "a call in a child process of the one that opened it")

    # --- opening ---------------------------------------------------------------------------------------------------

    def _check_number(self, shards: int | None) -> None:
        if shards is None or (isinstance(shards, int) and not isinstance(shards, bool) and 1 <= shards <= MOST_SHARDS):
            return
        wanted = f"a whole number from 1 to {MOST_SHARDS}"
        raise unreadable(self.name, f"shards={shards!r}", wanted, "leave shards out for one file")

    def _open(self, shards: int | None) -> None:
        if not inspect(self._path, self.name):
            number = shards or 1
            create(self._path, Identity(secrets.token_hex(16), 0, number, int(number == 1)), self.name)
            inspect(self._path, self.name)
        first = Shard(self._path, self.name)
        self._shards.append(first)
        identity = first.identity()
        if identity.shard:
            raise unreadable(
                self.name,
                f"file {identity.shard} of the {identity.shards} of a store",
                "its first file",
                f"open {os.path.basename(self._path).removesuffix(f'.{identity.shard}')!r}",
            )
        if shards is not None and shards != identity.shards:
            raise unreadable(
                self.name,
                f"shards={shards}",
                f"shards={identity.shards}, as the store was made",
                f"leave shards out, or make a new store with {shards} and copy the entries",
            )
        for number in range(1, identity.shards):
            self._shards.append(self._open_further(identity, number))
        if not identity.complete and not first.read_only:
            with self._transaction([first]):
                first.execute("UPDATE store SET complete = 1")

    def _open_further(self, first: Identity, number: int) -> Shard:
        """Opens a further file; makes it only where the store was never complete, or a lost file would pass for new."""
        path = self._path.with_name(f"{self._path.name}.{number}")
        where = f"SQLite {path.name!r}, file {number} of {self.name}"
        if not inspect(path, where):
            if first.complete:
                got = f"no such file; the store has {count(first.shards, 'file')}"
                raise unreadable(where, got, "all files of the store", "put it back beside the first one")
            create(path, Identity(first.name, number, first.shards, 1), where)
            inspect(path, where)
        shard = Shard(path, where)
        found = shard.identity()
        if (found.name, found.shard, found.shards) != (first.name, number, first.shards):
            shard.close()
            wanted = "the file that was made with the first one"
            raise unreadable(where, "a file of another store", wanted, "put the right file back")
        return shard


def _others(
    changes: Sequence[Change], parts: Sequence[tuple[Shard, Sequence[KeyedChange]]]
) -> list[tuple[Change, int | None]]:
    """The changes that expected another revision than the one there, which comes with each."""
    there: dict[Id, int | None] = {}
    for shard, part in parts:
        shard.begin()
        revisions = shard.revisions([key for key, _ in part])
        shard.rollback()
        there.update((change.id, revisions.get(key)) for key, change in part)
    return [(change, there[change.id]) for change in changes if there[change.id] != change.expected]


def _split(error: StoreError, done: int, of: int) -> StoreError:
    return StoreError(
        error.what,
        code=error.code,
        where=error.where,
        got=f"{error.got}\nafter {done} of {of} files were written: some ids of the call are after it, others before",
        wanted=error.wanted,
        fix=f"{error.fix}; read the ids again first",
    )
