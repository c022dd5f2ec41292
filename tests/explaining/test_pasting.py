"""Fixes that can be pasted: they call things what the program calls them, and say where a line belongs."""

from __future__ import annotations

import linecache

import pytest

from sostenuto.diagnosis.pasting import pasteable
from sostenuto.diagnosis.source import Place
from tests.explaining.scripts import run_text


def _place(text: str, name: str = "program.py", names=None) -> Place:
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return Place(name, 1, names=names or {})


@pytest.mark.parametrize(
    ("program", "fix", "wanted"),
    [
        ("import keras\n", "keras.ops.zeros(3)", "keras.ops.zeros(3)"),
        (
            "import tensorflow as tf\n",
            "x = keras.ops.zeros(3)  # keras.ops",
            "x = tf.keras.ops.zeros(3)  # tf.keras.ops",
        ),
        ("from tensorflow import keras\n", "keras.Input((3, 2))", "keras.Input((3, 2))"),
        ("import tensorflow.keras as k\n", "keras.Input((3, 2)),", "k.Input((3, 2)),"),
        ("import tensorflow as tf\nkeras = tf.keras\n", "keras.Input((3, 2))", "keras.Input((3, 2))"),
        ("from keras.layers import LSTM\n", "keras.Input((3, 2))", "import keras\nkeras.Input((3, 2))"),
        ("from keras.layers import LSTM\n", "import keras\nkeras.Input((3, 2))", "import keras\nkeras.Input((3, 2))"),
        ("from keras.layers import LSTM\n", "leave it out of keras.Input(shape=...)", None),
        ("from keras.layers import LSTM\n", "LSTM(3)        # behind keras.Input((3, 2))", None),
        ("from keras.layers import LSTM\n", "from keras.layers import GRU", None),
        ("import numpy\n", "np.stack(x)", "numpy.stack(x)"),
        ("import torch\n", "np.stack(x)", "import numpy as np\nnp.stack(x)"),
        ("this is no program\n", "np.stack(x)", None),
    ],
)
def test_modules_go_by_the_names_of_the_program(program, fix, wanted):
    assert pasteable(fix, _place(program)) == (fix if wanted is None else wanted)


def test_imports_of_other_cells_are_known():
    cell = "<ipython-input-3-27dd59bb1bd8>"
    assert pasteable("np.stack(x)", _place("x = 1\n", cell)) == "np.stack(x)"
    assert pasteable("np.stack(x)", _place("x = 1\n", cell, {"np": object()})) == "np.stack(x)"
    assert pasteable("np.stack(x)", _place("x = 1\n", cell, {"x": 1})) == "import numpy as np\nnp.stack(x)"


def test_a_place_that_is_not_known_leaves_a_fix_as_it_is():
    assert pasteable("np.stack(x)", None) == "np.stack(x)"


GENERATOR = """
import numpy as np, keras
series = np.sin(np.arange(200) / 6).astype("float32")
def windows():
    while True:
        yield {yielded}
model = keras.Sequential([keras.Input((30, 1)), keras.layers.LSTM(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit({given}, steps_per_epoch=2, epochs=1, verbose=0)
"""


@pytest.mark.backend
@pytest.mark.parametrize(
    ("yielded", "given", "line"),
    [
        ("series[:30, None], series[30:31]", "windows()", "yield series[:30, None][None], series[30:31][None]"),
        (
            "series[:30, None] * 2, series[30:31]",
            "windows()",
            "yield (series[:30, None] * 2)[None], series[30:31][None]",
        ),
        ("series[:30, None], series[30:31]", "(one for one in windows())", "yield x[None], y[None]"),
    ],
)
def test_what_a_generator_yields_gets_a_batch_axis(yielded, given, line, tmp_path):
    report, _, _ = run_text(GENERATOR.format(yielded=yielded, given=given), tmp_path)
    assert report.codes == ["SO116"]
    assert report[0].fix.startswith(line + "        #")


@pytest.mark.backend
def test_a_generator_by_name_is_followed(tmp_path):
    text = GENERATOR.format(yielded="series[:30, None], series[30:31]", given="data")
    text = text.replace("model.fit(", "data = windows()\nmodel.fit(")
    report, _, _ = run_text(text, tmp_path)
    assert report[0].fix.startswith("yield series[:30, None][None], ")


STATE = """
import torch
rnn, head = torch.nn.{kind}(1, 4, batch_first=True), torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.1)
{begin}
for _ in range(3):
    x = torch.randn(2, 5, 1)
    {call}
    loss = head(out).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.backend
@pytest.mark.parametrize(
    ("kind", "begin", "call", "where"),
    [
        ("GRU", "h = None", "out, h = rnn(x, h)", "h = h.detach()        # after line 8, "),
        (
            "LSTM",
            "h = c = torch.zeros(1, 2, 4)",
            "out, (h, c) = rnn(x, (h, c))",
            "h, c = h.detach(), c.detach()        # after line 8, ",
        ),
        ("GRU", "h = None", "out, new = rnn(x, h)\n    h = new", "h = h.detach()        # where the state is set, "),
    ],
)
def test_a_state_is_detached_where_it_is_set(kind, begin, call, where, tmp_path):
    text = STATE.format(kind=kind, begin=begin, call=call)
    report, _, _ = run_text(text, tmp_path)
    assert report.codes == ["SO040"]
    assert report[0].fix.startswith(where)


SIZES = """
import keras, numpy as np
model = keras.Sequential([keras.layers.LSTM(4, stateful=True), keras.layers.Dense(1)])
model.compile("adam", "mse")
x, y = np.ones((8, 5, 2), "float32"), np.ones((8, 1), "float32")
model.reset_states()
model.fit(x, y, batch_size=4, verbose=0)
{more}
"""


@pytest.mark.backend
def test_resets_between_batch_sizes_are_no_cure(tmp_path):
    again = "model.reset_states()\nmodel.fit(x, y, batch_size=8, verbose=0)"
    report, _, _ = run_text(SIZES.format(more=again), tmp_path)
    first, *rest = report[0].fix.splitlines()
    assert first == "keras.layers.LSTM(4)        # line 3: without stateful=True, for batches of 4 and 8"
    assert "lines 6 and 8" in rest[0]
    assert rest[1] == "# or, for batches of one size: model.layers[0].reset_states()"
    report, _, _ = run_text(SIZES.format(more=""), tmp_path)
    assert report[0].fix == "model.layers[0].reset_states()"
