"""docs/pages/store-format.md says what the code does."""

from __future__ import annotations

import re
import sqlite3
import zlib
from pathlib import Path

import numpy as np

from sostenuto.stores import Change, SQLiteStore, ValkeyStore
from sostenuto.stores.arrays import CODES, MOST_AXES
from sostenuto.stores.record import HEAD, Record, pack, unpack

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "pages" / "store-format.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[1]


def floats(*values: float) -> np.ndarray:
    return np.array(values, "float32")


def test_the_example_of_a_record():
    data = bytes.fromhex(block("text"))
    record = unpack(data)
    assert (record.step, record.at, record.call_steps, record.input_crc) == (17, 41.5, 1, 0xDEADBEEF)
    assert [state.tolist() for state in record.states] == [[0.5, -0.25], [1, 2]]
    assert record.answer.tolist() == [0.75]
    assert {array.dtype.name for array in [*record.states, record.answer]} == {"float32"}
    assert pack(Record(17, 41.5, 1, 0xDEADBEEF, [floats(0.5, -0.25), floats(1, 2)], floats(0.75))) == data


def test_the_places_and_sizes_of_the_fields():
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ", TEXT, re.MULTILINE)
    places = [(int(begin), int(size)) for begin, size in rows]
    assert [begin for begin, _ in places] == [sum(size for _, size in places[:row]) for row in range(len(places))]
    assert sum(size for _, size in places) == HEAD.size == 40


def test_the_codes_of_the_dtypes():
    pairs = re.findall(r"\| (\d+) \| ([a-z]+\d*)", TEXT)
    assert {name: int(code) for code, name in pairs if name in CODES} == CODES
    assert f"(at most {MOST_AXES})" in TEXT


def test_the_tables_and_marks_of_a_sqlite_file(tmp_path):
    with SQLiteStore(tmp_path / "states.db") as store:
        store.write([Change(("lyon", 3), None, b"record"), Change("é", None, b"")])
    connection = sqlite3.connect(tmp_path / "states.db")
    found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    assert [sql for (sql,) in found] == [line.removesuffix(";") for line in block("sql").splitlines()]
    marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    assert marks == [0x736F7374, 1]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT key, record FROM entries ORDER BY key").fetchall() == [
        ('"é"', b""),
        ('["lyon",3]', b"record"),
    ]
    assert connection.execute("SELECT shard, shards, complete FROM store").fetchall() == [(0, 1, 1)]
    connection.close()


def test_the_file_of_an_id(tmp_path):
    ids = ["engine-17", 17, ("lyon", 3), "é"]
    with SQLiteStore(tmp_path / "states.db", 3) as store:
        store.write([Change(id, None, b"1") for id in ids])
    for number in range(3):
        connection = sqlite3.connect(tmp_path / ("states.db" + (f".{number}" if number else "")))
        keys = [key for (key,) in connection.execute("SELECT key FROM entries")]
        connection.close()
        texts = ['"engine-17"', "17", '["lyon",3]', '"é"']
        assert sorted(keys) == sorted(text for text in texts if zlib.crc32(text.encode()) % 3 == number)


def test_the_keys_on_a_server(server):
    server.flush()
    with ValkeyStore(server.url) as store:
        revision = store.write([Change("engine-17", None, b"record")])
        store.set_note("model", "a")
        client = store._client
        kinds = dict(re.findall(r"^\| `(sostenuto:\w+)` \| (\w+ ?\w*) \|", TEXT, re.MULTILINE))
        named = {"hash": "hash", "zset": "sorted set", "string": "string"}
        assert {key.decode(): named[client.type(key).decode()] for key in client.scan_iter()} == kinds
        assert client.hgetall("sostenuto:entries") == {b'"engine-17"': revision.to_bytes(8, "big") + b"record"}
        assert client.zrange("sostenuto:ids", 0, -1, withscores=True) == [(b'"engine-17"', 0.0)]
        assert client.get("sostenuto:format") == b"1"
