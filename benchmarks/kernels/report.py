"""What the times say: ratios, shares of the machine's rate, and a table for each group."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rounds import Contender, Rounds
from workloads import Group, Workload

PEERS = ("peer", "stock")
NAMES = {"torch": "torch", "jax": "JAX", "tensorflow": "TensorFlow"}

Row = dict[str, Any]


def row_of(
    group: Group, workload: Workload, contenders: Sequence[Contender], rounds: Rounds, agreement: float, rate: float
) -> Row:
    """Everything about one workload, as it stands in the JSON file.

    Args:
        group: where the workload belongs.
        workload: what was run.
        contenders: all of them, with and without times.
        rounds: what became of the rounds.
        agreement: the largest difference among answers.
        rate: floating-point operations per second of the large product; 0 where unknown.
    """
    best_peer, ours = _fastest(contenders, PEERS), _fastest(contenders, ("ours",))
    useful = workload.useful(group.kind)
    return {
        "workload": workload.name,
        "cell": workload.cell,
        "sizes": workload.sizes,
        "B": workload.rows,
        "T": workload.steps,
        "F": workload.features,
        "U": workload.units,
        "N": workload.real_steps,
        "useful_flop": useful,
        "wanted": workload.wanted,
        "best_peer": best_peer.name if best_peer else None,
        "ours": ours.name if ours else None,
        "ratio": _ratio(best_peer, ours),
        "ratio_bound": _ratio(_fastest(contenders, (*PEERS, "bound peer")), _fastest(contenders, ("bound ours",))),
        "share_ours": useful / ours.seconds / rate if ours and rate else None,  # type: ignore[operator]
        "share_best_peer": useful / best_peer.seconds / rate if best_peer and rate else None,  # type: ignore[operator]
        "layers": _layers(contenders),
        "rate_beside_dense": _beside_dense(workload, contenders, ours),
        "largest_difference": agreement,
        "rounds": vars(rounds),
        "contenders": [
            {
                "name": one.name,
                "role": one.role,
                "framework": one.process.framework,
                "seconds": one.seconds,
                "samples": one.samples,
                "calls_per_sample": one.calls,
                "fewer_rounds": one.fewer,
                "why_not": one.why,
            }
            for one in contenders
        ],
    }


def _fastest(contenders: Sequence[Contender], roles: Sequence[str], framework: str = "") -> Contender | None:
    timed = [
        one
        for one in contenders
        if one.seconds is not None and one.role in roles and framework in ("", one.process.framework)
    ]
    return min(timed, key=lambda one: one.seconds or 0.0, default=None)


def _ratio(peer: Contender | None, ours: Contender | None) -> float | None:
    return peer.seconds / ours.seconds if peer and ours else None  # type: ignore[operator]


def _layers(contenders: Sequence[Contender]) -> dict[str, float | None]:
    # Keras's own layer (the best of its ways on that backend) to ours.
    return {
        framework: _ratio(_fastest(contenders, ("stock",), framework), _fastest(contenders, ("layer",), framework))
        for framework in NAMES
        if any(one.role == "layer" for one in contenders)
    }


def _beside_dense(workload: Workload, contenders: Sequence[Contender], ours: Contender | None) -> float | None:
    # Real steps per second of the ragged batch to those of a dense one, on the backend where ours is fastest.
    dense = _fastest(contenders, ("dense",), ours.process.framework) if ours else None
    if not ours or not dense:
        return None
    return (workload.real_steps / ours.seconds) / (dense.steps / dense.seconds)  # type: ignore[operator]


def mean_ratio(rows: Sequence[Row]) -> float | None:
    """The geometric mean of the ratios of a group, where all are known."""
    ratios = [row["ratio"] for row in rows]
    return statistics.geometric_mean(ratios) if ratios and all(ratios) else None


def show(console: Console, group: dict[str, Any]) -> None:
    """Prints a group: a column for each workload; ratios first, then the share of the machine, then all times.

    Args:
        console: where to.
        group: a group as it stands in the JSON file.
    """
    rows = group["rows"]
    table = Table(title=_title(group), box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_column(f"{row['workload']}\n[dim]{row['sizes']}[/]", justify="right")
    if group["kind"] != "product":
        _show_ratios(table, group)
    _show_times(table, group)
    console.print(table)
    _show_notes(console, group)


def _title(group: dict[str, Any]) -> str:
    mean, wanted = mean_ratio(group["rows"]), group["wanted_mean"]
    if mean is None:
        return group["title"]
    return f"{group['title']}: geometric mean {mean:.2f}" + (f", at least {wanted:g} wanted" if wanted else "")


def _show_ratios(table: Table, group: dict[str, Any]) -> None:
    rows = group["rows"]
    table.add_row("best peer ÷ ours", *(_judged(row["ratio"], row["wanted"] or 1.0) for row in rows), style="bold")
    if any(row["wanted"] for row in rows):
        table.add_row("  at least", *(f"{row['wanted']:g}" if row["wanted"] else "" for row in rows), style="dim")
    if any(row["ratio_bound"] for row in rows):
        cells = [_judged(row["ratio_bound"], 1.0) for row in rows]
        table.add_row("best peer ÷ step function, bound", *cells)
    if any(row["rate_beside_dense"] for row in rows):
        table.add_row("real steps / s, ragged ÷ dense", *(_percent(row["rate_beside_dense"]) for row in rows))
    for framework in rows[0]["layers"]:
        least = group["wanted_layers"] or 1.0
        # A small workload on TensorFlow is asked to be no slower, as its calls cost more than its sums.
        cells = [
            _judged(row["layers"][framework], 1.0 if (framework, row["workload"]) == ("tensorflow", "a") else least)
            for row in rows
        ]
        table.add_row(f"Keras layer ÷ our layer, {NAMES[framework]}", *cells)
    table.add_row("share of large sgemm: ours", *(_percent(row["share_ours"]) for row in rows))
    table.add_row("  best peer", *(_percent(row["share_best_peer"]) for row in rows), end_section=True)


def _show_times(table: Table, group: dict[str, Any]) -> None:
    rows = group["rows"]
    names = list(dict.fromkeys(one["name"] for row in rows for one in row["contenders"]))
    by_name = [{one["name"]: one for one in row["contenders"]} for row in rows]
    unit, scale = {"step": ("µs", 1e6), "product": ("GFLOP/s", 0.0)}.get(group["kind"], ("ms", 1e3))
    for place, name in enumerate(names):
        cells = []
        for row, known in zip(rows, by_name, strict=True):
            one = known.get(name)
            if one is None or one["seconds"] is None:
                cells.append("[red]![/]" if one and not one["why_not"].startswith("absent") else "-")
                continue
            text = _digits(one["seconds"] * scale if scale else row["useful_flop"] / one["seconds"] / 1e9)
            text += "*" if one["fewer_rounds"] else ""
            cells.append(f"[bold]{text}[/]" if name in (row["best_peer"], row["ours"]) else text)
        table.add_row(name + (f"  [dim]{unit}[/]" if place == 0 else ""), *cells)


def _show_notes(console: Console, group: dict[str, Any]) -> None:
    reasons: dict[str, list[str]] = {}
    for row in group["rows"]:
        for one in row["contenders"]:
            if one["why_not"]:
                reasons.setdefault(f"{one['name']}: {one['why_not']}", []).append(row["workload"])
    absent = [text for text in reasons if ": absent: " in text]
    for text, where in reasons.items():
        if text not in absent:
            console.print(f"  [red]![/] {text} ({', '.join(where)})", highlight=False)
    for why in dict.fromkeys(text.split(": absent: ")[1] for text in absent):
        names = [text.split(": absent: ")[0] for text in absent if text.endswith(why)]
        console.print(f"  - {why}: {'; '.join(names)}", style="dim", highlight=False)
    if any(one["fewer_rounds"] for row in group["rows"] for one in row["contenders"]):
        console.print("  * far behind and slow: fewer rounds", style="dim", highlight=False)
    rounds = [row["rounds"] for row in group["rows"]]
    run, dropped, bursts = (sum(one[key] for one in rounds) for key in ("run", "dropped", "bursts_dropped"))
    differences = max(row["largest_difference"] for row in group["rows"])
    stopped = sum(one["stopped_seconds"] for one in rounds)
    preparing, measuring = sum(row["seconds_preparing"] for row in group["rows"]), sum(one["seconds"] for one in rounds)
    console.print(
        f"  {run} rounds, {dropped} and {bursts} single bursts dropped for load of others; {preparing:.0f} s of "
        f"preparing, {measuring:.0f} s of measuring; stopped processes used {stopped * 1e3:.1f} ms; answers agree to "
        f"{differences:.0e}",
        style="dim",
        highlight=False,
    )


def _judged(ratio: float | None, wanted: float) -> str:
    return "-" if ratio is None else f"[{'green' if ratio >= wanted else 'red'}]{ratio:.2f}[/]"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
