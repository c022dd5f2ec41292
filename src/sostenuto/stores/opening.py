"""From what a user writes to a store: nothing, a path, an address, or a store."""

from __future__ import annotations

import os
import re

from sostenuto.diagnosis import shape_of
from sostenuto.errors import StoreError
from sostenuto.stores.contract import Store
from sostenuto.stores.memory import MemoryStore
from sostenuto.stores.sqlite import SQLiteStore
from sostenuto.stores.valkey import ValkeyStore

SERVERS = ("valkey", "valkeys", "redis", "rediss")


def open_store(store: Store | str | os.PathLike[str] | None) -> Store:
    """Opens a store, or makes a new one.

    Args:
        store: None for memory; ``"valkey://..."`` or ``"redis://..."`` (with TLS: ``valkeys://``, ``rediss://``) for a
            server; any other text or path for a SQLite file; a store is returned as it is.

    Returns:
        The store. Whoever opened it closes it.

    Raises:
        StoreError: SO901, SO902 or SO908, it cannot be opened.
        BackendError: SO703, the package valkey is not installed.

    Example:
        >>> from sostenuto.stores import open_store
        >>> open_store(None).name
        'memory'
    """
    if store is None:
        return MemoryStore()
    if isinstance(store, Store):
        return store
    if isinstance(store, str):
        address = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", store)
        if address and address[1].lower() in SERVERS:
            return ValkeyStore(store)
        if address:
            raise _error(f"an address that begins with '{address[0]}'")
    elif not isinstance(store, os.PathLike):
        raise _error(shape_of(store))
    return SQLiteStore(store)


def _error(got: str) -> StoreError:
    return StoreError(
        "This names no store.",
        code="SO901",
        where="argument 'store'",
        got=got,
        wanted="None (memory), the path of a file (SQLite), valkey://host:port, redis://host:port, or a store",
        fix="write a path such as 'engines.db'",
    )
