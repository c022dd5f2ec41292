"""The files of a SQLite store: looked at before SQLite touches them, made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from pathlib import Path
from typing import NamedTuple

from sostenuto.stores.damage import newer
from sostenuto.stores.sqlite_faults import BUSY_SECONDS, FAULTS, damaged, explained, unreadable, unwritable

APPLICATION_ID = int.from_bytes(b"sost", "big")
FORMAT = 1
_HEAD = 100  # the size of SQLite's own head of a file

# `store` says what this file is one of: the random name of the store, this file's number, the number of files, and
# whether all files were made. A table of rows by number, with an index for the keys, keeps ids() and len() away from
# the records.
_SCHEMA = """
    CREATE TABLE store (name TEXT NOT NULL, shard INTEGER NOT NULL, shards INTEGER NOT NULL, complete INTEGER NOT NULL);
    CREATE TABLE notes (name TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL);
    CREATE TABLE entries (key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, record BLOB NOT NULL);
"""

_PRAGMAS = (
    "synchronous = FULL",
    "fullfsync = ON",  # macOS: through the cache of the disk
    "checkpoint_fullfsync = ON",
    "wal_autocheckpoint = 4000",  # pages: a log of 16 MB, in which a page changed often is copied back once
    "cache_size = -16384",  # KiB
    "cell_size_check = ON",
    "trusted_schema = OFF",
)


class Identity(NamedTuple):
    """The row of table ``store``."""

    name: str
    shard: int
    shards: int
    complete: int


def inspect(path: Path, where: str) -> bool:
    """Whether a store file is at ``path``, told from its first bytes and without SQLite, which might change it.

    Raises:
        StoreError: SO901, something else is there; SO902, a newer format; SO906, a part of the file is missing.
    """
    wanted = "a store that Sostenuto made, or a new file in a folder that is there"
    head = b""
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            with open(path, "rb") as file:
                head = file.read(_HEAD)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise unreadable(where, f"no folder '{path.parent}'", wanted, "make the folder first") from None
        return False
    except NotADirectoryError:
        raise unreadable(where, f"'{path.parent}', which is no folder", wanted, "name another path") from None
    except PermissionError:
        raise unreadable(where, "no right to read it", wanted, "give the right, or name another file") from None
    except OSError as error:
        raise unreadable(where, f"'{error.strerror}', says the system", wanted, "check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise unreadable(where, "a folder", wanted, f"name a file in it: {path / 'states.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise unreadable(where, "no regular file", wanted, "name another file")
    if not head:
        raise unreadable(where, "an empty file", wanted, "delete the empty file, or name another")
    if not head.startswith(b"SQLite format 3\0") or len(head) < _HEAD:
        raise unreadable(where, "a file of another kind", wanted, "name another file; this one was left as it is")
    if int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        got = "a SQLite file of another program"
        raise unreadable(where, got, wanted, "name another file; this one was left as it is")
    version = int.from_bytes(head[60:64], "big")
    if version > FORMAT:
        raise newer(where, version, FORMAT)
    if version < FORMAT:
        raise damaged(where, f"format {version}")
    page = int.from_bytes(head[16:18], "big")
    size = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    # With a log beside it, the file may rightly be behind its head.
    if found.st_size < size and not log_size(path):
        raise damaged(where, f"{found.st_size:,} of {size:,} bytes")
    return True


def log_size(path: Path) -> int:
    """The bytes of SQLite's write-ahead log beside a file."""
    try:
        return os.stat(f"{path}-wal").st_size
    except OSError:
        return 0


def create(path: Path, identity: Identity, where: str) -> None:
    """Makes a store file, complete and on the disk before it gets its name; one that is there already stays.

    Raises:
        StoreError: SO905, it cannot be made.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.executescript(f"BEGIN; {_SCHEMA}; COMMIT;")
            connection.execute("INSERT INTO store VALUES (?, ?, ?, ?)", identity)
            connection.execute("PRAGMA journal_mode = WAL")
        _sync(draft)
        _name(draft, path)
        _sync(path.parent)
    except FAULTS as error:
        raise explained(error, where, writing=True) from None
    except OSError as error:
        got = f"'{error.strerror}', says the system"
        raise unwritable(where, got, "a new file on the disk", "check the folder and the room on its disk") from None
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(f"{draft}{suffix}")


def _name(draft: Path, path: Path) -> None:
    """Gives a file its name unless another process was quicker."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links: the same but for the instant between look and rename.
        if not path.exists():
            os.rename(draft, path)


def _sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_dir():  # Windows opens no folders
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def why_read_only(path: Path) -> str:
    """Why a store file can only be read; empty where it can be written."""
    if not _may(path, os.W_OK):
        return "a file without the right to write"
    if not _may(path.parent, os.W_OK | os.X_OK):
        return "a folder without the right to write"
    return ""


def _may(path: Path, right: int) -> bool:
    return os.access(path, right, effective_ids=os.access in os.supports_effective_ids)


def connect(path: Path, where: str, writable: bool) -> sqlite3.Connection:
    """A connection to a store file that ``inspect`` has passed.

    Raises:
        StoreError: SO901 or SO906, it cannot be opened.
    """
    try:
        if writable:
            return _connect(path, "mode=rw")
        try:
            return _connect(path, "mode=ro")
        except sqlite3.OperationalError as error:
            if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
                raise
        # Without the right to make the index of the log, SQLite reads a file only as one that nobody changes.
        if not log_size(path):
            return _connect(path, "mode=ro&immutable=1")
    except FAULTS as error:
        raise explained(error, where, writing=False) from None
    raise unreadable(
        where,
        f"changes in '{path.name}-wal' that cannot be taken over, because the folder is read-only",
        "a folder that can be written, or a store that was closed",
        "copy both files to a folder of your own",
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # as_uri() needs an absolute path and escapes what has a meaning in an address.
    connection = sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        # The first statement that reads the file: a damaged one shows here.
        connection.execute("SELECT key, revision, record FROM entries LIMIT 1").fetchone()
    except FAULTS:
        connection.close()
        raise
    return connection


def identity_of(connection: sqlite3.Connection, where: str) -> Identity:
    """The row of table ``store``.

    Raises:
        StoreError: SO906, it is not there or makes no sense.
    """
    try:
        rows = connection.execute("SELECT name, shard, shards, complete FROM store").fetchall()
    except FAULTS as error:
        raise explained(error, where, writing=False) from None
    if len(rows) == 1 and isinstance(rows[0][0], str) and all(isinstance(number, int) for number in rows[0][1:]):
        identity = Identity(*rows[0])
        if 0 <= identity.shard < identity.shards:
            return identity
    raise damaged(where, "no word about which store this file belongs to")
