"""Finds layers that let padding reach the results of real steps.

Ours and those of Keras that work step by step are known to be right. For any others the model itself is asked: a small
batch must give the same results with little padding and with more.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from sostenuto.errors import ModelError
from sostenuto.layers import Bidirectional, Recurrent

_STEP_BY_STEP = (
    keras.layers.InputLayer,
    keras.layers.Dense,
    keras.layers.Embedding,
    keras.layers.Masking,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    Recurrent,
    Bidirectional,
)
_LENGTHS = (3, 1, 4)
_TOLERANCE = 1e-4


def suspects(model: Any) -> list[Any]:
    """The layers that are not known to keep real steps free of padding.

    Example:
        >>> import keras, sostenuto as so
        >>> model = keras.Sequential([so.LSTM(4, return_sequences=True), keras.layers.GlobalAveragePooling1D()])
        >>> [type(layer).__name__ for layer in suspects(model)]
        ['GlobalAveragePooling1D']
    """
    return [layer for layer in _leaves(model) if not isinstance(layer, _STEP_BY_STEP)]


def _leaves(model: Any) -> list[Any]:
    found: list[Any] = []
    for layer in model.layers:
        found += _leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def check_padding(model: Any, feed: Any, feature_count: int, largest_token: int | None, per: str) -> None:
    """Refuses a model whose results depend on the amount of padding.

    Args:
        model: the built SequenceModel.
        feed: turns values (B, T, F) and lengths (B,) into what the model is called with.
        feature_count: F.
        largest_token: the largest token id it knows, None for real-valued features.
        per: "step" or "sequence": what the model gives an output for.

    Raises:
        ModelError: SO602.
    """
    suspicious = suspects(model.inner)
    if not suspicious:
        return
    random = np.random.default_rng(0)
    lengths = np.array(_LENGTHS)
    results = []
    shape = (len(lengths), max(_LENGTHS), feature_count)
    if largest_token is None:
        values = random.normal(size=shape).astype("float32")
    else:
        values = random.integers(0, largest_token + 1, size=shape).astype("int32")
    values[np.arange(max(_LENGTHS)) >= lengths[:, None]] = 0
    for extra in (0, 3):
        padded = np.pad(values, ((0, 0), (0, extra), (0, 0)))
        outputs = ops.convert_to_numpy(model(feed(padded, lengths), training=False))
        rows = [output[:length] if per == "step" else output for output, length in zip(outputs, lengths, strict=True)]
        results.append(np.concatenate([np.ravel(row) for row in rows]))
    little, more = results
    if little.shape == more.shape and np.allclose(little, more, rtol=_TOLERANCE, atol=_TOLERANCE):
        return
    named = ", ".join(f"{type(layer).__name__} '{layer.name}'" for layer in suspicious)
    raise ModelError(
        "Padding would change the results of this model.",
        code="SO602",
        where=f"model '{model.name}', one of: {named}",
        got="other results for the same sequences with 3 more steps of padding",
        wanted="results that depend on real steps only",
        fix="a layer that reduces time needs the mask: Embedding(mask_zero=True) in front of a pooling layer;\n"
        "Conv1D: padding='causal' and strides=1; a layer of yours: supports_masking = True and a call that uses mask=",
    )
