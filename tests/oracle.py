"""What a recurrent layer ought to return, computed by the reference: each row alone, only its real steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from sostenuto.kernels import reference


@dataclass(frozen=True)
class Expected:
    """What is right for a padded batch, in float64.

    Attributes:
        outputs: (B, T, U), right at real steps, 0 at masked ones (which hold no result to compare with). With
            ``go_backwards`` the k-th real position of a row holds the k-th output computed.
        last: (B, U), the output of the step computed last; for a row without a real step, its initial h.
        states: final states, (B, U) each.
        d_inputs: (B, T, F), 0 at masked steps.
        d_weights: in the layer's order, summed over the rows.
        d_states: gradients of the initial states, (B, U) each.
    """

    outputs: np.ndarray
    last: np.ndarray
    states: list[np.ndarray]
    d_inputs: np.ndarray
    d_weights: list[np.ndarray]
    d_states: list[np.ndarray]


def expected(
    layer: Any,
    inputs: Any,
    mask: Any | None = None,
    initial_state: list[Any] | None = None,
    *,
    d_outputs: Any | None = None,
    d_last: Any | None = None,
    d_states: list[Any] | None = None,
) -> Expected:
    """Runs the reference with the settings and weights of a layer.

    Args:
        layer: a built LSTM, GRU or SimpleRNN, Keras's own or a subclass.
        inputs: padded values (B, T, F).
        mask: (B, T), True for a real step, in any pattern; all steps by default.
        initial_state: the initial states, (B, U) each; zeros by default.
        d_outputs: gradients of the outputs, (B, T, U), 0 at masked steps; zeros by default.
        d_last: gradients of the last output, (B, U); zeros by default.
        d_states: gradients of the final states, (B, U) each; zeros by default.
    """
    inputs = np.asarray(inputs, np.float64)
    rows, steps = inputs.shape[:2]
    mask = np.ones((rows, steps), bool) if mask is None else np.asarray(mask, bool)
    cell, weights = cell_of(layer), weights_of(layer)
    units, kinds = layer.units, len(cell.state_names)

    def given(values: Any | None, shape: tuple[int, ...]) -> np.ndarray:
        values = np.zeros(shape) if values is None else np.asarray(values, np.float64)
        assert values.shape == shape, f"{values.shape} is not {shape}"
        return values

    first = given(initial_state, (kinds, rows, units))
    d_out = given(d_outputs, (rows, steps, units))
    assert not d_out[~mask].any(), "a masked step holds no result, so it has no gradient"
    d_final = given(d_states, (kinds, rows, units)).copy()
    d_final[0] += given(d_last, (rows, units))  # the last output is the final h

    outputs, final, tapes = reference.forward_ragged(
        cell,
        [x[real] for x, real in zip(inputs, mask, strict=True)],
        weights,
        [first[:, row] for row in range(rows)],
        reverse=layer.go_backwards,
    )
    d_x, d_weights, d_first = reference.backward_ragged(
        tapes,
        [d[real] for d, real in zip(d_out, mask, strict=True)],
        [d_final[:, row] for row in range(rows)],
    )
    states = [np.stack([of_row[kind] for of_row in final]) for kind in range(kinds)]
    return Expected(
        outputs=_padded(outputs, mask, units),
        last=states[0],
        states=states,
        d_inputs=_padded(d_x, mask, inputs.shape[2]),
        d_weights=list(d_weights),
        d_states=[np.stack([of_row[kind] for of_row in d_first]) for kind in range(kinds)],
    )


def cell_of(layer: Any) -> reference.Cell:
    """The reference's cell with the settings of a layer."""
    activation = layer.activation.__name__
    if isinstance(layer, keras.layers.LSTM):
        return reference.LSTM(activation, layer.recurrent_activation.__name__)
    if isinstance(layer, keras.layers.GRU):
        return reference.GRU(activation, layer.recurrent_activation.__name__, layer.reset_after)
    if isinstance(layer, keras.layers.SimpleRNN):
        return reference.SimpleRNN(activation)
    raise TypeError(f"the oracle knows LSTM, GRU and SimpleRNN, not {type(layer).__name__}")


def weights_of(layer: Any) -> list[np.ndarray]:
    """Kernel, recurrent kernel and, where there is one, bias of a built layer."""
    known = [layer.cell.kernel, layer.cell.recurrent_kernel] + ([layer.cell.bias] if layer.use_bias else [])
    return [np.asarray(keras.ops.convert_to_numpy(weight), np.float64) for weight in known]


def _padded(of_rows: list[np.ndarray], mask: np.ndarray, width: int) -> np.ndarray:
    padded = np.zeros((*mask.shape, width))
    for row, values in enumerate(of_rows):
        padded[row, mask[row]] = values
    return padded
