"""The one place that words shapes, axes, counts and names for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# One legend for the whole project; DESIGN section 2.
AXES = {"B": "batch", "T": "time", "F": "features", "U": "units", "N": "steps"}


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Words a number with its noun.

    Example:
        >>> count(1, "row"), count(3, "row"), count(2, "entry", "entries")
        ('1 row', '3 rows', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def axes(shape: Sequence[int | None], letters: str) -> str:
    """Words a shape with the names of its axes; an unknown length is written as ``?``.

    Args:
        shape: the shape, ``None`` for a length that is not known yet.
        letters: one letter of the legend per axis, for instance ``"BTF"``.

    Example:
        >>> axes((32, None, 5), "BTF")
        '(batch 32, time ?, features 5)'
    """
    parts = [f"{AXES[letter]} {'?' if size is None else size}" for letter, size in zip(letters, shape, strict=True)]
    return f"({', '.join(parts)})"


def shape_of(array: Any) -> str:
    """Words the shape and dtype of an array-like, never its data.

    Example:
        >>> import numpy as np
        >>> shape_of(np.zeros((320, 5), "float32"))
        '(320, 5) float32'
        >>> shape_of([1, 2])
        'list of 2'
        >>> shape_of("abc")
        'str'
    """
    shape = getattr(array, "shape", None)
    if shape is not None:
        name = getattr(getattr(array, "dtype", None), "name", None) or str(getattr(array, "dtype", "")).split(".")[-1]
        return f"{tuple(shape)} {name}".strip()
    if isinstance(array, list | tuple | dict):
        return f"{type(array).__name__} of {len(array)}"
    return type(array).__name__


def some(items: Iterable[Any], most: int = 5) -> str:
    """Words the first few of many, and how many there are in all.

    Example:
        >>> some(["a", "b"])
        "'a', 'b'"
        >>> some(range(9), most=3)
        '0, 1, 2 and 6 more'
    """
    known = [item.item() if isinstance(item, np.generic) else item for item in items]
    text = ", ".join(repr(item) for item in known[:most])
    return text + (f" and {len(known) - most:,} more" if len(known) > most else "")


def nearest(name: str, names: Iterable[Any], most: int = 3) -> list[str]:
    """The names most like ``name``, best first, capitals ignored.

    Example:
        >>> nearest("Sensor_1", ["sensor1", "sensor2", "unit"])
        ['sensor1', 'sensor2']
    """
    by_lower = {str(candidate).lower(): str(candidate) for candidate in names}
    return [by_lower[match] for match in difflib.get_close_matches(name.lower(), list(by_lower), n=most, cutoff=0.6)]
