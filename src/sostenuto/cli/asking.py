"""``sostenuto predict`` and ``sostenuto evaluate``: a trained model on a new table."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console

from sostenuto.cli import folder
from sostenuto.cli.console import print_rows, print_table, worded
from sostenuto.cli.recipe import Recipe
from sostenuto.cli.report import Report
from sostenuto.cli.scoring import Comparison, answers_of, compare, last_steps, read_truth
from sostenuto.cli.tables import PARQUET, read_table
from sostenuto.diagnosis import count
from sostenuto.errors import DataError, ModelError
from sostenuto.sequences import Sequences
from sostenuto.sequences.table_order import row_order
from sostenuto.sequences.table_source import open_table


def predict(
    model_folder: Path, path: Path, columns: tuple[str, ...], at: str, out: Path | None, console: Console
) -> None:
    """Answers for every step, or one for each sequence, as a table.

    Args:
        model_folder: what ``fit`` wrote.
        path: the table.
        columns: the names of its columns, where it has no header and others than the training table.
        at: ``"all"`` steps or the ``"last"`` of each sequence.
        out: a CSV or Parquet file; None prints CSV.
        console: where to say what was written.
    """
    if out is not None:
        _check_out(out, (".csv", *PARQUET))
    saved = folder.load(model_folder)
    table = read_table(path, columns or saved.recipe.columns)
    sequences = saved.recipe.read(table)
    answers = answers_of(saved.model, saved.recipe, sequences)
    result = answer_table(saved.recipe, table, sequences, answers, at)
    if out is None:
        sys.stdout.write(_csv(result).decode())
        return
    with _writing(out):
        if out.suffix.lower() == ".csv":
            out.write_bytes(_csv(result))
        else:
            pa.parquet.write_table(result, out)
    per = "step" if saved.recipe.per == "step" and at == "all" else "sequence"
    print_rows(console, {"written": f"{out}, {count(result.num_rows, 'row')}, one per {per}"})


def answer_table(recipe: Recipe, table: Any, sequences: Sequences, answers: np.ndarray, at: str) -> pa.Table:
    """Ids, times and answers as a table, in the order of the sequences.

    Args:
        recipe: that of the model.
        table: what ``read_table`` gave.
        sequences: what was read from it.
        answers: what ``answers_of`` gave.
        at: ``"all"`` or ``"last"``.

    Returns:
        The columns of the id; per step also the time, or ``step`` from 0 on; ``predicted``; and for classes the
        probability of each, as ``p_...``.
    """
    names = [*recipe.id, *([recipe.time] if recipe.time else [])]
    found = open_table(table).read(list(dict.fromkeys(names)))
    rank = row_order(found, recipe.id, recipe.time).rank
    if rank is not None:
        found = found.take(pa.array(np.argsort(rank)))
    if recipe.time is None:
        steps = np.arange(sequences.steps) - np.repeat(sequences.offsets[:-1], sequences.lengths)
        found = found.append_column("step", pa.array(steps))
    if recipe.per == "sequence":
        found = found.take(pa.array(sequences.offsets[:-1])).select(list(recipe.id))
    elif at == "last":
        rows = last_steps(sequences)
        found, answers = found.take(pa.array(rows)), answers[rows]
    if not recipe.labels:
        return found.append_column("predicted", pa.array(answers))
    labels = pa.array(list(recipe.labels))
    found = found.append_column("predicted", labels.take(pa.array(answers.argmax(axis=1))))
    for number, label in enumerate(recipe.labels):
        found = found.append_column(f"p_{label}", pa.array(answers[:, number]))
    return found


def evaluate(
    model_folder: Path, path: Path, columns: tuple[str, ...], truth_path: Path | None, at: str | None,
    report: Path | None, console: Console,
) -> dict[str, float]:  # fmt: skip
    """Compares answers with the truth and prints figures.

    Args:
        model_folder: what ``fit`` wrote.
        path: the table.
        columns: the names of its columns, where it has no header and others than the training table.
        truth_path: a file with one true answer per sequence; None for the target of the table.
        at: ``"all"`` steps or the ``"last"`` of each sequence; None for the last if there is a truth of its own.
        report: an HTML page to write.
        console: where to print.

    Returns:
        The figures by name.
    """
    if report is not None:
        _check_out(report, (".html",))
    saved = folder.load(model_folder)
    recipe = saved.recipe
    if recipe.per == "step" and truth_path is not None and at == "all":
        raise DataError(
            "One true answer per sequence cannot be compared at every step.",
            code="SO214",
            where="options --truth and --at",
            got="--truth with --at all",
            wanted="--at last, the step that such a truth speaks of",
            fix="leave --at out",
        )
    at = at or ("last" if truth_path is not None else "all")
    sequences = recipe.read(read_table(path, columns or recipe.columns), with_target=truth_path is None)
    truth = None if truth_path is None else read_truth(truth_path, recipe, sequences.ids)
    answers = answers_of(saved.model, recipe, sequences)
    comparison = compare(recipe, answers, sequences, at, truth)
    figures = comparison.figures()
    rows = _what_was_compared(model_folder, path, truth_path, recipe, sequences, at, comparison)
    print_rows(console, rows)
    print_table(console, ["", *figures], {path.name: list(worded(figures).values())})
    if report is not None:
        with _writing(report):
            _report(report, recipe, rows, figures, comparison, path.name)
        print_rows(console, {"written": str(report)})
    return figures


def _what_was_compared(
    model_folder: Path, path: Path, truth_path: Path | None, recipe: Recipe, sequences: Sequences, at: str,
    comparison: Comparison,
) -> dict[str, str]:  # fmt: skip
    if recipe.per == "sequence":
        which = count(len(comparison.truth), "sequence")
    elif at == "last":
        which = f"the last step of each of {count(len(comparison.truth), 'sequence')}"
    else:
        which = f"{count(len(comparison.truth), 'step')} of {count(len(sequences), 'sequence')}"
    where = f"in {truth_path.name}" if truth_path is not None else "counted" if recipe.derived else "in the table"
    truth = f"{recipe.target}, {where}"
    if recipe.derived and truth_path is None:
        truth += " as if every sequence ran to its end; --truth names a file where they are cut off before"
    if not recipe.labels:
        truth += f"\nfrom {comparison.truth.min():g} to {comparison.truth.max():g}, as it is"
        if recipe.cap is not None:
            truth += f" (in training it was capped at {recipe.cap:g}, so answers hardly exceed that)"
    return {"model": str(model_folder), "table": path.name, "compared": which, "truth": truth}


def _report(
    path: Path, recipe: Recipe, rows: dict[str, str], figures: dict[str, float], comparison: Comparison, name: str
) -> None:
    words = worded(figures)
    report = Report(f"{recipe.target}: predictions for {name}", f"Compared: {rows['compared']}.")
    report.figures(dict(list(words.items())[:3]))
    try:
        from sostenuto.cli import pictures
    except ImportError:
        pass
    else:
        if recipe.labels:
            predicted = comparison.answers.argmax(axis=1)
            figure = pictures.confusion(predicted, comparison.truth, recipe.labels, name)
        else:
            figure = pictures.predictions(comparison.answers, comparison.truth, recipe.target, name)
        report.figure("Predictions against truth", figure, rows["compared"])
    report.table("All figures", words)
    report.table("What was compared", {key: text.replace("\n", "; ") for key, text in rows.items()})
    report.save(path, "Written by sostenuto evaluate; this page needs no other file.")


def _csv(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    return sink.getvalue().to_pybytes()


def _check_out(path: Path, suffixes: tuple[str, ...]) -> None:
    if path.suffix.lower() not in suffixes:
        raise DataError(
            "This is no kind of file that can be written here.",
            code="SO213",
            where=repr(str(path)),
            got=f"a name that ends with {path.suffix!r}",
            wanted=f"a name that ends with {' or '.join(suffixes)}",
            fix=f"call it {path.stem}{suffixes[0]}",
        )


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Words what the operating system says when a file cannot be written (SO802)."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            "The file cannot be written.",
            code="SO802",
            where=repr(str(path)),
            got=error.strerror or str(error),
            wanted="a file in a folder that is there and may be written",
            fix="check the path",
        ) from None
