"""Which kernel is chosen and why, and that the choice changes no result."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

import sostenuto as so
from sostenuto.kernels import Request, native, native_module, select
from tests.gradients import gradients

BACKEND = keras.backend.backend()
FEATURES, UNITS = 3, 4

needs_native = pytest.mark.skipif(
    native_module.why_not() is not None, reason=f"no native module: {native_module.why_not()}"
)


@pytest.fixture
def without(monkeypatch):
    """Does without the native module, for a reason."""
    return lambda reason="SOSTENUTO_NATIVE=0 is set": monkeypatch.setattr(native, "_absence", [reason])


def explained(cell, **options):
    return str(select(Request(cell, **{"backend": BACKEND, "dtype": "float32", **options})))


def refusal(cell, **options):
    selection = select(Request(cell, **{"backend": BACKEND, "dtype": "float32", **options}))
    assert selection.kernel.name != "native"
    return dict(selection.declined)["native"]


class Doubled(keras.layers.LSTMCell):
    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training)
        return 2 * output, states


class Plain(keras.layers.GRUCell):
    """Adds nothing to the sums."""


@needs_native
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (keras.layers.LSTMCell(UNITS), {}),
        (keras.layers.GRUCell(UNITS), {"masked": True}),
        (keras.layers.GRUCell(UNITS, reset_after=False), {"unroll": True}),
        (keras.layers.SimpleRNNCell(UNITS), {"training": True}),
        (so.LSTMCell(UNITS, use_bias=False), {}),
        (Plain(UNITS), {}),
        (keras.layers.LSTMCell(UNITS, implementation=1), {"training": True}),
        (keras.layers.LSTMCell(UNITS, dropout=0.5), {"training": True}),
        (keras.layers.LSTMCell(UNITS, dropout=0.5, implementation=1), {"training": True}),
        (keras.layers.GRUCell(UNITS, recurrent_dropout=0.5), {"training": True}),
        (keras.layers.SimpleRNNCell(UNITS, dropout=0.5, recurrent_dropout=0.5), {"training": True}),
    ],
)
def test_native_takes(cell, options):
    selection = select(Request(cell, BACKEND, "float32", **options))
    assert (selection.kernel.name, selection.declined) == ("native", ())


@pytest.mark.parametrize(
    ("cell", "options", "reason"),
    [
        (Doubled(UNITS), {}, "Doubled has a call() of its own"),
        (so.StackedRNNCells([so.LSTMCell(UNITS)]), {}, "StackedRNNCells has a call() of its own"),
        (keras.layers.LSTMCell(UNITS), {"dtype": "float16"}, "it computes in float32, not in float16"),
        (keras.layers.LSTMCell(UNITS, "relu"), {}, "its activation is tanh, not relu"),
        (keras.layers.SimpleRNNCell(UNITS, None), {}, "its activation is tanh, not linear"),
        (keras.layers.GRUCell(UNITS, keras.layers.LeakyReLU()), {}, "its activation is tanh, not LeakyReLU"),
        (
            keras.layers.GRUCell(UNITS, recurrent_activation="hard_sigmoid"),
            {},
            "its recurrent activation is sigmoid, not hard_sigmoid",
        ),
        (keras.layers.LSTMCell(UNITS), {"backend": "numpy"}, "it has no adapter for the backend 'numpy'"),
    ],
)
def test_native_declines(cell, options, reason):
    assert refusal(cell, **options) == reason


@pytest.mark.parametrize("reason", ["SOSTENUTO_NATIVE=0 is set", "its import failed: no such symbol"])
def test_without_the_module(reason, without):
    without(reason)
    assert explained(keras.layers.LSTMCell(UNITS)) == (
        f"runs on kernel 'portable' ({BACKEND}, float32)\n  'native' declined: {reason}"
    )


def test_what_the_cell_cannot_is_said_before_what_the_process_lacks(without):
    without()
    assert explained(so.StackedRNNCells([so.LSTMCell(UNITS)])) == (
        f"runs on kernel 'cellwise' ({BACKEND}, float32)\n"
        "  'native' declined: StackedRNNCells has a call() of its own\n"
        "  'portable' declined: StackedRNNCells has a call() of its own"
    )


@needs_native
@pytest.mark.parametrize(("number", "words"), [(1, "1 thread"), (2, "2 threads")])
def test_target_and_threads_are_told(number, words, monkeypatch):
    module = SimpleNamespace(**{**vars(native_module.load()), "target": lambda: "avx2", "threads": lambda: number})
    monkeypatch.setattr(native_module, "load", lambda: module)
    if BACKEND == "torch":
        monkeypatch.setattr(native._adapter(BACKEND), "native", lambda: module)
    assert explained(keras.layers.LSTMCell(UNITS)) == f"runs on kernel 'native' ({BACKEND}, float32; avx2, {words})"


@needs_native
def test_a_layer_tells_its_kernel(without):
    layer = so.LSTM(UNITS)
    assert str(layer.explain()).startswith(f"runs on kernel 'native' ({BACKEND}, float32; ")
    layer(np.zeros((2, 5, FEATURES), "float32"))
    assert layer.explain().kernel.name == "native"
    without()
    layer(np.zeros((2, 5, FEATURES), "float32"))
    assert str(layer.explain()) == (
        f"runs on kernel 'portable' ({BACKEND}, float32)\n  'native' declined: SOSTENUTO_NATIVE=0 is set"
    )


@needs_native
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (so.LSTM, {"dropout": 0.4}),
        (so.GRU, {"dropout": 0.4, "reset_after": False}),
        (so.SimpleRNN, {"dropout": 0.4, "recurrent_dropout": 0.3}),
    ],
)
def test_dropout_is_that_of_the_portable_kernel(kind, settings, go_backwards, rng, without):
    """The same seed drops the same, and gradients know of it."""
    x = rng.normal(size=(6, 5, FEATURES)).astype("float32")
    mask = rng.random((6, 5)) < 0.7
    spoilt = np.where(mask[..., None], x, np.nan).astype("float32")
    weights, found = None, []
    for name in ("native", "portable"):
        if name == "portable":
            without()
        layer = kind(UNITS, return_sequences=True, seed=3, go_backwards=go_backwards, **settings)
        layer.build((None, None, FEATURES))
        weights = weights or [rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()]
        layer.set_weights(weights)
        d_outputs = np.random.default_rng(5).normal(size=(6, 5, UNITS)) * mask[..., None]

        def loss(values, layer=layer, d_outputs=d_outputs):
            outputs = layer(values, mask=ops.convert_to_tensor(mask), training=True)
            return ops.sum(outputs * ops.convert_to_tensor(d_outputs, "float32"))

        (d_x,), d_weights = gradients(loss, [spoilt], layer.trainable_variables)
        assert layer.explain().kernel.name == name
        assert np.isfinite(d_x).all()
        found.append([d_x, *d_weights])
    assert 0.1 < (found[0][0][mask] == 0).mean() < 0.7, "dropped inputs have no gradient"
    for got, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
