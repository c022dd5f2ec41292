"""Programs that cut windows wrongly or scale parts by themselves, and right ones that look like them."""

BEGIN = """
import numpy as np, pandas as pd, keras
from keras import layers
from numpy.lib.stride_tricks import sliding_window_view
rng = np.random.default_rng(0)
series = rng.normal(size=120).astype("float32").cumsum()
windowed = keras.utils.timeseries_dataset_from_array
def cut(values, steps, ahead=0):
    values = values if values.ndim > 1 else values[:, None]
    number = len(values) - steps - ahead
    return (np.stack([values[i:i + steps] for i in range(number)]),
            np.array([values[i + steps + ahead - 1, 0] for i in range(number)]))
def train(x, y, **options):
    m = keras.Sequential([keras.Input(x.shape[1:]), layers.SimpleRNN(2), layers.Dense(int(np.prod(y.shape[1:])))])
    m.compile("adam", "mse")
    m.fit(x, y, verbose=0, batch_size=128, **options)
    return m
"""

TABLE = """
speed, heat = rng.normal(size=120).cumsum(), rng.normal(size=120)
table = pd.DataFrame({"machine": ["a"] * 60 + ["b"] * 60, "speed": speed, "heat": heat})
"""

# Several sequences in one array, which moves slowly within each of them; the first column counts them.
ARRAY = """
def stacked(ids, steps, slow=True):
    parts = []
    for one in ids:
        load = (rng.normal(size=steps).cumsum() * 0.1 if slow else rng.normal(size=steps)) + 3 * (one % 3) * slow
        parts.append(np.column_stack([np.full(steps, one), load, rng.normal(size=steps)]))
    return np.concatenate(parts)
table = stacked(range(4), 50)
"""

SPLIT = """
values = rng.normal(3, 2, (60, 5, 2))
x_train, x_test = values[:40], values[40:]
y_train, y_test = x_train[:, -1, 0] * 2, x_test[:, -1, 0] * 2
"""

# name: (code, words it has to say, program)
MISTAKES = {
    "targets are the data": (
        "SO231",
        ["its first value", "all of 120 targets", "6 steps after its start", "series[:-6, None]", "series[6:]"],
        "windowed(series[:, None], series, sequence_length=6)",
    ),
    "targets shifted too little": (
        "SO231",
        ["step 4 of it", "shifted by 3", "sequence_length=6"],
        "windowed(series[:-3, None], series[3:], sequence_length=6)",
    ),
    "the last step of a window": (
        "SO231",
        ["its last value", "shifted by 1"],
        "windowed(series[:, None], series[5:], sequence_length=6)",
    ),
    "every second step": (
        "SO231",
        ["sampling_rate=2", "12 steps after its start", "its last value"],
        "windowed(series[:, None], series[10:], sequence_length=6, sampling_rate=2)",
    ),
    "one of several columns, scaled": (
        "SO231",
        ["column 1", "its first value"],
        "data = rng.normal(size=(90, 3))\nwindowed(data, (data[:, 1] - 1) / 2, sequence_length=6)",
    ),
    "other arguments stay as they are": (
        "SO231",
        ["windowed(data=(data[:, 1] * 2)[:-6], targets=(data[:, 1] / 2)[6:], batch_size=8, sequence_length=6)"],
        "data = rng.normal(size=(90, 3))\n"
        "windowed(data=data[:, 1] * 2, targets=data[:, 1] / 2, batch_size=8, sequence_length=6)",
    ),
    "a loop that is off by one": (
        "SO231",
        ["y[i] equals x[i, 5, 0]", "the last step", "off by one", "y[i] = series[i + 6]"],
        "x, y = cut(series, 6)\ntrain(x, y)",
    ),
    "views that are off by two": (
        "SO231",
        ["x[i, 4, 0]", "step 5 of 6", "off by 2", "in all 115 windows"],
        "x = sliding_window_view(series, 6)[..., None]\ny = series[4:119]\ntrain(x, y)",
    ),
    "several steps ahead, from inside": (
        "SO231",
        ["y[i, 0]", "x[i, 5, 0]", "series[i + 6 : i + 9]"],
        "x = sliding_window_view(series, 6)[:100, :, None]\ny = sliding_window_view(series, 3)[5:105]\ntrain(x, y)",
    ),
    "targets scaled by a scaler of their own": (
        "SO231",
        ["but for its scale", "x[i, 5, 0]"],
        "x, y = cut(series, 6)\ny = (y - y.min()) / (y.max() - y.min())\ntrain(x, y)",
    ),
    "windows in a dataset": (
        "SO231",
        ["in d, y[i] equals x[i, 5, 0]", "off by one"],
        "import tensorflow as tf\nx, y = cut(series, 6)\n"
        "d = tf.data.Dataset.from_tensor_slices((x, y)).batch(64)\n"
        "m = keras.Sequential([keras.Input((6, 1)), layers.SimpleRNN(2), layers.Dense(1)])\n"
        "m.compile('adam', 'mse'); m.fit(d, verbose=0)",
    ),
    "windows over a whole table": (
        "SO233",
        ["5 windows of timeseries_dataset_from_array", "from one machine into the next", "2 sequences", "groupby"],
        TABLE + "windowed(table[['speed', 'heat']].to_numpy(), None, sequence_length=6)",
    ),
    "windows over a table in a function": (
        "SO233",
        ["10 windows", "3 sequences", "column 'unit'", "data.groupby('unit')"],
        TABLE + "def windows(data):\n"
        "    return windowed(data[['speed']].values, data['speed'].values[6:], sequence_length=6)\n"
        "windows(table.assign(unit=np.repeat([3, 7, 9], 40)).drop(columns='machine'))",
    ),
    "a loop over a whole table": (
        "SO233",
        ["6 windows of x", "groupby('machine')"],
        TABLE + "x, y = cut(table[['speed', 'heat']].to_numpy(), 7, ahead=1)\ntrain(x, y)",
    ),
    "the first part of a table, scaled": (
        "SO233",
        ["6 windows of x", "groupby('machine')", "120"],
        TABLE + "x, y = cut((table['speed'].to_numpy() - 3) / 2, 7, ahead=1)\ntrain(x[:80], y[:80])",
    ),
    "logarithms of a table": (
        "SO233",
        ["6 windows of x", "whether the windows were cut from table"],
        TABLE + "x, y = cut(np.exp(table['heat'].to_numpy()), 7, ahead=1)\ntrain(x, y)",
    ),
    "sequences by a column of any name": (
        "SO233",
        ["whether 'blade' says"],
        TABLE + "table['blade'] = table.pop('machine')\n"
        "windowed(table[['speed', 'heat']].to_numpy(), None, sequence_length=6)",
    ),
    "every second window of a table": (
        "SO233",
        ["3 windows", "machine"],
        TABLE + "x, y = cut(table['speed'].to_numpy(), 7, ahead=1)\nx, y = x[::2], y[::2]\ntrain(x, y)",
    ),
    "a loop over a whole array": (
        "SO233",
        [
            "24 windows of x begin in one sequence and end in another",
            "column 0 of table",
            "x[42]",
            "rows 42 to 50",
            "begins in 0 and ends in 1",
            "4 sequences",
            "parts = [table[table[:, 0] == one] for one in np.unique(table[:, 0])]",
            "x = np.array([part[i : i + 9, 1:] for part in parts for i in range(len(part) - 9)])",
            "y = np.array([part[i + 9, 1] for part in parts for i in range(len(part) - 9)])",
            "whether column 0 of table",
        ],
        ARRAY + "x = np.stack([table[i:i + 9, 1:] for i in range(len(table) - 9)])\ny = table[9:, 1]\ntrain(x, y)",
    ),
    "views of a whole array, mixed": (
        "SO233",
        ["column 0 of log", "21 windows of windows", "windows = np.array([part[i : i + 8, 2:]"],
        ARRAY + "log = table\ndel table\nwindows = sliding_window_view(log[:, 2], 8)[..., None]\n"
        "order = rng.permutation(len(windows) - 1)\nx, y = windows[order], log[order + 8, 1]\ntrain(x, y)",
    ),
    "every third window of an array, of noise": (
        "SO233",
        ["column 0 of table", "range(0, len(part) - 6, 3)"],
        ARRAY + "table = stacked(range(1, 5), 45, slow=False)\n"
        "x = np.stack([table[i:i + 6, 1:] for i in range(0, len(table) - 6, 3)])\n"
        "y = table[6::3, 2]\ntrain(x, y[:len(x)])",
    ),
    "scaled windows of an array, by any numbers": (
        "SO233",
        [
            "column 0 of table",
            "3 sequences",
            "begins in 107 and ends in 45",
            "[part[i : i + 9, 1:]",
            "scaled as they were",
        ],
        ARRAY
        + "table = stacked([107, 45, 81], 60)\nvalues = (table[:, 1:] - table[:, 1:].mean(0)) / table[:, 1:].std(0)\n"
        "x, y = cut(values, 9, ahead=1)\ntrain(x[:150], y[:150])",
    ),
    "windows that Keras cuts of an array": (
        "SO233",
        [
            "15 windows of timeseries_dataset_from_array",
            "column 0 of table",
            "windows = [windowed(part[:-6, 1:], part[6:, 1], sequence_length=6, batch_size=16) for part in parts]",
        ],
        ARRAY + "windowed(table[:-6, 1:], table[6:, 1], sequence_length=6, batch_size=16)",
    ),
    "an array with its columns by name": (
        "SO233",
        ["column 2 of table"],
        ARRAY + "columns = ['speed', 'heat', 'machine']\ntable = stacked([5, 7], 60, slow=False)[:, [1, 2, 0]]\n"
        "x, y = cut(table[:, :2], 9, ahead=1)\ntrain(x, y)",
    ),
    "a column that never changes": (
        "SO241",
        ["Column 1 of x", "is 21.5 in all 40 sequences", "np.delete(x, [1], axis=2)"],
        "x = rng.normal(size=(40, 5, 3)); x[:, :, 1] = 21.5\ntrain(x, x[:, 0, 0])",
    ),
    "columns that were cut to nothing": (
        "SO241",
        ["Columns 0, 2", "is 0 in all 40"],
        "x = rng.normal(size=(40, 5, 4)); x[:, :, [0, 2]] = (x[:, :, [0, 2]] / 99).astype(int)\ntrain(x, x[:, 0, 1])",
    ),
    "one of two inputs, in a dictionary": (
        "SO241",
        ["Column 1", "5.25", "40 sequences"],
        "x = rng.normal(size=(40, 5, 2)); x[:, :, 1] = 5.25\n"
        "a, b = keras.Input((5, 2), name='a'), keras.Input((3,), name='b')\n"
        "o = layers.Dense(1)(layers.Concatenate()([layers.SimpleRNN(2)(a), b]))\n"
        "m = keras.Model({'a': a, 'b': b}, o); m.compile('adam', 'mse')\n"
        "m.fit({'a': x, 'b': rng.normal(size=(40, 3))}, x[:, 0, :1], verbose=0)",
    ),
    "a scaler fitted to the test part": (
        "SO242",
        ["scaler.transform(x_test.reshape(-1, 2))", "line"],
        SPLIT + "from sklearn.preprocessing import StandardScaler\nscaler = StandardScaler()\n"
        "a = scaler.fit_transform(x_train.reshape(-1, 2)).reshape(x_train.shape)\n"
        "b = scaler.fit_transform(x_test.reshape(-1, 2)).reshape(x_test.shape)\n"
        "m = train(a, y_train); m.evaluate(b, y_test, verbose=0)",
    ),
    "two scalers, and other names": (
        "SO242",
        ["scaler.transform(testX)", "fitted to trainX"],
        SPLIT + "from sklearn.preprocessing import MinMaxScaler\n"
        "trainX, testX = x_train.reshape(-1, 2), x_test.reshape(-1, 2)\n"
        "a = MinMaxScaler().fit_transform(trainX).reshape(x_train.shape)\n"
        "b = MinMaxScaler().fit_transform(testX).reshape(x_test.shape)\n"
        "m = train(a, y_train); m.evaluate(b, y_test, verbose=0)",
    ),
    "fitted anew before the prediction": (
        "SO242",
        ["scaler.transform(x_new)"],
        SPLIT + "from sklearn.preprocessing import StandardScaler\nscaler = StandardScaler()\n"
        "x_old, x_new = x_train.reshape(-1, 2), x_test.reshape(-1, 2)\n"
        "scaler.fit(x_old)\nm = train(scaler.transform(x_old).reshape(x_train.shape), y_train)\n"
        "scaler.fit(x_new)\nm.predict(scaler.transform(x_new).reshape(x_test.shape), verbose=0)",
    ),
    "by hand": (
        "SO242",
        ["(x_test - np.mean(x_train)) / x_train.std()"],
        SPLIT + "a = (x_train - np.mean(x_train)) / x_train.std()\nb = (x_test - np.mean(x_test)) / x_test.std()\n"
        "m = train(a, y_train); m.evaluate(b, y_test, verbose=0)",
    ),
    "divided by the largest": (
        "SO242",
        ["x_test / x_train.max()"],
        SPLIT + "a, b = x_train / x_train.max(), x_test / x_test.max()\n"
        "m = train(a, y_train); m.evaluate(b, y_test, verbose=0)",
    ),
    "in a function": (
        "SO242",
        ["scale(x_test)", "x_train.mean(axis=0)"],
        SPLIT + "def scale(x):\n    return (x - x.mean(axis=0)) / x.std(axis=0)\n"
        "m = train(scale(x_train), y_train); m.evaluate(scale(x_test), y_test, verbose=0)",
    ),
}

RIGHT = {
    "targets behind the window": "windowed(series[:-6, None], series[6:], sequence_length=6)",
    "a series that moves slowly": (
        "slow = np.sin(np.arange(3000) / 2000)\nwindowed(slow[:-6, None], slow[6:], sequence_length=6)\n"
        "x, y = cut(slow[:200], 6, ahead=1)\ntrain(x, y)"
    ),
    "every second step, behind": "windowed(series[:-12, None], series[12:], sequence_length=6, sampling_rate=2)",
    "targets of another column": "windowed(rng.normal(size=(120, 2)), series, sequence_length=6)",
    "classes of windows": "windowed(series[:, None], (series > 0).astype(int), sequence_length=6)",
    "forecast by a loop": "x, y = cut(series, 6, ahead=1)\ntrain(x, y)",
    "forecast by views": "x = sliding_window_view(series, 6)[:-1, :, None]\ny = series[6:]\ntrain(x, y)",
    "several steps ahead": (
        "x = sliding_window_view(series, 6)[:100, :, None]\ny = sliding_window_view(series, 3)[6:106]\ntrain(x, y)"
    ),
    "an autoencoder of windows": (
        "x = sliding_window_view(series, 6)[..., None]\n"
        "l = [layers.GRU(2), layers.RepeatVector(6), layers.GRU(2, return_sequences=True), layers.Dense(1)]\n"
        "m = keras.Sequential([keras.Input((6, 1)), *l]); m.compile('adam', 'mse'); m.fit(x, x, verbose=0)"
    ),
    "the next step at every step": (
        "x = sliding_window_view(series, 6)[:-1, :, None]\ny = sliding_window_view(series, 6)[1:, :, None]\n"
        "l = [layers.SimpleRNN(2, return_sequences=True), layers.Dense(1)]\n"
        "m = keras.Sequential([keras.Input((6, 1)), *l]); m.compile('adam', 'mse'); m.fit(x, y, verbose=0)"
    ),
    "a first value that is asked for": "x = rng.normal(size=(40, 5, 2))\ntrain(x, x[:, 0, 0])",
    "windows of each machine": (
        TABLE + "for name, part in table.groupby('machine'):\n"
        "    windowed(part[['speed']].to_numpy(), None, sequence_length=6)"
    ),
    "short windows of each machine, by hand": (
        TABLE + "parts = [cut(part['speed'].to_numpy(), 2, ahead=1) for _, part in table.groupby('machine')]\n"
        "train(np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]))"
    ),
    "one machine of a table": (
        TABLE + "x, y = cut(table[table.machine == 'a']['speed'].to_numpy(), 6, ahead=1)\ntrain(x, y)"
    ),
    "windows side by side": (
        TABLE + "windowed(table[['speed']].to_numpy(), None, sequence_length=6, sequence_stride=6)\n"
        "x = series.reshape(20, 6, 1)\ntrain(x, x.sum(axis=(1, 2)))"
    ),
    "months of one series": (
        "year = pd.DataFrame({'month': np.repeat(['Jan', 'Feb', 'Mar'], 40), 'speed': series})\n"
        "windowed(year[['speed']].to_numpy(), None, sequence_length=6)"
    ),
    "time that runs on": (
        "log = pd.DataFrame({'crew': np.repeat(['x', 'y', 'z'], 40), 'speed': series,"
        " 'at': pd.date_range('2024-01-01', periods=120, freq='h')})\n"
        "windowed(log[['speed']].to_numpy(), None, sequence_length=6)"
    ),
    "a switch that comes and goes": (
        "log = pd.DataFrame({'machine': np.repeat(['x', 'y', 'x', 'y'], 30), 'speed': series})\n"
        "windowed(log[['speed']].to_numpy(), None, sequence_length=6)"
    ),
    "windows of each part of an array": (
        ARRAY + "x, y = zip(*[cut(table[table[:, 0] == one][:, 1:], 9, ahead=1) for one in np.unique(table[:, 0])])\n"
        "train(np.concatenate(x), np.concatenate(y))\n"
        "for one in np.unique(table[:, 0]):\n    windowed(table[table[:, 0] == one][:, 1:], None, sequence_length=6)"
    ),
    "windows of an array that cross no border": (
        ARRAY + "starts = [i for i in range(len(table) - 9) if table[i, 0] == table[i + 9, 0]]\n"
        "x = np.stack([table[i:i + 9, 1:] for i in starts])\ntrain(x, np.array([table[i + 9, 1] for i in starts]))"
    ),
    "windows of another array": ARRAY + "x, y = cut(rng.normal(size=(200, 2)), 9, ahead=1)\ntrain(x, y)",
    "days of hours": (
        "days = np.column_stack([np.arange(240) // 24, np.arange(240) % 24, rng.normal(size=240)])\n"
        "x, y = cut(days[:, 1:], 12, ahead=1)\ntrain(x, y)"
    ),
    "days of any length, by their name": (
        "day = np.repeat(np.arange(6), 40)\ndata = np.column_stack([day, rng.normal(size=240)])\n"
        "x, y = cut(data[:, 1], 12, ahead=1)\ntrain(x, y)"
    ),
    "blocks of one series that runs on": (
        "data = np.column_stack([np.repeat(np.arange(4), 50), rng.normal(size=200).cumsum()])\n"
        "x, y = cut(data[:, 1], 9, ahead=1)\ntrain(x, y)"
    ),
    "an array with a clock": (ARRAY + "table[:, 2] = np.arange(200)\nx, y = cut(table[:, 1], 9, ahead=1)\ntrain(x, y)"),
    "states that a model is to find": (
        ARRAY + "x = sliding_window_view(table[:, 1:], 9, axis=0).transpose(0, 2, 1)\ny = table[8:, 0]\ntrain(x, y)\n"
        "order = rng.permutation(len(x))\ntrain(x[order], y[order])"
    ),
    "states that a model is to see": ARRAY + "x, y = cut(table[:, [1, 0, 2]], 9, ahead=1)\ntrain(x, y)",
    "a switch in an array": (
        "data = np.column_stack([rng.normal(size=200), np.arange(200) > 120])\n"
        "x, y = cut(data[:, 0], 9, ahead=1)\ntrain(x, y)"
    ),
    "parts shorter than a window": ARRAY + "x, y = cut(table[:, 1:], 55, ahead=1)\ntrain(x, y)",
    "one-hot classes that do not turn up": ("x = np.eye(6)[rng.integers(0, 4, (40, 5))]\ntrain(x, x[:, 0, 0])"),
    "a column of ones": "x = rng.normal(size=(40, 5, 3)); x[:, :, 2] = 1\ntrain(x, x[:, 0, 0])",
    "a number for each sequence": (
        "x = rng.normal(size=(40, 5, 3)); x[:, :, 2] = rng.normal(size=(40, 1))\ntrain(x, x[:, 0, 0])"
    ),
    "one scale for all": (
        SPLIT + "from sklearn.preprocessing import StandardScaler\nscaler, of_y = StandardScaler(), StandardScaler()\n"
        "a = scaler.fit_transform(x_train.reshape(-1, 2)).reshape(x_train.shape)\n"
        "b = scaler.transform(x_test.reshape(-1, 2)).reshape(x_test.shape)\n"
        "m = train(a, of_y.fit_transform(y_train[:, None])); m.evaluate(b, of_y.transform(y_test[:, None]), verbose=0)"
    ),
    "one mean for all, by hand": (
        SPLIT + "def scale(x, mean=x_train.mean(), std=x_train.std()):\n    return (x - mean) / std\n"
        "m = train(scale(x_train), y_train); m.evaluate(scale(x_test), y_test, verbose=0)"
    ),
    "each sequence by its own mean": (
        SPLIT + "a = x_train - x_train.mean(axis=1, keepdims=True)\nb = x_test - x_test.mean(axis=1, keepdims=True)\n"
        "m = train(a, y_train); m.evaluate(b, y_test, verbose=0)"
    ),
    "a share of the whole": (
        SPLIT + "share = y_test / y_test.sum()\nm = train(x_train, y_train); m.evaluate(x_test, y_test, verbose=0)"
    ),
    "named like tests": (
        SPLIT + "from sklearn.preprocessing import StandardScaler\n"
        "latest, values = x_train.reshape(-1, 2), x_test.reshape(-1, 2)\n"
        "a, b = StandardScaler().fit_transform(latest), StandardScaler().fit_transform(values)\n"
        "train(a.reshape(x_train.shape), y_train)"
    ),
}
