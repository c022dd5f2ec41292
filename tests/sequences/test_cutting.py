"""``take``, ``select``, ``split``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import DataError, TargetError, UnknownIdError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@given(data=ragged(), choice=st.data(), per=st.sampled_from(["step", "sequence"]))
def test_take_as_a_loop_would(data, choice, per):
    rows = choice.draw(st.lists(st.integers(0, len(data) - 1), unique=True))
    targets = [array[:, 0] for array in data] if per == "step" else list(range(len(data)))
    weights = [float(row) for row in range(len(data))]
    sequences = Sequences.from_list(data, targets=targets, weights=weights, targets_per=per)
    found = sequences.take(rows)
    assert found.ids == tuple(rows)
    assert [array.tolist() for _, array in found.items()] == [data[row].tolist() for row in rows]
    assert found.weights.tolist() == rows
    if per == "step":
        assert found.targets.tolist() == [value for row in rows for value in data[row][:, 0].tolist()]
    else:
        assert found.targets.tolist() == rows
    assert sequences.select(rows) == found
    mask = np.isin(np.arange(len(data)), rows)
    assert sequences.take(mask) == sequences.take(sorted(rows))


def test_neighbours_share_the_values():
    sequences = Sequences.from_list([[1, 2], [3], [4]])
    part = sequences.take([1, 2])
    assert np.shares_memory(part.values, sequences.values)
    assert part.offsets.tolist() == [0, 1, 2]
    assert not np.shares_memory(sequences.take([0, 2]).values, sequences.values)


def test_an_empty_part_is_legal():
    empty = Sequences.from_list([[1, 2], [3]], targets=[0, 1]).take([])
    assert (len(empty), empty.steps, empty.lengths.tolist()) == (0, 0, [])
    assert empty.to_padded().values.shape == (0, 0, 1)
    assert empty.targets.shape == (0,)
    assert repr(empty) == "Sequences(0 sequences, 0 steps, 1 feature, int64, targets per sequence)"


def test_take_and_select_refuse():
    sequences = Sequences.from_list({"a": [1], "b": [2]})
    with pytest.raises(UnknownIdError, match="SO212"):
        sequences.take([2])
    with pytest.raises(UnknownIdError, match="SO212"):
        sequences.select(["c"])
    with pytest.raises(DataError, match="SO206"):
        sequences.take([0, 0])


@given(number=st.integers(5, 60), seed=st.integers(0, 9), shares=st.sampled_from([(0.8,), (0.5, 0.25), (0.4, 0.6)]))
def test_a_split_is_a_partition(number, seed, shares):
    sequences = Sequences.from_list([[row] * (row % 3) for row in range(number)])
    parts = sequences.split(*shares, seed=seed)
    assert len(parts) == (len(shares) if sum(shares) == 1 else len(shares) + 1)
    assert sorted(name for part in parts for name in part) == list(range(number))
    for part, share in zip(parts, shares, strict=False):
        assert abs(len(part) - share * number) <= 1
        assert list(part) == sorted(part)
    assert all(one == other for one, other in zip(parts, sequences.split(*shares, seed=seed), strict=True))


def test_the_seed_counts():
    sequences = Sequences.from_list([[row] for row in range(50)])
    assert sequences.split(0.5)[0] != sequences.split(0.5, seed=1)[0]


@given(seed=st.integers(0, 20))
def test_pieces_of_one_sequence_stay_together(seed):
    pieces = Sequences.from_list([list(range(9))] * 10).chunk(2)
    one, other = pieces.split(0.7, seed=seed, by=lambda name: name[0])
    sides = [{name[0] for name in part} for part in (one, other)]
    assert not sides[0] & sides[1]
    assert (len(sides[0]), len(sides[1])) == (7, 3)


@given(seed=st.integers(0, 20), counts=st.lists(st.integers(4, 40), min_size=2, max_size=4))
def test_stratified_parts_keep_the_shares(seed, counts):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    sequences = Sequences.from_list([[row] for row in range(len(labels))], targets=labels)
    one, other = sequences.split(0.75, seed=seed, stratify=True)
    for label, number in enumerate(counts):
        assert abs((one.targets == label).sum() - 0.75 * number) <= 2
        assert (one.targets == label).sum() + (other.targets == label).sum() == number
    names = np.array(["a", "b", "c", "d"])[labels]
    assert sequences.split(0.75, seed=seed, stratify=names)[0] == one


@pytest.mark.parametrize("fractions", [(), (1.0,), (0,), (0.5, 0.6), (-0.1,), ("half",), (2,)])
def test_fractions_that_make_no_parts(fractions):
    with pytest.raises(DataError, match="These fractions do not make parts"):
        Sequences.from_list([[1], [2]]).split(*fractions)


def test_split_refuses():
    sequences = Sequences.from_list([[1], [2]])
    with pytest.raises(DataError) as caught:
        sequences.split(0.9)
    assert str(caught.value) == (
        "A part of the split would be empty.\n"
        "  where   part 1, a share of 0.1\n"
        "  got     2 sequences\n"
        "  wanted  at least 1 for each part\n"
        "  fix     use other fractions, or more sequences\n"
        "  more    sostenuto explain SO210"
    )
    with pytest.raises(TargetError, match="no targets per sequence to stratify by"):
        sequences.split(0.5, stratify=True)
    with pytest.raises(TargetError, match="labels to stratify by do not fit"):
        sequences.split(0.5, stratify=[1])
    with pytest.raises(DataError, match="cannot be had together"):
        sequences.split(0.5, stratify=[1, 2], by=lambda name: name)
