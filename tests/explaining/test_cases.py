"""Real mistakes of the open cases: each diagnosis says what it has to, and right programs are left alone."""

from __future__ import annotations

import keras
import pytest

from tests.explaining.judging import cases, judge, on_this_backend, said
from tests.explaining.scripts import SHARED, run

TRUTHS = cases(SHARED)

if not TRUTHS:
    pytest.skip("../shared/cases is not there: no open cases to run", allow_module_level=True)

HERE = on_this_backend(TRUTHS)

# Keras 3 cannot train a stateful layer on torch at all (SO346): here the right program fails too, by itself.
FAILS = {("36-batch-input-shape-argument", "torch"): ["SO346"]}


@pytest.mark.backend
@pytest.mark.parametrize("folder", HERE, ids=lambda path: path.name)
def test_the_mistake_is_explained(folder):
    report, _, errors = run(folder / "bad.py")
    judge(report, TRUTHS[folder], errors)


@pytest.mark.backend
@pytest.mark.parametrize("folder", HERE, ids=lambda path: path.name)
def test_the_right_program_is_left_alone(folder):
    report, _, errors = run(folder / "good.py")
    fails = FAILS.get((folder.name, keras.backend.backend()), [])
    if fails:
        assert report.codes == fails
        return
    assert report.exit == 0, errors
    assert said(report) == ""
