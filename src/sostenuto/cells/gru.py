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

from keras import ops

from sostenuto.cells.gates import multiply

GATES = ("z", "r", "h")
STATES = ("h",)


def project(cell: Any, inputs: Any, dropout_masks: Any = None) -> Any:
    """The share of the input in all gates: (..., F) -> (..., 3U)."""
    projected = multiply(inputs, cell.kernel, dropout_masks, len(GATES))
    if cell.bias is None:
        return projected
    return projected + (cell.bias[0] if cell.reset_after else cell.bias)


def advance(cell: Any, projected: Any, states: list[Any], dropout_masks: Any = None) -> list[Any]:
    """One step: projected input (B, 3U) and states [h] (B, U) -> new states [h]; h is the output."""
    (h,) = states
    units = cell.units
    if cell.reset_after:
        recurrent = multiply(h, cell.recurrent_kernel, dropout_masks, len(GATES))
        if cell.bias is not None:
            recurrent = recurrent + cell.bias[1]
        recurrent_z, recurrent_r, recurrent_h = ops.split(recurrent, len(GATES), axis=-1)
    else:
        mask_h = dropout_masks[2] if dropout_masks is not None else None
        recurrent = multiply(h, cell.recurrent_kernel[:, : 2 * units], dropout_masks and dropout_masks[:2], 2)
        recurrent_z, recurrent_r = ops.split(recurrent, 2, axis=-1)
    projected_z, projected_r, projected_h = ops.split(projected, len(GATES), axis=-1)
    z = cell.recurrent_activation(projected_z + recurrent_z)
    r = cell.recurrent_activation(projected_r + recurrent_r)
    if cell.reset_after:
        candidate = projected_h + r * recurrent_h
    else:
        candidate = projected_h + multiply(r * h, cell.recurrent_kernel[:, 2 * units :], mask_h, 1)
    return [z * h + (1 - z) * cell.activation(candidate)]
