"""One step of a recurrence as a layer: Keras's cells, which never broadcast a state."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree

from sostenuto.cells import equations_of, weights_of
from sostenuto.layers import checks

_register = keras.saving.register_keras_serializable(package="sostenuto")


def _call(cell: Any, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
    equations = equations_of(cell)
    assert equations is not None
    checks.check_step(cell, inputs)
    size = cell.state_size if isinstance(cell.state_size, list) else [cell.state_size]
    listed = checks.check_initial_state(cell, states, size, list(equations.STATES), inputs.shape[0])
    input_masks = state_masks = None
    if training:
        input_masks = cell.get_dropout_mask(inputs) if cell.dropout < 1 else None
        state_masks = cell.get_recurrent_dropout_mask(listed[0]) if cell.recurrent_dropout < 1 else None
    listed = [ops.convert_to_tensor(state, dtype=cell.compute_dtype) for state in listed]
    weights = weights_of(cell)
    projected = equations.project(cell, weights, inputs, input_masks)
    new = equations.advance(cell, weights, projected, listed, state_masks)
    return new[0], (new if tree.is_nested(states) else new[0])


class _Cell:
    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """One step.

        Args:
            inputs: (B, F).
            states: list of states (B, U) each, in the order of the cell's equations; a single state may stand alone.
            training: whether dropout is active.

        Returns:
            The output (B, U) and the new states.

        Raises:
            ShapeError: SO101 or SO103, not one step of the features that the cell was built for.
            StateError: SO301 or SO302, states of the wrong number or shape.
        """
        return _call(self, inputs, states, training)

    call.computes_like_keras = True  # type: ignore[attr-defined]


@_register
class LSTMCell(_Cell, keras.layers.LSTMCell):
    """One step of an LSTM: ``keras.layers.LSTMCell``, its arguments and weights; states [h, c].

    Example:
        >>> import numpy as np, sostenuto as so
        >>> output, (h, c) = so.LSTMCell(4)(np.ones((2, 3), "float32"), [np.zeros((2, 4)), np.zeros((2, 4))])
        >>> tuple(output.shape), tuple(c.shape)
        ((2, 4), (2, 4))
    """


@_register
class GRUCell(_Cell, keras.layers.GRUCell):
    """One step of a GRU: ``keras.layers.GRUCell``, its arguments and weights; state h.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> output, (h,) = so.GRUCell(4)(np.ones((2, 3), "float32"), [np.zeros((2, 4))])
        >>> tuple(output.shape)
        (2, 4)
    """


@_register
class SimpleRNNCell(_Cell, keras.layers.SimpleRNNCell):
    """One step of a simple recurrent network: ``keras.layers.SimpleRNNCell``, its arguments and weights; state h.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> output, (h,) = so.SimpleRNNCell(4)(np.ones((2, 3), "float32"), [np.zeros((2, 4))])
        >>> tuple(output.shape)
        (2, 4)
    """


@_register
class StackedRNNCells(keras.layers.StackedRNNCells):
    """Several cells that work as one: ``keras.layers.StackedRNNCells``.

    Example:
        >>> import sostenuto as so
        >>> so.StackedRNNCells([so.GRUCell(3), so.LSTMCell(4)]).state_size
        [3, [4, 4]]
    """
