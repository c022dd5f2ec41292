"""The errors of the layers as they arrive through Keras's own models: the same class, the same text."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import sostenuto as so

X = np.zeros((2, 5, 3), "float32")
STATE = np.zeros((2, 4), "float32")


def lstm(**settings):
    return so.LSTM(4, name="a", **settings)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.recurrent, self.dense = lstm(stateful=True), keras.layers.Dense(1)

    def call(self, x):
        return self.dense(self.recurrent(x))


def sequential():
    return keras.Sequential([lstm(stateful=True), keras.layers.Dense(1)])


WIDE = np.zeros((4, 5, 7), "float32")
VERBS = {
    "call": lambda model: model(WIDE),
    "predict": lambda model: model.predict(WIDE, verbose=0),
    "evaluate": lambda model: model.evaluate(WIDE, np.zeros((4, 1)), verbose=0),
    "fit": lambda model: model.fit(WIDE, np.zeros((4, 1)), verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(WIDE, np.zeros((4, 1))),
}


@pytest.mark.parametrize("make", [Subclassed, sequential])
@pytest.mark.parametrize("verb", VERBS)
def test_the_class_survives_keras(make, verb):
    model = make()
    model.compile("sgd", "mse")
    model.fit(X + 1, np.ones((2, 1)), verbose=0)
    before = [ops.convert_to_numpy(v.value) for v in model.variables]
    with pytest.raises(so.ShapeError) as caught:
        VERBS[verb](model)
    assert caught.value.code == "SO103"
    assert str(caught.value).startswith("LSTM 'a' cannot read this batch.\n")
    assert len(str(caught.value).splitlines()) == 6, "Keras has added nothing"
    if keras.backend.backend() == "jax" and verb in ("fit", "evaluate", "predict"):
        return  # Keras holds the values of all variables outside of them then, and loses them, as with any error
    for now, then in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(now.value), then)
    model.fit(X, np.ones((2, 1)), verbose=0)


def test_while_a_model_is_built():
    """A recurrent layer on the last output of another."""
    values = keras.Input((None, 3))
    with pytest.raises(so.ShapeError, match=r"got     2 axes: \(None, 4\) float32(.|\n)*return_sequences=True"):
        lstm()(so.LSTM(4)(values))
    with pytest.raises(so.ShapeError, match=r"got     2 axes: \(None, 4\) float32(.|\n)*return_sequences=True"):
        keras.Sequential([values, so.LSTM(4), lstm()])


@pytest.mark.parametrize(
    ("options", "kind", "got"),
    [
        (lambda: {"initial_state": [keras.Input((4,))]}, so.StateError, "1 state"),
        (lambda: {"initial_state": [keras.Input((4,)), keras.Input((5,))]}, so.StateError, r"shape \(None, 5\)"),
        (lambda: {"mask": keras.Input((5,), dtype="bool")}, so.ShapeError, r"\(None, 5\) bool"),
        (lambda: {"lengths": keras.Input(())}, so.ShapeError, r"\(None,\) float32"),
    ],
)
def test_arguments_of_a_functional_model(options, kind, got):
    with pytest.raises(kind, match=f"got     {got}\n"):
        lstm()(keras.Input((6, 3)), **options())


def test_a_functional_model_broadcasts_no_state():
    values, h, c = keras.Input((None, 3)), keras.Input((4,)), keras.Input((4,))
    model = keras.Model([values, h, c], lstm()(values, initial_state=[h, c]))
    with pytest.raises(so.StateError, match=r"initial_state 'h'(.|\n)*got     shape \(1, 4\)"):
        model([X, STATE[:1], STATE[:1]])
