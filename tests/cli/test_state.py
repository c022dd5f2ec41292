"""``sostenuto state``: what a store holds is listed, shown and forgotten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sostenuto as so
from sostenuto.cli import states
from sostenuto.cli.state_ids import chosen, shown
from sostenuto.cli.state_notes import FORMAT, NOTE
from sostenuto.sessions import fingerprint
from sostenuto.stores import Change, MemoryStore, SQLiteStore
from sostenuto.stores.ids import key_text
from tests.cli.stores import fill, five, held, record
from tests.cli.tables import run

pytestmark = pytest.mark.plain


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A store of five ids."""
    return five(tmp_path / "engines.db")


def test_no_keras_is_needed(db: Path) -> None:
    # The package itself brings Keras along; the commands do not: here its __init__ is left out.
    code = (
        "import sys, types; package = types.ModuleType('sostenuto'); package.__path__ = [sys.argv.pop(1)]\n"
        "sys.modules['sostenuto'] = package\n"
        "from sostenuto.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print([name for name in ('keras', 'jax', 'torch', 'tensorflow', 'matplotlib') if name in sys.modules])"
    )
    source = str(Path(so.__file__).parent)
    for command in (["ls", db], ["show", db, "8"], ["export", db, db.with_suffix(".parquet")], ["reset", db, "8"]):
        done = subprocess.run(
            [sys.executable, "-c", code, source, "state", *map(str, command)],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""},
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "[]"
    assert 8 not in held(db)


def test_note_is_that_of_sessions() -> None:
    assert (NOTE, FORMAT) == (fingerprint.NOTE, fingerprint.FORMAT)


# --- ls ----------------------------------------------------------------------------------------------------------


def test_ls(db: Path) -> None:
    found = run("state", "ls", db)
    assert found.exit_code == 0
    assert found.stdout == (
        f"store   SQLite {str(db)!r}\n"
        "states  lstm h (2,) float32, lstm c (2,) float32\n"
        "\n"
        "id          steps  time of its last step\n"
        '"17"            1\n'
        "engine-4        3  41.5\n"
        "17             12  4611686018427387904 (2116-02-20 23:53:38)\n"
        "8               5  1700000000123456789 (2023-11-14 22:13:20)\n"
        '["lyon",3]  1,204\n'
        "\n"
        "5 ids\n"
    )


def test_ls_of_some(db: Path) -> None:
    assert run("state", "ls", db, "--match", "eng*").stdout.splitlines()[-1] == "1 id like 'eng*', of 5 in all"
    assert run("state", "ls", db, "--match", "*", "--most", 2).stdout.splitlines()[-1] == (
        "2 of 5 ids like '*', of 5 in all; --most 5 shows all"
    )
    assert run("state", "ls", db, "--most", 3).stdout.splitlines()[-1] == "3 of 5 ids; --most 5 shows all"


def test_ls_of_more_than_one_reading(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    fill(path, {number: record(number) for number in range(2100)})
    lines = run("state", "ls", path, "--most", 5000).stdout.splitlines()
    assert lines[-1] == "2,100 ids"
    assert sorted(int(line.split()[0]) for line in lines[4:-2]) == list(range(2100))


def test_ls_passes_a_damaged_record(db: Path) -> None:
    with SQLiteStore(db) as store:
        entry = store.read(["engine-4"])[0]
        assert entry is not None
        store.write([Change("engine-4", entry.revision, entry.record[:-1] + b"?")])
    found = run("state", "ls", db)
    assert "engine-4        ?  damaged\n" in found.stdout
    shows = run("state", "show", db, "engine-4")
    assert (shows.exit_code, shows.stderr.splitlines()[0]) == (2, "StoreError: A record of a store is damaged.")
    resets = run("state", "reset", db, "engine-4")
    assert resets.stdout == "forgot engine-4, whose record was damaged; its next step begins anew\n"
    assert "engine-4" not in held(db)


def test_store_that_is_not_there_is_not_made(db: Path) -> None:
    for command in (["ls"], ["show", "a"], ["reset", "a"], ["export", db.with_name("out.parquet")]):
        verb, *rest = command
        found = run("state", verb, db.with_name("engine.db"), *rest)
        assert found.exit_code == 2
        assert found.stderr == (
            "StoreError: This cannot be opened or read as a store.\n"
            f"  where   {str(db.with_name('engine.db'))!r}\n"
            "  got     nothing there\n"
            "  wanted  a file that a session has made, or valkey://host:port\n"
            "  fix     near ones: engines.db\n"
            "  more    sostenuto explain SO901\n"
        )
    assert [path.name for path in db.parent.iterdir()] == ["engines.db"]


# --- show --------------------------------------------------------------------------------------------------------


def test_show(db: Path) -> None:
    lines = run("state", "show", db, "engine-4").stdout.splitlines()
    assert lines[:5] == [
        "id         engine-4",
        f"store      SQLite {str(db)!r}",
        "steps      3",
        "time       41.5",
        "last call  1 step, answered with (1, 1) float32",
    ]
    table = [line.split() for line in lines if line.strip().startswith(("state", "lstm"))]
    assert table == [
        ["state", "shape", "dtype", "min", "mean", "max", "norm"],
        ["lstm.h", "(2,)", "float32", "-0.25", "0.375", "1", "1.031"],
        ["lstm.c", "(2,)", "float32", "-9", "-4", "1", "9.055"],
    ]
    values = run("state", "show", db, "engine-4", "--values").stdout
    assert values.endswith("lstm.h\n[ 1.   -0.25]\nlstm.c\n[ 1. -9.]\nlast answer\n[[0.75]]\n")


def test_show_json(db: Path) -> None:
    found = json.loads(run("state", "show", db, '["lyon",3]', "--json").stdout)
    assert (found["id"], found["step"], found["at"]) == (["lyon", 3], 1204, None)
    assert found["last_call"] == {"steps": 1, "answer": None}
    c = found["states"]["lstm"]["c"]
    assert (c["shape"], c["dtype"], c["min"], c["max"]) == ([2], "float32", -(1204**2), 1.0)
    assert "values" not in c
    found = json.loads(run("state", "show", db, "engine-4", "--json", "--values").stdout)
    assert found["states"]["lstm"] == {
        "h": {**found["states"]["lstm"]["h"], "values": [1.0, -0.25]},
        "c": {**found["states"]["lstm"]["c"], "values": [1.0, -9.0]},
    }
    assert found["last_call"]["answer"]["values"] == [[0.75]]


def test_states_without_a_note_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with SQLiteStore(path) as store:
        store.write([Change("a", None, record(3))])
    assert list(json.loads(run("state", "show", path, "a", "--json").stdout)["states"]["states"]) == ["0", "1"]


def test_record_that_does_not_fit_the_note(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    fill(path, {"a": record(3, dtype="float64")})
    found = run("state", "show", path, "a")
    assert found.exit_code == 2
    assert found.stderr == (
        "StoreError: A record of a store is damaged.\n"
        f"  where   the record of 'a' in SQLite {str(path)!r}\n"
        "  got     other states than the store's model has\n"
        "  wanted  lstm.h (2,) float32, lstm.c (2,) float32\n"
        "  fix     put back a copy of the store from before the damage, or forget the id and feed its history again\n"
        "  more    sostenuto explain SO906\n"
    )


# --- ids -----------------------------------------------------------------------------------------------------------


def test_number_and_text_of_one_name(db: Path) -> None:
    assert json.loads(run("state", "show", db, "8", "--json").stdout)["id"] == 8
    found = run("state", "show", db, "17")
    assert found.exit_code == 2
    assert found.stderr == (
        "IdError: 17 may mean two ids.\n"
        f"  where   SQLite {str(db)!r}\n"
        "  got     '17' and 17, both there\n"
        "  wanted  one id\n"
        "  fix     say which with --keys: '\"17\"' or 17\n"
        "  more    sostenuto explain SO804\n"
    )
    assert json.loads(run("state", "show", db, "17", "--keys", "--json").stdout)["id"] == 17
    assert json.loads(run("state", "show", db, '"17"', "--keys", "--json").stdout)["id"] == "17"


def test_id_that_is_not_there(db: Path) -> None:
    found = run("state", "reset", db, "engine-4", "engine-5")
    assert found.exit_code == 2
    assert found.stderr == (
        "UnknownIdError: There is no state for engine-5.\n"
        f"  where   SQLite {str(db)!r}\n"
        "  got     an id that is not among the 5 ids there\n"
        f"  wanted  ids such as {', '.join(map(repr, held(db)))}\n"
        "  fix     near ones: engine-4\n"
        "  more    sostenuto explain SO212\n"
    )
    assert "engine-4" in held(db)
    found = run("state", "show", db, "engine-4", "--keys")
    assert found.stderr == (
        "IdError: This cannot be an id.\n"
        f"  where   SQLite {str(db)!r}, option --keys\n"
        "  got     text that is no JSON\n"
        '  wanted  a text such as "engine-17" with its quotes, a whole number, or a list of these\n'
        "  fix     leave --keys out to write texts without quotes\n"
        "  more    sostenuto explain SO311\n"
    )


PARTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.integers(-200, 200) | st.sampled_from(
    ['"a"', '["a",3]', "17", "-0", "[", '"', "017", "1e3", "17 ", "\n"]
)  # fmt: skip


@given(st.lists(PARTS | st.lists(PARTS, max_size=2).map(tuple), min_size=1, max_size=6, unique_by=repr))
def test_an_id_as_shown_names_it_unless_a_text_reads_alike(ids: list[Any]) -> None:
    store = MemoryStore()
    store.write([Change(id, None, b"") for id in ids])
    for id in ids:
        assert chosen(store, [key_text(id)], keys=True) == [id]
        if shown(id) != id and shown(id) in ids:
            with pytest.raises(so.IdError, match="may mean two ids"):
                chosen(store, [shown(id)], keys=False)
        else:
            assert chosen(store, [shown(id)], keys=False) == [id]


# --- reset -------------------------------------------------------------------------------------------------------


def test_reset(db: Path) -> None:
    before = held(db)
    found = run("state", "reset", db, "engine-4", '["lyon",3]', "engine-4")
    assert found.stdout == (
        "forgot engine-4 after 3 steps; its next step begins anew\n"
        'forgot ["lyon",3] after 1,204 steps; its next step begins anew\n'
    )
    assert held(db) == {id: data for id, data in before.items() if id not in ("engine-4", ("lyon", 3))}


def test_reset_all_needs_a_yes(db: Path) -> None:
    found = run("state", "reset", db, "--all")
    assert found.exit_code == 2
    assert found.stderr == (
        "DataError: It is not clear what to forget.\n"
        "  where   sostenuto state reset, --all\n"
        "  got     --all without --yes\n"
        "  wanted  --all --yes, which forgets 5 ids\n"
        "  fix     name ids, or say --all --yes\n"
        "  more    sostenuto explain SO214\n"
    )
    assert "  got     no ids\n" in run("state", "reset", db).stderr
    assert "  got     --all and ids\n" in run("state", "reset", db, "8", "--all", "--yes").stderr
    assert len(held(db)) == 5
    found = run("state", "reset", db, "--all", "--yes")
    assert found.stdout == f"forgot all 5 ids of SQLite {str(db)!r}\n"
    assert held(db) == {}


def test_reset_while_a_service_writes(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, left = SQLiteStore.write, [3]

    def disturbed(self: SQLiteStore, changes: Any) -> int:
        if left[0]:
            left[0] -= 1
            with SQLiteStore(db) as other:
                entry = other.read([8])[0]
                assert entry is not None
                write(other, [Change(8, entry.revision, record(9))])
        return write(self, changes)

    monkeypatch.setattr(SQLiteStore, "write", disturbed)
    found = run("state", "reset", db, "8")
    assert (found.exit_code, found.stdout) == (0, "forgot 8 after 9 steps; its next step begins anew\n")
    left[0] = 1000
    with SQLiteStore(db) as store:
        write(store, [Change(8, None, record(9))])
    monkeypatch.setattr(states.time, "sleep", lambda _: None)
    found = run("state", "reset", db, "8")
    assert found.stderr.startswith("ConflictError: Somebody else changed an id first; nothing was written.\n")
