"""Targets and weights: what is per step, what per sequence, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sostenuto.errors import TargetError
from sostenuto.sequences import Sequences

UNEVEN = [[1, 2, 3], [4]]
EVEN = [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("data", "targets", "per", "shape"),
    [
        (UNEVEN, [0, 1], "sequence", (2,)),
        (UNEVEN, [[0, 1], [2, 3]], "sequence", (2, 2)),
        (UNEVEN, [[1, 2, 3], [4]], "step", (4,)),
        (UNEVEN, [np.zeros((3, 2)), np.zeros((1, 2))], "step", (4, 2)),
        (EVEN, [0, 1], "sequence", (2,)),
        (EVEN, np.zeros((2, 3)), "sequence", (2, 3)),
        ([[1], [2]], [0, 1], "sequence", (2,)),
        ([[1, 2], []], [[1, 2], []], "step", (2,)),
    ],
)
def test_the_kind_is_told_by_shape_where_only_one_fits(data, targets, per, shape):
    sequences = Sequences.from_list(data, targets=targets)
    assert (sequences.targets_per, sequences.targets.shape) == (per, shape)
    assert Sequences.from_list(data, targets=targets, targets_per=per) == sequences


@pytest.mark.parametrize("data", [EVEN, [[1], [2]], [[1, 2]]])
def test_two_readings_are_refused_until_one_is_chosen(data):
    with pytest.raises(TargetError) as caught:
        Sequences.from_list(data, targets=data)
    length = len(data[0])
    assert str(caught.value) == (
        "These targets could be meant per step or per sequence.\n"
        "  where   targets -> sequences\n"
        f"  got     ({len(data)}, {length}) int64 for {len(data)} sequence{'s' * (len(data) > 1)}"
        f" of {length} step{'s' * (length > 1)} each\n"
        "  wanted  one reading\n"
        "  fix     say targets_per='step' or targets_per='sequence'\n"
        "  more    sostenuto explain SO401"
    )
    flat = Sequences.from_list(data, targets=data, targets_per="step")
    assert flat.targets.tolist() == flat.values[:, 0].tolist()
    assert Sequences.from_list(data, targets=data, targets_per="sequence").targets.tolist() == data


def test_flat_targets_per_step():
    assert Sequences.from_list(UNEVEN, targets=[5, 6, 7, 8], targets_per="step").targets.tolist() == [5, 6, 7, 8]
    with pytest.raises(TargetError):
        Sequences.from_list(UNEVEN, targets=[5, 6, 7, 8])


def test_dtypes_of_targets():
    assert Sequences.from_list(UNEVEN, targets=np.array([1, 0], "int8")).targets.dtype == np.int8
    assert Sequences.from_list(UNEVEN, targets=[True, False]).targets.dtype == np.float32
    assert Sequences.from_list(UNEVEN, weights=[1, 2]).weights.dtype == np.float32


def test_a_length_that_does_not_fit_is_named():
    with pytest.raises(TargetError) as caught:
        Sequences.from_list({"a": [1, 2, 3], "b": [4]}, targets={"a": [1, 2], "b": [4]})
    assert str(caught.value) == (
        "The targets do not fit their sequences.\n"
        "  where   sequences['a']\n"
        "  got     targets (2,) int64\n"
        "  wanted  3, one for each step\n"
        "  fix     cut targets to the lengths of the sequences, or give one number per sequence\n"
        "  more    sostenuto explain SO401"
    )


def test_a_number_that_does_not_fit():
    with pytest.raises(TargetError) as caught:
        Sequences.from_list(UNEVEN, targets=[1, 2, 3])
    assert str(caught.value) == (
        "The targets do not fit the sequences.\n"
        "  where   targets -> sequences\n"
        "  got     (3,) int64\n"
        "  wanted  2 entries, one per sequence\n"
        "          or one entry per sequence with one number per step of it (4 steps in all)\n"
        "  fix     give them in the order of the sequences, or as a dict by id\n"
        "  more    sostenuto explain SO401"
    )


def test_classes_as_text_are_refused():
    with pytest.raises(TargetError) as caught:
        Sequences.from_list(UNEVEN, targets=["cat", "dog"])
    assert str(caught.value) == (
        "A value is no number.\n"
        "  where   targets\n"
        "  got     text in (2,)\n"
        "  wanted  integers, floats or booleans\n"
        "  fix     encode classes as integers: names, classes = numpy.unique(classes, return_inverse=True)\n"
        "  more    sostenuto explain SO204"
    )


@pytest.mark.parametrize(
    ("targets", "what"),
    [
        ({0: 1}, "Some sequences have no targets."),
        ({0: 1, 1: 2, 2: 3}, "Some targets belong to no sequence."),
        ({"0": 1, "1": 2}, "Some sequences have no targets."),
        (5, "The targets do not fit the sequences."),
        ("ab", "The targets do not fit the sequences."),
        ([[1, 2, 3]], "The targets do not fit the sequences."),
        ([[[1, 2], [1, 2], [1, 2]], [[1]]], "The targets of a step differ in shape."),
        ([1.0, np.nan], "The targets have missing or infinite values."),
    ],
)
def test_refused(targets, what):
    with pytest.raises(TargetError) as caught:
        Sequences.from_list(UNEVEN, targets=targets)
    assert caught.value.what == what


def test_missing_targets_name_the_place_or_are_kept():
    targets = [[1.0, 2.0, np.nan], [4.0]]
    with pytest.raises(TargetError, match=r"where   sequences\[0\], step 2\n"):
        Sequences.from_list(UNEVEN, targets=targets)
    assert np.isnan(Sequences.from_list(UNEVEN, targets=targets, missing="keep").targets[2])


@pytest.mark.parametrize(
    ("weights", "per"), [([1, 2], "sequence"), ([[1, 2, 3], [4]], "step"), (np.array([0.0, 1.0]), "sequence")]
)
def test_weights(weights, per):
    assert Sequences.from_list(UNEVEN, weights=weights).weights_per == per


def test_weights_of_two_axes_are_per_step():
    sequences = Sequences.from_list(EVEN, weights=[[1, 2], [3, 4]])
    assert (sequences.weights_per, sequences.weights.tolist()) == ("step", [1, 2, 3, 4])


@pytest.mark.parametrize("weights", [[-1, 1], [np.nan, 1], [[1, 2, 3], [np.inf]], [1, 2, 3], np.ones((2, 3))])
def test_weights_refused(weights):
    with pytest.raises(TargetError) as caught:
        Sequences.from_list(UNEVEN, weights=weights)
    assert caught.value.code == "SO404"


def test_a_negative_weight_is_named():
    with pytest.raises(TargetError) as caught:
        Sequences.from_list(UNEVEN, weights=[[1, -2, 3], [4]])
    assert str(caught.value) == (
        "A weight is negative or not finite.\n"
        "  where   sequences[0], step 1\n"
        "  got     1 such weight of 4\n"
        "  wanted  finite weights, none below zero\n"
        "  fix     use 0 for what should not count\n"
        "  more    sostenuto explain SO404"
    )
