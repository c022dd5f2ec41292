"""Lists, dicts and stacks of arrays to ``Sequences``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import DataError, DataTypeError
from sostenuto.sequences.checks import (
    check_not_empty,
    check_option,
    common_dtype,
    id_array,
    numbers,
    offsets_of,
    to_numpy,
)
from sostenuto.sequences.targets import Per

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences

LAYOUTS = ("channels_last", "channels_first")


def from_list(
    cls: type[Sequences],
    data: Any,
    ids: Any = None,
    targets: Any = None,
    weights: Any = None,
    *,
    features: Any = None,
    targets_per: Per | None = None,
    weights_per: Per | None = None,
    layout: str = "channels_last",
    missing: str = "error",
) -> Sequences:
    """Sequences from a list or dict of arrays, or from one array (B, T, F).

    A sequence is an array, nested list or data frame (T, F), or a plain series (T,), which counts as one feature.
    Tensors of any framework are read through NumPy. Integers stay integers, floats keep their precision, mixed ones
    are promoted by NumPy's rules, booleans alone become float32. The data is copied.

    Args:
        data: one entry per sequence; the keys of a dict are the ids.
        ids: one hashable value per sequence, by default 0 .. S-1.
        targets: a number or array per sequence, or an array with an entry per step for each sequence, or a dict of
            these by id.
        weights: a number per sequence, or one per step for each sequence, or a dict of these by id.
        features: the names of the features, by default those of data frames, otherwise ``feature_0`` and so on.
        targets_per: ``"step"`` or ``"sequence"``; needed only where all sequences have one length and the entries of
            targets have it too, so that both could be meant.
        weights_per: as ``targets_per``, for weights.
        layout: ``"channels_last"`` (default): (time, features); ``"channels_first"``: (features, time), as in many
            archives of time series.
        missing: ``"error"`` (default) refuses NaN and infinity, ``"keep"`` takes them as they are.

    Raises:
        DataTypeError: the data is no list, dict or stack of sequences (SO201), or not of numbers (SO204).
        DataError: axes or features do not fit (SO202, SO203), values are missing (SO205), ids repeat (SO206), or there
            is no sequence (SO210).
        TargetError: targets (SO401) or weights (SO404) do not fit.

    Example:
        >>> import numpy as np
        >>> from sostenuto.sequences import Sequences
        >>> sequences = Sequences.from_list({"a": np.ones((3, 2)), "b": np.zeros((1, 2))}, targets={"a": 1, "b": 0})
        >>> sequences
        Sequences(2 sequences, 4 steps, 2 features, float64, targets per sequence)
    """
    check_option("layout", layout, LAYOUTS)
    check_option("missing", missing, ("error", "keep"))
    entries, ids = _entries(data, ids)
    check_not_empty(len(entries), shape_of(data))
    names = id_array(ids, len(entries))
    if isinstance(entries, np.ndarray):
        stack = entries.swapaxes(1, 2) if layout == "channels_first" else entries
        lengths = np.full(len(stack), stack.shape[1], np.int64)
        values = np.array(stack, common_dtype([stack.dtype]), order="C").reshape(-1, stack.shape[2])
    else:
        arrays, columns = _tables(entries, names, layout)
        features = columns if features is None else features
        lengths = np.array([len(array) for array in arrays], np.int64)
        dtype = common_dtype([array.dtype for array in arrays if array.size] or [array.dtype for array in arrays])
        # Only sequences without steps have no say in the dtype, so nothing is cut here.
        values = np.concatenate(arrays, dtype=dtype, casting="unsafe")
    return cls(
        values,
        offsets_of(lengths),
        names,
        features=features,
        targets=targets,
        targets_per=targets_per,
        weights=weights,
        weights_per=weights_per,
        missing=missing,
    )


def of(cls: type[Sequences], data: Any) -> Sequences:
    """Sequences from anything whose meaning is certain: sequences, a list or dict of arrays, an array (B, T, F).

    Raises:
        DataTypeError: the data needs another constructor (SO201); the error says which.
        DataError: as ``from_list``.

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.of([[1, 2, 3], [4]])
        Sequences(2 sequences, 4 steps, 1 feature, int64)
    """
    return data if isinstance(data, cls) else cls.from_list(data)


def _entries(data: Any, ids: Any) -> tuple[np.ndarray | list[Any], Any]:
    if isinstance(data, Mapping):
        if ids is not None:
            raise DataTypeError(
                "A dict brings its own ids.",
                code="SO201",
                where="argument 'ids'",
                got=f"{shape_of(data)} and ids=",
                wanted="one of the two",
                fix="leave ids= out, or pass list(data.values())",
            )
        return list(data.values()), list(data)
    _refuse_others(data)
    if isinstance(data, list | tuple):
        if data and all(isinstance(entry, int | float | np.number) for entry in data):
            raise _unclear(data, "a list of numbers", "one sequence: Sequences.from_list([data])")
        return list(data), ids
    array = to_numpy(data)
    if array.ndim == 1 and array.dtype.kind == "O":
        return list(array), ids
    array = numbers(array, "data")
    if array.ndim == 3:
        return array, ids
    if array.ndim == 2:
        many = "many series of one feature: Sequences.from_list(data[..., None])"
        raise _unclear(data, "(batch, time) or (time, features)", f"{many}\none sequence: Sequences.from_list([data])")
    if array.ndim == 1:
        raise _unclear(data, "one axis", "one sequence of one feature: Sequences.from_list([data])")
    raise DataError(
        "An array of sequences has three axes.",
        code="SO202",
        where="argument 'data'",
        got=shape_of(data),
        wanted="(batch, time, features)",
        fix="put everything that belongs to a step in the last axis with reshape",
    )


def _unclear(data: Any, what: str, fix: str) -> DataTypeError:
    return DataTypeError(
        "This could be one sequence or many.",
        code="SO201",
        where="argument 'data'",
        got=f"{shape_of(data)}: {what}",
        wanted="a list of sequences, or an array (batch, time, features)",
        fix=fix,
    )


def _refuse_others(data: Any) -> None:
    if isinstance(data, str | os.PathLike):
        fix = "a file of rows: Sequences.from_table(path, id='column')\ntext: turn it into token ids first"
    elif _is_table(data):
        fix = (
            "a long table: Sequences.from_table(table, id='column')\n"
            "a table of list columns: Sequences.from_arrow\n"
            "one sequence: Sequences.from_list([table])"
        )
    elif isinstance(data, list | tuple) or hasattr(data, "shape"):
        return
    elif hasattr(data, "__iter__"):
        fix = "Sequences.from_list(list(data))"
    else:
        fix = "see Sequences.from_list, from_table, from_padded and from_arrow"
    raise DataTypeError(
        "This cannot be read as sequences.",
        code="SO201",
        where="argument 'data'",
        got=type(data).__name__,
        wanted="a list or dict of arrays, or an array (batch, time, features)",
        fix=fix,
    )


def _is_table(data: Any) -> bool:
    frame = nw.from_native(data, pass_through=True)
    return isinstance(frame, nw.DataFrame | nw.LazyFrame)


def _tables(entries: list[Any], names: np.ndarray, layout: str) -> tuple[list[np.ndarray], list[str] | None]:
    """Each entry as (T, F) with one F for all, and the names of the columns if the entries are data frames."""
    arrays: list[np.ndarray] = []
    columns: list[str] | None = None
    for entry, name in zip(entries, names.tolist(), strict=True):
        where = f"sequences[{name!r}]"
        found, array = _one(entry, where)
        if found is not None:
            if columns is not None and found != columns:
                raise DataError(
                    "Data frames disagree about their columns.",
                    code="SO203",
                    where=where,
                    got=f"columns {found}",
                    wanted=f"columns {columns}, as in the frames before",
                    fix="select the same columns in the same order",
                )
            columns = found
        if array.ndim == 1:
            array = array[:, None] if len(array) else array
        elif array.ndim == 2:
            array = array.T if layout == "channels_first" else array
        else:
            raise DataError(
                "A sequence has the axes (time, features).",
                code="SO202",
                where=where,
                got="a single number" if array.ndim == 0 else shape_of(array),
                wanted="(time, features), or (time,) for one feature",
                fix="reshape it; a single step is [[...]]",
            )
        arrays.append(array)
    return _same_features(arrays, names), columns


def _one(entry: Any, where: str) -> tuple[list[str] | None, np.ndarray]:
    if isinstance(entry, np.ndarray | list | tuple):
        return None, numbers(entry, where)
    frame = nw.from_native(entry, allow_series=True, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, nw.DataFrame):
        return list(frame.columns), numbers(frame.to_numpy(), where)
    if isinstance(frame, nw.Series):
        return None, numbers(frame.to_numpy(), where)
    if not hasattr(entry, "shape") and hasattr(entry, "__iter__") and not isinstance(entry, str | bytes | Mapping):
        entry = list(entry)
    return None, numbers(entry, where)


def _same_features(arrays: list[np.ndarray], names: np.ndarray) -> list[np.ndarray]:
    """Gives sequences written as [] their features, and refuses others that differ."""
    tables = [array for array in arrays if array.ndim == 2]
    wanted = tables[0].shape[1] if tables else 1
    for position, array in enumerate(arrays):
        if array.ndim == 1:
            arrays[position] = np.zeros((0, wanted), array.dtype)
        elif array.shape[1] != wanted:
            swapped = len(array) == wanted
            raise DataError(
                "Sequences disagree about the number of features.",
                code="SO203",
                where=f"sequences[{names[position : position + 1].tolist()[0]!r}]",
                got=f"{count(array.shape[1], 'feature')} in {shape_of(array)}",
                wanted=f"{count(wanted, 'feature')}, as in the first sequence",
                fix="it looks transposed: layout='channels_first' reads (features, time)"
                if swapped
                else "give every sequence the same features",
            )
    return arrays
