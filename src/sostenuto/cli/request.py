"""What a user asks to be learnt from a table, settled column by column before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa

from sostenuto.cli.recipe import STEPS_LEFT, per_sequence_if_constant, with_steps_left
from sostenuto.cli.tables import choose_features, encoded, labels_of
from sostenuto.errors import DataError, TargetError
from sostenuto.sequences import Sequences
from sostenuto.sequences.table_source import check_columns, open_table

MOST_CLASSES = 20


@dataclass(frozen=True)
class Request:
    """The columns and the question, as typed.

    Args:
        id: columns that name a sequence.
        time: the column that orders its steps.
        columns: the names of all columns, for files without a header.
        features: names and patterns; none for all columns of numbers.
        target: a column, or ``steps-left``.
        per: ``"auto"``, ``"step"`` or ``"sequence"``.
        task: ``"auto"``, ``"regression"`` or ``"classification"``.
        cap: the greatest target.
    """

    id: tuple[str, ...]
    time: str | None
    columns: tuple[str, ...]
    features: tuple[str, ...]
    target: str
    per: str = "auto"
    task: str = "auto"
    cap: float | None = None

    def read(self, table: pa.Table | Path) -> tuple[Sequences, dict[str, Any]]:
        """The sequences with targets, in the units of the table, and the fields of ``Recipe`` that are settled.

        Args:
            table: what ``read_table`` gave.

        Raises:
            DataError: columns or rows that cannot serve.
        """
        kinds = open_table(table).kinds
        derived = self.target == STEPS_LEFT and STEPS_LEFT not in kinds
        column = () if derived else (self.target,)
        if kinds:  # a table without columns is refused as empty below
            check_columns(kinds, {"id": self.id, "time": (self.time,) if self.time else (), "target": column})
        features = choose_features(table, self.features, {*self.id, self.time or "", *column})
        known: dict[str, Any] = {
            "id": self.id, "time": self.time, "columns": self.columns, "target": self.target, "cap": self.cap,
            "derived": derived,
        }  # fmt: skip
        if derived:
            self._check_derived()
            sequences = Sequences.from_table(table, id=self.id, time=self.time, features=features)
            return with_steps_left(sequences), {**known, "per": "step", "task": "regression"}
        task, labels = self._task(table, kinds)
        if task == "classification":
            if self.cap is not None:
                raise _option("--cap", f"--cap {self.cap:g} for classes", "targets that are numbers", "leave --cap out")
            source = open_table(table)
            table = encoded(source.read([*self._read_columns(features)]), self.target, labels)
        sequences = Sequences.from_table(
            table, id=self.id, time=self.time, features=features, target=self.target,
            target_per="sequence" if self.per == "sequence" else "step",
        )  # fmt: skip
        if self.per == "auto":
            sequences = per_sequence_if_constant(sequences)
        return sequences, {**known, "per": sequences.targets_per, "task": task, "labels": tuple(labels)}

    def _read_columns(self, features: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.id, *((self.time,) if self.time else ()), *features, self.target)))

    def _check_derived(self) -> None:
        if self.per == "sequence":
            raise _option(
                "--target-per", "--target-per sequence", f"a target per step, as {STEPS_LEFT} falls step by step",
                "leave --target-per out",
            )  # fmt: skip
        if self.task == "classification":
            raise _option(
                "--task", "--task classification", f"regression, as {STEPS_LEFT} is a number", "leave --task out"
            )

    def _task(self, table: pa.Table | Path, kinds: dict[str, Any]) -> tuple[str, list[Any]]:
        if not kinds or self.task == "regression":
            return "regression", []
        kind = kinds[self.target]
        words = isinstance(kind, nw.String | nw.Categorical | nw.Enum | nw.Boolean)
        if self.task == "auto" and not words and not kind.is_integer():
            return "regression", []
        labels = labels_of(open_table(table).read([self.target]).column(self.target))
        if self.task == "auto" and not words and len(labels) > MOST_CLASSES:
            return "regression", []
        if len(labels) < 2:
            raise TargetError(
                "The target never changes, so there is nothing to learn.",
                code="SO401",
                where=f"column {self.target!r}",
                got=f"{labels[0]!r} everywhere" if labels else "no label at all",
                wanted="at least two classes",
                fix="choose another target",
            )
        return "classification", labels


def _option(name: str, got: str, wanted: str, fix: str) -> DataError:
    return DataError(
        "These options contradict each other.", code="SO214", where=f"option {name}", got=got, wanted=wanted, fix=fix
    )
