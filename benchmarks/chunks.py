"""Chunked training beside the same sums without state by id: what carrying states costs.

``fit(chunk=K)`` over sequences against ``fit`` over the same sequences cut into independent pieces of K steps, with the
same rows, the same steps and the same number of batches in an epoch. A ratio above 1 says that carrying is faster. Runs
alternate, and the ratio is the median of the ratios of neighbouring epochs, over several pairs of models: where the
weights of a pair lie in memory moves its ratio by up to 5 % either way.

    KERAS_BACKEND=jax python benchmarks/chunks.py --quick
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import sostenuto as so


@dataclass(frozen=True)
class Workload:
    """S sequences of ``chunks`` chunks of K steps, B of them side by side."""

    name: str
    sequences: int
    chunks: int
    chunk: int
    batch_size: int
    features: int
    units: int
    layers: int


WORKLOADS = [
    Workload("small steps", 64, 10, 20, 32, 3, 32, 1),
    Workload("sensors", 64, 8, 50, 32, 16, 64, 2),
    Workload("language", 20, 16, 20, 20, 200, 200, 2),
]


def model_of(workload: Workload) -> Any:
    """A stack of LSTM layers with an output per step."""
    keras.utils.set_random_seed(0)
    layers = [so.LSTM(workload.units, return_sequences=True) for _ in range(workload.layers)]
    model = so.SequenceModel([*layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def measure(workload: Workload, pairs: int, rounds: int) -> tuple[float, float, float]:
    """The ratio, and the median milliseconds of a batch without and with carried states."""
    times = [each for _ in range(pairs) for each in times_of_a_pair(workload, rounds)]
    ratio = statistics.median(of_plain / of_carrying for of_carrying, of_plain in times)
    return ratio, statistics.median(pair[1] for pair in times), statistics.median(pair[0] for pair in times)


def times_of_a_pair(workload: Workload, rounds: int) -> list[list[float]]:
    """Milliseconds of a batch with and without carried states, round by round, of two models."""
    steps = workload.chunks * workload.chunk
    rng = np.random.default_rng(0)
    values = rng.normal(size=(workload.sequences, steps, workload.features)).astype("float32")
    whole = so.Sequences.from_list(list(values), targets=list(values[..., 0]), targets_per="step")
    pieces = whole.chunk(workload.chunk)
    batches = workload.sequences * workload.chunks // workload.batch_size
    carrying, plain = model_of(workload), model_of(workload)

    def epoch(carry: bool) -> float:
        # Two epochs in one call, so that what fit does once per call counts half as much as in the shortest training.
        options = {"epochs": 2, "batch_size": workload.batch_size, "verbose": 0}
        begun = time.perf_counter()
        if carry:
            carrying.fit(whole, chunk=workload.chunk, **options)
        else:
            plain.fit(pieces, **options)
        return (time.perf_counter() - begun) * 1000 / (2 * batches)

    for _ in range(2):
        epoch(True), epoch(False)
    times = []
    for turn in range(rounds):
        pair = [epoch(bool((turn + which) % 2)) for which in range(2)]
        times.append(pair if turn % 2 else pair[::-1])  # carrying first
    return times


def main(quick: bool = typer.Option(False, help="1 pair of models and 7 rounds instead of 5 and 9.")) -> None:
    """Measures and prints a table."""
    table = Table("workload", "B, K, F, U, layers", "without / with", "without, ms a batch", "with, ms a batch",
                  title=f"carrying states by id through fit, on {keras.backend.backend()}")  # fmt: skip
    for one in WORKLOADS:
        ratio, without, with_states = measure(one, *((1, 7) if quick else (5, 9)))
        sizes = f"{one.batch_size}, {one.chunk}, {one.features}, {one.units}, {one.layers}"
        shown = f"[{'green' if ratio >= 1 / 1.1 else 'red'}]{ratio:.2f}[/]"
        table.add_row(one.name, sizes, shown, f"{without:.3g}", f"{with_states:.3g}")
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
