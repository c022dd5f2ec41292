"""The comparison of Keras's tests on stock Keras and on ours cannot pass by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.keras_suite import record
from tests.keras_suite.__main__ import FILES, compare, evidence, recorded_outcomes, rows_of
from tests.keras_suite.plugin import NAMES

PASSED = {"outcome": "passed", "reason": ""}
ONE, TWO = "a_test.py::A::test_one", "a_test.py::A::test_two"
OUTCOMES = {ONE: PASSED, TWO: {"outcome": "skipped", "reason": "needs a GPU"}}
ROWS = [record.Row(TWO, "skipped", "skipped", "needs a GPU")]


def a_report(swapped: bool, library: str, **changes: Any) -> dict[str, Any]:
    return {"swapped": swapped, "outcomes": OUTCOMES, "calls": {f"{library} {name}": 3 for name in NAMES}, **changes}


def test_keras_ships_its_tests() -> None:
    assert [file.name for file in FILES if not file.exists()] == []


def test_sound_runs() -> None:
    assert evidence(a_report(False, "keras")) == []
    assert evidence(a_report(True, "sostenuto")) == []
    assert compare(OUTCOMES, OUTCOMES) == []


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_test_lost(outcome: str) -> None:
    ours = {**OUTCOMES, ONE: {"outcome": outcome, "reason": "why"}}
    assert compare(OUTCOMES, ours) == [f"{ONE}: {outcome} (why)"]


def test_a_test_that_did_not_run() -> None:
    assert compare(OUTCOMES, {}) == [f"{ONE}: missing (the test did not run)"]


def test_a_swap_that_did_not_happen() -> None:
    problems = evidence(a_report(True, "keras"))
    assert "LSTM of keras was called where sostenuto was to be tested" in problems
    assert "LSTMCell of sostenuto was never called where it was to be tested" in problems


def test_a_stock_run_that_was_swapped() -> None:
    problems = evidence(a_report(False, "sostenuto"))
    assert "GRU of sostenuto was called where keras was to be tested" in problems
    assert "GRU of keras was never called where it was to be tested" in problems


def test_a_run_in_which_nothing_passed() -> None:
    assert evidence(a_report(True, "sostenuto", outcomes={})) == ["no test of the sostenuto classes passes"]


def test_the_record_stands_for_stock_keras() -> None:
    known = record.Section("3.15.1", 2, ROWS)
    assert recorded_outcomes(known, OUTCOMES) == OUTCOMES
    ours = {ONE: {"outcome": "failed", "reason": "why"}, TWO: {"outcome": "failed", "reason": "too"}}
    assert compare(recorded_outcomes(known, ours), ours) == [f"{ONE}: failed (why)"]
    assert rows_of(OUTCOMES, OUTCOMES) == ROWS


def test_the_record_reads_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORD", tmp_path / "record.md")
    record.write_section("jax", record.Section("3.15.1", 2, ROWS))
    for tests in (5, 6):
        record.write_section("torch", record.Section("3.16.0", tests, []))
    assert record.read_section("jax") == record.Section("3.15.1", 2, ROWS)
    assert record.read_section("torch") == record.Section("3.16.0", 6, [])
    assert record.read_section("tensorflow") is None
