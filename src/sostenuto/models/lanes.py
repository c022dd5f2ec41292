"""The table of states that chunked training carries from batch to batch, a row for each lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sostenuto.models.carrying import StateSpec

# What a batch calls the lanes of its rows, by the table that keeps their states. fit, evaluate and predict have one
# each, so that none disturbs another, not even from a callback.
LANES = {"fit": "fit_lanes", "evaluate": "evaluate_lanes", "predict": "predict_lanes"}


class LaneStates:
    """A variable (R, U) for each state that sequences carry.

    A plain object, so that Keras's tracking does not take the variables for weights: ``SequenceModel.variables`` lists
    them, which is where trainers look, and ``weights`` does not, which is where saving and copying look.

    Args:
        specs: the states.
        rows: R.
    """

    def __init__(self, specs: Sequence[StateSpec], rows: int) -> None:
        self.rows = rows
        self.tables = [
            keras.Variable(
                lambda shape, dtype: ops.zeros(shape, dtype=dtype),
                shape=(rows, spec.size),
                dtype=spec.dtype,
                trainable=False,
                name=f"{spec.variable_name}_of_lanes",
            )
            for spec in specs
        ]

    def read(self, lanes: Any) -> list[Any]:
        """The states (B, U) of some lanes (B,), cut off from the gradient."""
        return [ops.stop_gradient(ops.take(table.value, lanes, axis=0)) for table in self.tables]

    def write(self, lanes: Any, states: Sequence[Any]) -> None:
        """Keeps the states (B, U) of some lanes (B,), each named once."""
        rows = ops.expand_dims(lanes, 1)
        for table, state in zip(self.tables, states, strict=True):
            new = ops.cast(ops.stop_gradient(state), table.dtype)
            table.assign(ops.scatter_update(table.value, rows, new))
