"""Programs whose masks get lost, look for the wrong value or are turned round, and right ones that look like them."""

from tests.explaining.padded_programs import BEGIN as PADDED

BEGIN = (
    PADDED
    + """
def functional(make, x=post, y=y, **options):
    i = keras.Input(x.shape[1:])
    train(keras.Model(i, layers.Dense(1)(make(i))), x, y, **options)
class Twice(layers.Layer):
    def call(self, x):
        return x * 2
class Attends(layers.Layer):
    def build(self, shape):
        self.score = self.add_weight(shape=(shape[-1], 1))
    def call(self, x):
        weights = ops.softmax(ops.matmul(x, self.score), axis=1)
        return ops.sum(weights * x, axis=1)
"""
)

ZEROS = """
rows = [np.where(np.arange(len(r))[:, None] == 1, 0, r) for r in rows]
"""

BY_STEP = "targets = pad([r[:, :1] for r in rows], padding='post', dtype='float32')\n"

MASK_INPUT = """
i, given = keras.Input((7, 2)), keras.Input((7,), dtype="bool")
m = keras.Model([i, given], layers.Dense(1)(layers.GRU(3)(i, mask=given)))
"""

# name: (code, words it has to say, program)
MISTAKES = {
    "convolution behind a Masking": (
        "SO271",
        ["Conv1D 'conv1d'", "19 of 56 steps of x", "LSTM 'lstm' reads padding", "Masking 'masking'"],
        "m = [layers.Masking(0.0), layers.Conv1D(4, 3, padding='same'), layers.LSTM(3), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post)",
    ),
    "convolution behind an embedding": (
        "SO271",
        ["Conv1D", "19 of 56", "not_equal(inputs, 0)", "Bidirectional"],
        "m = [layers.Embedding(9, 4, mask_zero=True), layers.Conv1D(4, 3, padding='same')]\n"
        "train(keras.Sequential([*m, layers.Bidirectional(layers.LSTM(3)), layers.Dense(1)]), tokens)",
    ),
    "a number times a tensor": (
        "SO271",
        ["x * ...", "makes a new tensor", "mask=mask", "19 of 56"],
        "functional(lambda i: layers.GRU(3)(layers.Masking(0.0)(i) * 2.0))",
    ),
    "a function of keras.ops": (
        "SO271",
        ["keras.ops (relu)", "19 of 56", "GRU"],
        "functional(lambda i: layers.GRU(3)(ops.relu(layers.Dense(4)(layers.Masking(0.0)(i)))))",
    ),
    "an own layer": (
        "SO271",
        ["Twice", "supports_masking = True", "19 of 56"],
        "m = [layers.Masking(0.0), Twice(), layers.SimpleRNN(3), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post)",
    ),
    "Reshape between": (
        "SO271",
        ["Reshape", "19 of 56", "mask=mask"],
        "m = [layers.Masking(0.0), layers.Reshape((7, 2, 1)), layers.Conv2D(4, (1, 2)), layers.Reshape((7, 4))]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m, layers.LSTM(3), layers.Dense(1)]), post)",
    ),
    "in the call of a model": (
        "SO271",
        ["function on tensors", "19 of 56", "GRU"],
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.mask, self.gru, self.head = layers.Masking(0.0), layers.GRU(3), layers.Dense(1)\n"
        "    def call(self, x):\n"
        "        return self.head(self.gru(self.mask(x) * 2))\n"
        "train(Net(), post)",
    ),
    "the data in a dataset": (
        "SO271",
        ["Conv1D", "19 of 56 steps of d"],
        "import tensorflow as tf\n"
        "d = tf.data.Dataset.from_tensor_slices((post, y)).batch(4)\n"
        "l = [layers.Masking(0.0), layers.Conv1D(4, 3, padding='same'), layers.LSTM(3), layers.Dense(1)]\n"
        "m = keras.Sequential([keras.Input((7, 2)), *l])\n"
        "m.compile('adam', 'mse'); m.fit(d, verbose=0)",
    ),
    "lost in front of the loss": (
        "SO271",
        ["counts the padded steps", "Conv1D", "sample_weight"],
        BY_STEP
        + "m = [layers.Masking(0.0), layers.LSTM(3, return_sequences=True), layers.Conv1D(1, 3, padding='same')]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post, targets)",
    ),
    "padded with another number": (
        "SO272",
        ["masks 0, and the padding is -1", "19 of 56", "Masking(mask_value=-1.0)"],
        "x = pad(rows, padding='post', value=-1.0, dtype='float32')\n"
        "m = [layers.Masking(0.0), layers.LSTM(3), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), x)",
    ),
    "scaled after padding": (
        "SO272",
        ["moved it", "19 of 56", "pad with value=0"],
        "x = (post - post.mean()) / post.std()\nfunctional(lambda i: layers.LSTM(3)(layers.Masking(0.0)(i)), x)",
    ),
    "padded with the last id": (
        "SO272",
        ["Embedding", "padding is 9", "value=0"],
        "x = pad(ids, padding='post', value=9)\n"
        "train(keras.Sequential([layers.Embedding(10, 4, mask_zero=True), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "real steps of zero": (
        "SO273",
        ["8 real steps", "of 37", "mask_value=-1.0"],
        ZEROS + "x = pad(rows, padding='post', dtype='float32')\n"
        "m = [layers.Masking(0.0), layers.LSTM(3), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), x)",
    ),
    "equal instead of not_equal": (
        "SO274",
        ["equal", "True where a step is real", "not_equal"],
        "i = keras.Input((7,), dtype='int32')\n"
        "o = layers.LSTM(3)(layers.Embedding(9, 4)(i), mask=ops.equal(i, 0))\n"
        "train(keras.Model(i, layers.Dense(1)(o)), tokens)",
    ),
    "turned round by hand": (
        "SO274",
        ["19 of 19 padded steps", "0 of 37 real ones", "mask=~mask"],
        "gru = layers.GRU(3)\nmask = (post == 0).all(-1)\ngru(post, mask=mask)",
    ),
    "turned round in a call": (
        "SO274",
        ["x == 0", "x != 0"],
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.gru, self.head = layers.GRU(3), layers.Dense(1)\n"
        "    def call(self, x):\n"
        "        mask = ops.all(x == 0, axis=-1)\n"
        "        return self.head(self.gru(x, mask=mask))\n"
        "train(Net(), post)",
    ),
    "a mask as input, turned round": (
        "SO274",
        ["x[1] is True for 19 padded steps of x[0]", "37 real ones", "~x[1]"],
        "padding = (post == 0).all(-1)\n" + MASK_INPUT + "train(m, [post, padding])",
    ),
    "all steps masked": (
        "SO275",
        ["8 of 8 rows", "at every step"],
        "x = (post / 10).astype('int32').astype('float32')\n"
        "m = [layers.Masking(0.0), layers.LSTM(3), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), x)",
    ),
    "empty sequences": (
        "SO275",
        ["2 of 8 rows", "length 0"],
        "x = pad([[], *ids[1:7], []], padding='post')\n"
        "train(keras.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "Masking behind a Dense": (
        "SO276",
        ["Dense 'dense'", "Masking 'masking'", "19 of 56", "masks nothing"],
        "m = [layers.Dense(4), layers.Masking(0.0), layers.LSTM(3), layers.Dense(1)]\n"
        "m = keras.Sequential([keras.Input((7, 2)), *m]); m.layers[0].bias.assign([1.0] * 4); train(m, post)",
    ),
    "Masking behind a normalisation": (
        "SO276",
        ["BatchNormalization", "the mask first"],
        "functional(lambda i: layers.GRU(3)(layers.Masking(0.0)(layers.BatchNormalization()(i))))",
    ),
    "pooled behind a function": (
        "SO271",
        ["GlobalAveragePooling1D", "x * ...", "19 of 56"],
        "def pooled(i):\n"
        "    steps = layers.GRU(3, return_sequences=True)(layers.Masking(0.0)(i))\n"
        "    return layers.GlobalAveragePooling1D()(steps * 0.5)\n"
        "functional(pooled)",
    ),
    "mean of all steps": (
        "SO277",
        ["keras.ops.mean", "19 of 56", "GlobalAveragePooling1D"],
        "functional(lambda i: ops.mean(layers.LSTM(3, return_sequences=True)(layers.Masking(0.0)(i)), axis=1))",
    ),
    "mean in a Lambda": (
        "SO277",
        ["Lambda 'lambda'", "19 of 56", "GlobalAveragePooling1D"],
        "mean = layers.Lambda(lambda s: ops.mean(s, axis=1))\n"
        "m = [layers.Masking(0.0), layers.GRU(3, return_sequences=True), mean, layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post)",
    ),
    "mean in the call of a model": (
        "SO277",
        ["ops.mean joins all steps", "19 of 56", "GlobalAveragePooling1D"],
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.ids, self.gru = layers.Embedding(9, 4, mask_zero=True), layers.GRU(3, return_sequences=True)\n"
        "        self.head = layers.Dense(1)\n"
        "    def call(self, x):\n"
        "        steps = self.gru(self.ids(x))\n"
        "        return self.head(ops.mean(steps, axis=1))\n"
        "train(Net(), tokens)",
    ),
    "own attention": (
        "SO277",
        ["Attends", "mask=None", "19 of 56"],
        "m = [layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3, return_sequences=True), Attends()]\n"
        "train(keras.Sequential([*m, layers.Dense(1)]), tokens)",
    ),
    "attention of functions": (
        "SO277",
        ["keras.ops.softmax", "19 of 56"],
        "def attend(i):\n"
        "    steps = layers.LSTM(3, return_sequences=True)(layers.Masking(0.0)(i))\n"
        "    weights = ops.softmax(layers.Dense(1)(steps), axis=1)\n"
        "    return ops.sum(steps * weights, axis=1)\n"
        "functional(attend)",
    ),
    "Flatten behind masked steps": (
        "SO277",
        ["Flatten", "return_sequences", "19 of 56"],
        "m = [layers.Masking(0.0), layers.LSTM(3, return_sequences=True), layers.Flatten(), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post)",
    ),
    "one row masks all": (
        "SO278",
        ["(1, 7)", "batch of 8 rows", "(8, 7)"],
        "mask = (post[:1] != 0).any(-1)\nlayers.GRU(3)(post, mask=mask)",
    ),
    "Softmax with the mask of the steps": (
        "SO279",
        ["time 7, units 4", "Activation", "Softmax"],
        "targets = pad([[1] * len(r) for r in rows], padding='post')\n"
        "l = [layers.Masking(0.0), layers.LSTM(3, return_sequences=True), layers.Dense(4), layers.Softmax()]\n"
        "m = keras.Sequential([keras.Input((7, 2)), *l])\n"
        "m.compile('adam', 'sparse_categorical_crossentropy'); m.fit(post, targets, verbose=0)",
    ),
    "attention weights with Softmax": (
        "SO279",
        ["time 7, units 1", "mask[..., None]", "axis=1"],
        "def attend(i):\n"
        "    steps = layers.LSTM(3, return_sequences=True)(layers.Masking(0.0)(i))\n"
        "    weights = layers.Softmax(axis=1)(layers.Dense(1)(steps))\n"
        "    return ops.sum(steps * weights, axis=1)\n"
        "functional(attend)",
    ),
    "padded with -1, looked up": (
        "SO512",
        ["-1 is used as padding", "19 of 56 ids"],
        "x = pad(ids, padding='post', value=-1)\n"
        "train(keras.Sequential([layers.Embedding(9, 4), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "padded with -1, and mask_zero": (
        "SO512",
        ["-1 is used as padding", "mask_zero=True"],
        "x = pad(ids, padding='post', value=-1)\n"
        "train(keras.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.GRU(3), layers.Dense(1)]), x)",
    ),
    "padded with -1, in the call of a model": (
        "SO512",
        ["-1 is used as padding"],
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.ids, self.gru, self.head = layers.Embedding(9, 4), layers.GRU(3), layers.Dense(1)\n"
        "    def call(self, x):\n"
        "        return self.head(self.gru(self.ids(x)))\n"
        "train(Net(), pad(ids, padding='post', value=-1))",
    ),
}

# Those that end with an exception.
RAISES = {"Softmax with the mask of the steps", "attention weights with Softmax"}

RIGHT = {
    "a mask to the end": (
        BY_STEP
        + "m = [layers.Masking(0.0), layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post, targets)"
    ),
    "Dense, Dropout and TimeDistributed between": (
        "l = [layers.Masking(0.0), layers.Dense(4), layers.Dropout(0.1), layers.TimeDistributed(layers.Dense(3))]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *l, layers.LayerNormalization(), layers.GRU(3), "
        "layers.Dense(1)]), post)"
    ),
    "a convolution behind a Masking, and no padding": (
        "m = [layers.Masking(0.0), layers.Conv1D(4, 3, padding='same'), layers.LSTM(3), layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), rng.random((8, 7, 2)))"
    ),
    "padded in front, and the beginning of a mask": (
        "m = [layers.Embedding(9, 4, mask_zero=True), layers.GRU(3), layers.Dense(1)]\n"
        "train(keras.Sequential(m), pad(ids))"
    ),
    "zeros in one feature only": (
        "for r in rows:\n    r[1] = [0.0, 2.0]\n"
        "x = pad(rows, padding='post', dtype='float32')\n"
        "functional(lambda i: layers.LSTM(3)(layers.Masking(0.0)(i)), x)"
    ),
    "pooled with the mask": (
        "functional(lambda i: layers.GlobalAveragePooling1D()("
        "layers.LSTM(3, return_sequences=True)(layers.Masking(0.0)(i))))"
    ),
    "the largest of all steps": (
        "functional(lambda i: layers.GlobalMaxPooling1D()("
        "layers.LSTM(3, return_sequences=True)(layers.Masking(0.0)(i))))"
    ),
    "attention that takes masks": (
        "def attend(i):\n"
        "    steps = layers.LSTM(4, return_sequences=True)(layers.Masking(0.0)(i))\n"
        "    both = layers.MultiHeadAttention(2, 2)(steps, steps)\n"
        "    return layers.GlobalAveragePooling1D()(layers.Attention()([both, steps]))\n"
        "functional(attend)"
    ),
    "an own layer that takes the mask": (
        "class Mean(layers.Layer):\n"
        "    def call(self, x, mask=None):\n"
        "        m = ops.cast(mask, x.dtype)[..., None]\n"
        "        return ops.sum(x * m, axis=1) / ops.sum(m, axis=1)\n"
        "functional(lambda i: Mean()(layers.GRU(3, return_sequences=True)(layers.Masking(0.0)(i))))"
    ),
    "an own layer that hands the mask on": (
        "class Half(layers.Layer):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.supports_masking = True\n"
        "    def call(self, x):\n"
        "        return x / 2\n"
        "functional(lambda i: layers.GRU(3)(Half()(layers.Masking(0.0)(i))))"
    ),
    "a mean in the call of a model, with its mask": (
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.ids, self.gru = layers.Embedding(9, 4, mask_zero=True), layers.GRU(3, return_sequences=True)\n"
        "        self.head = layers.Dense(1)\n"
        "    def call(self, x):\n"
        "        real = ops.cast(ops.not_equal(x, 0), 'float32')[..., None]\n"
        "        steps = self.gru(self.ids(x)) * real\n"
        "        return self.head(ops.sum(steps, axis=1) / ops.sum(real, axis=1))\n"
        "train(Net(), tokens)"
    ),
    "a mean of masked steps by hand": (
        "def mean(i):\n"
        "    m = ops.cast(ops.any(ops.not_equal(i, 0), axis=-1, keepdims=True), 'float32')\n"
        "    steps = layers.GRU(3, return_sequences=True)(layers.Masking(0.0)(i))\n"
        "    return ops.sum(steps * m, axis=1) / ops.sum(m, axis=1)\n"
        "functional(mean)"
    ),
    "the last of masked steps": (
        "functional(lambda i: layers.GRU(3, return_sequences=True)(layers.Masking(0.0)(i))[:, -1])"
    ),
    "attention of functions, padded steps left out": (
        "def attend(i):\n"
        "    steps = layers.GRU(3, return_sequences=True)(layers.Masking(0.0)(i))\n"
        "    scores = layers.Dense(1)(steps)\n"
        "    scores = ops.where(ops.any(ops.not_equal(i, 0), axis=-1, keepdims=True), scores, -1e9)\n"
        "    return ops.sum(steps * ops.softmax(scores, axis=1), axis=1)\n"
        "functional(attend)"
    ),
    "a mask handed past a convolution": (
        "def past(i):\n"
        "    mask = ops.any(ops.not_equal(i, 0), axis=-1)\n"
        "    return layers.LSTM(3)(layers.Conv1D(4, 3, padding='same')(i), mask=mask)\n"
        "functional(past)"
    ),
    "not equal, said another way": (
        "i = keras.Input((7,), dtype='int32')\n"
        "o = layers.LSTM(3)(layers.Embedding(9, 4)(i), mask=ops.logical_not(ops.equal(i, 0)))\n"
        "train(keras.Model(i, layers.Dense(1)(o)), tokens)"
    ),
    "a mask as input": "real = (post != 0).any(-1)\n" + MASK_INPUT + "train(m, [post, real])",
    "a mask of lengths by hand": (
        "lengths = np.array([len(r) for r in rows])\n"
        "layers.GRU(3)(post, mask=np.arange(7) < lengths[:, None])\n"
        "layers.GRU(3)(post[:1], mask=(post[:1] != 0).any(-1))"
    ),
    "scaled first, padded afterwards": (
        "x = pad([(r - 1.5) / 0.3 for r in rows], padding='post', dtype='float32')\n"
        "functional(lambda i: layers.LSTM(3)(layers.Masking(0.0)(i)), x)"
    ),
    "the same value in both": (
        ZEROS + "x = pad(rows, padding='post', value=-9.0, dtype='float32')\n"
        "functional(lambda i: layers.LSTM(3)(layers.Masking(-9.0)(i)), x)"
    ),
    "Masking behind layers that leave zeros alone": (
        "m = [layers.Dropout(0.1), layers.Dense(4, use_bias=False), layers.Masking(0.0), layers.LSTM(3), "
        "layers.Dense(1)]\n"
        "train(keras.Sequential([keras.Input((7, 2)), *m]), post)"
    ),
    "encoder and decoder": (
        "a, b = keras.Input((7,)), keras.Input((7,))\n"
        "_, h, c = layers.LSTM(4, return_state=True)(layers.Embedding(9, 4, mask_zero=True)(a))\n"
        "s = layers.Embedding(9, 4, mask_zero=True)(b)\n"
        "s = layers.LSTM(4, return_sequences=True)(s, initial_state=[h, c])\n"
        "m = keras.Model([a, b], layers.Dense(9, activation='softmax')(s))\n"
        "m.compile('adam', 'sparse_categorical_crossentropy'); m.fit([tokens, tokens], tokens, verbose=0)"
    ),
    "-1 that is shifted": (
        "x = pad(ids, padding='post', value=-1) + 1\n"
        "train(keras.Sequential([layers.Embedding(10, 4, mask_zero=True), layers.GRU(3), layers.Dense(1)]), x)"
    ),
}
