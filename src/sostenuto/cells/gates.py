"""Products with the kernels of several gates, with the dropout that Keras's cells know."""

from __future__ import annotations

from typing import Any

from keras import ops


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
        return ops.matmul(inputs, kernel)
    if not isinstance(dropout_masks, list | tuple):
        return ops.matmul(inputs * dropout_masks, kernel)
    parts = ops.split(kernel, gates, axis=1)
    return ops.concatenate(
        [ops.matmul(inputs * mask, part) for mask, part in zip(dropout_masks, parts, strict=True)], axis=-1
    )
