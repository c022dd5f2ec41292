"""Programs whose outputs, targets and losses do not belong together, and right ones that look like them."""

BEGIN = """
import numpy as np, keras
from keras import layers, losses, ops
rng = np.random.default_rng(0)
x = rng.normal(size=(12, 5, 3)).astype("float32")
y = x[:, -1, :1].copy()
binary = np.tile([0, 1], 6)
classes = np.tile([0, 1, 2], 4)
def rnn(**options):
    return layers.SimpleRNN(4, unroll=True, **options)
def model(*parts):
    return keras.Sequential([keras.Input((5, 3)), *parts])
def train(m, y, loss="mse", x=x, **options):
    m.compile("sgd", loss, run_eagerly=True, **options)
    return m.fit(x, y, verbose=0)
"""

SUBCLASS = """
class Net(keras.Model):
    def __init__(self, **options):
        super().__init__()
        self.rnn, self.head = rnn(**options), layers.Dense(1)
    def call(self, x):
        return self.head(self.rnn(x))
"""

BATCHES = """
class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2
    def __getitem__(self, number):
        rows = slice(6 * number, 6 * number + 6)
        return x[rows], targets[rows]
"""

HEADS = """
i = keras.Input((5, 3))
s = rnn(return_sequences=True)(i)
value = layers.Dense(1, name="value")({})
kind = layers.Dense(3, activation="softmax", name="kind")(layers.GlobalMaxPooling1D()(s))
m = keras.Model(i, {{"value": value, "kind": kind}})
m.compile("sgd", {{"value": "mse", "kind": "sparse_categorical_crossentropy"}})
m.fit(x, {{"value": y, "kind": classes}}, verbose=0)
"""

OWN_LOOP = """
import jax
m = model(rnn(), layers.Dense(1))
def loss_of(trained, rest, x, y):
    pred, rest = m.stateless_call(trained, rest, x)
    return ops.mean(ops.square({}))
trained = [v.value for v in m.trainable_variables]
rest = [v.value for v in m.non_trainable_variables]
jax.grad(loss_of)(trained, rest, x, y[:, 0])
"""

ATTENTION = """
i = keras.Input((5, 3))
s = rnn(return_sequences=True)(i)
scores = layers.Dense(1, activation="tanh")(s)
weights = {}(scores)
m = keras.Model(i, layers.Dense(1)(layers.Dot(axes=(1, 1))([weights, s])))
"""

# name: (code, words it has to say, program)
MISTAKES = {
    "an output at every step, one target": (
        "SO411",
        ["all 5 steps", "targets (12, 1)", "(12, 5, 1)", "broadcasts", "layers.SimpleRNN(4, unroll=True)        #"],
        "train(model(layers.SimpleRNN(4, return_sequences=True, unroll=True), layers.Dense(1)), y)",
    ),
    "an output at every step, functional": (
        "SO411",
        ["all 5 steps", "targets (12,)", "all other sequences", "layers.Bidirectional(layers.SimpleRNN(4))"],
        "i = keras.Input((None, 3))\n"
        "s = layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True))(i)\n"
        "m = keras.Model(i, layers.TimeDistributed(layers.Dense(1))(s))\n"
        "m.compile('sgd', 'mae')\nm.fit(x, y[:, 0], verbose=0)",
    ),
    "an output at every step, subclass and dataset": (
        "SO411",
        ["all 5 steps", "targets (6, 1)", "layers.SimpleRNN(4, unroll=True, **options)        #"],
        SUBCLASS + BATCHES + "targets = y\nm = Net(return_sequences=True)\nm.compile('sgd', 'mse')\n"
        "m.fit(Batches(), verbose=0)",
    ),
    "an output at every step, one of two heads": (
        "SO411",
        ["all 5 steps", "targets (12, 1)", "layers.SimpleRNN(4, unroll=True, **options)"],
        HEADS.format("s"),
    ),
    "an output at every step, binary": (
        "SO411",
        ["all 5 steps", "targets (12,)", "there is one for 5 steps"],
        "train(model(rnn(return_sequences=True), layers.Dense(1, activation='sigmoid')), binary,\n"
        "      'binary_crossentropy')",
    ),
    "an output at every step, one class": (
        "SO411",
        ["all 5 steps", "targets (12,)"],
        "train(model(rnn(return_sequences=True), layers.Dense(3, activation='softmax')), classes,\n"
        "      'sparse_categorical_crossentropy')",
    ),
    "an output at every step, no recurrent layer behind": (
        "SO411",
        ["all 5 steps", "GlobalAveragePooling1D"],
        "train(model(rnn(), layers.RepeatVector(5), layers.Dense(1)), y)",
    ),
    "an output at every step, train_on_batch": (
        "SO411",
        ["m.train_on_batch", "all 5 steps"],
        "m = model(rnn(return_sequences=True), layers.Dense(1))\nm.compile('sgd', 'mse')\n"
        "for _ in range(3):\n    m.train_on_batch(x, y)",
    ),
    "an output at every step, loss by hand": (
        "SO411",
        ["mean_squared_error", "all 5 steps", "targets (12, 1)"],
        "m = model(rnn(return_sequences=True), layers.Dense(1))\nloss = losses.MeanSquaredError()(y, m(x))",
    ),
    "an output at every step, function by hand": (
        "SO411",
        ["mean_absolute_error", "all 5 steps"],
        "m = model(rnn(return_sequences=True), layers.Dense(1))\npred = m(x)\n"
        "loss = losses.mean_absolute_error(y, pred)",
    ),
    "one output, a target per step": (
        "SO412",
        ["5 targets per sequence", "targets (12, 5)", "their mean", "return_sequences=True", "Dense(5)"],
        "train(model(rnn(), layers.Dense(1)), x[:, :, 0])",
    ),
    "one output, a forecast": (
        "SO412",
        ["7 targets per sequence", "targets (12, 7)", "keras.layers.Dense(7)", "instead of Dense 'head'"],
        "train(model(rnn(), layers.Dense(1, name='head')), np.tile(y, 7), 'huber')",
    ),
    "one output, rows of a target per step": (
        "SO412",
        ["5 targets per sequence", "targets (12, 5, 2)", "return_sequences=True"],
        "train(model(layers.GRU(4), layers.Dense(2)), x[:, :, :2])",
    ),
    "softmax over one unit": (
        "SO413",
        ["1 unit", "1.0", "2 classes", "layers.Dense(1, activation='sigmoid')"],
        "train(model(rnn(), layers.Dense(1, activation='softmax')), binary, 'binary_crossentropy')",
    ),
    "softmax over one unit at every step": (
        "SO413",
        ["TimeDistributed", "1.0"],
        "head = layers.TimeDistributed(layers.Dense(1, activation='softmax'))\n"
        "train(model(rnn(return_sequences=True), head), x[:, :, 0] > 0, 'binary_crossentropy')",
    ),
    "softmax over one unit in attention": (
        "SO413",
        ["1.0", "5 steps", "axis=1", "same weight"],
        ATTENTION.replace("'tanh'", "'softmax'").replace('"tanh"', '"softmax"').format("layers.Dropout(0.1)")
        + "m.compile('sgd', 'mse')\nm.fit(x, y, verbose=0)",
    ),
    "softmax over one unit in attention of one's own": (
        "SO413",
        ["1.0", "5 steps", "layers.Softmax(axis=1)", "same weight"],
        "class Attention(layers.Layer):\n    def __init__(self):\n        super().__init__()\n"
        "        self.score, self.weigh = layers.Dense(1), layers.Softmax()\n"
        "    def call(self, s):\n        return ops.sum(self.weigh(self.score(s)) * s, axis=1)\n"
        "parts = [rnn(return_sequences=True), Attention(), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input(batch_shape=(12, 5, 3)), *parts]), y)",
    ),
    "softmax layer over one unit in attention": (
        "SO413",
        ["1.0", "5 steps", "axis=1", "same weight", "(None, 5, 1)"],
        ATTENTION.format("layers.Activation('softmax')") + "m.compile('sgd', 'mse')\nm.fit(x, y, verbose=0)",
    ),
    "a function softmax over one unit in attention": (
        "SO413",
        ["1.0", "5 steps", "keras.ops.softmax(scores, axis=1)", "(None, 5, 1)"],
        ATTENTION.format("ops.softmax") + "m.compile('sgd', 'mse')\nm.fit(x, y, verbose=0)",
    ),
    "class numbers for one-hot rows": (
        "SO414",
        ["class numbers 0 to 2", "(12, 3)", "sparse_categorical_crossentropy", "to_categorical(classes, 3)"],
        "m = model(rnn(), layers.Dense(3, activation='softmax'))\nm.compile('sgd', 'categorical_crossentropy')\n"
        "m.fit(x, classes, verbose=0)",
    ),
    "class numbers of steps for one-hot rows": (
        "SO414",
        ["class numbers 0 to 2", "(12, 5, 3)", "sparse_categorical_crossentropy"],
        "train(model(rnn(return_sequences=True), layers.Dense(3, activation='softmax')),\n"
        "      np.tile(classes[:, None], 5), losses.CategoricalCrossentropy())",
    ),
    "one-hot rows for class numbers": (
        "SO414",
        ["one-hot", "(12, 3)", "argmax(-1)", "categorical_crossentropy"],
        "train(model(rnn(), layers.Dense(3, activation='softmax')), np.eye(3)[classes],\n"
        "      'sparse_categorical_crossentropy')",
    ),
    "classes from one": (
        "SO415",
        ["class 3", "from 1 to 3", "0 to 2", "- 1", "4 of 12", "layers.Dense(4, activation='softmax')"],
        "m = model(rnn(), layers.Dense(3, activation='softmax'))\n"
        "m.compile('sgd', 'sparse_categorical_crossentropy')\nlabels = classes + 1\nm.fit(x, labels, verbose=0)",
    ),
    "a class for the unknown": (
        "SO415",
        ["class -1", "from -1 to 1", "ignore_class=-1", "0 to 2"],
        "train(model(rnn(), layers.Dense(3, activation='softmax')), classes - 1, 'sparse_categorical_crossentropy')",
    ),
    "two classes and one unit": (
        "SO415",
        ["class 1", "1 unit", "sigmoid", "binary_crossentropy"],
        "train(model(rnn(), layers.Dense(1)), binary, losses.SparseCategoricalCrossentropy(from_logits=True))",
    ),
    "classes of steps in a generator": (
        "SO415",
        ["from 0 to 4", "3 units", "Dense(5, activation='softmax')"],
        "def batches():\n    while True:\n        yield x, np.tile(np.arange(5), (12, 1))\n"
        "m = model(rnn(return_sequences=True), layers.Dense(3, activation='softmax'))\n"
        "m.compile('sgd', 'sparse_categorical_crossentropy')\nm.fit(batches(), steps_per_epoch=1, verbose=0)",
    ),
    "tanh and tens": (
        "SO416",
        ["12 of 12", "tanh", "-1 to 1", "layers.Dense(1)        #", "scale"],
        "train(model(rnn(), layers.Dense(1, activation='tanh')), 40 + y)",
    ),
    "relu and what goes below 0": (
        "SO416",
        ["relu", "0 and above", "targets from -"],
        "train(model(rnn(), layers.Dense(1), layers.Activation('relu')), y, 'mae')",
    ),
    "an LSTM last": (
        "SO416",
        ["LSTM 'last'", "-1 to 1", "Dense(1)"],
        "train(model(layers.LSTM(1, name='last')), 100 * y)",
    ),
    "NaN among the targets": (
        "SO417",
        ["1 of 12 numbers", "row 7", "NaN", "np.nan_to_num(y)"],
        "y[7] = np.nan\nm = model(rnn(), layers.Dense(1))\nm.compile('sgd', 'mse')\nm.fit(x, y, verbose=0)",
    ),
    "NaN in a column": (
        "SO417",
        ["3 of 180 numbers", "3 rows of 12", "column 1", "first in row 2"],
        "x[2, 0, 1] = x[4, 3, 1] = x[9, 2, 1] = np.nan\ntrain(model(rnn(), layers.Dense(1)), y)",
    ),
    "NaN in train_on_batch": (
        "SO417",
        ["NaN", "row 3"],
        "m = model(rnn(), layers.Dense(1))\nm.compile('sgd', 'mse')\nx[3] = np.nan\nm.train_on_batch(x, y)",
    ),
    "NaN in a generator": (
        "SO417",
        ["x holds NaN", "row 5"],
        "x[5, 1] = np.nan\ndef batches():\n    while True:\n        yield x, y\n"
        "m = model(rnn(), layers.Dense(1))\nm.compile('sgd', 'mse')\nm.fit(batches(), steps_per_epoch=1, verbose=0)",
    ),
    "NaN where predictions are made": (
        "SO417",
        ["NaN", "row 0"],
        "x[0] = np.nan\nm = model(rnn(), layers.Dense(1))\nm.predict(x, verbose=0)",
    ),
    "softmax twice": (
        "SO418",
        ["softmax is applied twice", "from_logits=True", "layers.Dense(3)        #"],
        "train(model(rnn(), layers.Dense(3, activation='softmax')), classes,\n"
        "      losses.SparseCategoricalCrossentropy(from_logits=True))",
    ),
    "sigmoid twice, subclass": (
        "SO418",
        ["sigmoid is applied twice", "from_logits=True"],
        SUBCLASS + "m = Net()\nm.head = layers.Dense(1, activation='sigmoid')\n"
        "train(m, binary, losses.BinaryCrossentropy(from_logits=True))",
    ),
    "no sigmoid": (
        "SO418",
        ["plain numbers", "layers.Dense(1, activation='sigmoid')", "from_logits=True"],
        "train(model(rnn(), layers.Dense(1)), binary, 'binary_crossentropy')",
    ),
    "no softmax, one of two heads": (
        "SO418",
        ["plain numbers", "Dense 'kind'", "softmax"],
        HEADS.format("layers.GlobalMaxPooling1D()(s)")
        .replace("3, activation='softmax'", "3")
        .replace('3, activation="softmax"', "3"),
    ),
    "the state as output": (
        "SO419",
        ["8 outputs with 1 target", "targets (12, 1)", "keras.layers.Dense(1)"],
        "train(model(layers.SimpleRNN(8, unroll=True)), y)",
    ),
    "a unit too many": (
        "SO419",
        ["4 outputs with 3 classes", "targets (12, 3)", "layers.Dense(3, activation='softmax')"],
        "train(model(rnn(), layers.Dense(4, activation='softmax')), np.eye(3)[classes], 'categorical_crossentropy')",
    ),
    "a forecast of other length": (
        "SO419",
        ["at 5 steps", "targets at 2", "(12, 2, 1)", "Dense(2)"],
        "train(model(rnn(return_sequences=True), layers.Dense(1)), x[:, :2, :1])",
    ),
    "a difference by hand": (
        "SO420",
        ["(12, 1)", "(12,)", "(12, 12)", "m(x)[:, 0] - target"],
        "m = model(rnn(), layers.Dense(1))\ntarget = y[:, 0]\nloss = ops.mean((m(x) - target) ** 2)",
    ),
    "a difference in a loop": (
        "SO420",
        ["(12, 12)", "ops.subtract(t, pred[:, 0])"],
        SUBCLASS + "m = Net()\nfor t in (y[:, 0], y[:, 0]):\n    pred = m(x)\n    error = ops.subtract(t, pred)",
    ),
    "a difference in a function": (
        "SO420",
        ["(12, 12)", "error(target, m(x)[:, 0])", "target[:, None]"],
        "def error(true, pred):\n    return ops.mean(ops.square(true - pred))\n"
        "m, target = model(rnn(), layers.Dense(1)), y[:, 0]\nerror(target, m(x))",
    ),
    "a difference, stateless": ("SO420", ["(12, 12)", "pred[:, 0] - y"], OWN_LOOP.format("pred - y")),
    "classes beside binary_crossentropy": (
        "SO421",
        ["3 classes from 0 to 2", "1 unit", "Dense(3, activation='softmax')", "sparse_categorical_crossentropy"],
        "train(model(rnn(), layers.Dense(1, activation='sigmoid')), classes, 'binary_crossentropy')",
    ),
    "-1 and 1 beside binary_crossentropy": (
        "SO421",
        ["from -1 to 1", "== 1).astype('float32')"],
        "train(model(rnn(), layers.Dense(1, activation='sigmoid')), 2 * binary - 1, losses.BinaryCrossentropy())",
    ),
    "measured values beside binary_crossentropy": (
        "SO421",
        ["measured values", "loss='mse'"],
        "train(model(rnn(), layers.Dense(1, activation='sigmoid')), 10 * y, 'binary_crossentropy')",
    ),
    "two units beside binary_crossentropy": (
        "SO421",
        ["2 classes from 0 to 1", "2 units", "sparse_categorical_crossentropy"],
        "train(model(rnn(), layers.Dense(2, activation='softmax')), binary, 'binary_crossentropy')",
    ),
    "accuracy of values": (
        "SO422",
        ["accuracy", "12 of 12 with a fraction", "metrics=['mae']"],
        "train(model(rnn(), layers.Dense(1)), y, metrics=['accuracy'])",
    ),
    "steps that overshoot": (
        "SO423",
        ["NaN in epoch", "activation='relu'", "learning_rate=50", "SGD(0.001, clipnorm=1.0)"],
        "m = model(layers.SimpleRNN(8, activation='relu'), layers.Dense(1))\n"
        "m.compile(keras.optimizers.SGD(50.0), 'mse')\nm.fit(100 * x, y, epochs=6, verbose=0)",
    ),
    "the logarithm of predictions below 0": (
        "SO423",
        ["NaN in epoch 1", "poisson takes the logarithm", "layers.Dense(1, activation='exponential')"],
        "train(model(rnn(), layers.Dense(1)), 9 * abs(y), 'poisson')",
    ),
    "categorical_crossentropy over one unit": (
        "SO424",
        ["1 unit", "is 0", "binary_crossentropy", "sigmoid"],
        "train(model(rnn(), layers.Dense(1)), binary, losses.CategoricalCrossentropy(from_logits=True))",
    ),
    "an error of predictions": (
        "SO420",
        ["forecast (12, 1) beside target (12,)", "(12, 12)", "forecast[:, 0] - target"],
        "m, target, scale = model(rnn(), layers.Dense(1)), y[:, 0], 3.0\n"
        "forecast = m.predict(x, verbose=0) * scale + 1\nrmse = np.sqrt(np.mean((forecast - target) ** 2))",
    ),
    "an accuracy of predictions": (
        "SO420",
        ["> 0.5 (12, 1) beside binary (12,)", "compared with each of the 12", "predict(x, verbose=0)[:, 0] > 0.5"],
        "m = model(rnn(), layers.Dense(1, activation='sigmoid'))\n"
        "print(np.mean((m.predict(x, verbose=0) > 0.5) == binary))",
    ),
    "an accuracy in a function, step by step": (
        "SO420",
        ["hard (12, 1) beside truth (12,)", "hard[:, 0] == truth"],
        "def score(m, x, truth):\n    p = m.predict(x, verbose=0)\n    hard = (p > 0.5).astype(int)\n"
        "    return float(np.mean(hard == truth))\n"
        "score(model(rnn(), layers.Dense(1, activation='sigmoid')), x, binary)",
    ),
}

RIGHT = {
    "one output, one target": "train(model(rnn(), layers.Dense(1)), y); train(model(rnn(), layers.Dense(1)), y[:, 0])",
    "an output and a target per step": (
        "train(model(rnn(return_sequences=True), layers.TimeDistributed(layers.Dense(1))), x[:, :, 0])\n"
        "train(model(rnn(return_sequences=True), layers.Dense(1, activation='sigmoid')), x[:, :, :1] > 0,\n"
        "      'binary_crossentropy', metrics=['accuracy'])"
    ),
    "an autoencoder": (
        "train(model(rnn(), layers.RepeatVector(5), rnn(return_sequences=True), layers.Dense(3)), x, 'mae')"
    ),
    "a forecast at once": "train(model(rnn(), layers.Dense(7)), np.tile(y, 7))",
    "steps of another language": (
        "train(model(rnn(return_sequences=True), layers.Dense(6, activation='softmax')),\n"
        "      np.tile(classes[:, None], 5), 'sparse_categorical_crossentropy', metrics=['accuracy'])"
    ),
    "weights of steps add up over time": (
        ATTENTION.format("layers.Softmax(axis=1)") + "train(m, y)\n"
        "over = ops.softmax(scores, axis=1)\n"
        "train(keras.Model(i, layers.Dense(1)(layers.Dot(axes=(1, 1))([over, s]))), y)\n"
        "flat = layers.Activation('softmax')(layers.Flatten()(scores))\n"
        "train(keras.Model(i, layers.Dense(1)(layers.Dot(axes=(1, 1))([flat, s]))), y)"
    ),
    "attention over one step": (
        "i = keras.Input((1, 3))\n"
        "s = layers.MultiHeadAttention(2, 2)(i, i)\n"
        "train(keras.Model(i, layers.Dense(1)(layers.Flatten()(s))), y, x=x[:, :1])"
    ),
    "mse of one-hot rows": (
        "train(model(rnn(), layers.Dense(3, activation='softmax')), np.eye(3)[classes], metrics=['accuracy'])"
    ),
    "several labels": (
        "train(model(rnn(), layers.Dense(4, activation='sigmoid')), rng.integers(0, 2, (12, 4)),\n"
        "      'binary_crossentropy', metrics=['accuracy'])"
    ),
    "smoothed labels": (
        "train(model(rnn(), layers.Dense(3, activation='softmax')), 0.9 * np.eye(3)[classes] + 0.1 / 3,\n"
        "      losses.CategoricalCrossentropy(label_smoothing=0.1))\n"
        "train(model(rnn(), layers.Dense(1, activation='sigmoid')), 0.1 + 0.8 * binary, 'binary_crossentropy')"
    ),
    "targets within reach": (
        "train(model(rnn(), layers.Dense(1, activation='tanh')), y / abs(y).max())\n"
        "train(model(rnn(), layers.Dense(1, activation='relu')), abs(y))"
    ),
    "tanh and the hinge": "train(model(rnn(), layers.Dense(1, activation='tanh')), 2 * binary - 1, 'hinge')",
    "logits": (
        "train(model(rnn(), layers.Dense(1)), binary, losses.BinaryCrossentropy(from_logits=True))\n"
        "train(model(rnn(), layers.Dense(3)), classes, losses.SparseCategoricalCrossentropy(from_logits=True))"
    ),
    "softmax as a layer of its own": (
        "train(model(rnn(), layers.Dense(3), layers.Softmax()), classes, 'sparse_categorical_crossentropy')\n"
        "train(model(rnn(), layers.Dense(3, activation=layers.Softmax())), classes,\n"
        "      'sparse_categorical_crossentropy')"
    ),
    "softmax in a head of one's own": (
        "class Head(layers.Dense):\n    def call(self, x):\n        return ops.softmax(super().call(x))\n"
        "train(model(rnn(), Head(3)), classes, 'sparse_categorical_crossentropy')"
    ),
    "sigmoid in call": (
        SUBCLASS + "class Sure(Net):\n    def call(self, x):\n        x = super().call(x)\n        x = ops.tanh(x)\n"
        "        return ops.sigmoid(x)\ntrain(Sure(), binary, 'binary_crossentropy')\n"
        "i = keras.Input((5, 3))\n"
        "train(keras.Model(i, ops.sigmoid(layers.Dense(1)(rnn()(i)))), binary, 'binary_crossentropy')"
    ),
    "missing values are filled in the model": (
        "x[3, 2] = np.nan\ntrain(model(layers.Lambda(lambda t: ops.nan_to_num(t)), rnn(), layers.Dense(1)), y)"
    ),
    "missing targets are left out by the loss": (
        "y[3] = np.nan\n"
        "def known(true, pred):\n    there = ops.isfinite(true)\n"
        "    return ops.sum(ops.where(there, ops.square(ops.where(there, true, 0.0) - pred), 0.0))\n"
        "train(model(rnn(), layers.Dense(1)), y, known)"
    ),
    "quantiles and mixtures": (
        "def quantiles(true, pred):\n    error = true - pred\n"
        "    return ops.mean(ops.maximum(0.1 * error, -0.9 * error))\n"
        "train(model(rnn(), layers.Dense(3)), y, quantiles)\n"
        "train(model(rnn(return_sequences=True), layers.Dense(2)), y,\n"
        "      lambda true, pred: ops.mean(ops.square(pred[:, -1, :1] - true)))"
    ),
    "transcripts": (
        "class Transcript(losses.Loss):\n    def call(self, true, pred):\n"
        "        return ops.mean(pred, (1, 2)) - ops.mean(true, 1)\n"
        "train(model(rnn(return_sequences=True), layers.Dense(6)), np.tile([1.0, 2.0], (12, 1)), Transcript())"
    ),
    "counts": "train(model(rnn(), layers.Dense(1, activation='exponential')), rng.integers(0, 9, (12, 1)), 'poisson')",
    "steps without weight": (
        "labels = np.tile(classes[:, None], 5).astype('float32')\n"
        "labels[::2, 3:] = -1\n"
        "m = model(rnn(return_sequences=True), layers.Dense(3, activation='softmax'))\n"
        "m.compile('sgd', 'sparse_categorical_crossentropy')\n"
        "m.fit(x, labels, sample_weight=(labels >= 0).astype('float32'), verbose=0)\n"
        "yes = np.tile(binary[:, None, None], (5, 1)).astype('float32')\nyes[1::2, 3:] = -1\nw = (yes >= 0)[..., 0]\n"
        "m = model(rnn(return_sequences=True), layers.Dense(1, activation='sigmoid'))\n"
        "m.compile('sgd', 'binary_crossentropy')\n"
        "m.fit(x, yes, sample_weight=w.astype('float32'), verbose=0)\n"
        "m.compile('sgd', 'mse')\n"
        "m.fit(x, yes, sample_weight=w.astype('float32'), verbose=0)"
    ),
    "padded steps are masked": (
        "x[::2, 3:] = 0\nshare = np.abs(x[:, :, :1]) / 9\nshare[::2, 3:] = -1\n"
        "train(model(layers.Masking(), rnn(return_sequences=True), layers.Dense(1, activation='sigmoid')), share)"
    ),
    "a class that is left out": (
        "train(model(rnn(), layers.Dense(3, activation='softmax')), classes - 1,\n"
        "      losses.SparseCategoricalCrossentropy(ignore_class=-1))"
    ),
    "units to spare": (
        "train(model(rnn(), layers.Dense(9, activation='softmax')), classes[:, None],\n"
        "      'sparse_categorical_crossentropy')"
    ),
    "a few beyond the limit": "y[0] = -0.01\ntrain(model(rnn(), layers.Dense(1, activation='softplus')), abs(y))",
    "two heads": HEADS.format("layers.GlobalMaxPooling1D()(s)"),
    "training of one's own": (
        SUBCLASS + "class Own(Net):\n"
        "    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):\n"
        "        return ops.mean(ops.square(y_pred[:, -1] - y))\n"
        "train(Own(return_sequences=True), y)"
    ),
    "no targets": (
        "class Code(layers.Layer):\n    def call(self, x):\n        self.add_loss(ops.mean(ops.square(x)))\n"
        "        return x\n"
        "m = model(rnn(return_sequences=True), Code())\nm.compile('sgd')\nm.fit(x, verbose=0)"
    ),
    "differences of one shape": (
        "m = model(rnn(), layers.Dense(1))\ntarget = y[:, 0]\n"
        "pred = m(x)\npred = pred[:, 0]\nerror = pred - target\n"
        "pred = ops.squeeze(m(x), -1)\nerror = pred - target\n"
        "pred = m(x)\nif True:\n    target = target[:, None]\n    error = pred - target\n"
        "error = m(x)[:, 0] - y[:, 0]\n"
        "pred = m(x)\npairs = pred - ops.transpose(pred)\nscaled = pred - pred.mean()"
    ),
    "a difference in a function that looks at shapes": (
        "def error(true, pred):\n    true = ops.reshape(true, ops.shape(pred))\n    return ops.mean(true - pred)\n"
        "m, target = model(rnn(), layers.Dense(1)), y[:, 0]\nerror(target, m(x))"
    ),
    "differences of one shape, stateless": OWN_LOOP.format("pred[:, 0] - y"),
    "accuracy of classes in floats": (
        "train(model(rnn(), layers.Dense(1, activation='sigmoid')), binary.astype('float32'), metrics=['accuracy'])"
    ),
    "predictions with one axis": (
        "m, target = model(rnn(), layers.Dense(1)), y[:, 0]\n"
        "p = m.predict(x, verbose=0).ravel()\nprint(np.mean(p - target))\n"
        "p = m.predict(x, verbose=0)\np = p[:, 0] * 2\nprint(np.mean(p - target))\n"
        "p = m.predict(x, verbose=0)\nprint(np.mean(p - y), np.mean(p - target[:, None]), np.mean(p - p.mean()))\n"
        "p = m.predict(x[:1], verbose=0)\nnearest = np.argmin(np.abs(p - target))"
    ),
    "predictions that are given to something else": (
        "m, target = model(rnn(), layers.Dense(1)), y[:, 0]\n"
        "p = m.predict(x, verbose=0)\np, q = target * 2, p\nprint(np.mean(p - target))"
    ),
}
