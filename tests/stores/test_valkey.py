"""A store on a server: crashes of the server, full memory, foreign keys, and what it says about durability."""

from __future__ import annotations

import socket
import sys
import warnings

import pytest

from sostenuto.errors import BackendError, ConflictError, StoreError
from sostenuto.stores import Change, ValkeyStore, open_store
from tests.stores.servers import DURABLE, Server


@pytest.fixture
def store(server):
    server.flush()
    with ValkeyStore(server.url) as store:
        yield store


def where(server) -> str:
    return f"Valkey 'valkey://127.0.0.1:{server.port}/0'"


def test_addresses_of_servers(server):
    address = f"127.0.0.1:{server.port}"
    for url in (f"valkey://{address}", f"redis://{address}/0"):
        with open_store(url) as store:
            assert isinstance(store, ValkeyStore)
            assert store.name == f"Valkey '{url.removesuffix('/0')}/0'"


def test_a_password_is_never_shown(server):
    with ValkeyStore(server.url) as store:
        store._client.config_set("requirepass", "hush")
    try:
        for url in (server.url, server.url.replace("//", "//:wrong@")):
            with pytest.raises(StoreError) as caught:
                ValkeyStore(url)
            assert (caught.value.code, caught.value.where) == ("SO908", where(server))
            assert "wrong" not in str(caught.value)
        with ValkeyStore(server.url.replace("//", "//:hush@")) as store:
            assert store.name == where(server)
            assert "hush" not in repr(store)
    finally:
        with ValkeyStore(server.url.replace("//", "//:hush@")) as store:
            store._client.config_set("requirepass", "")


def test_no_server_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(StoreError) as caught:
            open_store(f"valkey://user:secret@127.0.0.1:{port}/2")
    assert str(caught.value) == (
        "The server of a store does not answer.\n"
        f"  where   Valkey 'valkey://127.0.0.1:{port}/2'\n"
        f"  got     'Error 111 connecting to 127.0.0.1:{port}. Connection refused.'\n"
        "  wanted  a server that answers\n"
        "  fix     start the server, or check host and port\n"
        "  more    sostenuto explain SO908"
    ).replace("Error 111", f"Error {111 if sys.platform == 'linux' else 61}")


def test_an_address_that_is_none():
    with pytest.raises(StoreError) as caught:
        ValkeyStore("http://127.0.0.1")
    assert (caught.value.code, caught.value.wanted) == ("SO901", "valkey://host:port/database")


def test_without_the_package_valkey(monkeypatch):
    monkeypatch.setitem(sys.modules, "valkey", None)
    with pytest.raises(BackendError) as caught:
        open_store("valkey://127.0.0.1")
    assert str(caught.value) == (
        "A store on a server needs the package valkey.\n"
        "  where   ValkeyStore\n"
        "  got     no package valkey\n"
        "  wanted  valkey 6 or newer, which speaks to Valkey and Redis servers alike\n"
        "  fix     pip install 'sostenuto[valkey]'\n"
        "  more    sostenuto explain SO703"
    )


def test_what_was_acknowledged_survives_the_death_of_the_server(tmp_path):
    server = Server(tmp_path, *DURABLE)
    try:
        with ValkeyStore(server.url) as store:
            revisions = [
                store.write([Change(f"{turn}-{n}", None, b"%d" % turn) for n in range(9)]) for turn in range(40)
            ]
            store.set_note("model", "a")
            server.kill()
            with pytest.raises(StoreError) as caught:
                store.write([Change("late", None, b"1")])
            assert caught.value.code == "SO908"
            assert "whether this call was kept is not known" in caught.value.fix
            server.start()
            # The store finds the server again by itself.
            for turn, revision in enumerate(revisions):
                assert store.read([f"{turn}-{n}" for n in range(9)]) == [(revision, b"%d" % turn)] * 9
            assert (len(store), store.note("model")) == (360, "a")
    finally:
        server.kill()


def test_only_keys_under_the_prefix_are_touched(store, server):
    client = store._client
    client.set("other", "1")
    client.hset("sostenuto:other", "a", "1")
    with ValkeyStore(server.url, prefix="another:") as another:
        assert another.name == f"{where(server)}, prefix 'another:'"
        another.write([Change("a", None, b"another")])
        store.write([Change("a", None, b"1"), Change("b", None, b"2")])
        assert sorted(key.decode() for key in client.scan_iter()) == [
            "another:entries", "another:format", "another:ids", "other",
            "sostenuto:entries", "sostenuto:format", "sostenuto:ids", "sostenuto:other",
        ]  # fmt: skip
        store.clear()
        assert list(store.ids()) == []
        assert another.read(["a"])[0].record == b"another"
    assert (client.get("other"), client.hget("sostenuto:other", "a")) == (b"1", b"1")


def test_reading_makes_no_key(store):
    assert (store.read(["a"]), list(store.ids()), len(store), store.note("a")) == ([None], [], 0, None)
    assert store._client.dbsize() == 0


KINDS = {"entries": "hash", "ids": "zset", "notes": "hash", "format": "string"}


@pytest.mark.parametrize("key", KINDS)
def test_keys_of_another_program(store, server, key):
    store._client.lpush(f"sostenuto:{key}", "1")
    with pytest.raises(StoreError) as caught:
        ValkeyStore(server.url)
    assert str(caught.value) == (
        "This cannot be opened or read as a store.\n"
        f"  where   {where(server)}\n"
        f"  got     a list under the key 'sostenuto:{key}'\n"
        f"  wanted  a {KINDS[key]}, or nothing\n"
        "  fix     choose another prefix=\n"
        "  more    sostenuto explain SO901"
    )
    if key != "notes":
        with pytest.raises(StoreError) as caught:
            store.write([Change("a", None, b"1")])
        assert caught.value.code == "SO901"
    store._client.delete(f"sostenuto:{key}")
    assert store.read(["a"]) == [None]


def test_a_newer_format_is_neither_opened_nor_written(store, server):
    store._client.set("sostenuto:format", "2")
    for call in (lambda: ValkeyStore(server.url), lambda: store.write([Change("a", None, b"1")])):
        with pytest.raises(StoreError) as caught:
            call()
        assert str(caught.value) == (
            "This was written by a newer Sostenuto.\n"
            f"  where   {where(server)}\n"
            "  got     format 2\n"
            "  wanted  format 1\n"
            "  fix     pip install --upgrade sostenuto\n"
            "  more    sostenuto explain SO902"
        )
    assert store.read(["a"]) == [None]


def test_a_format_that_is_none(store, server):
    store._client.set("sostenuto:format", "mine")
    with pytest.raises(StoreError) as caught:
        ValkeyStore(server.url)
    assert caught.value.code == "SO901"


def test_a_damaged_entry(store):
    store.write([Change("a", None, b"1")])
    store._client.hset("sostenuto:entries", '"a"', b"1234")
    with pytest.raises(StoreError) as caught:
        store.read(["a"])
    assert (caught.value.code, caught.value.got) == ("SO906", "4 bytes")


def test_a_full_server_takes_all_of_a_call_or_nothing(store):
    revision = store.write([Change(number, None, b"x" * 1000) for number in range(100)])
    before = store.read(range(100))
    store._client.config_set("maxmemory", "1mb")
    try:
        for changes in (
            [Change(0, revision, b"2"), Change(1, revision, None), Change("new", None, b"1")],
            [Change("new", None, b"1"), Change(1, revision, None)],
        ):
            with pytest.raises(StoreError) as caught:
                store.write(changes)
            assert caught.value.code == "SO905"
            assert "maxmemory" in caught.value.got
            assert (store.read(range(100)), "new" in store) == (before, False)
    finally:
        store._client.config_set("maxmemory", "0")
    store.write([Change(0, revision, b"2"), Change(1, revision, None)])
    assert len(store) == 99


def test_a_call_that_no_server_would_read(store):
    with pytest.raises(StoreError) as caught:
        store.write([Change(number, None, b"") for number in range(300_001)])
    assert (caught.value.code, caught.value.got) == ("SO905", "300,001 changes")
    assert len(store) == 0


def test_calls_that_need_several_commands(store, monkeypatch):
    monkeypatch.setattr("sostenuto.stores.valkey._READ_AT_ONCE", 100)
    ids = list(range(2_050))
    revision = store.write([Change(id, None, b"%d" % id) for id in ids])
    assert store.read(ids) == [(revision, b"%d" % id) for id in ids]
    assert sum(1 for _ in store.ids()) == len(ids)
    with pytest.raises(ConflictError):
        store.write([Change(id, None, b"") for id in ids])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--save", ""), "it has 'appendonly no', so that a crash loses what was written since its last snapshot"),
        (("--appendonly", "yes"), "it has 'appendfsync everysec', so that a crash loses the last seconds"),
        (
            (*DURABLE, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            "it has 'maxmemory-policy allkeys-lru', which deletes the store to make room",
        ),
        ((*DURABLE, "--rename-command", "CONFIG", ""), "it does not tell whether it has 'appendonly yes' and"),
    ],
)
def test_a_server_that_may_lose_steps_is_reported_once(tmp_path, options, words):
    server = Server(tmp_path, *options)
    try:
        with pytest.warns(UserWarning, match="may lose steps") as warned, ValkeyStore(server.url) as store:
            store.write([Change("a", None, b"1")])
        (told,) = [each for each in warned if each.category is UserWarning]
        assert str(told.message).startswith(f"{where(server)} may lose steps that were acknowledged: {words}")
        assert told.filename == __file__
    finally:
        server.kill()


def test_a_durable_server_is_not_reported(server):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ValkeyStore(server.url).close()
