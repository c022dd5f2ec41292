"""What only TensorFlow itself can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def growing_variable(value: Callable[[], Any], trailing_shape: tuple[int, ...], dtype: str, name: str) -> Any:
    """A tf.Variable whose first axis may change its length with every assignment.

    Args:
        value: makes the first value.
        trailing_shape: the other axes, which stay.
        dtype: dtype of the variable.
        name: name of the variable.
    """
    import tensorflow as tf

    shape = tf.TensorShape([None, *trailing_shape])
    return tf.Variable(value, shape=shape, dtype=dtype, trainable=False, name=name)
