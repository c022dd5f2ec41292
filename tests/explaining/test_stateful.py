"""Stateful layers of Keras: batches that do not fit the state, and state that silently goes to the wrong place."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.scripts import run_text

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()

BEGIN = """
import numpy as np, keras
from keras import layers
rng = np.random.default_rng(0)
x = rng.random((12, 5, 2)).astype("float32")
y = rng.random((12, 1)).astype("float32")

def make(batch=4, layer=layers.LSTM, **options):
    rnn = layer(3, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(batch, None, 2)), rnn, layers.Dense(1)])
    model.compile("adam", "mse")
    return model, rnn

def callback(**hooks):
    return keras.callbacks.LambdaCallback(**{name: lambda *args, do=do, **logs: do() for name, do in hooks.items()})

"""


def codes(text, folder):
    report, _, _ = run_text(BEGIN + text, folder)
    return report.codes, str(report)


# --- what raises -----------------------------------------------------------------------------------------------------

SHORT = {
    "predict": ("model, _ = make(layer=layers.GRU)\nmodel.predict(x[:10], batch_size=4, verbose=0)", "2 full batches"),
    "evaluate by names": (
        "model, _ = make(layer=layers.SimpleRNN)\nsize = 4\n"
        "model.evaluate(x=x[:11], y=y[:11], batch_size=size, verbose=0)",
        "usable = len(x[:11]) // size * size        # 8 of 11",
    ),
    "a functional model": (
        "inputs = keras.Input(batch_shape=(4, 5, 2))\n"
        "model = keras.Model(inputs, layers.Bidirectional(layers.LSTM(3, stateful=True))(inputs))\n"
        "model.predict(x[:7], batch_size=4, verbose=0)",
        "a last batch of 3 rows",
    ),
    "a dataset": (
        "import tensorflow as tf\nmodel, _ = make()\n"
        "data = tf.data.Dataset.from_tensor_slices(x[:10]).batch(4)\nmodel.predict(data, verbose=0)",
        "drop_remainder=True",
    ),
    "a generator": (
        "model, _ = make()\nmodel.predict(((x[i : min(i + 4, 10)],) for i in range(0, 10, 4)), verbose=0)",
        "a last batch of 2 rows",
    ),
}


@pytest.mark.parametrize(("text", "said"), SHORT.values(), ids=SHORT)
def test_a_short_last_batch(text, said, tmp_path):
    found, report = codes(text, tmp_path)
    assert found == ["SO341"], report
    assert said in report


@pytest.mark.skipif(BACKEND == "torch", reason="fit of a stateful layer fails before on this backend")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("x[:10], y[:10]", "10 rows of x[:10] in batches of 4"),
        ("x, y, validation_split=0.5", "6 rows of training data"),
        ("x, y, validation_data=(x[:6], y[:6])", "validation_data=(x[:6][:4], y[:6][:4])"),
        ("x, y, validation_data=(x[:3], y[:3])", "3 rows of validation data"),
    ],
)
def test_a_short_last_batch_in_fit(arguments, said, tmp_path):
    text = f"model, _ = make()\nmodel.fit({arguments}, batch_size=4, shuffle=False, verbose=0)"
    found, report = codes(text, tmp_path)
    assert found == ["SO341"], report
    assert said in report


OTHER = {
    "one row": ("model, _ = make()\nmodel.predict(x[:1], verbose=0)", ("of 1 row", "batch_shape=(1, ...)")),
    "the default of predict": (
        "model, _ = make(layer=layers.GRU)\nmodel.predict(np.tile(x, (8, 1, 1)), verbose=0)",
        ("the default batch_size=32", "batch_size=4"),
    ),
    "on batch": ("model, _ = make()\nmodel.predict_on_batch(x[:3])", ("a batch of 3 rows",)),
    "a direct call": ("model, _ = make()\nmodel(x[:5])", ("from Input(batch_shape=(4, None, 2))",)),
    "a layer after a reset": (
        "lstm = layers.LSTM(3, stateful=True)\nlstm(x[:4])\nlstm.reset_state()\nlstm(x[:3])",
        ("Resetting the state does not change its size",),
    ),
}


@pytest.mark.parametrize(("text", "said"), OTHER.values(), ids=OTHER)
def test_another_batch_size(text, said, tmp_path):
    found, report = codes(text, tmp_path)
    assert found == ["SO342"], report
    for one in said:
        assert one in report


OPEN = {
    "functional": (
        "inputs = keras.Input(shape=(5, 2))\noutputs = layers.GRU(3, stateful=True)(inputs)\n"
        "keras.Model(inputs, outputs).predict(x, batch_size=6)",
        "inputs = keras.Input(batch_shape=(6, 5, 2))",
    ),
    "input_shape": (
        "model = keras.Sequential([layers.LSTM(3, stateful=True, input_shape=(5, 2))])",
        "keras.Input(batch_shape=(batch, 5, 2)),",
    ),
}


@pytest.mark.parametrize(("text", "said"), OPEN.values(), ids=OPEN)
def test_no_batch_size(text, said, tmp_path):
    begin = "import numpy as np, keras\nfrom keras import layers\nx = np.zeros((12, 5, 2))\n"
    report, _, _ = run_text(begin + text, tmp_path)
    assert report.codes == ["SO343"], str(report)
    assert said in str(report)


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow builds it from the first batch")
def test_a_model_without_input_is_built_within_fit(tmp_path):
    text = """
model = keras.Sequential([layers.LSTM(3, stateful=True), layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
"""
    found, report = codes(text, tmp_path)
    assert found == ["SO343"], report
    assert "batch_shape=(4, 5, 2)" in report


@pytest.mark.skipif(BACKEND != "torch", reason="a defect of one backend")
@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_fit_on_torch(layer, tmp_path):
    text = f"model, _ = make(layer=layers.{layer})\nmodel.fit(x, y, batch_size=4, shuffle=False, verbose=0)"
    found, report = codes(text, tmp_path)
    assert found == ["SO346"], report
    assert "so.convert(model)" in report


# --- what does not raise: TensorFlow ---------------------------------------------------------------------------------

SILENT = {
    "a last batch of one row": (
        "model, _ = make()\nmodel.predict(x[:9], batch_size=4, verbose=0)",
        "SO341",
        "predict returned 12 rows for 9",
    ),
    "shuffled": ("model, _ = make()\nmodel.fit(x, y, 4, 2, 0)", "SO344", "shuffle=True, the default of fit"),
    "a shuffled dataset": (
        "import tensorflow as tf\nmodel, _ = make(layer=layers.GRU)\n"
        "data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(12).batch(4, drop_remainder=True)\n"
        "model.fit(data, verbose=0)",
        "SO344",
        "dataset.shuffle(...)",
    ),
    "shuffled by hand": (
        "model, _ = make(1)\nfor epoch in range(5):\n    for i in rng.permutation(9):\n"
        "        model.train_on_batch(x[i : i + 1], y[i : i + 1])",
        "SO344",
        "followed by different batches",
    ),
    "the same rows twice": (
        "model, rnn = make()\none = model.predict(x[:4], verbose=0)\nmodel.predict(x[4:8], verbose=0)\n"
        "two = model.predict(x[:4], verbose=0)",
        "SO347",
        "rnn.reset_state()",
    ),
    "epochs over one batch": (
        "model, _ = make()\nmodel.fit(x[:4], y[:4], batch_size=4, epochs=3, verbose=0)",
        "SO347",
        "never reset between the 3 epochs",
    ),
    "epochs by hand": (
        "model, rnn = make()\nfor epoch in range(2):\n    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)",
        "SO347",
        "after 3 batches without a reset",
    ),
    "another sequence": (
        "model, _ = make(1)\nt = np.arange(80) / 10\none = np.stack([np.sin(t), np.cos(t)], -1)[None]\n"
        "model.predict(one, verbose=0)\nmodel.predict(one + 3, verbose=0)",
        "SO347",
        "far from the last step",
    ),
    "sequences of a dictionary": (
        "model, _ = make(1)\nfor name, one in {'a': x[:1], 'b': x[1:2]}.items():\n    model.predict(one, verbose=0)",
        "SO347",
        "one sequence of a dictionary",
    ),
    "streams one behind the other": (
        "model, _ = make()\nt = np.arange(400) / 9\nrows = np.stack([np.sin(t), np.cos(t)], -1).reshape(40, 10, 2)\n"
        "model.fit(rows, rows[:, 0, :1], batch_size=4, shuffle=False, verbose=0)",
        "SO348",
        "the state of row 0 goes on in row 4, not in row 1",
    ),
    "padded rows": (
        "model, _ = make()\nrows = rng.random((16, 6, 2))\nfor row in rows:\n    row[rng.integers(2, 6) :] = 0\n"
        "model.fit(rows, rows[:, 0, :1], batch_size=4, shuffle=False, verbose=0)",
        "SO348",
        "ends with padding",
    ),
    "a reset in every batch": (
        "model, rnn = make()\nevery = callback(on_train_batch_begin=rnn.reset_states)\n"
        "model.fit(x, y, batch_size=4, epochs=2, shuffle=False, callbacks=[every], verbose=0)",
        "SO349",
        "6 resets",
    ),
    "a reset before every step": (
        "model, rnn = make()\nfor step in range(5):\n    rnn.reset_state()\n"
        "    model.predict(x[:4, step : step + 1], verbose=0)",
        "SO349",
        "reads on where the one before ended",
    ),
    "validation": (
        "model, rnn = make()\nvalid = (x[:4] + 1, y[:4])\n"
        "model.fit(x, y, batch_size=4, epochs=2, shuffle=False, validation_data=valid, verbose=0)",
        "SO350",
        "disturbed by validation",
    ),
    "prediction in a callback": (
        "model, rnn = make()\nlook = callback(on_train_batch_end=lambda: model.predict(x[:4] + 1, verbose=0))\n"
        "model.fit(x, y, batch_size=4, shuffle=False, callbacks=[look], verbose=0)",
        "SO350",
        "disturbed by model.predict",
    ),
    "evaluation between batches": (
        "model, rnn = make()\nfor i in (0, 4, 8):\n    model.train_on_batch(x[i : i + 4], y[i : i + 4])\n"
        "    model.test_on_batch(x[:4] + 1, y[:4])",
        "SO350",
        "model.test_on_batch (line 20)",
    ),
    "one layer of two": (
        "below, above = layers.LSTM(3, stateful=True, return_sequences=True), layers.GRU(3, stateful=True)\n"
        "model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), below, above])\n"
        "for number in range(3):\n    model.predict(x[:4] + number, verbose=0)\n    below.reset_states()",
        "SO353",
        "none of GRU",
    ),
    "a layer without state": (
        "rnn = layers.GRU(3)\nmodel = keras.Sequential([keras.Input((5, 2)), rnn])\n"
        "for number in range(3):\n    model.predict(x[:4] + number, verbose=0)\n    rnn.reset_state()",
        "SO355",
        "3 resets",
    ),
}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the backend that carries state under fit")
@pytest.mark.parametrize(("text", "code", "said"), SILENT.values(), ids=SILENT)
def test_state_that_goes_wrong_silently(text, code, said, tmp_path):
    found, report = codes(text, tmp_path)
    assert code in found, report
    assert said in report


LOOPS = {
    "steps of each": "for one in (x[:4], x[4:8]):\n    for t in range(one.shape[1]):\n        model(one[:, t : t + 1])",
    "pieces of each": (
        "for name, one in [('a', x[:4]), ('b', x[4:8])]:\n    for start in (0, 2):\n"
        "        print(name, np.asarray(keras.ops.convert_to_numpy(model(one[:, start : start + 2]))).mean())"
    ),
    "by number": (
        "lengths = [5, 4]\nfor i in range(2):\n    for t in range(lengths[i]):\n"
        "        model(x[4 * i : 4 * i + 4, t : t + 1])"
    ),
}


@pytest.mark.parametrize("text", LOOPS.values(), ids=LOOPS)
def test_sequences_in_a_loop_around_their_steps(text, tmp_path):
    found, report = codes("model, rnn = make()\n" + text, tmp_path)
    assert found == ["SO347"], report
    assert "begins the next sequence with the state that the last one left" in report
    assert ".reset_state()" in report


# --- what does not raise: JAX ----------------------------------------------------------------------------------------

LOST = {
    "pieces": "one = model.predict(x[:4, :3], verbose=0)\ntwo = model.predict(x[:4, 3:], verbose=0)",
    "the same rows twice": "one = model.predict(x[:4], verbose=0)\ntwo = model.predict(x[:4], verbose=0)",
    "a reset after every epoch": (
        "for epoch in range(2):\n    model.fit(x, y, 4, 1, 0, shuffle=False)\n    rnn.reset_states()"
    ),
    "targets behind the seam": (
        "bits = rng.integers(0, 2, size=(4, 60, 2)).astype('float32')\n"
        "rows = np.concatenate(np.split(bits, 20, axis=1))\n"
        "targets = np.roll(bits, -1, 1)[:, 2::3, :1].swapaxes(0, 1).reshape(-1, 1)\n"
        "model.fit(rows, targets, 4, 1, 0, shuffle=False)"
    ),
    "a choice": "import os\nos.environ['KERAS_BACKEND'] = 'jax'\nmodel.fit(x, y, 4, 1, 0, shuffle=False)",
}


@pytest.mark.skipif(BACKEND != "jax", reason="the backend that loses state under fit")
@pytest.mark.parametrize("text", LOST.values(), ids=LOST)
def test_state_that_is_lost_on_jax(text, tmp_path):
    found, report = codes("model, rnn = make()\n" + text, tmp_path)
    assert found == ["SO345"], report


# --- right programs --------------------------------------------------------------------------------------------------

RIGHT = {
    "whole batches": "model, _ = make()\nmodel.predict(x, batch_size=4, verbose=0)",
    "steps in a loop": (
        "model, rnn = make()\nfor step in range(5):\n    model(x[:4, step : step + 1])\nrnn.reset_state()\nmodel(x[:4])"
    ),
    "sequences in pieces": (
        "model, rnn = make()\nfor i in (0, 4, 8):\n    for step in range(5):\n"
        "        model(x[i : i + 4, step : step + 1])\n    rnn.reset_state()"
    ),
    "one sequence in pieces, each step by step": (
        "model, rnn = make()\nfor part in (x[:4, :2], x[:4, 2:]):\n    for t in range(part.shape[1]):\n"
        "        model(part[:, t : t + 1])"
    ),
    "sequences in a loop, reset before each": (
        "model, rnn = make()\nfor one in (x[:4], x[4:8]):\n    rnn.reset_state()\n    for t in range(5):\n"
        "        model(one[:, t : t + 1])"
    ),
    "batches of a dataset, one reset": (
        "model, rnn = make()\nrnn.reset_states()\nfor i in (0, 4, 8):\n    model.predict(x[i : i + 4], verbose=0)"
    ),
    "whole sequences, each after a reset": (
        "model, rnn = make(1)\nfor i in range(3):\n    rnn.reset_state()\n    model.predict(x[i : i + 1], verbose=0)"
    ),
    "no state at all": (
        "model = keras.Sequential([keras.Input((5, 2)), layers.LSTM(3)])\n"
        "model.predict(x[:7], batch_size=4, verbose=0)\n"
        "for layer in model.layers:\n    if hasattr(layer, 'reset_state'):\n        layer.reset_state()"
    ),
    "our layers": (
        "import sostenuto as so\nmodel = keras.Sequential([keras.Input((5, 2)), so.LSTM(3, stateful=True)])\n"
        "model.predict(x[:7], batch_size=4, verbose=0)\nfor _ in range(2):\n    model.predict(x[:3], verbose=0)"
    ),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_right_programs_are_left_alone(text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    assert report.exit == 0, errors
    assert report.codes == [], str(report)


TRAINED = {
    "in order": "model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)",
    "one batch": "model.fit(x[:4], y[:4], batch_size=4, verbose=0)",
    "a reset in every epoch": (
        "model.fit(x, y, batch_size=4, epochs=2, shuffle=False, validation_data=(x[:4] + 1, y[:4]),\n"
        "    callbacks=[callback(on_epoch_begin=rnn.reset_state)], verbose=0)"
    ),
    "state given back after validation": (
        "kept = []\nkeep = lambda: kept.extend([state.numpy() for state in rnn.states])\n"
        "def back():\n    for state in rnn.states:\n        state.assign(kept.pop(0))\n"
        "model.fit(x, y, batch_size=4, epochs=2, shuffle=False, validation_data=(x[:4] + 1, y[:4]),\n"
        "    callbacks=[callback(on_test_begin=keep, on_test_end=back)], verbose=0)"
    ),
    "evaluated from zero": (
        "model.fit(x, y, batch_size=4, shuffle=False, verbose=0)\nmodel.layers[0].states[0].assign(np.zeros((4, 3)))\n"
        "model.layers[0].states[1].assign(np.zeros((4, 3)))\nmodel.evaluate(x, y, batch_size=4, verbose=0)"
    ),
    "streams side by side": (
        "t = np.arange(400) / 9\nrows = np.stack([np.sin(t), np.cos(t)], -1).reshape(4, 100, 2)\n"
        "rows = np.concatenate(np.split(rows, 10, axis=1))\n"
        "model.fit(rows, rows[:, 0, :1], batch_size=4, shuffle=False, verbose=0)"
    ),
    "a dataset": (
        "import tensorflow as tf\ndata = tf.data.Dataset.from_tensor_slices((x, y)).batch(4, drop_remainder=True)\n"
        "model.fit(data, verbose=0)"
    ),
}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the backend that carries state under fit")
@pytest.mark.parametrize("text", TRAINED.values(), ids=TRAINED)
def test_right_training_is_left_alone(text, tmp_path):
    report, _, errors = run_text(f"{BEGIN}model, rnn = make()\n{text}", tmp_path)
    assert report.exit == 0, errors
    assert report.codes == [], str(report)


def test_a_check_takes_full_batches(tmp_path):
    text = """
import sostenuto as so
model, _ = make()
print(so.check(model, x, y, batch_size=4, shuffle=False).codes)
print(so.check(model, x[:10], y[:10], batch_size=4, shuffle=False).codes)
print(so.check(model, x, y, batch_size=6, shuffle=False).codes)
"""
    _, output, errors = run_text(BEGIN + text, tmp_path)
    assert output.split("\n")[:3] == ["[]", "['SO341']", "['SO342']"], errors
