"""Masks: each mistake is found by its kind, right programs are left alone."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.masked_programs import BEGIN, MISTAKES, RAISES, RIGHT
from tests.explaining.scripts import HOME, run_text

if keras.backend.backend() != HOME:
    pytest.skip("the same on every backend", allow_module_level=True)

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_explained_once(name, tmp_path):
    code, words, text = MISTAKES[name]
    report, _, errors = run_text(BEGIN + text, tmp_path)
    said = str(report)
    assert report.exit == (name in RAISES), errors
    assert set(report.codes) == {code}, f"{said}\n{errors}"
    assert [one for one in words if one not in said] == [], said


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_the_right_program_is_left_alone(text, tmp_path):
    report, _, errors = run_text(BEGIN + text, tmp_path)
    assert report.exit == 0, errors
    assert str(report) == "Nothing was found that looks wrong."
