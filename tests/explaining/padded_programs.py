"""Programs with padding that nothing masks, and right ones that look like them."""

BEGIN = """
import numpy as np, keras
from keras import layers, ops
rng = np.random.default_rng(0)
rows = [rng.random((n, 2)) + 1 for n in (3, 7, 4, 6, 2, 5, 7, 3)]
ids = [rng.integers(1, 9, n).tolist() for n in (3, 7, 4, 6, 2, 5, 7, 3)]
y = rng.random((8, 1)).astype("float32")
pad = keras.utils.pad_sequences
post = pad(rows, padding="post", dtype="float32")
tokens = pad(ids, padding="post")
def train(m, x, y=y, **options):
    m.compile("adam", "mse")
    m.fit(x, y, verbose=0, **options)
"""

LONGER = """
rows = [rng.random((n, 2)) + 1 for n in (3, 9, 4, 6, 2, 5, 7, 3)]
ids = [rng.integers(1, 9, n).tolist() for n in (3, 9, 4, 6, 2, 5, 7, 3)]
"""

HAND = (
    LONGER
    + """
x = np.zeros((8, 9, 2), "float32")
for i, row in enumerate(rows):
    x[i, :len(row)] = row
"""
)

SUBCLASS = """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.gru, self.head = layers.GRU(3), layers.Dense(1)
    def call(self, x):
        return self.head(self.gru(x))
"""

ENCODER = """
i = keras.Input((7, 2))
encoder = keras.Model(i, layers.GRU(4, return_sequences=True)(layers.Masking(0.0)(i)))
encoder.compile("adam", "mse")
codes = encoder.predict(post, verbose=0)
"""

# name: (code, words it has to say, program)
MISTAKES = {
    "sequential gru": (
        "SO221",
        ["19 of 56 steps", "6 of 8 rows", "padding", "mask", "GRU 'gru'", "keras.layers.Masking(mask_value=0.0)"],
        "train(keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)]), post)",
    ),
    "functional bidirectional": (
        "SO221",
        ["Bidirectional", "last output"],
        "i = keras.Input((7, 2)); train(keras.Model(i, layers.Dense(1)(layers.Bidirectional(layers.LSTM(3))(i))), "
        "post)",
    ),
    "subclass": ("SO221", ["gru", "Masking"], SUBCLASS + "train(Net(), post)"),
    "stacked, the last one gives one output": (
        "SO221",
        ["read as data"],
        "train(keras.Sequential([layers.SimpleRNN(3, return_sequences=True), layers.SimpleRNN(3), layers.Dense(1)]), "
        "post)",
    ),
    "embedding without mask_zero": (
        "SO221",
        ["mask_zero=True", "layers.Embedding(9, 4, mask_zero=True)"],
        "train(keras.Sequential([layers.Embedding(9, 4), layers.LSTM(3), layers.Dense(1)]), tokens)",
    ),
    "parts of the padded array": (
        "SO221",
        ["padding", "pad_sequences"],
        "train(keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)]), post[2:].astype('float16'), "
        "y[2:])",
    ),
    "a features axis was added": (
        "SO221",
        ["padding"],
        "train(keras.Sequential([keras.Input((7, 1)), layers.GRU(3), layers.Dense(1)]), tokens[..., None] / 9)",
    ),
    "one-hot after padding": (
        "SO221",
        ["pad_sequences", "changed after that"],
        "train(keras.Sequential([keras.Input((7, 9)), layers.GRU(3), layers.Dense(1)]), np.eye(9)[tokens])",
    ),
    "scaled after padding": (
        "SO221",
        ["changed after that", "scale"],
        "flat = post.reshape(-1, 2)\n"
        "x = ((flat - flat.mean(axis=0)) / flat.std(axis=0)).reshape(post.shape)\n"
        "train(keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "last output of a sequence": (
        "SO221",
        ["x[:, -1]", "padding"],
        "i = keras.Input((7, 2)); s = layers.LSTM(3, return_sequences=True)(i)\n"
        "train(keras.Model(i, layers.Dense(1)(s[:, -1])), post)",
    ),
    "last output by Lambda": (
        "SO221",
        ["last output"],
        "last = layers.Lambda(lambda s: s[:, -1, :])\n"
        "train(keras.Sequential([keras.Input((7, 2)), layers.LSTM(3, return_sequences=True), last, layers.Dense(1)]), "
        "post)",
    ),
    "flatten": (
        "SO221",
        ["Flatten"],
        "m = [layers.LSTM(3, return_sequences=True), layers.Flatten(), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post)",
    ),
    "zeros filled by hand": (
        "SO221",
        ["by hand, line"],
        HAND + "train(keras.Sequential([keras.Input((9, 2)), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "zeros filled by hand in a function": (
        "SO221",
        ["by hand, line"],
        LONGER + "def filled(rows):\n    out = np.zeros((len(rows), 9, 2))\n"
        "    for i, row in enumerate(rows):\n        out[i][:len(row)] = row\n    return out\n"
        "x = filled(rows)\ntrain(keras.Sequential([keras.Input((9, 2)), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "lists filled up": (
        "SO221",
        ["by hand, line"],
        LONGER + "x = np.array([one + [0] * (9 - len(one)) for one in ids])\n"
        "train(keras.Sequential([layers.Embedding(9, 4), layers.LSTM(3), layers.Dense(1)]), x)",
    ),
    "np.pad": (
        "SO221",
        ["by hand, line"],
        LONGER + "x = np.stack([np.pad(row, ((0, 9 - len(row)), (0, 0))) for row in rows])\n"
        "train(keras.Sequential([keras.Input((9, 2)), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "generator": (
        "SO221",
        ["first batch"],
        "def batches():\n    while True:\n        yield post, y\n"
        "m = keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)])\n"
        "m.compile('adam', 'mse'); m.fit(batches(), steps_per_epoch=2, verbose=0)",
    ),
    "dataset": (
        "SO221",
        ["19 of 56 steps"],
        "import tensorflow as tf\n"
        "d = tf.data.Dataset.from_tensor_slices((post, y)).shuffle(8).batch(4).prefetch(1)\n"
        "m = keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)])\n"
        "m.compile('adam', 'mse'); m.fit(d, verbose=0)",
    ),
    "one of two inputs": (
        "SO221",
        ["gru", "post"],
        "a, b = keras.Input((7, 2)), keras.Input((3,))\n"
        "m = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([layers.GRU(3)(a), layers.Dense(3)(b)])))\n"
        "train(m, [post, rng.random((8, 3))])",
    ),
    "the other branch has a mask": (
        "SO221",
        ["GRU 'second'"],
        "a, b = keras.Input((7, 2)), keras.Input((7,))\n"
        "s = layers.GRU(3)(layers.Embedding(9, 3, mask_zero=True)(b))\n"
        "m = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([layers.GRU(3, name='second')(a), s])))\n"
        "train(m, [post, tokens])",
    ),
    "predict": (
        "SO221",
        ["last output"],
        "keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)]).predict(post, verbose=0)",
    ),
    "loss at every step": (
        "SO221",
        ["loss counts 19 padded steps"],
        "targets = pad([r[:, :1] for r in rows], padding='post', dtype='float32')\n"
        "m = [layers.GRU(3, return_sequences=True), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post, targets)",
    ),
    "padded with another value": (
        "SO221",
        ["-1", "mask_value=-1.0"],
        "train(keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)]),"
        " pad(rows, padding='post', value=-1.0, dtype='float32'))",
    ),
    "a model between": (
        "SO221",
        ["encoder.predict", "one model"],
        ENCODER + "train(keras.Sequential([keras.Input((7, 4)), layers.GRU(3), layers.Dense(1)]), codes)",
    ),
    "floats cut": ("SO222", ["dtype='float32'", "int32"], "x = pad([[0.5, 0.25], [0.1]], maxlen=4)"),
    "floats cut, and nothing masks them": (
        "SO222",
        ["pad(rows, padding='post', value=-1, dtype='float32')", "keras.layers.Masking(mask_value=-1.0),"],
        "x = pad(rows, padding='post', value=-1)\n"
        "train(keras.Sequential([keras.Input((7, 2)), layers.GRU(3), layers.Dense(1)]), np.zeros((8, 7, 2)) + y[0])",
    ),
    "beginning cut": (
        "SO223",
        ["truncating", "maxlen=5", "3 of 8"],
        "x = pad(rows, maxlen=5, padding='post', dtype='float32')",
    ),
    "other side in prediction": (
        "SO224",
        ["padding='post'", "'pre'"],
        "m = keras.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3), layers.Dense(1)])\n"
        "train(m, tokens); m.predict(pad(ids), verbose=0)",
    ),
    "autoencoder": (
        "SO226",
        ["RepeatVector", "sample_weight", "19 padded steps"],
        "m = [layers.Masking(0.0), layers.GRU(3), layers.RepeatVector(7), layers.GRU(3, return_sequences=True)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m, layers.TimeDistributed(layers.Dense(2))]), post, post)",
    ),
}

RIGHT = {
    "masking": "train(keras.Sequential([keras.Input((7, 2)), layers.Masking(0.0), layers.GRU(3), layers.Dense(1)]), "
    "post)",
    "mask_zero": "train(keras.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.GRU(3), layers.Dense(1)]), "
    "tokens)",
    "padded in front, as texts are": (
        "train(keras.Sequential([layers.Embedding(9, 4), layers.LSTM(3), layers.Dense(1)]), pad(ids, maxlen=5))"
    ),
    "one length": (
        "x = pad([r[:2] for r in rows], padding='post', dtype='float32')\n"
        "train(keras.Sequential([keras.Input((2, 2)), layers.GRU(3), layers.Dense(1)]), x)"
    ),
    "rain": (
        "x = np.where(rng.random((30, 20, 1)) < 0.7, 0, rng.random((30, 20, 1)))\n"
        "x[:20, 15:] = 0\n"
        "train(keras.Sequential([keras.Input((20, 1)), layers.GRU(3), layers.Dense(1)]), x, rng.random((30, 1)))"
    ),
    "zeros of unequal length that nobody padded": (
        "x = rng.random((30, 20, 1)) * (np.arange(20) < rng.integers(8, 20, (30, 1)))[..., None]\n"
        "train(keras.Sequential([keras.Input((20, 1)), layers.GRU(3), layers.Dense(1)]), x, rng.random((30, 1)))"
    ),
    "windows": (
        "series = rng.random(60)\nx = np.zeros((40, 10, 1))\n"
        "for i in range(40):\n    x[i, :, 0] = series[i:i + 10]\n"
        "train(keras.Sequential([keras.Input((10, 1)), layers.GRU(3), layers.Dense(1)]), x, rng.random((40, 1)))"
    ),
    "weights leave padding out": (
        "targets = pad([r[:, :1] for r in rows], padding='post', dtype='float32')\n"
        "m = [layers.GRU(3, return_sequences=True), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post, targets, sample_weight=(post != 0).any(-1) * 1.0)"
    ),
    "lengths as an input": (
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.gru, self.head = layers.GRU(3, return_sequences=True), layers.Dense(1)\n"
        "    def call(self, inputs):\n"
        "        x, n = inputs\n"
        "        steps = self.gru(x)\n"
        "        last = ops.take_along_axis(steps, ops.cast(n - 1, 'int32')[:, None, None], axis=1)\n"
        "        return self.head(last[:, 0])\n"
        "train(Net(), [post, np.array([len(r) for r in rows])])"
    ),
    "a mask handed on in a call": (
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.gru, self.head = layers.GRU(3), layers.Dense(1)\n"
        "    def call(self, x):\n"
        "        return self.head(self.gru(x, mask=ops.any(ops.not_equal(x, 0), axis=-1)))\n"
        "train(Net(), post)"
    ),
    "ignored class": (
        "targets = pad([[1] * len(r) for r in rows], padding='post')\n"
        "m = keras.Sequential([keras.Input((7, 2)), layers.GRU(3, return_sequences=True), layers.Dense(3)])\n"
        "m.compile('adam', keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0))\n"
        "m.fit(post, targets, verbose=0)"
    ),
    "a loss of its own": (
        "def masked(y, p):\n    return ops.mean(ops.where(y != 0, (y - p) ** 2, 0.0))\n"
        "targets = pad([r[:, :1] for r in rows], padding='post', dtype='float32')\n"
        "m = keras.Sequential([keras.Input((7, 2)), layers.GRU(3, return_sequences=True), layers.Dense(1)])\n"
        "m.compile('adam', masked); m.fit(post, targets, verbose=0)"
    ),
    "convolutions and images": (
        "m = [layers.Conv1D(4, 3, padding='same'), layers.GlobalAveragePooling1D(), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post)"
    ),
    "one model, encoder and decoder": (
        "i = keras.Input((7, 2)); s = layers.GRU(4, return_sequences=True)(layers.Masking(0.0)(i))\n"
        "train(keras.Model(i, layers.Dense(1)(layers.GRU(3)(s))), post)"
    ),
    "padding that differs in length only": (
        "m = keras.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3), layers.Dense(1)])\n"
        "train(m, tokens); m.predict(pad(ids[:5], padding='post', maxlen=9), verbose=0)"
    ),
    "cut where the beginning goes on purpose": (
        "x = pad(rows, maxlen=5, padding='post', truncating='pre', dtype='float32')\n"
        "train(keras.Sequential([keras.Input((5, 2)), layers.Masking(0.0), layers.GRU(3), layers.Dense(1)]), x)"
    ),
    "dataset with a mask": (
        "import tensorflow as tf\n"
        "d = tf.data.Dataset.from_tensor_slices((post, y)).batch(4)\n"
        "m = keras.Sequential([keras.Input((7, 2)), layers.Masking(0.0), layers.GRU(3), layers.Dense(1)])\n"
        "m.compile('adam', 'mse'); m.fit(d, verbose=0)"
    ),
    "masked at every step, up to the loss": (
        "targets = pad([r[:, :1] for r in rows], padding='post', dtype='float32')\n"
        "m = [layers.Masking(0.0), layers.GRU(3, return_sequences=True), layers.TimeDistributed(layers.Dense(1))]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post, targets)"
    ),
}
