"""Which rows of a long table make which sequence, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sostenuto.diagnosis import count
from sostenuto.errors import DataError, DataTypeError
from sostenuto.sequences.checks import object_array, offsets_of


class RowOrder(NamedTuple):
    """Where the rows of a table go.

    Args:
        ids: the ids of the sequences (S,), by first appearance in the table.
        offsets: where each sequence begins (S+1,).
        rank: for each row of the table its step among all (N,); None if the table is in order.
    """

    ids: np.ndarray
    offsets: np.ndarray
    rank: np.ndarray | None


def row_order(table: pa.Table, id_columns: Sequence[str], time: str | None) -> RowOrder:
    """Orders rows by id, then by time, or as they come if there is no time.

    Raises:
        DataError: an id or a time is missing (SO205), or a time comes twice under one id (SO207).
        DataTypeError: a column holds no ids (SO201), or the times have no order in time (SO204).
    """
    codes, ids = encode_ids(table, id_columns)
    offsets = offsets_of(np.bincount(codes, minlength=len(ids)))
    times = None if time is None else _times(table.column(time), time)
    if _in_order(codes, times):
        return RowOrder(ids, offsets, None)
    order, repeated = _sort(codes, times, len(ids))
    if len(repeated):
        raise _repeated_times(table, ids, codes, order[repeated], time)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return RowOrder(ids, offsets, rank)


def encode_ids(table: pa.Table, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A number per row for its id, counted by first appearance, and the ids."""
    encoded = [_encode(table.column(name), name) for name in columns]
    if len(encoded) == 1:
        codes, names = encoded[0]
        if pa.types.is_integer(names.type) and not pa.types.is_uint64(names.type):
            return codes, names.to_numpy(zero_copy_only=False).astype(np.int64)
        return codes, object_array(names.to_pylist())
    joint = encoded[0][0].astype(np.int64)
    parts = [np.arange(len(encoded[0][1]))]
    for codes, names in encoded[1:]:
        # Numbered anew after every column, so that the product cannot overflow.
        joint, pairs = _dictionary(pa.chunked_array([pa.array(joint * len(names) + codes)]))
        before, this = np.divmod(pairs.to_numpy(), len(names))
        parts = [*(part[before] for part in parts), this]
        joint = joint.astype(np.int64)
    lists = [names.take(pa.array(part)).to_pylist() for (_, names), part in zip(encoded, parts, strict=True)]
    return joint, object_array(list(zip(*lists, strict=True)))


def _encode(column: pa.ChunkedArray, name: str) -> tuple[np.ndarray, pa.Array]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    elif pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
    unknown = pc.is_null(column, nan_is_null=True)
    if pc.any(unknown).as_py():
        rows = np.flatnonzero(unknown.to_numpy())
        raise DataError(
            "Some rows have no id.",
            code="SO205",
            where=f"column {name!r}, row {int(rows[0])}",
            got=count(len(rows), "row without an id", "rows without an id"),
            wanted="an id in every row",
            fix="drop these rows, or fill their ids",
        )
    try:
        return _dictionary(column)
    except pa.ArrowNotImplementedError:
        raise DataTypeError(
            "This column holds no ids.",
            code="SO201",
            where=f"column {name!r}",
            got=str(kind),
            wanted="numbers, strings or dates",
            fix="if each row is a whole sequence, use Sequences.from_arrow",
        ) from None


def _dictionary(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    chunks = column.dictionary_encode().unify_dictionaries().chunks
    return np.concatenate([chunk.indices.to_numpy() for chunk in chunks]), chunks[0].dictionary


def _times(column: pa.ChunkedArray, name: str) -> np.ndarray:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)):
        raise DataTypeError(
            "This column holds no times.",
            code="SO204",
            where=f"column {name!r}",
            got=str(kind),
            wanted="numbers or dates",
            fix="parse the dates, or turn it into numbers: as text, '10' comes before '9'",
        )
    unknown = pc.is_null(column, nan_is_null=True)
    if pc.any(unknown).as_py():
        rows = np.flatnonzero(unknown.to_numpy())
        raise DataError(
            "Some rows have no time.",
            code="SO205",
            where=f"column {name!r}, row {int(rows[0])}",
            got=count(len(rows), "row without a time", "rows without a time"),
            wanted="a time in every row",
            fix="drop these rows, or fill their times",
        )
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return column.to_numpy()


def _in_order(codes: np.ndarray, times: np.ndarray | None) -> bool:
    if times is None:
        return bool(np.all(codes[1:] >= codes[:-1]))
    later = times[1:] > times[:-1]
    return bool(np.all((codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & later)))


def _sort(codes: np.ndarray, times: np.ndarray | None, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows in order, and the places in that order whose id and time are those of the place before."""
    row_bits = (len(codes) - 1).bit_length()
    code_bits = (number - 1).bit_length()
    low, span = 0, 0
    if times is not None and times.dtype.kind in "iu":
        low = int(times.min())
        span = (int(times.max()) - low).bit_length()
    whole_times = times is None or times.dtype.kind in "iu"
    if whole_times and code_bits + span + row_bits <= 63:
        # Id, time and row number in one integer: sorting plain integers is several times faster than argsort.
        key = codes.astype(np.int64)
        if times is not None:
            key <<= span
            key |= times.astype(np.int64) - low
        key <<= row_bits
        key |= np.arange(len(key))
        key.sort()
        order = key & ((1 << row_bits) - 1)
        key >>= row_bits
        repeated = np.flatnonzero(key[1:] == key[:-1]) + 1 if times is not None else np.zeros(0, np.int64)
        return order, repeated
    assert times is not None  # ids and row numbers alone always fit
    order = np.lexsort((times, codes))
    same = (codes[order][1:] == codes[order][:-1]) & (times[order][1:] == times[order][:-1])
    return order, np.flatnonzero(same) + 1


def _repeated_times(table: pa.Table, ids: np.ndarray, codes: np.ndarray, rows: np.ndarray, time: Any) -> DataError:
    shown = pa.array(rows[:3])
    times = table.column(time).take(shown).to_pylist()
    names = ids[codes[rows[:3]]].tolist()
    places = [f"id {name!r}, {time} {moment!s}" for name, moment in zip(names, times, strict=True)]
    if len(rows) > len(places):
        places.append(f"and {len(rows) - len(places):,} more")
    return DataError(
        "Two rows have the same id and time.",
        code="SO207",
        where="\n".join(places),
        got=count(len(rows), "repeated row"),
        wanted="one row for each id and time",
        fix="remove or aggregate them, or give a further id column: id=['patient', 'visit']",
    )
