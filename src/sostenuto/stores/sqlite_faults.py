"""What SQLite reports, in the form of Sostenuto's errors."""

from __future__ import annotations

import sqlite3

from sostenuto.errors import StoreError
from sostenuto.stores.contract import closed_error

# How long a process waits for the lock of another one.
BUSY_SECONDS = 5.0

# What a call of SQLite may raise: the text of its messages and of the schema comes from the file, damaged as it may be.
FAULTS = (sqlite3.Error, UnicodeDecodeError)

_OPEN = "This cannot be opened or read as a store."
_WRITE = "The store cannot be written."


def unreadable(where: str, got: str, wanted: str, fix: str) -> StoreError:
    """The error for a path that names no store that can be opened and read (SO901)."""
    return StoreError(_OPEN, code="SO901", where=where, got=got, wanted=wanted, fix=fix)


def unwritable(where: str, got: str, wanted: str, fix: str) -> StoreError:
    """The error for a store that takes no change (SO905)."""
    return StoreError(_WRITE, code="SO905", where=where, got=got, wanted=wanted, fix=fix)


def read_only(where: str, why: str) -> StoreError:
    """The error for a change to a store that can only be read (SO905)."""
    return unwritable(
        where,
        why,
        "the right to write the file and its folder (SQLite keeps its log beside the file)",
        "give the right, or copy the store to a folder of your own",
    )


def damaged(where: str, got: str) -> StoreError:
    """The error for a file of ours that no longer holds together (SO906)."""
    return StoreError(
        "A store file is damaged.",
        code="SO906",
        where=where,
        got=got,
        wanted="the file as it was written",
        fix="put back a copy from before the damage; sqlite3's .recover may save what is left",
    )


def explained(error: Exception, where: str, writing: bool) -> StoreError:
    """SQLite's error as a StoreError.

    Args:
        error: what SQLite raised.
        where: the store in words.
        writing: whether a change was under way.
    """
    kind = getattr(error, "sqlite_errorname", "") or ""
    if isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in str(error):
        return damaged(where, "text that is no UTF-8")
    # SQLITE_ERROR: a table or column is missing.
    if kind.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or kind == "SQLITE_ERROR":
        return damaged(where, f"'{error}', says SQLite")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return closed_error(where)
    if kind.startswith("SQLITE_READONLY"):
        return read_only(where, f"'{error}', says SQLite")
    got, fix = _reason(kind, error)
    if writing:
        return unwritable(where, got, "every change on the disk before the call returns; none was made", fix)
    return unreadable(where, got, "a store file that can be read", fix)


def _reason(kind: str, error: Exception) -> tuple[str, str]:
    if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return (
            f"another process has held its lock for more than {BUSY_SECONDS:g} seconds",
            "let the other process finish its transaction or end it, then repeat the call",
        )
    if kind == "SQLITE_FULL":
        return f"no room is left: '{error}', says SQLite", "make room on the disk, then repeat the call"
    if kind.startswith("SQLITE_IOERR"):
        return f"the disk refuses: '{error}' ({kind}), says SQLite", "make room or look after the disk, then repeat"
    return f"'{error}' ({kind}), says SQLite", "check that the file and its folder are there and yours to use"
