"""Runs all tests: the C++ ones and those without a backend, then for each backend ours and Keras's, two at a time.

    python scripts/run_tests.py               everything
    python scripts/run_tests.py jax           what has "jax" in its name
    python scripts/run_tests.py --list        the names

A backend is chosen when Keras is first imported, so each gets processes of its own. The full output of every process is
kept in build/test-logs. The last line says 'N passed, N failed'; the exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from run_native_tests import compiler

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "build" / "test-logs"
# What JAX compiled: the same little programs are compiled again in test after test, a tenth of its time. Begins empty.
COMPILED = ROOT / "build" / "test-compiled"
BACKENDS = ("jax", "torch", "tensorflow")
SIDE_BY_SIDE = 2
PYTEST = [sys.executable, "-m", "pytest", "-q", "--doctest-modules"]
ALL = ["tests", "src", "scripts"]
# Runs hundreds of programs: a process of its own, so that the lanes end together.
EXPLAINING = "tests/explaining"


@dataclass(frozen=True)
class Job:
    """One process; ``backend`` is None where none is chosen for it."""

    name: str
    command: list[str]
    backend: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    passed: int
    failed: int
    seconds: float
    log: Path


def all_jobs() -> list[Job]:
    """The jobs in the order of their start.

    What needs no backend says first and soon whether the rest is worth waiting for; of the rest the longest are first,
    so that the two lanes end together.
    """
    jobs = [Job("without backend", [*PYTEST, *ALL, "-m", "not backend"])]
    if compiler():
        jobs += [Job("C++", [sys.executable, "scripts/run_native_tests.py"])]
    suites = [
        Job(f"{backend}: Keras's tests", [sys.executable, "-m", "tests.keras_suite", "--recorded"], backend)
        for backend in BACKENDS
    ]
    explaining = [
        Job(f"{backend}: explaining", [*PYTEST, EXPLAINING, "-m", "backend"], backend) for backend in BACKENDS
    ]
    ours = [
        Job(f"{backend}: our tests", [*PYTEST, *ALL, "-m", "backend", f"--ignore={EXPLAINING}"], backend)
        for backend in BACKENDS
    ]
    return [*jobs, *ours, *explaining, *suites]


def run(job: Job) -> Outcome:
    """Runs a job to its end and keeps its output."""
    environment = dict(os.environ)
    environment.pop("KERAS_BACKEND", None)
    if job.backend:
        environment["KERAS_BACKEND"] = job.backend
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        environment.setdefault(name, "1")
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    log = LOGS / (re.sub(r"\W+", "-", job.name) + ".log")
    print(f"      {job.name} ...", flush=True)
    begun = time.monotonic()
    with log.open("w") as file:
        status = subprocess.run(
            job.command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    passed, failed = counts(log.read_text(errors="replace"), status)
    return Outcome(job, passed, failed, time.monotonic() - begun, log)


def counts(output: str, status: int) -> tuple[int, int]:
    """How many tests passed and failed.

    Args:
        output: what the process printed; its last line with counts is read.
        status: its exit status. One other than 0 is at least one failure (pytest says 5 for "no tests"), and so is
            a process in which nothing passed.

    Example:
        >>> counts("1 failed, 60 passed, 2 skipped, 3 errors in 4.2s", 1)
        (60, 4)
        >>> counts("no tests ran in 0.01s", 5), counts("2 skipped in 0.1s", 0)
        ((0, 1), (0, 1))
    """
    lines = [line for line in output.splitlines() if re.search(r"\b\d+ (passed|failed|errors?|skipped)\b", line)]
    found = re.findall(r"\b(\d+) (passed|failed|errors?)\b", lines[-1]) if lines else []
    passed = sum(int(number) for number, word in found if word == "passed")
    failed = sum(int(number) for number, word in found if word != "passed")
    if not failed and (status != 0 or not passed):
        failed = 1
    return passed, failed


def report(outcome: Outcome, done: int, of: int) -> None:
    """Prints how a job ended, with the end of its output if it failed."""
    sums = f"{outcome.passed} passed, {outcome.failed} failed"
    print(f"[{done}/{of}] {outcome.job.name:<26} {sums:<26} {outcome.seconds:4.0f} s", flush=True)
    if outcome.failed:
        lines = outcome.log.read_text(errors="replace").splitlines()
        print("\n".join(f"    {line}" for line in lines[-60:]))
        print(f"    all of it: {outcome.log.relative_to(ROOT)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="?", default="", help="run only jobs with this in their name")
    parser.add_argument("--list", action="store_true", help="print the names of the jobs")
    options = parser.parse_args()
    jobs = [job for job in all_jobs() if options.part in job.name]
    if options.list:
        print("\n".join(job.name for job in jobs))
        return 0
    if not jobs:
        parser.error(f"no job has {options.part!r} in its name: {', '.join(job.name for job in all_jobs())}")

    if not compiler():
        print("      C++: left out, there is no C++ compiler")
    LOGS.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(COMPILED, ignore_errors=True)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for future in as_completed([pool.submit(run, job) for job in jobs]):
            outcomes.append(future.result())
            report(outcomes[-1], len(outcomes), len(jobs))

    print()
    for outcome in sorted(outcomes, key=lambda each: each.job.name):
        print(f"{'FAILED' if outcome.failed else 'ok':<8}{outcome.job.name:<26} {outcome.seconds:4.0f} s")
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
