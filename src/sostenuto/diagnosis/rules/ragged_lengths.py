"""How long sequences are, and how many features their steps have: numbers only, for rules about unequal ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.rules.container_views import is_array, is_number, shape_in

# Sequences, and steps of each, that are looked at.
_MOST, _STEPS = 5000, 200


@dataclass(frozen=True)
class Lengths:
    """What was measured of a list of sequences.

    Attributes:
        count: of the sequences.
        lengths: of each, the first some thousand.
        widths: the shapes of their steps, each once, in the order met: [()] for numbers, [(3,)] for three features.
        odd: the first sequence whose steps have another shape than those of the first one, or None.
        tokens: whether all are whole numbers, one a step.
        zeros: whether a step of nothing but zeros is among them.
    """

    count: int
    lengths: list[int]
    widths: list[tuple[int, ...]]
    odd: int | None
    tokens: bool
    zeros: bool

    @property
    def unequal(self) -> bool:
        """Whether there are different lengths."""
        return len(set(self.lengths)) > 1

    @property
    def longest(self) -> int:
        """The greatest length."""
        return max(self.lengths, default=0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the rectangle that holds all of them."""
        return (self.count, self.longest, *(self.widths[0] if self.widths else ()))


def measure(value: Any) -> Lengths | None:
    """Measures a list, an array of objects or a column of sequences; None where it does not hold sequences.

    Args:
        value: of arrays, tensors or lists.
    """
    items = _items(value)
    if items is None or not len(items):
        return None
    lengths: list[int] = []
    widths: list[tuple[int, ...]] = []
    tokens, zeros, odd = True, False, None
    for number, item in enumerate(items[:_MOST]):
        one = _one(item)
        if one is None:
            return None
        length, shapes, whole, empty = one
        lengths.append(length)
        tokens, zeros = tokens and whole, zeros or empty
        for shape in shapes:
            if shape not in widths:
                if widths and odd is None:
                    odd = number
                widths.append(shape)
    return Lengths(len(items), lengths, widths, odd, tokens and widths in ([], [()]), zeros)


def _items(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, np.ndarray):
        return list(value[:_MOST]) + [None] * max(0, len(value) - _MOST) if value.ndim == 1 else None
    if type(value).__module__.partition(".")[0] == "pandas" and type(value).__name__ == "Series":
        return value.tolist()
    return None


def _one(item: Any) -> tuple[int, list[tuple[int, ...]], bool, bool] | None:
    if is_array(item):
        shape = shape_in(item)
        if not shape or not all(isinstance(one, int) for one in shape):
            return None
        array = item if isinstance(item, np.ndarray) else None
        kind = str(getattr(item, "dtype", ""))
        empty = array is not None and array.dtype.kind in "iuf" and _has_zeros(array)
        sizes = [one for one in shape if one is not None]
        return sizes[0], [tuple(sizes[1:])], "int" in kind and len(shape) == 1, empty
    if isinstance(item, list | tuple) and item:
        shapes = _distinct(shape_in(step) if not is_number(step) else () for step in item[:_STEPS])
        if None in shapes:
            return None
        whole = all(isinstance(step, int | np.integer) for step in item[:_STEPS])
        empty = any(step == 0 if is_number(step) else _all_zero(step) for step in item[:_STEPS])
        return len(item), shapes, whole, empty
    return (0, [], True, False) if isinstance(item, list | tuple) else None


def _distinct(shapes: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(shapes))


def _has_zeros(array: np.ndarray) -> bool:
    return bool((array == 0).reshape(len(array), -1).all(axis=1).any()) if array.size else False


def _all_zero(step: Any) -> bool:
    return isinstance(step, list | tuple) and bool(step) and all(is_number(one) and one == 0 for one in step)
