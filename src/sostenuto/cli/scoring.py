"""Answers against truth: which of them are compared, and the figures that say how good they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sostenuto.cli.recipe import Recipe
from sostenuto.cli.tables import encoded, read_table
from sostenuto.diagnosis import count, some
from sostenuto.errors import DataError, DataTypeError, TargetError
from sostenuto.sequences import Sequences
from sostenuto.sequences.table_source import SUFFIXES, check_columns, open_table


@dataclass(frozen=True)
class Comparison:
    """Answers and truth, one entry for each thing that was asked.

    Args:
        answers: (M,) numbers, or (M, K) probabilities.
        truth: (M,) numbers, or class numbers.
        labels: the classes; empty for numbers.

    Example:
        >>> Comparison(np.array([1.0, 2.0]), np.array([1.0, 4.0])).figures()["MAE"]
        1.0
    """

    answers: np.ndarray
    truth: np.ndarray
    labels: tuple[Any, ...] = ()

    def figures(self) -> dict[str, float]:
        """Figures by name: RMSE, MAE, bias and R² for numbers; accuracy, its mean over classes, log loss."""
        return class_figures(self.answers, self.truth) if self.labels else number_figures(self.answers, self.truth)


def number_figures(answers: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Root mean square error, mean absolute error, mean error, share of variance explained.

    Example:
        >>> number_figures(np.array([1.0, 2.0, 6.0]), np.array([1.0, 2.0, 3.0]))["bias"]
        1.0
    """
    error = answers - truth
    square = float(np.mean(error**2))
    spread = float(np.var(truth))
    return {
        "RMSE": math.sqrt(square),
        "MAE": float(np.mean(np.abs(error))),
        "bias": float(np.mean(error)),
        "R²": 1 - square / spread if spread > 0 else math.nan,
    }


def class_figures(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Accuracy, its mean over the classes that occur, mean negative logarithm of the true class's probability.

    Example:
        >>> class_figures(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))["accuracy"]
        0.5
    """
    right = probabilities.argmax(axis=1) == truth
    by_class = [float(right[truth == number].mean()) for number in np.unique(truth)]
    of_truth = probabilities[np.arange(len(truth)), truth]
    return {
        "accuracy": float(right.mean()),
        "mean accuracy of classes": float(np.mean(by_class)),
        "log loss": float(-np.mean(np.log(np.maximum(of_truth, 1e-12)))),
    }


def answers_of(model: Any, recipe: Recipe, sequences: Sequences, batch_size: int = 32) -> np.ndarray:
    """What a model answers to sequences in the units of their table: (N,) or (N, K) per step, (S,) or (S, K)."""
    outputs = model.predict(recipe.prepared(sequences.with_targets(None)), batch_size=batch_size, verbose=0)
    return recipe.answers(outputs.values if recipe.per == "step" else outputs.array)


def last_steps(sequences: Sequences) -> np.ndarray:
    """The positions of the last steps among all steps (S,).

    Raises:
        DataError: a sequence has no steps (SO211).
    """
    if not sequences.lengths.all():
        raise DataError(
            "A sequence without steps has no last step.",
            code="SO211",
            where=f"sequences[{sequences.ids[int(np.argmin(sequences.lengths))]!r}]",
            got="0 steps",
            wanted="at least 1",
            fix="leave it out",
        )
    return sequences.offsets[1:] - 1


def compare(recipe: Recipe, answers: np.ndarray, sequences: Sequences, at: str, truth: np.ndarray | None) -> Comparison:
    """Pairs answers with truth.

    Args:
        recipe: that of the model.
        answers: what ``answers_of`` gave.
        sequences: the sequences, with targets unless ``truth`` is given.
        at: ``"last"`` takes the last step of each sequence, ``"all"`` every step; without meaning per sequence.
        truth: one entry per sequence (S,).
    """
    targets = sequences.targets if truth is None else truth
    assert targets is not None
    if recipe.per == "step" and at == "last":
        rows = last_steps(sequences)
        answers = answers[rows]
        targets = targets[rows] if truth is None else targets
    targets = targets.astype(np.int64 if recipe.labels else np.float64)
    return Comparison(answers, targets, recipe.labels)


def guessing(recipe: Recipe, comparison: Comparison, training_targets: np.ndarray) -> dict[str, float]:
    """The figures of an answer that looks at nothing: the mean of the training targets, or their shares of classes."""
    number = len(comparison.truth)
    if recipe.labels:
        shares = np.bincount(training_targets.astype(np.int64), minlength=len(recipe.labels)) / len(training_targets)
        return class_figures(np.tile(shares, (number, 1)), comparison.truth)
    return number_figures(np.full(number, recipe.target_mean), comparison.truth)


def read_truth(path: Path, recipe: Recipe, ids: Sequence[Any]) -> np.ndarray:
    """True answers of a file, one per sequence.

    Args:
        path: text with one entry on each line, in ascending order of the ids; or a table with the columns of the id
            and of the target.
        recipe: that of the model.
        ids: the ids of the sequences, in the order wanted.

    Returns:
        Numbers (S,), or class numbers.

    Raises:
        TargetError: the file does not answer for just these sequences (SO401).
        DataTypeError: an entry is no number (SO204).
    """
    is_text = path.is_file() and not path.name.lower().endswith(SUFFIXES)
    table = read_table(path, [recipe.target] if is_text else ())
    source = open_table(table)
    check_columns(source.kinds, {"id": () if is_text else recipe.id, "target": (recipe.target,)})
    found = source.read([*([] if is_text else recipe.id), recipe.target])
    if recipe.labels:
        found = encoded(found, recipe.target, recipe.labels, learnt=True)
    values = _numbers(found.column(recipe.target), path)
    known = sorted(ids) if is_text else _ids(found, recipe.id)
    if len(known) != len(values) or len(set(known)) != len(known) or set(known) != set(ids):
        strange = [name for name in known if name not in set(ids)]
        raise TargetError(
            "This truth does not belong to these sequences.",
            code="SO401",
            where=repr(str(path)),
            got=f"truth for {some(strange)}" if strange else count(len(values), "entry", "entries"),
            wanted=f"{count(len(ids), 'entry', 'entries')}, one per sequence"
            + (" in ascending order of the ids" if is_text else ""),
            fix="check that table and truth belong together",
        )
    by_id = dict(zip(known, values, strict=True))
    return np.array([by_id[name] for name in ids])


def _ids(table: pa.Table, columns: Sequence[str]) -> list[Any]:
    parts = [table.column(name).to_pylist() for name in columns]
    return parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))


def _numbers(column: Any, path: Path) -> np.ndarray:
    try:
        values = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = np.array([math.nan])
    if not np.isfinite(values).all():
        raise DataTypeError(
            "The truth is not a number everywhere.",
            code="SO204",
            where=repr(str(path)),
            got=f"a column of {column.type}" + (f" with {column.null_count} missing" if column.null_count else ""),
            wanted="one finite number per sequence",
            fix="remove headings and comments from the file",
        )
    return values
