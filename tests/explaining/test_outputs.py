"""Outputs, targets and losses: each mistake is found by its kind, right programs are left alone."""

from __future__ import annotations

import keras
import pytest

from tests.explaining import output_programs
from tests.explaining.output_programs import BEGIN
from tests.explaining.scripts import HOME, run_text

BACKEND = keras.backend.backend()

if BACKEND not in (HOME, "jax"):
    pytest.skip("the same on every backend", allow_module_level=True)

pytestmark = pytest.mark.backend

# Of JAX's own functions, of tensors that NumPy reads, and of labels that torch refuses.
ON_JAX = {
    *("a difference, stateless", "differences of one shape", "differences of one shape, stateless"),
    "steps without weight",
}
MISTAKES, RIGHT = (
    {name: one for name, one in programs.items() if (name in ON_JAX) == (BACKEND == "jax")}
    for programs in (output_programs.MISTAKES, output_programs.RIGHT)
)


@pytest.mark.parametrize(("code", "words", "text"), MISTAKES.values(), ids=MISTAKES)
def test_the_mistake_is_explained(code, words, text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    said = str(report)
    assert code in report.codes, f"{said}\n{errors}"
    assert [one for one in words if one not in said] == [], said


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_the_right_program_is_left_alone(text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    assert report.exit == 0, errors
    assert str(report) == "Nothing was found that looks wrong."
