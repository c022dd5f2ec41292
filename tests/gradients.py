"""Gradients on whichever backend runs: the one file of the tests that knows the three of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


def gradients(
    loss: Callable[..., Any], arrays: Sequence[Any], variables: Sequence[Any] = ()
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The gradients of a scalar.

    Args:
        loss: takes one tensor per array, returns a scalar tensor.
        arrays: float arrays at which to differentiate.
        variables: Keras variables (a layer's ``trainable_variables``) that ``loss`` uses.

    Returns:
        The gradients with respect to the arrays and with respect to the variables; zeros where there is no path.

    Example:
        >>> gradients(lambda x: keras.ops.sum(x * x), [np.array([3.0])])[0][0].tolist()
        [6.0]
    """
    known = [np.asarray(array, keras.config.floatx()) for array in arrays]
    of_arrays, of_variables = _BY_BACKEND[keras.backend.backend()](loss, known, list(variables))
    shapes = [array.shape for array in known] + [tuple(variable.shape) for variable in variables]
    found = [
        np.zeros(shape) if gradient is None else keras.ops.convert_to_numpy(gradient)
        for gradient, shape in zip([*of_arrays, *of_variables], shapes, strict=True)
    ]
    return found[: len(known)], found[len(known) :]


def _jax(loss: Any, arrays: list[Any], variables: list[Any]) -> tuple[Any, Any]:
    import jax

    def stateless(arrays: list[Any], values: list[Any]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss(*arrays)

    return jax.grad(stateless, argnums=(0, 1))(arrays, [variable.value for variable in variables])


def _tensorflow(loss: Any, arrays: list[Any], variables: list[Any]) -> tuple[Any, Any]:
    import tensorflow as tf

    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = loss(*tensors)
    return tape.gradient(value, (tensors, [variable.value for variable in variables]))


def _torch(loss: Any, arrays: list[Any], variables: list[Any]) -> tuple[Any, Any]:
    import torch

    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    values = [variable.value for variable in variables]
    found = torch.autograd.grad(loss(*tensors), tensors + values, allow_unused=True)
    return found[: len(tensors)], found[len(tensors) :]


_BY_BACKEND = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
