"""What stands in data that is no array of numbers: text, dates, missing values, numbers kept as objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sostenuto.diagnosis.rules.container_views import is_number, package_of
from sostenuto.diagnosis.wording import count, some

# Elements that are looked at.
_MOST = 20_000


@dataclass
class Contents:
    """Kinds of elements, counted.

    Attributes:
        kinds: "number", "text", "digits", "missing", "date", "sequence" or "other", and how many.
        columns: of a table: names of those that are no numbers, with the kind of most of their elements.
        total: elements looked at.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many elements there are."""
        return sum(self.kinds.values())

    @property
    def words(self) -> str:
        """What was found, in words: "40 numbers and 8 texts"; columns by name where there are some."""
        if self.columns:
            return f"{'columns' if len(self.columns) > 1 else 'column'} {some(self.columns)} of {self._most()}"
        parts = [
            count(number, *_NOUNS[kind]) if number > 1 else count(number, _NOUNS[kind][0])
            for kind, number in self.kinds.most_common()
        ]
        return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)

    def _most(self) -> str:
        return ", ".join(dict.fromkeys(_NOUNS[kind][1] for kind in self.columns.values()))

    def has(self, *names: str) -> bool:
        """Whether elements of one of these kinds are among them."""
        return any(self.kinds[name] for name in names)

    def only(self, *names: str) -> bool:
        """Whether there are elements, and no others than of these kinds."""
        return self.total > 0 and sum(self.kinds[name] for name in names) == self.total


_NOUNS = {
    "number": ("number", "numbers"),
    "text": ("text", "texts"),
    "digits": ("number written as text", "numbers written as text"),
    "missing": ("missing value", "missing values"),
    "date": ("date", "dates"),
    "sequence": ("sequence", "sequences"),
    "other": ("object", "objects"),
}


def contents_of(value: Any) -> Contents | None:
    """Looks at what stands in data that Keras cannot read as numbers; None where it is numbers, or unknown.

    Args:
        value: an array, a pandas table or column, or nested lists.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OUSMm":
            return Contents(
                Counter(map(_kind, value.ravel()[:_MOST].tolist() if value.dtype.kind in "OUS" else _dates(value)))
            )
        return None
    if package_of(value) == "pandas":
        return _table(value)
    if isinstance(value, list | tuple):
        found = Counter(map(_kind, _flat(value, [_MOST])))
        return Contents(found) if found and set(found) != {"number"} else None
    return None


def _table(value: Any) -> Contents | None:
    if type(value).__name__ != "DataFrame":
        array = np.asarray(value)
        return contents_of(array)
    found = Contents()
    rows = max(1, _MOST // max(1, value.shape[1]))
    for name in value.columns:
        array = np.asarray(value[name])
        if array.ndim != 1:
            continue
        if array.dtype.kind in "OUSMm":
            one = contents_of(array[:rows])
            if one is not None:
                found.kinds += one.kinds
                found.columns[str(name)] = one.kinds.most_common(1)[0][0]
        else:
            found.kinds["number"] += min(rows, len(array))
    return found if found.columns else None


def _dates(value: np.ndarray) -> list[Any]:
    return [np.datetime64(0, "s")] * min(_MOST, value.size)


def _flat(value: Any, left: list[int]) -> Iterable[Any]:
    # In a list of lists a row is a sequence of elements; arrays in lists are numbers for our purpose.
    for one in value:
        if left[0] <= 0:
            return
        if isinstance(one, list | tuple):
            yield from _flat(one, left)
        else:
            left[0] -= 1
            yield one


def _kind(one: Any) -> str:
    if one is None or (isinstance(one, float) and one != one) or type(one).__name__ in ("NAType", "NaTType"):
        return "missing"
    if is_number(one) or isinstance(one, np.bool_):
        return "number"
    if isinstance(one, str | bytes):
        return "digits" if _is_digits(one) else "text"
    if "date" in type(one).__name__.lower() or "time" in type(one).__name__.lower():
        return "date"
    if isinstance(one, list | tuple | np.ndarray) or hasattr(one, "shape"):
        return "sequence"
    return "other"


def _is_digits(text: str | bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
