"""Pictures of training and of answers; the one file of this folder that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sostenuto.sequences import Sequences
from sostenuto.sequences.picture import BUCKETED, INK, REAL

GREY = "#999999"
SHADES = LinearSegmentedColormap.from_list("sostenuto", ["#ffffff", "#a9c6d8", REAL, "#0f2f44"])
EXAMPLES = 6


def learning_curve(history: Mapping[str, Sequence[float]], best_epoch: int, unit: str = "") -> Figure:
    """Loss and metric over the epochs, of the training and of the validation part.

    Args:
        history: values by epoch, by name as Keras names them: ``loss`` with ``accuracy``, or ``rmse``.
        best_epoch: the epoch whose weights were kept, counted from 1.
        unit: what the target is, for the axis of ``rmse``.
    """
    if "rmse" in history:
        panels = {"rmse": f"RMSE of {unit}" if unit else "RMSE"}
    else:
        panels = {"loss": "loss (cross-entropy)", "accuracy": "accuracy"}
    figure = Figure(figsize=(5.5 * len(panels) + 2, 4.4), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        epochs = np.arange(1, len(history[name]) + 1)
        axes.plot(epochs, history[name], color=REAL, linewidth=1.8, label="training (with dropout)")
        if f"val_{name}" in history:
            values = history[f"val_{name}"]
            kept = f"validation: {_number(values[best_epoch - 1], name)} in epoch {best_epoch}, kept"
            axes.plot(epochs, values, color=BUCKETED, linewidth=1.8, label=kept)
            axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            axes.plot(best_epoch, values[best_epoch - 1], "o", color=BUCKETED, markersize=7, markeredgecolor="white")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(left=1 if len(epochs) > 1 else 0)
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1))
            axes.set_ylim(top=1.01)
        else:
            axes.set_ylim(bottom=0, top=1.2 * max(history[name]))  # room for the legend
        axes.legend(
            framealpha=1, edgecolor="white", fontsize=9, loc="lower right" if name == "accuracy" else "upper right"
        )
        _plain(axes)
    figure.suptitle("Learning curve", fontsize=11, color=INK)
    return figure


def _number(value: float, name: str) -> str:
    return f"{value:.1%}" if name == "accuracy" else f"{value:.4g}"


def predictions(answers: np.ndarray, truth: np.ndarray, target: str, title: str) -> Figure:
    """Answers against truth, and how the errors are spread.

    Args:
        answers: numbers (M,).
        truth: numbers (M,).
        target: the name of the target.
        title: what is compared.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    low, high = float(min(answers.min(), truth.min())), float(max(answers.max(), truth.max()))
    left.plot([low, high], [low, high], color=BUCKETED, linewidth=1.2, zorder=3)
    if len(truth) > 2000:
        left.hexbin(truth, answers, gridsize=45, bins="log", cmap=SHADES, mincnt=1, linewidths=0.2)
    else:
        left.scatter(truth, answers, s=22, color=REAL, alpha=0.65, linewidth=0)
    left.set_xlabel(f"true {target}")
    left.set_ylabel(f"predicted {target}")
    left.set_title("Predicted against true", loc="left", fontsize=10, color=INK)
    error = answers - truth
    around = (float(error.min()), float(error.max()))
    if np.isclose(*around):  # one and the same error, up to rounding, has no width to be cut into bins
        around = (around[0] - 0.5, around[1] + 0.5)
    right.hist(error, range=around, bins=40 if len(error) > 400 else 20, color=REAL, edgecolor="white", linewidth=0.5)
    right.axvline(0, color=GREY, linewidth=1)
    mean = float(error.mean())
    right.axvline(mean, color=BUCKETED, linewidth=1.5)
    right.set_xlabel("error: predicted - true")
    right.set_ylabel("predictions")
    square = float(np.sqrt(np.mean(error**2)))
    right.set_title(f"Errors: RMSE {square:.4g}, mean {mean:+.3g}", loc="left", fontsize=10, color=INK)
    for axes in (left, right):
        _plain(axes)
    figure.suptitle(title, fontsize=11, color=INK)
    return figure


def over_time(sequences: Sequences, answers: np.ndarray, truth: np.ndarray, target: str, name: str = "") -> Figure:
    """Answers and truth step by step, for a few sequences from the shortest to the longest.

    Args:
        sequences: the sequences (S).
        answers: numbers per step (N,).
        truth: numbers per step (N,).
        target: the name of the target.
        name: what an id names, for instance ``unit``.
    """
    order = np.argsort(sequences.lengths, kind="stable")
    order = order[sequences.lengths[order] > 0]
    chosen = np.unique(np.linspace(0, len(order) - 1, min(EXAMPLES, len(order))).round().astype(int))
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(11, 2.6 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in panels.flat[len(chosen) :]:
        axes.set_visible(False)
    for axes, position in zip(panels.flat, order[chosen], strict=False):
        steps = slice(int(sequences.offsets[position]), int(sequences.offsets[position + 1]))
        numbers = np.arange(1, steps.stop - steps.start + 1)
        dots = "o" if len(numbers) == 1 else ""
        axes.plot(numbers, truth[steps], color=GREY, linewidth=2.4, label="true", marker=dots)
        axes.plot(numbers, answers[steps], color=BUCKETED, linewidth=1.5, label="predicted", marker=dots)
        axes.set_title(
            f"{name} {sequences.ids[position]}: {len(numbers)} steps".strip(), loc="left", fontsize=10, color=INK
        )
        _plain(axes)
    for axes in panels[:, 0]:
        axes.set_ylabel(target)
    for axes in panels[-1]:
        axes.set_xlabel("step")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    figure.suptitle("Step by step, for sequences from short to long", fontsize=11, color=INK)
    return figure


def confusion(predicted: np.ndarray, truth: np.ndarray, labels: Sequence[Any], title: str) -> Figure:
    """How often each class was taken for each other.

    Args:
        predicted: class numbers (M,).
        truth: class numbers (M,).
        labels: the classes.
        title: what is compared.
    """
    size = len(labels)
    table = np.zeros((size, size), np.int64)
    np.add.at(table, (truth, predicted), 1)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = min(max(4.4, 0.55 * size + 1.8), 14.0)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
    if size <= 25:
        for row, column in zip(*np.nonzero(table), strict=True):
            colour = "white" if shares[row, column] > 0.45 else INK
            axes.text(column, row, f"{table[row, column]:,}", ha="center", va="center", fontsize=9, color=colour)
        names = [str(label) for label in labels]
        turn: dict[str, Any] = (
            {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 4 else {}
        )
        axes.set_xticks(np.arange(size), names, **turn)
        axes.set_yticks(np.arange(size), names)
        between = np.arange(1, size) - 0.5
        axes.set_xticks(between, minor=True)
        axes.set_yticks(between, minor=True)
        axes.grid(which="minor", color="#e6e2da", linewidth=0.8)
        axes.tick_params(which="minor", length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.spines[:].set_color("#e6e2da")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=PercentFormatter(1))
    bar.set_label("share of the true class", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=9)
    axes.set_title(f"{title}: {float(np.mean(predicted == truth)):.1%} right", fontsize=11, color=INK, pad=12)
    return figure


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
