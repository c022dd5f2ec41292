"""``sostenuto fit``: from a table to a model folder."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from sostenuto.cli import folder
from sostenuto.cli.console import print_rows, print_table, worded
from sostenuto.cli.folds import train_folds
from sostenuto.cli.progress import EpochLines
from sostenuto.cli.recipe import Recipe, learnt_from
from sostenuto.cli.report import Report
from sostenuto.cli.request import Request
from sostenuto.cli.scoring import Comparison, answers_of, compare, guessing
from sostenuto.cli.tables import read_table
from sostenuto.cli.training import Settings, Trained, train
from sostenuto.diagnosis import count, some
from sostenuto.errors import DataError
from sostenuto.sequences import Sequences


@dataclass(frozen=True)
class Results:
    """The figures of each part of the data, and the answers for the picture of them.

    Args:
        figures: by the name of the part, then of the figure.
        shown: the part that pictures show.
        sequences: its sequences.
        answers: the model's answers to them.
        comparison: these with the truth.
    """

    figures: dict[str, dict[str, float]]
    shown: str
    sequences: Sequences
    answers: np.ndarray
    comparison: Comparison


def fit(
    path: Path,
    request: Request,
    settings: Settings,
    out: Path,
    validation: Path | None,
    validation_share: float,
    folds: int,
    console: Console,
) -> None:
    """Reads a table, trains on it, prints what came of it and writes the model folder.

    Args:
        path: the table.
        request: the columns and the question.
        settings: network and training.
        out: the folder to write.
        validation: a table of its own to validate on.
        validation_share: the share of sequences to validate on, where there is no such table; 0 for none.
        folds: 0, or how many networks to train, each validated on another share, and to average.
        console: where to print.
    """
    folder.check_writable(out)
    sequences, known = request.read(read_table(path, request.columns))
    held_out: Sequences | None = None
    if folds:
        _check_folds(folds, len(sequences), validation)
    elif validation is None and validation_share:
        sequences, held_out = _split(sequences, validation_share, settings.seed, known)
    recipe = learnt_from(sequences, **known)
    if validation is not None:
        held_out = recipe.read(read_table(validation, request.columns), with_target=True)
    summary = _summary(path, recipe, sequences, held_out, settings, folds)
    print_rows(console, summary)
    console.print()
    trained = _train(recipe, sequences, held_out, settings, folds, console)
    results = _results(trained)
    columns = ["", *next(iter(results.figures.values()))]
    print_table(console, columns, {part: list(worded(found).values()) for part, found in results.figures.items()})
    replaced = (out / folder.NOTES).is_file()
    with folder.written_whole(out) as new:
        _write(new, path, trained, results, summary, settings, console)
    print_rows(
        console,
        {
            "trained": "; ".join(_training_in_words(trained).values()),
            "written": f"{out}/" + (", in place of the model there" if replaced else ""),
        },
    )
    console.print(
        f"\nsostenuto evaluate {shlex.quote(str(out))} TABLE\nsostenuto predict {shlex.quote(str(out))} TABLE"
    )


def _train(
    recipe: Recipe, sequences: Sequences, held_out: Sequences | None, settings: Settings, folds: int, console: Console
) -> Trained:
    shown: list[EpochLines] = []

    def lines(fold: int = 0) -> list[Any]:
        if fold:
            _close(shown)
            console.print(f"fold {fold} of {folds}")
        shown.append(EpochLines(console, None if recipe.labels else recipe.target_std))
        return shown[-1:]

    try:
        if folds:
            return train_folds(recipe, sequences, folds, settings, lines)
        return train(recipe, sequences, held_out, settings, lines())
    finally:
        _close(shown)


def _close(shown: list[EpochLines]) -> None:
    for lines in shown[-1:]:
        lines.close()


def _check_folds(folds: int, number: int, validation: Path | None) -> None:
    if validation is not None:
        raise DataError(
            "These options contradict each other.",
            code="SO214",
            where="options --folds and --validation",
            got="both",
            wanted="one of them: with folds, each network holds out another part of the table",
            fix="leave one of them out",
        )
    if not 2 <= folds <= number:
        raise DataError(
            "The table cannot be cut into so many folds.",
            code="SO214",
            where="option --folds",
            got=f"--folds {folds} for {count(number, 'sequence')}",
            wanted=f"from 2 to {number}, for whole sequences are held out" if number > 1 else "at least 2 sequences",
            fix="choose another number, 5 is usual",
        )


def _split(sequences: Sequences, share: float, seed: int, known: Mapping[str, Any]) -> tuple[Sequences, Sequences]:
    number = len(sequences)
    if number < 2:
        raise DataError(
            "One sequence cannot be split into a part to train and a part to validate.",
            code="SO210",
            where="option --validation-share",
            got=count(number, "sequence"),
            wanted="at least 2, for whole sequences are held out",
            fix="check --id; or --validation-share 0 trains without validation, --validation names a table for it",
        )
    share = min(max(share, 1 / number), 1 - 1 / number)
    stratify = known["task"] == "classification" and known["per"] == "sequence"
    train_part, held_out = sequences.split(1 - share, seed=seed, stratify=True if stratify else None)
    return train_part, held_out


def _summary(
    path: Path, recipe: Recipe, sequences: Sequences, held_out: Sequences | None, settings: Settings, folds: int
) -> dict[str, str]:
    def size(part: Sequences) -> str:
        return f"{count(len(part), 'sequence')}, {count(part.steps, 'step')}"

    features = f"{len(recipe.features)}: {', '.join(recipe.features[:12])}" + (
        " ..." if len(recipe.features) > 12 else ""
    )
    if recipe.dropped:
        features += f"\nleft out, for they never change: {some(recipe.dropped, 12)}"
    target = f"{recipe.target}, {recipe.task} per {recipe.per}"
    if recipe.derived:
        target += ", counted from the sequences"
    if recipe.cap is not None:
        target += f", capped at {recipe.cap:g}"
    if recipe.labels:
        target += f"\n{count(len(recipe.labels), 'class', 'classes')}: {some(recipe.labels, 10)}"
    network = f"{settings.layers} x {settings.cell.upper()} of {settings.units} units, dropout {settings.dropout:g}"
    if folds:
        network = f"the mean of {folds}, each {network}"
        validate = f"{folds} folds: each network holds out another {100 / folds:.0f}% of the sequences"
    else:
        validate = size(held_out) if held_out is not None else "none: all epochs are trained, the last is kept"
    return {
        "table": path.name,
        "train": size(sequences),
        "validate": validate,
        "features": features,
        "target": target,
        "network": f"{network}, seed {settings.seed}, Keras on {keras.backend.backend()}",
    }


def _results(trained: Trained) -> Results:
    recipe = trained.recipe
    parts = {"training": trained.train}
    if trained.validation is not None:
        parts["validation"] = trained.validation
    targets = trained.train.targets
    assert targets is not None
    figures: dict[str, dict[str, float]] = {}
    for name, part in parts.items():
        answers = answers_of(trained.model, recipe, part)
        truth = part.targets if recipe.labels else recipe.capped(np.asarray(part.targets))
        comparison = compare(recipe, answers, part, "all", truth)
        figures[name] = comparison.figures()
    if trained.held_out is not None:
        name, answers = "held out", trained.held_out
        comparison = compare(recipe, answers, part, "all", truth)
        figures[name] = comparison.figures()
    shown = name
    blind = "always the mean of training" if not recipe.labels else "always the shares of training"
    figures[f"{shown}, {blind}"] = guessing(recipe, comparison, targets)
    return Results(figures, shown, part, answers, comparison)


def _write(
    new: Path, path: Path, trained: Trained, results: Results, summary: dict[str, str],
    settings: Settings, console: Console,
) -> None:  # fmt: skip
    history = trained.history
    with (new / "history.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["epoch", *history])
        rows.writerows([number, *values] for number, values in enumerate(zip(*history.values(), strict=True), start=1))
    command = shlex.join(["sostenuto", *sys.argv[1:]])
    notes = {
        "table": path.name,
        "command": command,
        "settings": settings.to_json(),
        "training": {
            "sequences": len(trained.train),
            "steps": trained.train.steps,
            "validation_sequences": 0 if trained.validation is None else len(trained.validation),
            "epochs": len(history["loss"]),
            "best_epoch": trained.best_epoch,
            "seconds": round(trained.seconds, 1),
        },
        "results": results.figures,
    }
    folder.save(new, trained.model, trained.recipe, notes)
    captions = _draw(new, trained, results, console)
    _report(trained, results, summary, captions, command, new)


def _draw(new: Path, trained: Trained, results: Results, console: Console) -> dict[str, tuple[str, str]]:
    """Draws what there is to see; gives heading and caption by file name."""
    try:
        from sostenuto.cli import pictures
    except ImportError:
        console.print("no pictures: matplotlib is not installed (pip install 'sostenuto[pictures]')")
        return {}
    recipe, found = trained.recipe, results.comparison
    captions: dict[str, tuple[str, str]] = {}

    def keep(name: str, figure: Any, heading: str, caption: str) -> None:
        figure.savefig(new / name, dpi=150)
        captions[name] = (heading, caption)

    curve = pictures.learning_curve(trained.history, trained.best_epoch, recipe.target)
    keep(
        "learning_curve.png",
        curve,
        "Learning curve",
        "Each epoch on the training part, and on the validation part if there is one.",
    )
    title = f"{results.shown.capitalize()} part: {count(len(found.truth), 'prediction')}"
    if recipe.labels:
        figure = pictures.confusion(
            found.answers.argmax(axis=1), found.truth, recipe.labels, results.shown.capitalize()
        )
        keep("confusion.png", figure, "Which class was taken for which", f"{title}; rows are true, columns predicted.")
    else:
        figure = pictures.predictions(found.answers, found.truth, recipe.target, title)
        keep("predictions.png", figure, "Predictions against truth", f"{title}; on the line both agree.")
        if recipe.per == "step":
            figure = pictures.over_time(
                results.sequences, results.answers, found.truth, recipe.target, " ".join(recipe.id)
            )
            keep("over_time.png", figure, "Step by step", f"Some sequences of the {results.shown} part, short to long.")
    keep(
        "lengths.png", trained.train.describe().figure(), "Lengths", "The training part: lengths, real steps, padding."
    )
    return captions


def _report(
    trained: Trained, results: Results, summary: dict[str, str],
    captions: dict[str, tuple[str, str]], command: str, new: Path,
) -> None:  # fmt: skip
    main = worded(results.figures[results.shown])
    report = Report(
        f"What was learnt from {summary['table']}",
        f"{trained.recipe.target}, {trained.recipe.task} per {trained.recipe.per}. "
        f"{summary['train']} to train on; validated on: {summary['validate']}.",
    )
    report.figures({f"{name}, {results.shown}": main[name] for name in list(main)[:3]})
    columns = ["part", *main]
    report.table("Results", {part: list(worded(found).values()) for part, found in results.figures.items()}, columns)
    for name, (heading, caption) in captions.items():
        report.picture(heading, new / name, caption)
    report.table("What was learnt from, and how", {name: text.replace("\n", "; ") for name, text in summary.items()})
    report.table(
        "Training",
        {name: str(value) for name, value in {**_training_in_words(trained), **folder.versions()}.items()},
    )
    report.code("The command", command)
    report.save(new / "report.html", "Written by sostenuto fit; this page needs no other file.")


def _training_in_words(trained: Trained) -> dict[str, str]:
    epochs = f"{count(len(trained.history['loss']), 'epoch')}, the weights of epoch {trained.best_epoch} kept"
    if trained.networks > 1:
        epochs = f"{trained.networks} networks, each with the weights of its best epoch"
    return {
        "epochs": epochs,
        "time": f"{trained.seconds:.0f} s",
        "parameters": f"{trained.model.count_params():,} parameters",
    }
