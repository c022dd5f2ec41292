"""The vowels heard live: a network that reads forwards names the speaker again after every frame, of all at once.

``japanese_vowels.py`` runs it. A session keeps the state of each utterance in a store; midway it is closed and another
one goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

import sostenuto as so
from sostenuto.cli.pictures import GREY, SHADES
from sostenuto.sequences.picture import BUCKETED, INK, REAL

PANELS = (3, 3)
_OVER = "#f1eeea"  # behind frames that an utterance does not have


@dataclass(frozen=True)
class Heard:
    """What a network believed while it listened to S utterances, N frames in all.

    Args:
        beliefs: (N, K) the probability of each speaker after each frame, one utterance after the other.
        seconds: time spent in the session's calls.
    """

    beliefs: np.ndarray
    seconds: float


def build(speakers: int, units: int = 64) -> so.SequenceModel:
    """Two GRU layers that read forwards, then a Dense layer on the state after the last frame."""
    model = so.SequenceModel(
        [
            keras.layers.GaussianNoise(0.6),
            so.GRU(units, return_sequences=True),
            keras.layers.Dropout(0.3),
            so.GRU(units),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(speakers, activation="softmax"),
        ],
        name="listener",
    )
    optimizer = keras.optimizers.Adam(0.003, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: so.SequenceModel, train: so.Sequences, valid: so.Sequences, epochs: int) -> tuple[int, int]:
    """Trains with early stopping; gives the number of epochs and the one whose weights were kept, from 1."""
    best = keras.callbacks.EarlyStopping("val_loss", patience=12, restore_best_weights=True)
    history = model.fit(
        train, validation_data=valid, batch_size=16, epochs=epochs, callbacks=[best], verbose=0
    ).history  # fmt: skip
    return len(history["loss"]), int(np.argmin(history["val_loss"])) + 1


def why_not_live(model: so.SequenceModel) -> str:
    """What a session says of a model that it cannot run; nothing if it can."""
    try:
        model.session().close()
    except so.ModelError as error:
        return error.what
    return ""


def middle(sequences: so.Sequences) -> int:
    """The frame after which the session is reopened: half the median length."""
    return int(np.median(sequences.lengths)) // 2


def listen(model: so.SequenceModel, sequences: so.Sequences, store: Path | None, reopen_after: int | None) -> Heard:
    """Hears all utterances at once: each call brings one frame of every utterance that still goes on.

    Args:
        model: a model with one output per utterance.
        sequences: the utterances.
        store: the file in which the states rest; None for memory.
        reopen_after: the number of frames after which the session is closed and another one opened on the store.
    """
    beliefs = np.zeros((sequences.steps, model.output_axes[-1]), "float32")
    ids = np.array(sequences.ids)
    live, seconds = model.session(store=store), 0.0
    for frame in range(int(sequences.lengths.max())):
        if frame == reopen_after:
            live.close()
            live = model.session(store=store)
        speaking = np.flatnonzero(sequences.lengths > frame)
        rows = sequences.offsets[speaking] + frame
        begun = time.perf_counter()
        beliefs[rows] = live.step(ids[speaking], sequences.values[rows])
        seconds += time.perf_counter() - begun
    live.close()
    return Heard(beliefs, seconds)


def difference(heard: Heard, sequences: so.Sequences, said: np.ndarray) -> float:
    """The largest difference between the beliefs after the last frames and what ``predict`` says (S, K)."""
    return float(np.abs(heard.beliefs[sequences.offsets[1:] - 1] - said).max())


def accuracy_by_frame(heard: Heard, sequences: so.Sequences) -> np.ndarray:
    """The share of all utterances named right after 1, 2, ... frames, or at their end where that came before."""
    right = heard.beliefs.argmax(axis=1) == np.repeat(sequences.targets, sequences.lengths)
    frames = np.arange(1, int(sequences.lengths.max()) + 1)
    return np.array([right[sequences.offsets[:-1] + np.minimum(n, sequences.lengths) - 1].mean() for n in frames])


def draw_beliefs(heard: Heard, sequences: so.Sequences, speakers: Sequence[str], reopen_after: int) -> Figure:
    """Probability by frame and speaker, for the utterance of median length of each speaker."""
    targets, lengths = np.asarray(sequences.targets), sequences.lengths
    chosen = []
    for speaker in range(len(speakers)):
        own = np.flatnonzero(targets == speaker)
        chosen.append(int(own[np.argsort(lengths[own], kind="stable")[len(own) // 2]]))
    longest = int(lengths[chosen].max())
    figure = Figure(figsize=(11, 8.2), layout="constrained")
    panels = figure.subplots(*PANELS, squeeze=False, sharex=True, sharey=True)
    for axes, row in zip(panels.flat, chosen, strict=True):
        speaker, length = int(targets[row]), int(lengths[row])
        belief = heard.beliefs[sequences.offsets[row] : sequences.offsets[row + 1]].T
        image = axes.imshow(
            belief, cmap=SHADES, vmin=0, vmax=1, aspect="auto", interpolation="nearest",
            extent=(0.5, length + 0.5, len(speakers) - 0.5, -0.5),
        )  # fmt: skip
        axes.add_patch(
            Rectangle((0.5, speaker - 0.5), length, 1, fill=False, edgecolor=BUCKETED, linewidth=2, clip_on=False)
        )
        axes.axvline(reopen_after + 0.5, color=GREY, linewidth=1.3, linestyle=(0, (4, 3)))
        axes.set_facecolor(_OVER)
        last = belief[:, -1]
        said = f"named {speakers[int(last.argmax())]} in the end, {last.max():.0%}"
        axes.set_title(f"speaker {speakers[speaker]}: {said}", loc="left", fontsize=10, color=INK)
        _plain(axes)
    for axes in panels[:, 0]:
        axes.set_yticks(np.arange(len(speakers)), speakers)
        axes.set_ylabel("speaker", color=INK)
    for axes in panels[-1]:
        axes.set_xlim(0.5, longest + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("frames heard", color=INK)
    bar = figure.colorbar(image, ax=panels, shrink=0.5, format=PercentFormatter(1))
    bar.set_label("belief", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=9, length=0)
    figure.suptitle(
        "Who is it? The belief after every frame (framed: the right speaker; dashed: session closed and reopened)",
        fontsize=11, color=INK,
    )  # fmt: skip
    return figure


def draw_accuracy(by_frame: np.ndarray, reopen_after: int) -> Figure:
    """Accuracy against the number of frames heard."""
    frames = np.arange(1, len(by_frame) + 1)
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(frames, by_frame, color=REAL, linewidth=2, marker="o", markersize=4)
    axes.axvline(reopen_after + 0.5, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        "session closed\nand reopened", (reopen_after + 0.5, 0), (5, 8), textcoords="offset points", fontsize=9,
        color=INK,
    )  # fmt: skip
    axes.annotate(
        f"{by_frame[-1]:.1%}", (frames[-1], by_frame[-1]), (0, 7), textcoords="offset points", ha="right",
        fontsize=10, color=INK,
    )  # fmt: skip
    axes.set_xlim(0, len(by_frame) + 1)
    axes.set_ylim(0, 1.08)
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("frames heard", color=INK)
    axes.set_ylabel("utterances named right", color=INK)
    axes.set_title("How soon the speaker is known", loc="left", fontsize=11, color=INK)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    _plain(axes)
    return figure


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9)
