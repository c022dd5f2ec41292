"""Figures against sums by hand; which answers meet which truth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sostenuto.cli.recipe import Recipe, learnt_from, per_sequence_if_constant, with_steps_left
from sostenuto.cli.scoring import class_figures, compare, guessing, last_steps, number_figures, read_truth
from sostenuto.errors import DataError, DataTypeError, TargetError
from sostenuto.sequences import Sequences
from tests.cli.tables import csv

pytestmark = pytest.mark.plain


def recipe(**fields: object) -> Recipe:
    known = {"id": ("unit",), "time": None, "columns": (), "target": "rul", "per": "step", "task": "regression"}
    return learnt_from(Sequences.from_list([[1.0, 2.0], [3.0]], targets=[[0, 1], [2]]), **{**known, **fields})


def test_figures_of_numbers() -> None:
    found = number_figures(np.array([1.0, 2.0, 6.0]), np.array([1.0, 4.0, 1.0]))
    assert found["RMSE"] == pytest.approx(math.sqrt((0 + 4 + 25) / 3))
    assert found["MAE"] == pytest.approx(7 / 3)
    assert found["bias"] == pytest.approx(1.0)
    assert found["R²"] == pytest.approx(1 - (29 / 3) / 2.0)


def test_figures_of_classes() -> None:
    probabilities = np.array([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1], [0.2, 0.8]])
    found = class_figures(probabilities, np.array([0, 0, 0, 1]))
    assert found["accuracy"] == 1.0
    found = class_figures(probabilities, np.array([0, 0, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["mean accuracy of classes"] == 0.75
    assert found["log loss"] == pytest.approx(-(math.log(0.7) + math.log(0.6) + math.log(0.1) + math.log(0.8)) / 4)
    assert class_figures(probabilities, np.array([0, 0, 0, 0]))["mean accuracy of classes"] == 0.75


def test_last_step_of_each_sequence_is_compared() -> None:
    sequences = Sequences.from_list([[1.0, 2.0, 3.0], [4.0], [5.0, 6.0]], targets=[[9, 8, 7], [6], [5, 4]])
    answers = np.arange(6.0)
    assert last_steps(sequences).tolist() == [2, 3, 5]
    found = compare(recipe(), answers, sequences, "last", None)
    assert found.answers.tolist() == [2, 3, 5]
    assert found.truth.tolist() == [7, 6, 4]
    found = compare(recipe(), answers, sequences, "last", np.array([1.0, 2.0, 3.0]))
    assert found.truth.tolist() == [1, 2, 3]
    assert compare(recipe(), answers, sequences, "all", None).truth.tolist() == [9, 8, 7, 6, 5, 4]


def test_sequence_without_steps_has_no_last_one() -> None:
    with pytest.raises(DataError, match="no last step"):
        last_steps(Sequences.from_list([np.zeros((0, 1)), np.ones((1, 1))]))


def test_guessing_looks_at_training_alone() -> None:
    sequences = Sequences.from_list([[1.0, 2.0]], targets=[[5, 7]], targets_per="step")
    found = guessing(recipe(), compare(recipe(), np.zeros(2), sequences, "all", None), np.array([0, 1, 2]))
    assert found["RMSE"] == pytest.approx(math.sqrt((16 + 36) / 2))  # the mean of training is 1


def test_steps_left_and_cap() -> None:
    sequences = with_steps_left(Sequences.from_list([[1.0, 2.0, 4.0], [3.0]]))
    assert sequences.targets.tolist() == [2, 1, 0, 0]
    found = learnt_from(sequences, id=("u",), time=None, columns=(), target="steps-left", derived=True, cap=1.0)
    assert found.capped(sequences.targets).tolist() == [1, 1, 0, 0]
    assert (found.target_mean, found.target_std) == (0.5, 0.5)
    assert found.prepared(sequences).targets.tolist() == [1, 1, -1, -1]


def test_statistics_are_those_of_training_without_constant_features() -> None:
    values = [np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[5.0, 5.0]])]
    train = Sequences.from_list(values, targets=[0.0, 1.0], features=["a", "b"])
    found = learnt_from(train, id=("u",), time=None, columns=(), target="y", per="sequence")
    assert (found.features, found.dropped, found.mean, found.minimum) == (("a",), ("b",), (3.0,), (1.0,))
    assert found.std[0] == pytest.approx(math.sqrt(8 / 3))
    assert Recipe.from_json(found.to_json()) == found


def test_nothing_to_learn_is_refused() -> None:
    known = {"id": ("u",), "time": None, "columns": (), "target": "y"}
    with pytest.raises(DataError) as caught:
        learnt_from(Sequences.from_list([[1.0, 1.0]], targets=[[1, 2]], targets_per="step"), **known)
    assert caught.value.code == "SO203"
    with pytest.raises(TargetError) as target:
        learnt_from(Sequences.from_list([[1.0, 2.0]], targets=[[3, 4]], targets_per="step"), cap=2.0, **known)
    assert str(target.value) == (
        "The target never changes, so there is nothing to learn.\n"
        "  where   target 'y', the training part\n"
        "  got     2.0 everywhere\n"
        "  wanted  at least two different targets\n"
        "  fix     choose another target, or a greater --cap\n"
        "  more    sostenuto explain SO401"
    )


def test_constant_targets_belong_to_the_sequence() -> None:
    kept = per_sequence_if_constant(Sequences.from_list([[1, 2], [3, 4]], targets=[[7, 7], [8, 9]], targets_per="step"))
    assert kept.targets_per == "step"
    # Sequences of one step say nothing about it, so the target stays with the step.
    assert (
        per_sequence_if_constant(Sequences.from_list([[1], [2]], targets=[[7], [8]], targets_per="step")).targets_per
        == "step"
    )
    found = per_sequence_if_constant(Sequences.from_list([[1, 2], [3]], targets=[[7, 7], [8]]))
    assert (found.targets_per, found.targets.tolist()) == ("sequence", [7, 8])


def test_truth_of_text_goes_by_ascending_id(tmp_path: Path) -> None:
    path = tmp_path / "truth.txt"
    path.write_text("10 \n20 \n30 \n")
    assert read_truth(path, recipe(), [3, 1, 2]).tolist() == [30, 10, 20]


def test_truth_of_a_table_goes_by_id(tmp_path: Path) -> None:
    path = csv(pa.table({"unit": [2, 1], "rul": [7.5, 3.0]}), tmp_path / "truth.csv")
    assert read_truth(path, recipe(), [1, 2]).tolist() == [3.0, 7.5]


def test_truth_for_classes_is_encoded(tmp_path: Path) -> None:
    path = tmp_path / "truth.txt"
    path.write_text("up\ndown\n")
    found = recipe(task="classification", labels=("down", "flat", "up"))
    assert read_truth(path, found, ["a", "b"]).tolist() == [2, 0]


def test_truth_must_be_for_these_sequences(tmp_path: Path) -> None:
    path = tmp_path / "truth.txt"
    path.write_text("10\n20\n")
    with pytest.raises(TargetError) as caught:
        read_truth(path, recipe(), [1, 2, 3])
    assert str(caught.value) == (
        "This truth does not belong to these sequences.\n"
        f"  where   {str(path)!r}\n"
        "  got     2 entries\n"
        "  wanted  3 entries, one per sequence in ascending order of the ids\n"
        "  fix     check that table and truth belong together\n"
        "  more    sostenuto explain SO401"
    )
    table = csv(pa.table({"unit": [1, 9], "rul": [7.5, 3.0]}), tmp_path / "truth.csv")
    with pytest.raises(TargetError, match="truth for 9"):
        read_truth(table, recipe(), [1, 2])


def test_truth_must_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "truth.txt"
    path.write_text("RUL\n20\n")
    with pytest.raises(DataTypeError, match="remove headings"):
        read_truth(path, recipe(), [1, 2])
