"""``Sequences.from_padded``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import DataError, TargetError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@given(data=ragged(), side=st.sampled_from(["right", "left"]), extra=st.integers(0, 2))
def test_padded_and_read_back_by_mask(data, side, extra):
    sequences = Sequences.from_list(data)
    padded = sequences.to_padded(int(sequences.lengths.max()) + extra, side=side, fill=7)
    assert Sequences.from_padded(padded.values, mask=padded.mask) == sequences
    if side == "right":
        assert Sequences.from_padded(padded.values, lengths=padded.lengths) == sequences


@given(data=ragged(dtypes=("float32", "float64")))
def test_nan_at_the_end_is_padding(data):
    sequences = Sequences.from_list(data)
    assert Sequences.from_padded(sequences.to_padded(fill=np.nan).values) == sequences


def test_a_step_is_padding_only_if_all_features_are_nan():
    values = np.array([[[1.0, 2.0], [3.0, np.nan]], [[1.0, 2.0], [np.nan, np.nan]]])
    with pytest.raises(DataError, match=r"sequences\[0\], step 1, feature 'feature_1'"):
        Sequences.from_padded(values)
    assert Sequences.from_padded(values, missing="keep").lengths.tolist() == [2, 1]
    with pytest.raises(DataError, match="SO205"):
        Sequences.from_padded(np.array([[1.0, np.nan, 2.0]]))


def test_a_mask_with_holes_keeps_the_order():
    values = np.arange(6).reshape(2, 3)
    sequences = Sequences.from_padded(values, mask=[[1, 0, 1], [False, True, False]])
    assert [array[:, 0].tolist() for _, array in sequences.items()] == [[0, 2], [4]]


def test_channels_first():
    values = np.arange(12.0).reshape(2, 3, 2)
    sequences = Sequences.from_padded(values, lengths=[2, 1], layout="channels_first")
    np.testing.assert_array_equal(sequences[0], values[0].T)
    np.testing.assert_array_equal(sequences[1], values[1].T[:1])


def test_targets_and_weights_are_padded_like_the_values():
    values, targets = np.zeros((2, 3, 1)), np.arange(6).reshape(2, 3)
    sequences = Sequences.from_padded(
        values, lengths=[1, 2], targets=targets, targets_per="step", weights=np.ones((2, 3))
    )
    assert sequences.targets.tolist() == [0, 3, 4]
    assert sequences.weights.tolist() == [1, 1, 1]
    assert sequences.weights_per == "step"
    per_sequence = Sequences.from_padded(values, lengths=[1, 2], targets=targets, targets_per="sequence")
    assert per_sequence.targets.shape == (2, 3)
    assert Sequences.from_padded(values, lengths=[1, 2], targets=[5, 6]).targets_per == "sequence"
    assert Sequences.from_padded(values, lengths=[1, 2], targets=[[1], [2, 3]]).targets.tolist() == [1, 2, 3]
    with pytest.raises(TargetError, match="could be meant per step or per sequence"):
        Sequences.from_padded(values, lengths=[1, 2], targets=targets)


@pytest.mark.parametrize(
    ("arguments", "what", "got"),
    [
        ({"lengths": [4, 1]}, "These lengths do not fit the values.", "4 in row 0"),
        ({"lengths": [-1, 1]}, "These lengths do not fit the values.", "-1 in row 0"),
        ({"lengths": [1]}, "These lengths do not fit the values.", "list of 1"),
        ({"lengths": [1.0, 2.0]}, "These lengths do not fit the values.", "list of 2"),
        ({"mask": np.ones((2, 2))}, "This mask does not fit the values.", "(2, 2) float64"),
        ({"mask": np.full((2, 3), 2)}, "This mask does not fit the values.", "(2, 3) int64"),
        (
            {"lengths": [1, 1], "mask": np.ones((2, 3))},
            "Lengths and a mask say the same thing twice.",
            "lengths= and mask=",
        ),
    ],
)
def test_lengths_and_masks_that_do_not_fit(arguments, what, got):
    with pytest.raises(DataError) as caught:
        Sequences.from_padded(np.zeros((2, 3, 1)), **arguments)
    assert (caught.value.what, caught.value.got, caught.value.code) == (what, got, "SO211")


def test_axes():
    with pytest.raises(DataError, match="SO202"):
        Sequences.from_padded(np.zeros(3))
    with pytest.raises(DataError, match="SO210"):
        Sequences.from_padded(np.zeros((0, 3, 1)))
