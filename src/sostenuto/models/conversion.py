"""Turns a stock Keras model into one whose recurrent layers are ours, weights included."""

from __future__ import annotations

from typing import Any

import keras

from sostenuto.errors import ModelError
from sostenuto.layers import Bidirectional, Recurrent, convert_layer, converts, rnn

_CLASSES = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional")
_MODULES = {**dict.fromkeys(_CLASSES, rnn.__name__), "Bidirectional": Bidirectional.__module__}


def convert(model: Any) -> Any:
    """A copy of a model or layer with Sostenuto's recurrent layers in place of Keras's, wherever they are nested.

    Args:
        model: a keras.Sequential, a Functional keras.Model, or a layer; trained or not. It stays as it is.

    Returns:
        A new model of the same class, names and weights, not compiled; a model without a recurrent layer of Keras comes
        back as it is. Stateful layers take any batch size, also where the Input declares one, as Keras made it need to.

    Raises:
        ModelError: SO601, a subclassed model, whose layers only its own code knows.

    Example:
        >>> import keras, sostenuto as so
        >>> stock = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
        >>> ours = so.convert(stock)
        >>> isinstance(ours.layers[0], so.LSTM), bool((ours.get_weights()[0] == stock.get_weights()[0]).all())
        (True, True)
    """
    if not isinstance(model, keras.Model):
        return convert_layer(model)
    if not has_stock_layers(model):
        return model
    if not is_made_of_layers(model):
        raise ModelError(
            f"The model '{model.name}' cannot be converted.",
            code="SO601",
            where="so.convert",
            got=f"a subclassed model ({type(model).__name__})",
            wanted="a keras.Sequential or a Functional keras.Model",
            fix="use so.LSTM and its like inside your class in place of keras.layers.LSTM",
        )
    custom = {type(layer).__name__: type(layer) for layer in model._flatten_layers() if not _is_keras(layer)}
    config = _swapped(model.get_config())
    with keras.saving.custom_object_scope(custom):
        ours = type(model).from_config(config)
    if model.built and model.weights:
        if not ours.built:
            ours.build(model.input_shape)
        ours.set_weights(model.get_weights())
    take_any_rows(ours)
    return ours


def take_any_rows(model: Any) -> None:
    """Lets the stateful layers of a model forget the batch size that its Input declares."""
    for layer in model._flatten_layers():
        if isinstance(layer, Recurrent):
            layer.take_any_rows()


def has_stock_layers(model: Any) -> bool:
    """Whether a recurrent layer of Keras itself is anywhere in a model."""
    return any(converts(layer) for layer in model._flatten_layers())


def is_made_of_layers(model: Any) -> bool:
    """Whether a model is a Sequential or Functional one, whose layers Keras knows."""
    # keras.Model(inputs, outputs) returns an instance of a class that Keras does not export.
    return isinstance(model, keras.Sequential) or any(kind.__name__ == "Functional" for kind in type(model).__mro__)


def _is_keras(layer: Any) -> bool:
    return type(layer).__module__.split(".")[0] == "keras"


def _swapped(config: Any) -> Any:
    if isinstance(config, list | tuple):
        return [_swapped(item) for item in config]
    if not isinstance(config, dict):
        return config
    config = {name: _swapped(item) for name, item in config.items()}
    name = config.get("class_name")
    if config.get("module") == "keras.layers" and name in _CLASSES:
        config["module"] = _MODULES[name]
        config["registered_name"] = f"sostenuto>{name}"
    return config
