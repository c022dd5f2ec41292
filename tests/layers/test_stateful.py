"""Stateful layers: row i carries on from row i, whatever the batch sizes, against each row run whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sostenuto as so
from tests.gradients import gradients
from tests.layers.cases import FEATURES, LAYERS, UNITS, assert_close, batch, built, mask_of, numpy_of, randomise
from tests.oracle import expected

JAX = keras.backend.backend() == "jax"
TORCH = keras.backend.backend() == "torch"  # Keras refuses steps_per_execution > 1 there
# JAX says so where a table of states grows; design/0004.
pytestmark = pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())


def run_whole(layer, calls):
    """What each row gives when its pieces are joined: outputs of every call, and the final states by name."""
    rows = max(len(x) for x in calls)
    joined = [np.concatenate([x[row] for x in calls if len(x) > row]) for row in range(rows)]
    lengths = [len(x) for x in joined]
    padded = np.zeros((rows, max(lengths), calls[0].shape[2]), "float32")
    for row, x in enumerate(joined):
        padded[row, : len(x)] = x
    right = expected(layer, padded, mask_of(lengths, max(lengths)))
    done, outputs = np.zeros(rows, int), []
    for x in calls:
        size, steps = x.shape[:2]
        outputs.append(np.stack([right.outputs[row, done[row] : done[row] + steps] for row in range(size)]))
        done[:size] += steps
    return outputs, dict(zip(layer.state_names, right.states, strict=True))


def assert_states(layer, right):
    got = layer.get_state()
    assert list(got) == list(right)
    for name, state in right.items():
        assert_close(got[name], state)


def stateful_model(rng, *, functional=False, layer=so.LSTM, dense=True, built_by_input=True):
    """A stock model around one stateful layer; the layer and the model."""
    stateful = layer(UNITS, stateful=True, return_sequences=True)
    after = [keras.layers.Dense(1)] if dense else []
    if functional:
        values = keras.Input((None, FEATURES))
        outputs = stateful(values)
        for one in after:
            outputs = one(outputs)
        model = keras.Model(values, outputs)
    elif built_by_input:
        model = keras.Sequential([keras.Input((None, FEATURES)), stateful, *after])
    else:
        return stateful, keras.Sequential([stateful, *after])
    randomise(stateful, rng)
    return stateful, model


# --- direct calls -----------------------------------------------------------------------------------------------------


@each_layer
def test_growing_and_shrinking_batches(make, rng):
    layer = built(make, rng, stateful=True, return_sequences=True)
    calls = [batch(rng, rows=rows, steps=3) for rows in (2, 4, 1, 3)]
    outputs, states = run_whole(layer, calls)
    for x, right in zip(calls, outputs, strict=True):
        assert_close(layer(x), right)
    assert_states(layer, states)


@settings(max_examples=6 if JAX else 30)
@given(data=st.data(), pieces=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4))
def test_cuts_in_direct_calls(data, pieces):
    rng = np.random.default_rng(1)
    make = LAYERS[data.draw(st.sampled_from(list(LAYERS)))]
    layer = built(make, rng, stateful=True, return_sequences=True)
    calls = [batch(rng, rows=rows, steps=steps) for rows, steps in pieces]
    outputs, states = run_whole(layer, calls)
    for x, right in zip(calls, outputs, strict=True):
        assert_close(layer(x), right)
    assert_states(layer, states)


def test_new_rows_begin_at_zero_and_absent_rows_wait(rng):
    layer = built(so_lstm, rng, stateful=True)
    layer(batch(rng, rows=3))
    before = layer.get_state()
    layer(batch(rng, rows=1))
    after = layer.get_state()
    for name in ("h", "c"):
        assert not np.array_equal(after[name][0], before[name][0])
        np.testing.assert_array_equal(after[name][1:], before[name][1:])
    x = batch(rng, rows=5)
    _, right = run_whole(layer, [x[3:]])
    layer(x)
    np.testing.assert_allclose(layer.get_state()["c"][3:], right["c"], atol=1e-6)


def so_lstm(**settings):
    return so.LSTM(UNITS, **settings)


def test_masked_rows_keep_their_state(rng):
    layer = built(so_lstm, rng, stateful=True)
    x = batch(rng, rows=3)
    layer(x)
    before = layer.get_state()
    x[1] = np.nan
    layer(x, lengths=[5, 0, 2])
    after = layer.get_state()
    for name in ("h", "c"):
        np.testing.assert_array_equal(after[name][1], before[name][1])
        assert not np.array_equal(after[name][0], before[name][0])


def test_initial_state_goes_before_the_kept_one(rng):
    layer = built(so_lstm, rng, stateful=True)
    x, first = batch(rng, rows=2), list(rng.normal(size=(2, 2, UNITS)))
    layer(x)
    layer(x, initial_state=first)
    right = expected(layer, x, None, first)
    assert_states(layer, {"h": right.states[0], "c": right.states[1]})


def test_gradient_stops_at_the_kept_state(rng):
    layer = built(so_lstm, rng, stateful=True)
    x1, x2 = batch(rng, rows=2), batch(rng, rows=2)
    layer(x1)
    states = expected(layer, x1).states

    def loss(x):
        return keras.ops.sum(layer(x))

    (d_x,), d_weights = gradients(loss, [x2], layer.trainable_variables)
    right = expected(layer, x2, None, states, d_last=np.ones((2, UNITS)))
    for got, wanted in zip([d_x, *d_weights], [right.d_inputs, *right.d_weights], strict=True):
        assert_close(got, wanted)


def test_stacked_cells_and_bidirectional(rng):
    stacked = so.RNN([so.GRUCell(3), so.LSTMCell(2)], stateful=True)
    both = so.Bidirectional(so.GRU(3, stateful=True))
    x = batch(rng, rows=2)
    for layer in (stacked, both):
        whole = numpy_of(layer(x))
        layer.reset_state()
        again = numpy_of(layer(x))
        np.testing.assert_array_equal(again, whole)
        assert not np.array_equal(numpy_of(layer(x)), whole)
    assert {name: state.shape for name, state in stacked.get_state().items()} == {
        "0.h": (2, 3),
        "1.h": (2, 2),
        "1.c": (2, 2),
    }


# --- get, set, reset --------------------------------------------------------------------------------------------------


def test_reset_all_and_some(rng):
    layer = built(so_lstm, rng, stateful=True)
    layer(batch(rng, rows=4))
    before = layer.get_state()
    layer.reset_state(rows=[1, 3])
    after = layer.get_state()
    for name in ("h", "c"):
        assert not after[name][[1, 3]].any()
        np.testing.assert_array_equal(after[name][[0, 2]], before[name][[0, 2]])
    layer.reset_states()
    assert not any(state.any() for state in layer.get_state().values())


def test_state_taken_to_another_layer(rng):
    first, second = built(so_lstm, rng, stateful=True), so.LSTM(UNITS, stateful=True)
    second.build((None, None, FEATURES))
    second.set_weights(first.get_weights())
    x1, x2 = batch(rng, rows=3), batch(rng, rows=3)
    first(x1)
    taken = first.get_state()
    second.set_state(taken)
    np.testing.assert_array_equal(numpy_of(second(x2)), numpy_of(first(x2)))
    taken["h"][:] = 99
    assert first.get_state()["h"].max() < 2, "get_state gives a copy"
    second.set_state({"h": np.ones((1, UNITS)), "c": np.zeros((1, UNITS))})
    assert second.get_state()["h"].tolist() == [[1.0] * UNITS]


# --- inside stock models ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [so.LSTM, so.GRU, so.SimpleRNN])
def test_predict_cut_anyhow(kind):
    """One model, its states reset for each example, so that compiled functions are used again."""
    rng = np.random.default_rng(2)
    layer, model = stateful_model(rng, layer=kind, dense=False)

    @settings(max_examples=8)
    @given(pieces=st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 3])), min_size=1, max_size=4))
    def check(pieces):
        layer.reset_state()
        calls = [batch(rng, rows=rows, steps=steps) for rows, steps in pieces]
        outputs, states = run_whole(layer, calls)
        for x, right in zip(calls, outputs, strict=True):
            assert_close(model.predict(x, verbose=0), right)
        for name, state in layer.get_state().items():
            assert_close(state[: len(states[name])], states[name])
            assert not state[len(states[name]) :].any()

    check()


@pytest.mark.parametrize(
    ("functional", "at_once"),
    [(False, 1), (True, 1)] if TORCH else [(False, 1), (True, 2), (False, 3)],
    ids=str,
)
def test_fit_carries_state(functional, at_once, rng):
    """With the learning rate 0, the states after fit are those of the batches run one after the other."""
    layer, model = stateful_model(rng, functional=functional)
    x = batch(rng, rows=10, steps=3)
    model.compile(keras.optimizers.SGD(0.0), "mse", steps_per_execution=at_once)
    model.fit(x, np.zeros((10, 3, 1)), batch_size=4, epochs=2, shuffle=False, verbose=0)
    _, states = run_whole(layer, [x[:4], x[4:8], x[8:]] * 2)
    assert_states(layer, states)


def test_fit_of_a_model_without_input_shape(rng):
    layer, model = stateful_model(rng, built_by_input=False)
    x = batch(rng, rows=5, steps=3)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, np.zeros((5, 3, 1)), batch_size=2, shuffle=False, verbose=0)
    _, states = run_whole(layer, [x[:2], x[2:4], x[4:]])
    assert_states(layer, states)


def test_fit_trains_from_the_kept_states(rng):
    """Truncated backpropagation: the second batch starts from the states of the first, as constants."""
    layer, model = stateful_model(rng, dense=False)
    before = layer.get_weights()
    chunks, targets = [batch(rng, rows=3) for _ in range(2)], list(rng.normal(size=(2, 3, 5, UNITS)))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(np.concatenate(chunks), np.concatenate(targets), batch_size=3, shuffle=False, verbose=0)
    trained = layer.get_weights()

    layer.set_weights(before)
    states = None
    for x, y in zip(chunks, targets, strict=True):
        outputs = expected(layer, x, None, states).outputs
        right = expected(layer, x, None, states, d_outputs=2 * (outputs - y) / y.size)
        states = right.states
        weights = layer.get_weights()
        layer.set_weights([w - 0.1 * d for w, d in zip(weights, right.d_weights, strict=True)])
    for got, wanted, first in zip(trained, layer.get_weights(), before, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
        assert not np.allclose(got, first, atol=1e-6)


def test_every_verb_carries_on(rng):
    layer, model = stateful_model(rng)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    calls = [batch(rng, rows=rows, steps=2) for rows in (2, 3, 1, 4, 2, 3)]

    def y(x):
        return np.zeros((*x.shape[:2], 1))

    model.train_on_batch(calls[0], y(calls[0]))
    model.test_on_batch(calls[1], y(calls[1]))
    model.predict_on_batch(calls[2])
    model.evaluate(calls[3], y(calls[3]), verbose=0)
    model.fit(calls[4], y(calls[4]), shuffle=False, verbose=0)
    model(calls[5])
    _, states = run_whole(layer, calls)
    assert_states(layer, states)


def test_two_stateful_layers_in_one_model(rng):
    first, second = so.GRU(3, stateful=True, return_sequences=True), so.LSTM(2, stateful=True)
    model = keras.Sequential([keras.Input((None, FEATURES)), first, keras.layers.Dense(3), second])
    x = batch(rng, rows=3, steps=6)
    whole = model.predict(x, verbose=0)
    for layer in (first, second):
        layer.reset_state()
    for cut in (x[:, :1], x[:, 1:4]):
        model.predict(cut, verbose=0)
    np.testing.assert_allclose(model.predict(x[:, 4:], verbose=0), whole, atol=1e-6)


# --- states are no weights --------------------------------------------------------------------------------------------


def test_saved_models_and_copied_weights_carry_no_state(rng, tmp_path):
    layer, model = stateful_model(rng)
    x = batch(rng, rows=2)
    fresh = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    assert len(layer.weights) == len(layer.get_weights()) == 3
    assert [variable.name for variable in model.variables if any(variable is state for state in layer.states)] == [
        f"{layer.name}_state"
    ] * 2
    assert not any(weight is state for weight in model.weights for state in layer.states)

    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_state()["h"].shape == (0, UNITS)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), fresh, atol=1e-6)

    kept = layer.get_state()
    model.load_weights(tmp_path / "model.weights.h5")
    model.set_weights(model.get_weights())
    for name, state in layer.get_state().items():
        np.testing.assert_array_equal(state, kept[name])
    assert any(state.any() for state in kept.values())


# --- a batch size that an Input declares (design/0009) ----------------------------------------------------------------


def test_a_declared_batch_size_binds_a_functional_model(rng):
    values = keras.Input((5, FEATURES), batch_size=4)
    model = keras.Model(values, so.LSTM(UNITS, stateful=True, name="a")(values))
    model(batch(rng, rows=4, steps=5))
    before = model.layers[-1].get_state()
    with pytest.raises(so.ShapeError) as caught:
        model(batch(rng, rows=1, steps=5))
    assert str(caught.value) == (
        "LSTM 'a' was declared for another batch size.\n"
        "  where   the layer's first argument (batch -> layer)\n"
        f"  got     1 row   (1, 5, {FEATURES}) float32\n"
        "  wanted  4 rows, the batch size in the model's keras.Input\n"
        "  fix     leave the batch size out: keras.Input((None, features)); the layer then takes any\n"
        "  more    sostenuto explain SO106"
    )
    for name, state in model.layers[-1].get_state().items():
        np.testing.assert_array_equal(state, before[name])


@pytest.mark.parametrize("declared", [True, False], ids=["Input", "no Input"])
def test_a_sequential_is_never_bound(declared, rng, tmp_path):
    first = [keras.Input((None, FEATURES), batch_size=4)] if declared else []
    model = keras.Sequential([*first, so.GRU(UNITS, stateful=True, name="a")])
    model(batch(rng, rows=4, steps=5))
    model.save(tmp_path / "model.keras")
    for one in (model, keras.models.load_model(tmp_path / "model.keras")):
        one.layers[-1].reset_state()
        x = batch(rng, rows=3, steps=4)
        right, _ = run_whole(one.layers[-1], [x])
        assert_close(one(x), right[0][:, -1])


@pytest.mark.parametrize("wrap", [so.convert, so.SequenceModel])
def test_what_stock_keras_had_to_declare_is_released(wrap, rng):
    values = keras.Input((None, FEATURES), batch_size=4)
    stock = keras.Model(values, keras.layers.LSTM(UNITS, stateful=True, name="a")(values))
    model = wrap(stock)
    x = batch(rng, rows=2, steps=5)
    got = model(x)
    right = expected(getattr(model, "inner", model).get_layer("a"), x, np.ones((2, 5), bool))
    assert_close(got, right.outputs[:, -1])
