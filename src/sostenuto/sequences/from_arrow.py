"""Arrow list columns, each row a whole sequence, to ``Sequences``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from sostenuto.diagnosis import count
from sostenuto.errors import ColumnError, DataError, DataTypeError, TargetError
from sostenuto.sequences.checks import check_not_empty, check_option, common_dtype, object_array
from sostenuto.sequences.table_source import check_columns, open_table
from sostenuto.sequences.targets import Per

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


class Flat(NamedTuple):
    """A list column: the steps of all rows (N, F), and where each row begins (S+1,)."""

    values: np.ndarray
    offsets: np.ndarray


def from_arrow(
    cls: type[Sequences],
    table: Any,
    values: str | Sequence[str] | None = None,
    id: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    weight: str | None = None,
    *,
    features: Any = None,
    target_per: Per | None = None,
    missing: str = "error",
) -> Sequences:
    """Sequences from list columns: each row is one sequence.

    Either one column per feature, each a list of numbers, or one column whose lists hold lists of features. One column
    of numbers, or of lists of fixed size, is taken without copying where Arrow has it in one piece.

    Args:
        table: an Arrow table, array or chunked array, a data frame with list columns, anything else that speaks
            Arrow's C stream, or the path of a Parquet, Arrow or Feather file.
        values: the column or columns of values; by default all columns of lists not used otherwise.
        id: the column of ids, or several, which make tuples; by default 0 .. S-1.
        target: the column of targets, or several columns of numbers per sequence, giving (S, K). Columns of numbers
            are per sequence, columns of lists per step.
        weight: the column of weights: numbers per sequence, or lists per step.
        features: the names of the features, by default those of the columns.
        target_per: ``"sequence"`` to read a list column as one vector per sequence.
        missing: ``"error"`` (default) refuses missing and infinite values, ``"keep"`` keeps them as NaN.

    Raises:
        ColumnError: a column is not there, or none holds lists (SO208).
        DataTypeError: a column holds no numbers (SO204), or this is no table (SO201).
        DataError: rows disagree (SO202, SO203), values are missing (SO205), or there are no rows (SO210).
        TargetError: targets (SO401) or weights (SO404) do not fit.

    Example:
        >>> import pyarrow as pa
        >>> from sostenuto.sequences import Sequences
        >>> table = pa.table({"name": ["a", "b"], "speed": [[1.0, 2.0], [3.0]], "broken": [0, 1]})
        >>> sequences = Sequences.from_arrow(table, id="name", target="broken")
        >>> sequences, sequences.features
        (Sequences(2 sequences, 3 steps, 1 feature, float64, targets per sequence), ('speed',))
    """
    check_option("missing", missing, ("error", "keep"))
    check_option("target_per", target_per, ("step", "sequence", None))
    columns = _columns(table)
    named = not isinstance(table, pa.Array | pa.ChunkedArray)
    ids, targets = _names(id), _names(target)
    wanted = {"values": _names(values), "id": ids, "target": targets, "weight": _names(weight)}
    check_columns(columns, wanted)
    chosen = wanted["values"]
    if not chosen:
        used = {*ids, *targets, *wanted["weight"]}
        chosen = tuple(name for name, column in columns.items() if name not in used and _is_list(column.type))
    if not chosen:
        raise ColumnError(
            "No column holds lists.",
            code="SO208",
            where="the columns of the table",
            got=", ".join(f"{name!r} ({column.type})" for name, column in list(columns.items())[:8]),
            wanted="a column of lists of numbers, each row one sequence",
            fix="if each row is one step, use Sequences.from_table",
        )
    flats = [_flat(columns[name], name) for name in chosen]
    check_not_empty(len(flats[0].offsets) - 1, "a table without rows")
    first, names = _joined(flats, chosen)
    return cls(
        first.values,
        first.offsets,
        _ids([columns[name] for name in ids]),
        features=names if features is None and named else features,
        missing=missing,
        **_aligned([columns[name] for name in targets], targets, target, target_per, first.offsets, "targets"),
        target_names=targets,
        **_aligned(
            [columns[name] for name in wanted["weight"]], wanted["weight"], weight, None, first.offsets, "weights"
        ),
    )


def _columns(table: Any) -> dict[str, pa.ChunkedArray]:
    if isinstance(table, pa.Array):
        table = pa.chunked_array([table])
    if isinstance(table, pa.ChunkedArray):
        return {"values": table}
    source = open_table(table)
    read = source.read(list(source.kinds))
    return dict(zip(read.column_names, read.columns, strict=True))


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        kinds.is_list(kind)
        or kinds.is_large_list(kind)
        or kinds.is_fixed_size_list(kind)
        or kinds.is_list_view(kind)
        or kinds.is_large_list_view(kind)
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind))


def _one_piece(column: pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no chunk at all, or too large for one
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def _flat(column: pa.ChunkedArray, name: str, error: type[DataError] = DataTypeError) -> Flat:
    array = _one_piece(column)
    if not _is_list(array.type):
        raise _no_numbers(array, name, error)
    _refuse_null(array, name, "row")
    steps, offsets = _unwrap(array)
    if _is_list(steps.type):
        _refuse_null(steps, name, "step")
        numbers, bounds = _unwrap(steps)
        widths = np.unique(np.diff(bounds))
        if len(widths) > 1:
            raise DataError(
                "Steps disagree about the number of features.",
                code="SO203",
                where=f"column {name!r}",
                got=f"from {int(widths[0])} to {int(widths[-1])} features in a step",
                wanted="the same number at every step",
                fix="give every step the same features",
            )
        width = int(widths[0]) if len(widths) else _declared_width(steps.type)
    else:
        numbers, width = steps, 1
    if kinds.is_null(numbers.type):  # lists without any element have no kind of their own
        numbers = numbers.cast(pa.float64())
    if not _is_number(numbers.type):
        raise _no_numbers(array, name, error)
    if kinds.is_boolean(numbers.type):
        numbers = numbers.cast(pa.uint8())
        plain = numbers.to_numpy(zero_copy_only=False)
        return Flat(plain.astype(np.float32).reshape(len(steps), width), offsets)
    return Flat(numbers.to_numpy(zero_copy_only=False).reshape(len(steps), width), offsets)


def _declared_width(kind: pa.DataType) -> int:
    return kind.list_size if kinds.is_fixed_size_list(kind) else 1


def _unwrap(array: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The elements of lists one after another, and where each list begins."""
    kind = array.type
    if kinds.is_fixed_size_list(kind):
        return array.flatten(), np.arange(len(array) + 1, dtype=np.int64) * kind.list_size
    if kinds.is_list_view(kind) or kinds.is_large_list_view(kind):
        array = array.cast(pa.large_list(kind.value_type))
    offsets = array.offsets.to_numpy().astype(np.int64)
    return array.flatten(), offsets - (offsets[0] if len(offsets) else 0)


def _refuse_null(array: pa.Array, name: str, noun: str) -> None:
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(
            f"A {noun} is null.",
            code="SO205",
            where=f"column {name!r}, {noun} {row}",
            got=f"{array.null_count:,} of {count(len(array), noun)} null",
            wanted="a list in every place; a sequence without steps is []",
            fix="drop them, or fill them with empty lists",
        )


def _no_numbers(array: pa.Array, name: str, error: type[DataError]) -> DataError:
    return error(
        "This column holds no lists of numbers.",
        code="SO204",
        where=f"column {name!r}",
        got=str(array.type),
        wanted="lists of integers, floats or booleans",
        fix="encode categories as integers; if each row is one step, use Sequences.from_table",
    )


def _joined(flats: list[Flat], names: Sequence[str]) -> tuple[Flat, list[str]]:
    """Several columns as one (N, F), and the names of its features."""
    labels: list[str] = []
    for flat, name in zip(flats, names, strict=True):
        width = flat.values.shape[1]
        labels += [name] if width == 1 else [f"{name}_{number}" for number in range(width)]
        if not np.array_equal(flat.offsets, flats[0].offsets):
            row = int(np.flatnonzero(np.diff(flat.offsets) != np.diff(flats[0].offsets))[0])
            raise DataError(
                "Columns disagree about the length of a sequence.",
                code="SO202",
                where=f"row {row}",
                got=f"{count(int(np.diff(flat.offsets)[row]), 'step')} in column {name!r}",
                wanted=f"{int(np.diff(flats[0].offsets)[row])}, as in column {names[0]!r}",
                fix="give the lists of a row one length",
            )
    if len(flats) == 1:
        return flats[0], labels
    dtype = common_dtype([flat.values.dtype for flat in flats])
    return Flat(np.concatenate([flat.values for flat in flats], axis=1, dtype=dtype), flats[0].offsets), labels


def _ids(columns: list[pa.ChunkedArray]) -> Any:
    if not columns:
        return None
    for column in columns:
        if column.null_count:
            raise DataError(
                "Some rows have no id.",
                code="SO205",
                where="the column of ids",
                got=count(column.null_count, "row without an id", "rows without an id"),
                wanted="an id in every row",
                fix="drop these rows, or fill their ids",
            )
    lists = [column.to_pylist() for column in columns]
    return lists[0] if len(lists) == 1 else object_array(list(zip(*lists, strict=True)))


def _aligned(
    columns: list[pa.ChunkedArray], names: Sequence[str], asked: Any, per: Per | None, offsets: np.ndarray, noun: str
) -> dict[str, Any]:
    """Targets or weights as arguments of ``Sequences``."""
    if not columns:
        return {noun: None}
    code = "SO401" if noun == "targets" else "SO404"
    if not any(_is_list(column.type) for column in columns):
        arrays = []
        for column, name in zip(columns, names, strict=True):
            array = _one_piece(column)
            if not _is_number(array.type):
                raise _no_numbers(array, name, TargetError)
            if kinds.is_boolean(array.type):
                array = array.cast(pa.uint8()).cast(pa.float32())
            arrays.append(array.to_numpy(zero_copy_only=False))
        whole = arrays[0] if isinstance(asked, str) else np.stack(arrays, axis=1)
        return {noun: whole, f"{noun}_per": "sequence"}
    if len(columns) > 1:
        raise TargetError(
            f"Several columns of {noun} must hold numbers, not lists.",
            code=code,
            where=f"the columns of {noun}",
            got=", ".join(f"{name!r} ({column.type})" for name, column in zip(names, columns, strict=True)),
            wanted="one column of lists, or several of numbers",
            fix="put the numbers of a step in one column, as lists in lists",
        )
    flat = _flat(columns[0], names[0], TargetError)
    lengths = np.diff(flat.offsets)
    if per == "sequence":
        if len(np.unique(lengths)) > 1:
            raise TargetError(
                f"The {noun} of sequences differ in length.",
                code=code,
                where=f"column {names[0]!r}",
                got=f"lists of {int(lengths.min())} to {int(lengths.max())}",
                wanted="lists of one length, as target_per='sequence' says",
                fix="leave target_per= out if there is one target per step",
            )
        return {noun: flat.values.reshape(len(lengths), -1), f"{noun}_per": "sequence"}
    if not np.array_equal(flat.offsets, offsets):
        row = int(np.flatnonzero(lengths != np.diff(offsets))[0])
        raise TargetError(
            f"The {noun} do not fit their sequences.",
            code=code,
            where=f"column {names[0]!r}, row {row}",
            got=count(int(lengths[row]), "entry", "entries"),
            wanted=f"{int(np.diff(offsets)[row])}, one for each step",
            fix="cut them to the lengths of the sequences, or say target_per='sequence'",
        )
    plain = not _is_list(columns[0].type.value_type)
    return {noun: flat.values[:, 0] if plain else flat.values, f"{noun}_per": "step"}
