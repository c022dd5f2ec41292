"""``Sequences`` back to a long table, one row per step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import numpy as np
import pyarrow as pa

from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import ColumnError, DataTypeError, TargetError
from sostenuto.sequences.batching import flat_steps
from sostenuto.sequences.checks import check_option

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences

KINDS = ("arrow", "pandas", "polars")


def to_table(
    self: Sequences,
    kind: Literal["arrow", "pandas", "polars"] = "arrow",
    id: str | Sequence[str] = "id",
    step: str = "step",
) -> Any:
    """A long table with a row for every step: id, step number, features, targets, weights.

    ``from_table(table, id="id", time="step", target=...)`` reads it back. A sequence without steps has no row, so it
    is not in the table. Targets and weights per sequence are repeated at every step.

    Args:
        kind: ``"arrow"`` (default), ``"pandas"`` or ``"polars"``.
        id: the name of the column of ids, or a list of names where ids are tuples; by default ``id``, or ``id_0``,
            ``id_1`` and so on for tuples.
        step: the name of the column of step numbers, which begin at 0 in each sequence.

    Returns:
        A table of that kind; targets are in columns of their names, by default ``target`` or ``target_0`` and so on,
        weights in ``weight``.

    Raises:
        DataError: the kind is not on offer (SO214).
        ColumnError: two columns would have one name (SO208).
        DataTypeError: the ids are of mixed kinds, so that no column holds them (SO201).
        TargetError: targets have more than one axis per step (SO401).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.from_list({"a": [1.5], "b": [2.5, 3.5]}).to_table().to_pydict()
        {'id': ['a', 'b', 'b'], 'step': [0, 0, 1], 'feature_0': [1.5, 2.5, 3.5]}
    """
    check_option("kind", kind, KINDS)
    lengths = self.lengths
    columns = [
        (name, pa.array(part).take(pa.array(np.repeat(np.arange(len(self)), lengths)))) for name, part in _ids(self, id)
    ]
    columns.append((step, pa.array(flat_steps(np.zeros(len(self), np.int64), lengths))))
    columns += [(name, pa.array(self.values[:, number])) for number, name in enumerate(self.features)]
    for noun, array in (("target", self.targets), ("weight", self.weights)):
        if array is not None:
            flat = array if getattr(self, f"{noun}s_per") == "step" else np.repeat(array, lengths, axis=0)
            columns += _beside(noun, flat, self.target_names if noun == "target" else ())
    names = [name for name, _ in columns]
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise ColumnError(
            "Two columns would have the same name.",
            code="SO208",
            where="to_table",
            got=", ".join(map(repr, repeated)),
            wanted="one column for each name",
            fix="rename them: to_table(id=..., step=...), or other features or target_names",
        )
    table = pa.table([array for _, array in columns], names=names)
    return table if kind == "arrow" else nw.from_arrow(table, backend=kind).to_native()


def _ids(self: Sequences, id: Any) -> list[tuple[str, Any]]:
    ids = self.ids
    widths = {len(name) if isinstance(name, tuple) else 0 for name in ids}
    width = widths.pop() if len(widths) == 1 else 0
    names = (
        list(id) if isinstance(id, list | tuple) else [f"{id}_{number}" for number in range(width)] if width else [id]
    )
    if len(names) != (width or 1):
        raise ColumnError(
            "The names of id columns do not fit.",
            code="SO208",
            where="argument 'id' of to_table",
            got=count(len(names), "name"),
            wanted=f"{count(width or 1, 'name')}, one for each part of an id",
            fix="leave id= out to have them named",
        )
    parts = [list(part) for part in zip(*ids, strict=True)] if width else [ids]
    try:
        return [(name, pa.array(part)) for name, part in zip(names, parts, strict=True)]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise DataTypeError(
            "The ids are of mixed kinds.",
            code="SO201",
            where="the ids, in to_table",
            got=f"ids of types {', '.join(sorted({type(name).__name__ for name in ids}))}",
            wanted="ids of one kind that a column can hold",
            fix="make all ids strings",
        ) from None


def _beside(noun: str, array: np.ndarray, names: Sequence[str]) -> list[tuple[str, Any]]:
    if array.ndim == 1:
        return [(names[0] if names else noun, pa.array(array))]
    if array.ndim > 2:
        raise TargetError(
            "Targets of several axes have no place in columns.",
            code="SO401",
            where="the targets, in to_table",
            got=shape_of(array),
            wanted="one number, or one row of numbers, for each step or sequence",
            fix="reshape them first, or remove them: with_targets(None)",
        )
    labels = names or [f"{noun}_{number}" for number in range(array.shape[1])]
    return [(name, pa.array(array[:, number])) for number, name in enumerate(labels)]
