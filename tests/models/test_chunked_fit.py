"""fit(chunk=K) against per-sequence loops in float64 with explicit states: losses, gradients, states that live on."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import sostenuto as so
from sostenuto.models import carrying
from tests.models.chunk_oracle import network_of, train, weights_of

BACKEND = keras.backend.backend()
RATE = 0.1
FEATURES = 2


def dense():
    return keras.layers.Dense(1, name="dense")


def stacked(**options):
    layers = [so.LSTM(3, return_sequences=True), so.GRU(4, return_sequences=True)]
    return so.SequenceModel([*layers, dense()], **options), [layers]


def simple(**options):
    layer = so.SimpleRNN(3, return_sequences=True)
    return so.SequenceModel([layer, dense()], **options), [[layer]]


def cells(**options):
    layer = so.RNN([so.GRUCell(3), so.LSTMCell(2)], return_sequences=True)
    return so.SequenceModel([layer, dense()], **options), [[layer]]


def branches(**options):
    values = keras.Input((None, FEATURES))
    first, second, third = (
        so.LSTM(3, return_sequences=True),
        so.GRU(2, return_sequences=True),
        so.SimpleRNN(2, return_sequences=True),
    )
    joined = keras.layers.Concatenate()([first(values), third(second(values))])
    return so.SequenceModel(keras.Model(values, dense()(joined)), **options), [[first], [second, third]]


def per_sequence(**options):
    layers = [so.GRU(3, return_sequences=True), so.LSTM(3)]
    return so.SequenceModel([*layers, dense()], **options), [layers]


def stock(**options):
    layers = [keras.layers.GRU(3, return_sequences=True), keras.layers.SimpleRNN(2, return_sequences=True)]
    model = so.SequenceModel([*layers, dense()], **options)
    return model, [model.inner.layers[:2]]


MODELS = {
    "stacked layers": stacked,
    "simple": simple,
    "stacked cells": cells,
    "two branches": branches,
    "one output per sequence": per_sequence,
    "layers of Keras": stock,
}


def data_of(lengths, rng, per="step"):
    data = {f"s{n}": rng.normal(size=(length, FEATURES)).astype("float32") for n, length in enumerate(lengths)}
    if per == "step":
        return data, {name: rng.normal(size=len(x)).astype("float32") for name, x in data.items()}
    return data, {name: float(rng.normal()) for name in data}


def ready(make, rng, run_eagerly=False, **options):
    """A built and compiled model with random weights, learned states too, and the oracle's copy of it."""
    model, kinds = make(**options)
    model.build(FEATURES)
    model.set_weights([rng.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    model.compile(keras.optimizers.SGD(RATE), "mse", run_eagerly=run_eagerly)
    return model, network_of(kinds, model.inner.get_layer("dense"), model.output_per, start_of(model, kinds))


def start_of(model, kinds):
    """The learned states, flat, in the order of the branches."""
    if model.start is None:
        return None
    vectors = iter(model.start.get_weights())
    of_layer = {layer.name: [next(vectors) for _ in layer.state_names] for layer in model.carried.layers}
    return [vector for branch in kinds for layer in branch for vector in of_layer[layer.name]]


def assert_trained_alike(model, network, relative=1e-5):
    layers = [model.inner.get_layer(name) for name in network.names]
    got = [w for layer in [*layers, model.inner.get_layer("dense")] for w in layer.get_weights()]
    got += start_of(model, [layers]) or []
    right = weights_of(network)
    scale = max(float(np.abs(w).max()) for w in right)
    for one, wanted in zip(got, right, strict=True):
        np.testing.assert_allclose(one, wanted, rtol=0, atol=relative * scale)


@pytest.mark.parametrize("start", ["zeros", "learned"])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_losses_and_gradients(make, start, rng):
    model, network = ready(make, rng, initial_state=start)
    data, targets = data_of([7, 3, 0, 9, 4, 5], rng, model.output_per)
    losses = model.fit(data, targets, epochs=2, batch_size=3, chunk=4, shuffle=False, verbose=0).history["loss"]
    right = train(network, data, targets, chunk=4, lanes=3, rate=RATE, epochs=2)
    np.testing.assert_allclose(losses, right, rtol=1e-5)
    assert_trained_alike(model, network)


@settings(max_examples=3 if BACKEND == "jax" else 12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    lengths=st.lists(st.integers(0, 11), min_size=1, max_size=7).filter(any),
    lanes=st.sampled_from([1, 2, 4]),
    chunk=st.sampled_from([1, 3, 5]),
    carry=st.sampled_from(["sequence", "epochs"]),
    chunk_targets=st.sampled_from(["every", "last"]),
    kind=st.sampled_from(["stacked layers", "one output per sequence"]),
    seed=st.integers(0, 99),
)
def test_any_lengths_lanes_and_chunks(lengths, lanes, chunk, carry, chunk_targets, kind, seed):
    rng = np.random.default_rng(seed)
    model, network = ready(MODELS[kind], rng, initial_state="learned")
    data, targets = data_of(lengths, rng, model.output_per)
    options = {"carry": carry, "chunk_targets": chunk_targets}
    history = model.fit(
        data, targets, epochs=3, batch_size=lanes, chunk=chunk, shuffle=False, verbose=0, **options
    ).history
    right = train(
        network, data, targets, chunk=chunk, lanes=lanes, rate=RATE, epochs=3,
        carry_epochs=carry == "epochs", every_chunk=chunk_targets == "every",
    )  # fmt: skip
    np.testing.assert_allclose(history["loss"], right, rtol=1e-4)
    assert_trained_alike(model, network, relative=1e-4)


def test_eager_and_compiled_are_the_same(rng):
    seed = int(rng.integers(99))
    trained = []
    for run_eagerly in (False, True):
        model, _ = ready(stacked, np.random.default_rng(seed), run_eagerly)
        data, targets = data_of([5, 9, 2], np.random.default_rng(1))
        model.fit(data, targets, epochs=2, batch_size=2, chunk=4, shuffle=False, verbose=0)
        trained.append(model.get_weights())
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras wants steps_per_execution=1 on torch")
def test_several_batches_in_one_execution(rng):
    model, network = ready(stacked, rng)
    data, targets = data_of([7, 3, 9, 4, 5], rng)
    model.compile(keras.optimizers.SGD(RATE), "mse", steps_per_execution=2)
    model.fit(data, targets, batch_size=2, chunk=3, shuffle=False, verbose=0)
    train(network, data, targets, chunk=3, lanes=2, rate=RATE)
    assert_trained_alike(model, network)


def test_xla_where_it_is_asked_for(rng):
    model, network = ready(stacked, rng)
    data, targets = data_of([7, 3, 5], rng)
    model.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=BACKEND != "torch")
    model.fit(data, targets, batch_size=2, chunk=4, shuffle=False, verbose=0)
    train(network, data, targets, chunk=4, lanes=2, rate=RATE)
    assert_trained_alike(model, network)


def test_validation_evaluate_and_predict_leave_training_alone(rng):
    data, targets = data_of([7, 3, 0, 9], rng)
    other, other_targets = data_of([4, 8, 8, 2, 6, 1], rng)

    class Disturb(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.predict(other, chunk=3, batch_size=2, verbose=0)

        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(other, other_targets, chunk=2, batch_size=4, verbose=0)

    model, network = ready(stacked, rng)
    history = model.fit(
        data, targets, validation_data=(other, other_targets), epochs=2, batch_size=3, chunk=4, carry="epochs",
        shuffle=False, callbacks=[Disturb()], verbose=0,
    ).history  # fmt: skip
    train(network, data, targets, chunk=4, lanes=3, rate=RATE, epochs=2, carry_epochs=True)
    assert_trained_alike(model, network)
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(other, other_targets, verbose=0), rel=1e-5)


@pytest.mark.parametrize("make", [stacked, per_sequence, branches], ids=["per step", "per sequence", "branches"])
def test_evaluate_and_predict_in_chunks_are_those_of_whole_sequences(make, rng):
    model, _ = ready(make, rng, initial_state="learned")
    data, targets = data_of([7, 3, 0, 9, 1], rng, model.output_per)
    whole, pieces = model.predict(data, verbose=0), model.predict(data, chunk=3, batch_size=2, verbose=0)
    assert list(whole) == list(pieces)
    for name in data:
        np.testing.assert_allclose(pieces[name], whole[name], atol=1e-6)
    assert model.evaluate(data, targets, chunk=2, batch_size=3, verbose=0) == pytest.approx(
        model.evaluate(data, targets, verbose=0), rel=1e-5
    )


def test_weights_count_in_chunks(rng):
    model, _ = ready(stacked, rng)
    data, targets = data_of([7, 3, 5], rng)
    weights = {name: rng.uniform(0.5, 2, len(x)) for name, x in data.items()}
    whole = model.evaluate(data, targets, sample_weight=weights, verbose=0)
    assert model.evaluate(data, targets, sample_weight=weights, chunk=2, batch_size=2, verbose=0) == pytest.approx(
        whole, rel=1e-5
    )


def test_an_epoch_of_fewer_batches_goes_on_in_the_next(rng):
    data, targets = data_of([9, 9], rng)
    model, network = ready(stacked, rng)
    model.fit(data, targets, epochs=3, steps_per_epoch=1, batch_size=2, chunk=3, shuffle=False, verbose=0)
    train(network, data, targets, chunk=3, lanes=2, rate=RATE)
    assert_trained_alike(model, network)


def test_shuffled_sequences_are_all_trained_on_and_in_order(rng):
    """A rate of 0 leaves the weights, so the loss must be that of whole sequences, whatever the order."""
    model, _ = ready(stacked, rng)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    data, targets = data_of(rng.integers(0, 14, 12), rng)
    losses = model.fit(data, targets, epochs=3, batch_size=4, chunk=3, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, model.evaluate(data, targets, verbose=0), rtol=1e-5)


def test_one_long_stream_in_lanes(rng):
    """Language modelling: B pieces of one stream, side by side, are B sequences and nothing else."""
    stream = rng.integers(0, 5, 41)
    pieces, following = stream[:40].reshape(4, 10), stream[1:].reshape(4, 10)
    model = so.SequenceModel([keras.layers.Embedding(5, 3), so.LSTM(4, return_sequences=True), keras.layers.Dense(5)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(list(pieces), list(following), batch_size=4, chunk=5, shuffle=False, epochs=2, verbose=0)
    whole = model.evaluate(list(pieces), list(following), verbose=0)
    assert model.evaluate(list(pieces), list(following), chunk=5, verbose=0) == pytest.approx(whole, rel=1e-5)


def test_neither_saved_nor_copied(rng, tmp_path):
    model, _ = ready(stacked, rng, initial_state="learned")
    data, targets = data_of([7, 3], rng)
    names = len(model.get_weights())
    model.fit(data, targets, chunk=2, verbose=0)
    assert len(model.get_weights()) == names
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.initial_state == "learned"
    for one, other in zip(loaded.start.get_weights(), model.start.get_weights(), strict=True):
        assert one.any()
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(
        loaded.predict(data, verbose=0)["s0"], model.predict(data, chunk=2, verbose=0)["s0"], atol=1e-6
    )
    loaded.fit(data, targets, chunk=2, verbose=0)


def test_what_a_stateful_layer_keeps_rests_meanwhile(rng):
    layer = so.LSTM(3, stateful=True, return_sequences=True)
    model = so.SequenceModel([layer, dense()])
    data, targets = data_of([6, 4], rng)
    model.compile("sgd", "mse")
    model.predict(data, verbose=0)
    before = layer.get_state()
    model.fit(data, targets, chunk=2, verbose=0)
    for name, state in layer.get_state().items():
        np.testing.assert_array_equal(state, before[name])


# --- models that only their own results can judge -----------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Leaky(keras.layers.Layer):
    """A cell of one's own, with two states of different sizes and an output that is neither."""

    state_size, output_size = [2, 3], 4

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1] + 5, 9), initializer="glorot_uniform", name="kernel")
        self.built = True

    def call(self, inputs, states):
        first, second = states
        mixed = keras.ops.tanh(keras.ops.concatenate([inputs, first, second], axis=-1) @ self.kernel)
        return mixed[:, 5:], [0.9 * first + mixed[:, :2], mixed[:, 2:5]]


@keras.saving.register_keras_serializable(package="tests")
class Begun(Leaky):
    """The same, begun with something else than zeros."""

    def get_initial_state(self, batch_size=None):
        return [keras.ops.ones((batch_size, 2)), -keras.ops.ones((batch_size, 3))]


def of_a_cell_that_begins_elsewhere():
    return so.SequenceModel([so.LSTM(3, return_sequences=True), so.RNN(Begun(), return_sequences=True), dense()])


def of_a_cell_of_ones_own():
    return so.SequenceModel([so.RNN(Leaky(), return_sequences=True), keras.layers.Dense(1)])


def with_a_model_inside():
    inside = keras.Sequential([keras.layers.Dense(3), so.LSTM(3, return_sequences=True), keras.layers.Dense(2)])
    return so.SequenceModel([so.GRU(2, return_sequences=True), inside, keras.layers.Dense(1)])


def with_a_layer_called_twice():
    values, shared = keras.Input((None, FEATURES)), so.GRU(FEATURES, return_sequences=True)
    again = shared(keras.layers.Rescaling(-1.0)(shared(values)))
    return so.SequenceModel(keras.Model(values, keras.layers.Dense(1)(again)))


def in_half_precision():
    layers = [so.LSTM(3, return_sequences=True, dtype="mixed_bfloat16"), so.GRU(3, return_sequences=True)]
    return so.SequenceModel([*layers, keras.layers.Dense(1)])


def of_networks_with_the_same_names():
    """What the command line makes of --folds."""

    def network():
        layers = [keras.Input((None, FEATURES)), so.LSTM(3, return_sequences=True, name="a"), keras.layers.Dense(1)]
        return keras.Sequential(layers, name="network")

    values = keras.Input((None, FEATURES))
    members = [keras.Sequential(network().layers, name=f"member_{number}") for number in range(2)]
    return so.SequenceModel(keras.Model(values, keras.layers.Average()([member(values) for member in members])))


def test_names_of_states_are_unique():
    specs = of_networks_with_the_same_names().carried.specs
    assert [spec.state for spec in specs] == ["h", "c", "h", "c"]
    assert specs[0].layer == specs[1].layer != specs[2].layer == specs[3].layer
    specs = with_a_layer_called_twice().carried.specs
    assert specs[1].layer == f"{specs[0].layer}#2"
    one, other = SimpleNamespace(name="a", path="a"), SimpleNamespace(name="a", path="a")
    assert carrying._names([one, other, one]) == ["a", "a#2", "a#3"]


class BegunCells(so.StackedRNNCells):
    """Known cells, begun with something else than zeros together."""

    def get_initial_state(self, batch_size=None):
        return keras.tree.map_structure(lambda state: state + 1, super().get_initial_state(batch_size))


def of_cells_that_begin_elsewhere():
    return so.SequenceModel([so.RNN(BegunCells([so.GRUCell(2), so.LSTMCell(3)]), return_sequences=True), dense()])


def test_where_sequences_begin_at_zero_is_known(rng):
    for make, known in ((stacked, True), (cells, True), (stock, True), (of_a_cell_of_ones_own, True),
                        (of_a_cell_that_begins_elsewhere, False), (of_cells_that_begin_elsewhere, False)):  # fmt: skip
        made = make()
        model = made[0] if isinstance(made, tuple) else made
        model.build(FEATURES)
        assert model.carried.begins_at_zero is known


@pytest.mark.parametrize(
    "make",
    [
        of_a_cell_of_ones_own,
        of_a_cell_that_begins_elsewhere,
        of_cells_that_begin_elsewhere,
        with_a_model_inside,
        with_a_layer_called_twice,
        in_half_precision,
        of_networks_with_the_same_names,
    ],
)
def test_pieces_are_the_whole_and_training_goes_through(make, rng):
    model = make()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    data, targets = data_of([7, 3, 0, 9], rng)
    losses = model.fit(data, targets, batch_size=2, chunk=3, verbose=0).history["loss"]
    tolerance = 2e-2 if make is in_half_precision else 1e-5
    np.testing.assert_allclose(losses, model.evaluate(data, targets, verbose=0), rtol=tolerance)
    whole, pieces = model.predict(data, verbose=0), model.predict(data, chunk=2, batch_size=3, verbose=0)
    for name in data:
        np.testing.assert_allclose(pieces[name], whole[name], atol=tolerance)
