"""Drop-in for Keras's layers: arguments, weights, configuration, saved files, masks that travel."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
from keras import ops

import sostenuto as so
from sostenuto.layers import convert_layer, converts
from tests.layers.cases import FEATURES, MASK, UNITS, assert_close, batch, numpy_of, randomise
from tests.oracle import expected

STOCK = {so.LSTM: keras.layers.LSTM, so.GRU: keras.layers.GRU, so.SimpleRNN: keras.layers.SimpleRNN}
SETTINGS = {
    "plain": {},
    "everything else": {
        "activation": "relu",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "recurrent_regularizer": "l2",
        "kernel_constraint": "non_neg",
        "dropout": 0.1,
        "recurrent_dropout": 0.2,
        "seed": 3,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
        "zero_output_for_mask": True,
    },
    "unrolled": {"unroll": True, "return_sequences": True},
    "reset before": {"reset_after": False},
}
CASES = [
    (kind, name) for kind in STOCK for name in SETTINGS if name != "reset before" or kind is so.GRU
]  # fmt: skip
each_case = pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{k.__name__} {n}" for k, n in CASES])
each_kind = pytest.mark.parametrize("kind", STOCK)


@each_kind
def test_same_arguments(kind):
    assert inspect.signature(kind) == inspect.signature(STOCK[kind])
    assert issubclass(kind, STOCK[kind])
    assert issubclass(kind, keras.layers.RNN)


@pytest.mark.parametrize("name", ["RNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"])
def test_the_rest_is_keras_too(name):
    ours, stock = getattr(so, name), getattr(keras.layers, name)
    assert issubclass(ours, stock)
    assert inspect.signature(ours) == inspect.signature(stock)
    assert ours.__name__ == name


def test_bidirectional_is_keras_too():
    assert issubclass(so.Bidirectional, keras.layers.Bidirectional)
    assert list(inspect.signature(so.Bidirectional).parameters) == list(
        inspect.signature(keras.layers.Bidirectional).parameters
    )


@each_case
def test_configuration_weights_and_results(kind, name, rng):
    stock = STOCK[kind](UNITS, name="layer", **SETTINGS[name])
    stock.build((None, 5, FEATURES))
    randomise(stock, rng)
    ours = kind.from_config(stock.get_config())
    ours.build((None, 5, FEATURES))
    assert ours.get_config() == stock.get_config()
    assert [w.name for w in ours.weights] == [w.name for w in stock.weights]
    assert [w.shape for w in ours.weights] == [w.shape for w in stock.weights]
    assert [w.path for w in ours.weights] == [w.path for w in stock.weights]
    ours.set_weights(stock.get_weights())
    x = batch(rng)
    results, wanted = ours(x), stock(x)
    assert type(results) is type(wanted)
    for got, right in zip(keras.tree.flatten(results), keras.tree.flatten(wanted), strict=True):
        assert got.shape == right.shape
        np.testing.assert_allclose(numpy_of(got), numpy_of(right), atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"return_sequences": True}, {"return_sequences": True, "return_state": True}])
@pytest.mark.parametrize("merge_mode", ["concat", None])
def test_bidirectional(settings, merge_mode, rng):
    stock = keras.layers.Bidirectional(keras.layers.GRU(UNITS, **settings), merge_mode=merge_mode, name="both")
    x = batch(rng)
    wanted = stock(x)
    ours = convert_layer(stock)
    assert type(ours) is so.Bidirectional
    assert type(ours.forward_layer) is type(ours.backward_layer) is so.GRU
    assert [w.name for w in ours.weights] == [w.name for w in stock.weights]
    results = ours(x)
    assert type(results) is type(wanted)
    for got, right in zip(results, wanted, strict=True) if isinstance(wanted, tuple) else [(results, wanted)]:
        np.testing.assert_allclose(numpy_of(got), numpy_of(right), atol=1e-6)
    values = keras.Input((None, FEATURES))
    shapes = [keras.tree.map_structure(lambda t: t.shape, layer(values)) for layer in (ours, stock)]
    assert shapes[0] == shapes[1]


def test_rnn_over_stacked_cells(rng):
    cells = [keras.layers.GRUCell(3), keras.layers.LSTMCell(UNITS)]
    stock = keras.layers.RNN(cells, return_sequences=True)
    x = batch(rng)
    wanted = numpy_of(stock(x))
    ours = convert_layer(stock)
    assert type(ours) is so.RNN
    np.testing.assert_allclose(numpy_of(ours(x)), wanted, atol=1e-6)


# --- conversion -------------------------------------------------------------------------------------------------------


def test_what_is_converted():
    class Own(keras.layers.LSTM):
        pass

    for layer in (Own(3), so.LSTM(3), keras.layers.Dense(3), keras.layers.TimeDistributed(keras.layers.Dense(2)), None):
        assert not converts(layer)
        assert convert_layer(layer) is layer


def test_conversion_keeps_what_was_set(rng):
    stock = keras.layers.LSTM(UNITS, name="encoder", dtype="mixed_bfloat16", trainable=False)
    stock.build((None, None, FEATURES))
    ours = convert_layer(stock)
    assert (ours.name, ours.trainable, ours.dtype_policy.name) == ("encoder", False, "mixed_bfloat16")
    for got, right in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_array_equal(got, right)
    assert all(a is not b for a, b in zip(ours.weights, stock.weights, strict=True))
    assert not convert_layer(keras.layers.LSTM(UNITS)).built


def test_a_saved_stock_model_with_our_layers(rng, tmp_path):
    stock = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True)),
            keras.layers.GRU(UNITS, return_sequences=True),
            keras.layers.SimpleRNN(3),
            keras.layers.Dense(1),
        ]
    )
    stock.save(tmp_path / "stock.keras")
    loaded = keras.models.load_model(tmp_path / "stock.keras")
    ours = keras.models.clone_model(loaded, clone_function=convert_layer)
    ours.set_weights(loaded.get_weights())
    assert [type(layer).__module__.split(".")[0] for layer in ours.layers[:3]] == ["sostenuto"] * 3
    x = batch(rng)
    np.testing.assert_allclose(ours.predict(x, verbose=0), stock.predict(x, verbose=0), atol=1e-6)
    stock.save_weights(tmp_path / "stock.weights.h5")
    randomise(ours, rng)
    ours.load_weights(tmp_path / "stock.weights.h5")
    np.testing.assert_allclose(ours.predict(x, verbose=0), stock.predict(x, verbose=0), atol=1e-6)


def test_our_model_saves_and_loads(rng, tmp_path):
    """Without custom_objects: the classes are registered."""
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            so.Bidirectional(so.LSTM(UNITS, return_sequences=True)),
            so.GRU(UNITS, return_sequences=True, stateful=True),
            so.RNN([so.GRUCell(3), so.LSTMCell(4)], return_sequences=True),
            so.RNN(so.SimpleRNNCell(3)),
        ]
    )
    x = batch(rng)
    wanted = model.predict(x, verbose=0)
    model.save(tmp_path / "ours.keras")
    loaded = keras.models.load_model(tmp_path / "ours.keras")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    assert isinstance(loaded.layers[0].backward_layer, so.LSTM)
    assert [type(cell) for cell in loaded.layers[2].cell.cells] == [so.GRUCell, so.LSTMCell]
    np.testing.assert_allclose(loaded.predict(x, verbose=0), wanted, atol=1e-6)


# --- in models --------------------------------------------------------------------------------------------------------


def test_inside_time_distributed(rng):
    layer = so.LSTM(UNITS)
    wrapped = keras.layers.TimeDistributed(layer)
    x = rng.normal(size=(2, 3, 5, FEATURES)).astype("float32")
    got = numpy_of(wrapped(x))
    for part in range(3):
        assert_close(got[:, part], expected(layer, x[:, part]).last)


def test_encoder_and_decoder(rng):
    source, target = keras.Input((None, FEATURES)), keras.Input((None, FEATURES))
    encoder, decoder = so.LSTM(UNITS, return_state=True), so.LSTM(UNITS, return_sequences=True)
    masked = keras.layers.Masking()(source)
    _, *states = encoder(masked)
    model = keras.Model([source, target], decoder(keras.layers.Masking()(target), initial_state=states))
    x, y = batch(rng), batch(rng)
    x[~MASK] = 0
    y[~MASK] = 0
    first = expected(encoder, x, MASK).states
    right = expected(decoder, y, MASK, first).outputs
    for got in (model([x, y]), model.predict([x, y], verbose=0)):
        assert_close(numpy_of(got) * MASK[..., None], right)
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit([x, y], np.zeros((*MASK.shape, UNITS)), verbose=0).history["loss"][0])


@pytest.mark.parametrize("model_kind", ["Functional", "Sequential"])
def test_masks_of_masking_layers_reach_stacked_layers(model_kind, rng):
    first, second = so.GRU(UNITS, return_sequences=True), so.LSTM(UNITS)
    layers = [keras.layers.Masking(-1.0), first, keras.layers.Dropout(0.5), second]
    values = keras.Input((None, FEATURES))
    if model_kind == "Sequential":
        model = keras.Sequential([values, *layers])
    else:
        outputs = values
        for layer in layers:
            outputs = layer(outputs)
        model = keras.Model(values, outputs)
    x = batch(rng)
    right = expected(second, expected(first, x, MASK).outputs, MASK).last
    x[~MASK] = -1
    assert_close(model(x), right)
    assert_close(model.predict(x, verbose=0), right)


def test_masks_of_embeddings_and_initial_states(rng):
    """Keras drops an attached mask where another tensor is passed along; ours finds it."""
    embedding, layer = keras.layers.Embedding(9, FEATURES, mask_zero=True), so.GRU(UNITS, return_sequences=True)
    tokens = rng.integers(1, 9, MASK.shape) * MASK
    state = rng.normal(size=(len(MASK), UNITS)).astype("float32")
    values = embedding(tokens)
    got = layer(values, initial_state=[state])
    right = expected(layer, numpy_of(values), MASK, [state]).outputs
    assert_close(numpy_of(got) * MASK[..., None], right)

    ids, first = keras.Input((None,), dtype="int32"), keras.Input((UNITS,))
    model = keras.Model([ids, first], layer(embedding(ids), initial_state=[first]))
    assert_close(numpy_of(model([tokens, state])) * MASK[..., None], right)
    assert_close(numpy_of(model.predict([tokens, state], verbose=0)) * MASK[..., None], right)


def test_lengths_in_a_functional_model(rng):
    values, lengths = keras.Input((None, FEATURES)), keras.Input((), dtype="int32")
    forward, both = so.LSTM(UNITS), so.Bidirectional(so.GRU(UNITS))
    model = keras.Model([values, lengths], [forward(values, lengths=lengths), both(values, lengths=lengths)])
    x, known = batch(rng, rows=3), np.array([3, 0, 5], "int32")
    one, other = model.predict([x, known], verbose=0)
    np.testing.assert_allclose(one, numpy_of(forward(x, lengths=known)), atol=1e-6)
    np.testing.assert_allclose(other, numpy_of(both(x, lengths=known)), atol=1e-6)
    assert not one[1].any()


@each_kind
def test_state_shapes_while_a_model_is_built(kind):
    values = keras.Input((None, FEATURES))
    ours = kind(UNITS, return_sequences=True, return_state=True)(values)
    stock = STOCK[kind](UNITS, return_sequences=True, return_state=True)(values)
    assert [t.shape for t in ours] == [t.shape for t in stock]
    assert [t.dtype for t in ours] == [t.dtype for t in stock]


def test_a_mask_goes_on_to_the_next_layer(rng):
    x = batch(rng)
    masked = keras.layers.Masking()(np.where(MASK[..., None], x, 0))
    outputs = so.LSTM(UNITS, return_sequences=True)(masked)
    np.testing.assert_array_equal(numpy_of(ops.cast(outputs._keras_mask, "int32")), MASK)
