"""Every code of the catalogue: its example gives it, its repaired example is silent, its page says what to do."""

from __future__ import annotations

import re

import keras
import pytest

from sostenuto.diagnosis import rules
from tests.explaining.scripts import HOME, run_text

RULES = list(rules().values())
BACKEND = keras.backend.backend()
# What depends on no backend runs on one.
HERE = [one for one in RULES if one.example and one.backend in (BACKEND, "" if BACKEND == HOME else BACKEND)]


def test_every_code_has_an_example_or_says_what_it_would_take():
    assert [one.code for one in RULES if bool(one.example) == bool(one.needs)] == []
    assert [one.code for one in RULES if one.looks and one.example and not one.repaired] == []


def test_pages_are_written_for_people():
    for one in RULES:
        assert not one.title.endswith("."), one.code
        assert one.meaning.endswith((".", ")")), one.code
        assert len(one.title) <= 90, one.code
        assert one.fix, one.code


def test_a_code_enters_once():
    from sostenuto.diagnosis.catalogue import rule

    with pytest.raises(ValueError, match="SO103 is in the catalogue already"):
        rule("SO103", "another", "meaning", "fix")


@pytest.mark.backend
@pytest.mark.parametrize("one", HERE, ids=lambda one: one.code)
def test_the_example_gives_the_code(one, tmp_path):
    report, _, errors = run_text(one.example, tmp_path)
    assert one.code in report.codes, f"{report}\n{errors}"
    for finding in report:
        if finding.code == one.code:
            assert re.search(r"line \d+", finding.where)
            assert finding.got
            assert finding.wanted
            assert finding.fix


@pytest.mark.backend
@pytest.mark.parametrize("one", [one for one in HERE if one.repaired], ids=lambda one: one.code)
def test_the_repaired_example_is_silent(one, tmp_path):
    report, _, errors = run_text(one.repaired, tmp_path)
    assert report.exit == 0, errors
    assert str(report) == "Nothing was found that looks wrong."
