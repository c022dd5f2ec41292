"""Copies of a model's weights that know when they are out of date."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from operator import attrgetter, is_
from typing import Any

import keras
import numpy as np

from sostenuto.errors import ModelError

_value_of = attrgetter("_value")


def settle(model: Any) -> None:
    """Gives a model's variables their values back, which JAX's trainer keeps to itself between the steps of ``fit``.

    Without, whoever reads a weight in a callback gets the first value of its initializer, and no word about it.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def check_at_hand(variables: Iterable[Any]) -> None:
    """Refuses weights that the training of another model has taken away (SO610)."""
    taken = next((variable for variable in variables if variable._value is None), None)
    if taken is None:
        return
    raise ModelError(
        "The weights of this model are with a training that is under way.",
        code="SO610",
        where=f"weight {taken.path!r}",
        got="no value: on JAX, fit keeps the weights to itself between its steps",
        wanted="a weight that can be read",
        fix="call jax_state_sync() of the model that is being fitted first, or wait for the end of the epoch",
    )


class WeightCopies:
    """Reads weights, and tells later whether any of them was changed since, in about 0.1 µs for each.

    On JAX a changed weight is another array. On PyTorch arrays count their changes; what is written past that count,
    through ``.data``, is not seen. On TensorFlow the weights are read again, which takes some microseconds, and lie in
    other memory after a change.

    Args:
        addresses: the native function that tells where arrays lie in memory.

    Example:
        >>> import keras, numpy as np
        >>> layer = keras.layers.Dense(1)
        >>> layer.build((None, 1))
        >>> copies = WeightCopies(lambda arrays: [np.asarray(array).ctypes.data for array in arrays])
        >>> copies.read(layer.bias), copies.unchanged()
        (array([0.], dtype=float32), True)
        >>> _ = layer.bias.assign([1.0])
        >>> copies.unchanged()
        False
    """

    def __init__(self, addresses: Callable[[list[Any]], list[int]]) -> None:
        self._addresses = addresses
        self._variables: list[Any] = []
        self._values: list[Any] = []
        self.unchanged: Callable[[], bool] = {
            "jax": self._same_arrays,
            "torch": self._same_versions,
            "tensorflow": self._same_memory,
        }[keras.backend.backend()]
        self._versions: list[Any] = []
        self._read: Callable[[], list[Any]] | None = None
        self._held: tuple[list[Any], list[int]] | None = None

    def read(self, variable: Any) -> np.ndarray:
        """The numbers of a variable."""
        backend = keras.backend.backend()
        check_at_hand([variable])
        value = variable._value
        self._variables.append(variable)
        self._values.append(value)
        if backend == "torch":
            self._versions.append((value._version, value.data_ptr()))
            return np.array(value.detach().cpu().numpy())
        if backend == "tensorflow":
            self._read = None
            tensor = value.value()
            self._held = ([*(self._held[0] if self._held else []), tensor], [])
            return np.array(tensor.numpy())
        return np.asarray(value)

    def _same_arrays(self) -> bool:
        return all(map(is_, map(_value_of, self._variables), self._values))

    def _same_versions(self) -> bool:
        for variable, value, (version, address) in zip(self._variables, self._values, self._versions, strict=True):
            if variable._value is not value or value._version != version or value.data_ptr() != address:
                return False
        return True

    def _same_memory(self) -> bool:
        if not self._values:
            return True
        assert self._held is not None
        if self._read is None:
            adapter = importlib.import_module("sostenuto.kernels.adapters.tensorflow_variables")
            self._read = adapter.reader(self._values)
            self._held = (self._held[0], self._addresses(self._held[0]))
        return self._same_arrays() and self._addresses(self._read()) == self._held[1]
