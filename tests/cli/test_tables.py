"""Files, names of columns and labels, without any network."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pytest

from sostenuto.cli.tables import choose_features, encoded, labels_of, names_in, open_table, read_table
from sostenuto.errors import ColumnError, DataError, DataFileError, TargetError
from tests.cli.tables import csv, engines, parquet, text

pytestmark = pytest.mark.plain


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("a", ("a",)),
        (" a , b ,", ("a", "b")),
        ("s1..s3,x", ("s1", "s2", "s3", "x")),
        ("s08..s11", ("s08", "s09", "s10", "s11")),
        ("a1..b3", ("a1..b3",)),  # no range: the names differ before the number
        ("s3..s1", ("s3..s1",)),
        ("", ()),
        (None, ()),
    ],
)
def test_names_are_read_from_a_list_with_ranges(written: str | None, names: tuple[str, ...]) -> None:
    assert names_in(written) == names


def test_text_without_header_reads_like_the_table_it_came_from(tmp_path: Path) -> None:
    table = engines(3)
    path = text(table, tmp_path / "engines.txt")
    assert read_table(path, table.column_names).equals(table)


def test_csv_without_header_is_split_at_commas_also_when_packed(tmp_path: Path) -> None:
    lines = "a b,1,0.5\nc,2,1.5\n"
    (tmp_path / "x.csv").write_text(lines)
    with gzip.open(tmp_path / "x.csv.gz", "wt") as file:
        file.write(lines)
    wanted = {"name": ["a b", "c"], "n": [1, 2], "x": [0.5, 1.5]}
    for name in ("x.csv", "x.csv.gz"):
        assert read_table(tmp_path / name, ["name", "n", "x"]).to_pydict() == wanted


def test_every_kind_of_file_gives_the_same_columns(tmp_path: Path) -> None:
    table = engines(2)
    paths = [parquet(table, tmp_path / "t.parquet"), csv(table, tmp_path / "t.csv")]
    pa.feather.write_feather(table, tmp_path / "t.feather")
    for path in [*paths, tmp_path / "t.feather"]:
        assert list(open_table(read_table(path)).kinds) == table.column_names


def test_features_are_chosen_by_name_range_and_pattern() -> None:
    table = pa.table({"unit": [1], "s1": [1.0], "s2": [2], "sx": ["word"], "t": [0.5], "rul": [1]})
    assert choose_features(table, ["t", "s*"], ["unit", "rul"]) == ("t", "s1", "s2")
    assert choose_features(table, ["s[12]"], []) == ("s1", "s2")
    assert choose_features(table, [], ["unit", "rul"]) == ("s1", "s2", "t")
    assert choose_features(table, ["*"], ["unit", "rul"]) == ("s1", "s2", "t")


def test_pattern_without_columns_names_near_ones() -> None:
    with pytest.raises(ColumnError) as caught:
        choose_features(pa.table({"unit": [1], "sensor1": [1.0]}), ["senser*"], ["unit"])
    assert str(caught.value) == (
        "A pattern meets no column of the table.\n"
        "  where   option --features\n"
        "  got     'senser*'; near ones: 'sensor1'\n"
        "  wanted  columns of numbers among 'sensor1'\n"
        "  fix     use the exact names, or a pattern that fits some of them\n"
        "  more    sostenuto explain SO208"
    )


def test_text_needs_names(tmp_path: Path) -> None:
    path = text(engines(2), tmp_path / "engines.txt")
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert str(caught.value) == (
        "This text file has no header that names its columns.\n"
        f"  where   {str(path)!r}\n"
        "  got     a text file without names of columns\n"
        "  wanted  the name of each column\n"
        "  fix     --columns unit,cycle,s1..s21 (one name for each column, from left to right)\n"
        "  more    sostenuto explain SO213"
    )


def test_names_must_be_as_many_as_columns(tmp_path: Path) -> None:
    path = text(engines(2), tmp_path / "engines.txt")
    with pytest.raises(ColumnError) as caught:
        read_table(path, ["unit", "cycle"])
    assert str(caught.value) == (
        "The names do not fit the columns of the file.\n"
        f"  where   option --columns, {str(path)!r}\n"
        "  got     2 names\n"
        "  wanted  6, one for each column\n"
        "  fix     name every column, also those that are not used\n"
        "  more    sostenuto explain SO208"
    )


def test_names_must_differ(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="one name for each column"):
        read_table(text(engines(2), tmp_path / "engines.txt"), ["a", "b", "a", "c", "d", "e"])


def test_rows_of_text_must_have_one_width(tmp_path: Path) -> None:
    path = tmp_path / "broken.txt"
    path.write_text("1 2 3\n1 2\n")
    with pytest.raises(DataError) as caught:
        read_table(path, ["a", "b", "c"])
    assert caught.value.code == "SO213"


def test_missing_text_names_near_ones(tmp_path: Path) -> None:
    text(engines(2), tmp_path / "engines.txt")
    with pytest.raises(DataFileError, match=r"near ones: engines\.txt"):
        read_table(tmp_path / "engine.txt", ["a"])


def test_binary_with_names_is_refused(tmp_path: Path) -> None:
    path = parquet(engines(2), tmp_path / "t.parquet")
    with pytest.raises(DataFileError) as caught:
        read_table(path, ["a"])
    assert caught.value.code == "SO213"


def test_labels_are_numbered_in_their_order() -> None:
    table = pa.table({"kind": ["b", "a", "c", "a"], "x": [1, 2, 3, 4]})
    labels = labels_of(table["kind"])
    assert labels == ["a", "b", "c"]
    assert encoded(table, "kind", labels).to_pydict() == {"kind": [1, 0, 2, 0], "x": [1, 2, 3, 4]}


def test_unknown_label_is_named() -> None:
    with pytest.raises(TargetError) as caught:
        encoded(pa.table({"kind": ["b", "z"]}), "kind", ["a", "b"], learnt=True)
    assert str(caught.value) == (
        "Some labels were not among those learnt.\n"
        "  where   column 'kind'\n"
        "  got     'z'\n"
        "  wanted  labels among 'a', 'b'\n"
        "  fix     drop these rows, or train a model on a table that has these labels too\n"
        "  more    sostenuto explain SO402"
    )


def test_missing_label_is_counted() -> None:
    with pytest.raises(TargetError, match="1 missing label of 2"):
        encoded(pa.table({"kind": ["b", None]}), "kind", ["b"])
