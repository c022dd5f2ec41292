"""Rows as they arrive are answered as ``predict`` answers; bad ones are named."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest

import sostenuto as so
from sostenuto.cli import folder
from sostenuto.cli.arrivals import MOST_ROWS, JsonLines, open_rows
from sostenuto.cli.recipe import Recipe
from sostenuto.cli.rows import RowReader
from sostenuto.cli.streaming import Progress
from tests.cli.live import Home, interleaved, json_of, rows_of, said_by_predict, stream
from tests.cli.tables import csv, engines, parquet, run, text, walks

# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz", "feather", "text", "json"])
def test_answers_equal_predict_at_every_step(home: Home, tmp_path: Path, kind: str) -> None:
    options: list[Any] = []
    rows = None
    if kind == "json":
        table: Any = "-"
        rows = json_of(home.table)
        options = ["--format", "csv"]
    elif kind == "text":
        table = text(home.table, tmp_path / "rows.txt")
        options = ["--columns", ",".join(home.table.column_names)]
    else:
        table = tmp_path / f"rows.{kind}"
        if kind == "feather":
            with pa.ipc.new_file(table, home.table.schema) as file:
                file.write_table(home.table)
        elif kind == "csv.gz":
            with pa.CompressedOutputStream(str(table), "gzip") as file:
                pa.csv.write_csv(home.table, file)
        else:
            {"parquet": parquet, "csv": csv}[kind](home.table, table)
    found = stream(home / "timed", table, "--store", tmp_path / "s.db", *options, rows=rows)
    assert (found.exit_code, found.stderr) == (0, "")
    home.check(rows_of(found.stdout), home.table)


def test_classes_come_with_their_probabilities_after_every_step(home: Home, tmp_path: Path) -> None:
    table = interleaved(walks(5, seed=4), "t")
    path = csv(table, tmp_path / "rows.csv")
    found = stream(home / "walks", path, "--store", tmp_path / "s.db", "--format", "jsonl")
    assert (found.exit_code, found.stderr) == (0, "")
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [*rows[0]] == ["walk", "t", "step", "predicted", "p_down", "p_up"]
    # The oracle: each beginning of a walk as a walk of its own.
    beginnings: dict[str, list[Any]] = {name: [] for name in table.column_names}
    for row in rows:
        for one in table.filter(pa.compute.field("walk") == row["walk"]).slice(0, row["step"] + 1).to_pylist():
            for name, value in {**one, "walk": f"{row['walk']}/{row['step']}"}.items():
                beginnings[name].append(value)
    said = rows_of(run("predict", home / "walks", csv(pa.table(beginnings), tmp_path / "beginnings.csv")).stdout)
    expected = {row["walk"]: row for row in said}
    assert len(rows) == table.num_rows == len(expected)
    for row in rows:
        one = expected[f"{row['walk']}/{row['step']}"]
        assert row["predicted"] == one["predicted"]
        assert [row["p_down"], row["p_up"]] == pytest.approx([float(one["p_down"]), float(one["p_up"])], abs=1e-5)


def test_rows_beyond_one_call_and_sorted_by_id(home: Home, tmp_path: Path) -> None:
    table = engines(150, seed=5)
    assert table.num_rows > MOST_ROWS
    path = parquet(table, tmp_path / "rows.parquet")
    said = said_by_predict(home / "timed", path)
    found = stream(home / "timed", path, "--store", tmp_path / "s.db")
    rows = rows_of(found.stdout)
    assert [(row["unit"], row["cycle"]) for row in rows] == list(said)
    np.testing.assert_allclose([float(row["predicted"]) for row in rows], [*said.values()], rtol=1e-5, atol=1e-5)


def test_features_may_come_as_a_list(home: Home, tmp_path: Path) -> None:
    rows = "".join(
        json.dumps({"unit": row["unit"], "cycle": row["cycle"], "features": [row["heat"], row["noise"]]}) + "\n"
        for row in home.table.to_pylist()
    )
    found = stream(home / "timed", "--store", tmp_path / "s.db", rows=rows)
    home.check([json.loads(line) for line in found.stdout.splitlines()], home.table)


def test_dates_order_steps_whatever_they_are_written_in(home: Home, tmp_path: Path) -> None:
    hours = np.datetime64("2024-02-29T20:00") + home.table["cycle"].to_numpy() * np.timedelta64(1, "h")
    dated = home.table.set_column(1, "cycle", pa.array(hours.astype("datetime64[ns]")))
    half = dated.num_rows // 2
    first = parquet(dated.slice(0, half), tmp_path / "first.parquet")
    store = tmp_path / "s.db"
    before = rows_of(stream(home / "timed", first, "--store", store).stdout)
    assert before[0]["cycle"] == "2024-02-29 21:00:00.000000000"
    # The same hours as text, east of Greenwich.
    east = np.datetime_as_string(hours + np.timedelta64(90, "m"))
    rows = json_of(dated.set_column(1, "cycle", pa.array([f"{hour}:00+01:30" for hour in east])))
    after = stream(home / "timed", "--store", store, rows=rows)
    assert after.stderr.startswith(f"{half} rows were done before; ")
    answered = {(int(row["unit"]), int(row["step"])): float(row["predicted"]) for row in before}
    for line in after.stdout.splitlines():
        row = json.loads(line)
        answered[row["unit"], row["step"]] = row["predicted"]
    assert len(answered) == home.table.num_rows
    for (unit, step), value in answered.items():
        assert value == pytest.approx(home.said(unit, step + 1), abs=1e-5)


# --- bad rows --------------------------------------------------------------------------------------------------------


GOOD = {"unit": 1, "cycle": 1, "heat": 500.0, "noise": 0.0}


@pytest.mark.parametrize(
    ("line", "where", "got", "wanted"),
    [
        ('{"unit": 1, "cycle": 2, "heat": 500.0}', ", 'noise'", "no such column", "a value"),
        (json.dumps({**GOOD, "cycle": 2, "noise": None}), ", 'noise'", "nothing", "a value"),
        (json.dumps({**GOOD, "cycle": 2, "heat": "warm"}), ", 'heat'", "the text 'warm'", "a finite number"),
        (json.dumps({**GOOD, "cycle": 2, "heat": "500"}), ", 'heat'", "the text '500'", "a finite number"),
        (json.dumps({**GOOD, "cycle": 2, "heat": [1]}), ", 'heat'", "list of 1", "a finite number"),
        (
            json.dumps({**GOOD, "cycle": 2, "heat": float("nan")}), ", 'heat'",
            "a missing value (NaN)", "a finite number",
        ),
        (json.dumps({**GOOD, "cycle": 2, "heat": 10**400}), ", 'heat'", "an infinite value", "a finite number"),
        (
            json.dumps({**GOOD, "cycle": 2, "heat": 1e300}), ", 'heat'",
            "1e+300, which is infinite once it is standardised", "a finite number",
        ),
        ('{"unit": 1, "cycle": 2, "features": [1]}', ", 'features'", "1 value", "2, one for each feature"),
        (json.dumps({**GOOD, "unit": None}), ", 'unit'", "nothing", "a value"),
        (json.dumps({**GOOD, "unit": 1.5}), ", 'unit'", "the float 1.5", "text or a whole number"),
        (json.dumps({**GOOD, "cycle": True}), ", 'cycle'", "a truth value", "a number of 64 bits, or a date"),
        (json.dumps({**GOOD, "cycle": "soon"}), ", 'cycle'", "the text 'soon'",
         "a number, or a date such as 2024-05-01T12:00:00"),
        (json.dumps({**GOOD, "cycle": 1}), "", "time 1 after time 1 of the same id", "a later time"),
        ('{"unit": 1,', "", "no JSON: Expecting property name enclosed in double quotes",
         'an object such as {"unit": 17, "cycle": 3, "speed": 0.5}'),
        ("[1, 2]", "", "JSON, but list of 2", 'an object such as {"unit": 17, "cycle": 3, "speed": 0.5}'),
    ],
)  # fmt: skip
def test_bad_row_is_named_and_nothing_after_it_is_done(
    home: Home, tmp_path: Path, line: str, where: str, got: str, wanted: str
) -> None:
    store = tmp_path / "s.db"
    rows = "\n".join([json.dumps(GOOD), "", line, json.dumps({**GOOD, "cycle": 9})])
    found = stream(home / "timed", "--store", store, rows=rows)
    assert (found.exit_code, len(found.stdout.splitlines())) == (2, 1)
    assert found.stderr == (
        "1 answer was written before this error:\n"
        "DataError: A row cannot be taken.\n"
        f"  where   line 3 of standard input{where}\n"
        f"  got     {got}\n"
        f"  wanted  {wanted}\n"
        "  fix     all rows before it were answered: correct it and go on from there; or pass --skip-bad\n"
        "  more    sostenuto explain SO803\n"
    )
    skipped = stream(home / "timed", "--store", store, "--skip-bad", rows=rows)
    assert skipped.exit_code == 0
    assert [json.loads(line)["cycle"] for line in skipped.stdout.splitlines()] == [1, 9]
    # A time that equals the last one done before the stop is no bad row, but one that was done.
    assert skipped.stderr == (
        "2 rows were done before; the store had the answers of the last 1\n"
        if "time 1" in got
        else f"skipped line 3 of standard input{where}: {got}, wanted {wanted}\n"
        "1 row was done before; the store had the answers of the last 1\n1 bad row was skipped\n"
    )


def test_bad_line_of_a_text_file(home: Home, tmp_path: Path) -> None:
    path = csv(home.table.slice(0, 6), tmp_path / "rows.csv")
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace(",", ";", 1)
    path.write_text("\n".join(lines) + "\n")
    found = stream(home / "timed", path, "--store", tmp_path / "s.db")
    assert "  where   line 5 of 'rows.csv'\n  got     5 values\n  wanted  6, one for each column\n" in found.stderr
    assert len(rows_of(found.stdout)) == 3
    found = stream(home / "timed", path, "--store", tmp_path / "s.db", "--skip-bad")
    assert len(rows_of(found.stdout)) == 5


def test_missing_value_of_a_parquet_file(home: Home, tmp_path: Path) -> None:
    heat = [*home.table["heat"].to_pylist()[:3], None]
    table = home.table.slice(0, 4).set_column(2, "heat", pa.array(heat))
    found = stream(home / "timed", parquet(table, tmp_path / "rows.parquet"), "--store", tmp_path / "s.db")
    assert "  where   row 3 of 'rows.parquet', 'heat'\n  got     nothing\n" in found.stderr
    assert len(rows_of(found.stdout)) == 3


def test_column_that_is_not_there(home: Home, tmp_path: Path) -> None:
    for name, write in (("rows.csv", csv), ("rows.parquet", parquet)):
        path = write(home.table.rename_columns(["unit", "cycle", "heats", "noise", "fixed", "left"]), tmp_path / name)
        found = stream(home / "timed", path, "--store", tmp_path / "s.db")
        assert found.exit_code == 2
        assert found.stderr.startswith("ColumnError: The table lacks a column.\n")
        assert "features='heat'; near ones: 'heats'" in found.stderr


# --- what cannot be streamed -----------------------------------------------------------------------------------------


def test_store_of_another_model(home: Home, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    rows = json.dumps(GOOD)
    assert stream(home / "timed", "--store", store, rows=rows).exit_code == 0
    found = stream(home / "walks", "--store", store, rows="")
    assert (found.exit_code, found.stderr.splitlines()[0]) == (2, "StoreError: The store was written by another model.")
    found = stream(home / "walks", "--store", store, "--other-model", "fresh", rows="")
    assert (found.exit_code, found.output) == (0, "")


def test_model_that_reads_backwards(home: Home, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    layers = [so.Bidirectional(so.GRU(3, return_sequences=True)), keras.layers.Dense(1)]
    model = so.SequenceModel(layers, name="both")
    model.build(1)
    recipe = Recipe(("id",), None, (), ("x",), (), (0.0,), (1.0,), (0.0,), (1.0,), "y")
    with folder.written_whole(tmp_path / "both") as new:
        folder.save(new, model, recipe, {})
    found = stream(tmp_path / "both", "--store", tmp_path / "s.db", rows='{"id": 1, "x": 2}')
    assert found.exit_code == 2
    assert found.stderr.startswith("ModelError: ")
    assert "sostenuto explain SO607" in found.stderr
    assert not (tmp_path / "s.db").exists()


class Terminal(io.StringIO):
    """What a terminal shows."""

    def isatty(self) -> bool:
        return True


@pytest.mark.plain
def test_progress_is_for_terminals_that_do_not_show_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for stdout, to_file, shown in ((Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), False, True)):
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setattr(time, "monotonic", iter([0.0, 0.25, 2.0]).__next__)
        progress = Progress(to_file)
        progress.show(1000)
        progress.show(5000)
        progress.clear()
        said = "\r5,000 rows, 2,500 rows/s\x1b[K\r\x1b[K" if shown else ""
        assert sys.stderr.getvalue() == said  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(time, "monotonic", iter([0.0, 2.0]).__next__)
    Progress(True).show(10)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


# --- reading --------------------------------------------------------------------------------------------------------


class Trickle(io.RawIOBase):
    """Bytes that come in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def read1(self, _: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def fileno(self) -> int:
        raise OSError


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    yield


@pytest.mark.plain
def test_lines_are_whole_however_they_are_cut() -> None:
    whole = b'{"a": 1}\n\n  \n{"a": "\xc3\xa9"}\r\n{"a": 3}'
    for size in (1, 2, 7, 100):
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        lines = JsonLines(Trickle(pieces), waiting)  # type: ignore[arg-type]
        found = [(number, lines.fields(line)) for group in lines.groups() for number, line in group]
        assert found == [(1, {"a": 1}), (4, {"a": "é"}), (5, {"a": 3})]


@pytest.mark.plain
def test_ids_of_text_files_are_numbers_where_they_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('site,unit,x\nlyon,17,1\n"a, b",017,2\n-3,1e3,3\n')
    recipe = Recipe(("site", "unit"), None, (), ("x",), (), (0.0,), (1.0,), (0.0,), (1.0,), "y")
    source = open_rows(path, (), {"id": recipe.id, "features": recipe.features})
    rows = [row for group in source.groups() for row in RowReader(recipe, source).read(group)]
    assert [row.id for row in rows] == [("lyon", 17), ("a, b", "017"), (-3, "1e3")]


@pytest.mark.plain
@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01 00:00:00.000000001", 1),
        ("1970-01-02", 86_400 * 10**9),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00-0130", 5400 * 10**9),
        ("1970-01-01T00:00:00Z", 0),
        ("3000-01-01", None),
        ("now", None),
        ("1970-13-01", None),
    ],
)
def test_dates_as_text(text: str, nanoseconds: int | None) -> None:
    recipe = Recipe(("id",), "t", (), ("x",), (), (0.0,), (1.0,), (0.0,), (1.0,), "y")
    lines = JsonLines(io.BytesIO(json.dumps({"id": 1, "t": text, "x": 0}).encode()), waiting)
    (row,) = RowReader(recipe, lines).read(next(lines.groups()))
    if nanoseconds is None:
        assert row.got == f"the text {text!r}"
    else:
        assert (row.at, row.shown) == (nanoseconds, (1, text))
