"""Programs written for Keras 1 and 2 and TensorFlow 1: what is gone, and what the user's line becomes."""

from __future__ import annotations

import json

import h5py
import keras
import pytest

from tests.explaining.scripts import HOME, run_text

if keras.backend.backend() != HOME:
    pytest.skip("the same on every backend", allow_module_level=True)

pytestmark = pytest.mark.backend

BEGIN = """
import numpy as np, keras
from keras import layers
from keras import backend as K
x, y = np.random.rand(8, 3, 2), np.random.rand(8, 1)
lstm = layers.LSTM(4, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(4, 3, 2)), lstm, layers.Dense(1)])
model.compile("adam", "mse", metrics=["accuracy"])
"""

# Without state: Keras trains no stateful layer on torch.
PLAIN = (
    "model = keras.Sequential([keras.Input((3, 2)), layers.LSTM(4), layers.Dense(1)])\n"
    "model.compile('adam', 'mse', metrics=['accuracy'])\n"
)

OLD = {
    # --- shapes
    "sequential": (
        "net = keras.Sequential()\nnet.add(layers.GRU(4, batch_input_shape=(2, x.shape[1], 7), stateful=True))",
        "SO711",
        [
            "net.add(keras.Input(batch_shape=(2, x.shape[1], 7)))        # (2, 3, 7)",
            "net.add(layers.GRU(4, stateful=True))",
        ],
    ),
    "in a list": (
        "net = keras.Sequential([layers.Embedding(10, 4, batch_input_shape=(1, 2)), layers.LSTM(4)])",
        "SO711",
        ["keras.Input(batch_shape=(1, 2)),", "layers.Embedding(10, 4),"],
    ),
    "functional": (
        "inputs = keras.Input(batch_shape=(1, 2, 3))\n"
        "layers.Bidirectional(layers.LSTM(4, batch_input_shape=(1, 2, 3)))(inputs)",
        "SO711",
        ["layers.Bidirectional(layers.LSTM(4))(inputs)"],
    ),
    "a layer of one's own": (
        "class Mine(layers.LSTM):\n    def __init__(self, units, **rest):\n        super().__init__(units, **rest)\n"
        "Mine(3, batch_input_shape=(2, 3, 4))",
        "SO711",
        ["Mine(3)", "batch_shape=(2, 3, 4)"],
    ),
    "Input": ("keras.Input(batch_input_shape=(1, 2, 3))", "SO711", ["keras.Input(batch_shape=(1, 2, 3))"]),
    "two shapes, and more": (
        "inputs = keras.Input(shape=(3, 2), batch_shape=(4, 3, 2))\n"
        "outer = layers.GRU(4, batch_input_shape=(8, 3, 2))\noutputs = outer(inputs)",
        "SO712",
        [
            "line 10: GRU(... batch_input_shape=(8, 3, 2))",
            "inputs = keras.Input(batch_shape=(4, 3, 2))",
            "outer = layers.GRU(4)",
        ],
    ),
    "input_dim": ("keras.Sequential([layers.GRU(4, input_dim=3)])", "SO725", ["keras.Input(shape=(None, 3)),"]),
    "input_length": (
        "keras.Sequential([layers.LSTM(4, input_dim=3, input_length=5)])",
        "SO713",
        ["keras.Input(shape=(5, 3)),", "layers.LSTM(4),"],
    ),
    # --- arguments
    "output_dim": (
        "layers.LSTM(output_dim=4, init='uniform')",
        "SO713",
        ["layers.LSTM(units=4, kernel_initializer='uniform')"],
    ),
    "dropout_W": (
        "layers.GRU(4, dropout_W=0.2, dropout_U=0.1)",
        "SO713",
        ["layers.GRU(4, dropout=0.2, recurrent_dropout=0.1)"],
    ),
    "time_major": ("layers.LSTM(4, time_major=True)", "SO713", ["x.swapaxes(0, 1)"]),
    "batch_first": ("layers.LSTM(4, batch_first=True)", "SO713", ["PyTorch", "(batch, time, features)"]),
    "states": ("layers.LSTM(4)(x, states=[1])", "SO713", ["layers.LSTM(4)(x, initial_state=[1])"]),
    "nb_epoch": ("model.fit(x, y, nb_epoch=3, batch_size=4)", "SO713", ["model.fit(x, y, epochs=3, batch_size=4)"]),
    "lr": ("adam = keras.optimizers.Adam(lr=0.1)", "SO713", ["adam = keras.optimizers.Adam(learning_rate=0.1)"]),
    "workers": ("model.fit(x, y, batch_size=4, workers=2)", "SO713", ["PyDataset", "model.fit(x, y, batch_size=4)"]),
    "return_sequence": ("layers.LSTM(4, return_sequence=True)", "SO714", ["layers.LSTM(4, return_sequences=True)"]),
    "batchsize": ("model.predict(x, batchsize=4)", "SO714", ["model.predict(x, batch_size=4)"]),
    "max_len": ("keras.utils.pad_sequences([[1]], max_len=3)", "SO714", ["pad_sequences([[1]], maxlen=3)"]),
    "reset_states(states)": ("lstm.reset_states([1, 2])", "SO726", ["zip(lstm.states, [1, 2])", "assign(value)"]),
    # --- names
    "a module": (
        "from keras.layers.recurrent import LSTM, GRU as G",
        "SO716",
        ["from keras.layers import LSTM, GRU as G"],
    ),
    "a class": ("from tensorflow.keras.layers import CuDNNLSTM", "SO716", ["from tensorflow.keras.layers import LSTM"]),
    "an attribute": ("net = layers.CuDNNGRU(4)", "SO716", ["net = layers.GRU(4)"]),
    "a long path": ("keras.utils.np_utils.to_categorical([1])", "SO716", ["keras.utils.to_categorical([1])"]),
    "Tokenizer": ("from keras.preprocessing.text import Tokenizer", "SO716", ["TextVectorization"]),
    "reset_states": ("model.reset_states()", "SO718", ["lstm.reset_states()", "LSTM 'lstm"]),
    "batch sizes": (
        "model.reset_states()\nmodel.fit(x, y, batch_size=4)\nmodel.fit(x, y, batch_size=8)",
        "SO718",
        ["4 (line 10), 8 (line 11)", "layers.LSTM(4)"],
    ),
    "stateful": ("print(model.stateful)", "SO718", ["print(lstm.stateful)"]),
    "predict_classes": ("model.predict_classes(x)", "SO719", ["(model.predict(x) > 0.5).astype('int32')"]),
    "fit_generator": ("model.fit_generator(iter([]))", "SO719", ["model.fit(iter([]))"]),
    "an optimizer's lr": ("print(model.optimizer.lr)", "SO719", ["print(model.optimizer.learning_rate)"]),
    "a layer's kernel": ("kernel = lstm.kernel", "SO719", ["kernel = lstm.cell.kernel"]),
    "K": ("K.mean(K.square(x))", "SO720", ["keras.ops.mean(K.square(x))", "K.square is keras.ops.square"]),
    "int_shape": ("shape = K.int_shape(x)", "SO720", ["shape = x.shape"]),
    "rnn_cell": (
        "import tensorflow as tf\ncell = tf.nn.rnn_cell.BasicLSTMCell(4)",
        "SO723",
        ["cell = keras.layers.LSTMCell(4)"],
    ),
    "contrib": ("from tensorflow.contrib import rnn", "SO723", ["tf.contrib"]),
    # --- habits
    "acc": (
        PLAIN + "history = model.fit(x, y, batch_size=4, shuffle=False, verbose=0)\nprint(history.history['acc'])",
        "SO724",
        ["print(history.history['accuracy'])"],
    ),
    "a watched name": (
        PLAIN + "stop = keras.callbacks.EarlyStopping(monitor='acc', mode='max')\n"
        "model.fit(x, y, batch_size=4, shuffle=False, callbacks=[stop], verbose=0)",
        "SO724",
        ["EarlyStopping(monitor='accuracy')"],
    ),
    "ragged": ("keras.Input((None, 2), ragged=True)", "SO727", ["keras.Input((None, 2))", "Masking"]),
}


@pytest.mark.parametrize(("text", "code", "said"), OLD.values(), ids=OLD)
def test_what_is_gone_is_named_with_what_is_there(text, code, said, tmp_path):
    report, _, errors = run_text(BEGIN + text + "\n", tmp_path)
    assert report.codes == [code], f"{report}\n{errors}"
    for one in said:
        assert one in str(report)
    assert "line" in report[0].where


def test_a_file_of_keras_2(tmp_path):
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.LSTM(4)])
    model.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["time_major"] = False
        file.attrs["model_config"] = json.dumps(config)
    report, _, _ = run_text("import keras\nmodel = keras.models.load_model('old.h5')\n", tmp_path)
    assert report.codes == ["SO722"]
    assert "time_major" in report[0].cause
    repaired, output, errors = run_text(f"import keras\n{report[0].fix}\nprint(model.output_shape)\n", tmp_path)
    assert repaired.codes == [], errors
    assert output == "(None, 4)\n"


RIGHT = {
    "today's names": (
        "from keras.preprocessing.sequence import pad_sequences\n"
        "from tensorflow.keras.preprocessing.text import Tokenizer\n"
        "layers.LSTM(units=4, recurrent_activation='sigmoid')\n"
        "keras.optimizers.Adam(learning_rate=0.1)\nlstm.reset_states()"
    ),
    "one's own errors": "try:\n    model.reset_states()\nexcept AttributeError:\n    lstm.reset_states()",
    "words that are right elsewhere": (
        "layers.Embedding(input_dim=10, output_dim=4)\nkeras.callbacks.ReduceLROnPlateau(monitor='loss', min_lr=0.1)\n"
        "keras.ops.one_hot(np.array([1]), 3)"
    ),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_programs_of_today_are_left_alone(text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    assert report.exit == 0, errors
    assert report.codes == [], str(report)


FOREIGN = {
    "a function of one's own": "def fit(a):\n    pass\nfit(nb_epoch=3)",
    "a class of one's own": "class Model:\n    pass\nModel().reset_states()",
    "a module of one's own": "import recurrent",
    "a key": "{}['acc']",
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_errors_of_other_programs_are_not_ours_to_explain(text, tmp_path):
    report, _, _ = run_text(text + "\n", tmp_path)
    assert report.exit == 1
    assert report.codes == []
