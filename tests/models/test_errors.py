"""What a SequenceModel refuses, in which words, and that nothing changes by it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import sostenuto as so

DATA = {"a": np.ones((4, 3), "float32"), "b": np.ones((2, 3), "float32")}
TARGETS = {"a": 1.0, "b": 0.0}


@pytest.fixture
def model():
    model = so.SequenceModel([so.LSTM(2), keras.layers.Dense(1)], name="m")
    model.compile("adam", "mse")
    model.fit(DATA, TARGETS, verbose=0)
    return model


def refused(error, function):
    with pytest.raises(error) as caught:
        function()
    return str(caught.value)


def test_other_number_of_features(model):
    before = model.get_weights()
    for call in (
        lambda data: model.fit(data, [1.0], verbose=0),
        lambda data: model.predict(data, verbose=0),
        lambda data: model.evaluate(data, [1.0], verbose=0),
        model,
    ):
        assert refused(so.ShapeError, lambda call=call: call([np.ones((5, 2))])) == (
            "SequenceModel 'm' cannot read these sequences.\n"
            "  where   sequences -> model\n"
            "  got     2 features per step   values (5, 2) float64\n"
            "  wanted  3 features per step, as it was built\n"
            "  fix     add what they lack of the features it was built with: 'feature_2'\n"
            "  more    sostenuto explain SO103"
        )
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_one_feature_too_many_is_named(model):
    text = refused(so.ShapeError, lambda: model.predict([np.ones((5, 4))], verbose=0))
    assert "fix     leave out what it was not built with: 'feature_3'" in text


def test_no_targets(model):
    assert refused(so.TargetError, lambda: model.fit(DATA)) == (
        "SequenceModel 'm' has nothing to learn from.\n"
        "  where   sequences -> model\n"
        "  got     sequences without targets\n"
        "  wanted  a target per sequence\n"
        "  fix     pass y=, or make the Sequences with targets= (from_table: target='column')\n"
        "  more    sostenuto explain SO403"
    )


def test_targets_per_step_for_an_output_per_sequence(model):
    targets = {name: np.ones(len(array)) for name, array in DATA.items()}
    assert refused(so.TargetError, lambda: model.fit(DATA, targets, verbose=0)) == (
        "SequenceModel 'm' answers another question than the targets ask.\n"
        "  where   targets -> output of the model\n"
        "  got     a target per step\n"
        "  wanted  a target per sequence, as the model has one output per sequence\n"
        "  fix     give the last recurrent layer return_sequences=True for an output per step; "
        "or pass a target per sequence\n"
        "  more    sostenuto explain SO402"
    )


def test_targets_per_sequence_for_an_output_per_step():
    model = so.SequenceModel([so.LSTM(2, return_sequences=True), keras.layers.Dense(1)], name="m")
    model.compile("adam", "mse")
    text = refused(so.TargetError, lambda: model.fit(DATA, TARGETS, verbose=0))
    assert "got     a target per sequence\n  wanted  a target per step" in text
    assert "leave return_sequences=True away" in text


def test_targets_of_another_size_are_not_broadcast(model):
    assert refused(so.TargetError, lambda: model.fit(DATA, np.ones((2, 5)), verbose=0)) == (
        "SequenceModel 'm' has outputs of another size than the targets.\n"
        "  where   targets -> output of the model, per sequence\n"
        "  got     targets with axes (5,) float64\n"
        "  wanted  axes (1,), as the last layer gives; nothing is broadcast\n"
        "  fix     make the last layer Dense(5), or give targets with axes (1,)\n"
        "  more    sostenuto explain SO402"
    )


@pytest.mark.parametrize("named", [True, False])
def test_a_number_for_each_class_for_a_loss_of_their_numbers(named):
    model = so.SequenceModel([so.LSTM(2), keras.layers.Dense(4)], name="m")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", "sparse_categorical_crossentropy" if named else loss)
    assert refused(so.TargetError, lambda: model.fit(DATA, np.eye(4)[[0, 1]], verbose=0)) == (
        "SequenceModel 'm' learns numbers of classes, and got a number for each class.\n"
        "  where   targets -> loss, per sequence\n"
        "  got     targets with axes (4,) float64, as one-hot encoding makes them\n"
        "  wanted  the number of the class, 0 to 3, for each sequence\n"
        "  fix     compile with loss='categorical_crossentropy' (a loss object: keras.losses.CategoricalCrossentropy "
        "with the same options), or pass targets.argmax(axis=-1)\n"
        "  more    sostenuto explain SO402"
    )


def test_whole_numbered_classes_for_a_loss_of_vectors():
    model = so.SequenceModel([so.LSTM(2), keras.layers.Dense(4)])
    model.compile("adam", "categorical_crossentropy")
    text = refused(so.TargetError, lambda: model.fit(DATA, [0, 1], verbose=0))
    assert "compile with loss='sparse_categorical_crossentropy'" in text


def test_class_without_an_output():
    model = so.SequenceModel([so.LSTM(2), keras.layers.Dense(4)])
    model.compile("adam", "sparse_categorical_crossentropy")
    text = refused(so.TargetError, lambda: model.fit(DATA, [0, 4], verbose=0))
    assert "got     classes numbered from 0 to 4" in text
    assert "fix     make the last layer Dense(5)" in text


@pytest.mark.parametrize("targets", [[1.0], [1.0, 2.0, 3.0]])
def test_other_number_of_targets(model, targets):
    text = refused(so.TargetError, lambda: model.fit(DATA, targets, verbose=0))
    assert f"({len(targets)},)" in text
    assert "SO401" in text


def test_targets_under_other_ids(model):
    text = refused(so.TargetError, lambda: model.fit(DATA, {"a": 1.0, "c": 2.0}, verbose=0))
    assert "none for 'b'" in text


def test_not_compiled():
    model = so.SequenceModel([so.LSTM(2)], name="m")
    assert refused(so.ModelError, lambda: model.fit(DATA, np.ones((2, 2)))) == (
        "SequenceModel 'm' is not compiled.\n"
        "  where   fit or evaluate\n"
        "  got     a model without loss and optimizer\n"
        "  wanted  a compiled model\n"
        "  fix     model.compile('adam', 'mse') or the like\n"
        "  more    sostenuto explain SO603"
    )


def tokens_model():
    return so.SequenceModel([keras.layers.Embedding(10, 4, name="words"), so.GRU(3), keras.layers.Dense(1)])


def test_token_outside_the_vocabulary():
    data = {"a": [1, 2], "b": [3, 11, 12]}
    assert refused(so.TokenError, lambda: tokens_model().predict(data)) == (
        "Embedding 'words' cannot look these token ids up.\n"
        "  where   sequences['b'], step 1\n"
        "  got     token id 11; 2 such ids in all\n"
        "  wanted  ids from 0 to 9 (input_dim=10)\n"
        "  fix     make input_dim at least 13\n"
        "  more    sostenuto explain SO502"
    )


def test_negative_token():
    assert "number tokens from 0" in refused(so.TokenError, lambda: tokens_model().predict([[1, -1]]))


def test_fractions_for_an_embedding():
    assert refused(so.TokenError, lambda: tokens_model().predict([[1.0, 2.5]])) == (
        "Embedding 'words' cannot look these values up.\n"
        "  where   sequences -> Embedding\n"
        "  got     values (2, 1) float64\n"
        "  wanted  whole numbers (token ids)\n"
        "  fix     keep token ids as integers; if they are, sequences.astype('int32') says so\n"
        "  more    sostenuto explain SO501"
    )


def test_layer_that_mixes_steps_is_refused():
    layers = [so.LSTM(3, return_sequences=True), keras.layers.Conv1D(4, 3, padding="same", name="mix"), so.LSTM(2)]
    model = so.SequenceModel(layers, name="m")
    assert refused(so.ModelError, lambda: model.predict(DATA)) == (
        "Padding would change the results of this model.\n"
        "  where   model 'm', one of: Conv1D 'mix'\n"
        "  got     other results for the same sequences with 3 more steps of padding\n"
        "  wanted  results that depend on real steps only\n"
        "  fix     a layer that reduces time needs the mask: Embedding(mask_zero=True) in front of a pooling layer;\n"
        "          Conv1D: padding='causal' and strides=1; "
        "a layer of yours: supports_masking = True and a call that uses mask=\n"
        "  more    sostenuto explain SO602"
    )


@pytest.mark.parametrize(
    ("layers", "got"),
    [
        ([], "an empty list"),
        ([so.LSTM, 3], "type in the list of layers"),
        (3, "int"),
        (keras.layers.Dense(1), "Dense"),
    ],
)
def test_what_is_no_model(layers, got):
    text = refused(so.ModelError, lambda: so.SequenceModel(layers))
    assert f"  got     {got}\n" in text


def test_several_inputs():
    one, two = keras.Input((None, 2)), keras.Input((None, 2))
    model = keras.Model([one, two], keras.layers.LSTM(2)(keras.layers.concatenate([one, two])))
    assert "got     2 inputs and 1 outputs" in refused(so.ModelError, lambda: so.SequenceModel(model))


def test_longer_than_declared():
    model = so.SequenceModel([keras.Input((3, 3)), so.LSTM(2)], name="m")
    assert refused(so.ModelError, lambda: model.predict(DATA)) == (
        "SequenceModel 'm' was declared for another number of steps.\n"
        "  where   sequences['a']\n"
        "  got     4 steps\n"
        "  wanted  at most 3, the steps in its keras.Input\n"
        "  fix     declare keras.Input((None, features)), or cut the sequences with chunk or window\n"
        "  more    sostenuto explain SO605"
    )


@pytest.mark.parametrize("weights", [{0: -1.0}, {0: float("nan")}, "balanced"])
def test_class_weights_that_are_none(weights):
    model = so.SequenceModel([so.LSTM(2), keras.layers.Dense(4)])
    model.compile("adam", "sparse_categorical_crossentropy")
    text = refused(so.TargetError, lambda: model.fit(DATA, [0, 1], class_weight=weights, verbose=0))
    assert "SO404" in text


def test_unknown_prediction(model):
    text = refused(KeyError, lambda: model.predict(DATA, verbose=0)["A"])
    assert "There is no prediction for 'A'." in text


@pytest.mark.parametrize("data", [np.ones(3), np.ones((4, 3)), np.ones((2, 2, 2, 2)), "x.csv", [], None, [[1, "a"]]])
def test_raw_input_that_is_no_sequences(model, data):
    assert "  more    sostenuto explain SO2" in refused(so.DataError, lambda: model.predict(data))


def test_missing_value_is_reported_with_id_and_step(model):
    data = {"a": np.ones((2, 3)), "b": np.array([[1.0, 2, 3], [1, np.nan, 3]])}
    text = refused(so.DataError, lambda: model.predict(data))
    assert "where   sequences['b'], step 1, feature 'feature_1'" in text


def test_features_and_time_swapped(model):
    text = refused(so.ShapeError, lambda: model.predict([np.ones((3, 8))]))
    assert "layout='channels_first'" in text
