"""The fixes that diagnoses print, applied by hand to the mistakes of the open cases.

Where a fix offers a choice, the one that the case's good.py takes is applied, or the first.
"""

from __future__ import annotations

from dataclasses import dataclass

Edits = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Applied:
    """What somebody changes who does what the diagnosis says.

    Attributes:
        edits: (what stands in bad.py, what the fix says instead); all that is new has to stand in the printed fix.
        filled: lines among the new ones in which a reader had to fill something in, a name for instance; no others may
            be missing from the fix.
        shown: what good.py does beside mending the mistake, so that the two can be compared: it trains for fewer
            epochs, draws no progress bars, prints a result.
        numbers: whether the numbers are the same in every run, because the script sets all seeds.
    """

    edits: Edits
    filled: tuple[str, ...] = ()
    shown: Edits = ()
    numbers: bool = True


_MODEL = "model = keras.Sequential([\n"

FIXES = {
    "02-batch-in-input-shape": Applied((("keras.Input(shape=events.shape)", "keras.Input(shape=(6, 30))"),)),
    "04-univariate-predict-one-window": Applied(
        (("model.predict(latest, verbose=0)", "model.predict(latest[None], verbose=0)"),)
    ),
    "06-features-before-time": Applied(
        (("keras.Input(shape=(n_channels, n_steps))", "keras.Input(shape=(50, 4))"),),
    ),
    "10-stacked-without-return-sequences": Applied(
        (("layers.LSTM(32)", "layers.LSTM(32, return_sequences=True)"),),
    ),
    "11-sequence-output-single-target": Applied(
        (("layers.LSTM(24, return_sequences=True)", "layers.LSTM(24)"),),
    ),
    "18-return-state-unpacked-in-two": Applied(
        (("sequence, state = encoder(source)", "sequence, state, state_c = encoder(source)"),),
    ),
    "22-decoder-units-differ": Applied(
        (("layers.LSTM(64, return_sequences=True)", "layers.LSTM(48, return_sequences=True)"),),
    ),
    "25-h-and-c-swapped": Applied((("first, c, h = lstm(x[:, :6])", "first, h, c = lstm(x[:, :6])"),)),
    "29-stateful-leftover-batch": Applied(
        (
            (
                "model.fit(words, labels, batch_size=batch_size, epochs=1, shuffle=False, verbose=0)",
                "usable = len(words) // batch_size * batch_size\n"
                "model.fit(words[:usable], labels[:usable], batch_size=batch_size, epochs=1, shuffle=False, verbose=0)",
            ),
        ),
    ),
    "32-stateful-shuffled-epochs": Applied(
        (
            (
                "model.fit(x, y, batch_size=streams, epochs=20, verbose=0)",
                "model.fit(x, y, batch_size=streams, epochs=20, verbose=0, shuffle=False)",
            ),
        ),
    ),
    "36-batch-input-shape-argument": Applied(
        (
            (
                "model.add(LSTM(4, batch_input_shape=(1, X_train.shape[1], X_train.shape[2]), stateful=True))",
                "model.add(Input(batch_shape=(1, X_train.shape[1], X_train.shape[2])))\n"
                "model.add(LSTM(4, stateful=True))",
            ),
        ),
    ),
    "41-list-of-windows-to-fit": Applied(
        (
            (
                "model.fit(names, np.array(labels), epochs=1, verbose=0)",
                "model.fit(np.stack(names), np.array(labels), epochs=1, verbose=0)",
            ),
        ),
    ),
    "44-np-array-of-unequal-lists": Applied(
        (("x = np.array(sentences)", "x = keras.utils.pad_sequences(sentences, padding='post')"),),
    ),
    "48-generator-of-single-windows": Applied(
        (
            (
                "yield series[i:i + 30, None], series[i + 30:i + 31]",
                "yield series[i:i + 30, None][None], series[i + 30:i + 31][None]",
            ),
        ),
    ),
    "50-pad-sequences-truncates-floats": Applied(
        (
            (
                "keras.utils.pad_sequences(readings, maxlen=15)",
                "keras.utils.pad_sequences(readings, maxlen=15, dtype='float32')",
            ),
        ),
    ),
    "55-embedding-id-equals-size": Applied(
        (("layers.Embedding(len(vocabulary), 16)", "layers.Embedding(len(vocabulary) + 1, 16)"),),
    ),
    "61-timeseries-dataset-target-inside": Applied(
        (
            (
                "keras.utils.timeseries_dataset_from_array(\n"
                "    noise[:, None], noise, sequence_length=6, batch_size=64, shuffle=True, seed=1)",
                "keras.utils.timeseries_dataset_from_array("
                "noise[:-6, None], noise[6:], sequence_length=6, batch_size=64, shuffle=True, seed=1)",
            ),
        ),
    ),
    "63-torch-batch-first-forgotten": Applied((("nn.LSTM(12, 16)", "nn.LSTM(12, 16, batch_first=True)"),)),
    "65-torch-hidden-kept-for-short-batch": Applied(
        (
            ("h0 = torch.zeros(1, batch_size, 20)", "h0 = torch.zeros(1, x.size(0), 20)"),
            ("c0 = torch.zeros(1, batch_size, 20)", "c0 = torch.zeros(1, x.size(0), 20)"),
        ),
    ),
    "69-torch-state-keeps-graph": Applied(
        (
            (
                "    out, hidden = rnn(x, hidden)\n",
                "    out, hidden = rnn(x, hidden)\n    hidden = tuple(s.detach() for s in hidden)\n",
            ),
        ),
    ),
    "seed-000-0": Applied(
        (
            (
                "input_tensor = Input(shape=(10, 1), batch_shape=(32, 10, 1))",
                "input_tensor = Input(batch_shape=(32, 10, 1))",
            ),
            (
                "lstm_layer = LSTM(units=32, stateful=True, batch_input_shape=(4, 10, 1))",
                "lstm_layer = LSTM(units=32, stateful=True)",
            ),
        ),
        shown=(
            (
                "model = Model(inputs=input_tensor, outputs=output)\n",
                "model = Model(inputs=input_tensor, outputs=output)\n"
                "print(model.predict(tf.zeros((32, 10, 1)), verbose=0).shape)\n",
            ),
        ),
    ),
    "seed-000-1": Applied(
        (
            (
                "input_tensor = Input(shape=(10, 1), batch_shape=(4, 10, 1))",
                "input_tensor = Input(batch_shape=(4, 10, 1))",
            ),
            (
                "lstm_layer = LSTM(units=32, stateful=True, batch_input_shape=(4, 10, 1))",
                "lstm_layer = LSTM(units=32, stateful=True)",
            ),
        ),
        shown=(("model.predict(X_train)", "model.predict(X_train, verbose=0)"),),
    ),
    "seed-000-2": Applied(
        (
            (
                "input_tensor = Input(shape=input_shape, batch_shape=(batch_size, input_shape[0], input_shape[1]))",
                "input_tensor = Input(batch_shape=(batch_size, input_shape[0], input_shape[1]))",
            ),
            (
                "lstm_layer = LSTM(units=32, stateful=True, "
                "batch_input_shape=(batch_size, input_shape[0], input_shape[1]))",
                "lstm_layer = LSTM(units=32, stateful=True)",
            ),
            (
                "for batch in dataset:\n    lstm_layer.reset_states()\n",
                "lstm_layer.reset_states()\nfor batch in dataset:\n",
            ),
        ),
        shown=(
            ("model.predict(batch)", "model.predict(batch, verbose=0)"),
            ('    print("Output shape is ", output.shape)', 'print("Output shape is ", output.shape)'),
        ),
    ),
    "seed-001-2": Applied(
        (
            (
                "model = keras.Model(inputs=keras.Input(shape=(10, 3)), outputs=keras.layers.LSTM(64, "
                "return_sequences=False, return_state=True)(keras.Input(shape=(10,3))))",
                "inputs = keras.Input(shape=(10, 3))\n"
                "model = keras.Model(inputs=inputs, outputs=keras.layers.LSTM(64, "
                "return_sequences=False, return_state=True)(inputs))",
            ),
        ),
        shown=(
            ("model.predict(input_data)", "model.predict(input_data, verbose=0)"),
            (
                "print(len(output)) # Output: 3\n"
                "print(output[0].shape) # Output: (32, 64) - Hidden State\n"
                "print(output[1].shape) # Output: (32, 64) - Cell State\n"
                "print(output[2].shape) # Output: (32, 64) - Hidden State",
                "print(len(output), [r.shape for r in output], bool((output[0] == output[1]).all()))",
            ),
        ),
    ),
    "seed-002-0": Applied(
        (
            (
                "batch_size = 64\n",
                "batch_size = 64\ninitial_state = [tf.keras.ops.zeros((64, 64)) for _ in range(2)]\n",
            ),
        ),
    ),
    "seed-002-1": Applied(
        (
            (
                "tf.keras.layers.LSTM(64, return_sequences=True, stateful=True)",
                "tf.keras.layers.LSTM(64, return_sequences=True)",
            ),
            (
                "model.reset_states() #Crucially important for stateful LSTMs across epochs with varying batch sizes\n",
                "",
            ),
            ("model.reset_states()\n", ""),
        ),
        shown=(
            ("batch_size=32, epochs=10", "batch_size=32, epochs=2, verbose=0"),
            (
                "model.fit(x_train, y_train, batch_size=64, epochs=10)",
                "model.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)\nprint('both batch sizes fitted')",
            ),
        ),
    ),
    "seed-002-2": Applied(
        (
            (
                "        if h.shape[0] != batch_size:\n",
                "        h, c = h[:batch_size], c[:batch_size]\n        if h.shape[0] != batch_size:\n",
            ),
        ),
    ),
    "seed-003-2": Applied(
        (
            (
                "tf.keras.preprocessing.sequence.pad_sequences(data, maxlen=60, padding='post')",
                "tf.keras.preprocessing.sequence.pad_sequences(data, maxlen=60, padding='post', dtype='float32')",
            ),
            (
                "model = tf.keras.Sequential([\n",
                "model = tf.keras.Sequential([\n    tf.keras.layers.Masking(mask_value=0.0),\n",
            ),
        ),
        shown=(
            (
                "labels = np.random.rand(200,1)",
                'print("largest value fed", data.max())\nlabels = np.random.rand(200, 1)',
            ),
            ("epochs=10", "epochs=2, verbose=0"),
        ),
        numbers=False,
    ),
    "seed-004-0": Applied(
        (
            (
                "model.fit(np.array(data_incorrect), np.array([1, 2, 3]))",
                "model.fit(keras.utils.pad_sequences(data_incorrect, padding='post', dtype='float32'), "
                "np.array([1, 2, 3]))",
            ),
            (_MODEL, f"{_MODEL}    keras.layers.Masking(mask_value=0.0),\n"),
        ),
        shown=(
            (
                "model.fit(keras.utils.pad_sequences(data_incorrect, padding='post', dtype='float32'), "
                "np.array([1, 2, 3]))",
                "x = keras.utils.pad_sequences(data_incorrect, padding='post', dtype='float32')\n"
                'model.fit(x, np.array([1, 2, 3]), verbose=0)\nprint("fitted", x.shape)',
            ),
        ),
    ),
    "seed-004-1": Applied(
        ((_MODEL, f"{_MODEL}    keras.layers.Masking(mask_value=0.0),\n"),),
        shown=(
            (
                "model.fit(padded_data, np.array([1, 2, 3]))",
                'model.fit(padded_data, np.array([1, 2, 3]), verbose=0)\nprint("fitted", padded_data.shape)',
            ),
        ),
    ),
    "seed-004-2": Applied(
        (
            (
                "model.fit(np.array(data_incorrect_type), np.array([1, 2, 3]))",
                "model.fit(keras.utils.pad_sequences(data_incorrect_type, padding='post', dtype='float32'), "
                "np.array([1, 2, 3]))",
            ),
            (_MODEL, f"{_MODEL}    keras.layers.Masking(mask_value=0.0),\n"),
        ),
        shown=(
            (
                "model.fit(keras.utils.pad_sequences(data_incorrect_type, padding='post', dtype='float32'), "
                "np.array([1, 2, 3]))",
                "x = keras.utils.pad_sequences(data_incorrect_type, padding='post', dtype='float32')\n"
                'model.fit(x, np.array([1, 2, 3]), verbose=0)\nprint("fitted", x.shape)',
            ),
        ),
    ),
}
