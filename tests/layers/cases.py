"""Layers and batches that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

import sostenuto as so

STEPS, FEATURES, UNITS = 5, 3, 4

LAYERS: dict[str, Callable[..., Any]] = {
    "lstm": lambda **kw: so.LSTM(UNITS, **kw),
    "lstm without bias": lambda **kw: so.LSTM(UNITS, "relu", "hard_sigmoid", use_bias=False, **kw),
    "gru": lambda **kw: so.GRU(UNITS, **kw),
    "gru reset before": lambda **kw: so.GRU(UNITS, reset_after=False, **kw),
    "simple": lambda **kw: so.SimpleRNN(UNITS, **kw),
}

# One row per pattern: rows are independent, so one batch tries them all.
MASK = np.array(
    [
        [1, 1, 1, 1, 1],  # full
        [1, 1, 1, 0, 0],  # padded right
        [0, 0, 1, 1, 1],  # padded left
        [0, 1, 0, 1, 0],  # gaps
        [1, 0, 0, 0, 1],  # a long gap
        [0, 0, 0, 0, 0],  # no real step
    ],
    bool,
)
LENGTHS = np.array([5, 3, 0, 1, 4, 2])
ROWS = len(MASK)


def mask_of(lengths: Any, steps: int = STEPS) -> np.ndarray:
    """Mask (B, T) of the first ``lengths`` steps of each row."""
    return np.arange(steps) < np.asarray(lengths)[:, None]


def randomise(layer: Any, rng: np.random.Generator) -> Any:
    """Gives a built layer random weights, biases too, and returns it."""
    layer.set_weights([rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()])
    return layer


def built(make: Callable[..., Any], rng: np.random.Generator, features: int = FEATURES, **settings: Any) -> Any:
    """A layer with random weights, biases too."""
    layer = make(**settings)
    layer.build((None, None, features))
    return randomise(layer, rng)


def batch(rng: np.random.Generator, rows: int = ROWS, steps: int = STEPS, features: int = FEATURES) -> np.ndarray:
    """Random values (B, T, F)."""
    return rng.normal(size=(rows, steps, features)).astype("float32")


def with_garbage(values: np.ndarray, mask: np.ndarray, garbage: float = np.nan) -> np.ndarray:
    """A copy with ``garbage`` and some infinities at masked steps."""
    spoilt = values.copy()
    spoilt[~mask] = garbage
    spoilt[~mask, 0] = np.inf
    return spoilt


def numpy_of(results: Any) -> Any:
    """Tensors, or a list or tuple of them, as NumPy arrays."""
    if isinstance(results, list | tuple):
        return [numpy_of(result) for result in results]
    return np.asarray(ops.convert_to_numpy(results))


def assert_close(got: Any, right: Any, relative: float = 1e-5) -> None:
    """Differences are at most ``relative`` times the largest number that is right; zeros are right exactly."""
    got, right = numpy_of(got), np.asarray(right)
    assert got.shape == right.shape
    np.testing.assert_allclose(got, right, rtol=0, atol=relative * np.abs(right).max(initial=0))
