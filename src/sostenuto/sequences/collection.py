"""``Sequences``: many series of different lengths, each under an id, in one flat array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from sostenuto.diagnosis import count, nearest, shape_of, some
from sostenuto.errors import DataTypeError, UnknownIdError
from sostenuto.sequences import batching, bucketing, changing, cutting, description, windows
from sostenuto.sequences import from_arrow as arrow
from sostenuto.sequences import from_list as lists
from sostenuto.sequences import from_padded as padded
from sostenuto.sequences import from_table as tables
from sostenuto.sequences import statistics as summaries
from sostenuto.sequences import stream as streams
from sostenuto.sequences import to_table as long
from sostenuto.sequences.checks import (
    check_finite,
    check_offsets,
    check_option,
    feature_names,
    id_array,
    locked,
)
from sostenuto.sequences.targets import Per, align_targets, align_weights


class Sequences:
    """An immutable collection of sequences of different lengths, each under its id.

    It behaves like a mapping from ids to arrays (T, F): ``sequences["engine-17"]``, ``"engine-17" in sequences``,
    iteration over ids, ``items()``. Positions (0 .. S-1) are used by ``take`` and ``batch``.

    Most data comes in through ``from_list``, ``from_table``, ``from_padded`` or ``from_arrow``; the constructor takes
    the flat form and copies nothing, so the arrays given must not be written to afterwards.

    Args:
        values: the steps of all sequences, one sequence after another (N, F), integers or floats.
        offsets: where each sequence begins, and the end of the last (S+1,); sequence i is
            ``values[offsets[i]:offsets[i + 1]]``.
        ids: one hashable value per sequence, by default 0 .. S-1.
        features: the names of the features, by default ``feature_0``, ``feature_1`` and so on.
        targets: (N, ...) per step or (S, ...) per sequence.
        targets_per: ``"step"`` or ``"sequence"``, needed with targets.
        target_names: the names of targets, if they have any.
        weights: (N,) per step or (S,) per sequence, none negative.
        weights_per: ``"step"`` or ``"sequence"``, needed with weights.
        missing: ``"error"`` (default) refuses NaN and infinity, ``"keep"`` takes them as they are.

    Raises:
        DataError: a part does not fit the others; the error says which.

    Example:
        >>> import numpy as np
        >>> from sostenuto.sequences import Sequences
        >>> sequences = Sequences(np.arange(6.0).reshape(3, 2), [0, 1, 3], ids=["a", "b"])
        >>> sequences
        Sequences(2 sequences, 3 steps, 2 features, float64)
        >>> sequences["b"]
        array([[2., 3.],
               [4., 5.]])
    """

    values: np.ndarray
    offsets: np.ndarray
    features: tuple[str, ...]
    targets: np.ndarray | None
    targets_per: Per | None
    target_names: tuple[str, ...]
    weights: np.ndarray | None
    weights_per: Per | None
    _ids: np.ndarray

    def __init__(
        self,
        values: Any,
        offsets: Any,
        ids: Any = None,
        *,
        features: Any = None,
        targets: Any = None,
        targets_per: Per | None = None,
        target_names: Iterable[str] = (),
        weights: Any = None,
        weights_per: Per | None = None,
        missing: str = "error",
    ) -> None:
        check_option("missing", missing, ("error", "keep"))
        array = np.asarray(values)
        if array.ndim != 2 or array.dtype.kind not in "iuf":
            raise DataTypeError(
                "These are no flat values.",
                code="SO202",
                where="argument 'values'",
                got=shape_of(values),
                wanted="integers or floats (steps of all sequences, features)",
                fix="use Sequences.from_list, from_table, from_padded or from_arrow",
            )
        offsets = check_offsets(offsets, len(array))
        names = id_array(ids, len(offsets) - 1)
        labels = feature_names(features, array.shape[1])
        if missing == "error":
            check_finite(array, offsets, names, labels)
        lengths = np.diff(offsets)
        aligned = align_targets(targets, targets_per, lengths, names, missing)
        weighted = align_weights(weights, weights_per, lengths, names)
        self._fill(
            values=array,
            offsets=offsets,
            _ids=names,
            features=labels,
            targets=aligned.array if aligned else None,
            targets_per=aligned.per if aligned else None,
            target_names=tuple(target_names) if aligned else (),
            weights=weighted.array if weighted else None,
            weights_per=weighted.per if weighted else None,
        )

    def _fill(self, **state: Any) -> None:
        for name, part in state.items():
            self.__dict__[name] = locked(np.ascontiguousarray(part)) if isinstance(part, np.ndarray) else part

    def derive(self, **changes: Any) -> Sequences:
        """A collection with some parts replaced and nothing checked: for functions of this folder."""
        state = {name: self.__dict__[name] for name in _STATE}
        return _restore({**state, **changes})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"Sequences never change; {name!r} cannot be set. with_targets, map and others make new ones."
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Sequences never change; {name!r} cannot be deleted.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, ({name: self.__dict__[name] for name in _STATE},)

    def __repr__(self) -> str:
        parts = [
            count(len(self), "sequence"),
            count(self.steps, "step"),
            count(self.feature_count, "feature"),
            self.dtype.name,
        ]
        if self.targets is not None:
            parts.append(f"targets per {self.targets_per}")
        if self.weights is not None:
            parts.append(f"weights per {self.weights_per}")
        return f"Sequences({', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequences):
            return NotImplemented
        return self is other or all(_same(self.__dict__[name], other.__dict__[name]) for name in _STATE)

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.ids)

    def __contains__(self, name: object) -> bool:
        try:
            return name in self._positions_by_id
        except TypeError:  # not hashable
            return False

    def __getitem__(self, name: Any) -> np.ndarray:
        position = self.position(name)
        return self.values[self.offsets[position] : self.offsets[position + 1]]

    def items(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Pairs of id and array (T, F), in order.

        Example:
            >>> from sostenuto.sequences import Sequences
            >>> [(name, len(array)) for name, array in Sequences.from_list({"a": [1.0], "b": [2.0, 3.0]}).items()]
            [('a', 1), ('b', 2)]
        """
        bounds = self.offsets.tolist()
        for name, start, stop in zip(self.ids, bounds[:-1], bounds[1:], strict=True):
            yield name, self.values[start:stop]

    @cached_property
    def ids(self) -> tuple[Any, ...]:
        """The ids in order, as plain Python values; several id columns of a table give tuples."""
        return tuple(self._ids.tolist())

    @cached_property
    def _positions_by_id(self) -> dict[Any, int]:
        return {name: position for position, name in enumerate(self.ids)}

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of steps of each sequence (S,) int64."""
        return locked(np.diff(self.offsets))

    @property
    def steps(self) -> int:
        """The number of steps of all sequences together."""
        return len(self.values)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def feature_count(self) -> int:
        """The number of features of a step."""
        return self.values.shape[1]

    def position(self, name: Any) -> int:
        """The position of an id.

        Raises:
            UnknownIdError: no sequence has this id (SO212).

        Example:
            >>> from sostenuto.sequences import Sequences
            >>> Sequences.from_list({"a": [1.0], "b": [2.0]}).position("b")
            1
        """
        if name in self:
            return self._positions_by_id[name]
        near = nearest(str(name), self.ids) if len(self) <= 100_000 else []
        others = [known for known in self.ids if str(known) in near] if near else []
        raise UnknownIdError(
            f"There is no sequence {name!r}.",
            code="SO212",
            where="the ids of the collection",
            got=f"{name!r} ({type(name).__name__})",
            wanted=f"one of the {count(len(self), 'id')}" + (f": {some(self.ids, 3)}" if len(self) else ""),
            fix=f"near ones: {some(others)}" if others else "sequences.ids lists them",
        )

    def positions(self, indices: Any) -> np.ndarray:
        """Positions checked and as int64 (SO212 if one lies outside)."""
        rows = np.asarray(indices)
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise DataTypeError(
                "These are no positions of sequences.",
                code="SO201",
                where="argument 'indices'",
                got=shape_of(indices),
                wanted="whole numbers in one row",
                fix="use select(ids) to take sequences by id",
            )
        outside = rows[(rows < 0) | (rows >= len(self))]
        if len(outside):
            raise UnknownIdError(
                "There is no sequence at this position.",
                code="SO212",
                where="argument 'indices'",
                got=f"position {some(outside.tolist(), 3)}",
                wanted=f"positions from 0 to {len(self) - 1}",
                fix="use select(ids) to take sequences by id",
            )
        return rows.astype(np.int64, copy=False)

    def with_targets(
        self, targets: Any, targets_per: Per | None = None, target_names: Iterable[str] = (), missing: str = "error"
    ) -> Sequences:
        """The same sequences with other targets; None removes them.

        Args:
            targets: one entry per sequence, one array per sequence with an entry per step, or a dict of these by id.
            targets_per: ``"step"`` or ``"sequence"``, needed where both could be meant.
            target_names: the names of targets, if they have any.
            missing: ``"error"`` (default) refuses NaN and infinity, ``"keep"`` takes them.

        Raises:
            TargetError: targets do not fit (SO401), are no numbers (SO204), or are missing (SO205).

        Example:
            >>> from sostenuto.sequences import Sequences
            >>> Sequences.from_list([[1.0, 2.0], [3.0]]).with_targets([0, 1])
            Sequences(2 sequences, 3 steps, 1 feature, float64, targets per sequence)
        """
        check_option("missing", missing, ("error", "keep"))
        found = align_targets(targets, targets_per, self.lengths, self._ids, missing)
        return self.derive(
            targets=found.array if found else None,
            targets_per=found.per if found else None,
            target_names=tuple(target_names) if found else (),
        )

    def with_weights(self, weights: Any, weights_per: Per | None = None) -> Sequences:
        """The same sequences with other weights; None removes them.

        Args:
            weights: one number per sequence, one array of numbers per sequence, or a dict of these by id.
            weights_per: ``"step"`` or ``"sequence"``, needed where both could be meant.

        Raises:
            TargetError: weights do not fit, or one is negative or not finite (SO404).

        Example:
            >>> from sostenuto.sequences import Sequences
            >>> Sequences.from_list([[1.0, 2.0], [3.0]]).with_weights({0: 0.5, 1: 2.0}).weights.tolist()
            [0.5, 2.0]
        """
        found = align_weights(weights, weights_per, self.lengths, self._ids)
        return self.derive(weights=found.array if found else None, weights_per=found.per if found else None)

    from_list = classmethod(lists.from_list)
    from_padded = classmethod(padded.from_padded)
    from_table = classmethod(tables.from_table)
    from_arrow = classmethod(arrow.from_arrow)
    stream = classmethod(streams.stream)
    of = classmethod(lists.of)
    concatenate = classmethod(changing.concatenate)

    take = cutting.take
    select = cutting.select
    split = cutting.split
    bucket = bucketing.bucket
    window = windows.window
    chunk = windows.chunk

    to_padded = batching.to_padded
    to_table = long.to_table
    batch = batching.batch

    describe = description.describe
    statistics = summaries.statistics
    standardised = summaries.standardised
    map = changing.map_sequences
    map_steps = changing.map_steps
    astype = changing.astype


_STATE = tuple(Sequences.__annotations__)


def _restore(state: dict[str, Any]) -> Sequences:
    new = object.__new__(Sequences)
    new._fill(**state)
    return new


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.dtype.kind == "O" or other.dtype.kind == "O":
            return one.tolist() == other.tolist()
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return type(one) is type(other) and one == other
