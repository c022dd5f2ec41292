"""What a step of a session costs beside the bare sums, on the backend that KERAS_BACKEND names, in one interleaved run.

The model is an LSTM with a Dense layer, an output per step. For 1, 32 and 1000 ids, each with one step in every call:

    the sums       the compiled step function alone: states in arrays, nobody counts, checks or stores
    predict        model.predict_on_batch on the same steps, which knows no states: every step begins a sequence
    memory         session.step with a MemoryStore, from a dict and from arrays
    SQLite         session.step with a file, on the disk when it returns; and with hot=0, so that every call reads too

Rounds alternate between all of them, so that load from elsewhere falls on all alike; a ratio is the median of the
ratios to the sums of the same round.

    KERAS_BACKEND=jax python benchmarks/sessions.py --quick
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import sostenuto as so
from sostenuto.sessions.running import bucket

BACKEND = keras.backend.backend()
FEATURES = 16


def runs(model: Any, ids: list[str], folder: Path) -> dict[str, Callable[[], Any]]:
    """What is timed, by name."""
    size = bucket(len(ids))
    run = model.step_function
    x = np.random.default_rng(0).normal(size=(size, 1, FEATURES)).astype("float32")
    states = run.initial(size)
    fed = model.feed(x, np.ones(size, "int32"))
    steps = dict(zip(ids, x[:, 0], strict=False))
    memory = model.session()
    file, cold = (model.session(folder / f"{len(ids)}-{hot}.db", hot=hot) for hot in (10_000, 0))
    array = x[: len(ids), 0]
    return {
        "the sums": lambda: run(x, None, states),
        "predict": lambda: model.predict_on_batch(fed),
        "memory, dict": lambda: memory.step(steps),
        "memory, arrays": lambda: memory.step(ids, array),
        "SQLite": lambda: file.step(ids, array),
        "SQLite, hot=0": lambda: cold.step(ids, array),
    }


def measure(calls: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Milliseconds of each call in each round."""
    for call in calls.values():
        call()
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name, call in calls.items() if turn % 2 else reversed(calls.items()):
            start = clock()
            call()
            times[name].append((clock() - start) * 1000)
    return times


def main(
    quick: bool = typer.Option(False, help="A tenth of the rounds."),
    units: int = typer.Option(64, help="Units of the LSTM."),
    processor_time: bool = typer.Option(False, help="Count this process's work only: on a busy machine."),
) -> None:
    """Measures and prints a table."""
    clock = time.process_time if processor_time else time.perf_counter
    model = so.SequenceModel([so.LSTM(units, return_sequences=True), keras.layers.Dense(1)])
    model.build(FEATURES)
    table = Table(
        "ids",
        "run",
        "times the sums",
        "above them ms",
        "ms",
        "ids x steps / s",
        title=f"One step of an LSTM({units}) on {BACKEND}{', processor time' if processor_time else ''}",
    )
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 32, 1000):
            ids = [f"engine-{place}" for place in range(number)]
            rounds = {1: 1000, 32: 500, 1000: 100}[number] // (10 if quick else 1)
            times = measure(runs(model, ids, Path(folder)), rounds, clock)
            sums = times["the sums"]
            for name, measured in times.items():
                ratio = statistics.median(one / bare for one, bare in zip(measured, sums, strict=True))
                above = statistics.median(one - bare for one, bare in zip(measured, sums, strict=True))
                typical = statistics.median(measured)
                table.add_row(
                    str(number),
                    name,
                    f"{ratio:.2f}",
                    f"{above:.3f}",
                    f"{typical:.3f}",
                    f"{number / typical * 1000:,.0f}",
                )
            table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
