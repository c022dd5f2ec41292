"""Lists of layers, Sequential and Functional models, stock layers, tokens, decoders: what SequenceModel wraps."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

import sostenuto as so


def series(rng, lengths=(4, 2, 7)):
    return {f"s{number}": rng.normal(size=(length, 3)).astype("float32") for number, length in enumerate(lengths)}


def neighbours_do_not_matter(model, data):
    together = model.predict(data, verbose=0)
    for name, array in data.items():
        np.testing.assert_allclose(together[name], model.predict({name: array}, verbose=0)[name], atol=1e-6)


def test_stock_layers_of_a_functional_model_are_converted_with_their_weights(rng):
    inputs = keras.Input((None, 3))
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(inputs)
    outputs = keras.layers.Dense(1)(keras.layers.GRU(3)(hidden))
    stock = keras.Model(inputs, outputs)
    model = so.SequenceModel(stock)
    for was, now in zip(stock.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    data = series(rng)
    said = model.predict(data, verbose=0)
    for name, array in data.items():
        alone = keras.ops.convert_to_numpy(stock(array[None]))[0]
        np.testing.assert_allclose(said[name], alone, atol=1e-6)


def test_convert_finds_layers_that_are_nested(rng):
    part = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="deep")])
    stock = keras.Sequential(
        [
            keras.Input((2, 5, 3)),
            keras.layers.TimeDistributed(part),
            keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.GRUCell(2)]),
        ]
    )
    ours = so.convert(stock)
    assert isinstance(ours.layers[1], so.RNN)
    assert isinstance(ours.layers[0].layer.layers[0], so.LSTM)
    x = rng.normal(size=(2, 2, 5, 3)).astype("float32")
    np.testing.assert_allclose(ours.predict(x, verbose=0), stock.predict(x, verbose=0), atol=1e-6)
    assert type(stock.layers[1]) is keras.layers.RNN


def test_convert_keeps_custom_layers_and_trainability():
    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    frozen = keras.layers.LSTM(2, trainable=False)
    ours = so.convert(keras.Sequential([keras.Input((None, 3)), Doubled(), frozen]))
    assert type(ours.layers[0]) is Doubled
    assert isinstance(ours.layers[1], so.LSTM)
    assert not ours.layers[1].trainable


def test_convert_refuses_a_subclassed_model():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.lstm = keras.layers.LSTM(2)

    with pytest.raises(so.ModelError) as caught:
        so.convert(Mine())
    assert str(caught.value) == (
        "The model 'mine' cannot be converted.\n"
        "  where   so.convert\n"
        "  got     a subclassed model (Mine)\n"
        "  wanted  a keras.Sequential or a Functional keras.Model\n"
        "  fix     use so.LSTM and its like inside your class in place of keras.layers.LSTM\n"
        "  more    sostenuto explain SO601"
    )


@pytest.mark.parametrize("mask_zero", [False, True])
def test_token_ids_reach_an_embedding_as_integers(mask_zero):
    data = {"a": [1, 2, 3], "b": [4], "c": [5, 6]}
    model = so.SequenceModel([keras.layers.Embedding(10, 4, mask_zero=mask_zero), so.GRU(3), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(data, [0.0, 1.0, 1.0], batch_size=3, shuffle=False, verbose=0)
    neighbours_do_not_matter(model, data)


def test_mask_dropped_by_a_layer_that_works_step_by_step_is_given_back(rng):
    class Plain(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = False

        def call(self, inputs):
            return inputs + 1.0

    model = so.SequenceModel([Plain(), so.LSTM(3), keras.layers.Dense(1)])
    neighbours_do_not_matter(model, series(rng))


def test_causal_convolution_and_pooling_behind_a_mask_are_welcome(rng):
    causal = so.SequenceModel([keras.layers.Conv1D(4, 3, padding="causal"), so.LSTM(3, return_sequences=True)])
    neighbours_do_not_matter(causal, series(rng))
    pooled = so.SequenceModel([so.LSTM(3, return_sequences=True), keras.layers.GlobalAveragePooling1D()])
    neighbours_do_not_matter(pooled, series(rng))


@pytest.mark.parametrize("repeats", [4, 7])
def test_decoder_reads_its_own_steps_even_if_as_many_as_the_batch(rng, repeats):
    model = so.SequenceModel(
        [so.LSTM(3), keras.layers.RepeatVector(repeats), so.LSTM(3, return_sequences=True), keras.layers.Dense(1)]
    )
    data = series(rng, lengths=(4, 2, 7))
    assert model.predict(data, verbose=0)["s1"].shape == (repeats, 1)
    assert model.output_per == "sequence"
    neighbours_do_not_matter(model, data)


def test_declared_steps_pad_to_that_many(rng):
    model = so.SequenceModel([keras.Input((9, 3)), so.LSTM(3, return_sequences=True), keras.layers.Dense(2)])
    data = series(rng)
    assert model.output_per == "step"
    assert model.predict(data, verbose=0).lengths.tolist() == [4, 2, 7]
    neighbours_do_not_matter(model, data)


def test_one_file_holds_the_model(rng, tmp_path):
    data = series(rng)
    model = so.SequenceModel([so.LSTM(3, return_sequences=True), keras.layers.Dense(1)], name="kept")
    model.compile("adam", "mse", metrics=[keras.metrics.RootMeanSquaredError(name="rmse")])
    targets = {name: np.ones(len(array)) for name, array in data.items()}
    model.fit(data, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.name == "kept"
    assert again.feature_names == ("feature_0", "feature_1", "feature_2")
    assert again.predict(data, verbose=0) == model.predict(data, verbose=0)
    assert again.evaluate(data, targets, verbose=0) == pytest.approx(model.evaluate(data, targets, verbose=0))
    for was, now in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(was), keras.ops.convert_to_numpy(now))
    again.fit(data, targets, verbose=0)


def test_summary_names_the_axes_and_states():
    model = so.SequenceModel([so.LSTM(4, name="lstm"), keras.layers.Dense(1, name="dense")], name="m")
    model.build(3)
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "SequenceModel 'm'" in text
    assert "(batch, time, features 3)" in text
    assert "lstm (LSTM)" in text
    assert "h, c: (batch, units 4)" in text
    assert "one output per sequence; 133 parameters, 133 of them trainable" in text


def test_call_takes_sequences_and_returns_rows_in_their_order(rng):
    model = so.SequenceModel([so.GRU(3, return_sequences=True)])
    data = series(rng)
    outputs = keras.ops.convert_to_numpy(model(data))
    assert outputs.shape == (3, 7, 3)
    said = model.predict(data, verbose=0)
    for row, name in enumerate(data):
        np.testing.assert_allclose(outputs[row, : len(data[name])], said[name], atol=1e-6)
