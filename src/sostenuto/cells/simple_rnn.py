"""The simple recurrent network (Elman 1990): ``h' = a(x K + h R + b)``; the output is h'.

Weights as Keras keeps them: kernel K (F, U), recurrent_kernel R (U, U), bias b (U,).
"""

from __future__ import annotations

from typing import Any

from sostenuto.cells.gates import multiply

GATES = ("h",)
STATES = ("h",)


def project(cell: Any, inputs: Any, dropout_masks: Any = None) -> Any:
    """The share of the input: (..., F) -> (..., U)."""
    projected = multiply(inputs, cell.kernel, dropout_masks, len(GATES))
    return projected if cell.bias is None else projected + cell.bias


def advance(cell: Any, projected: Any, states: list[Any], dropout_masks: Any = None) -> list[Any]:
    """One step: projected input (B, U) and states [h] (B, U) -> new states [h]; h is the output."""
    (h,) = states
    total = projected + multiply(h, cell.recurrent_kernel, dropout_masks, len(GATES))
    return [cell.activation(total) if cell.activation is not None else total]
