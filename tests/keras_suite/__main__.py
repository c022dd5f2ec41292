"""Runs Keras's recurrent tests on stock Keras and on Sostenuto, and compares them test by test.

    KERAS_BACKEND=jax python -m tests.keras_suite              compare
    KERAS_BACKEND=jax python -m tests.keras_suite --write      compare, and note what stock Keras fails or skips
    KERAS_BACKEND=jax python -m tests.keras_suite --recorded   compare with that note instead of running stock Keras

Exits with 1 if a test that passes for stock Keras does not pass for Sostenuto.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras

from tests.keras_suite.plugin import NAMES
from tests.keras_suite.record import RECORD, Row, Section, read_section, write_section

FOLDER = Path(keras.__file__).parent / "src" / "layers" / "rnn"
FILES = [
    FOLDER / f"{name}_test.py"
    for name in (
        "lstm",
        "gru",
        "simple_rnn",
        "bidirectional",
        "rnn",
        "stacked_rnn_cells",
        "time_distributed",
        "dropout_rnn_cell",
    )
]
MISSING = {"outcome": "missing", "reason": "the test did not run"}
LAYERS = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional")
# No test names StackedRNNCells: RNN([...]) makes it inside, and there Keras's class is as good as ours.
NEVER_NAMED = ("StackedRNNCells",)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.keras_suite", description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"rewrite this backend's part of {RECORD.name}")
    parser.add_argument("--recorded", action="store_true", help=f"trust {RECORD.name} where it is of this Keras")
    options = parser.parse_args()
    backend = keras.backend.backend()
    print(f"Keras {keras.__version__} on {backend}")

    known = read_section(backend)
    fits = known is not None and known.version == keras.__version__
    trusted = known if options.recorded and not options.write and fits else None
    ours = run(swapped=True)
    problems = evidence(ours)
    if trusted is not None:
        outcomes = recorded_outcomes(trusted, ours["outcomes"])
        if len(ours["outcomes"]) != trusted.tests:
            problems.append(f"{len(ours['outcomes'])} tests ran, {trusted.tests} are recorded")
    else:
        stock = run(swapped=False)
        problems += evidence(stock)
        outcomes = stock["outcomes"]
        rows = rows_of(outcomes, ours["outcomes"])
        if options.write:
            write_section(backend, Section(keras.__version__, len(outcomes), rows))
            print(f"wrote {RECORD.name}")
        elif known is None or rows != known.rows:
            print(f"note: {RECORD.name} says something else for {backend}; --write brings it up to date:")
            print("\n".join(f"  {row}" for row in rows))

    lost = compare(outcomes, ours["outcomes"])
    for line in problems:
        print(f"not a valid run: {line}")
    for line in lost:
        print(f"passes for stock Keras only: {line}")
    passed = sum(result["outcome"] == "passed" for result in ours["outcomes"].values())
    print(f"{passed} passed, {len(lost) + len(problems)} failed")
    return 1 if lost or problems else 0


def run(*, swapped: bool) -> dict[str, Any]:
    """One pytest process over Keras's files; its report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        # -c and --rootdir: our own settings and conftest have no say in Keras's tests.
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(FOLDER)]
        command += ["-p", "no:cacheprovider", "-p", "tests.keras_suite.plugin", "--suite-report", str(report)]
        command += ["--disable-warnings", *(["--swap-sostenuto"] if swapped else []), *map(str, FILES)]
        print(f"running Keras's tests on {'Sostenuto' if swapped else 'stock Keras'}", flush=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not report.exists():
            sys.exit(f"{done.stdout}\n{done.stderr}\npytest ended with exit code {done.returncode}; 0 passed, 1 failed")
        if done.returncode and swapped:
            print(done.stdout)
        return json.loads(report.read_text())


def recorded_outcomes(known: Section, ran: dict[str, Any]) -> dict[str, Any]:
    """What stock Keras does with the tests that ran: what the record says of them, else they pass."""
    listed = {row.test: {"outcome": row.stock, "reason": row.reason} for row in known.rows}
    return {name: listed.get(name, {"outcome": "passed", "reason": ""}) for name in [*ran, *listed]}


def rows_of(stock: dict[str, Any], ours: dict[str, Any]) -> list[Row]:
    """The record's rows: tests that do not pass for stock Keras."""
    return [
        Row(name, result["outcome"], ours.get(name, MISSING)["outcome"], result["reason"])
        for name, result in sorted(stock.items())
        if result["outcome"] != "passed"
    ]


def compare(stock: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """The tests that pass for stock Keras and do not for Sostenuto, with what became of them."""
    lost = []
    for name, result in stock.items():
        mine = ours.get(name, MISSING)
        if result["outcome"] == "passed" and mine["outcome"] != "passed":
            lost.append(f"{name}: {mine['outcome']} ({mine['reason']})")
    return lost


def evidence(report: dict[str, Any]) -> list[str]:
    """Reasons to doubt that a run tested the classes it was meant to test."""
    wanted, other = ("sostenuto", "keras") if report["swapped"] else ("keras", "sostenuto")
    problems = []
    if not any(result["outcome"] == "passed" for result in report["outcomes"].values()):
        problems.append(f"no test of the {wanted} classes passes")
    for name in NAMES:
        # Our layers build on Keras's and may hold cells of Keras; a whole layer of Keras was not swapped.
        if report["calls"].get(f"{other} {name}") and (name in LAYERS or not report["swapped"]):
            problems.append(f"{name} of {other} was called where {wanted} was to be tested")
        if not report["calls"].get(f"{wanted} {name}") and not (report["swapped"] and name in NEVER_NAMED):
            problems.append(f"{name} of {wanted} was never called where it was to be tested")
    return problems


if __name__ == "__main__":
    sys.exit(main())
