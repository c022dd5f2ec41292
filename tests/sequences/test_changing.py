"""``map``, ``map_steps``, ``astype``, ``concatenate``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from sostenuto.errors import DataError, DataTypeError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@given(data=ragged())
def test_map_goes_by_sequence_and_map_steps_by_step(data):
    sequences = Sequences.from_list(data, targets=list(range(len(data))))
    found = sequences.map(lambda array: np.cumsum(array, axis=0, dtype="float64"))
    for row, array in enumerate(data):
        np.testing.assert_array_equal(found[row], np.cumsum(array, axis=0, dtype="float64"))
    assert (found.ids, found.features) == (sequences.ids, sequences.features)
    doubled = sequences.map_steps(lambda values: np.hstack([values, values]).astype("float32"))
    assert doubled == sequences.map(lambda array: np.hstack([array, array]).astype("float32"))
    assert doubled.features == tuple(f"feature_{number}" for number in range(2 * data[0].shape[1]))
    assert doubled.targets.tolist() == list(range(len(data)))


def test_new_names():
    sequences = Sequences.from_list([np.ones((2, 2))], features=["x", "y"])
    assert sequences.map(lambda array: array.sum(axis=1), features=["sum"]).features == ("sum",)
    assert sequences.map_steps(lambda values: -values).features == ("x", "y")


def test_map_refuses():
    sequences = Sequences.from_list([[1, 2], [3]])
    with pytest.raises(DataError) as caught:
        sequences.map(lambda array: array[1:])
    assert str(caught.value) == (
        "The function changed the steps.\n"
        "  where   the function's result for sequences[0]\n"
        "  got     (1, 1) int64\n"
        "  wanted  (2, features) or (2,)\n"
        "  fix     return one row for each step; window, chunk and take change which steps there are\n"
        "  more    sostenuto explain SO202"
    )
    with pytest.raises(DataError, match="SO202"):
        sequences.map_steps(lambda values: values.sum())
    with pytest.raises(DataError, match="SO203"):
        sequences.map(lambda array: np.ones((len(array), len(array))))
    with pytest.raises(DataTypeError, match="SO204"):
        sequences.map_steps(lambda values: values.astype(str))


def test_astype():
    sequences = Sequences.from_list([[1.0, 2.0], [300.0]], targets=[1, 2])
    assert sequences.astype("float64") is sequences
    assert sequences.astype("int16").values[:, 0].tolist() == [1, 2, 300]
    assert sequences.astype("float32").targets.dtype == np.int64
    for dtype, values in [
        ("int8", [300.0]),
        ("int32", [0.5]),
        ("float16", [1e6]),
        ("int32", [1e20]),
        ("str", [1.0]),
        ("uint8", [-1]),
    ]:
        with pytest.raises(DataTypeError, match="This dtype cannot hold the values"):
            Sequences.from_list([values]).astype(dtype)
    with pytest.raises(DataTypeError):
        Sequences.from_list([[np.nan]], missing="keep").astype("int32")


@given(data=ragged())
def test_joined_as_one_list(data):
    ids = [f"s{row}" for row in range(len(data))]
    targets = list(range(len(data)))
    whole = Sequences.from_list(data, ids=ids, targets=targets, weights=targets)
    parts = [
        Sequences.from_list([array], ids=[name], targets=[row], weights=[row])
        for row, (array, name) in enumerate(zip(data, ids, strict=True))
    ]
    assert Sequences.concatenate(parts) == whole
    assert Sequences.concatenate([whole.take([0]), whole.take(range(1, len(data)))]) == whole


def test_join_refuses():
    one = Sequences.from_list({"a": [1, 2]}, targets=[0])
    for other, code in [
        (Sequences.from_list({"a": [1]}, targets=[0]), "SO206"),
        (Sequences.from_list({"b": [1]}), "SO401"),
        (Sequences.from_list({"b": [1]}, targets=[[0, 1]]), "SO401"),
        (Sequences.from_list({"b": [1]}, targets=[0], weights=[1]), "SO404"),
        (Sequences.from_list({"b": [1]}, targets=[0], features=["x"]), "SO203"),
        ([[1]], "SO201"),
    ]:
        with pytest.raises(DataError) as caught:
            Sequences.concatenate([one, other])
        assert caught.value.code == code
    with pytest.raises(DataError, match="SO210"):
        Sequences.concatenate([])
