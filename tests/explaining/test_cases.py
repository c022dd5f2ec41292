"""Real mistakes of the open cases: each diagnosis says what it has to, and right programs are left alone."""

from __future__ import annotations

import json
import re

import keras
import pytest

from tests.explaining.scripts import SHARED, run

CASES = sorted(path.parent for path in SHARED.glob("*/case.json"))

if not CASES:
    pytest.skip("../shared/cases is not there: no open cases to run", allow_module_level=True)

TRUTH = {path.name: json.loads((path / "case.json").read_text()) for path in CASES}
# Keras 3 cannot train a stateful layer on torch at all (SO346): here the right program fails too, by itself.
FAILS = {("36-batch-input-shape-argument", "torch"): ["SO346"]}
HERE = [path for path in CASES if keras.backend.backend() in TRUTH[path.name]["backend"]]


def said(report):
    """All that a diagnosis says, in one text."""
    return "\n".join(" ".join(str(value) for value in finding.values()) for finding in report.to_dict()["findings"])


@pytest.mark.backend
@pytest.mark.parametrize("folder", HERE, ids=lambda path: path.name)
def test_the_mistake_is_explained(folder):
    truth = TRUTH[folder.name]
    report, _, errors = run(folder / "bad.py")
    assert report.exit == (1 if truth["symptom"] == "raises" else 0), errors
    text = said(report)
    if truth["symptom"] == "clean":
        assert text == ""
        return
    assert report.findings, errors
    lower = text.lower()
    missing = [entry for entry in truth["must_mention"] if not any(one.lower() in lower for one in entry.split("|"))]
    wrong = [entry for entry in truth["must_not_say"] if any(one.lower() in lower for one in entry.split("|"))]
    assert (missing, wrong) == ([], []), text
    kinds = {finding.kind for finding in report}
    assert ("error" if truth["symptom"] == "raises" else "silent") in kinds
    for finding in report:
        assert finding.where
        assert finding.got
        assert finding.wanted
        assert finding.fix
        assert re.search(r"line \d+", finding.where)


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
