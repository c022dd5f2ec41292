"""The simple recurrent network (Elman 1990): ``h' = a(x K + h R + b)``; the output is h'.

Weights as Keras keeps them: kernel K (F, U), recurrent_kernel R (U, U), bias b (U,).
"""

from __future__ import annotations

from typing import Any

from sostenuto.cells.gates import Weights, activate, add_product, multiply

GATES = ("h",)
STATES = ("h",)


def project(cell: Any, weights: Weights, inputs: Any, dropout_masks: Any = None) -> Any:
    """The share of the input: (..., F) -> (..., U)."""
    projected = multiply(inputs, weights.kernel, dropout_masks, len(GATES))
    return projected if weights.bias is None else projected + weights.bias


def advance(cell: Any, weights: Weights, projected: Any, states: list[Any], dropout_masks: Any = None) -> list[Any]:
    """One step: projected input (B, U) and states [h] (B, U) -> new states [h]; h is the output."""
    (h,) = states
    total = add_product(projected, h, weights.recurrent_kernel, dropout_masks, len(GATES))
    return [activate(cell.activation, total) if cell.activation is not None else total]
