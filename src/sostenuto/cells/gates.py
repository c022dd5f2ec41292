"""Weights as tensors, products with the kernels of several gates, and the gates one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops


class Weights(NamedTuple):
    """The weights of a cell as tensors of its compute dtype; ``bias`` is None where the cell has none."""

    kernel: Any
    recurrent_kernel: Any
    bias: Any


def weights_of(cell: Any) -> Weights:
    """Reads the weights of a built cell: once for all steps, because each read of a variable costs."""
    known = (cell.kernel, cell.recurrent_kernel, cell.bias)
    return Weights(*(None if w is None else ops.convert_to_tensor(w, dtype=cell.compute_dtype) for w in known))


def dropout_masks(cell: Any, sequences: Any, states: Sequence[Any]) -> tuple[Any, Any]:
    """Draws what the inputs (B, F) and the state h (B, U) are multiplied with in training.

    Drawn once and held for all steps, as Gal and Ghahramani (2016) and Keras do.

    Args:
        cell: the cell, which draws.
        sequences: (B, T, F), for their shape.
        states: (B, U) each, for theirs.

    Returns:
        For both: None for no dropout; one mask; or a list of one mask per gate, as Keras makes it with
        ``implementation=1`` and wherever there is ``recurrent_dropout``.
    """
    # Keras's LSTM and GRU take a rate of 1 for none; its SimpleRNN returns no mask at rate 0 only.
    inputs = cell.get_dropout_mask(sequences[:, 0, :]) if cell.dropout < 1 else None
    state = cell.get_recurrent_dropout_mask(states[0]) if cell.recurrent_dropout < 1 else None
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    return inputs, state


def multiply(inputs: Any, kernel: Any, dropout_masks: Any, gates: int) -> Any:
    """Multiplies with the kernels of all gates at once, or gate by gate where each has a dropout mask of its own.

    Args:
        inputs: (..., F) or (..., U).
        kernel: (F, G * U).
        dropout_masks: None; one mask like the last axes of ``inputs``; or a list of one mask per gate, as Keras
            makes it with ``implementation=1``.
        gates: G, the number of gates in ``kernel``.

    Returns:
        (..., G * U).
    """
    if dropout_masks is None:
        return _product(inputs, kernel)
    if not isinstance(dropout_masks, list | tuple):
        return _product(inputs * dropout_masks, kernel)
    parts = split(kernel, gates)
    return ops.concatenate(
        [_product(inputs * mask, part) for mask, part in zip(dropout_masks, parts, strict=True)], axis=-1
    )


def add_product(base: Any, inputs: Any, kernel: Any, dropout_masks: Any, gates: int) -> Any:
    """``base``, (B, G * U) or what broadcasts to it, plus what ``multiply`` returns."""
    if dropout_masks is None and hasattr(base, "addmm"):
        return base.addmm(inputs, kernel)  # torch's own: one pass less over the gates, at every step
    return base + multiply(inputs, kernel, dropout_masks, gates)


def split(gates: Any, number: int) -> Sequence[Any]:
    """Takes (..., G * U) apart into G tensors (..., U)."""
    if hasattr(gates, "chunk"):
        return gates.chunk(number, -1)  # torch's own: a third of the time of ops.split, at every step
    return ops.split(gates, number, axis=-1)


def activate(activation: Any, values: Any) -> Any:
    """``activation`` of the values, which is one of Keras's functions or anybody's."""
    # torch's own methods, at every step: Keras's check, convert and note what they began with, in twice the time.
    if activation is keras.activations.sigmoid and hasattr(values, "sigmoid"):
        return values.sigmoid()
    if activation is keras.activations.tanh and hasattr(values, "tanh"):
        return values.tanh()
    return activation(values)


def _product(a: Any, b: Any) -> Any:
    # The operator of the tensors takes half the time of ops.matmul on torch, at every step; TensorFlow's would
    # broadcast b over a third axis.
    return a @ b if len(a.shape) == 2 else ops.matmul(a, b)
