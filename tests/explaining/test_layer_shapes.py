"""Shapes that a layer of Keras refuses or mixes up: which layer, which axes, and the user's own line put right."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.scripts import HOME, run_text

if keras.backend.backend() != HOME:
    pytest.skip("the same on every backend", allow_module_level=True)

pytestmark = pytest.mark.backend

BEGIN = """
import numpy as np, keras
from keras import layers
rng = np.random.default_rng(0)
inputs = keras.Input((20, 5))
"""


def judged(text, folder):
    report, _, errors = run_text(BEGIN + text, folder)
    return report, f"{report}\n{errors}"


# What is written, the code, and what the finding has to say.
REFUSED = {
    # Last outputs before layers that read sequences.
    "through other layers": (
        "def build():\n    h = layers.Bidirectional(layers.GRU(6), name='lower')(inputs)\n"
        "    return layers.SimpleRNN(3)(layers.Dense(9)(layers.BatchNormalization()(h)))\nbuild()",
        "SO111",
        ["layers.Bidirectional(layers.GRU(6, return_sequences=True), name='lower')", "last output", "time 20"],
    ),
    "conv1d": ("layers.Conv1D(8, 3)(layers.LSTM(7)(inputs))", "SO111", ["LSTM(7, return_sequences=True)", "Conv1D"]),
    "pooling": ("layers.MaxPooling1D(2)(layers.GRU(7)(inputs))", "SO111", ["GRU(7, return_sequences=True)"]),
    "average over time": (
        "layers.GlobalAveragePooling1D()(layers.GRU(8)(inputs))",
        "SO111",
        ["GRU(8, return_sequences=True)"],
    ),
    "time distributed": (
        "layers.TimeDistributed(layers.Dense(2))(layers.SimpleRNN(7)(inputs))",
        "SO111",
        ["SimpleRNN(7, return_sequences=True)", "units 7"],
    ),
    "a subclass": (
        "class Net(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a, self.drop, self.b = layers.GRU(6), layers.Dropout(0.1), layers.GRU(4)\n"
        "    def call(self, x):\n        return self.b(self.drop(self.a(x)))\n"
        "net = Net()\nnet.compile('adam', 'mse')\nnet.fit(rng.random((4, 20, 5)), np.zeros((4, 4)), verbose=0)",
        "SO111",
        ["layers.GRU(6, return_sequences=True)", "through Dropout"],
    ),
    "not built before": (
        "model = keras.Sequential([layers.LSTM(6), layers.LSTM(3)])\nmodel.compile('adam', 'mse')\n"
        "model.fit(rng.random((4, 20, 5)), np.zeros((4, 3)), verbose=0)",
        "SO111",
        ["layers.LSTM(6, return_sequences=True)"],
    ),
    "heads of attention": (
        "h = layers.LSTM(8)(inputs)\nh = layers.MultiHeadAttention(2, 4)(h, h)\n"
        "keras.Model(inputs, h)(rng.random((4, 20, 5)))",
        "SO111",
        ["LSTM(8, return_sequences=True)"],
    ),
    "a decoder": (
        "layers.LSTM(5, return_sequences=True, name='decoder')(layers.LSTM(7)(inputs))",
        "SO111",
        ["RepeatVector(20)", "LSTM(7, return_sequences=True)"],
    ),
    # Steps taken away by others.
    "flatten": ("layers.LSTM(4)(layers.Flatten()(inputs))", "SO127", ["Flatten", "features 100", "time 20"]),
    "one step taken": (
        "layers.LSTM(7)(layers.LSTM(7, return_sequences=True)(inputs)[:, -1])",
        "SO127",
        ["indexing", "time 20"],
    ),
    "global pooling": (
        "layers.GRU(4)(layers.GlobalMaxPooling1D()(layers.Conv1D(8, 3)(inputs)))",
        "SO127",
        ["GlobalMaxPooling1D", "time 18"],
    ),
    "time distributed around a recurrent layer": (
        "layers.TimeDistributed(layers.LSTM(4))(inputs)",
        "SO127",
        ["layers.LSTM(4, return_sequences=True)        # without TimeDistributed"],
    ),
    "repeated sequence": (
        "layers.RepeatVector(20)(layers.GRU(7, return_sequences=True)(inputs))",
        "SO128",
        ["layers.GRU(7, return_sequences=False)", "last output", "time 20"],
    ),
    "images": (
        "layers.LSTM(5)(layers.MaxPooling2D()(layers.Conv2D(4, 3)(keras.Input((16, 16, 1)))))",
        "SO138",
        ["layers.Reshape((7, 28))", "ndim=4"],
    ),
    "frames": (
        "model = keras.Sequential([layers.LSTM(4)])\nmodel.predict(rng.random((3, 5, 8, 8, 3)), verbose=0)",
        "SO138",
        ["Reshape((5, 192))", "ConvLSTM2D"],
    ),
    "an axis of length one": (
        "model = keras.Sequential([layers.GRU(4)])\nmodel.predict(rng.random((30, 1, 20, 3)), verbose=0)",
        "SO138",
        ["squeeze(1)", "(30, 20, 3)"],
    ),
    # Inputs that were declared with an axis too many or too few.
    "samples in the shape": (
        "x = rng.random((24, 9, 3))\nlayers.Conv1D(4, 3)(keras.Input(shape=x.shape))",
        "SO112",
        ["24, the number of samples of x", "keras.Input(shape=(9, 3))        # or x.shape[1:]"],
    ),
    "samples of ids": (
        "ids = rng.integers(1, 9, (24, 9))\nlayers.LSTM(4)(layers.Embedding(9, 4)(keras.Input(ids.shape)))",
        "SO112",
        ["24, the number of samples of ids", "keras.Input((9,))"],
    ),
    "batch size in the shape": (
        "batch_size = 32\nx = rng.random((300, 9, 3))\nlayers.SimpleRNN(4)(keras.Input((batch_size, 9, 3)))",
        "SO112",
        ["32, the batch size (batch_size)", "keras.Input((9, 3))"],
    ),
    "open batch in the shape": (
        "keras.Sequential([layers.GRU(4, input_shape=(None, 9, 3))])",
        "SO112",
        ["layers.GRU(4, input_shape=(9, 3))", "batch axis"],
    ),
    "no features": (
        "data = rng.random((30, 9, 3))\nlayers.GRU(4)(keras.Input(shape=(9,)))",
        "SO129",
        ["keras.Input(shape=(9, 3))", "axis of features is missing"],
    ),
    "no time": (
        "data = rng.random((30, 9, 3))\nlayers.GRU(4)(keras.Input(shape=(3,)))",
        "SO129",
        ["keras.Input(shape=(9, 3))", "axis of time is missing"],
    ),
    "a series": (
        "timesteps = 9\nx = rng.random((30, 9))\nlayers.Conv1D(4, 2)(keras.Input(shape=(timesteps,)))",
        "SO129",
        ["keras.Input(shape=(9, 1))", "x = x[..., None]"],
    ),
    "a number for a shape": (
        "keras.Sequential([layers.LSTM(4, input_shape=(9))])",
        "SO130",
        ["layers.LSTM(4, input_shape=(9, 1))", "without a comma"],
    ),
    "a number with data": (
        "data = rng.random((30, 9, 3))\nlayers.GRU(4)(keras.Input(shape=9))",
        "SO130",
        ["keras.Input(shape=(9, 3))"],
    ),
    "ids": (
        "ids = rng.integers(1, 50, (30, 9))\nlayers.LSTM(4)(keras.Input((9,), dtype='int32'))",
        "SO137",
        ["layers.Embedding(50, 32)", "ndim=2"],
    ),
    "ids given to fit": (
        "words = rng.integers(1, 50, (30, 9))\nmodel = keras.Sequential([layers.GRU(4)])\n"
        "model.compile('adam', 'mse')\nmodel.fit(words, np.zeros((30, 4)), verbose=0)",
        "SO137",
        ["layers.Embedding(50, 32)"],
    ),
    # Lengths and features.
    "a long kernel": (
        "layers.Conv1D(8, 3, dilation_rate=4)(keras.Input((8, 5)))",
        "SO131",
        ["9 steps", "kernel_size=3 with dilation_rate=4"],
    ),
    "a long pool": (
        "layers.AveragePooling1D(4)(layers.Conv1D(8, 4)(keras.Input((6, 5))))",
        "SO131",
        ["pool_size=4", "has made 3 of 6"],
    ),
    "a long kernel, open steps": (
        "model = keras.Sequential([keras.Input((None, 5)), layers.Conv1D(8, 5)])\nmodel.predict(rng.random((4, 3, 5)))",
        "SO131",
        ["5 steps", "gets 3"],
    ),
    "shared": (
        "shared = layers.Dense(4)\nshared(inputs)\nshared(keras.Input((20, 7)))",
        "SO136",
        ["features 7", "features 5"],
    ),
    "shared recurrent layer": (
        "shared, other = layers.LSTM(4), keras.Input((20, 7))\n"
        "model = keras.Model([inputs, other], layers.Concatenate()([shared(inputs), shared(other)]))\n"
        "model([rng.random((2, 20, 5)), rng.random((2, 20, 7))])",
        "SO136",
        ["features 7", "features 5"],
    ),
    "steps beside steps": (
        "a = layers.LSTM(4, return_sequences=True)(inputs)\n"
        "b = layers.GRU(4, return_sequences=True)(keras.Input((10, 3)))\nlayers.Concatenate()([a, b])",
        "SO132",
        ["time 20", "time 10", "Concatenate(axis=1)", "Attention"],
    ),
    "a sum": (
        "a = layers.LSTM(4, return_sequences=True)(inputs)\n"
        "b = layers.LSTM(4, return_sequences=True)(keras.Input((10, 3)))\na + b",
        "SO132",
        ["time 20", "time 10"],
    ),
    "query and value exchanged": (
        "a = layers.LSTM(4, return_sequences=True)(inputs)\n"
        "b = layers.LSTM(4, return_sequences=True)(keras.Input((10, 3)))\n"
        "layers.Concatenate()([b, layers.Attention()([a, b])])",
        "SO132",
        ["its query", "20", "10 steps first"],
    ),
    "a sequence beside a vector": (
        "layers.concatenate([layers.LSTM(4, return_sequences=True)(inputs), layers.GRU(4)(inputs)])",
        "SO132",
        ["layers.GRU(4, return_sequences=True)", "RepeatVector(20)"],
    ),
    "residual": (
        "layers.Add()([layers.LSTM(4, return_sequences=True)(inputs), inputs])",
        "SO132",
        ["units 4", "units 5"],
    ),
}


@pytest.mark.parametrize(("text", "code", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_layer_refuses_is_explained(text, code, words, tmp_path):
    report, said = judged(text, tmp_path)
    assert code in report.codes, said
    assert [one for one in words if one not in said] == []
    assert "SO001" not in report.codes


SILENT = {
    "attention": (
        "h = layers.LSTM(7)(inputs)\nlayers.Attention()([h, h])",
        "SO135",
        ["layers.LSTM(7, return_sequences=True)", "rows of"],
    ),
    "a vector as query": (
        "h, s = layers.GRU(7, return_sequences=True, return_state=True)(inputs)\nlayers.AdditiveAttention()([s, h])",
        "SO135",
        ["layers.Reshape((1, 7))(query)"],
    ),
    "reshape layer": ("layers.LSTM(3)(layers.Reshape((5, 20))(inputs))", "SO133", ["layers.Permute((2, 1))"]),
}


@pytest.mark.parametrize(("text", "code", "words"), SILENT.values(), ids=SILENT)
def test_what_a_layer_mixes_up_is_explained(text, code, words, tmp_path):
    report, said = judged(text, tmp_path)
    assert report.exit == 0
    assert report.codes == [code], said
    assert [one for one in words if one not in said] == []


RIGHT = {
    "autoencoder": "h = layers.LSTM(4)(inputs)\nh = layers.RepeatVector(20)(h)\n"
    "layers.TimeDistributed(layers.Dense(5))(layers.LSTM(4, return_sequences=True)(h))",
    "attention": "h, s = layers.GRU(4, return_sequences=True, return_state=True)(inputs)\n"
    "layers.Attention()([layers.Reshape((1, 4))(s), h])\nlayers.MultiHeadAttention(2, 4)(h, h)",
    "convolutions": "h = layers.Conv1D(4, 25, padding='same')(inputs)\nh = layers.Conv1D(4, 5, padding='causal')(h)\n"
    "layers.LSTM(3)(layers.MaxPooling1D(50, padding='same')(h))",
    "shared": "shared = layers.LSTM(4, return_sequences=True)\n"
    "layers.Concatenate(axis=1)([shared(inputs), shared(keras.Input((10, 5)))])",
    "images": "h = layers.TimeDistributed(layers.Conv2D(2, 3))(keras.Input((4, 8, 8, 1)))\n"
    "layers.LSTM(3)(layers.TimeDistributed(layers.Flatten())(h))\n"
    "layers.ConvLSTM2D(2, 3)(keras.Input((4, 8, 8, 1)))",
    "permute": "h = layers.Permute((2, 1))(inputs)\nlayers.LSTM(4)(layers.Reshape((10, 10))(h))",
    "embedding": "h = layers.Embedding(50, 8)(keras.Input((12,)))\n"
    "layers.GlobalMaxPooling1D()(layers.Bidirectional(layers.LSTM(4, return_sequences=True))(h))",
    "broadcast": "h = layers.LSTM(4, return_sequences=True)(inputs)\nlayers.Add()([h, layers.LSTM(4)(inputs)])",
    "an error that is caught": "try:\n    layers.LSTM(4)(keras.Input((20,)))\nexcept ValueError:\n    pass\n"
    "layers.LSTM(4)(keras.Input((20, 1)))",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_right_layers_are_left_alone(text, tmp_path):
    report, said = judged(text, tmp_path)
    assert (report.exit, report.codes) == (0, []), said
