"""How a table becomes what a model reads, and how its outputs become answers: all that a model folder remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sostenuto.cli.tables import encoded
from sostenuto.diagnosis import some
from sostenuto.errors import DataError, TargetError
from sostenuto.sequences import Sequences
from sostenuto.sequences.statistics import Statistics
from sostenuto.sequences.table_source import check_columns, open_table
from sostenuto.sequences.targets import Per

STEPS_LEFT = "steps-left"


@dataclass(frozen=True)
class Recipe:
    """What is read from a table, what is answered, and the numbers that standardise both.

    Args:
        id: the columns that name a sequence.
        time: the column that orders its steps.
        columns: the names of all columns, for files without a header.
        features: the features that the model reads, in order.
        dropped: features left out because they never changed in the training part.
        mean: the mean of each feature in the training part.
        std: the standard deviation of each feature in the training part.
        minimum: the least value of each feature in the training part.
        maximum: the greatest value of each feature in the training part.
        target: the column of targets, or ``steps-left``.
        derived: whether the target is counted from the sequences, not read from a column.
        per: ``"step"`` or ``"sequence"``.
        task: ``"regression"`` or ``"classification"``.
        cap: the greatest target in training, if there is one.
        labels: the classes, in the order of the outputs.
        target_mean: the mean of the targets in the training part.
        target_std: the standard deviation of the targets in the training part.

    Example:
        >>> recipe = Recipe(("id",), None, (), ("x",), (), (1.0,), (2.0,), (0.0,), (3.0,), "y", target_mean=10.0)
        >>> recipe.prepared(Sequences.from_list([[3.0, 5.0]], features=["x"])).values[:, 0].tolist()
        [1.0, 2.0]
        >>> recipe.answers(np.array([[0.5]])).tolist()
        [10.5]
    """

    id: tuple[str, ...]
    time: str | None
    columns: tuple[str, ...]
    features: tuple[str, ...]
    dropped: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    target: str
    derived: bool = False
    per: Per = "step"
    task: str = "regression"
    cap: float | None = None
    labels: tuple[Any, ...] = ()
    target_mean: float = 0.0
    target_std: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Recipe:
        """The recipe of such fields.

        Raises:
            TypeError: a field is lacking or unknown.
        """
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(**plain)

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics of the features."""
        mean, std, low, high = (np.array(part) for part in (self.mean, self.std, self.minimum, self.maximum))
        return Statistics(self.features, mean, std, low, high, np.zeros(len(self.features), np.int64))

    # --- table -> what the model reads ----------------------------------------------------------------------------

    def read(self, table: pa.Table | Path, with_target: bool = False) -> Sequences:
        """The sequences of a table, in its own units.

        Args:
            table: what ``read_table`` gave.
            with_target: read or count the targets too; they are not capped.

        Raises:
            DataError: what ``Sequences.from_table`` refuses.
        """
        target = None if self.derived or not with_target else self.target
        if target is not None and self.task == "classification":
            source = open_table(table)
            check_columns(source.kinds, {"target": (target,)})
            table = encoded(source.read(list(source.kinds)), target, self.labels, learnt=True)
        sequences = Sequences.from_table(
            table, id=self.id, time=self.time, features=self.features, target=target, target_per=self.per
        )
        return with_steps_left(sequences) if self.derived and with_target else sequences

    def prepared(self, sequences: Sequences) -> Sequences:
        """Features standardised with the numbers of the training part; targets too, where they are numbers."""
        ready = sequences.standardised(self.statistics).astype("float32")
        if sequences.targets is None or self.task == "classification":
            return ready
        scaled = (self.capped(sequences.targets) - self.target_mean) / self.target_std
        return ready.with_targets(scaled.astype(np.float32), targets_per=sequences.targets_per)

    def capped(self, targets: np.ndarray) -> np.ndarray:
        """Targets, none greater than the cap."""
        found = targets.astype(np.float64)
        return found if self.cap is None else np.minimum(found, self.cap)

    # --- what the model says -> answers ---------------------------------------------------------------------------

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs in the units of the target (N,), or as probabilities of the classes (N, K)."""
        found = np.asarray(outputs, np.float64)
        return found if self.task == "classification" else found[:, 0] * self.target_std + self.target_mean


def with_steps_left(sequences: Sequences) -> Sequences:
    """The sequences with a target at every step: the number of steps that follow it.

    Example:
        >>> with_steps_left(Sequences.from_list([[5.0, 6.0, 7.0], [8.0]])).targets.tolist()
        [2.0, 1.0, 0.0, 0.0]
    """
    lengths = sequences.lengths
    left = np.repeat(sequences.offsets[1:], lengths) - 1 - np.arange(sequences.steps)
    return sequences.with_targets(left.astype(np.float64), targets_per="step", target_names=[STEPS_LEFT])


def per_sequence_if_constant(sequences: Sequences) -> Sequences:
    """Targets per step turned into targets per sequence if none changes within its sequence.

    Example:
        >>> per_sequence_if_constant(Sequences.from_list([[1, 2], [3]], targets=[[7, 7], [8]])).targets.tolist()
        [7, 8]
    """
    targets = sequences.targets
    assert targets is not None
    first = targets[sequences.offsets[:-1][sequences.lengths > 0]]
    constant = bool(np.array_equal(np.repeat(first, sequences.lengths), targets))
    if not constant or len(first) < len(sequences) or sequences.steps == len(sequences):
        return sequences
    return sequences.with_targets(first, targets_per="sequence", target_names=sequences.target_names)


def learnt_from(sequences: Sequences, **known: Any) -> Recipe:
    """The recipe of a training part: its statistics, without features that never change.

    Args:
        sequences: the training part, in its own units.
        known: the fields of ``Recipe`` that the command line settled.

    Raises:
        DataError: no feature changes (SO203).
        TargetError: the targets never change (SO401).
    """
    found = sequences.statistics()
    kept = [position for position, name in enumerate(found.features) if name not in found.constant]
    if not kept:
        raise DataError(
            "No feature changes, so there is nothing to learn from.",
            code="SO203",
            where="the training part",
            got=f"constant features {some(found.constant, 8)}",
            wanted="at least one feature that changes from step to step or from sequence to sequence",
            fix="choose other columns with --features",
        )

    fields: dict[str, Any] = {
        name: tuple(getattr(found, name)[kept].tolist()) for name in ("mean", "std", "minimum", "maximum")
    }
    recipe = Recipe(features=tuple(found.features[i] for i in kept), dropped=found.constant, **fields, **known)
    assert sequences.targets is not None
    targets = recipe.capped(sequences.targets)
    if targets.min() == targets.max():
        what = recipe.labels[int(targets[0])] if recipe.labels else targets[0].item()
        raise TargetError(
            "The target never changes, so there is nothing to learn.",
            code="SO401",
            where=f"target {recipe.target!r}, the training part",
            got=f"{what!r} everywhere",
            wanted="at least two different targets",
            fix="choose another target" + (", or a greater --cap" if recipe.cap is not None else ""),
        )
    if recipe.task == "classification":
        return recipe
    return replace(recipe, target_mean=float(targets.mean()), target_std=float(targets.std()))


def with_features(sequences: Sequences, features: Sequence[str]) -> Sequences:
    """The sequences with some of their features only, in this order."""
    columns = [sequences.features.index(name) for name in features]
    return sequences.map_steps(lambda values: values[:, columns], features=list(features))
