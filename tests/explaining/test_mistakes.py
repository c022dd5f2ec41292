"""Mistakes of our own invention, written before anyone looked at how the rules would treat them (mistakes/)."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tests.explaining.judging import cases, judge, on_this_backend, said
from tests.explaining.scripts import HOME, run

BACKEND = keras.backend.backend()
TRUTHS = cases(Path(__file__).parent / "mistakes")
# One backend for each: that rules say the same on all of them is seen in test_cases.py.
HERE = [one for one in on_this_backend(TRUTHS) if BACKEND == HOME or HOME not in TRUTHS[one]["backend"]]

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("folder", [one for one in HERE if (one / "bad.py").exists()], ids=lambda path: path.name)
def test_the_mistake_is_explained(folder):
    report, _, errors = run(folder / "bad.py")
    judge(report, TRUTHS[folder], errors)


@pytest.mark.parametrize("folder", HERE, ids=lambda path: path.name)
def test_the_right_program_is_left_alone(folder):
    report, _, errors = run(folder / "good.py")
    assert report.exit == 0, errors
    assert said(report) == ""
