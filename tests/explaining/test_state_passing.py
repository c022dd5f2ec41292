"""States that go in and out of recurrent layers: each mistake is found by its kind, right programs are left alone."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.scripts import HOME, run_text
from tests.explaining.states_carried import MISTAKES as CARRIED
from tests.explaining.states_placed import MISTAKES as PLACED
from tests.explaining.states_right import RIGHT
from tests.explaining.states_started import MISTAKES as STARTED
from tests.explaining.states_unpacked import MISTAKES as UNPACKED

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()

BEGIN = """
import numpy as np, keras
from keras import layers, ops
rng = np.random.default_rng(0)
x = rng.random((4, 6, 3)).astype("float32")
y = rng.random((4, 1)).astype("float32")
"""

# Messages of failures differ between backends; the rest is the same on each of them.
FAILS = {"SO321", "SO322", "SO324", "SO325", "SO326", "SO327", "SO336"}
# On torch the last output and the hidden state are one tensor, which is told as the state twice.
ON_JAX = {"output h"}
MISTAKES = {
    name: one
    for name, one in (UNPACKED | STARTED | PLACED | CARRIED).items()
    if ("jax" if name in ON_JAX else HOME) == BACKEND or one[0] in FAILS
}


@pytest.mark.parametrize(("code", "words", "text"), MISTAKES.values(), ids=MISTAKES)
def test_the_mistake_is_explained(code, words, text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    said = str(report)
    assert code in report.codes, f"{said}\n{errors}"
    assert [one for one in words if one not in said] == [], said


@pytest.mark.skipif(BACKEND != HOME, reason="the same on every backend")
@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_the_right_program_is_left_alone(text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    assert report.exit == 0, errors
    assert str(report) == "Nothing was found that looks wrong."
