"""Masks: made from lengths, applied to values, and the order of steps that they give.

A mask is boolean (B, T), True for a real step; any pattern is legal: right, left, gaps, rows without a real step.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def from_lengths(lengths: Any, steps: Any) -> Any:
    """Mask (B, T) of the first ``lengths`` steps of each row; ``steps`` is T.

    Example:
        >>> import numpy as np
        >>> np.asarray(from_lengths(np.array([2, 0]), 3)).tolist()
        [[True, True, False], [False, False, False]]
    """
    lengths = ops.cast(ops.convert_to_tensor(lengths), "int32")
    return ops.expand_dims(ops.arange(steps, dtype="int32"), 0) < ops.expand_dims(lengths, 1)


def of_lengths(lengths: Any, sequences: Any) -> Any:
    """Mask (B, T) of ``from_lengths`` for sequences (B, T, F), whose T may be unknown, as in a Functional model."""
    steps = ops.shape(sequences)[1]
    if steps is not None:
        return from_lengths(lengths, steps)
    number = ops.cumsum(ops.ones_like(sequences[..., 0], dtype="int32"), axis=1)
    return number <= ops.expand_dims(ops.cast(lengths, "int32"), 1)


def keep_real(values: Any, mask: Any) -> Any:
    """``values`` (B, T, ...) with zeros at masked steps, so that NaN in padding reaches no sum and no gradient."""
    for _ in range(len(values.shape) - 2):
        mask = ops.expand_dims(mask, -1)
    return ops.where(mask, values, ops.zeros((), dtype=values.dtype))


def keep_real_rows(values: Any, real: Any) -> Any:
    """One step (B, ...) with zeros in the rows that are not ``real`` (B, 1).

    For compiled loops: to clean all steps beforehand is one more way through memory, which costs more (design/0003).
    """
    if keras.backend.backend() == "tensorflow":
        return choose(real, values, ops.zeros_like(values))
    for _ in range(len(values.shape) - 2):
        real = ops.expand_dims(real, -1)
    return ops.where(real, values, ops.zeros((), dtype=values.dtype))


def choose(real: Any, after: Any, before: Any) -> Any:
    """``after`` in the rows that are ``real`` (B, 1), else ``before``.

    It runs at every step, so by what is fastest there: torch's own method takes a quarter of the time of ``ops.where``,
    TensorFlow's operation on whole rows two thirds.
    """
    if hasattr(after, "where"):
        return after.where(real, before)
    if keras.backend.backend() == "tensorflow":
        from sostenuto.kernels.adapters.tensorflow import choose_rows

        return choose_rows(real, after, before)
    return ops.where(real, after, before)


def reverse_real(outputs: Any, mask: Any, before: Any) -> Any:
    """Reorders outputs so that the real steps of each row come in reverse and padding stays where it is.

    Args:
        outputs: (B, T, U) in the order of time.
        mask: (B, T).
        before: (B, U), what stands at masked steps ahead of the first real one; elsewhere a masked step repeats the
            output before it.
    """
    steps = ops.shape(mask)[1]
    time = ops.expand_dims(ops.arange(steps, dtype="int32"), 0)
    whole = ops.cast(mask, "int32")
    rank = ops.cumsum(whole, axis=1) - 1
    real = ops.sum(whole, axis=1, keepdims=True)
    # The positions of the real steps in order, those of the masked ones behind them.
    positions = ops.argsort(ops.where(mask, time, time + steps), axis=1)
    wanted = ops.maximum(real - 1 - ops.maximum(rank, 0), 0)
    source = ops.take_along_axis(positions, ops.cast(wanted, positions.dtype), axis=1)
    reordered = ops.take_along_axis(outputs, ops.expand_dims(source, -1), axis=1)
    return ops.where(ops.expand_dims(rank >= 0, -1), reordered, ops.expand_dims(before, 1))
