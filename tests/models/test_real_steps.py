"""Losses, metrics and results of SequenceModel against sums over each sequence alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.models.real_steps import faster_as_rows
from tests.oracle import expected

LENGTHS = (5, 0, 9, 1, 5, 12, 3)


def ragged(rng, features=3, lengths=LENGTHS):
    return {
        f"s{number}": rng.normal(size=(length, features)).astype("float32") for number, length in enumerate(lengths)
    }


def step_model():
    model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
    special = [keras.metrics.RootMeanSquaredError(name="rmse"), keras.metrics.R2Score(name="r2")]
    model.compile("sgd", "mse", metrics=["mae", *special])
    return model


def alone(model, data):
    """The outputs of each sequence run alone, as an array (1, T, F) without padding, through the inner layers."""
    return {
        name: np.asarray(keras.ops.convert_to_numpy(model.inner(array[None], training=False)))[0]
        for name, array in data.items()
        if len(array)
    }


def test_predict_equals_each_sequence_alone_per_step(rng):
    model, data = step_model(), ragged(rng)
    outputs = model.predict(data, batch_size=3, verbose=0)
    assert isinstance(outputs, so.Sequences)
    assert outputs.ids == tuple(data)
    assert outputs.lengths.tolist() == list(LENGTHS)
    for name, output in alone(model, data).items():
        np.testing.assert_allclose(outputs[name], output, atol=1e-6)


def test_predict_equals_each_sequence_alone_per_sequence(rng):
    model = so.SequenceModel([so.Bidirectional(so.GRU(4)), keras.layers.Dense(2)])
    data = ragged(rng)
    outputs = model.predict(data, batch_size=3, verbose=0)
    assert list(outputs) == list(data)
    assert np.asarray(outputs).shape == (7, 2)
    for name, output in alone(model, data).items():
        np.testing.assert_allclose(outputs[name], output, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_loss_and_metrics_count_real_steps_at_any_padding(rng, batch_size):
    model, data = step_model(), ragged(rng)
    targets = {name: rng.normal(size=len(array)) for name, array in data.items()}
    said = model.evaluate(data, targets, batch_size=batch_size, verbose=0, return_dict=True)
    outputs = alone(model, data)
    truth = np.concatenate([targets[name] for name in outputs])
    errors = np.concatenate([outputs[name][:, 0] for name in outputs]) - truth
    assert said["loss"] == pytest.approx((errors**2).mean(), rel=1e-5)
    assert said["mean_absolute_error"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert said["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)
    assert said["r2"] == pytest.approx(1 - (errors**2).sum() / ((truth - truth.mean()) ** 2).sum(), abs=1e-4)


def test_weights_per_step_and_per_sequence_weigh_real_steps(rng):
    data = ragged(rng)
    targets = {name: rng.normal(size=len(array)) for name, array in data.items()}
    model = so.SequenceModel([so.GRU(4, return_sequences=True), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=[keras.metrics.RootMeanSquaredError(name="rmse")])
    per_step = {name: rng.uniform(size=len(array)) for name, array in data.items()}
    per_sequence = {name: float(number) for number, name in enumerate(data)}
    for given in (per_step, per_sequence):
        said = model.evaluate(data, targets, sample_weight=given, batch_size=3, verbose=0, return_dict=True)
        outputs = alone(model, data)
        errors = np.concatenate([outputs[name][:, 0] - targets[name] for name in outputs])
        weights = np.concatenate([np.broadcast_to(given[name], len(data[name])) for name in outputs])
        assert said["loss"] == pytest.approx((weights * errors**2).mean(), rel=1e-5)
        assert said["mean_absolute_error"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
        assert said["rmse"] == pytest.approx(np.sqrt((weights * errors**2).sum() / weights.sum()), rel=1e-5)


def test_class_weights_weigh_steps_by_their_class(rng):
    data = ragged(rng)
    classes = {name: rng.integers(0, 3, size=len(array)) for name, array in data.items()}
    model = so.SequenceModel([so.GRU(4, return_sequences=True), keras.layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    weight = {0: 1.0, 1: 5.0, 2: 0.5}
    history = model.fit(data, classes, class_weight=weight, batch_size=7, shuffle=False, verbose=0).history
    outputs = alone(model, data)
    probability = np.concatenate([outputs[name][np.arange(len(outputs[name])), classes[name]] for name in outputs])
    truth = np.concatenate([classes[name] for name in outputs])
    weights = np.array([weight[int(label)] for label in truth])
    right = np.concatenate([outputs[name].argmax(-1) for name in outputs]) == truth
    assert history["loss"][0] == pytest.approx((-weights * np.log(probability)).mean(), rel=1e-4)
    assert history["accuracy"][0] == pytest.approx(right.mean(), rel=1e-5)


def test_gradient_step_equals_that_of_the_sequences_alone(rng):
    """One SGD step on a padded batch moves the weights as the mean loss over real steps does, by finite differences."""
    data = ragged(rng, lengths=(4, 1, 6))
    targets = {name: rng.normal(size=(len(array), 1)) for name, array in data.items()}
    model = so.SequenceModel([so.LSTM(3, return_sequences=True), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.predict(data, verbose=0)
    before = model.get_weights()

    def loss(weights):
        lstm, dense, bias = weights[:3], weights[3], weights[4]
        layer = model.inner.layers[0]
        layer.set_weights(lstm)
        errors = [
            expected(layer, array[None]).outputs[0] @ dense.astype("float64") + bias - targets[name]
            for name, array in data.items()
        ]
        return float((np.concatenate(errors) ** 2).mean())

    numeric = []
    for position in range(len(before)):
        gradient = np.zeros(before[position].shape)
        for index in list(np.ndindex(gradient.shape))[:6]:
            values = []
            for step in (1e-2, -1e-2):
                moved = [array.astype("float64").copy() for array in before]
                moved[position][index] += step
                values.append(loss([array.astype("float32") for array in moved]))
            gradient[index] = (values[0] - values[1]) / 2e-2
        numeric.append(gradient)
    model.set_weights(before)
    model.fit(data, targets, batch_size=3, verbose=0)
    for was, now, gradient in zip(before, model.get_weights(), numeric, strict=True):
        for index in list(np.ndindex(gradient.shape))[:6]:
            assert was[index] - now[index] == pytest.approx(gradient[index], rel=2e-2, abs=2e-4)


def test_training_does_not_depend_on_padding(rng):
    """The same batches, padded by the model's own grid or far beyond it, train the same weights."""
    data = ragged(rng, lengths=(4, 7, 2, 5))
    targets = {name: rng.normal(size=(len(array), 1)) for name, array in data.items()}
    weights = []
    for declared in (None, 20):
        keras.utils.set_random_seed(7)
        inner = keras.Sequential([keras.Input((declared, 3)), so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
        model = so.SequenceModel(inner)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(data, targets, batch_size=4, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for short, long in zip(*weights, strict=True):
        np.testing.assert_allclose(short, long, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.SparseCategoricalCrossentropy(reduction="sum"),
        keras.losses.SparseCategoricalCrossentropy(ignore_class=2),
    ],
    ids=["name", "function", "object", "sum", "ignored class"],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_of_classes_per_step(rng, loss, weighted):
    model = so.SequenceModel([so.GRU(4, return_sequences=True), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", loss)
    data = ragged(rng)
    targets = {name: rng.integers(0, 3, len(array)) for name, array in data.items()}
    weights = {name: rng.uniform(0.5, 2, len(array)) for name, array in data.items()} if weighted else None
    found = model.evaluate(data, targets, sample_weight=weights, batch_size=7, verbose=0)

    ignored = 2 if getattr(loss, "ignore_class", None) is not None else None
    each, weight = [], []
    for name, outputs in alone(model, data).items():
        of_target = outputs[np.arange(len(outputs)), targets[name]].astype(np.float64)
        counts = targets[name] != ignored
        each.append(-np.log(of_target)[counts])
        weight.append((np.ones(len(outputs)) if weights is None else weights[name])[counts])
    each, weight = np.concatenate(each), np.concatenate(weight)
    total = (each * weight).sum()
    wanted = total if getattr(loss, "reduction", None) == "sum" else total / len(each)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_only_losses_that_see_no_time_are_computed_by_row(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    losses = keras.losses
    assert faster_as_rows("sparse_categorical_crossentropy")
    assert faster_as_rows(losses.SparseCategoricalCrossentropy(from_logits=True))
    assert not faster_as_rows(losses.SparseCategoricalCrossentropy(axis=1))
    assert not faster_as_rows("mse")
    assert not faster_as_rows(losses.CategoricalCrossentropy())
    assert not faster_as_rows(lambda y, predicted: losses.sparse_categorical_crossentropy(y, predicted))

    class OfOnesOwn(losses.SparseCategoricalCrossentropy):
        pass

    assert not faster_as_rows(OfOnesOwn())
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert not faster_as_rows("sparse_categorical_crossentropy")
