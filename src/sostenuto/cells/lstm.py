"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000).

::

    i = s(x K_i + h R_i + b_i)        s: recurrent_activation, a: activation
    f = s(x K_f + h R_f + b_f)
    g = a(x K_c + h R_c + b_c)
    o = s(x K_o + h R_o + b_o)
    c' = f * c + i * g
    h' = o * a(c')                    the output is h'

Weights as Keras keeps them: kernel K (F, 4U), recurrent_kernel R (U, 4U), bias b (4U,).
"""

from __future__ import annotations

from typing import Any

from sostenuto.cells.gates import Weights, activate, add_product, multiply, split

GATES = ("i", "f", "c", "o")
STATES = ("h", "c")


def project(cell: Any, weights: Weights, inputs: Any, dropout_masks: Any = None) -> Any:
    """The share of the input in all gates: (..., F) -> (..., 4U)."""
    projected = multiply(inputs, weights.kernel, dropout_masks, len(GATES))
    return projected if weights.bias is None else projected + weights.bias


def advance(cell: Any, weights: Weights, projected: Any, states: list[Any], dropout_masks: Any = None) -> list[Any]:
    """One step: projected input (B, 4U) and states [h, c] (B, U) each -> new states [h, c]; h is the output."""
    h, c = states
    gates = add_product(projected, h, weights.recurrent_kernel, dropout_masks, len(GATES))
    i, f, g, o = split(gates, len(GATES))
    gate, squash = cell.recurrent_activation, cell.activation
    c = activate(gate, f) * c + activate(gate, i) * activate(squash, g)
    h = activate(gate, o) * activate(squash, c)
    return [h, c]
