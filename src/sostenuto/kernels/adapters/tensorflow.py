"""What only TensorFlow itself can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import tree


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


def compiled_call(layer: Any) -> Callable[[Any], Any]:
    """A layer's inference as a function from NumPy arrays to NumPy arrays, traced once per shape.

    Args:
        layer: a built layer; its weights are read at every call.
    """
    import tensorflow as tf

    run = tf.function(lambda inputs: layer(inputs, training=False), autograph=False)

    def call(inputs: Any) -> Any:
        outputs = run(tree.map_structure(tf.convert_to_tensor, inputs))
        return tree.map_structure(lambda tensor: tensor.numpy(), outputs)

    return call
