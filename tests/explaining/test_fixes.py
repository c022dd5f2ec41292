"""The fix of each diagnosis, applied by hand, gives what the right program gives: all open cases."""

from __future__ import annotations

import re
import shutil

import keras
import pytest

from tests.explaining.fixes_applied import FIXES, Edits
from tests.explaining.judging import cases, said
from tests.explaining.scripts import HOME, SHARED, run

TRUTHS = cases(SHARED)

if not TRUTHS:
    pytest.skip("../shared/cases is not there: no open cases to run", allow_module_level=True)

WRONG = {folder: truth for folder, truth in TRUTHS.items() if truth["symptom"] != "clean"}


# Keras 3 trains no stateful layer on torch (SO346); reading a tf.data.Dataset, torch is much slower than TensorFlow.
NOT_ON_TORCH = {"36-batch-input-shape-argument", "61-timeseries-dataset-target-inside"}


def _backend(truth) -> str:
    # One is enough: that every backend gives the same diagnosis is seen in test_cases.py.
    return HOME if HOME in truth["backend"] and truth["id"] not in NOT_ON_TORCH else truth["backend"][0]


HERE = [folder for folder, truth in WRONG.items() if _backend(truth) == keras.backend.backend()]


def test_no_case_is_left_out():
    assert set(FIXES) == {folder.name for folder in WRONG}


@pytest.mark.backend
@pytest.mark.parametrize("folder", HERE, ids=lambda path: path.name)
def test_the_printed_fix_gives_what_the_right_program_gives(folder, tmp_path):
    applied = FIXES[folder.name]
    text = (folder / "bad.py").read_text()
    for beside in folder.iterdir():
        if beside.is_file() and beside.suffix not in (".py", ".json"):
            shutil.copy(beside, tmp_path)

    report, _, _ = run(folder / "bad.py")
    _stands_in(applied.edits, applied.filled, text, report)
    text = _edited(text, applied.edits)

    script = tmp_path / "mended.py"
    text = _edited(text, applied.shown)
    script.write_text(text)
    report, output, errors = run(script)
    assert report.exit == 0, errors
    assert said(report) == ""
    right, wanted, errors = run(folder / "good.py")
    assert right.exit == 0, errors
    assert wanted
    assert _compared(output, applied.numbers) == _compared(wanted, applied.numbers)


def _edited(text: str, edits: Edits) -> str:
    for old, new in edits:
        assert old in text, f"not in the script: {old}"
        text = text.replace(old, new, 1)
    return text


def _stands_in(edits: Edits, filled: tuple[str, ...], text: str, report) -> None:
    # Every new line is one of a printed fix, or a part of one: a fix may show the whole statement around it. What
    # stands behind a # is a remark, and nothing to paste.
    printed = [_plain(re.sub(r"(^|\s+)#.*", "", line)) for finding in report for line in finding.fix.splitlines()]
    before = {_plain(line) for line in text.splitlines()}
    for _, new in edits:
        for line in map(_plain, new.splitlines()):
            if line not in before and line not in filled:
                assert any(line in one for one in printed), f"no fix says: {line}\n{report}"


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _compared(output: str, numbers: bool) -> str:
    # Some scripts set no seed: what they print is alike but for the decimal numbers.
    return output if numbers else re.sub(r"-?\d+\.\d+", "#", output)
