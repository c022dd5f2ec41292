"""Data whose axes are not what a model reads, where Keras says little or nothing; right data is left alone."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.scripts import HOME, run_text

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()

BEGIN = """
import numpy as np, keras
from keras import layers
rng = np.random.default_rng(0)

def make(shape, layer=layers.LSTM, **options):
    inputs = keras.Input(shape)
    return compiled(keras.Model(inputs, layers.Dense(1)(layer(4, **options)(inputs))))

def stacked(*below):
    return compiled(keras.Sequential([*below, layers.Dense(1)]))

def compiled(model):
    model.compile("adam", "mse")
    return model

class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = layers.Bidirectional(layers.GRU(4)), layers.Dense(1)
    def call(self, x):
        return self.head(self.rnn(x))

def numbers(*shape):
    return rng.normal(size=shape).astype("float32")

y = np.zeros((12, 1), "float32")
"""


def judged(text, folder):
    report, _, errors = run_text(BEGIN + text, folder)
    return report, f"{report}\n{errors}"


# What is written, the code, and what the finding has to say. These pass through compiled code of each backend.
EVERYWHERE = {
    "swapped, sequential": (
        "model = stacked(keras.Input((None, 4)), layers.Bidirectional(layers.GRU(4)))\n"
        "x = numbers(12, 4, 50)\nmodel.fit(x, y, verbose=0)",
        ["SO102"],
        ["50", "x.transpose(0, 2, 1)"],
    ),
    "swapped, prediction only": (
        "net = compiled(Net())\nx = numbers(12, 50, 4)\nnet.fit(x, y, verbose=0)\n"
        "net.predict(x.transpose(0, 2, 1), verbose=0)",
        ["SO102"],
        ["4", "50"],
    ),
    "one feature less": (
        "model = make((20, 8), layers.SimpleRNN)\nx = numbers(12, 20, 8)\nmodel.fit(x, y, verbose=0)\n"
        "model.predict(x[:, :, :7], verbose=0)",
        ["SO103"],
        ["8", "7"],
    ),
    "one window": (
        "net = compiled(Net())\nx = numbers(12, 20, 3)\nnet.fit(x, y, verbose=0)\nnet.predict(x[5], verbose=0)",
        ["SO116"],
        ["net.predict(x[5][None], verbose=0)"],
    ),
    "one series": (
        "model = make((20, 1))\nseries = numbers(90)\nmodel.predict(series[:20], verbose=0)",
        ["SO116"],
        ["model.predict(series[:20][None, :, None], verbose=0)"],
    ),
    "a table": (
        "model = make((10, 6))\ntable = numbers(12, 6)\nmodel.fit(table, y, verbose=0)",
        ["SO129"],
        ["for i in range(len(table) - 10)", "y[10:]", "ndim=2"],
    ),
    "a table for a model that is not built": (
        "model = stacked(layers.GRU(4))\ntable = numbers(12, 6)\nmodel.fit(table, y, verbose=0)",
        ["SO129"],
        ["(12, 6)", "table[..., None]", "ndim=2"],
    ),
    "one number per step": (
        "model = make((20, 8))\nx = numbers(12, 20)\nmodel.predict(x, verbose=0)",
        ["SO129"],
        ["axis of features is missing", "features 8"],
    ),
    "targets of all rows": (
        "model = make((5, 4))\ntable = numbers(17, 4)\nx = np.stack([table[i : i + 5] for i in range(12)])\n"
        "model.fit(x, table[:, 0], verbose=0)",
        ["SO134"],
        ["model.fit(x, table[:, 0][5:], verbose=0)", "12 samples", "17 samples"],
    ),
    "time in front": (
        "model = make((None, 4))\nx = numbers(50, 12, 4)\nmodel.fit(x, y, verbose=0)",
        ["SO126"],
        ["x.swapaxes(0, 1)"],
    ),
    "a window of one feature": (
        "model = make((12, 1), layers.GRU)\nx = numbers(30, 12, 1)\nmodel.predict(x[3], verbose=0)",
        ["SO116"],
        ["model.predict(x[3][None], verbose=0)", "12 sequences of one step"],
    ),
    "a window in a call": (
        "model = make((12, 1), layers.SimpleRNN)\nx = numbers(30, 12, 1)\nmodel(x[3])",
        ["SO116"],
        ["model(x[3][None])", "12 sequences of one step"],
    ),
    "a dataset of windows": (
        "class Windows(keras.utils.PyDataset):\n    def __len__(self):\n        return 3\n"
        "    def __getitem__(self, i):\n        return numbers(12, 1), np.zeros((1,))\n"
        "model = make((12, 1))\nmodel.fit(Windows(), verbose=0)",
        ["SO116"],
        ["x[None]", "12 sequences of one step"],
    ),
    "a generator of series": (
        "def windows():\n    while True:\n        yield numbers(12), numbers(1)\n"
        "model = make((12, 1))\nmodel.fit(windows(), steps_per_epoch=3, verbose=0)",
        ["SO116"],
        ["yield x[None, :, None]"],
    ),
    "time in front, unnoticed": (
        "model = stacked(keras.Input((50, 4)), layers.LSTM(3))\nx = numbers(50, 12, 4)\nmodel.predict(x, verbose=0)",
        ["SO126"],
        ["x.swapaxes(0, 1)", "50 sequences of 12 steps"],
    ),
    "reshape": (
        "model = make((50, 4))\nraw = numbers(12, 4, 50)\nmodel.fit(raw.reshape(12, 50, 4), y, verbose=0)",
        ["SO133"],
        ["raw", "transpose(0, 2, 1)", "(12, 4, 50)"],
    ),
}


@pytest.mark.parametrize(("text", "codes", "words"), EVERYWHERE.values(), ids=EVERYWHERE)
def test_data_with_other_axes_is_explained(text, codes, words, tmp_path):
    report, said = judged(text, tmp_path)
    assert report.codes == codes, said
    assert [one for one in words if one not in said] == []


# Rules that look at data and source alone are the same on every backend.
HERE = {
    "a long series": (
        "model = make((20, 1))\nseries = numbers(90)\nmodel.predict(series, verbose=0)",
        ["SO116"],
        ["for i in range(len(series) - 20)"],
    ),
    "one sequence and a target for each step": (
        "model = make((None, 4))\nx = numbers(12, 4)\nmodel.fit(x.reshape(1, 12, 4), y, verbose=0)",
        ["SO134"],
        ["y[None]", "return_sequences=True"],
    ),
    "parts of a split": (
        "model = make((5, 4))\nx_train, y_train = numbers(15, 5, 4), numbers(15)\ny_test = numbers(6)\n"
        "model.fit(x_train, y_test, verbose=0)",
        ["SO134"],
        ["model.fit(x_train, y_train, verbose=0)", "15 samples"],
    ),
    "validation": (
        "model = make((5, 4))\nx = numbers(12, 5, 4)\nmodel.fit(x, y, validation_data=(x[:5], y[:6]), verbose=0)",
        ["SO134"],
        ["x[:5]", "5 samples", "6 samples"],
    ),
    "reshape of itself": (
        "model = make((50, 4), layers.GRU)\nx = numbers(12, 4, 50)\n"
        "x = np.reshape(x, (x.shape[0], x.shape[2], x.shape[1]))\nmodel.fit(x, y, verbose=0)",
        ["SO133"],
        ["x = x.transpose(0, 2, 1)"],
    ),
    "reshape, copied and cut": (
        "model = make((50, 4))\nraw = rng.normal(size=(14, 4, 50))\nx = raw.reshape(-1, 50, 4).astype('float32')\n"
        "model.fit(x[:12], y, verbose=0)",
        ["SO133"],
        ["raw.transpose(0, 2, 1)"],
    ),
    "reshape of a table": (
        "model = make((50, 1))\ntable = numbers(50, 12)\nx = table.reshape(12, 50, 1)\nmodel.fit(x, y, verbose=0)",
        ["SO133"],
        ["x = table.T[..., None]"],
    ),
    "reshape of time and batch": (
        "model = make((50, 4))\nraw = numbers(50, 12, 4)\nx = raw.reshape(12, 50, 4)\nmodel.fit(x, y, verbose=0)",
        ["SO133"],
        ["x = raw.transpose(1, 0, 2)"],
    ),
    "names of sizes": (
        "n_channels, n_steps = 4, 50\nx = numbers(12, n_channels, n_steps)\nmodel = make(x.shape[1:])\n"
        "model.fit(x, y, verbose=0)",
        ["SO102"],
        ["n_channels=4", "n_steps=50", "x.transpose(0, 2, 1)"],
    ),
    "names of sizes, and a convolution first": (
        "n_channels, n_times = 6, 100\nt = np.linspace(0, 1, n_times)\n"
        "emg = rng.normal(size=(12, n_channels, 1)) * np.sin(t)\n"
        "emg += rng.normal(size=(12, n_channels, n_times))\n"
        "model = stacked(keras.Input(shape=emg.shape[1:]), layers.Conv1D(4, 3), layers.LSTM(3))\n"
        "model.fit(emg, y, verbose=0)",
        ["SO102"],
        [
            "n_channels=6",
            "n_times=100",
            "Conv1D",
            "takes axis 1 for time",
            "emg = emg.transpose(0, 2, 1)",
            "(12, 100, 6)",
        ],
    ),
    "names of sizes in a function": (
        "def load(n, n_electrodes=6, n_samples=40):\n"
        "    return np.zeros((n, n_electrodes, n_samples)) + rng.normal(size=n_samples)\n"
        "eeg = load(12)\ni = keras.Input((6, 40))\n"
        "o = layers.Dense(1)(layers.GRU(3)(layers.BatchNormalization()(i)))\n"
        "compiled(keras.Model(i, o)).fit(eeg[:10], y[:10], verbose=0)",
        ["SO102"],
        ["n_electrodes=6", "n_samples=40", "eeg = eeg.transpose(0, 2, 1)", "keras.Input((40, 6))"],
    ),
    "names of sizes in a shape that is unpacked": (
        "def load():\n    return numbers(12, 5, 30)\nx_train = load()\nn, sensors, timesteps = x_train.shape\n"
        "model = stacked(keras.Input(shape=(sensors, timesteps)), layers.SimpleRNN(3))\n"
        "model.fit(x_train, y, verbose=0)",
        ["SO102"],
        ["sensors=5", "timesteps=30", "x_train = x_train.transpose(0, 2, 1)", "keras.Input(shape=(30, 5))"],
    ),
    "names of sizes in a reshape, as many samples as steps": (
        "n_leads, length = 3, 12\nflat = numbers(12, n_leads * length)\necg = flat.reshape(12, n_leads, length)\n"
        "model = stacked(keras.Input(shape=ecg.shape[1:]), layers.Dropout(0.1), layers.LSTM(3))\n"
        "model.fit(ecg, y, verbose=0)",
        ["SO102"],
        ["n_leads=3", "length=12", "ecg = ecg.transpose(0, 2, 1)"],
    ),
    "names of time and samples": (
        "num_series, timesteps = 9, 15\nx = numbers(timesteps, num_series, 4)\n"
        "model = make((None, 4), return_sequences=True)\nmodel.fit(x, x[..., :1], verbose=0)",
        ["SO126"],
        ["timesteps=15", "x.swapaxes(0, 1)"],
    ),
}


@pytest.mark.parametrize(("text", "codes", "words"), HERE.values(), ids=HERE)
def test_what_data_and_source_tell(text, codes, words, tmp_path):
    if BACKEND != HOME:
        pytest.skip("the same on every backend")
    report, said = judged(text, tmp_path)
    assert report.codes == codes, said
    assert [one for one in words if one not in said] == []


RIGHT = {
    "windows": "model, x = make((20, 3)), numbers(12, 20, 3)\nmodel.fit(x, y, verbose=0)\n"
    "model.predict(x[:1], verbose=0)\nmodel(x[0][None])\nmodel.predict(numbers(20, 20, 3), verbose=0)",
    "one number per step": "model, x = make((12, 1)), numbers(12, 12)\nmodel.fit(x, y, verbose=0)\nmodel(x[:1])",
    "other steps": "model = stacked(keras.Input((12, 3)), layers.LSTM(4))\nmodel.predict(numbers(7, 50, 3), verbose=0)",
    "transposed": "model, raw = make((50, 4)), numbers(12, 4, 50)\nx = np.ascontiguousarray(raw.transpose(0, 2, 1))\n"
    "model.fit(x, y, verbose=0)\nmodel.fit(np.swapaxes(raw, 1, 2), y, verbose=0)",
    "reshaped": "model, flat, table = make((10, 3)), numbers(12, 30), numbers(120, 3)\nwide = numbers(12, 10)\n"
    "model.fit(flat.reshape(12, 10, 3), y, verbose=0)\nmodel.fit(table.reshape(-1, 10, 3), y, verbose=0)\n"
    "make((10, 1)).fit(np.reshape(wide, (wide.shape[0], wide.shape[1], 1)), y, verbose=0)",
    "sliding windows": "series = numbers(60, 3)\n"
    "x = np.lib.stride_tricks.sliding_window_view(series, 10, axis=0).transpose(0, 2, 1)[:12]\n"
    "make((10, 3)).fit(x, series[10:22, :1], verbose=0)",
    "step by step": "inputs = keras.Input(batch_shape=(1, 1, 1))\n"
    "model = keras.Model(inputs, layers.LSTM(4, stateful=True)(inputs))\n"
    "for value in (0.1, 0.2, 0.3):\n    model(np.array([[[value]]], 'float32'))",
    "a generator": "def batches():\n    while True:\n        yield numbers(20, 20, 1), numbers(20, 1)\n"
    "make((20, 1)).fit(batches(), steps_per_epoch=2, verbose=0)",
    "a dataset": "class Windows(keras.utils.PyDataset):\n    def __len__(self):\n        return 3\n"
    "    def __getitem__(self, i):\n        return numbers(12, 12, 1), numbers(12, 1)\n"
    "make((12, 1)).fit(Windows(), verbose=0)",
    "names of sizes": "n_steps, n_features, n_samples = 20, 3, 12\nx = numbers(n_samples, n_steps, n_features)\n"
    "make(x.shape[1:]).fit(x, y, verbose=0)",
    "channels first, transposed": "n_channels, n_times = 6, 40\nemg = numbers(12, n_channels, n_times)\n"
    "x = emg.transpose(0, 2, 1)\nstacked(keras.Input(x.shape[1:]), layers.Conv1D(4, 3), layers.LSTM(3)).fit(x, y, "
    "verbose=0)",
    "channels first, for a layer that turns them": "n_channels, n_times = 6, 40\n"
    "emg = numbers(12, n_channels, n_times)\n"
    "stacked(keras.Input(emg.shape[1:]), layers.Permute((2, 1)), layers.LSTM(3)).fit(emg, y, verbose=0)\n"
    "i = keras.Input(emg.shape[1:])\nturned = layers.LSTM(3)(keras.ops.transpose(i, (0, 2, 1)))\n"
    "compiled(keras.Model(i, layers.Dense(1)(turned))).fit(emg, y, verbose=0)",
    "sizes listed in another order": "n_samples, n_features, n_steps = 12, 3, 20\n"
    "x = rng.normal(size=(n_samples, n_steps, n_features))\n"
    "stacked(keras.Input(x.shape[1:]), layers.Conv1D(4, 3), layers.LSTM(3)).fit(x, y, verbose=0)",
    "samples in front": "def load(n_samples, n_steps=9, n_sensors=4):\n"
    "    return np.zeros((n_samples, n_steps, n_sensors)) + rng.normal(size=(n_samples, 1, n_sensors))\n"
    "x = load(12)\nmake(x.shape[1:], layers.GRU).fit(x, y, verbose=0)",
    "targets per step": "x = numbers(12, 20, 3)\nmodel = make((None, 3), return_sequences=True)\n"
    "model.fit(x, x[..., :1], validation_data=(x[:5], x[:5, :, :1]), verbose=0)",
}


@pytest.mark.skipif(BACKEND != HOME, reason="the same on every backend")
@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_right_data_is_left_alone(text, tmp_path):
    report, said = judged(text, tmp_path)
    assert (report.exit, report.codes) == (0, []), said
