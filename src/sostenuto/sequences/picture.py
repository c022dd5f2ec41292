"""The picture of a collection's lengths; the one file of this folder that imports matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sostenuto.sequences.description import Description

REAL = "#22577a"
PADDING = "#f2c6a0"
BUCKETED = "#e07a3f"
INK = "#333333"


def draw(description: Description) -> Figure:
    """Two panels: how often each length occurs, and the sequences by length with the padding that they would need."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _lengths(left, description.lengths)
    _padding(right, description)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#999999")
        axes.tick_params(colors=INK, labelsize=9)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    figure.suptitle(description.title, fontsize=11, color=INK)
    return figure


def _lengths(axes: Axes, lengths: np.ndarray) -> None:
    axes.set_title("Lengths", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("length in steps")
    axes.set_ylabel("sequences")
    if not len(lengths):
        return
    low, high = int(lengths.min()), int(lengths.max())
    width = max(1, -(-(high - low + 1) // 40))
    # Whole-numbered bins, so that no bin holds more lengths than another.
    edges = np.arange(low, high + width + 1, width) - 0.5
    axes.hist(lengths, bins=edges.tolist(), color=REAL, edgecolor="white", linewidth=0.5)
    middle = float(np.median(lengths))
    axes.axvline(middle, color=BUCKETED, linewidth=1.5)
    axes.annotate(
        f"median {middle:g}",
        (middle, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -4),
        textcoords="offset points",
        va="top",
        fontsize=9,
        color=BUCKETED,
    )


def _padding(axes: Axes, description: Description) -> None:
    axes.set_title("Real steps and padding", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("step")
    axes.set_ylabel("sequences, longest at the bottom")
    ordered = np.sort(description.lengths)[::-1]
    if not len(ordered):
        return
    rows = np.arange(len(ordered) + 1)
    closed = np.append(ordered, ordered[-1])
    group = np.searchsorted(description.bounds, closed, side="left")
    bound = description.bounds[group]
    longest = np.full(len(closed), ordered[0])
    axes.fill_betweenx(
        rows, 0, longest, step="post", color=PADDING, alpha=0.45, linewidth=0, label=_share(description, 1)
    )
    axes.fill_betweenx(rows, 0, bound, step="post", color=BUCKETED, linewidth=0, label=_share(description, 2))
    axes.fill_betweenx(rows, 0, closed, step="post", color=REAL, linewidth=0, label="real steps")
    axes.set_xlim(0, max(1, int(ordered[0])))
    axes.set_ylim(0, len(ordered))
    # Below the panel, where it hides no step.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=9, frameon=False)


def _share(description: Description, kind: int) -> str:
    if kind == 1:
        return f"one rectangle: {description.padding:.0%} padding"
    return f"{len(description.bounds)} buckets: {description.bucketed_padding:.0%}"
