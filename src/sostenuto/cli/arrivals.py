"""Where the rows of a stream come from: JSON lines of a pipe, as soon as they are there; text files; Arrow tables."""

from __future__ import annotations

import csv
import gzip
import json
import select
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from sostenuto.cli.tables import COMMAS, read_table
from sostenuto.diagnosis import count, shape_of, some
from sostenuto.errors import ColumnError
from sostenuto.sequences.table_source import SUFFIXES, check_columns, check_file, open_table

MOST_ROWS = 1000
_AT_ONCE = 1 << 16

Found = tuple[int, Any]


class Unreadable(Exception):
    """A row that is none: what was got, and what was wanted."""

    def __init__(self, got: str, wanted: str, column: str | None = None) -> None:
        super().__init__(got)
        self.got = got
        self.wanted = wanted
        self.column = column


@dataclass(frozen=True)
class Dated:
    """A date as a number that orders it, nanoseconds since 1970, and as it is written."""

    nanoseconds: int
    text: str


class Source(Protocol):
    """Rows in the order in which they are to be taken.

    Attributes:
        text: whether numbers come as text.
    """

    text: bool

    def groups(self) -> Iterator[list[Found]]:
        """Rows that are there at once, at most 1,000, each with its number."""
        ...

    def fields(self, found: Any) -> Mapping[str, Any]:
        """The values of a row by column.

        Raises:
            Unreadable: it is no row.
        """
        ...

    def place(self, number: int) -> str:
        """Where a row stands, in words."""
        ...


class JsonLines:
    """JSON objects, one on each line, taken as they arrive: a row is never held back for the next one.

    Args:
        stream: bytes, read with ``read1``.
        waiting: surrounds the one place that may wait for long.

    Example:
        >>> import contextlib, io
        >>> lines = JsonLines(io.BytesIO(b'{"unit": 17}\\n\\n{"unit": 4}'), contextlib.nullcontext)
        >>> [[(number, lines.fields(line)) for number, line in group] for group in lines.groups()]
        [[(1, {'unit': 17}), (3, {'unit': 4})]]
    """

    text = False

    def __init__(self, stream: BinaryIO, waiting: Callable[[], AbstractContextManager[Any]]) -> None:
        self._stream: Any = stream
        self._waiting = waiting

    def groups(self) -> Iterator[list[Found]]:
        """Rows that are there at once."""
        lines: deque[bytes] = deque()
        begun: list[bytes] = []  # the pieces of a line whose end did not arrive yet
        number, ended = 0, False
        while True:
            while not ended and len(lines) < MOST_ROWS and (not lines or self._more()):
                with self._waiting():
                    data = self._stream.read1(_AT_ONCE)
                first, *rest = data.split(b"\n") if data else [b"", b""]
                begun.append(first)
                if rest:
                    lines += [b"".join(begun), *rest[:-1]]
                    begun = rest[-1:]
                ended = not data
            if not lines:
                return
            group = []
            for _ in range(min(MOST_ROWS, len(lines))):
                number += 1
                line = lines.popleft()
                if line.strip():
                    group.append((number, line))
            if group:
                yield group

    def _more(self) -> bool:
        """Whether reading on would not wait."""
        try:
            return bool(select.select([self._stream.fileno()], [], [], 0)[0])
        except (OSError, ValueError):  # bytes in memory never wait; Windows cannot tell of a pipe
            return not hasattr(self._stream, "raw")

    def fields(self, found: bytes) -> Mapping[str, Any]:
        """The object of a line."""
        wanted = 'an object such as {"unit": 17, "cycle": 3, "speed": 0.5}'
        try:
            row = json.loads(found)
        except (ValueError, RecursionError) as error:
            said = str(error).split(":")[0][:80] if isinstance(error, json.JSONDecodeError) else "no text in UTF-8"
            raise Unreadable(f"no JSON: {said}", wanted) from None
        if not isinstance(row, dict):
            raise Unreadable(f"JSON, but {shape_of(row)}", wanted)
        return row

    def place(self, number: int) -> str:
        """The line."""
        return f"line {number} of standard input"


class DelimitedText:
    """A CSV file, or text with blanks between the columns, line by line: one bad line spoils no column.

    Args:
        path: the file.
        columns: the names of its columns; none where the first line holds them.
        wanted: the columns needed, by purpose.

    Raises:
        DataFileError: the file is not there (SO209).
        ColumnError: a column is not there, or two have one name (SO208).
    """

    text = True

    def __init__(self, path: Path, columns: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> None:
        self._path = path
        self._with_header = not columns
        self._commas = path.name.lower().endswith(COMMAS)
        self._columns = list(columns) or next((row for _, row in self._rows()), [])
        check_columns(self._columns, wanted)
        twice = [name for names in wanted.values() for name in names if self._columns.count(name) > 1]
        if twice:
            raise ColumnError(
                "Two columns have the same name.",
                code="SO208",
                where="the columns of the table",
                got=some(dict.fromkeys(twice)),
                wanted="one column for each name",
                fix="rename or drop the repeated columns",
            )

    def _rows(self) -> Iterator[tuple[int, Any]]:
        opened: Any = gzip.open if self._path.suffix.lower() == ".gz" else open
        # Bytes that are no UTF-8 stay what they are: they make their own row bad, not the file.
        with opened(self._path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            if not self._commas:
                yield from ((number, parts) for number, line in enumerate(file, 1) if (parts := line.split()))
                return
            reader = csv.reader(file)
            while True:
                try:
                    row: Any = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    row = Unreadable(f"no CSV: {error}", "one line of CSV")
                if row:
                    yield reader.line_num, row

    def groups(self) -> Iterator[list[Found]]:
        """Rows by 1,000."""
        rows = self._rows()
        if self._with_header:
            next(rows, None)
        group: list[Found] = []
        for row in rows:
            group.append(row)
            if len(group) == MOST_ROWS:
                yield group
                group = []
        if group:
            yield group

    def fields(self, found: Any) -> Mapping[str, Any]:
        """The texts of a line."""
        if isinstance(found, Unreadable):
            raise found
        if len(found) != len(self._columns):
            raise Unreadable(count(len(found), "value"), f"{len(self._columns)}, one for each column")
        return dict(zip(self._columns, found, strict=True))

    def place(self, number: int) -> str:
        """The line."""
        return f"line {number} of {self._path.name!r}"


class ArrowRows:
    """A Parquet file, read block by block, or an Arrow or Feather file.

    Args:
        path: the file.
        wanted: the columns needed, by purpose.

    Raises:
        DataFileError, DataError: the file is not there (SO209), or no table (SO213).
        ColumnError: a column is not there (SO208).
    """

    text = False

    def __init__(self, path: Path, wanted: Mapping[str, Sequence[str]]) -> None:
        self._path = path
        self._source = open_table(read_table(path))
        check_columns(self._source.kinds, wanted)
        self._columns = list(dict.fromkeys(name for names in wanted.values() for name in names))

    def groups(self) -> Iterator[list[Found]]:
        """Rows by 1,000."""
        number = 0
        for block in self._source.blocks(self._columns):
            for start in range(0, block.num_rows, MOST_ROWS):
                part = block.slice(start, MOST_ROWS)
                columns = [_plain(part.column(place)) for place in range(len(self._columns))]
                rows = [dict(zip(self._columns, values, strict=True)) for values in zip(*columns, strict=True)]
                yield list(enumerate(rows, number))
                number += len(rows)

    def fields(self, found: Any) -> Mapping[str, Any]:
        """The values of a row."""
        return found

    def place(self, number: int) -> str:
        """The row, counted from 0 as data frames do."""
        return f"row {number} of {self._path.name!r}"


def _plain(column: Any) -> list[Any]:
    """The values of a column in Python; dates with their number, as Python's own have no nanoseconds."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        return column.to_pylist()
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    numbers = column.cast(pa.timestamp("ns", zone)).cast(pa.int64()).to_pylist()
    texts = column.cast(pa.string()).to_pylist()
    return [None if text is None else Dated(at, text) for at, text in zip(numbers, texts, strict=True)]


def open_rows(path: Path, columns: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> Source:
    """The rows of a file of any kind that ``fit`` reads.

    Args:
        path: the file.
        columns: the names of its columns, where it is text without a header.
        wanted: the columns needed, by purpose.

    Raises:
        DataFileError, DataError: the file is not there (SO209), or no table (SO213).
        ColumnError: a column is not there, or two have one name (SO208).
    """
    name = path.name.lower()
    if not path.is_file():
        check_file(path)
    if name.endswith(COMMAS) or (columns and not name.endswith(SUFFIXES)):
        return DelimitedText(path, columns, wanted)
    return ArrowRows(path, wanted)
