"""One epoch of the language model, end to end: ours on each backend, stock Keras on each, plain PyTorch, in one run.

Two LSTM layers of 200 units, 20 lanes, unrolled for 20 steps, 10,000 words, a text of 348,800 words drawn at random:
the example of examples/language_model. Each contender lives in a process of its own and trains the whole epoch in
slices, in turn with the others, which stand still meanwhile. The time of an epoch is the sum of its slices; a ratio is
the median over the turns of the other's slice ÷ ours, so above 1 ours is faster. Linux only.

    python benchmarks/kernels/epoch.py            some 9 minutes
    python benchmarks/kernels/epoch.py --quick    a tenth of an epoch
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

import typer
from machine import machine, versions
from process import FOLDER, Process
from rich.console import Console
from rich.table import Table

BACKENDS = {"torch": "PyTorch", "jax": "JAX", "tensorflow": "TensorFlow"}
CONTENDERS = {
    **{f"ours on {name}": ("ours", backend) for backend, name in BACKENDS.items()},
    **{f"Keras on {name}": ("stock", backend) for backend, name in BACKENDS.items()},
    "plain PyTorch": ("plain", "torch"),
}
CHUNKS, TURNS = 872, 8


def run(chunks: int, turns: int, threads: int, notes: Console) -> dict[str, list[dict[str, float]]]:
    """The slices of each contender: seconds and loss."""
    slices: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder, notes.status("") as status:
        processes = {}
        try:
            for name, (kind, backend) in CONTENDERS.items():
                status.update(f"{name}: preparing")
                program = [str(FOLDER / "epoch_worker.py"), kind, str(threads), str(chunks), str(turns)]
                one = processes[name] = Process(backend, Path(folder), threads, program, name)
                one.start()
                _answered(one.listen(), name, Path(folder))
                one.stop()
            names = list(CONTENDERS)
            for turn in range(turns):
                # Each comes first in its turn, and follows another one each time.
                for name in (names[turn % len(names) :] + names[: turn % len(names)])[:: 1 if turn % 2 else -1]:
                    status.update(f"turn {turn + 1} of {turns}: {name}")
                    processes[name].go_on()
                    slices[name].append(_answered(processes[name].ask("go"), name, Path(folder)))
                    processes[name].stop()
        finally:
            for one in processes.values():
                one.end()
    return slices


def _answered(answer: dict[str, float], name: str, folder: Path) -> dict[str, float]:
    if "error" in answer:
        raise SystemExit(f"{name}: {answer['error']}\n{(folder / f'{name}.log').read_text()[-3000:]}")
    return answer


def table_of(slices: dict[str, list[dict[str, float]]], turns: int, chunks: int) -> Table:
    """What is kept and shown."""
    ours = [name for name, (kind, _) in CONTENDERS.items() if kind == "ours"]
    table = Table(
        "", "an epoch, s", *(f"÷ {name}" for name in ours), "loss at the end",
        title=f"language model 2x200, {turns * chunks} chunks of 20 steps, 20 lanes, 10,000 words",
        caption="how many times as long as ours takes, median of the turns; loss of a word in the last slice",
    )  # fmt: skip
    for name, mine in slices.items():
        ratios = []
        for other in ours:
            pairs = zip(mine, slices[other], strict=True)
            ratio = statistics.median(one["seconds"] / two["seconds"] for one, two in pairs)
            colour = "red" if ratio < 1 and name not in ours else "green"
            ratios.append(f"{ratio:.2f}" if name in ours else f"[{colour}]{ratio:.2f}[/]")
        seconds = sum(one["seconds"] for one in mine)
        table.add_row(name, f"{seconds:.1f}", *ratios, f"{mine[-1]['loss']:.3f}")
    return table


def main(
    quick: bool = typer.Option(False, help="A tenth of an epoch."),
    threads: int = typer.Option(2, min=1, help="Threads of each contender."),
) -> None:
    """Measures and prints a table."""
    threads = min(threads, len(os.sched_getaffinity(0)))
    chunks = (CHUNKS // 10 if quick else CHUNKS) // TURNS
    table = table_of(run(chunks, TURNS, threads, Console(stderr=True)), TURNS, chunks)
    console = Console(width=120, highlight=False)
    console.print(f"{machine()}, {threads} threads each, {TURNS} turns")
    console.print(", ".join(f"{package} {version}" for package, version in versions().items()) + "\n")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
