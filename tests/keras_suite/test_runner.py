"""The comparison of Keras's tests on stock Keras and on ours cannot pass by accident."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.keras_suite import record
from tests.keras_suite.__main__ import FILES, compare, evidence
from tests.keras_suite.plugin import NAMES

PASSED = {"outcome": "passed", "reason": ""}
STOCK: dict[str, Any] = {
    "outcomes": {
        "a_test.py::A::test_one": PASSED,
        "a_test.py::A::test_two": {"outcome": "skipped", "reason": "no GPU"},
    },
    "calls": {f"keras {name}": 3 for name in NAMES},
}
OURS: dict[str, Any] = {"outcomes": STOCK["outcomes"], "calls": {f"sostenuto {name}": 3 for name in NAMES}}


def test_keras_ships_its_tests() -> None:
    assert [file.name for file in FILES if not file.exists()] == []


def test_a_sound_run() -> None:
    assert evidence(STOCK, OURS) == []
    assert compare(STOCK, OURS) == []


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_test_lost(outcome: str) -> None:
    ours = copy.deepcopy(OURS)
    ours["outcomes"]["a_test.py::A::test_one"] = {"outcome": outcome, "reason": "why"}
    assert compare(STOCK, ours) == [f"a_test.py::A::test_one: {outcome} (why)"]


def test_a_test_that_did_not_run() -> None:
    ours = copy.deepcopy(OURS)
    del ours["outcomes"]["a_test.py::A::test_one"]
    assert compare(STOCK, ours) == ["a_test.py::A::test_one: missing (the test did not run)"]


def test_a_swap_that_did_not_happen() -> None:
    problems = evidence(STOCK, STOCK)
    assert "no LSTM of Sostenuto was called in the run of Sostenuto" in problems
    assert "LSTM of Keras was called in the run of Sostenuto" in problems


def test_a_stock_run_that_was_swapped() -> None:
    problems = evidence(OURS, OURS)
    assert "no GRU of Keras was called in the run of stock Keras" in problems
    assert "GRU of Sostenuto was called in the run of stock Keras" in problems


def test_a_run_in_which_nothing_passed() -> None:
    empty = {"outcomes": {}, "calls": STOCK["calls"]}
    assert evidence(empty, OURS) == ["no test passes for stock Keras"]


def test_the_record_reads_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORD", tmp_path / "record.md")
    rows = [record.Row("a_test.py::A::test_two", "skipped", "passed", "needs a GPU")]
    record.write_section("jax", "3.15.1", rows)
    record.write_section("torch", "3.15.1", [])
    record.write_section("torch", "3.15.1", [])
    assert record.read_section("jax") == rows
    assert record.read_section("torch") == []
    assert record.read_section("tensorflow") == []
    assert (tmp_path / "record.md").read_text().count("## ") == 2
