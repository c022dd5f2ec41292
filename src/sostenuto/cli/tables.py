"""Tables for the command line: files of every kind, column names written short, targets encoded as numbers."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sostenuto.diagnosis import count, nearest, some
from sostenuto.errors import ColumnError, DataError, DataFileError, TargetError
from sostenuto.sequences.from_table import numeric
from sostenuto.sequences.table_source import SUFFIXES, check_file, open_table, read_or_explain

PARQUET = (".parquet", ".pq")
COMMAS = (".csv", ".csv.gz")
_RANGE = re.compile(r"(.*?)(\d+)\.\.(.*?)(\d+)")
_PATTERN = re.compile(r"[*?\[]")


def names_in(text: str | None) -> tuple[str, ...]:
    """The names in a list with commas; ``s1..s3`` stands for s1, s2, s3.

    Example:
        >>> names_in("unit, cycle, s1..s3")
        ('unit', 'cycle', 's1', 's2', 's3')
    """
    names: list[str] = []
    for part in (part.strip() for part in (text or "").split(",")):
        found = _RANGE.fullmatch(part)
        if found and found[1] == found[3] and int(found[2]) <= int(found[4]):
            width = len(found[2]) if found[2].startswith("0") else 0
            names += [f"{found[1]}{number:0{width}d}" for number in range(int(found[2]), int(found[4]) + 1)]
        elif part:
            names.append(part)
    return tuple(names)


def read_table(path: Path, columns: Sequence[str] = ()) -> pa.Table | Path:
    """A table of the disk, with names for its columns where the file has no header.

    Args:
        path: Parquet (given back as it is, for it is read block by block), CSV, Arrow or Feather; or, with
            ``columns``, text without a header: ``.csv`` with commas, any other name with blanks.
        columns: the names of all columns of a file without a header.

    Raises:
        DataFileError: the file is not there (SO209).
        DataError: the file is no table (SO213).
        ColumnError: a name of ``columns`` comes twice (SO208).
    """
    if not columns:
        if path.is_file() and not path.name.lower().endswith(SUFFIXES):
            raise DataError(
                "This text file has no header that names its columns.",
                code="SO213",
                where=f"{str(path)!r}",
                got="a text file without names of columns",
                wanted="the name of each column",
                fix="--columns unit,cycle,s1..s21 (one name for each column, from left to right)",
            )
        check_file(path)
        return path if path.name.lower().endswith(PARQUET) else open_table_of(path)
    if not path.is_file():
        check_file(path)
    repeated = [name for name in dict.fromkeys(columns) if list(columns).count(name) > 1]
    if repeated:
        raise ColumnError(
            "Two columns would have the same name.",
            code="SO208",
            where="option --columns",
            got=some(repeated),
            wanted="one name for each column",
            fix="number them: s1..s21",
        )
    return _read_text(path, list(columns))


def open_table_of(path: Path) -> pa.Table:
    """A CSV, Arrow or Feather file as an Arrow table."""
    source = open_table(path)
    return source.read(list(source.kinds)) if source.kinds else pa.table({})


def _read_text(path: Path, columns: list[str]) -> pa.Table:
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with_commas = path.name.lower().endswith(COMMAS)
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            lines = [line.strip() if with_commas else " ".join(line.split()) for line in file]
    except (UnicodeDecodeError, OSError) as error:
        raise DataFileError(
            "This file cannot be read as text.",
            code="SO213",
            where=repr(str(path)),
            got=str(error)[:160],
            wanted="rows of numbers or words, one row on each line",
            fix="check that the file is whole; a .parquet or .arrow file needs no --columns",
        ) from None
    lines = [line for line in lines if line]
    if not lines:
        return pa.table({name: [] for name in columns})
    found = len(lines[0].split("," if with_commas else " "))
    if found != len(columns):
        raise ColumnError(
            "The names do not fit the columns of the file.",
            code="SO208",
            where=f"option --columns, {str(path)!r}",
            got=count(len(columns), "name"),
            wanted=f"{found}, one for each column",
            fix="name every column, also those that are not used",
        )
    return read_or_explain(
        path,
        lambda: pyarrow.csv.read_csv(
            io.BytesIO("\n".join(lines).encode()),
            read_options=pyarrow.csv.ReadOptions(column_names=columns),
            parse_options=pyarrow.csv.ParseOptions(delimiter="," if with_commas else " "),
        ),
    )


def choose_features(table: Any, wanted: Sequence[str], used: Iterable[str]) -> tuple[str, ...]:
    """The columns of features: named, by patterns such as ``s*``, or all columns of numbers not used otherwise.

    Args:
        table: what ``read_table`` gave.
        wanted: names and patterns; none for all.
        used: columns that serve as id, time or target, left out of patterns.

    Raises:
        ColumnError: a name or pattern meets no column (SO208).

    Example:
        >>> table = pa.table({"unit": [1], "s1": [0.5], "s2": [0.5], "name": ["a"]})
        >>> choose_features(table, ["s*"], ["unit"]), choose_features(table, [], ["unit"])
        (('s1', 's2'), ('s1', 's2'))
    """
    kinds = open_table(table).kinds
    taken = set(used)
    free = [name for name, kind in kinds.items() if name not in taken and numeric(kind)]
    if not wanted:
        return tuple(free)
    chosen: list[str] = []
    for name in wanted:
        if name in kinds or not _PATTERN.search(name):
            chosen.append(name)
            continue
        found = [column for column in free if fnmatchcase(column, name)]
        if not found:
            near = nearest(re.sub(r"[*?\[\]]", "", name), kinds)
            raise ColumnError(
                "A pattern meets no column of the table.",
                code="SO208",
                where="option --features",
                got=f"{name!r}" + (f"; near ones: {', '.join(map(repr, near))}" if near else ""),
                wanted=f"columns of numbers among {some(free, 8)}",
                fix="use the exact names, or a pattern that fits some of them",
            )
        chosen += found
    return tuple(dict.fromkeys(chosen))


def labels_of(column: Any) -> list[Any]:
    """The different labels of a column, sorted; missing ones left out.

    Example:
        >>> labels_of(pa.chunked_array([["b", "a", None, "b"]]))
        ['a', 'b']
    """
    return sorted(label for label in pc.unique(column).to_pylist() if label is not None)


def encoded(table: pa.Table, target: str, labels: Sequence[Any], learnt: bool = False) -> pa.Table:
    """The table with labels as numbers: their positions among ``labels``.

    Args:
        table: the table.
        target: the column of labels.
        labels: all labels, in the order of their numbers.
        learnt: whether ``labels`` are those of a trained model, for the wording of errors.

    Raises:
        TargetError: a label is missing (SO205), or not among ``labels`` (SO402).

    Example:
        >>> encoded(pa.table({"kind": ["b", "a"]}), "kind", ["a", "b"])["kind"].to_pylist()
        [1, 0]
    """
    column = table.column(target)
    if column.null_count:
        raise TargetError(
            "Some labels are missing.",
            code="SO205",
            where=f"column {target!r}",
            got=f"{count(column.null_count, 'missing label')} of {len(column):,}",
            wanted="a label in every row",
            fix="drop these rows, or give them a label of their own",
        )
    kinds = {type(label) for label in labels}
    if kinds == {str} and not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.string())
    numbers = {label: number for number, label in enumerate(labels)}
    dictionary = pc.dictionary_encode(column.combine_chunks())
    known = dictionary.dictionary.to_pylist()
    unknown = [label for label in known if label not in numbers]
    if unknown:
        raise TargetError(
            "Some labels were not among those learnt." if learnt else "Some labels are unknown.",
            code="SO402",
            where=f"column {target!r}",
            got=some(unknown),
            wanted=f"labels among {some(labels, 10)}",
            fix="drop these rows, or train a model on a table that has these labels too",
        )
    codes = np.array([numbers[label] for label in known], np.int32)[dictionary.indices.to_numpy()]
    return table.set_column(table.column_names.index(target), target, pa.array(codes))
