"""``sostenuto state export`` and ``import``: states are carried elsewhere, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sostenuto.cli import state_files
from sostenuto.cli.state_notes import NOTE
from sostenuto.stores import Change, SQLiteStore, Store
from sostenuto.stores.record import Record, pack, unpack
from tests.cli.stores import fill, five, held, note, record
from tests.cli.tables import run

pytestmark = pytest.mark.plain


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A store of five ids."""
    return five(tmp_path / "engines.db")


# --- export, import ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
@pytest.mark.parametrize("number", [0, 1, 2345])
def test_round_trip_to_the_last_bit(tmp_path: Path, ending: str, number: int) -> None:
    random = np.random.default_rng(1)
    records: dict[Any, bytes] = {}
    for row in range(number):
        states = [random.normal(size=2).astype("float32"), np.array([-0.0, np.float32(1e-45)], "float32")]
        at = [None, row, row + 0.1, -(2**63), 2.0][row % 5]
        answer = None if row % 7 == 0 else random.normal(size=(1 + row % 3, 1)).astype("float32")
        records[[row, f"engine-{row}", ("é", row, "")][row % 3]] = pack(
            Record(row * 2**40, at, row % 100, row * 31 % 2**32, states, answer)
        )
    fill(tmp_path / "a.db", records)
    file = tmp_path / f"states.{ending}"
    found = run("state", "export", tmp_path / "a.db", file)
    ids = "1 id" if number == 1 else f"{number:,} ids"
    assert found.stdout == f"written  {file}, {ids} of SQLite {str(tmp_path / 'a.db')!r}\n"
    found = run("state", "import", tmp_path / "b.db", file)
    assert found.stdout == f"imported {ids} from {file} into SQLite {str(tmp_path / 'b.db')!r}\n"
    assert held(tmp_path / "b.db") == records
    with SQLiteStore(tmp_path / "b.db") as store:
        assert store.note(NOTE) == note()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db", "b.db", f"states.{ending}"]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "uint8", "bool"])
def test_every_dtype_goes_there_and_back(tmp_path: Path, ending: str, dtype: str) -> None:
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    values = [np.array([[0.1, 3.0], [2.5, 0.0]]).astype(kind), np.array([7]).astype(kind)]
    data = pack(Record(3, None, 2, 1, values, np.array([[1, 0]]).astype(kind)))
    with SQLiteStore(tmp_path / "a.db") as store:
        store.write([Change("a", None, data)])
    run("state", "export", tmp_path / "a.db", tmp_path / f"s.{ending}")
    assert run("state", "import", tmp_path / "b.db", tmp_path / f"s.{ending}").exit_code == 0
    assert held(tmp_path / "b.db") == {"a": data}


def test_exported_file_is_read_by_others(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "states.parquet"
    run("state", "export", db, file)
    rows = {(row["id"], row["id_kind"]): row for row in pa.parquet.read_table(file).to_pylist()}
    assert sorted(rows) == [
        ("17", "number"), ("17", "text"), ("8", "number"), ('["lyon",3]', "tuple"), ("engine-4", "text"),
    ]  # fmt: skip
    row = rows["engine-4", "text"]
    assert (row["step"], row["at"], row["at_float"], row["answer"]) == (3, None, 41.5, [0.75])
    assert (row["lstm.h"], row["lstm.c"]) == ([1.0, -0.25], [1.0, -9.0])
    assert rows["17", "number"]["at"] == 2**62
    metadata = json.loads(pa.parquet.read_schema(file).metadata[b"sostenuto.states"])
    assert json.loads(metadata["model"])["weights"] == "a1b2"


def test_export_is_written_whole_or_not_at_all(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "states.parquet"
    file.write_text("older")
    with SQLiteStore(db) as store:
        store.write([Change("z", None, record(3)[:-1] + b"?")])
    found = run("state", "export", db, file)
    assert (found.exit_code, found.stderr.splitlines()[0]) == (2, "StoreError: A record of a store is damaged.")
    assert "  where   the record of 'z'\n" in found.stderr
    assert file.read_text() == "older"
    found = run("state", "export", db, tmp_path / "nowhere" / "states.parquet")
    assert found.stderr == (
        "ModelError: The file cannot be written.\n"
        f"  where   {str(tmp_path / 'nowhere' / 'states.parquet')!r}\n"
        "  got     No such file or directory\n"
        "  wanted  a file in a folder that is there and may be written\n"
        "  fix     check the path\n"
        "  more    sostenuto explain SO802\n"
    )
    assert "  fix     call it states.parquet\n" in run("state", "export", db, tmp_path / "states.csv").stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engines.db", "states.parquet"]


def test_export_of_answers_of_two_models(db: Path, tmp_path: Path) -> None:
    with SQLiteStore(db) as store:
        states = unpack(record(1)).states
        store.write([Change("zz", None, pack(Record(1, None, 1, 0, states, np.zeros(1, "float64"))))])
    found = run("state", "export", db, tmp_path / "states.parquet")
    assert found.stderr.startswith("StoreError: These states cannot be exported into one file.\n")
    assert "id 'zz'\n  got     answers of float32 and of float64\n" in found.stderr


def test_import_leaves_ids_alone_that_are_there(db: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "states.jsonl", tmp_path / "b.db"
    run("state", "export", db, file)
    fill(target, {8: record(99), "mine": record(1)})
    before = held(target)
    found = run("state", "import", target, file)
    assert (found.exit_code, held(target)) == (2, before)
    assert found.stderr == (
        "StoreError: Some of these ids are in the store already; nothing was imported.\n"
        f"  where   {str(file)!r} -> SQLite {str(target)!r}\n"
        "  got     8\n"
        "  wanted  ids that are not there\n"
        "  fix     pass --replace to put the file's states in their place; or import into a new store\n"
        "  more    sostenuto explain SO805\n"
    )
    found = run("state", "import", target, file, "--replace")
    assert found.stdout.endswith(", 1 of them replaced\n")
    assert held(target) == {**before, **held(db)}


@pytest.mark.parametrize(
    ("text", "got", "wanted"),
    [
        (
            note("ffff"), "weights: other numbers in layers of the same sizes",
            "the model that made the states of the file",
        ),
        (
            note("ffff", states=[["gru", "h", 9, "float32"]]), "states gru h (9,) float32",
            "as in the file, states lstm h (2,) float32, lstm c (2,) float32",
        ),
        (
            "something", "states without a note that says which model made them",
            "as in the file, states lstm h (2,) float32, lstm c (2,) float32",
        ),
    ],
)  # fmt: skip
def test_import_into_the_store_of_another_model(db: Path, tmp_path: Path, text: str, got: str, wanted: str) -> None:
    file, target = tmp_path / "states.parquet", tmp_path / "b.db"
    run("state", "export", db, file)
    fill(target, {}, text)
    found = run("state", "import", target, file)
    assert (found.exit_code, held(target)) == (2, {})
    assert found.stderr == (
        "StoreError: The store was written by another model.\n"
        f"  where   {str(file)!r} -> SQLite {str(target)!r}\n"
        f"  got     {got}\n"
        f"  wanted  {wanted}\n"
        "  fix     import them into a new store\n"
        "  more    sostenuto explain SO903\n"
    )


def test_import_where_only_names_of_layers_differ(db: Path, tmp_path: Path) -> None:
    file, target = tmp_path / "states.parquet", tmp_path / "b.db"
    run("state", "export", db, file)
    renamed = note(states=[["lstm_3", "h", 2, "float32"], ["lstm_3", "c", 2, "float32"]])
    fill(target, {}, renamed)
    assert run("state", "import", target, file).exit_code == 0
    with SQLiteStore(target) as store:
        assert store.note(NOTE) == renamed


def broken(file: Path, line: int, **fields: Any) -> None:
    lines = file.read_text().splitlines()
    row = json.loads(lines[line])
    lines[line] = json.dumps({**row, **fields})
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("fields", "got"),
    [
        ({"step": -1}, "field 'step': a number outside"),
        ({"step": None}, "field 'step': NoneType"),
        ({"lstm.h": [1.0]}, "in line 3, cannot reshape array of size 1 into shape (2,)"),
        ({"lstm.h": None}, "in line 3, a state is missing"),
        ({"id": 1.5}, "in line 3, This cannot be an id."),
        ({"id": "engine-4"}, "the id 'engine-4' twice"),
        ({"answer_shape": [5]}, "in line 3, cannot reshape array of size 1 into shape (5,)"),
    ],
)
def test_damaged_file_is_found_before_anything_is_written(tmp_path: Path, fields: dict[str, Any], got: str) -> None:
    file, source, target = tmp_path / "states.jsonl", tmp_path / "a.db", tmp_path / "b.db"
    fill(source, {"engine-4": record(2), "engine-5": record(3)})
    run("state", "export", source, file)
    broken(file, 2, **fields)
    found = run("state", "import", target, file)
    assert found.exit_code == 2
    assert found.stderr == (
        "DataError: This file holds no states that can be imported.\n"
        f"  where   {str(file)!r}\n"
        f"  got     {got}\n"
        "  wanted  a whole file that 'sostenuto state export' wrote\n"
        "  fix     export the states again\n"
        "  more    sostenuto explain SO805\n"
    )
    assert not target.exists()


def test_file_of_something_else(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    pa.parquet.write_table(pa.table({"a": [1]}), table)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"a": 1}\n')
    text = tmp_path / "text.parquet"
    text.write_text("no Parquet")
    for file, got in (
        (table, "metadata that say nothing of states"),
        (lines, "a first line that says nothing of states"),
        (text, "Parquet magic bytes not found in footer"),
    ):
        found = run("state", "import", tmp_path / "b.db", file)
        assert found.stderr.startswith("DataError: This file holds no states that can be imported.\n")
        assert f"  got     {got}" in found.stderr
    assert run("state", "import", tmp_path / "b.db", tmp_path / "none.parquet").stderr.startswith(
        "DataFileError: There is no such file.\n"
    )
    assert not (tmp_path / "b.db").exists()


def test_import_goes_on_with_what_a_service_writes_meanwhile(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = tmp_path / "states.parquet", tmp_path / "b.db"
    run("state", "export", db, file)
    fill(target, {8: record(99)})
    put, left = state_files._put, [1]

    def disturbed(store: Store, part: Any, records: Any, replace: bool) -> None:
        if left[0]:
            left[0] -= 1
            read = store.read

            def old(ids: Any) -> Any:
                entries = read(ids)
                with SQLiteStore(target) as other:
                    entry = other.read([8])[0]
                    assert entry is not None
                    other.write([Change(8, entry.revision, record(100))])
                return entries

            with monkeypatch.context() as patch:
                patch.setattr(store, "read", old)
                put(store, part, records, replace)
        put(store, part, records, replace)

    monkeypatch.setattr(state_files, "_put", disturbed)
    found = run("state", "import", target, file, "--replace")
    assert found.exit_code == 0, found.output
    assert held(target) == held(db)
