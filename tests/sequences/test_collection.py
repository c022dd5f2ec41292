"""``Sequences`` as a collection: looking up, comparing, pickling, never changing."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import DataError, DataTypeError, TargetError, UnknownIdError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@pytest.fixture
def sequences() -> Sequences:
    data = {"a": np.arange(6.0).reshape(3, 2), "b": np.zeros((0, 2)), ("c", 1): np.ones((1, 2))}
    return Sequences.from_list(data, targets=[[1, 2, 3], [], [4]], weights=[1.0, 0.5, 2.0], features=["x", "y"])


def test_it_is_a_mapping_from_ids_to_arrays(sequences):
    assert len(sequences) == 3
    assert list(sequences) == ["a", "b", ("c", 1)]
    assert sequences.ids == ("a", "b", ("c", 1))
    assert ("c", 1) in sequences
    assert "d" not in sequences
    assert [1] not in sequences
    np.testing.assert_array_equal(sequences["a"], [[0, 1], [2, 3], [4, 5]])
    assert sequences["b"].shape == (0, 2)
    assert {name: array.tolist() for name, array in sequences.items()} == {
        name: sequences[name].tolist() for name in sequences
    }
    assert sequences.position(("c", 1)) == 2


def test_sizes(sequences):
    assert (sequences.steps, sequences.feature_count, sequences.dtype) == (4, 2, np.float64)
    assert sequences.lengths.tolist() == [3, 0, 1]
    assert sequences.offsets.tolist() == [0, 3, 3, 4]
    assert sequences.features == ("x", "y")
    assert repr(sequences) == (
        "Sequences(3 sequences, 4 steps, 2 features, float64, targets per step, weights per sequence)"
    )


def test_ids_are_plain_python_values():
    for given_ids, wanted in [
        (np.array([3, 1], np.int32), (3, 1)),
        (np.array(["x", "y"]), ("x", "y")),
        ([np.int64(5), np.str_("k")], (5, "k")),
        (None, (0, 1)),
        ([2**70, 1], (2**70, 1)),
    ]:
        ids = Sequences.from_list([[1], [2]], ids=given_ids).ids
        assert ids == wanted
        assert [type(name) for name in ids] == [type(name) for name in wanted]


def test_nothing_handed_out_can_be_written_to(sequences):
    for array in (
        sequences.values,
        sequences.offsets,
        sequences.lengths,
        sequences.targets,
        sequences.weights,
        sequences["a"],
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    with pytest.raises(AttributeError, match="never change"):
        sequences.values = np.zeros(3)
    with pytest.raises(AttributeError, match="never change"):
        del sequences.values


def test_the_callers_arrays_stay_writeable_and_apart():
    stack = np.zeros((2, 3, 1))
    sequences = Sequences.from_list(stack)
    stack[:] = 7
    assert not sequences.values.any()


def test_the_constructor_takes_flat_values_without_a_copy():
    values = np.arange(4.0).reshape(4, 1)
    sequences = Sequences(values, [0, 1, 4])
    assert np.shares_memory(sequences.values, values)
    assert values.flags.writeable


@given(data=ragged(), kind=st.sampled_from(["step", "sequence", None]))
def test_equal_and_pickled_by_value(data, kind):
    targets = {
        "step": [array[:, 0] for array in data],
        "sequence": list(range(len(data))),
        None: None,
    }[kind]
    one, other = (Sequences.from_list(data, targets=targets, targets_per=kind) for _ in range(2))
    assert one == other
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one
    assert not copy.values.flags.writeable
    assert copy.ids == one.ids
    assert one != Sequences.from_list(data, ids=[f"s{number}" for number in range(len(data))])
    if one.steps:
        assert one != one.map_steps(lambda values: values + 1)
    if kind:
        assert one != one.with_targets(None)


def test_equality_minds_dtype_names_and_nan():
    data = [[1.0, np.nan]]
    one = Sequences.from_list(data, missing="keep")
    assert one == Sequences.from_list(data, missing="keep")
    assert one != Sequences.from_list(data, missing="keep", features=["x"])
    assert one != one.astype("float32")
    assert one != Sequences.from_list([[1.0, 2.0]])
    assert one != [[1.0, np.nan]]
    with pytest.raises(TypeError):
        hash(one)


def test_unknown_id_names_near_ones(sequences):
    many = Sequences.from_list({"engine-1": [1], "engine-2": [1], "pump": [1]})
    with pytest.raises(UnknownIdError) as caught:
        many["engin-2"]
    assert str(caught.value) == (
        "There is no sequence 'engin-2'.\n"
        "  where   the ids of the collection\n"
        "  got     'engin-2' (str)\n"
        "  wanted  one of the 3 ids: 'engine-1', 'engine-2', 'pump'\n"
        "  fix     near ones: 'engine-1', 'engine-2'\n"
        "  more    sostenuto explain SO212"
    )
    with pytest.raises(KeyError):
        many[0]


def test_a_number_is_not_its_text():
    with pytest.raises(UnknownIdError, match=r"got     '7' \(str\)\n.*\n  fix     near ones: 7\n"):
        Sequences.from_list([[1]], ids=[7])["7"]


@pytest.mark.parametrize(
    ("offsets", "got"),
    [
        ([0, 2], "offsets list of 2 for 3 steps"),
        ([1, 3], "offsets list of 2 for 3 steps"),
        ([0, 2, 1, 3], "offsets list of 4 for 3 steps"),
        ([0.0, 3.0], "offsets list of 2 for 3 steps"),
        ([], "offsets list of 0 for 3 steps"),
    ],
)
def test_offsets_that_do_not_describe_the_values(offsets, got):
    with pytest.raises(DataError) as caught:
        Sequences(np.zeros((3, 1)), offsets)
    assert str(caught.value) == (
        "These offsets do not describe the values.\n"
        "  where   argument 'offsets'\n"
        f"  got     {got}\n"
        "  wanted  integers that start at 0, never fall and end at 3\n"
        "  fix     let from_list or from_padded compute them\n"
        "  more    sostenuto explain SO211"
    )


def test_values_that_are_not_flat():
    with pytest.raises(DataTypeError, match="SO202"):
        Sequences(np.zeros((2, 3, 1)), [0, 2])


def test_with_targets_and_weights(sequences):
    new = sequences.with_targets({"b": 1, "a": 0, ("c", 1): 2}, target_names=["kind"])
    assert new.targets.tolist() == [0, 1, 2]
    assert (new.targets_per, new.target_names) == ("sequence", ("kind",))
    assert sequences.targets_per == "step"
    assert sequences.with_weights(None).weights is None
    assert sequences.with_weights([[1, 2, 3], [], [0]]).weights.tolist() == [1, 2, 3, 0]
    with pytest.raises(TargetError):
        sequences.with_targets([1, 2])
