"""One framework in a process of its own: reads commands on standard input, answers with a line of JSON each.

    begin GROUP WORKLOAD     the contenders there are for it: [{"name", "role"}, ...]
    prepare NAME             builds it, runs it, keeps its answer in a file: {"answer": path, "steps": N or null}
    run SECONDS NAME         warms up, then times about that long: {"seconds": per call, "calls": number}
    end                      lets go of everything

A contender that can't run answers {"absent": why} or {"error": why}.

    python worker.py torch FOLDER 2      framework, folder for answers, threads
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from offers import Absent, Offer, Ready
from workloads import find

# A call longer than this is its own warm-up: what a woken process loses, some milliseconds, no longer shows.
LONG = 0.25
WARM_UP = 0.005


def time_per_call(call: Callable[[], Any], seconds: float) -> tuple[float, int]:
    """Seconds per call and the number of calls, timed for about ``seconds`` after a warm-up."""
    clock = time.perf_counter
    begun = clock()
    call()
    taken = clock() - begun
    if taken > LONG:
        return taken, 1
    calls = 1
    while taken < WARM_UP:
        call()
        calls += 1
        taken = clock() - begun
    number = max(1, math.ceil(seconds * calls / taken))
    gc.disable()
    begun = clock()
    for _ in range(number):
        call()
    taken = clock() - begun
    gc.enable()
    return taken / number, number


class Worker:
    """Holds the contenders of one framework for one workload at a time."""

    def __init__(self, framework: str, folder: Path) -> None:
        self.framework = framework
        self.folder = folder
        self.module: Any = None
        self.offers: dict[str, Offer] = {}
        self.ready: dict[str, Ready] = {}

    def begin(self, rest: str) -> list[dict[str, str]]:
        """Looks up what there is."""
        self.module = self.module or importlib.import_module(f"on_{self.framework}")
        group, name = rest.split(" ", 1)
        kind, workload = find(group, name)
        self.offers = {offer.name: offer for offer in self.module.offers(kind, workload)}
        return [{"name": offer.name, "role": offer.role} for offer in self.offers.values()]

    def prepare(self, name: str) -> dict[str, Any]:
        """Builds a contender and keeps its answer."""
        ready = self.offers[name].build()
        path = self.folder / f"{self.framework}-{list(self.offers).index(name)}.npz"
        np.savez(path, **ready.answer())  # type: ignore[arg-type]
        self.ready[name] = ready
        return {"answer": str(path), "steps": ready.steps}

    def run(self, rest: str) -> dict[str, float]:
        """Times a contender."""
        seconds, name = rest.split(" ", 1)
        per_call, calls = time_per_call(self.ready[name].call, float(seconds))
        return {"seconds": per_call, "calls": calls}

    def end(self, rest: str) -> None:
        """Lets go of everything."""
        self.offers, self.ready = {}, {}
        gc.collect()

    def answer(self, line: str) -> Any:
        """Does what a line says."""
        command, _, rest = line.partition(" ")
        try:
            return {"begin": self.begin, "prepare": self.prepare, "run": self.run, "end": self.end}[command](rest)
        except Absent as reason:
            return {"absent": str(reason)}
        except Exception as error:
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]}


def main() -> None:
    """Answers until the input ends."""
    framework, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    # Ends with the thread that started it, also while stopped: nobody may be left that never wakes.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    # Threads made from here on inherit this, and XLA and others count the processors that they may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    # What a framework prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker(framework, folder)
    for line in sys.stdin:
        print(json.dumps(worker.answer(line.rstrip("\n"))), file=answers, flush=True)


if __name__ == "__main__":
    main()
