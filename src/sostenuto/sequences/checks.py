"""What every way into ``Sequences`` checks: numbers, ids, offsets, missing values, options."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np

from sostenuto.diagnosis import count, nearest, shape_of, some
from sostenuto.errors import DataError, DataTypeError

# Elements looked at in one go, so that a check never needs a second array of the size of the data.
BLOCK = 1 << 17


def check_option(name: str, value: Any, choices: Collection[Any]) -> None:
    """Refuses an option that is not on offer (SO214)."""
    if value in choices:
        return
    near = nearest(str(value), choices)
    raise DataError(
        f"{name}={value!r} is not on offer.",
        code="SO214",
        where=f"argument '{name}'",
        got=repr(value),
        wanted=" or ".join(repr(choice) for choice in choices),
        fix=f"write {name}={near[0]!r}" if near else "use one of those listed",
    )


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Refuses a number of steps, groups or the like that is no whole number of at least ``least`` (SO214)."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least:
        return int(value)
    got = repr(value) if isinstance(value, int | float | str | None) else shape_of(value)
    raise DataError(
        f"{name}={got} cannot be meant.",
        code="SO214",
        where=f"argument '{name}'",
        fix=f"choose a whole number of at least {least}",
        got=got,
        wanted=f"a whole number from {least} on",
    )


def to_numpy(data: Any) -> Any:
    """A tensor of any framework as a NumPy array; anything else as it is."""
    if hasattr(data, "detach"):  # torch refuses NumPy's protocol while gradients are asked for
        data = data.detach().cpu()
    if hasattr(data, "shape") and not isinstance(data, np.ndarray):
        data = np.asarray(data)
    return data


def numbers(data: Any, where: str, error: type[DataError] = DataTypeError) -> np.ndarray:
    """Array-like data as an array of booleans, integers or floats.

    Raises:
        DataError: the data is ragged (SO202), is masked (SO205) or holds something else than numbers (SO204).
    """
    data = to_numpy(data)
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise DataError(
            "A masked array has masked values.",
            code="SO205",
            where=where,
            got=f"{count(int(np.ma.count_masked(data)), 'masked value')} in {shape_of(data)}",
            wanted="a value at every step",
            fix="fill them with data.filled(...), or use from_padded with mask= if whole steps are masked",
        )
    try:
        array = np.asarray(data)
    except ValueError:
        raise DataError(
            "Steps disagree about the number of features.",
            code="SO202",
            where=where,
            got=f"{shape_of(data)} whose entries have different lengths",
            wanted="the same features at every step",
            fix="give each sequence as a table of (time, features)",
        ) from None
    if array.dtype.kind in "biuf":
        return array
    raise error(
        "A value is no number.",
        code="SO204",
        where=where,
        got=_kind_of(array),
        wanted="integers, floats or booleans",
        fix=_remedy(array, error),
    )


def _kind_of(array: np.ndarray) -> str:
    if array.dtype.kind in "US":
        return f"text in {tuple(array.shape)}"
    if array.dtype.kind != "O":
        return shape_of(array)
    for position, item in np.ndenumerate(array):
        if not isinstance(item, int | float | np.number):
            at = position[0] if len(position) == 1 else position
            return f"{'None' if item is None else type(item).__name__} at {at} in {shape_of(array)}"
    return shape_of(array)


def _remedy(array: np.ndarray, error: type[DataError]) -> str:
    if array.dtype.kind == "c":
        return "give real and imaginary parts as two features"
    if array.dtype.kind == "V":
        return "cast to float32 first"
    if error is not DataTypeError:
        return "encode classes as integers: names, classes = numpy.unique(classes, return_inverse=True)"
    return "encode categories as integers, dates as differences; fill or drop None"


def common_dtype(dtypes: Iterable[np.dtype]) -> np.dtype:
    """The dtype that holds all of ``dtypes`` by NumPy's rules; booleans alone become float32.

    Example:
        >>> common_dtype([np.dtype("bool")]).name, common_dtype([np.dtype("float32"), np.dtype("int16")]).name
        ('float32', 'float32')
    """
    dtype = np.result_type(*dtypes)
    return np.dtype(np.float32) if dtype.kind == "b" else dtype.newbyteorder("=")


def locked(array: np.ndarray) -> np.ndarray:
    """A read-only view, so that the caller's own array stays writeable."""
    view = array.view()
    view.setflags(write=False)
    return view


def feature_names(names: Any, number: int) -> tuple[str, ...]:
    """The names of features: those given, or ``feature_0``, ``feature_1`` and so on."""
    if names is None:
        return tuple(f"feature_{position}" for position in range(number))
    if isinstance(names, str):
        names = (names,)
    found = tuple(str(name) for name in names)
    if len(found) != number or len(set(found)) != number:
        raise DataError(
            "The names of features do not fit.",
            code="SO203",
            where="argument 'features'",
            got=f"{count(len(found), 'name')}, {len(set(found))} of them different",
            wanted=f"{count(number, 'different name')}, one per feature",
            fix="give one name per feature, or leave features= out",
        )
    return found


def id_array(ids: Any, number: int, noun: str = "sequence") -> np.ndarray:
    """Ids as an int64 array where all are integers, otherwise as an object array of Python values.

    Raises:
        DataError: the number of ids does not fit (SO211), or two are the same (SO206).
        DataTypeError: an id cannot be hashed, or is NaN (SO201).
    """
    if ids is None:
        return locked(np.arange(number, dtype=np.int64))
    if isinstance(ids, np.ndarray) and ids.ndim == 1 and ids.dtype.kind in "iu" and ids.dtype != np.uint64:
        array = ids.astype(np.int64)
        repeated = _repeated_integers(array)
    else:
        array = _python_values(ids)
        repeated = _repeated(array)
    if len(array) != number:
        raise DataError(
            "The number of ids does not fit.",
            code="SO211",
            where="argument 'ids'",
            got=count(len(array), "id"),
            wanted=f"{number:,}, one per {noun}",
            fix="give one id per sequence, in the same order, or leave ids= out",
        )
    if repeated:
        raise DataError(
            "Two sequences have the same id.",
            code="SO206",
            where="the ids",
            got=f"more than one sequence under {some(repeated)}",
            wanted="one sequence per id",
            fix="make the ids unique, or add what tells the sequences apart: (id, visit)",
        )
    return locked(array)


def _repeated_integers(array: np.ndarray) -> list[int]:
    ordered = np.sort(array)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]]).tolist()


def _python_values(ids: Any) -> np.ndarray:
    items = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    items = [item.item() if isinstance(item, np.generic) else item for item in items]
    for position, item in enumerate(items):
        try:
            hash(item)
        except TypeError:
            item_fits = False
        else:
            item_fits = item == item  # NaN is the one value that never finds itself
        if not item_fits:
            raise DataTypeError(
                "This cannot be an id.",
                code="SO201",
                where=f"ids[{position}]",
                got="NaN" if isinstance(item, float) else type(item).__name__,
                wanted="a number, a string, a tuple of these, or another hashable value",
                fix="turn lists into tuples, and name sequences whose id is missing",
            )
    if items and all(type(item) is int and -(2**63) <= item < 2**63 for item in items):
        return np.array(items, np.int64)
    return object_array(items)


def object_array(items: list[Any]) -> np.ndarray:
    """A one-dimensional object array, also where the items are tuples."""
    array = np.empty(len(items), object)
    array[:] = items
    return array


def _repeated(array: np.ndarray) -> list[Any]:
    if array.dtype.kind == "i":
        return _repeated_integers(array)
    if len(set(array)) == len(array):
        return []
    seen: set[Any] = set()
    return list(dict.fromkeys(item for item in array if item in seen or seen.add(item)))  # type: ignore[func-returns-value]


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets (S+1,) of sequences that lie one after another.

    Example:
        >>> offsets_of(np.array([2, 0, 3])).tolist()
        [0, 2, 2, 5]
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def row_blocks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Consecutive blocks of rows with the number of their first row."""
    width = max(1, int(np.prod(array.shape[1:])))
    size = max(1, BLOCK // width)
    for start in range(0, len(array), size):
        yield start, array[start : start + size]


def missing_rows(array: np.ndarray, most: int = 3) -> tuple[int, list[tuple[int, int]]]:
    """How many values are not finite, and the (row, column) of the first few; columns of a flattened row."""
    if array.dtype.kind != "f":
        return 0, []
    number = 0
    first: list[tuple[int, int]] = []
    for start, block in row_blocks(array):
        finite = np.isfinite(block)
        if finite.all():
            continue
        flat = finite.reshape(len(block), -1)
        rows, columns = np.nonzero(~flat)
        number += len(rows)
        wanted = most - len(first)
        first += [(start + int(row), int(column)) for row, column in zip(rows[:wanted], columns[:wanted], strict=True)]
    return number, first


def check_finite(values: np.ndarray, offsets: np.ndarray, ids: np.ndarray, features: tuple[str, ...]) -> None:
    """Refuses NaN and infinity in values (N, F) (SO205)."""
    number, first = missing_rows(values)
    if not number:
        return
    places = []
    for row, column in first:
        sequence = int(np.searchsorted(offsets, row, side="right")) - 1
        (name,) = ids[sequence : sequence + 1].tolist()
        places.append(f"sequences[{name!r}], step {row - int(offsets[sequence])}, feature {features[column]!r}")
    if number > len(places):
        places.append(f"and {number - len(places):,} more")
    raise missing_error(places, number, values.size)


def missing_error(places: list[str], number: int, size: int) -> DataError:
    """The error on missing values in data (SO205)."""
    return DataError(
        "The data has missing or infinite values.",
        code="SO205",
        where="\n".join(places),
        got=f"{count(number, 'missing or infinite value')} of {size:,}",
        wanted="a finite number for every feature of every step",
        fix="fill or drop them first (by id, so that no value leaks across sequences), or say missing='keep'",
    )


def check_offsets(offsets: Any, steps: int) -> np.ndarray:
    """Offsets (S+1,) int64 that start at 0, never fall and end at ``steps`` (SO211 otherwise)."""
    array = np.asarray(offsets)
    fits = (
        array.ndim == 1
        and array.dtype.kind in "iu"
        and len(array) > 0
        and array[0] == 0
        and array[-1] == steps
        and bool(np.all(array[1:] >= array[:-1]))
    )
    if not fits:
        raise DataError(
            "These offsets do not describe the values.",
            code="SO211",
            where="argument 'offsets'",
            got=f"offsets {shape_of(offsets)} for {count(steps, 'step')}",
            wanted=f"integers that start at 0, never fall and end at {steps}",
            fix="let from_list or from_padded compute them",
        )
    return array.astype(np.int64, copy=False)


def check_not_empty(number: int, where: str) -> None:
    """Refuses data without any sequence (SO210)."""
    if number == 0:
        raise DataError(
            "There is no sequence in this data.",
            code="SO210",
            where=where,
            got="0 sequences",
            wanted="at least 1",
            fix="check the filter or the path that led here",
        )
