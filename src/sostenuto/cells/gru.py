"""Gated recurrent unit (Cho et al. 2014), with the reset gate before or after the product.

::

    z = s(x K_z + h R_z + b_z)                  s: recurrent_activation, a: activation
    r = s(x K_r + h R_r + b_r)
    g = a(x K_h + r * (h R_h + d_h) + b_h)      reset_after=True, with recurrent biases d
    g = a(x K_h + (r * h) R_h + b_h)            reset_after=False
    h' = z * h + (1 - z) * g                    the output is h'

Weights as Keras keeps them: kernel K (F, 3U), recurrent_kernel R (U, 3U), bias (2, 3U) holding b and d, or (3U,) with
reset_after=False.
"""

from __future__ import annotations

from typing import Any

from sostenuto.cells.gates import Weights, activate, add_product, multiply, split

GATES = ("z", "r", "h")
STATES = ("h",)


def project(cell: Any, weights: Weights, inputs: Any, dropout_masks: Any = None) -> Any:
    """The share of the input in all gates: (..., F) -> (..., 3U)."""
    projected = multiply(inputs, weights.kernel, dropout_masks, len(GATES))
    if weights.bias is None:
        return projected
    return projected + (weights.bias[0] if cell.reset_after else weights.bias)


def advance(cell: Any, weights: Weights, projected: Any, states: list[Any], dropout_masks: Any = None) -> list[Any]:
    """One step: projected input (B, 3U) and states [h] (B, U) -> new states [h]; h is the output."""
    (h,) = states
    units = cell.units
    if cell.reset_after:
        bias = 0.0 if weights.bias is None else weights.bias[1]
        recurrent = add_product(bias, h, weights.recurrent_kernel, dropout_masks, len(GATES))
        recurrent_z, recurrent_r, recurrent_h = split(recurrent, len(GATES))
    else:
        mask_h = dropout_masks[2] if dropout_masks is not None else None
        recurrent = multiply(h, weights.recurrent_kernel[:, : 2 * units], dropout_masks and dropout_masks[:2], 2)
        recurrent_z, recurrent_r = split(recurrent, 2)
    projected_z, projected_r, projected_h = split(projected, len(GATES))
    z = activate(cell.recurrent_activation, projected_z + recurrent_z)
    r = activate(cell.recurrent_activation, projected_r + recurrent_r)
    if cell.reset_after:
        candidate = projected_h + r * recurrent_h
    else:
        candidate = projected_h + multiply(r * h, weights.recurrent_kernel[:, 2 * units :], mask_h, 1)
    return [z * h + (1 - z) * activate(cell.activation, candidate)]
