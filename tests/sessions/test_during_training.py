"""Sessions and predictions in the callbacks of a training that is under way: the weights are those of that moment."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import sostenuto as so

STEPS = 5


def model_of(native):
    head = keras.layers.Dense(1) if native else keras.layers.Dense(1, activation=lambda x: keras.ops.sin(x))
    model = so.SequenceModel([so.LSTM(3), head])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def data_of(rng):
    return rng.normal(size=(6, STEPS, 2)).astype("float32"), rng.normal(size=(6, 1)).astype("float32")


class Watch(keras.callbacks.Callback):
    """Steps a session and predicts after every batch."""

    def __init__(self, x):
        super().__init__()
        self.x, self.live, self.whole, self.alone = x, [], [], []

    def on_train_begin(self, logs=None):
        self.session = self.model.session()

    def on_train_batch_end(self, batch, logs=None):
        self.live.append(self.session.peek({"a": self.x[0]})["a"])
        self.whole.append(self.model.predict({"a": self.x[0]}, verbose=0)["a"])
        self.alone.append(np.asarray(keras.ops.convert_to_numpy(self.model.inner(self.x[:1])))[0])


@pytest.mark.parametrize("native", [True, False], ids=["native program", "backend"])
def test_a_callback_sees_the_weights_of_its_moment_and_disturbs_nothing(rng, native):
    x, y = data_of(rng)
    watched, plain = model_of(native), model_of(native)
    for model in (watched, plain):
        model.build(2)
    plain.set_weights(watched.get_weights())
    watch = Watch(x)
    watched.fit(x, y, batch_size=2, epochs=2, shuffle=False, callbacks=[watch], verbose=0)
    plain.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    assert len(watch.live) == 6
    np.testing.assert_allclose(watch.live, watch.alone, atol=1e-6)
    np.testing.assert_allclose(watch.whole, watch.alone, atol=1e-6)
    assert len({float(answer[0]) for answer in watch.live}) == 6, "the weights change from batch to batch"
    for one, other in zip(watched.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("verb", ["step", "predict"])
@pytest.mark.parametrize("native", [True, False], ids=["native program", "backend"])
def test_weights_that_another_training_holds(rng, native, verb):
    x, y = data_of(rng)
    model = model_of(native)
    model.build(2)
    session = model.session()
    ask = session.step if verb == "step" else lambda one: model.predict(one, verbose=0)
    outer = keras.Sequential([*model.inner.layers])
    outer.compile("sgd", "mse")
    found = []

    class Ask(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            try:
                found.append(ask({"a": x[0]})["a"])
            except so.ModelError as error:
                found.append(str(error))

    outer.fit(x, y, batch_size=3, callbacks=[Ask()], verbose=0)
    if keras.backend.backend() != "jax":
        assert all(isinstance(answer, np.ndarray) for answer in found)
        return
    path = model.inner.layers[0].cell.kernel.path
    assert found[0] == (
        "The weights of this model are with a training that is under way.\n"
        f"  where   weight {path!r}\n"
        "  got     no value: on JAX, fit keeps the weights to itself between its steps\n"
        "  wanted  a weight that can be read\n"
        "  fix     call jax_state_sync() of the model that is being fitted first, or wait for the end of the epoch\n"
        "  more    sostenuto explain SO610"
    )
    assert "a" not in session.ids(), "nothing of a refused step is kept"
