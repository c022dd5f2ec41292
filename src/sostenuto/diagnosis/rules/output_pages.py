"""The pages of codes about outputs, targets and losses."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import rule

_DATA = """
import numpy as np, keras
rng = np.random.default_rng(0)
x = rng.normal(size=(24, 10, 3)).astype("float32")
"""


def _trained(layers: str, loss: str, y: str) -> str:
    return (
        _DATA
        + f"y = {y}\nmodel = keras.Sequential([keras.Input((10, 3)), {layers}])\n"
        + f'model.compile("adam", "{loss}")\nmodel.fit(x, y, verbose=0)\n'
    )


_LSTM, _STEPS = "keras.layers.LSTM(4)", "keras.layers.LSTM(4, return_sequences=True)"
_DENSE = "keras.layers.Dense({})"
_CLASSES = "rng.integers(0, 3, 24)"

SO411 = rule(
    "SO411",
    "One target per sequence is compared with an output at every step",
    """return_sequences=True on the last recurrent layer gives an output for every step. With one target per sequence, a
    loss such as mse broadcasts: each step is asked for the answer of the whole sequence. It runs, and learns the wrong
    thing.""",
    """Leave return_sequences=True out on the last recurrent layer; or give a target for every step.""",
    example=_trained(f"{_STEPS}, {_DENSE.format(1)}", "mse", "x[:, -1, :1]"),
    repaired=_trained(f"{_LSTM}, {_DENSE.format(1)}", "mse", "x[:, -1, :1]"),
)

SO412 = rule(
    "SO412",
    "Several targets per sequence are compared with one output",
    """Without return_sequences=True a recurrent layer returns its last output. Beside several targets for each
    sequence, a loss such as mse broadcasts the one output over all of them: the best it can learn is their mean.""",
    """An output for every step: return_sequences=True. Several numbers about the future: Dense(5) at the end, for five
    of them.""",
    example=_trained(f"{_LSTM}, {_DENSE.format(1)}", "mse", "x[:, :, 0]"),
    repaired=_trained(f"{_LSTM}, {_DENSE.format(10)}", "mse", "x[:, :, 0]"),
)

SO419 = rule(
    "SO419",
    "Outputs and targets have different sizes",
    """A loss compares number with number. An LSTM as the last layer puts out its units, a Dense its own, and neither
    knows how many targets there are. Where one of both sizes is 1, losses such as mse broadcast instead of failing.""",
    """The last layer has as many units as there are targets: Dense(1) for one number, Dense(5) for five classes or
    for five steps of a forecast.""",
    example=_trained("keras.layers.LSTM(16)", "mse", "x[:, -1, :1]"),
    repaired=_trained(f"{_LSTM}, {_DENSE.format(1)}", "mse", "x[:, -1, :1]"),
)

SO413 = rule(
    "SO413",
    "softmax over a single unit is always 1",
    """softmax makes the outputs of all units add up to 1. Over one unit that leaves 1 for every input: the model
    predicts the same always, and its gradient is zero.""",
    """One unit for two classes: activation='sigmoid' and binary_crossentropy. Or one unit per class with softmax.""",
    example=_trained(
        f"{_LSTM}, keras.layers.Dense(1, activation='softmax')", "binary_crossentropy", "rng.integers(0, 2, 24)"
    ),
    repaired=_trained(
        f"{_LSTM}, keras.layers.Dense(1, activation='sigmoid')", "binary_crossentropy", "rng.integers(0, 2, 24)"
    ),
)

SO414 = rule(
    "SO414",
    "The loss expects one-hot rows and gets class numbers, or the other way round",
    """categorical_crossentropy reads one-hot rows, with as many columns as there are classes;
    sparse_categorical_crossentropy reads one class number per answer.""",
    """Class numbers: sparse_categorical_crossentropy. One-hot rows: categorical_crossentropy.
    keras.utils.to_categorical makes rows of numbers, argmax(-1) numbers of rows.""",
    example=_trained(f"{_LSTM}, keras.layers.Dense(3, activation='softmax')", "categorical_crossentropy", _CLASSES),
    repaired=_trained(
        f"{_LSTM}, keras.layers.Dense(3, activation='softmax')", "sparse_categorical_crossentropy", _CLASSES
    ),
)

SO415 = rule(
    "SO415",
    "A class number lies beyond the last unit of the output",
    """The last layer has one unit per class, numbered from 0. A class number at or above the number of units has none:
    TensorFlow answers with NaN or an error, JAX takes another unit without a word, PyTorch raises.""",
    """One unit more, or class numbers that begin at 0.""",
    example=_trained(
        f"{_LSTM}, keras.layers.Dense(3, activation='softmax')",
        "sparse_categorical_crossentropy",
        "rng.integers(1, 4, 24)",
    ),
    repaired=_trained(
        f"{_LSTM}, keras.layers.Dense(3, activation='softmax')", "sparse_categorical_crossentropy", _CLASSES
    ),
    backend="jax",
)

SO416 = rule(
    "SO416",
    "Targets lie where the output's activation never gets",
    """tanh ends at -1 and 1, sigmoid and softmax at 0 and 1, relu at 0. Targets beyond cannot be reached, however long
    the training.""",
    """No activation on the last layer for measured values: Dense(1). Or scale the targets into the range, and the
    predictions back.""",
    example=_trained(f"{_LSTM}, keras.layers.Dense(1, activation='tanh')", "mse", "10 + 5 * x[:, -1, :1]"),
    repaired=_trained(f"{_LSTM}, keras.layers.Dense(1)", "mse", "10 + 5 * x[:, -1, :1]"),
)

SO417 = rule(
    "SO417",
    "There are NaN or infinite values in the data",
    """One NaN in a batch makes the loss NaN, and after the next update every weight: the model is lost, and predicts
    NaN for everything.""",
    """Find them with np.isnan(x).any(axis=0); fill or drop those steps, or mask whole steps that are missing.""",
    example=_trained(f"{_LSTM}, {_DENSE.format(1)}", "mse", "np.where(np.arange(24) == 7, np.nan, x[:, 0, 0])"),
    repaired=_trained(f"{_LSTM}, {_DENSE.format(1)}", "mse", "x[:, 0, 0]"),
)

SO418 = rule(
    "SO418",
    "The loss and the activation of the last layer disagree about logits",
    """With from_logits=True a loss applies sigmoid or softmax itself. After a layer that has applied it already, it is
    applied twice and the loss stays flat; without both, probabilities are read from numbers that are none.""",
    """Either activation='softmax' (or 'sigmoid') and the plain loss, or no activation and from_logits=True.""",
    example=_DATA
    + """
y = rng.integers(0, 3, 24)
layers = [keras.layers.LSTM(4), keras.layers.Dense(3, activation="softmax")]
model = keras.Sequential([keras.Input((10, 3)), *layers])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x, y, verbose=0)
""",
    repaired=_DATA
    + """
y = rng.integers(0, 3, 24)
layers = [keras.layers.LSTM(4), keras.layers.Dense(3)]
model = keras.Sequential([keras.Input((10, 3)), *layers])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x, y, verbose=0)
""",
)

SO421 = rule(
    "SO421",
    "binary_crossentropy gets targets other than 0 and 1",
    """binary_crossentropy compares the probability of one class with 0 or 1. Beside class numbers up to 9, or -1 and 1,
    its value falls below 0 without end; beside softmax over several units it wants a column for each.""",
    """Several classes: one unit each with softmax, and sparse_categorical_crossentropy. Two classes: number them 0 and
    1.""",
    example=_trained(
        f"{_LSTM}, keras.layers.Dense(1, activation='sigmoid')", "binary_crossentropy", "rng.integers(0, 4, 24)"
    ),
    repaired=_trained(
        f"{_LSTM}, keras.layers.Dense(4, activation='softmax')",
        "sparse_categorical_crossentropy",
        "rng.integers(0, 4, 24)",
    ),
    backend="jax",
)

SO422 = rule(
    "SO422",
    "Accuracy is measured of a regression",
    """accuracy counts how often a prediction is equal to its target. Measured values are never equal to their
    predictions to the last digit, so it stays near 0 however good the model is.""",
    """metrics=["mae"] or keras.metrics.RootMeanSquaredError() for values; accuracy for classes.""",
    example=_DATA
    + """
model = keras.Sequential([keras.Input((10, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse", metrics=["accuracy"])
model.fit(x, x[:, -1, 0], verbose=0)
""",
    repaired=_DATA
    + """
model = keras.Sequential([keras.Input((10, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(x, x[:, -1, 0], verbose=0)
""",
)

SO423 = rule(
    "SO423",
    "The loss became NaN, though the data are finite",
    """Numbers grew beyond what floats hold: a recurrent layer with an activation without limits (relu), steps that are
    too large, inputs of thousands; or a loss took the logarithm of a number below 0. From then on all weights are
    NaN.""",
    """Keep tanh in recurrent layers, scale inputs to about -1 to 1, lower the learning rate, or cut gradients:
    keras.optimizers.Adam(1e-3, clipnorm=1.0).""",
    example=_DATA
    + """
layers = [keras.layers.SimpleRNN(64, activation="relu"), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((10, 3)), *layers])
model.compile(keras.optimizers.SGD(10.0), "mse")
model.fit(x * 1000, x[:, -1, 0], epochs=4, verbose=0)
""",
    repaired=_DATA
    + """
layers = [keras.layers.SimpleRNN(64), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((10, 3)), *layers])
model.compile(keras.optimizers.SGD(0.01, clipnorm=1.0), "mse")
model.fit(x, x[:, -1, 0], epochs=4, verbose=0)
""",
)

SO424 = rule(
    "SO424",
    "categorical_crossentropy over a single unit is always 0",
    """categorical_crossentropy makes the units of an output add up to 1, and a single unit is 1 then. The loss is 0
    from the first batch on, and nothing is learnt.""",
    """One unit for two classes: sigmoid and binary_crossentropy. Or a unit and a column for each class.""",
    example=_trained(
        f"{_LSTM}, keras.layers.Dense(1, activation='sigmoid')",
        "categorical_crossentropy",
        "rng.integers(0, 2, (24, 1))",
    ),
    repaired=_trained(
        f"{_LSTM}, keras.layers.Dense(1, activation='sigmoid')", "binary_crossentropy", "rng.integers(0, 2, (24, 1))"
    ),
)

SO420 = rule(
    "SO420",
    "Predictions (N, 1) minus targets (N,): each prediction is compared with every target",
    """Arrays of (N, 1) and (N,) broadcast to (N, N): each prediction is compared with each target. The mean of that is
    smallest where all predictions are the mean of the targets, so that is what the model learns. Keras's own losses
    take care of it; a loss computed by hand does not. An error or an accuracy of what predict returned is then one of
    all pairs.""",
    """Give both the same shape: model(x)[:, 0] beside y, or y[:, None]; of predictions take model.predict(x)[:, 0].""",
    example=_DATA
    + """
y = x[:, -1, 0]
model = keras.Sequential([keras.Input((10, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
error = model(x) - y
""",
    repaired=_DATA
    + """
y = x[:, -1, 0]
model = keras.Sequential([keras.Input((10, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
error = model(x)[:, 0] - y
""",
    backend="jax",
)
