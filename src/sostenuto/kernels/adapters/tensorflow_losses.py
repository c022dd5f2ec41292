"""TensorFlow: the cross-entropy of many classes with a third of the passes through memory."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from sostenuto.kernels.adapters.tensorflow import native_reason, registered_ops


def cross_entropy(logits: Any, classes: Any) -> Any | None:
    """The cross-entropy of each row, as ``tf.nn.sparse_softmax_cross_entropy_with_logits`` has it, in a graph or not.

    Args:
        logits: (B, V) float32.
        classes: (B,) whole numbers, of any dtype.

    Returns:
        (B,), differentiable any number of times; None where TensorFlow has to do it, as in what XLA compiles.

    Raises:
        tf.errors.InvalidArgumentError: a class that there is not, as TensorFlow's own function says.
    """
    plain = logits.shape.rank == 2 and logits.dtype == tf.float32 and classes.shape.rank == 1
    # Sizes that only a run will show are looked at there.
    if not plain or not logits.shape[:1].is_compatible_with(classes.shape) or 0 in logits.shape:
        return None
    if native_reason() is not None:
        return None
    return registered_ops().cross_entropy(logits, tf.cast(classes, tf.int64))[0]


@tf.RegisterGradient("SostenutoCrossEntropy")
def _gradient(op: Any, d_losses: Any, _: Any) -> list[Any]:
    logits, classes = op.inputs
    return [registered_ops().cross_entropy_gradient(logits, classes, op.outputs[1], d_losses), None]


@tf.RegisterGradient("SostenutoCrossEntropyGradient")
def _second(op: Any, d_gradient: Any) -> list[Any]:
    logits, classes, _, d_losses = op.inputs
    shares = tf.nn.softmax(logits)
    along = tf.reduce_sum(shares * d_gradient, axis=1)
    d_logits = shares * (d_gradient - along[:, None]) * d_losses[:, None]
    return [d_logits, None, None, along - tf.gather(d_gradient, classes, batch_dims=1)]
