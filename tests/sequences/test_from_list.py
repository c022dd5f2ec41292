"""``Sequences.from_list`` and ``Sequences.of``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given

from sostenuto.errors import DataError, DataTypeError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@given(data=ragged())
def test_every_array_comes_back(data):
    sequences = Sequences.from_list(data)
    assert sequences.dtype == data[0].dtype
    for position, array in enumerate(data):
        np.testing.assert_array_equal(sequences[position], array)
        assert len(sequences[position]) == len(array)


@given(data=ragged())
def test_nested_lists_and_transposed_arrays_read_alike(data):
    wanted = Sequences.from_list([array.astype("int64") for array in data])
    nested = Sequences.from_list([array.astype("int64").tolist() for array in data])
    if wanted.steps:
        assert nested == wanted
    assert Sequences.from_list([array.T for array in data], layout="channels_first") == Sequences.from_list(data)


def test_a_stack_reads_as_batch_time_features(rng):
    stack = rng.normal(size=(3, 4, 2)).astype("float32")
    sequences = Sequences.from_list(stack, ids=["a", "b", "c"])
    np.testing.assert_array_equal(sequences["b"], stack[1])
    assert Sequences.from_list(stack.swapaxes(1, 2), ids=["a", "b", "c"], layout="channels_first") == sequences
    assert sequences.features == ("feature_0", "feature_1")


def test_keys_of_a_dict_are_ids_and_order_targets():
    sequences = Sequences.from_list({"a": [1], "b": [2, 3]}, targets={"b": 20, "a": 10})
    assert sequences.ids == ("a", "b")
    assert sequences.targets.tolist() == [10, 20]


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([[1, 2], [3]], "int64"),
        ([[1, 2], [3.5]], "float64"),
        ([[1, 2], []], "int64"),
        ([np.float16([1]), np.float32([2])], "float32"),
        ([np.float32([1]), np.int16([2])], "float32"),
        ([np.array([1], ">f4")], "float32"),
        ([[True, False]], "float32"),
        ([[True], [2]], "int64"),
    ],
)
def test_dtypes(data, dtype):
    values = Sequences.from_list(data).values
    assert values.dtype == np.dtype(dtype)
    assert values.dtype.isnative


def test_data_frames_and_series_name_their_features():
    frames = [pd.DataFrame({"x": [1.0], "y": [2.0]}), pl.DataFrame({"x": [3.0, 4.0], "y": [5.0, 6.0]})]
    sequences = Sequences.from_list(frames)
    assert sequences.features == ("x", "y")
    assert sequences[1].tolist() == [[3, 5], [4, 6]]
    assert Sequences.from_list([pd.Series([1, 2]), pl.Series([3])]).values[:, 0].tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="Data frames disagree about their columns"):
        Sequences.from_list([frames[0], frames[0].rename(columns={"y": "z"})])


def test_sequences_without_steps_take_the_features_of_others():
    sequences = Sequences.from_list([[], np.ones((2, 3), "float32"), []])
    assert sequences.values.shape == (2, 3)
    assert sequences.dtype == np.float32
    assert sequences.lengths.tolist() == [0, 2, 0]
    assert Sequences.from_list([[], []]).values.shape == (0, 1)


def test_missing_values_name_the_place():
    data = {"a": np.ones((2, 2)), "b": np.array([[1, 2], [np.nan, np.inf], [np.nan, np.nan]])}
    with pytest.raises(DataError) as caught:
        Sequences.from_list(data, features=["x", "y"])
    assert str(caught.value) == (
        "The data has missing or infinite values.\n"
        "  where   sequences['b'], step 1, feature 'x'\n"
        "          sequences['b'], step 1, feature 'y'\n"
        "          sequences['b'], step 2, feature 'x'\n"
        "          and 1 more\n"
        "  got     4 missing or infinite values of 10\n"
        "  wanted  a finite number for every feature of every step\n"
        "  fix     fill or drop them first (by id, so that no value leaks across sequences), or say missing='keep'\n"
        "  more    sostenuto explain SO205"
    )
    assert np.isnan(Sequences.from_list(data, missing="keep")["b"]).sum() == 3


def test_masked_arrays_do_not_lose_their_mask():
    with pytest.raises(DataError, match="A masked array has masked values"):
        Sequences.from_list([np.ma.array([1.0, 2.0], mask=[False, True])])
    assert Sequences.from_list([np.ma.array([1.0, 2.0])]).steps == 2


REFUSED = [
    ([[1, 2], ["x"]], "SO204", "where   sequences[1]\n  got     text in (1,)\n"),
    ([[1, None]], "SO204", "where   sequences[0]\n  got     None at 1 in (2,) object\n"),
    ([np.array(["2020-01-01"], "datetime64[D]")], "SO204", "got     (1,) datetime64[D]\n"),
    ([[1 + 2j]], "SO204", "fix     give real and imaginary parts as two features\n"),
    ([np.zeros((2, 2, 2))], "SO202", "got     (2, 2, 2) float64\n"),
    ([[1], 2], "SO202", "where   sequences[1]\n  got     a single number\n"),
    ([[[1, 2], [3]]], "SO202", "Steps disagree about the number of features.\n  where   sequences[0]\n"),
    ([np.zeros((5, 2)), np.zeros((4, 3))], "SO203", "got     3 features in (4, 3)"),
    ([np.zeros((5, 2)), np.zeros((2, 7))], "SO203", "fix     it looks transposed: layout='channels_first'"),
    ([], "SO210", "got     0 sequences\n"),
    ({}, "SO210", "where   dict of 0\n"),
    ([1.0, 2.0], "SO201", "fix     one sequence: Sequences.from_list([data])\n"),
    (np.zeros(3), "SO201", "fix     one sequence of one feature: Sequences.from_list([data])\n"),
    (np.zeros((2, 3, 4, 5)), "SO202", "wanted  (batch, time, features)\n"),
    ("data.parquet", "SO201", "fix     a file of rows: Sequences.from_table(path, id='column')\n"),
    (pd.DataFrame({"a": [1]}), "SO201", "fix     a long table: Sequences.from_table(table, id='column')\n"),
    (pl.LazyFrame({"a": [1]}), "SO201", "fix     a long table: Sequences.from_table(table, id='column')\n"),
    ((array for array in [[1]]), "SO201", "fix     Sequences.from_list(list(data))\n"),
    (3, "SO201", "got     int\n"),
    (None, "SO201", "got     NoneType\n"),
]


@pytest.mark.parametrize(("data", "code", "part"), REFUSED, ids=range(len(REFUSED)))
def test_refused_with_the_way_out(data, code, part):
    with pytest.raises(DataError) as caught:
        Sequences.of(data)
    assert caught.value.code == code
    assert part in str(caught.value) + "\n"


def test_two_axes_could_be_one_sequence_or_many():
    with pytest.raises(DataTypeError) as caught:
        Sequences.of(np.zeros((3, 4), "float32"))
    assert str(caught.value) == (
        "This could be one sequence or many.\n"
        "  where   argument 'data'\n"
        "  got     (3, 4) float32: (batch, time) or (time, features)\n"
        "  wanted  a list of sequences, or an array (batch, time, features)\n"
        "  fix     many series of one feature: Sequences.from_list(data[..., None])\n"
        "          one sequence: Sequences.from_list([data])\n"
        "  more    sostenuto explain SO201"
    )


def test_ids_must_fit():
    for ids, code in [(["a"], "SO211"), (["a", "a"], "SO206"), ([[1], [2]], "SO201"), ([float("nan"), 1.0], "SO201")]:
        with pytest.raises(DataError) as caught:
            Sequences.from_list([[1], [2]], ids=ids)
        assert caught.value.code == code
    with pytest.raises(DataTypeError, match="A dict brings its own ids"):
        Sequences.from_list({"a": [1]}, ids=["b"])


def test_repeated_ids_are_named():
    with pytest.raises(DataError) as caught:
        Sequences.from_list([[1], [2], [3]], ids=np.array([4, 4, 5]))
    assert str(caught.value) == (
        "Two sequences have the same id.\n"
        "  where   the ids\n"
        "  got     more than one sequence under 4\n"
        "  wanted  one sequence per id\n"
        "  fix     make the ids unique, or add what tells the sequences apart: (id, visit)\n"
        "  more    sostenuto explain SO206"
    )


def test_names_of_features_must_fit():
    for features in (["x"], ["x", "x"], ["x", "y", "z"]):
        with pytest.raises(DataError, match="SO203"):
            Sequences.from_list([np.zeros((1, 2))], features=features)


def test_options_are_checked():
    with pytest.raises(DataError) as caught:
        Sequences.from_list([[1]], layout="channel_first")
    assert str(caught.value) == (
        "layout='channel_first' is not on offer.\n"
        "  where   argument 'layout'\n"
        "  got     'channel_first'\n"
        "  wanted  'channels_last' or 'channels_first'\n"
        "  fix     write layout='channels_first'\n"
        "  more    sostenuto explain SO214"
    )


def test_of_passes_sequences_through():
    sequences = Sequences.from_list([[1]])
    assert Sequences.of(sequences) is sequences
    assert Sequences.of({"a": [1.0]}).ids == ("a",)


class Tensor:
    """Stands for a tensor of a framework that tracks gradients and knows NumPy's protocol."""

    def __init__(self, array, tracked=True):
        self._array, self._tracked = array, tracked
        self.shape, self.dtype = array.shape, array.dtype

    def detach(self):
        return Tensor(self._array, tracked=False)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        assert not self._tracked
        return self._array


def test_tensors_are_read_through_numpy():
    array = np.ones((2, 3, 1), "float32")
    assert Sequences.of(Tensor(array)) == Sequences.of(array)
    assert Sequences.of([Tensor(array[0]), Tensor(array[1])]) == Sequences.of(array)
