"""Turns Keras's recurrent layers into ours: same configuration, same name, same weights."""

from __future__ import annotations

from typing import Any

import keras

from sostenuto.layers import rnn

_OURS: dict[type, Any] = {
    keras.layers.LSTM: rnn.LSTM,
    keras.layers.GRU: rnn.GRU,
    keras.layers.SimpleRNN: rnn.SimpleRNN,
    keras.layers.RNN: rnn.RNN,
}
_KerasBidirectional = keras.layers.Bidirectional


def converts(layer: Any) -> bool:
    """Whether ``convert_layer`` would return another layer: a recurrent layer of Keras itself, not of a subclass."""
    return type(layer) in _OURS or type(layer) is _KerasBidirectional


def convert_layer(layer: Any) -> Any:
    """Our layer for a recurrent layer of Keras; any other layer as it is.

    Args:
        layer: a layer; a built one keeps its weights, each layer its own copy.

    Returns:
        A new layer, or ``layer`` itself where there is nothing to convert.

    Example:
        >>> import keras
        >>> type(convert_layer(keras.layers.LSTM(4, name="a"))).__module__.split(".")[0]
        'sostenuto'
        >>> dense = keras.layers.Dense(1)
        >>> convert_layer(dense) is dense
        True
    """
    if not converts(layer):
        return layer
    if type(layer) is _KerasBidirectional:
        from sostenuto.layers.bidirectional import Bidirectional

        kind: Any = Bidirectional
    else:
        kind = _OURS[type(layer)]
    ours = kind.from_config(layer.get_config())
    if layer.built:
        config = layer.get_build_config()
        if config:
            ours.build_from_config(config)
        ours.set_weights(layer.get_weights())
    ours.trainable = layer.trainable
    return ours
