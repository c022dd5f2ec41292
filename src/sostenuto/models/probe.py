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
    return [layer for layer in leaves(model) if not isinstance(layer, _STEP_BY_STEP)]


def leaves(model: Any) -> list[Any]:
    """The layers of a model, those of models inside it one by one."""
    found: list[Any] = []
    for layer in model.layers:
        found += leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def sample(model: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """Values (B, T, F) that a built SequenceModel can read: token ids where it looks them up."""
    random = np.random.default_rng(0)
    if model.embedding is None:
        return random.normal(size=shape).astype("float32")
    return random.integers(0, int(model.embedding.input_dim), size=shape).astype("int32")


def check_padding(model: Any) -> None:
    """Refuses a model whose results depend on the amount of padding.

    Args:
        model: the built SequenceModel.

    Raises:
        ModelError: SO602.
    """
    suspicious = suspects(model.inner)
    if not suspicious:
        return
    lengths = np.array(_LENGTHS)
    results, per = [], model.output_per
    values = sample(model, (len(lengths), max(_LENGTHS), model.feature_count))
    values[np.arange(max(_LENGTHS)) >= lengths[:, None]] = 0
    for extra in (0, 3):
        padded = np.pad(values, ((0, 0), (0, extra), (0, 0)))
        outputs = ops.convert_to_numpy(model(model.feed(padded, lengths), training=False))
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
