"""The native kernels in Keras's own loops on JAX: fit, predict, vectorized_map and export."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.kernels import Declined, native
from tests.kernels.jax_cases import adapter

LENGTHS = [5, 12, 1, 0]


def kernels_of(model: Any) -> set[str]:
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, so.LSTM | so.GRU | so.SimpleRNN)]
    return {layer.explain().kernel.name for layer in layers}


def both_ways(monkeypatch: pytest.MonkeyPatch, work: Any) -> tuple[Any, Any]:
    """What ``work`` returns with native kernels, and without."""
    natively = work("native")
    with monkeypatch.context() as patch:
        patch.setattr(native, "declines", lambda request: Declined("switched off"))
        return natively, work("portable")


def test_fit_and_predict_as_with_the_portable_kernel(monkeypatch):
    def work(kernel: str) -> Any:
        rng = np.random.default_rng(2)
        values = [rng.normal(size=(length, 3)).astype("float32") for length in LENGTHS]
        targets = [rng.normal(size=(length, 1)).astype("float32") for length in LENGTHS]
        data = so.Sequences.from_list(values, targets=targets)
        keras.utils.set_random_seed(3)
        layers = [
            so.LSTM(8, return_sequences=True, dropout=0.1),
            so.GRU(5, return_sequences=True, reset_after=False),
            keras.layers.Dense(1),
        ]
        model = so.SequenceModel(layers)
        model.compile("sgd", "mse")
        whole = model.fit(data, batch_size=4, verbose=0).history["loss"]
        chunked = model.fit(data, batch_size=4, chunk=6, epochs=2, verbose=0).history["loss"]
        assert kernels_of(model) == {kernel}
        predicted = model.predict(data, verbose=0)
        return whole, chunked, np.concatenate([predicted[k] for k in range(len(LENGTHS))])

    natively, portably = both_ways(monkeypatch, work)
    for got, wanted in zip(natively, portably, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_both_directions_and_last_states_in_a_plain_model(monkeypatch):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6, 5, 3)).astype("float32")

    def work(kernel: str) -> Any:
        keras.utils.set_random_seed(5)
        layers = [so.Bidirectional(so.LSTM(4, return_sequences=True)), so.GRU(3), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((None, 3)), keras.layers.Masking(), *layers])
        model.compile("sgd", "mse")
        history = model.fit(x, x.sum((1, 2)), epochs=2, verbose=0, shuffle=False).history["loss"]
        assert kernels_of(model) == {kernel}
        return history, model.predict(x, verbose=0)

    natively, portably = both_ways(monkeypatch, work)
    for got, wanted in zip(natively, portably, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_mapped_by_keras(monkeypatch):
    """TimeDistributed of an unknown number of steps maps its layer with jax.vmap."""
    x = np.random.default_rng(6).normal(size=(2, 7, 4, 3)).astype("float32")

    def work(kernel: str) -> Any:
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [keras.Input((None, 4, 3)), keras.layers.TimeDistributed(so.LSTM(5)), keras.layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        model.fit(x, x.sum((2, 3))[..., None], epochs=2, verbose=0)
        assert kernels_of(model) == {kernel}
        return model.predict(x, verbose=0)

    natively, portably = both_ways(monkeypatch, work)
    np.testing.assert_allclose(natively, portably, rtol=1e-5, atol=1e-6)


def test_a_graph_of_tensorflow_gets_the_portable_kernel():
    tensorflow = pytest.importorskip("tensorflow")
    jax2tf = pytest.importorskip("jax.experimental.jax2tf")
    layer = so.LSTM(4)
    x = np.random.default_rng(8).normal(size=(2, 5, 3)).astype("float32")
    wanted = np.asarray(layer(x))
    assert layer.explain().kernel.name == "native"

    converted = tensorflow.function(jax2tf.convert(layer), autograph=False)(tensorflow.constant(x))

    np.testing.assert_allclose(converted.numpy(), wanted, rtol=0, atol=1e-6)
    assert "'native' declined: jax2tf" in str(layer.explain())
    assert adapter.native_reason() is None
