"""Models that cannot run sequences in pieces, and settings that mean nothing: refused before anything is changed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.models.cutting import check_cuts

DATA = {"a": np.ones((6, 2), "float32"), "b": np.ones((3, 2), "float32")}
TARGETS = {"a": np.ones(6, "float32"), "b": np.ones(3, "float32")}


def model_of(*layers, dense=True):
    model = so.SequenceModel([*layers, *([keras.layers.Dense(1)] if dense else [])], name="model")
    model.build(2)
    model.compile("sgd", "mse")
    return model


def recurrent(**options):
    return so.LSTM(3, return_sequences=True, **options)


def refused(model, **options):
    before = model.get_weights()
    with pytest.raises(so.ModelError) as caught:
        model.fit(DATA, TARGETS, verbose=0, **options)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    return str(caught.value)


def test_both_directions():
    message = refused(model_of(so.Bidirectional(recurrent(), name="both")), chunk=2)
    assert message == (
        "The model 'model' cannot run sequences in pieces.\n"
        "  where   Bidirectional 'both'\n"
        "  got     a layer that needs steps yet to come: it reads every sequence from both ends\n"
        "  wanted  layers that read forwards\n"
        "  fix     run sequences whole (no chunk, no session), or use a recurrent layer that reads forwards\n"
        "  more    sostenuto explain SO607"
    )


def test_backwards():
    message = refused(model_of(recurrent(go_backwards=True, name="back")), chunk=2)
    assert "LSTM 'back'" in message
    assert "it reads every sequence from its end (go_backwards=True)" in message


def test_a_convolution():
    message = refused(model_of(keras.layers.Conv1D(3, 3, padding="causal", name="conv"), recurrent()), chunk=2)
    assert message == (
        "The model 'model' cannot run sequences in pieces.\n"
        "  where   one of: Conv1D 'conv'\n"
        "  got     other results for a sequence in three pieces than for the same sequence whole\n"
        "  wanted  layers that work step by step, or that carry what they remember in a recurrent state\n"
        "  fix     run sequences whole (no chunk, no session), or put recurrent layers in their place\n"
        "  more    sostenuto explain SO607"
    )


def test_a_pooling_over_time():
    model = model_of(recurrent(), keras.layers.GlobalAveragePooling1D(name="mean"))
    with pytest.raises(so.ModelError, match="GlobalAveragePooling1D 'mean'"):
        model.predict(DATA, chunk=2, verbose=0)


def test_states_that_come_from_another_layer():
    values = keras.Input((None, 2))
    read, h, c = so.LSTM(3, return_sequences=True, return_state=True, name="first")(values)
    again = so.LSTM(3, return_sequences=True, name="second")(read, initial_state=[h, c])
    model = so.SequenceModel(keras.Model(values, keras.layers.Dense(1)(again)))
    with pytest.raises(so.ModelError, match="LSTM 'second'") as caught:
        check_cuts(model)
    assert caught.value.code == "SO607"


@keras.saving.register_keras_serializable(package="tests")
class Shift(keras.layers.Layer):
    """Works step by step, which only a look at its results can tell."""

    def call(self, inputs):
        return inputs + 1


def test_layers_of_ones_own_are_judged_by_their_results():
    model = model_of(Shift(), recurrent(), Shift())
    check_cuts(model)
    whole, pieces = model.predict(DATA, verbose=0), model.predict(DATA, chunk=2, verbose=0)
    np.testing.assert_allclose(pieces["a"], whole["a"], atol=1e-6)


def test_known_layers_between():
    check_cuts(model_of(keras.layers.LayerNormalization(), recurrent(), keras.layers.Dropout(0.5), recurrent()))


@pytest.mark.parametrize(
    ("options", "got", "wanted", "fix"),
    [
        ({"chunk": 0}, "chunk=0", "a number of steps, 1 or more", "pass a number of steps, 1 or more"),
        ({"chunk": 2.5}, "chunk=2.5", "a number of steps, 1 or more", "pass a number of steps, 1 or more"),
        ({"chunk": True}, "chunk=True", "a number of steps, 1 or more", "pass a number of steps, 1 or more"),
        ({"chunk": 2, "carry": "epoch"}, "carry='epoch'", "'sequence' or 'epochs'", "pass 'sequence' or 'epochs'"),
        ({"carry": "epochs"}, "carry='epochs'", "'sequence' where sequences are run whole", "say chunk= as well"),
        ({"chunk": 2, "chunk_targets": "all"}, "chunk_targets='all'", "'every' or 'last'", "pass 'every' or 'last'"),
    ],
)
def test_settings_that_mean_nothing(options, got, wanted, fix):
    name = got.split("=")[0]
    assert refused(model_of(recurrent()), **options) == (
        "SequenceModel 'model' does not know this way to carry states.\n"
        f"  where   argument '{name}'\n"
        f"  got     {got}\n"
        f"  wanted  {wanted}\n"
        f"  fix     {fix}\n"
        "  more    sostenuto explain SO606"
    )


def test_a_declared_number_of_steps():
    model = so.SequenceModel([keras.Input((4, 2)), recurrent(), keras.layers.Dense(1)], name="model")
    model.compile("sgd", "mse")
    with pytest.raises(so.ModelError, match="at most 4, the steps"):
        model.fit({"a": DATA["b"]}, {"a": TARGETS["b"]}, chunk=5, verbose=0)
    whole = model.predict({"a": DATA["b"]}, verbose=0)
    np.testing.assert_allclose(model.predict({"a": DATA["b"]}, chunk=2, verbose=0)["a"], whole["a"], atol=1e-6)


def test_ways_to_begin():
    with pytest.raises(so.ModelError) as caught:
        so.SequenceModel([recurrent()], name="model", initial_state="random")
    assert str(caught.value) == (
        "SequenceModel 'model' does not know this way to carry states.\n"
        "  where   argument 'initial_state'\n"
        "  got     initial_state='random'\n"
        "  wanted  'zeros' or 'learned'\n"
        "  fix     pass 'zeros' or 'learned'\n"
        "  more    sostenuto explain SO606"
    )
