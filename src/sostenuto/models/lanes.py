"""The table of states that chunked training carries from batch to batch, a row for each lane."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.backend.common.stateless_scope import in_stateless_scope

from sostenuto.models.carrying import StateSpec

# What a batch calls the lanes of its rows, by the table that keeps their states. fit, evaluate and predict have one
# each, so that none disturbs another, not even from a callback.
LANES = {"fit": "fit_lanes", "evaluate": "evaluate_lanes", "predict": "predict_lanes"}


def lanes_of_rows(lanes: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """What a batch is fed about its rows.

    Args:
        lanes: the lane of each row (B,), counted from 0, each at most once.
        fresh: whether the row begins a sequence (B,).

    Returns:
        (B, 2) int32: the rows of the table that each state is read from and written to. Row 0 holds zeros for good and
        is where sequences begin.

    Example:
        >>> lanes_of_rows(np.array([0, 3]), np.array([False, True])).tolist()
        [[1, 1], [0, 4]]
    """
    rows = lanes + 1
    return np.stack([np.where(fresh, 0, rows), rows], axis=1).astype("int32")


class LaneStates:
    """All states that sequences carry, side by side in one variable (1 + R, sum of U).

    One table, because a batch then costs one read and one write, whatever the number of states; on PyTorch each
    operation of Keras is 10 to 40 microseconds. A plain object, so that Keras's tracking does not take the variable for
    a weight: ``SequenceModel.variables`` lists it, which is where trainers look, and ``weights`` does not, which is
    where saving and copying look.

    Args:
        specs: the states.
        rows: R.
    """

    def __init__(self, specs: Sequence[StateSpec], rows: int) -> None:
        self.rows = rows
        self._dtypes = [spec.dtype for spec in specs]
        self._bounds = list(pairwise(np.cumsum([0, *(spec.size for spec in specs)]).tolist()))
        self.table = keras.Variable(
            lambda shape, dtype: ops.zeros(shape, dtype=dtype),
            shape=(1 + rows, self._bounds[-1][1] if specs else 0),
            dtype=keras.backend.result_type(*self._dtypes) if specs else "float32",
            trainable=False,
            autocast=False,
            name="states_of_lanes",
        )

    def read(self, lanes: Any) -> list[Any]:
        """The states (B, U) that the rows with these ``lanes_of_rows`` (B, 2) begin in, cut off from the gradient."""
        rows = ops.stop_gradient(ops.take(self.table.value, lanes[:, 0], axis=0))
        states = [rows[:, first:last] for first, last in self._bounds]
        return [
            state if dtype == self.table.dtype else ops.cast(state, dtype)
            for state, dtype in zip(states, self._dtypes, strict=True)
        ]

    def write(self, lanes: Any, states: Sequence[Any]) -> None:
        """Keeps the states (B, U) that the rows end in."""
        table = self.table
        joined = ops.stop_gradient(ops.concatenate([ops.cast(state, table.dtype) for state in states], axis=1))
        in_place = None if in_stateless_scope() else keras.backend.backend()
        # Where a variable can be changed in place, a batch costs its rows and not the whole table.
        if in_place == "torch":
            table.value.data.index_copy_(0, lanes[:, 1].long(), joined)
        elif in_place == "tensorflow":
            table.value.scatter_nd_update(lanes[:, 1:], joined)
        else:
            table.assign(ops.scatter_update(table.value, lanes[:, 1:], joined))
