"""The ratios as a picture: bars on a logarithmic axis, a line at 1, losing bars in another colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

AHEAD, BEHIND, QUIET = "#2a7f8e", "#c8553d", "#8a8a8a"
MARKERS = {"torch": "o", "jax": "s", "tensorflow": "^"}
LEGEND = "● torch    ■ JAX    ▲ TensorFlow"
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def draw(results: dict[str, Any], path: Path) -> None:
    """Draws all groups: left the best peer's time by ours, right Keras's layer by our layer on each backend.

    Args:
        results: what the JSON file holds.
        path: the PNG file to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    labels, places, rows, titles = [], [], [], []
    place = 0.0
    for group in results["groups"]:
        titles.append((place, group["title"]))
        place += 1.0
        for row in group["rows"]:
            labels.append(row["workload"])
            places.append(place)
            rows.append(row)
            place += 1.0
        place += 0.4
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 1.6 + 0.19 * place), sharey=True, width_ratios=(1.25, 1), layout="constrained"
    )
    _bars(left, places, rows)
    _layers(right, places, rows)
    left.set_yticks(places, labels, fontsize=8)
    left.set_ylim(place - 0.4, -0.7)
    for height, title in titles:
        left.text(0.0, height, title, transform=left.get_yaxis_transform(), fontsize=8.5, fontweight="bold",
                  va="center", clip_on=False, zorder=6, bbox=WHITE)  # fmt: skip
    left.set_title("Kernels: best peer's time ÷ ours", fontsize=10, loc="left")
    right.set_title("Layers: Keras's time ÷ ours, same backend", fontsize=10, loc="left")
    figure.suptitle(
        f"Above 1, ours is faster. {results['threads']} threads, {results['machine']}, median of "
        f"{results['rounds']} rounds.",
        fontsize=9, x=0.01, ha="left", color="#444444",
    )  # fmt: skip
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _axis(axis: Any, values: list[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_xscale("log")
    low, high = min([0.8, *values]) / 1.4, max([2.0, *values]) * 1.4
    axis.set_xlim(low, high)
    ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axis.axvline(1, color="black", linewidth=0.9, zorder=3)
    axis.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _bars(axis: Any, places: list[float], rows: list[dict[str, Any]]) -> None:
    known = [(place, row["ratio"]) for place, row in zip(places, rows, strict=True) if row["ratio"] is not None]
    _axis(axis, [ratio for _, ratio in known])
    wanted = {place: row["wanted"] or 0.0 for place, row in zip(places, rows, strict=True)}
    for place, ratio in known:
        axis.barh(place, ratio - 1, left=1, height=0.72, color=AHEAD if ratio >= 1 else BEHIND, zorder=2)
        ahead = ratio >= 1
        # Beyond the stroke, where that stands so near that they would meet.
        end = wanted[place] if ratio < wanted[place] < ratio * 1.3 else ratio
        axis.text(end * 1.03 if ahead else ratio * 0.97, place, f"{ratio:.2f}", va="center", fontsize=7.5,
                  ha="left" if ahead else "right", zorder=5, bbox=WHITE)  # fmt: skip
    for place, row in zip(places, rows, strict=True):
        if row["ratio"] is None:
            axis.text(1.02, place, "-", va="center", fontsize=7.5, color=QUIET)
        if row["wanted"]:
            axis.plot([row["wanted"]] * 2, [place - 0.36, place + 0.36], color="black", linewidth=1.4, zorder=4)
    if any(row["wanted"] for row in rows):
        axis.set_xlabel("a short black stroke: what was asked for", fontsize=8, color="#444444")


def _layers(axis: Any, places: list[float], rows: list[dict[str, Any]]) -> None:
    values = [value for row in rows for value in row["layers"].values() if value is not None]
    _axis(axis, values)
    for number, (framework, marker) in enumerate(MARKERS.items()):
        # Each backend a little higher or lower, so that none hides another.
        points = [
            (row["layers"][framework], place + 0.22 * (number - 1))
            for place, row in zip(places, rows, strict=True)
            if row["layers"].get(framework) is not None
        ]
        if points:
            colours = [AHEAD if ratio >= 1 else BEHIND for ratio, _ in points]
            axis.scatter(*zip(*points, strict=True), marker=marker, s=20, color=colours, zorder=4)
    axis.set_xlabel(LEGEND, fontsize=8, color="#444444")
