"""Our examples are right programs: nothing is found in them."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tests.explaining.judging import said
from tests.explaining.scripts import run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

if keras.backend.backend() != "jax":
    pytest.skip("the examples are the same on every backend", allow_module_level=True)


@pytest.mark.backend
@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("seeds/*.py")), ids=lambda path: path.stem)
def test_nothing_is_found(script):
    report, _, errors = run(script)
    assert report.exit == 0, errors
    assert said(report) == ""
