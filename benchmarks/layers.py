"""Our layers beside Keras's own, on the backend that KERAS_BACKEND names, in one interleaved run.

SOSTENUTO_NATIVE=0 measures the portable kernel, as ``benchmarks/run.py`` does; the title names the one that ran.

Each workload is one LSTM with return_sequences=True; training is forward and backward to the gradients of weights and
input. JAX runs jitted, TensorFlow in a tf.function with and without XLA, torch eagerly. A ratio above 1 says that ours
is faster. Runs take turns, and the ratio is the median of the ratios within a turn, so that load from elsewhere falls
on all alike; over several sets of layers, because where weights lie in memory alone moves a ratio by up to 10 %.

A third contender shows what is noise: another layer of Keras's, made and measured like the first.

    KERAS_BACKEND=jax python benchmarks/layers.py --quick
    KERAS_BACKEND=torch python benchmarks/layers.py --processor-time --threads 1     where others use the machine too
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import sostenuto as so

BACKEND = keras.backend.backend()


@dataclass(frozen=True)
class Workload:
    """B rows, T steps, F features, U units; lengths where rows are ragged."""

    name: str
    rows: int
    steps: int
    features: int
    units: int
    lengths: np.ndarray | None = None

    def batch(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Values (B, T, F) and, for ragged rows, their mask (B, T)."""
        x = np.random.default_rng(0).normal(size=(self.rows, self.steps, self.features)).astype("float32")
        mask = None if self.lengths is None else np.arange(self.steps) < self.lengths[:, None]
        return x, mask


def _ragged(name: str, lengths: np.ndarray, features: int, units: int) -> Workload:
    return Workload(name, len(lengths), int(lengths.max()), features, units, lengths)


def workloads() -> list[Workload]:
    """The dense ones by size, then the ragged ones; ii is a quarter of the rows, cut at 150 steps."""
    rng = np.random.default_rng(1)
    return [
        Workload("a", 32, 10, 3, 64),
        Workload("b", 200, 50, 100, 64),
        Workload("c", 32, 100, 128, 256),
        Workload("d", 20, 35, 200, 200),
        Workload("e", 256, 200, 16, 32),
        _ragged("i", rng.integers(20, 61, 200), 100, 64),
        _ragged("ii, small", np.clip(rng.lognormal(3.5, 0.8, 64), 1, 150).astype(int), 16, 128),
        _ragged("iii", rng.integers(7, 30, 270), 12, 64),
    ]


Run = Callable[[], Any]


def runs_on_jax(layer: Any, x: np.ndarray, mask: Any, d: np.ndarray) -> dict[str, Run]:
    """Inference and training of a layer, ready to be called."""
    import jax

    weights, fixed = ([v.value for v in group] for group in (layer.trainable_variables, layer.non_trainable_variables))

    def outputs(weights: Any, x: Any) -> Any:
        return layer.stateless_call(weights, fixed, x, mask=mask)[0]

    inference = jax.jit(outputs)
    training = jax.jit(jax.grad(lambda weights, x: (outputs(weights, x) * d).sum(), argnums=(0, 1)))
    x = jax.numpy.asarray(x)
    return {
        "inference": lambda: jax.block_until_ready(inference(weights, x)),
        "training": lambda: jax.block_until_ready(training(weights, x)),
    }


def runs_on_tensorflow(layer: Any, x: np.ndarray, mask: Any, d: np.ndarray) -> dict[str, Run]:
    """Inference and training of a layer, ready to be called, with and without XLA."""
    import tensorflow as tf

    weights = [variable.value for variable in layer.trainable_variables]
    known = tf.constant(x)

    def outputs(x: Any) -> Any:
        return layer(x, mask=mask)

    def training(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(outputs(x) * d)
        return tape.gradient(loss, [x, *weights])

    def ready(function: Callable[[Any], Any], xla: bool) -> Run:
        compiled = tf.function(function, jit_compile=xla, autograph=False)
        return lambda: keras.tree.flatten(compiled(known))[-1].numpy()

    return {
        name + suffix: ready(function, xla)
        for name, function in (("inference", outputs), ("training", training))
        for suffix, xla in (("", False), (", XLA", True))
    }


def runs_on_torch(layer: Any, x: np.ndarray, mask: Any, d: np.ndarray) -> dict[str, Run]:
    """Inference and training of a layer, ready to be called."""
    import torch

    known, weighted = torch.tensor(x, requires_grad=True), torch.tensor(d)
    marked = None if mask is None else torch.tensor(mask)
    weights = [variable.value for variable in layer.trainable_variables]

    def inference() -> Any:
        with torch.no_grad():
            return layer(known, mask=marked)

    def training() -> Any:
        return torch.autograd.grad((layer(known, mask=marked) * weighted).sum(), [known, *weights])

    return {"inference": inference, "training": training}


def set_threads(number: int) -> None:
    """Limits the threads of a backend that lets itself be limited while it runs: not JAX."""
    if BACKEND == "torch":
        import torch

        torch.set_num_threads(number)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(number)
        tf.config.threading.set_inter_op_parallelism_threads(number)


RUNS = {"jax": runs_on_jax, "tensorflow": runs_on_tensorflow, "torch": runs_on_torch}


@dataclass(frozen=True)
class Measured:
    """One row: ratios to stock of ours and of another stock layer, median milliseconds of stock and of ours."""

    run: str
    ratio: float
    noise: float
    stock: float
    ours: float


def measure(
    workload: Workload, sets: int, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[Measured]:
    """Each kind of run, over several sets of layers."""
    found: dict[str, list[list[float]]] = {}
    for _ in range(sets):
        for name, times in times_of_a_set(workload, rounds, clock).items():
            found.setdefault(name, []).extend(times)
    rows = []
    for name, times in found.items():
        ratio, noise = (statistics.median(each[0] / each[other] for each in times) for other in (1, 2))
        stock, ours, _ = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append(Measured(name, ratio, noise, stock, ours))
    return rows


def times_of_a_set(workload: Workload, rounds: int, clock: Callable[[], float]) -> dict[str, list[list[float]]]:
    """For each kind of run the milliseconds of a stock layer, of ours, and of another stock one, turn by turn.

    Raises:
        AssertionError: they do not return the same outputs.
    """
    x, mask = workload.batch()
    layers = [kind.LSTM(workload.units, return_sequences=True) for kind in (keras.layers, so, keras.layers)]
    for layer in layers:
        layer.build(x.shape)
        layer.set_weights(layers[0].get_weights())
    wanted, *others = (keras.ops.convert_to_numpy(layer(x, mask=mask)) for layer in layers)
    for got in others:
        np.testing.assert_allclose(got, wanted, atol=1e-5)

    d = np.random.default_rng(2).normal(size=wanted.shape).astype("float32")
    runs = [RUNS[BACKEND](layer, x, mask, d) for layer in layers]
    times: dict[str, list[list[float]]] = {}
    for name in runs[0]:
        contenders = [each[name] for each in runs]
        for run in contenders * 2:
            run()
        for turn in range(rounds):
            # Each comes first, second and last in turn: whoever follows a larger one finds the caches emptied.
            order = [(turn + place) % 3 for place in range(3)]
            taken = {which: _milliseconds(contenders[which], clock) for which in order}
            times.setdefault(name, []).append([taken[which] for which in range(3)])
    return times


def _milliseconds(run: Run, clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return (clock() - start) * 1000


def main(
    quick: bool = typer.Option(False, help="1 set of layers and 9 rounds instead of 3 and 12."),
    threads: int = typer.Option(2, help="Threads of TensorFlow or torch; JAX takes all cores."),
    processor_time: bool = typer.Option(False, help="Count this process's work only: on a busy machine."),
    only: str = typer.Option("", help="Names of workloads, separated by commas, for instance 'a,b,iii'."),
) -> None:
    """Measures and prints a table."""
    set_threads(threads)
    clock = time.process_time if processor_time else time.perf_counter
    console = Console(width=120)
    kernel = so.LSTM(1).explain().kernel.name
    table = Table(
        "workload",
        "B, T, F, U",
        "run",
        "stock / ours",
        "stock / stock",
        "stock ms",
        "ours ms",
        title=f"LSTM on {BACKEND}, {kernel} kernel{', processor time' if processor_time else ''}",
    )
    rows = []
    for workload in workloads():
        if only and workload.name.split(",")[0] not in only.split(","):
            continue
        sizes = f"{workload.rows}, {workload.steps}, {workload.features}, {workload.units}"
        if workload.lengths is not None:
            sizes += f" (filled {workload.lengths.sum() / (workload.rows * workload.steps):.0%})"
        rows += [(workload.name, sizes, each) for each in measure(workload, *((1, 9) if quick else (3, 12)), clock)]
    noise = sorted(each.noise for _, _, each in rows)
    for name, sizes, each in rows:
        shown = f"[{'green' if each.ratio >= 0.95 else 'red'}]{each.ratio:.2f}[/]"
        table.add_row(name, sizes, each.run, shown, f"{each.noise:.2f}", f"{each.stock:.3g}", f"{each.ours:.3g}")
    ratios = sorted(each.ratio for _, _, each in rows)
    table.caption = (
        f"stock / ours {ratios[0]:.3f} to {ratios[-1]:.3f}, median {statistics.median(ratios):.3f}; "
        f"stock / stock {noise[0]:.3f} to {noise[-1]:.3f}, median {statistics.median(noise):.3f}"
    )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
