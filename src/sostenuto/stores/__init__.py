"""Where state rests between calls: memory, a SQLite file, a Valkey server, behind one small interface."""

from sostenuto.stores.contract import Change, Entry, Store
from sostenuto.stores.ids import Id, plain_id
from sostenuto.stores.memory import MemoryStore
from sostenuto.stores.opening import open_store
from sostenuto.stores.sqlite import SQLiteStore
from sostenuto.stores.valkey import ValkeyStore

__all__ = ["Change", "Entry", "Id", "MemoryStore", "SQLiteStore", "Store", "ValkeyStore", "open_store", "plain_id"]
