"""so.check: what it finds before training, what it compares, and that nothing of the model or data changes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import sostenuto as so

pytestmark = pytest.mark.backend

X = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 1)).astype("float32")


def sequential(*layers, loss="mse"):
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    model.compile("sgd", loss)
    return model


def test_a_right_model_gets_no_word_but_what_was_compared():
    report = so.check(sequential(keras.layers.LSTM(4, name="a"), keras.layers.Dense(1)), X, Y)
    assert not report
    assert report.looked_at == {
        "inputs": "(batch 8, time 5, features 3) float32",
        "mask": "none: every step is read",
        "output": "(batch ?, units 1): one per sequence",
        "targets": "(8, 1) float32",
        "loss": "mse",
        "states": "begin at zero for every sequence",
    }
    assert str(report).splitlines()[:2] == [
        "Nothing was found that looks wrong.",
        "  inputs  (batch 8, time 5, features 3) float32",
    ]


def test_a_wrong_number_of_features_is_found():
    report = so.check(sequential(keras.layers.LSTM(4), keras.layers.Dense(1)), X[..., :2], Y)
    (finding,) = report
    assert finding.kind == "error"
    text = str(finding)
    assert "2 features" in text
    assert "3 features" in text


def test_one_target_for_a_sequence_of_outputs_is_found():
    report = so.check(sequential(keras.layers.LSTM(4, return_sequences=True), keras.layers.Dense(1)), X, Y)
    assert len(report) == 1
    assert "return_sequences" in str(report)


def test_weights_and_states_stay_as_they_are():
    stateful = keras.layers.LSTM(4, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), stateful, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model(X[:2])
    states = [np.asarray(keras.ops.convert_to_numpy(one)) for one in stateful.states]
    weights = model.get_weights()
    so.check(model, X[:2], Y[:2], shuffle=False, batch_size=2)
    for one, before in zip(stateful.states, states, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), before)
    for one, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, before)
    assert model.optimizer.iterations == 0


def test_sequences_of_a_sequence_model():
    model = so.SequenceModel([so.LSTM(4), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = {"a": X[0], "b": X[1, :2]}
    report = so.check(model, data, {"a": 1.0, "b": 0.0})
    assert not report, report
    assert report.looked_at["lengths"] == "2 to 5 steps, 2 sequences"
    assert report.looked_at["mask"] == "made from the lengths: padding is never read"
    assert so.check(model, {"a": X[0, :, :2]}).codes == ["SO103"]
    assert so.check(model, data, [1.0, 0.0], chunk=2).looked_at["states"] == "carried by id over chunks of 2 steps"


def test_the_first_batch_of_a_dataset_is_looked_at():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return X[4 * index : 4 * index + 4, :, :2], Y[4 * index : 4 * index + 4]

    model = sequential(keras.layers.LSTM(4), keras.layers.Dense(1))
    report = so.check(model, Batches())
    assert report.looked_at["inputs"] == "(batch 4, time 5, features 2) float32"
    assert [one.kind for one in report] == ["error"]


def test_a_generator_keeps_its_first_batch():
    batches = ((X[number : number + 4], Y[number : number + 4]) for number in (0, 4))
    with pytest.raises(so.DataTypeError) as caught:
        so.check(sequential(keras.layers.LSTM(4), keras.layers.Dense(1)), batches)
    assert str(caught.value) == (
        "so.check cannot look into a generator.\n"
        "  where   argument x\n"
        "  got     a generator, which gives each batch once: the first would be lost to fit\n"
        "  wanted  arrays, a dataset, or one batch\n"
        "  fix     x, y = next(my_generator()), and so.check(model, x, y)\n"
        "  more    sostenuto explain SO201"
    )
    assert len(list(batches)) == 2


def several_inputs():
    words, numbers = keras.Input((None,), dtype="int32"), keras.Input((4,))
    read = keras.layers.Bidirectional(keras.layers.LSTM(3))(keras.layers.Embedding(10, 4, mask_zero=True)(words))
    joined = keras.layers.concatenate([read, numbers])
    model = keras.Model([words, numbers], keras.layers.Dense(1)(joined))
    model.compile("sgd", "mse")
    return model, [np.array([[1, 2, 3], [4, 5, 0]] * 4), np.ones((8, 4), "float32")], Y


def encoder_decoder():
    source, target = keras.Input((None, 3)), keras.Input((None, 2))
    _, h, c = keras.layers.LSTM(6, return_state=True)(source)
    read = keras.layers.LSTM(6, return_sequences=True)(target, initial_state=[h, c])
    model = keras.Model([source, target], keras.layers.Dense(2)(read))
    model.compile("sgd", "mse")
    generator = np.random.default_rng(2)
    target = generator.normal(size=(8, 4, 2)).astype("float32")
    return model, [X, target], np.roll(target, -1, axis=1)


def attention():
    source = keras.Input((5, 3))
    read = keras.layers.LSTM(6, return_sequences=True)(source)
    seen = keras.layers.Attention()([read, read])
    model = keras.Model(source, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(seen)))
    model.compile("sgd", "mse")
    return model, X, Y


@pytest.mark.parametrize("made", [several_inputs, encoder_decoder, attention])
def test_functional_models_are_checked_and_traced(made):
    model, x, y = made()
    report = so.check(model, x, y)
    assert not report, report
    flow = so.trace(model, x)
    recurrent = [one for one in flow if "LSTM" in one.layer or "Bidirectional" in one.layer]
    assert recurrent
    assert all(one.states for one in recurrent)
    assert all("?" not in letters for one in recurrent for letters in one.axes + one.axes_returned)


def test_missing_values_among_ids_fail_no_rule():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Embedding(5, 3), keras.layers.LSTM(2)])
    model.compile("sgd", "mse")
    ids = np.array([[1, 2, np.nan, 9]] * 6, "float32")
    report = so.check(model, ids, np.zeros((6, 2), "float32"))
    assert report.failures == ()
    assert "SO417" in report.codes
