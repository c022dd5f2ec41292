"""``window`` and ``chunk``, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import DataError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


def with_all(data, per):
    targets = [np.arange(len(array)) for array in data] if per == "step" else list(range(len(data)))
    return Sequences.from_list(data, targets=targets, weights=targets, targets_per=per, weights_per=per), targets


def check(found, wanted, data, targets, per):
    assert list(found.ids) == [(row, start) for row, start, _ in wanted]
    assert [array.tolist() for _, array in found.items()] == [
        data[row][start:stop].tolist() for row, start, stop in wanted
    ]
    if per == "step":
        flat = [value for row, start, stop in wanted for value in targets[row][start:stop].tolist()]
    else:
        flat = [targets[row] for row, _, _ in wanted]
    assert found.targets.tolist() == flat
    assert found.weights.tolist() == flat


@given(
    data=ragged(longest=9),
    length=st.integers(1, 5),
    stride=st.integers(1, 4),
    drop=st.booleans(),
    per=st.sampled_from(["step", "sequence"]),
)
def test_windows(data, length, stride, drop, per):
    sequences, targets = with_all(data, per)
    wanted = []
    for row, array in enumerate(data):
        if len(array) < length and not drop:
            wanted.append((row, 0, len(array)))
        start = 0
        while start + length <= len(array):
            wanted.append((row, start, start + length))
            start += stride
    if wanted:
        check(sequences.window(length, stride, drop_shorter=drop), wanted, data, targets, per)
    else:
        with pytest.raises(DataError, match="SO210"):
            sequences.window(length, stride, drop_shorter=drop)


@given(data=ragged(longest=9), length=st.integers(1, 10), per=st.sampled_from(["step", "sequence"]))
def test_chunks_are_a_partition_in_order(data, length, per):
    sequences, targets = with_all(data, per)
    wanted = []
    for row, array in enumerate(data):
        for start in range(0, max(1, len(array)), length):
            wanted.append((row, start, min(start + length, len(array))))
    found = sequences.chunk(length)
    check(found, wanted, data, targets, per)
    assert found.steps == 0 or np.shares_memory(found.values, sequences.values)
    np.testing.assert_array_equal(found.values, sequences.values)


@pytest.mark.parametrize("length", [0, -1, 2.0, "3", None, True])
def test_lengths_are_whole_numbers(length):
    sequences = Sequences.from_list([[1, 2, 3]])
    for call in (sequences.window, sequences.chunk):
        with pytest.raises(DataError) as caught:
            call(length)
        assert str(caught.value) == (
            f"length={length!r} cannot be meant.\n"
            "  where   argument 'length'\n"
            f"  got     {length!r}\n"
            "  wanted  a whole number from 1 on\n"
            "  fix     choose a whole number of at least 1\n"
            "  more    sostenuto explain SO214"
        )


def test_no_window_left():
    with pytest.raises(DataError) as caught:
        Sequences.from_list([[1], [2, 3]]).window(4, drop_shorter=True)
    assert str(caught.value) == (
        "No window is left.\n"
        "  where   argument 'length' of window\n"
        "  got     sequences of at most 2 steps\n"
        "  wanted  at least 4 steps for a window\n"
        "  fix     use shorter windows, or drop_shorter=False\n"
        "  more    sostenuto explain SO210"
    )
