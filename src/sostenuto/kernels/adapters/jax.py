"""What only JAX itself can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree


def compiled_call(layer: Any) -> Callable[[Any], Any]:
    """A layer's inference as a function from NumPy arrays to NumPy arrays, compiled once per shape.

    Args:
        layer: a built layer; its weights are read at every call.
    """
    import jax

    variables = layer.variables

    @jax.jit
    def run(values: Any, inputs: Any) -> Any:
        # Not stateless_call, which asks for all variables that the layer has by then: a frozen layer, or a table of
        # states that came later, must not matter.
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return layer(inputs, training=False)

    def call(inputs: Any) -> Any:
        outputs = run([variable.value for variable in variables], inputs)
        return tree.map_structure(np.asarray, outputs)

    return call
