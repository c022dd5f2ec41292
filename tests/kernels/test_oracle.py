"""The oracle against Keras's own layers, where those are right: any mask forward, full batches backward."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import gradients
from tests.oracle import expected

ROWS, STEPS, FEATURES, UNITS = 4, 5, 3, 4
LAYERS = {
    "lstm": lambda **kw: keras.layers.LSTM(UNITS, **kw),
    "lstm without bias": lambda **kw: keras.layers.LSTM(UNITS, use_bias=False, **kw),
    "lstm relu, hard_sigmoid": lambda **kw: keras.layers.LSTM(UNITS, "relu", "hard_sigmoid", **kw),
    "gru": lambda **kw: keras.layers.GRU(UNITS, **kw),
    "gru without bias": lambda **kw: keras.layers.GRU(UNITS, use_bias=False, **kw),
    "gru reset before": lambda **kw: keras.layers.GRU(UNITS, reset_after=False, **kw),
    "simple": lambda **kw: keras.layers.SimpleRNN(UNITS, **kw),
    "simple linear": lambda **kw: keras.layers.SimpleRNN(UNITS, "linear", **kw),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
each_direction = pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])


def built(make, rng, **settings):
    """A layer with random weights, biases too."""
    layer = make(return_sequences=True, return_state=True, **settings)
    layer.build((None, None, FEATURES))
    layer.set_weights([rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()])
    return layer


@each_layer
@each_direction
def test_a_full_batch(make, go_backwards, rng):
    layer = built(make, rng, go_backwards=go_backwards)
    kinds = 2 if isinstance(layer, keras.layers.LSTM) else 1
    x, d_outputs = rng.normal(size=(ROWS, STEPS, FEATURES)), rng.normal(size=(ROWS, STEPS, UNITS))
    first, d_final = rng.normal(size=(2, kinds, ROWS, UNITS))

    def loss(x, *first):
        outputs, *final = layer(x, initial_state=list(first))
        weights = [ops.convert_to_tensor(d, "float32") for d in (d_outputs, *d_final)]
        return sum(ops.sum(result * weight) for result, weight in zip([outputs, *final], weights, strict=True))

    wanted = expected(layer, x, None, list(first), d_outputs=d_outputs, d_states=list(d_final))
    outputs, *final = layer(x.astype("float32"), initial_state=[s.astype("float32") for s in first])
    (d_x, *d_first), d_weights = gradients(loss, [x, *first], layer.trainable_variables)

    np.testing.assert_allclose(ops.convert_to_numpy(outputs), wanted.outputs, atol=2e-6)
    for got, right in zip(final, wanted.states, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(got), right, atol=2e-6)
    np.testing.assert_array_equal(wanted.last, wanted.states[0])
    np.testing.assert_allclose(d_x, wanted.d_inputs, atol=1e-5)
    for got, right in zip(d_first + d_weights, wanted.d_states + wanted.d_weights, strict=True):
        np.testing.assert_allclose(got, right, atol=1e-5, rtol=1e-5)


@each_layer
def test_a_masked_batch(make, rng):
    """Keras's own loop holds output and states through masked steps, wherever they are."""
    layer = built(make, rng)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1]], bool)
    x = rng.normal(size=(ROWS, STEPS, FEATURES)).astype("float32")
    outputs, *final = layer(x, mask=mask)
    wanted = expected(layer, x, mask)
    np.testing.assert_allclose(ops.convert_to_numpy(outputs)[mask], wanted.outputs[mask], atol=2e-6)
    assert not wanted.outputs[~mask].any()
    for got, right in zip(final, wanted.states, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(got), right, atol=2e-6)


@pytest.mark.parametrize("go_backwards", [False, True])
def test_each_row_counts_for_itself(go_backwards, rng):
    """A masked row equals its real steps alone: states, outputs at their places, gradients, summed weights."""
    layer = built(LAYERS["lstm"], rng, go_backwards=go_backwards)
    mask = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
    x = rng.normal(size=(2, STEPS, FEATURES))
    first = list(rng.normal(size=(2, 2, UNITS)))
    d_outputs = rng.normal(size=(2, STEPS, UNITS)) * mask[..., None]
    d_last, d_final = rng.normal(size=(2, UNITS)), list(rng.normal(size=(2, 2, UNITS)))

    got = expected(layer, x, mask, first, d_outputs=d_outputs, d_last=d_last, d_states=d_final)
    alone = expected(
        layer,
        x[:1, mask[0]],
        None,
        [s[:1] for s in first],
        d_outputs=d_outputs[:1, mask[0]],
        d_last=d_last[:1],
        d_states=[d[:1] for d in d_final],
    )

    np.testing.assert_array_equal(got.outputs[0, mask[0]], alone.outputs[0])
    np.testing.assert_array_equal(got.last[0], alone.last[0])
    np.testing.assert_array_equal(got.d_inputs[0, mask[0]], alone.d_inputs[0])
    assert not got.d_inputs[~mask].any()
    for kind in range(2):
        np.testing.assert_array_equal(got.states[kind][0], alone.states[kind][0])
        np.testing.assert_array_equal(got.states[kind][1], first[kind][1])
        np.testing.assert_array_equal(got.d_states[kind][0], alone.d_states[kind][0])
    np.testing.assert_array_equal(got.d_states[0][1], d_last[1] + d_final[0][1])
    for whole, part in zip(got.d_weights, alone.d_weights, strict=True):
        np.testing.assert_array_equal(whole, part)


def test_gradients_at_masked_steps_are_refused(rng):
    layer = built(LAYERS["gru"], rng)
    with pytest.raises(AssertionError, match="a masked step holds no result"):
        expected(layer, np.zeros((1, 2, 3)), [[True, False]], d_outputs=np.ones((1, 2, UNITS)))
