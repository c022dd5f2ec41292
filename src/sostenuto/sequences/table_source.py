"""Long tables wherever they live: a file, an Arrow table, a data frame of pandas, polars and others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import narwhals as nw
import pyarrow as pa

from sostenuto.diagnosis import nearest, shape_of, some
from sostenuto.errors import ColumnError, DataError, DataFileError, DataTypeError

# Rows converted in one go: few enough to stay in the processor's cache, many enough to make calls cheap.
ROWS = 1 << 16

SUFFIXES = (".parquet", ".pq", ".csv", ".csv.gz", ".arrow", ".feather", ".ipc")


class TableSource(Protocol):
    """What reading a table needs: its columns and kinds, and its rows in blocks."""

    kinds: dict[str, nw.dtypes.DType]

    def rows(self) -> int: ...

    def nulls(self, column: str) -> bool:
        """Whether the column has nulls, or may have them."""
        ...

    def read(self, columns: Sequence[str]) -> pa.Table: ...

    def blocks(self, columns: Sequence[str]) -> Iterator[Any]: ...


class FrameSource:
    """A table in memory."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        schema = frame.collect_schema()
        # Arrow writes all names as strings; pandas may have others.
        self._native = {str(name): name for name in schema.names()}
        self.kinds = {str(name): kind for name, kind in schema.items()}

    def _eager(self, columns: Sequence[str]) -> Any:
        if isinstance(self._frame, nw.LazyFrame):
            self._frame = self._columns(self.kinds).collect()
        return self._columns(columns)

    def _columns(self, columns: Iterable[str]) -> Any:
        return self._frame.select(*(nw.col(self._native[name]) for name in columns))

    def keep(self, columns: Sequence[str]) -> None:
        """Forgets other columns, so that a lazy frame computes no more than these."""
        self.kinds = {name: self.kinds[name] for name in dict.fromkeys(columns)}

    def rows(self) -> int:
        return len(self._eager(list(self.kinds)[:1]))

    def nulls(self, column: str) -> bool:
        return bool(self._eager([column])[self._native[column]].null_count())

    def read(self, columns: Sequence[str]) -> pa.Table:
        return self._eager(columns).to_arrow().select(list(columns))

    def blocks(self, columns: Sequence[str]) -> Iterator[Any]:
        frame = self._eager(columns)
        for start in range(0, len(frame), ROWS):
            # A plain slice of an Arrow table may still have many small chunks.
            yield frame[start : start + ROWS].to_arrow().combine_chunks()


class ParquetSource:
    """A Parquet file, read block by block."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as parquet

        self._path = path
        self._file = parquet.ParquetFile(path, pre_buffer=False)
        self.schema = self._file.schema_arrow.remove_metadata()
        empty = nw.from_native(self.schema.empty_table(), eager_only=True)
        self.kinds = {name: kind for name, kind in empty.schema.items() if not name.startswith("__index_level_")}

    def rows(self) -> int:
        return self._file.metadata.num_rows

    def nulls(self, column: str) -> bool:
        metadata = self._file.metadata
        number = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == column)
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(number).statistics
            if statistics is None or not statistics.has_null_count or statistics.null_count:
                return True
        return False

    def read(self, columns: Sequence[str]) -> pa.Table:
        return self._file.read(list(columns))

    def blocks(self, columns: Sequence[str]) -> Iterator[Any]:
        return self._file.iter_batches(ROWS, columns=list(columns))


def open_table(table: Any) -> TableSource:
    """The source of a table or of a path to one.

    Raises:
        DataFileError: the file is not there (SO209).
        DataError: the file is no table (SO213).
        DataTypeError: this is no table (SO201).
    """
    if isinstance(table, str | os.PathLike):
        return _open_file(Path(table))
    if isinstance(table, pa.RecordBatchReader):
        table = table.read_all()
    elif isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    try:
        frame = nw.from_native(table, pass_through=True)
        if not isinstance(frame, nw.DataFrame | nw.LazyFrame) and hasattr(table, "__arrow_c_stream__"):
            frame = nw.from_native(pa.table(table))
        if isinstance(frame, nw.DataFrame | nw.LazyFrame):
            return FrameSource(frame)
    except nw.exceptions.DuplicateError as error:
        raise ColumnError(
            "Two columns have the same name.",
            code="SO208",
            where="the columns of the table",
            got=", ".join(re.findall(r"- ('.*') \d+ times", str(error))[:8]),
            wanted="one column for each name",
            fix="rename or drop the repeated columns",
        ) from None
    raise DataTypeError(
        "This is no table.",
        code="SO201",
        where="argument 'table'",
        got=shape_of(table),
        wanted="a data frame (pandas, polars and others), an Arrow table, or a path to a file",
        fix="use Sequences.from_list for arrays, from_padded for padded ones",
    )


def check_file(path: Path) -> None:
    """Refuses a path without a file (SO209) or of an unknown kind (SO213)."""
    if not path.is_file():
        folder = path.parent
        near = nearest(path.name, [entry.name for entry in folder.iterdir()]) if folder.is_dir() else []
        raise DataFileError(
            "There is no such file.",
            code="SO209",
            where=f"{os.fspath(path)!r}",
            got="a folder" if path.is_dir() else "nothing there" if folder.is_dir() else f"no folder {str(folder)!r}",
            wanted="a file of data",
            fix=f"near ones: {', '.join(near)}" if near else "check the spelling and the current folder",
        )
    if not path.name.lower().endswith(SUFFIXES):
        raise _no_table(path, f"a file named {path.name!r}", "convert it, or read it yourself and pass the table")


def _open_file(path: Path) -> TableSource:
    check_file(path)
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return read_or_explain(path, lambda: ParquetSource(path))
    if name.endswith((".csv", ".csv.gz")):
        table = read_or_explain(path, lambda: _read_csv(path))
    else:
        table = read_or_explain(path, lambda: _read_arrow(path))
    return open_table(table)


def _read_csv(path: Path) -> pa.Table:
    import pyarrow.csv

    if path.stat().st_size == 0:
        return pa.table({})
    return pyarrow.csv.read_csv(path)


def _read_arrow(path: Path) -> pa.Table:
    source = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source).read_all()


def read_or_explain(path: Path, read: Callable[[], Any]) -> Any:
    """Runs ``read`` and explains what pyarrow could not read (SO213)."""
    try:
        return read()
    except pa.ArrowException as error:
        first = str(error).splitlines()[0][:160]
        raise _no_table(path, first, "check that the file is whole and of the kind its name says") from error


def _no_table(path: Path, got: str, fix: str) -> DataError:
    return DataError(
        "This file cannot be read as a table.",
        code="SO213",
        where=repr(os.fspath(path)),
        got=got,
        wanted=f"a file of the kind its name ends with: {', '.join(SUFFIXES)}",
        fix=fix,
    )


def check_columns(known: Collection[str], wanted: Mapping[str, Sequence[str]]) -> None:
    """Refuses column names that the table lacks (SO208); ``wanted`` holds them by argument."""
    lacking = [(argument, name) for argument, names in wanted.items() for name in names if name not in known]
    if not lacking:
        return
    lines = []
    for argument, name in lacking[:5]:
        near = nearest(str(name), known)
        lines.append(f"{argument}={name!r}" + (f"; near ones: {', '.join(map(repr, near))}" if near else ""))
    if len(lacking) > 5:
        lines.append(f"and {len(lacking) - 5} more")
    raise ColumnError(
        "The table lacks a column." if len(lacking) == 1 else f"The table lacks {len(lacking)} columns.",
        code="SO208",
        where="the columns of the table",
        got="\n".join(lines),
        wanted=f"columns among {some(known, 8)}",
        fix="use the exact names; an index of pandas becomes columns with table.reset_index()",
    )
