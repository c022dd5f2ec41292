"""``to_padded`` and ``batch``, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import DataError, DataTypeError, UnknownIdError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@given(data=ragged(), side=st.sampled_from(["right", "left"]), extra=st.integers(0, 3), fill=st.integers(0, 9))
def test_padded_as_a_loop_would(data, side, extra, fill):
    steps = max(map(len, data)) + extra
    padded = Sequences.from_list(data).to_padded(steps, side=side, fill=fill)
    assert padded.values.dtype == data[0].dtype
    assert padded.lengths.tolist() == [len(array) for array in data]
    wanted = np.full((len(data), steps, data[0].shape[1]), fill, data[0].dtype)
    mask = np.zeros((len(data), steps), bool)
    for row, array in enumerate(data):
        first = 0 if side == "right" else steps - len(array)
        wanted[row, first : first + len(array)] = array
        mask[row, first : first + len(array)] = True
    np.testing.assert_array_equal(padded.values, wanted)
    np.testing.assert_array_equal(padded.mask, mask)


@given(data=ragged(), choice=st.data(), extra=st.integers(0, 2), per=st.sampled_from(["step", "sequence"]))
def test_a_batch_as_a_loop_would(data, choice, extra, per):
    rows = choice.draw(st.lists(st.integers(0, len(data) - 1), max_size=5))
    if per == "step":
        targets = [np.arange(2 * len(array)).reshape(-1, 2) + 1 for array in data]
        weights = [np.arange(len(array)) + 1.0 for array in data]
    else:
        targets, weights = [[row, 1] for row in range(len(data))], np.arange(len(data)) + 1.0
    sequences = Sequences.from_list(
        data,
        ids=[f"s{row}" for row in range(len(data))],
        targets=targets,
        weights=weights,
        targets_per=per,
        weights_per=per,
    )
    steps = max((len(data[row]) for row in rows), default=0) + extra
    batch = sequences.batch(rows, length=steps)
    assert batch.ids == tuple(f"s{row}" for row in rows)
    assert batch.lengths.tolist() == [len(data[row]) for row in rows]
    assert batch.values.shape == (len(rows), steps, data[0].shape[1])
    for place, row in enumerate(rows):
        length = len(data[row])
        np.testing.assert_array_equal(batch.values[place, :length], data[row])
        assert not batch.values[place, length:].any()
        if per == "step":
            np.testing.assert_array_equal(batch.targets[place, :length], targets[row])
            np.testing.assert_array_equal(batch.weights[place, :length], weights[row])
            assert not batch.targets[place, length:].any()
            assert not batch.weights[place, length:].any()
        else:
            assert batch.targets[place].tolist() == targets[row]
            assert batch.weights[place] == weights[row]


def test_a_batch_is_new_and_writeable():
    sequences = Sequences.from_list(np.ones((2, 3, 1)), targets=[1, 2], weights=[1, 2])
    batch = sequences.batch([0, 1])
    for array in (batch.values, batch.targets, batch.weights, batch.lengths):
        array += 1
    assert sequences.values.max() == 1
    assert sequences.targets.tolist() == [1, 2]
    padded = sequences.to_padded()
    padded.values[:] = 5
    padded.lengths[:] = 0
    assert sequences.lengths.tolist() == [3, 3]


def test_padding_keeps_nan_of_neighbours_out():
    sequences = Sequences.from_list([[np.nan], [1.0, 2.0], [np.nan]], missing="keep")
    assert sequences.batch([1, 2], length=4).values[0, :, 0].tolist() == [1, 2, 0, 0]


def test_padding_never_cuts():
    sequences = Sequences.from_list([[1, 2, 3], [4]])
    for call in (lambda: sequences.to_padded(2), lambda: sequences.batch([0, 1], length=2)):
        with pytest.raises(DataError) as caught:
            call()
        assert str(caught.value) == (
            "Padding never cuts a sequence.\n"
            "  where   argument 'length'\n"
            "  got     length=2\n"
            "  wanted  at least 3, the length of the longest sequence\n"
            "  fix     leave length= out, or cut the sequences first with chunk or window\n"
            "  more    sostenuto explain SO211"
        )
    assert sequences.batch([1], length=1).values.shape == (1, 1, 1)


def test_fill_must_fit():
    sequences = Sequences.from_list([[1, 2], [3]])
    for fill in (np.nan, 0.5, 2**70):
        with pytest.raises(DataTypeError, match="SO204"):
            sequences.to_padded(fill=fill)
    assert sequences.to_padded(fill=-1).values[1, 1, 0] == -1
    with pytest.raises(DataError, match="SO214"):
        sequences.to_padded(side="middle")


def test_positions_are_checked():
    sequences = Sequences.from_list([[1], [2]])
    for rows in ([2], [-1]):
        with pytest.raises(UnknownIdError, match="There is no sequence at this position"):
            sequences.batch(rows)
    for rows in ([0.5], "ab", [[0]]):
        with pytest.raises(DataTypeError, match="These are no positions"):
            sequences.batch(rows)
