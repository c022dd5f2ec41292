"""Our kernels against every peer, in one interleaved run: times, ratios, shares of the machine's rate.

Each framework lives in a process of its own with two threads, and stands still while another is measured: idle pools
that spin would spoil a neighbour's figures. The processes are new for every workload, because what a process freed
before changes the speed of a framework that takes fresh memory at each call (design/0014); ``--warm`` keeps them. All
contenders of a workload must agree on their answers first. Then come rounds: every contender in turn, warmed up, calls
of at least 20 ms in all; rounds that somebody else's work falls into are dropped. A ratio is best peer ÷ ours, of
medians, so above 1 ours is faster. Linux only.

    python benchmarks/kernels/main.py                                    everything; results go to benchmarks/results/
    python benchmarks/kernels/main.py --only ragged-training,step        these groups; nothing is kept
    python benchmarks/kernels/main.py --quick --out /tmp/kernels         3 short rounds, kept elsewhere
    python benchmarks/kernels/main.py --redraw                           tables and picture from the kept figures
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import agreement
import picture
import report
import typer
from machine import machine, versions
from process import Process
from rich.console import Console
from rounds import Contender, measure
from workloads import GROUPS, PEAK, Group, Workload

FRAMEWORKS = ("torch", "jax", "tensorflow", "onnxruntime")
NAMES = [group.name for group in GROUPS]

# A whole run of fewer rounds is not kept, unless told where.
FEWEST = 7
RESULTS = Path(__file__).resolve().parents[1] / "results"


class Run:
    """One run of the benchmarks.

    Args:
        folder: for answers and logs of the workers.
        rounds: undisturbed samples for each contender.
        seconds: length of a burst.
        threads: threads of each framework, and processors in use.
        warm: whether the processes stay from one workload to the next.
        notes: where progress goes.
    """

    def __init__(self, folder: Path, rounds: int, seconds: float, threads: int, warm: bool, notes: Console) -> None:
        self.rounds, self.seconds, self.threads, self.warm = rounds, seconds, threads, warm
        self.processes = [Process(framework, folder, threads) for framework in FRAMEWORKS]
        self.rate = 0.0
        self._notes = notes

    def group(self, group: Group) -> dict[str, Any]:
        """Runs a group; what the JSON file holds about it."""
        rows = [self._workload(group, workload) for workload in group.workloads]
        named = {name: getattr(group, name) for name in ("name", "title", "kind", "wanted_mean", "wanted_layers")}
        return {**named, "rows": rows}

    def _workload(self, group: Group, workload: Workload) -> report.Row:
        name = f"{group.title}, {workload.name}"
        begun = time.perf_counter()
        with self._notes.status(f"{name}: preparing") as status:
            for process in self.processes:
                # Where it runs no more: it was ended, or crashed at the workload before. From this thread, because a
                # worker ends with the thread that started it.
                process.start()
            with ThreadPoolExecutor(len(self.processes)) as pool:
                prepared = list(pool.map(lambda process: _prepare(process, group, workload), self.processes))
            contenders = [one for of_process in prepared for one, _ in of_process]
            answers = [
                (one, path) for of_process in prepared for one, path in of_process if path and one.role != "dense"
            ]
            difference = agreement.compare(answers)
            preparing = time.perf_counter() - begun
            rounds = measure(
                [one for one in contenders if one.why is None],
                self.processes,
                self.rounds,
                self.seconds,
                self.threads,
                lambda turn: status.update(f"{name}: round {turn + 1}"),
            )
            for process in self.processes:
                if self.warm:
                    process.ask("end")
                else:
                    process.end()
        if group.kind == "product":
            self.rate = max(workload.useful("product") / one.seconds for one in contenders if one.seconds)
        row = report.row_of(group, workload, contenders, rounds, difference, self.rate)
        return {**row, "seconds_preparing": preparing}


def _prepare(process: Process, group: Group, workload: Workload) -> list[tuple[Contender, Path | None]]:
    offers = process.ask(f"begin {group.name} {workload.name}")
    if isinstance(offers, dict):
        return [(Contender(process.framework, "peer", process, why=f"error: {offers['error']}"), None)]
    prepared: list[tuple[Contender, Path | None]] = []
    for offer in offers:
        one = Contender(offer["name"], offer["role"], process)
        answer = process.ask(f"prepare {one.name}")
        one.why = next((f"{kind}: {answer[kind]}" for kind in ("absent", "error") if kind in answer), None)
        one.steps = answer.get("steps")
        prepared.append((one, Path(answer["answer"]) if one.why is None else None))
    return prepared


def _show(console: Console, results: dict[str, Any]) -> None:
    console.print(
        f"{results['machine']}, {results['threads']} threads each; large sgemm "
        f"{results['sgemm'] / 1e9:.0f} GFLOP/s; medians of {results['rounds']} rounds; shapes are B, T, F, U; "
        f"{'the same processes for all workloads' if results['warm'] else 'new processes for every workload'}.\n"
        + ", ".join(f"{package} {version}" for package, version in results["versions"].items())
        + "\n",
        highlight=False,
    )


def _keep(results: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "kernels.json").write_text(json.dumps(results, indent=1) + "\n")
    text = StringIO()
    console = Console(file=text, width=120)
    _show(console, results)
    for group in [results["peak"], *results["groups"]]:
        report.show(console, group)
    # Rich fills lines with spaces, which editors and git complain about.
    lines = text.getvalue().splitlines()
    (out / "kernels.txt").write_text("\n".join(line.rstrip() for line in lines) + "\n")
    picture.draw(results, out / "kernels.png")


def main(
    only: str = typer.Option("", help=f"Groups, separated by commas: {', '.join(NAMES)}."),
    rounds: int = typer.Option(9, min=1, help="Undisturbed rounds of each contender."),
    quick: bool = typer.Option(False, help="3 rounds of short bursts, without workload f."),
    threads: int = typer.Option(2, min=1, help="Threads of each framework."),
    warm: bool = typer.Option(
        False, help="Processes stay from one workload to the next; nothing is kept without --out."
    ),
    out: Path | None = typer.Option(None, help="Folder for results; benchmarks/results for a whole run."),  # noqa: B008
    redraw: bool = typer.Option(False, help="Runs nothing: tables and picture from kernels.json."),
) -> None:
    """Measures, prints tables, and keeps JSON, text and a picture."""
    console = Console(width=int(os.environ.get("COLUMNS", 110)))
    if redraw:
        _keep(json.loads(((out or RESULTS) / "kernels.json").read_text()), out or RESULTS)
        return
    unknown = set(filter(None, only.split(","))) - set(NAMES)
    if unknown:
        raise typer.BadParameter(f"no group is called {', '.join(sorted(unknown))}")
    groups = [group for group in GROUPS if not only or group.name in only.split(",")]
    if quick:
        rounds = min(rounds, 3)
        for group in groups:
            group.workloads[:] = [one for one in group.workloads if one.name != "f"]
    threads = min(threads, len(os.sched_getaffinity(0)))
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), rounds, 0.005 if quick else 0.02, threads, warm, Console(stderr=True))
        try:
            peak = run.group(PEAK)
            results: dict[str, Any] = {
                "machine": machine(),
                "threads": threads,
                "rounds": rounds,
                "warm": warm,
                "versions": versions(),
                "sgemm": run.rate,
                "peak": peak,
                "groups": [],
            }
            _show(console, results)
            report.show(console, peak)
            for group in groups:
                results["groups"].append(run.group(group))
                report.show(console, results["groups"][-1])
        finally:
            for process in run.processes:
                process.end()
    results["minutes"] = (time.perf_counter() - begun) / 60
    console.print(f"{results['minutes']:.1f} minutes")
    if out or not (only or quick or warm or rounds < FEWEST):
        _keep(results, out or RESULTS)


if __name__ == "__main__":
    typer.run(main)
