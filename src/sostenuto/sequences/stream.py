"""Parquet files larger than memory, as blocks of whole sequences."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from sostenuto.diagnosis import count, some
from sostenuto.errors import DataError
from sostenuto.sequences.checks import check_count, check_not_empty
from sostenuto.sequences.from_table import Plan, build, dtype_of, make_plan
from sostenuto.sequences.table_order import encode_ids
from sostenuto.sequences.table_source import FrameSource, ParquetSource, check_file, open_table
from sostenuto.sequences.targets import Per

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


class SequenceStream:
    """Blocks of whole sequences, read from Parquet files one after another; every loop over it reads anew.

    The rows of a sequence must lie together, also across files, as in a table sorted by id; within a sequence ``time``
    puts them in order. A sequence that reaches over the border of a block or file is joined, so a block holds about
    ``steps_per_block`` steps, or more where one sequence is longer. Memory holds about two blocks, and every id once.

    Attributes:
        features: the names of the features.
        target_names: the names of the targets.
        dtype: the dtype of the values, the same in every block.
        steps: the number of rows in all files, as their metadata says.

    Example:
        >>> import tempfile, pyarrow as pa, pyarrow.parquet
        >>> from sostenuto.sequences import Sequences
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = pa.table({"unit": [1, 1, 2, 3, 3], "speed": [1.0, 2.0, 3.0, 4.0, 5.0]})
        ...     pyarrow.parquet.write_table(table, f"{folder}/speeds.parquet")
        ...     stream = Sequences.stream(f"{folder}/speeds.parquet", id="unit", steps_per_block=3)
        ...     print(stream.steps, [block.ids for block in stream])
        5 [(1, 2), (3,)]
    """

    def __init__(self, kind: type[Sequences], paths: Sequence[Path], plan: Plan, steps_per_block: int) -> None:
        sources = [_parquet(path) for path in paths]
        self._kind = kind
        self._plan = plan
        self._paths = tuple(paths)
        self._steps_per_block = steps_per_block
        self._schema = _joint_schema([source.schema for source in sources], paths, plan.columns)
        self._dtypes = {
            part: np.result_type(*(dtype_of(source, columns, plan.missing) for source in sources))
            for part, columns in (("features", plan.features), ("targets", plan.targets))
            if columns
        }
        self.features = plan.features
        self.target_names = plan.targets
        self.dtype = self._dtypes["features"]
        self.steps = sum(source.rows() for source in sources)
        check_not_empty(self.steps, "files without rows")

    def __repr__(self) -> str:
        files = count(len(self._paths), "file")
        features = count(len(self.features), "feature")
        return f"SequenceStream({files}, {count(self.steps, 'step')}, {features}, {self.dtype.name})"

    def __iter__(self) -> Iterator[Sequences]:
        seen: set[Any] = set()
        waiting: list[pa.Table] = []
        rows, enough = 0, self._steps_per_block
        for part in self._parts():
            waiting.append(part)
            rows += part.num_rows
            if rows < enough:
                continue
            table = pa.concat_tables(waiting)
            whole = self._whole_rows(table)
            if whole:
                yield self._block(table.slice(0, whole), seen)
            # One sequence longer than a block: look again only when twice as much has come.
            enough = self._steps_per_block if whole else 2 * rows
            waiting, rows = [table.slice(whole)], rows - whole
        if rows:
            yield self._block(pa.concat_tables(waiting), seen)

    def _parts(self) -> Iterator[pa.Table]:
        for path in self._paths:
            for batch in _parquet(path).blocks(self._plan.columns):
                table = pa.Table.from_batches([batch]).select(self._schema.names)
                yield table.cast(self._schema)

    def _whole_rows(self, table: pa.Table) -> int:
        """How many rows lie before those of the last id, which may go on."""
        codes, _ = encode_ids(table, self._plan.ids)
        changes = np.flatnonzero(codes[1:] != codes[:-1])
        return int(changes[-1]) + 1 if len(changes) else 0

    def _block(self, table: pa.Table, seen: set[Any]) -> Sequences:
        codes, ids = encode_ids(table, self._plan.ids)
        torn = np.flatnonzero(codes[1:] < codes[:-1])
        back = ids[codes[torn + 1]].tolist() if len(torn) else [name for name in ids.tolist() if name in seen]
        if back:
            raise DataError(
                "The rows of a sequence do not lie together.",
                code="SO206",
                where=f"id {some(dict.fromkeys(back), 3)}",
                got="rows of an id that had ended before",
                wanted="all rows of an id one after another",
                fix="sort the files by id, or read them whole with Sequences.from_table",
            )
        seen.update(ids.tolist())
        return build(self._kind, FrameSource(nw.from_native(table)), self._plan, self._dtypes)


def stream(
    cls: type[Sequences],
    paths: Any,
    id: str | Sequence[str],
    time: str | None = None,
    features: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    weight: str | None = None,
    *,
    target_per: Per = "step",
    steps_per_block: int = 1_000_000,
    missing: str = "error",
) -> SequenceStream:
    """Blocks of sequences from Parquet files that need not fit in memory.

    Args:
        paths: one path or a list of paths, read in this order; the rows of an id must lie together.
        id: as in ``from_table``, likewise ``time``, ``features``, ``target``, ``weight``, ``target_per``, ``missing``.
        time: orders the steps of a sequence.
        features: by default every column of numbers of the first file not used otherwise.
        target: the column or columns of targets.
        weight: the column of sample weights.
        target_per: ``"step"`` (default) or ``"sequence"``.
        steps_per_block: about how many steps a block holds; it never cuts a sequence.
        missing: ``"error"`` (default) or ``"keep"``.

    Returns:
        A ``SequenceStream``; every loop over it gives the same ``Sequences``.

    Raises:
        DataFileError: a file is not there (SO209).
        DataError: a file is no Parquet file (SO213) or all are empty (SO210); while reading, an id comes back after
            another (SO206), or what ``from_table`` raises.
        ColumnError: a column is not there (SO208).

    Example:
        See ``SequenceStream``.
    """
    steps_per_block = check_count("steps_per_block", steps_per_block)
    files = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    check_not_empty(len(files), "a list of no paths")
    plan: Plan | None = None
    for path in files:
        source = _parquet(path)
        chosen = features if plan is None else plan.features
        found = make_plan(source, id, time, chosen, target, weight, target_per, missing)
        plan = plan or found
    assert plan is not None  # there is at least one file
    return SequenceStream(cls, files, plan, steps_per_block)


def _parquet(path: Path) -> ParquetSource:
    check_file(path)
    source = open_table(path)
    if isinstance(source, ParquetSource):
        return source
    raise DataError(
        "Only Parquet files can be read in blocks.",
        code="SO213",
        where=repr(os.fspath(path)),
        got=f"a {path.suffix} file",
        wanted="a .parquet file",
        fix="read it whole with Sequences.from_table, or convert it",
    )


def _joint_schema(schemas: list[pa.Schema], paths: Sequence[Path], columns: Sequence[str]) -> pa.Schema:
    """The kinds that hold each column of every file."""
    joint = pa.schema([schemas[0].field(name).with_nullable(True) for name in columns])
    for schema, path in zip(schemas, paths, strict=True):
        part = pa.schema([schema.field(name).with_nullable(True) for name in columns])
        try:
            joint = pa.unify_schemas([joint, part], promote_options="permissive")
        except pa.ArrowException:
            raise DataError(
                "Files disagree about the kind of a column.",
                code="SO204",
                where=repr(os.fspath(path)),
                got=", ".join(
                    f"{field.name!r} {field.type}" for field in part if field.type != joint.field(field.name).type
                ),
                wanted="the kinds of the files before",
                fix="write all files with one schema",
            ) from None
    return joint
