"""All benchmarks in one run: on each backend our portable layers beside Keras's, chunked training and sessions; native
kernels, and layers on them, beside every peer; an epoch of the language model; stores; tables.

    python benchmarks/run.py            everything, some 30 minutes; texts go to benchmarks/results/
    python benchmarks/run.py --quick    7 rounds, a store and a table of modest size, nothing is kept

Each runs in a process of its own while nothing else does: idle threads of one framework would slow the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
BACKENDS = ("jax", "torch", "tensorflow")


def run(name: str, script: str, options: list[str], keep: bool, **environment: str) -> int:
    """Runs one benchmark, shows its output and keeps a copy of it."""
    print(f"\n=== {name}", flush=True)
    shown = []
    process = subprocess.Popen(
        [sys.executable, str(FOLDER / script), *options],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "120", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        shown.append(line.rstrip())
    status = process.wait()
    if status == 0 and keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.txt").write_text("\n".join(shown).strip() + "\n")
    return status


def main() -> int:
    """Runs all; returns 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rounds = ["--quick"] if quick else []
    failed = [
        run(f"{subject}-{backend}", f"{subject}.py", rounds, not quick, KERAS_BACKEND=backend, SOSTENUTO_NATIVE=native)
        for subject, native in (("layers", "0"), ("chunks", "1"), ("sessions", "1"))
        for backend in BACKENDS
    ]
    failed.append(run("kernels", "kernels/main.py", ["--quick"] if quick else [], not quick))
    failed.append(run("epoch", "kernels/epoch.py", rounds, not quick))
    failed.append(run("explaining", "explaining.py", rounds, not quick))
    failed.append(run("stores", "stores.py", [], not quick))
    failed.append(run("from-table", "from_table.py", ["--rows", "1000000"] if quick else [], not quick))
    return int(any(failed))


if __name__ == "__main__":
    raise SystemExit(main())
