"""Every store of Sostenuto passes the tests that it ships."""

from __future__ import annotations

import pytest

from sostenuto.stores import MemoryStore, SQLiteStore, ValkeyStore
from sostenuto.stores.testing import StoreTests


class TestMemory(StoreTests):
    def make_store(self, tmp_path):
        return MemoryStore()


class TestSQLite(StoreTests):
    durable = True

    def make_store(self, tmp_path):
        return SQLiteStore(tmp_path / "states.db")

    def reopen(self, store, tmp_path):
        store.close()
        return SQLiteStore(tmp_path / "states.db")


class TestSQLiteInThreeFiles(StoreTests):
    durable = True

    def make_store(self, tmp_path):
        return SQLiteStore(tmp_path / "states.db", shards=3)

    def reopen(self, store, tmp_path):
        store.close()
        return SQLiteStore(tmp_path / "states.db")


class TestValkey(StoreTests):
    durable = True

    @pytest.fixture(autouse=True)
    def _server(self, server):
        server.flush()
        self.url = server.url

    def make_store(self, tmp_path):
        return ValkeyStore(self.url)

    def reopen(self, store, tmp_path):
        store.close()
        return ValkeyStore(self.url)
