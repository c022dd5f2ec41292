"""``Sequences.from_table``, against a plain loop over pandas groups."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import ColumnError, DataError, DataFileError, DataTypeError, TargetError
from sostenuto.sequences import Sequences, table_source


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """A long table of interleaved rows in no order."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 40))
    unit = random.integers(0, draw(st.integers(1, 8)), rows)
    time = random.permutation(rows * 3)[:rows]
    kind = draw(st.sampled_from(["int", "text", "float time", "date", "huge time"]))
    table = pd.DataFrame({"unit": unit, "part": random.integers(0, 3, rows), "time": time})
    if kind == "text":
        table["unit"] = [f"u{number}" for number in unit]
    elif kind == "float time":
        table["time"] = time / 7
    elif kind == "date":
        table["time"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(time, "h")
    elif kind == "huge time":
        table["time"] = (time - rows) * 2**55
    table["x"] = random.normal(size=rows)
    table["y"] = random.integers(0, 9, rows).astype("int16")
    table["label"] = random.integers(0, 3, rows)
    return table


def oracle(table: pd.DataFrame, id: list[str], time: str | None, columns: list[str]) -> dict:
    """Ids by first appearance, and the rows of each as a list."""
    found: dict = {}
    for _, row in table.iterrows():
        name = row[id[0]] if len(id) == 1 else tuple(row[column] for column in id)
        found.setdefault(name, []).append(row)
    for rows in found.values():
        if time is not None:
            rows.sort(key=lambda row: row[time])
    return {name: [[row[column] for column in columns] for row in rows] for name, rows in found.items()}


@given(table=tables(), id=st.sampled_from([["unit"], ["unit", "part"], ["part", "unit", "label"]]), timed=st.booleans())
def test_shuffled_interleaved_rows(table, id, timed):
    time = "time" if timed else None
    wanted = oracle(table, id, time, ["x", "y"])
    targets = oracle(table, id, time, ["label"])
    for frame in (table, pl.from_pandas(table), pl.from_pandas(table).lazy(), pa.Table.from_pandas(table)):
        sequences = Sequences.from_table(
            frame, id=id if len(id) > 1 else id[0], time=time, features=["x", "y"], target="label"
        )
        assert list(sequences.ids) == list(wanted)
        assert [array.tolist() for _, array in sequences.items()] == list(wanted.values())
        assert sequences.targets.tolist() == [row[0] for rows in targets.values() for row in rows]
        assert (sequences.dtype, sequences.targets.dtype) == (np.float64, np.int64)


@given(table=tables(), rows=st.integers(1, 9), sent=st.integers(1, 9))
def test_blocks_do_not_matter(table, rows, sent):
    whole = Sequences.from_table(table, id="unit", time="time", target="y")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_source, "ROWS", rows)
        patch.setattr("sostenuto.sequences.from_table.SENT", sent)
        assert Sequences.from_table(table, id="unit", time="time", target="y") == whole


TABLE = pd.DataFrame(
    {
        "unit": [7, 3, 7, 3, 7],
        "cycle": [2, 1, 1, 2, 3],
        "speed": np.array([1, 2, 3, 4, 5], "float32"),
        "broken": [1, 0, 1, 0, 1],
        "share": [0.5, 1.0, 0.5, 1.0, 0.5],
        "name": list("abcde"),
        "ok": [True, False, True, True, False],
    }
)


def test_every_kind_of_file(tmp_path: Path):
    arrow = pa.Table.from_pandas(TABLE)
    paths = [tmp_path / name for name in ("t.parquet", "t.csv", "t.csv.gz", "t.arrow", "t.feather", "stream.arrow")]
    pyarrow.parquet.write_table(arrow, paths[0], row_group_size=2)
    TABLE.to_csv(paths[1], index=False)
    TABLE.to_csv(paths[2], index=False)
    with pa.ipc.new_file(paths[3], arrow.schema) as file:
        file.write_table(arrow)
    pyarrow.feather.write_feather(arrow, paths[4])
    with pa.ipc.new_stream(paths[5], arrow.schema) as stream:
        stream.write_table(arrow)
    wanted = Sequences.from_table(TABLE, id="unit", time="cycle", target="broken")
    for path in paths:
        found = Sequences.from_table(path, id="unit", time="cycle", target="broken")
        assert found.astype("float64") == wanted.astype("float64"), path.name
        assert found == Sequences.from_table(str(path), id="unit", time="cycle", target="broken")


def test_features_are_the_columns_of_numbers_not_used_otherwise():
    sequences = Sequences.from_table(TABLE, id="unit", time="cycle", target="broken", weight="share")
    assert sequences.features == ("speed", "ok")
    assert sequences.ids == (7, 3)
    assert sequences[7].tolist() == [[3, 1], [1, 1], [5, 0]]
    assert sequences.weights.tolist() == [0.5, 0.5, 0.5, 1.0, 1.0]
    assert (sequences.target_names, sequences.targets_per) == (("broken",), "step")
    assert Sequences.from_table(TABLE, id="unit", features="ok").dtype == np.float32
    assert Sequences.from_table(TABLE, id="unit", features=["cycle", "broken"]).dtype == np.int64
    assert Sequences.from_table(TABLE, id="unit", time="cycle", features=["cycle"])[3].tolist() == [[1], [2]]


def test_an_index_that_pandas_wrote_is_no_feature(tmp_path: Path):
    path = tmp_path / "t.parquet"
    TABLE.iloc[::-1].to_parquet(path)
    assert Sequences.from_table(path, id="unit").features == ("cycle", "speed", "broken", "share", "ok")


def test_targets_per_sequence():
    sequences = Sequences.from_table(
        TABLE, id="unit", features="speed", target=["broken", "share"], weight="share", target_per="sequence"
    )
    assert sequences.targets.tolist() == [[1, 0.5], [0, 1.0]]
    assert (sequences.targets_per, sequences.weights_per) == ("sequence", "sequence")
    assert sequences.weights.tolist() == [0.5, 1.0]
    with pytest.raises(TargetError) as caught:
        Sequences.from_table(TABLE, id="unit", time="cycle", target="speed", target_per="sequence")
    assert str(caught.value) == (
        "This column is not constant within a sequence.\n"
        "  where   sequences[7], step 1, column 'speed'\n"
        "  got     more than one value under one id\n"
        "  wanted  one value per sequence, as target_per='sequence' says\n"
        "  fix     say target_per='step', or repair the column\n"
        "  more    sostenuto explain SO401"
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint32", "int64"])
def test_dtypes_stay(dtype):
    table = pd.DataFrame({"u": [1, 1], "x": np.array([1, 2], dtype)})
    for frame in (table, pa.Table.from_pandas(table)):
        assert Sequences.from_table(frame, id="u").dtype == np.dtype(dtype)


def test_ids_of_other_kinds():
    day = datetime.date(2020, 1, 2)
    table = pa.table({"day": [day, day, datetime.date(2020, 1, 1)], "x": [1, 2, 3]})
    assert Sequences.from_table(table, id="day").ids == (day, datetime.date(2020, 1, 1))
    categories = TABLE.assign(name=TABLE["name"].astype("category"))
    assert Sequences.from_table(categories, id="name").ids == tuple("abcde")
    assert Sequences.from_table(pl.from_pandas(categories), id="name").ids == tuple("abcde")
    numbered = pd.DataFrame({0: [1, 1], 1: [2.0, 3.0]})
    assert Sequences.from_table(numbered, id=0).features == ("1",)


def test_nulls_are_kept_as_nan_if_asked():
    table = pl.DataFrame({"u": [1, 1, 2], "x": [1, None, 3], "y": [1.0, 2.0, float("nan")]})
    found = Sequences.from_table(table, id="u", missing="keep")
    np.testing.assert_array_equal(found.values, [[1, 1], [np.nan, 2], [3, np.nan]])
    assert Sequences.from_table(table, id="u", features="x", missing="keep").dtype.kind == "f"


def test_missing_values_name_column_id_and_step(tmp_path: Path):
    for number in (1, 1.5):
        table = pa.table({"unit": ["a", "b", "a"], "time": [1, 1, 0], "x": pa.array([None, number, number])})
        path = tmp_path / "t.parquet"
        pyarrow.parquet.write_table(table, path)
        for source in (table, path, pl.from_arrow(table)):
            with pytest.raises(DataError) as caught:
                Sequences.from_table(source, id="unit", time="time")
            assert caught.value.code == "SO205"
            assert caught.value.where in ("sequences['a'], step 1, feature 'x'", "sequences['a'], step 1, column 'x'")
            assert caught.value.got == "1 missing or infinite value of 3"


def test_rows_without_id_or_time():
    for column, what in [("u", "Some rows have no id."), ("t", "Some rows have no time.")]:
        for empty in (None, float("nan")):
            table = pl.DataFrame({"u": [1.0, 2.0], "t": [1.0, 2.0], "x": [1.0, 2.0]})
            table = table.with_columns(pl.Series(column, [1.0, empty]))
            with pytest.raises(DataError) as caught:
                Sequences.from_table(table, id="u", time="t")
            assert (caught.value.what, caught.value.code) == (what, "SO205")
            assert caught.value.where == f"column {column!r}, row 1"


@pytest.mark.parametrize("scale", [1, 2**60, 0.5])
def test_repeated_times_are_named(scale):
    times = np.array([2, 1, 2, 2, 5]) * scale
    table = pd.DataFrame({"unit": list("aabab"), "cycle": times, "x": 1.0})
    with pytest.raises(DataError) as caught:
        Sequences.from_table(table, id="unit", time="cycle")
    assert str(caught.value) == (
        "Two rows have the same id and time.\n"
        f"  where   id 'a', cycle {times[0]}\n"
        "  got     1 repeated row\n"
        "  wanted  one row for each id and time\n"
        "  fix     remove or aggregate them, or give a further id column: id=['patient', 'visit']\n"
        "  more    sostenuto explain SO207"
    )


def test_repeated_times_in_sorted_rows_are_found_too():
    with pytest.raises(DataError, match="SO207"):
        Sequences.from_table(pd.DataFrame({"u": [1, 1, 2], "t": [5, 5, 5], "x": 1.0}), id="u", time="t")


def test_missing_columns_with_near_names():
    with pytest.raises(ColumnError) as caught:
        Sequences.from_table(TABLE, id="Unit", features=["speeds", "zzz"])
    assert str(caught.value) == (
        "The table lacks 3 columns.\n"
        "  where   the columns of the table\n"
        "  got     id='Unit'; near ones: 'unit'\n"
        "          features='speeds'; near ones: 'speed'\n"
        "          features='zzz'\n"
        "  wanted  columns among 'unit', 'cycle', 'speed', 'broken', 'share', 'name', 'ok'\n"
        "  fix     use the exact names; an index of pandas becomes columns with table.reset_index()\n"
        "  more    sostenuto explain SO208"
    )


def test_columns_that_hold_no_numbers():
    with pytest.raises(DataTypeError) as caught:
        Sequences.from_table(TABLE, id="unit", features=["speed", "name"])
    assert str(caught.value) == (
        "This column holds no numbers.\n"
        "  where   column 'name', used in features=\n"
        "  got     String\n"
        "  wanted  integers, floats or booleans\n"
        "  fix     encode categories as integers, dates as differences; or leave the column out\n"
        "  more    sostenuto explain SO204"
    )
    with pytest.raises(TargetError, match="used in target="):
        Sequences.from_table(TABLE, id="unit", target="name")
    mixed = pd.DataFrame({"u": [1, 1], "x": [1, "a"]})
    with pytest.raises(DataTypeError, match="SO204"):
        Sequences.from_table(mixed, id="u", features="x")
    with pytest.raises(DataTypeError, match="as text, '10' comes before '9'"):
        Sequences.from_table(TABLE, id="unit", time="name")
    with pytest.raises(ColumnError, match="No column is left for features"):
        Sequences.from_table(TABLE[["unit", "name"]], id="unit")
    with pytest.raises(
        ColumnError, match=r"the same name.\n  where   the columns of the table\n  got     'unit', 'cycle'"
    ):
        Sequences.from_table(pd.concat([TABLE, TABLE], axis=1), id="unit")


def test_files_that_are_not_there_or_no_tables(tmp_path: Path):
    TABLE.to_csv(tmp_path / "engines.csv")
    with pytest.raises(DataFileError) as caught:
        Sequences.from_table(tmp_path / "engine.csv", id="unit")
    assert str(caught.value) == (
        "There is no such file.\n"
        f"  where   {str(tmp_path / 'engine.csv')!r}\n"
        "  got     nothing there\n"
        "  wanted  a file of data\n"
        "  fix     near ones: engines.csv\n"
        "  more    sostenuto explain SO209"
    )
    with pytest.raises(FileNotFoundError, match="no folder"):
        Sequences.from_table(tmp_path / "nowhere" / "engine.csv", id="unit")
    for name in ("bad.parquet", "bad.arrow", "bad.xlsx"):
        (tmp_path / name).write_text("no table")
        with pytest.raises(DataError, match="SO213"):
            Sequences.from_table(tmp_path / name, id="unit")
    (tmp_path / "empty.csv").write_text("")
    for nothing in (tmp_path / "empty.csv", TABLE.head(0), pd.DataFrame()):
        with pytest.raises(DataError, match="SO210"):
            Sequences.from_table(nothing, id="unit")
    with pytest.raises(DataTypeError, match="This is no table"):
        Sequences.from_table(np.zeros((3, 2)), id="unit")


def test_a_list_column_is_no_id():
    with pytest.raises(DataTypeError, match="SO201"):
        Sequences.from_table(pa.table({"u": [[1], [2]], "x": [1.0, 2.0]}), id="u")


def test_a_negative_weight():
    with pytest.raises(TargetError, match="SO404"):
        Sequences.from_table(TABLE.assign(share=-1.0), id="unit", weight="share")
