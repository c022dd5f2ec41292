"""Pages of codes about data whose axes do not fit a model; SO102 and SO103, of our layers too, are in axes.py."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import rule

_DATA = """
import numpy as np, keras
x = np.random.default_rng(0).random((12, 50, 4)).astype("float32")
y = np.random.default_rng(1).random((12, 1)).astype("float32")
"""


def _model(shape: str, fitted: str = "x, y") -> str:
    return (
        f"model = keras.Sequential([keras.Input({shape}), keras.layers.LSTM(3), keras.layers.Dense(1)])\n"
        f'model.compile("adam", "mse")\nmodel.fit({fitted}, verbose=0)\n'
    )


_FLAT = """layers = [keras.layers.LSTM(3, return_sequences=True), keras.layers.Flatten(), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input(({}, 4)), *layers])
model.compile("adam", "mse")
model.fit(x, y, verbose=0)
"""

SO115 = rule(
    "SO115",
    "The data has another number of steps than the Input declares",
    """Input(shape=(20, 3)) takes sequences of 20 steps only. Recurrent layers need no such promise: their weights do
    not depend on the number of steps.""",
    """Leave time open: Input(shape=(None, 3)). Where a Flatten or a Dense behind it needs the number, cut or pad the
    sequences to it, and mask what was padded.""",
    example=_DATA + _FLAT.format(40),
    repaired=_DATA + _FLAT.format(50),
)

SO116 = rule(
    "SO116",
    "One sequence is given where a batch is read",
    """fit, evaluate, predict and calls read a batch: the first axis counts sequences. One sequence of its own, (time,
    features), lacks that axis. Keras refuses it, or, where there is one feature only, adds an axis at the end without a
    word: every step is then a sequence of one step.""",
    """Put the batch axis in front: x[None], of shape (1, time, features). A generator yields batches too.""",
    example=_DATA + _model("(50, 1)", "x[..., :1], y") + "model.predict(x[0, :, :1], verbose=0)\n",
    repaired=_DATA + _model("(50, 1)", "x[..., :1], y") + "model.predict(x[:1, :, :1], verbose=0)\n",
)

SO118 = rule(
    "SO118",
    "The data has more axes than the model reads",
    """A recurrent layer reads (batch, time, features). A fourth axis, be it a batch of batches or rows and columns of
    an image, has no place in it.""",
    """Remove an axis of length 1 with squeeze, join axes with reshape, or run layers for images on each step with
    TimeDistributed.""",
    example=_DATA + _model("(50, 4)") + "model.predict(x[None], verbose=0)\n",
    repaired=_DATA + _model("(50, 4)") + "model.predict(x, verbose=0)\n",
)

SO126 = rule(
    "SO126",
    "The data has time in front, where Keras reads the batch",
    """PyTorch's recurrent modules read (time, batch, features) unless batch_first=True, and some datasets are kept so.
    Keras reads (batch, time, features) and has no time_major any more.""",
    """Swap the axes: x.swapaxes(0, 1).""",
    example=_DATA + _model("(None, 4)", "x.swapaxes(0, 1), y"),
    repaired=_DATA + _model("(None, 4)"),
)
