"""``bucket``, against every possible choice of bounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import DataError
from sostenuto.sequences import Sequences
from sostenuto.sequences.bucketing import best_bounds, padded_share


def of_lengths(lengths):
    return Sequences.from_list([[1] * length for length in lengths])


def padded_size(lengths, bounds):
    groups: dict = {}
    for length in lengths:
        groups.setdefault(min(bound for bound in bounds if bound >= length), []).append(length)
    return sum(max(group) * len(group) for group in groups.values())


LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=12)


@given(lengths=LENGTHS, groups=st.integers(1, 5))
def test_no_other_bounds_hold_less_padding(lengths, groups):
    sizes = sorted(set(lengths))
    least = min(
        padded_size(lengths, (*lower, sizes[-1]))
        for number in range(groups)
        for lower in itertools.combinations(sizes[:-1], number)
    )
    bounds = best_bounds(np.array(lengths), groups)
    assert len(bounds) <= groups
    assert padded_size(lengths, bounds.tolist()) == least
    share = padded_share(np.array(lengths), bounds)
    assert share == pytest.approx(1 - sum(lengths) / least if least else 0)


@given(
    lengths=LENGTHS,
    groups=st.one_of(st.integers(1, 5), st.lists(st.integers(0, 12), min_size=1, unique=True).map(sorted)),
)
def test_groups_are_a_partition_by_length(lengths, groups):
    found = of_lengths(lengths).bucket(groups)
    assert sorted(row for group in found for row in group.tolist()) == list(range(len(lengths)))
    for group in found:
        assert len(group)
        assert group.tolist() == sorted(group.tolist())
    for shorter, longer in itertools.pairwise(found):
        assert max(lengths[row] for row in shorter) < min(lengths[row] for row in longer)
    if isinstance(groups, list):
        for group in found:
            homes = {
                next((place for place, bound in enumerate(groups) if lengths[row] <= bound), len(groups))
                for row in group
            }
            assert len(homes) == 1


def test_very_many_lengths(rng):
    lengths = rng.integers(1, 100_000, 20_000)
    bounds = best_bounds(lengths, 8)
    assert len(bounds) == 8
    assert bounds[-1] == lengths.max()
    even = np.quantile(lengths, np.linspace(0.125, 1, 8)).astype(int)
    assert padded_share(lengths, bounds) < padded_share(lengths, even) * 1.01


@pytest.mark.parametrize("groups", [0, 1.5, [], [3, 3], [3, 2], [-1, 2], [1.5]])
def test_refused(groups):
    with pytest.raises(DataError, match="SO214"):
        of_lengths([1, 2, 3]).bucket(groups)
