"""States that a layer keeps from call to call, one row per row of the batch, for any number of rows.

Keras fixes the shape of a variable when it is made, so its stateful layers are tied to one batch size, and it hides
their states from the trainers, so JAX loses them. Here a state is a variable whose number of rows follows the batches,
listed among ``layer.variables`` (trainers carry those) but not among ``layer.weights`` (saving and copying of weights
pass it by). design/0004 has the alternatives that were tried.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree


class _AnyRows(tuple):
    """The shape (None, U), equal to that of any number of rows: so Keras's comparisons of shapes let a table grow."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | list) and len(other) == len(self) and tuple(other[1:]) == tuple(self[1:])

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


class RowState(keras.Variable):
    """A state (R, U): R grows with the largest batch seen; rows beyond it count as zero."""

    def __init__(self, rows: int, size: int, dtype: str, name: str) -> None:
        self._size = size
        super().__init__(
            lambda shape, dtype: ops.zeros(shape, dtype=dtype),
            shape=(rows, size),
            dtype=dtype,
            trainable=False,
            name=name,
        )

    @property
    def shape(self) -> Any:
        """(None, U); ``value.shape`` has the rows of the moment."""
        return _AnyRows((None, self._size))

    def _initialize(self, value: Any) -> None:
        if keras.backend.backend() == "tensorflow":
            from sostenuto.kernels.adapters.tensorflow import growing_variable

            first = value if callable(value) else lambda: value
            self._value = growing_variable(first, (self._size,), self._dtype, self._name)
        else:
            super()._initialize(value)

    def _direct_assign(self, value: Any) -> None:
        if keras.backend.backend() == "torch":
            # New storage instead of copy_: the backward pass still needs the old values, and the shape may differ.
            self._value.data = value.detach().clone()
        else:
            super()._direct_assign(value)


def first_rows(table: Any, count: Any) -> Any:
    """The first ``count`` rows of a table (R, U); rows that the table lacks are zero."""
    have = ops.shape(table)[0]
    if isinstance(have, int) and isinstance(count, int):
        if have >= count:
            return table[:count]
        missing = ops.zeros((count - have, table.shape[1]), dtype=table.dtype)
    else:
        missing = ops.zeros((ops.maximum(count - have, 0), table.shape[1]), dtype=table.dtype)
    return ops.concatenate([table, missing], axis=0)[:count]


def with_first_rows(table: Any, rows: Any) -> Any:
    """The table (R, U) with its first rows replaced by ``rows`` (B, U); it grows where B exceeds R."""
    return ops.concatenate([ops.cast(rows, table.dtype), table[ops.shape(rows)[0] :]], axis=0)


class RowStates:
    """The states of one layer, in the structure of its cell's ``state_size``.

    A plain object, so that Keras's tracking does not take the variables for weights.
    """

    def __init__(self, state_size: Any, rows: int, dtype: str, name: str) -> None:
        self.variables = tree.map_structure(lambda size: RowState(rows, size, dtype, f"{name}_state"), state_size)

    @property
    def flat(self) -> list[RowState]:
        """All variables in order."""
        return tree.flatten(self.variables)

    def read(self, count: Any) -> Any:
        """The states (count, U) of the first rows, cut off from the gradient."""
        return tree.map_structure(lambda v: ops.stop_gradient(first_rows(v.value, count)), self.variables)

    def write(self, states: Any) -> None:
        """Keeps the states (B, U) of the first B rows and leaves the rows beyond as they are."""
        for variable, rows in zip(self.flat, tree.flatten(states), strict=True):
            variable.assign(with_first_rows(variable.value, ops.stop_gradient(rows)))
