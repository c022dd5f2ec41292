"""fit, evaluate and predict as Keras users know them: validation, callbacks, progress, seeds, streams, batches."""

from __future__ import annotations

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import sostenuto as so
from sostenuto.models.batches import SequenceBatches, grid_of, plan


def labelled(rng, number=60):
    data = {f"s{n}": rng.normal(size=(rng.integers(1, 30), 2)).astype("float32") for n in range(number)}
    return data, {name: float(array[:, 0].sum() > 0) for name, array in data.items()}


def small_model(seed=1):
    keras.utils.set_random_seed(seed)
    model = so.SequenceModel([so.GRU(4), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    return model


def test_it_learns(rng):
    data, labels = labelled(rng, 100)
    model = small_model()
    history = model.fit(data, labels, epochs=12, batch_size=16, verbose=0).history
    assert history["accuracy"][-1] > 0.85
    assert history["loss"][-1] < history["loss"][0] / 1.5


def test_validation_callbacks_and_best_weights(rng):
    data, labels = labelled(rng)
    model = small_model()
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    history = model.fit(
        data, labels, validation_split=0.25, epochs=6, batch_size=16, callbacks=[stop], verbose=0
    ).history
    held_out = so.Sequences.from_list(data, targets=labels).take(np.arange(45, 60))
    again = model.evaluate(held_out, verbose=0, return_dict=True)
    assert again["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_validation_data_as_tuple_and_as_sequences(rng):
    data, labels = labelled(rng, 20)
    held_out = so.Sequences.from_list(data, targets=labels)
    for validation in (held_out, (data, labels), (data, labels, np.ones(20))):
        model = small_model()
        history = model.fit(data, labels, validation_data=validation, verbose=0).history
        assert history["val_loss"][0] == pytest.approx(model.evaluate(held_out, verbose=0)[0], rel=1e-5)


def test_seeds_repeat_a_training(rng):
    data, labels = labelled(rng)
    first, second, other = (small_model(seed) for seed in (3, 3, 4))
    losses = []
    for seed, model in ((3, first), (3, second), (4, other)):
        keras.utils.set_random_seed(seed)
        losses.append(model.fit(data, labels, epochs=2, batch_size=8, verbose=0).history["loss"])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras wants steps_per_execution=1 on torch")
def test_steps_per_execution_changes_nothing(rng):
    data, labels = labelled(rng)
    weights = []
    for steps in (1, 3):
        model = small_model()
        model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", steps_per_execution=steps)
        model.fit(data, labels, epochs=2, batch_size=16, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for one, three in zip(*weights, strict=True):
        np.testing.assert_allclose(one, three, atol=1e-5)


def test_progress_is_shown(rng, capsys):
    data, labels = labelled(rng, 20)
    model = small_model()
    model.fit(data, labels, batch_size=8, verbose=2)
    assert "3/3" in capsys.readouterr().out
    model.predict(data, batch_size=8, verbose=1)
    assert "3/3" in capsys.readouterr().out


def test_callbacks_see_prediction(rng):
    data, _ = labelled(rng, 20)
    seen = []
    watch = keras.callbacks.LambdaCallback()
    watch.on_predict_batch_end = lambda batch, logs=None: seen.append((batch, logs["outputs"].shape))
    small_model().predict(data, batch_size=8, verbose=0, callbacks=[watch])
    assert seen == [(0, (8, 1)), (1, (8, 1)), (2, (4, 1))]


def test_plan_holds_every_sequence_once_in_few_shapes(rng):
    lengths = rng.integers(0, 200, size=1003)
    grid = grid_of(lengths, 32)
    rows = plan(lengths, 32, grid, np.random.default_rng(0))
    assert sorted(np.concatenate([row.positions for row in rows])) == list(range(1003))
    assert all(lengths[row.positions].max() <= row.steps for row in rows)
    assert len({(len(row.positions), row.steps) for row in rows}) <= len(grid) + 1 <= 6
    padded = sum(len(row.positions) * row.steps for row in rows)
    assert lengths.sum() / padded > 0.8
    assert lengths.sum() / (1003 * 199) < 0.52


def test_batches_are_shuffled_anew_in_each_epoch(rng):
    sequences = so.Sequences.from_list([rng.normal(size=(length, 1)) for length in rng.integers(1, 50, size=100)])
    batches = SequenceBatches([sequences], 8, lambda batch: batch.ids, seed=5)
    first = [batches[number] for number in range(len(batches))]
    batches.on_epoch_end()
    second = [batches[number] for number in range(len(batches))]
    assert first != second
    assert sorted(sum(first, ())) == sorted(sum(second, ())) == list(range(100))


@pytest.fixture
def stream(rng, tmp_path):
    lengths = rng.integers(1, 12, size=40)
    values = rng.normal(size=lengths.sum())
    table = pa.table({"id": np.repeat(np.arange(40), lengths), "x": values, "y": np.cumsum(values)})
    paths = [tmp_path / f"{number}.parquet" for number in range(4)]
    for number, path in enumerate(paths):  # cut without regard to ids
        pyarrow.parquet.write_table(table.slice(number * 60, 60 if number < 3 else None), path)
    named = {"id": "id", "features": "x", "target": "y"}
    return so.Sequences.stream(paths, steps_per_block=60, **named), so.Sequences.from_table(table, **named)


def test_stream_gives_what_memory_gives(stream):
    streamed, whole = stream
    assert len(list(streamed)) > 2
    model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(streamed, epochs=2, batch_size=8, validation_data=streamed, verbose=0).history
    assert len(history["loss"]) == 2
    assert model.evaluate(streamed, verbose=0) == pytest.approx(model.evaluate(whole, verbose=0), rel=1e-5)
    said, expected = model.predict(streamed, verbose=0), model.predict(whole, verbose=0)
    assert said.ids == expected.ids
    np.testing.assert_allclose(said.values, expected.values, atol=1e-6)


def test_stream_in_chunks(stream):
    streamed, whole = stream
    model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    losses = model.fit(streamed, epochs=2, batch_size=8, chunk=3, validation_data=streamed, verbose=0).history
    right = model.evaluate(whole, verbose=0)
    np.testing.assert_allclose([*losses["loss"], *losses["val_loss"]], right, rtol=1e-5)
    said, expected = model.predict(streamed, chunk=5, batch_size=4, verbose=0), model.predict(whole, verbose=0)
    assert said.ids == expected.ids
    np.testing.assert_allclose(said.values, expected.values, atol=1e-6)


def test_stream_with_separate_targets_is_refused(stream):
    model = small_model()
    with pytest.raises(so.TargetError, match="a stream that brings them along"):
        model.fit(stream[0], [1.0])
    model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(so.TargetError, match="A stream cannot be split"):
        model.fit(stream[0], validation_split=0.5)
