"""What only JAX itself can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import tree


def compiled_call(layer: Any) -> Callable[[Any], Any]:
    """A layer's inference as a function from NumPy arrays to NumPy arrays, compiled once per shape.

    Args:
        layer: a built layer; its weights are read at every call.
    """
    import jax

    @jax.jit
    def run(trainable: Any, fixed: Any, inputs: Any) -> Any:
        return layer.stateless_call(trainable, fixed, inputs, training=False)[0]

    variables = layer.trainable_variables, layer.non_trainable_variables

    def call(inputs: Any) -> Any:
        outputs = run(*([variable.value for variable in group] for group in variables), inputs)
        return tree.map_structure(np.asarray, outputs)

    return call
