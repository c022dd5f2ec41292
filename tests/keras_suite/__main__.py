"""Runs Keras's recurrent tests on stock Keras and on Sostenuto, and compares them test by test.

    KERAS_BACKEND=jax python -m tests.keras_suite            compare
    KERAS_BACKEND=jax python -m tests.keras_suite --write    compare, and note what stock Keras fails or skips

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
from tests.keras_suite.record import RECORD, Row, read_section, write_section

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
    options = parser.parse_args()
    backend = keras.backend.backend()
    print(f"Keras {keras.__version__} on {backend}")

    stock, ours = run(swapped=False), run(swapped=True)
    problems = evidence(stock, ours)
    lost = compare(stock, ours)
    rows = [
        Row(name, result["outcome"], ours["outcomes"].get(name, MISSING)["outcome"], result["reason"])
        for name, result in sorted(stock["outcomes"].items())
        if result["outcome"] != "passed"
    ]
    if options.write:
        write_section(backend, keras.__version__, rows)
        print(f"wrote {RECORD.name}")
    elif rows != read_section(backend):
        print(f"note: stock Keras differs from {RECORD.name} on {backend}; --write brings it up to date:")
        for row in rows:
            print(f"  {row}")

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


def compare(stock: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """The tests that pass for stock Keras and do not for Sostenuto, with what became of them."""
    lost = []
    for name, result in stock["outcomes"].items():
        mine = ours["outcomes"].get(name, MISSING)
        if result["outcome"] == "passed" and mine["outcome"] != "passed":
            lost.append(f"{name}: {mine['outcome']} ({mine['reason']})")
    return lost


def evidence(stock: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Reasons to doubt that one run tested stock Keras and the other tested Sostenuto."""
    problems = []
    if not any(result["outcome"] == "passed" for result in stock["outcomes"].values()):
        problems.append("no test passes for stock Keras")
    for name in NAMES:
        if not stock["calls"].get(f"keras {name}"):
            problems.append(f"no {name} of Keras was called in the run of stock Keras")
        if name not in NEVER_NAMED and not ours["calls"].get(f"sostenuto {name}"):
            problems.append(f"no {name} of Sostenuto was called in the run of Sostenuto")
        if stock["calls"].get(f"sostenuto {name}"):
            problems.append(f"{name} of Sostenuto was called in the run of stock Keras")
        if name in LAYERS and ours["calls"].get(f"keras {name}"):
            problems.append(f"{name} of Keras was called in the run of Sostenuto")
    return problems


if __name__ == "__main__":
    sys.exit(main())
