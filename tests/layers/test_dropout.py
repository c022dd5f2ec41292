"""Dropout: drawn once for a batch and held over its steps, seeded, in training only."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.kernels import native, native_module
from tests.gradients import gradients
from tests.layers.cases import LAYERS, MASK, UNITS, assert_close, batch, numpy_of
from tests.oracle import expected

each_kind = pytest.mark.parametrize("kind", [so.LSTM, so.GRU, so.SimpleRNN])
FEATURES = 60


def adder(kind=so.SimpleRNN, **settings):
    """h' = h R + x K with identity matrices, so that what dropout removed can be read off the outputs."""
    layer = kind(FEATURES, activation="linear", use_bias=False, return_sequences=True, **settings)
    layer.build((None, None, FEATURES))
    layer.set_weights([np.eye(FEATURES), np.eye(FEATURES)])
    return layer


def test_input_mask_holds_over_all_steps():
    outputs = numpy_of(adder(dropout=0.5, seed=1)(np.ones((40, 6, FEATURES), "float32"), training=True))
    steps = np.diff(outputs, axis=1, prepend=0)
    assert set(np.unique(steps)) == {0, 2}  # dropped, or kept and scaled by 1 / (1 - 0.5)
    np.testing.assert_array_equal(steps, np.repeat(steps[:, :1], 6, axis=1))
    assert 0.45 < (steps[:, 0] == 0).mean() < 0.55
    assert not np.array_equal(steps[0], steps[1]), "each row has a mask of its own"


def test_state_mask_holds_over_all_steps():
    layer = adder(recurrent_dropout=0.5, seed=1)
    first = np.ones((40, FEATURES), "float32")
    outputs = numpy_of(layer(np.zeros((40, 6, FEATURES), "float32"), initial_state=first, training=True))
    kept = outputs[:, 0] != 0
    assert 0.45 < kept.mean() < 0.55
    for step in range(6):
        np.testing.assert_array_equal(outputs[:, step], kept * 2.0 ** (step + 1))


def test_masked_steps_know_no_dropout():
    layer = adder(recurrent_dropout=0.5, seed=1)
    first = np.ones((8, FEATURES), "float32")
    inputs = np.zeros((8, 4, FEATURES), "float32")
    last = layer(inputs, initial_state=first, lengths=[0] * 8, training=True)[:, -1]
    np.testing.assert_array_equal(numpy_of(last), first)


@each_kind
def test_seeded_and_new_at_every_call(kind):
    x = np.full((3, 4, 5), 0.1, "float32")
    runs = []
    for _ in range(2):
        ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
        layer = kind(UNITS, dropout=0.5, recurrent_dropout=0.5, seed=7, **ones)
        runs.append([numpy_of(layer(x, training=True)) for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1])


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("name", ["lstm", "gru", "gru reset before"])
def test_one_mask_per_gate_where_keras_has_it(name, implementation, rng):
    """implementation=1 draws a mask for each gate, so dropping all but one input can change gates apart."""
    layer = LAYERS[name](dropout=0.5, recurrent_dropout=0.4, seed=3, implementation=implementation)
    stock = (keras.layers.LSTM if name == "lstm" else keras.layers.GRU).from_config(layer.get_config())
    for one in (layer, stock):
        one.build((None, None, 3))
    stock.set_weights(layer.get_weights())
    x = batch(rng)
    assert_close(layer(x, training=True), numpy_of(stock(x, training=True)))


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("name", ["lstm", "gru", "gru reset before", "simple"])
@pytest.mark.parametrize("rates", [(0.5, 0.4), (0, 0.4), (0.5, 0)])
def test_both_kernels_drop_the_same(name, implementation, rates, rng, monkeypatch):
    """Outputs and all gradients of the native kernel are those of the portable one, from the same seed."""
    if native_module.why_not() is not None:
        pytest.skip(f"no native module: {native_module.why_not()}")
    settings = {"dropout": rates[0], "recurrent_dropout": rates[1], "return_sequences": True}
    if name != "simple":
        settings["implementation"] = implementation
    x, mask = batch(rng), MASK
    weights, found = None, {}
    for kernel, absence in (("native", [None]), ("portable", ["a test does without it"])):
        monkeypatch.setattr(native, "_absence", absence)
        layer = LAYERS[name](seed=3, **settings)
        layer.build((None, None, x.shape[-1]))
        weights = weights or layer.get_weights()
        layer.set_weights(weights)

        def loss(inputs, layer=layer):
            outputs = layer(inputs, mask=keras.ops.convert_to_tensor(mask), training=True)
            return keras.ops.sum(outputs * keras.ops.cumsum(keras.ops.ones_like(outputs), axis=-1))

        found[kernel] = gradients(loss, [x], layer.trainable_variables)
        assert layer.explain().kernel.name == kernel
    for mine, right in zip(*(keras.tree.flatten(each) for each in found.values()), strict=True):
        assert_close(mine, right, relative=2e-5)


@each_kind
def test_none_without_training(kind, rng):
    layer = kind(UNITS, dropout=0.5, recurrent_dropout=0.5)
    x = batch(rng)
    got = layer(x, training=False)
    assert_close(got, expected(layer, x).last)


@pytest.mark.parametrize("kernel", ["portable", "cellwise"])
def test_mean_is_kept(kernel, rng):
    """Dropout scales what it keeps, so the mean over many rows is the output without dropout."""
    cell = so.SimpleRNNCell(4, activation="linear", dropout=0.3, seed=5)
    layer = so.RNN([cell] if kernel == "cellwise" else cell)
    x = np.repeat(batch(rng, rows=1), 20_000, axis=0)
    dropped, plain = numpy_of(layer(x, training=True)), numpy_of(layer(x[:1]))[0]
    assert layer.explain().kernel.name == kernel
    error = dropped.std(axis=0) / np.sqrt(len(dropped))
    assert dropped.std(axis=0).min() > 0.01
    assert (np.abs(dropped.mean(axis=0) - plain) < 5 * error).all()


def test_stacked_cells_hold_their_masks_too():
    cells = [so.SimpleRNNCell(FEATURES, "linear", use_bias=False, dropout=0.5, seed=seed) for seed in (1, 2)]
    layer = so.RNN(cells, return_sequences=True)
    layer.build((None, None, FEATURES))
    layer.set_weights([np.eye(FEATURES), np.zeros((FEATURES, FEATURES))] * 2)
    outputs = numpy_of(layer(np.ones((10, 5, FEATURES), "float32"), training=True))
    assert set(np.unique(outputs)) == {0, 4}
    np.testing.assert_array_equal(outputs, np.repeat(outputs[:, :1], 5, axis=1))
    assert 0.2 < (outputs[:, 0] == 4).mean() < 0.3
