"""New values for the same sequences, and collections joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import DataError, DataTypeError
from sostenuto.sequences.checks import common_dtype, feature_names, id_array, numbers, offsets_of

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


def map_sequences(self: Sequences, function: Callable[[np.ndarray], Any], features: Any = None) -> Sequences:
    """A function applied to each sequence on its own.

    Args:
        function: from (T, F) to (T, F') or (T,), as many steps as before.
        features: the names of the new features, by default the present ones if their number stays.

    Raises:
        DataError: the function changes the number of steps (SO202), or sequences come to disagree about the number of
            features (SO203).

    Example:
        >>> import numpy as np
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.from_list([[1, 2, 3], [4]]).map(np.cumsum).values[:, 0].tolist()
        [1, 3, 6, 4]
    """
    new: list[np.ndarray] = []
    for name, array in self.items():
        found = _steps(function(array), len(array), f"the function's result for sequences[{name!r}]")
        if new and found.shape[1] != new[0].shape[1]:
            raise DataError(
                "Sequences disagree about the number of features.",
                code="SO203",
                fix="return the same features for every sequence",
                where=f"the function's result for sequences[{name!r}]",
                got=count(found.shape[1], "feature"),
                wanted=f"{count(new[0].shape[1], 'feature')}, as in the first sequence",
            )
        new.append(found)
    if not new:
        return self
    dtype = common_dtype([array.dtype for array in new if array.size] or [array.dtype for array in new])
    return _with_values(self, np.concatenate(new, dtype=dtype, casting="unsafe"), features)


def map_steps(self: Sequences, function: Callable[[np.ndarray], Any], features: Any = None) -> Sequences:
    """A function applied to all steps at once: fast, but it must treat every step alone.

    Args:
        function: from (N, F) to (N, F') or (N,).
        features: the names of the new features, by default the present ones if their number stays.

    Raises:
        DataError: the function changes the number of steps (SO202).

    Example:
        >>> import numpy as np
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.from_list([[1.0, 4.0], [9.0]]).map_steps(np.sqrt).values[:, 0].tolist()
        [1.0, 2.0, 3.0]
    """
    found = _steps(function(self.values), self.steps, "the function's result")
    return _with_values(self, found.astype(common_dtype([found.dtype]), copy=False), features)


def _steps(found: Any, steps: int, where: str) -> np.ndarray:
    array = numbers(found, where)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or len(array) != steps:
        raise DataError(
            "The function changed the steps.",
            code="SO202",
            where=where,
            got=shape_of(found),
            wanted=f"({steps}, features) or ({steps},)",
            fix="return one row for each step; window, chunk and take change which steps there are",
        )
    return array


def _with_values(self: Sequences, values: np.ndarray, features: Any) -> Sequences:
    if features is None and values.shape[1] == self.feature_count:
        features = self.features
    return self.derive(values=np.ascontiguousarray(values), features=feature_names(features, values.shape[1]))


def astype(self: Sequences, dtype: Any) -> Sequences:
    """The same sequences with values of another dtype; targets and weights stay.

    Args:
        dtype: integers or floats. Fractions are never cut: floats become integers only if they are whole numbers that
            fit.

    Raises:
        DataTypeError: the dtype is neither integers nor floats, or cannot hold the values (SO204).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.from_list([[1.0, 2.0]]).astype("int32").dtype.name
        'int32'
    """
    wanted = np.dtype(dtype)
    if wanted == self.dtype:
        return self
    lossless = wanted.kind in "iuf"
    if lossless:
        with np.errstate(invalid="ignore", over="ignore"):
            new = self.values.astype(wanted)
        if wanted.kind in "iu":
            lossless = bool(np.array_equal(new, self.values) and np.array_equal(new.astype(self.dtype), self.values))
        else:
            lossless = bool(np.array_equal(np.isfinite(new), np.isfinite(self.values)))
    if not lossless:
        raise DataTypeError(
            "This dtype cannot hold the values.",
            code="SO204",
            where="argument 'dtype' of astype",
            got=f"{wanted.name} for values {shape_of(self.values)}",
            wanted="a dtype of integers or floats that holds every value",
            fix="round or scale the values first with map_steps",
        )
    return self.derive(values=new)


def concatenate(cls: type[Sequences], collections: Iterable[Sequences]) -> Sequences:
    """Several collections as one, in order.

    Args:
        collections: at least one, with the same features, the same kind of targets and of weights, and no id twice.

    Raises:
        DataError: features differ (SO203), targets or weights are of different kinds (SO401, SO404), an id comes
            twice (SO206), or there is nothing to join (SO210).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> a, b = Sequences.from_list({"a": [1]}), Sequences.from_list({"b": [2, 3]})
        >>> Sequences.concatenate([a, b]).ids
        ('a', 'b')
    """
    parts = list(collections)
    for position, part in enumerate(parts):
        if not isinstance(part, cls):
            raise DataTypeError(
                "Only Sequences can be joined.",
                code="SO201",
                where=f"collections[{position}]",
                got=shape_of(part),
                wanted="Sequences",
                fix="make them with Sequences.from_list or another constructor",
            )
        for noun, code in (
            ("features", "SO203"),
            ("targets_per", "SO401"),
            ("target_names", "SO401"),
            ("weights_per", "SO404"),
        ):
            _check_same(noun, code, getattr(part, noun), getattr(parts[0], noun), position)
        if part.targets is not None and parts[0].targets is not None:
            _check_same(
                "targets of a step or sequence", "SO401", part.targets.shape[1:], parts[0].targets.shape[1:], position
            )
    if not parts:
        raise DataError(
            "There is nothing to join.",
            code="SO210",
            where="argument 'collections' of concatenate",
            fix="pass at least one collection of sequences",
            got="no collections",
            wanted="at least one",
        )
    ids = [name for part in parts for name in part.ids]
    return parts[0].derive(
        values=np.concatenate([part.values for part in parts]),
        offsets=offsets_of(np.concatenate([part.lengths for part in parts])),
        _ids=id_array(ids, len(ids)),
        targets=None if parts[0].targets is None else np.concatenate([part.targets for part in parts]),
        weights=None if parts[0].weights is None else np.concatenate([part.weights for part in parts]),
    )


def _check_same(noun: str, code: str, got: Any, wanted: Any, position: int) -> None:
    if got != wanted:
        raise DataError(
            f"These collections differ in their {noun.replace('_', ' ')}.",
            code=code,
            where=f"collections[{position}]",
            got=repr(got)[:200],
            wanted=f"{wanted!r}"[:200] + ", as in collections[0]",
            fix="make all collections alike before they are joined",
        )
