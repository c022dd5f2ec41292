"""Axes of a tensor after indexing, transposing or viewing it: letters move with their axes, or are lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sostenuto.diagnosis.rules.torch_facts import Facts, Taken
from sostenuto.diagnosis.rules.torch_modules import shape_of
from sostenuto.diagnosis.source import Place


def index_axes(letters: str, shape: Sequence[int], index: Any) -> tuple[str, dict[int, int]] | None:
    """The letters after an index, and the axes that one number was taken from.

    Args:
        letters: before; "" where nothing is known.
        shape: before.
        index: as it was given.

    Returns:
        The letters and {axis: number}, a number counted from the end where it is the last; None for an index by
        tensors, lists or masks.

    Example:
        >>> index_axes("BTU", (4, 5, 3), (slice(None), -1))
        ('BU', {1: -1})
        >>> index_axes("BTU", (4, 5, 3), (slice(None), 4, slice(0, 2)))
        ('B?', {1: -1})
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(one is None or one is Ellipsis or isinstance(one, slice | int) for one in parts):
        return None
    if any(isinstance(one, bool) for one in parts):
        return None
    before = letters if len(letters) == len(shape) else "?" * len(shape)
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        missing = len(shape) - sum(one is not None and one is not Ellipsis for one in parts)
        parts[at : at + 1] = [slice(None)] * missing
    after, gone, axis = "", {}, 0
    for one in parts:
        if one is None:
            after += "1"
            continue
        if axis >= len(shape):
            return None
        if isinstance(one, int):
            gone[axis] = -1 if one == shape[axis] - 1 and shape[axis] > 1 else one
        else:
            whole = one.start in (None, 0) and (one.stop is None or one.stop == shape[axis]) and one.step in (None, 1)
            # A part of the features is not what it was taken from.
            after += before[axis] if whole or axis < len(shape) - 1 else "?"
        axis += 1
    after += before[axis:]
    return after if letters else "", gone


def reordered(
    name: str, letters: str, inputs: Sequence[Any], options: Any, shape: Sequence[int], after: Sequence[int]
) -> str:
    """The letters after transpose, permute, squeeze and their relatives.

    Args:
        name: of the function.
        letters: before.
        inputs: positional arguments behind the tensor.
        options: keyword arguments.
        shape: before.
        after: the shape it returned.

    Returns:
        The letters; "" where they are not known.

    Example:
        >>> reordered("transpose", "BTF", (0, 1), {}, (4, 5, 3), (5, 4, 3))
        'TBF'
        >>> reordered("permute", "BTF", (2, 0, 1), {}, (4, 5, 3), (3, 4, 5))
        'FBT'
    """
    rank = len(letters)
    if not rank or rank != len(shape):
        return ""
    given = [*inputs, *options.values()]
    flat = [one for part in given for one in (part if isinstance(part, list | tuple) else [part])]
    if not all(isinstance(one, int) for one in flat):
        return ""
    if name == "t" and rank == 2:
        return letters[::-1]
    if name in ("transpose", "swapaxes", "swapdims") and len(flat) == 2:
        moved = list(letters)
        one, other = (axis % rank for axis in flat)
        moved[one], moved[other] = moved[other], moved[one]
        return "".join(moved)
    if name == "permute" and len(flat) == rank:
        return "".join(letters[axis % rank] for axis in flat)
    if name == "movedim" and len(flat) == 2:
        rest = letters[: flat[0] % rank] + letters[flat[0] % rank + 1 :]
        to = flat[1] % rank
        return rest[:to] + letters[flat[0] % rank] + rest[to:]
    if name == "squeeze":
        axes = {axis % rank for axis in flat} if flat else set(range(rank))
        return "".join(letter for axis, letter in enumerate(letters) if axis not in axes or shape[axis] != 1)
    if name == "unsqueeze" and len(flat) == 1:
        at = flat[0] % (rank + 1)
        return f"{letters[:at]}1{letters[at:]}"
    return letters if tuple(shape) == tuple(after) else ""


def viewed(known: Facts, before: Any, after: Any, place: Place | None, source: str) -> Facts:
    """What is known of a tensor after view, reshape or flatten; numbers stay in their order, axes do not.

    Args:
        known: of the tensor before.
        before: the tensor.
        after: what was returned.
        place: where.
        source: as the user wrote it.
    """
    old, new = shape_of(before), shape_of(after)
    if old == new:
        return known
    letters, taken = "", known.taken
    if [size for size in old if size != 1] == [size for size in new if size != 1] and len(known.letters) == len(old):
        # Only axes of one entry came or went.
        rest = [letter for letter, size in zip(known.letters, old, strict=True) if size != 1]
        letters = "".join("1" if size == 1 else rest.pop(0) for size in new)
    elif old and new and len(known.letters) == len(old):
        if old[0] == new[0]:
            letters = known.letters[0] + "?" * (len(new) - 1)
        if old[-1] == new[-1] and len(new) == 2 and len(old) == 3:
            letters = "?" + known.letters[-1]
        if (known.run is not None and len(old) == 3) or (known.run is None and len(new) == 1):
            bare = place.bare() if place is not None else None
            taken = (*taken, Taken("viewed", bare, source, old, known.letters, new))
    return replace(known, letters=letters, taken=taken)
