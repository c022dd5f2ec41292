"""Long tables, one row per step, to ``Sequences``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from sostenuto.errors import ColumnError, DataTypeError, TargetError
from sostenuto.sequences.batching import whole_steps
from sostenuto.sequences.checks import check_not_empty, check_option, common_dtype, missing_error
from sostenuto.sequences.table_order import RowOrder, row_order
from sostenuto.sequences.table_source import FrameSource, TableSource, check_columns, open_table
from sostenuto.sequences.targets import Per

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences

# Rows put together before they are sent to their places.
SENT = 1 << 12


@dataclass(frozen=True)
class Plan:
    """Which columns of a table become what."""

    ids: tuple[str, ...]
    time: str | None
    features: tuple[str, ...]
    targets: tuple[str, ...]
    one_target: bool
    weight: str | None
    per: Per
    missing: str

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, each once."""
        time = () if self.time is None else (self.time,)
        weight = () if self.weight is None else (self.weight,)
        return tuple(dict.fromkeys((*self.ids, *time, *self.features, *self.targets, *weight)))


def from_table(
    cls: type[Sequences],
    table: Any,
    id: str | Sequence[str],
    time: str | None = None,
    features: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    weight: str | None = None,
    *,
    target_per: Per = "step",
    missing: str = "error",
) -> Sequences:
    """Sequences from a long table: one row per step, a column that says which sequence the row belongs to.

    Rows may come in any order. Sequences stand in the order in which their ids first appear; steps stand in the order
    of ``time``, or without it in that of the rows. Parquet files are read block by block, so that memory holds the
    values once.

    Args:
        table: a data frame (pandas, polars, or any that narwhals reads, also lazy), an Arrow table, or the path of a
            Parquet, CSV (also .csv.gz), Arrow or Feather file.
        id: the column that names the sequence, or several columns, which make tuples.
        time: the column of numbers or dates that orders the steps of a sequence.
        features: the columns of features; by default every column of numbers not used otherwise.
        target: the column of targets, giving targets (N,), or several columns, giving (N, K).
        weight: the column of sample weights.
        target_per: ``"step"`` (default), or ``"sequence"`` if target and weight are constant under each id.
        missing: ``"error"`` (default) refuses missing and infinite values, ``"keep"`` keeps them as NaN.

    Raises:
        ColumnError: a column is not there (SO208).
        DataTypeError: a column holds no numbers (SO204), or this is no table (SO201).
        DataFileError: the file is not there (SO209).
        DataError: values are missing (SO205), an id and time come twice (SO207), there are no rows (SO210), or the
            file cannot be read (SO213).
        TargetError: a target is not constant under its id (SO401), or a weight is negative (SO404).

    Example:
        >>> import pyarrow as pa
        >>> from sostenuto.sequences import Sequences
        >>> table = pa.table({"unit": [7, 3, 7], "cycle": [2, 1, 1], "speed": [1.5, 0.5, 2.5]})
        >>> sequences = Sequences.from_table(table, id="unit", time="cycle")
        >>> sequences.ids, sequences.features, sequences[7].tolist()
        ((7, 3), ('speed',), [[2.5], [1.5]])
    """
    source = open_table(table)
    plan = make_plan(source, id, time, features, target, weight, target_per, missing)
    if isinstance(source, FrameSource):
        source.keep(plan.columns)
    return build(cls, source, plan)


def make_plan(
    source: TableSource, id: Any, time: Any, features: Any, target: Any, weight: Any, per: Per, missing: str
) -> Plan:
    """The columns of a table sorted by use, and checked to be there and to hold numbers."""
    check_option("target_per", per, ("step", "sequence"))
    check_option("missing", missing, ("error", "keep"))
    if not source.kinds:
        check_not_empty(0, "a table without columns")
    ids, targets = _names(id), _names(target)
    others = {"time": _names(time), "target": targets, "weight": _names(weight)}
    wanted = {"id": ids, **others, "features": _names(features)}
    if not ids:
        raise ColumnError(
            "Sequences of a table need a column of ids.",
            code="SO208",
            where="argument 'id'",
            fix="name it: id='unit', or several: id=['patient', 'visit']",
            got=f"id={id!r}",
            wanted="a column or several",
        )
    check_columns(source.kinds, wanted)
    if features is None:
        used = {*ids, *others["time"], *targets, *others["weight"]}
        wanted["features"] = tuple(name for name in source.kinds if name not in used and numeric(source.kinds[name]))
    if not wanted["features"]:
        raise ColumnError(
            "No column is left for features.",
            code="SO208",
            where="the columns of the table",
            got=f"columns {', '.join(map(repr, source.kinds))}",
            wanted="at least one column of numbers besides id, time, target and weight",
            fix="name the columns: features=[...]",
        )
    for argument in ("features", "target", "weight"):
        for name in wanted[argument]:
            if not numeric(source.kinds[name]):
                error = DataTypeError if argument == "features" else TargetError
                raise error(
                    "This column holds no numbers.",
                    code="SO204",
                    where=f"column {name!r}, used in {argument}=",
                    got=str(source.kinds[name]),
                    wanted="integers, floats or booleans",
                    fix="encode categories as integers, dates as differences; or leave the column out",
                )
    return Plan(ids, time, wanted["features"], targets, target is None or isinstance(target, str), weight, per, missing)


def build(
    cls: type[Sequences], source: TableSource, plan: Plan, dtypes: dict[str, np.dtype] | None = None
) -> Sequences:
    """Reads the columns of a plan; ``dtypes`` ("features", "targets") settles them beforehand."""
    steps = source.rows()
    check_not_empty(steps, "a table without rows")
    order = row_order(source.read(plan.ids if plan.time is None else (*plan.ids, plan.time)), plan.ids, plan.time)
    parts: dict[str, tuple[str, ...]] = {"features": plan.features, "targets": plan.targets}
    parts["weights"] = () if plan.weight is None else (plan.weight,)
    dtypes = dtypes or {}
    arrays = {
        part: np.empty((steps, len(columns)), dtypes.get(part) or dtype_of(source, columns, plan.missing))
        for part, columns in parts.items()
        if columns
    }
    _fill(source, order, parts, arrays)
    targets, weights = arrays.get("targets"), arrays.get("weights")
    if targets is not None:
        targets = _per(plan, order, targets, plan.targets)
        targets = targets[:, 0] if plan.one_target else targets
    if weights is not None:
        weights = _per(plan, order, weights, parts["weights"])[:, 0]
    return cls(
        arrays["features"],
        order.offsets,
        order.ids,
        features=plan.features,
        targets=targets,
        targets_per=None if targets is None else plan.per,
        target_names=plan.targets,
        weights=weights,
        weights_per=None if weights is None else plan.per,
        missing=plan.missing,
    )


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else (str(value),)


def numeric(kind: nw.dtypes.DType) -> bool:
    """Whether a column of this kind holds numbers or booleans."""
    return kind.is_numeric() or isinstance(kind, nw.Boolean)


_KINDS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64")


def dtype_of(source: TableSource, columns: Sequence[str], missing: str) -> np.dtype:
    """The dtype that holds these columns; whole numbers with gaps, if they are kept, need floats."""
    dtypes = []
    for name in columns:
        kind = source.kinds[name]
        plain = str(kind) if str(kind) in _KINDS else "bool" if isinstance(kind, nw.Boolean) else "float64"
        dtype = np.dtype(plain.lower())
        if dtype.kind in "iub" and missing == "keep" and source.nulls(name):
            dtype = np.result_type(dtype, np.float32)
        dtypes.append(dtype)
    return common_dtype(dtypes)


def _fill(
    source: TableSource, order: RowOrder, parts: dict[str, tuple[str, ...]], arrays: dict[str, np.ndarray]
) -> None:
    columns = list(dict.fromkeys(name for names in parts.values() for name in names))
    # Out of order, rows are put together in a small buffer that stays in cache, then sent to their places whole.
    buffers = {part: np.empty((SENT, array.shape[1]), array.dtype) for part, array in arrays.items()}
    start = 0
    for block in source.blocks(columns):
        for first in range(0, block.num_rows, SENT):
            piece = block.slice(first, SENT)
            stop = start + piece.num_rows
            for part, array in arrays.items():
                rows = array[start:stop] if order.rank is None else buffers[part][: piece.num_rows]
                for number, name in enumerate(parts[part]):
                    rows[:, number] = _values(piece.column(name), name, array.dtype, order, start)
                if order.rank is not None:
                    whole_steps(array)[order.rank[start:stop]] = whole_steps(rows)
            start = stop


def _values(column: Any, name: str, dtype: np.dtype, order: RowOrder, start: int) -> np.ndarray:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if column.null_count and dtype.kind in "iu":
        row = start + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        step = row if order.rank is None else int(order.rank[row])
        sequence = int(np.searchsorted(order.offsets, step, side="right")) - 1
        (id_,) = order.ids[sequence : sequence + 1].tolist()
        place = f"sequences[{id_!r}], step {step - int(order.offsets[sequence])}, column {name!r}"
        raise missing_error([place], column.null_count, len(column))
    return column.to_numpy(zero_copy_only=False)


def _per(plan: Plan, order: RowOrder, array: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """The array as it is per step, or its one row for each sequence."""
    if plan.per == "step":
        return array
    first = array[order.offsets[:-1]]
    same = np.repeat(first, np.diff(order.offsets), axis=0)
    equal = (same == array) | (np.isnan(same) & np.isnan(array)) if array.dtype.kind == "f" else same == array
    if not equal.all():
        step, column = (int(at) for at in np.argwhere(~equal)[0])
        sequence = int(np.searchsorted(order.offsets, step, side="right")) - 1
        (name,) = order.ids[sequence : sequence + 1].tolist()
        raise TargetError(
            "This column is not constant within a sequence.",
            code="SO401",
            where=f"sequences[{name!r}], step {step - int(order.offsets[sequence])}, column {columns[column]!r}",
            got="more than one value under one id",
            wanted="one value per sequence, as target_per='sequence' says",
            fix="say target_per='step', or repair the column",
        )
    return first
