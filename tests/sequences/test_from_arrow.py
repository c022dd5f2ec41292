"""``Sequences.from_arrow``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import ColumnError, DataError, DataTypeError, TargetError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@given(
    data=ragged(dtypes=("float32", "float64", "int32")),
    form=st.sampled_from(["list", "large", "fixed"]),
    pieces=st.booleans(),
)
def test_lists_of_steps(data, form, pieces):
    item, width = pa.from_numpy_dtype(data[0].dtype), data[0].shape[1]
    kind = {
        "list": pa.list_(pa.list_(item)),
        "large": pa.large_list(pa.large_list(item)),
        "fixed": pa.list_(pa.list_(item, width)),
    }[form]
    array = pa.array([array.tolist() for array in data], kind)
    if pieces:
        array = pa.chunked_array([array[:1], array[1:]])
    found = Sequences.from_arrow(array)
    wanted = Sequences.from_list(data)
    if wanted.steps or form == "fixed":
        assert found == wanted
    assert found.lengths.tolist() == wanted.lengths.tolist()


@given(data=ragged(dtypes=("float32",)), start=st.integers(0, 3))
def test_a_column_per_feature_and_slices(data, start):
    start = min(start, len(data) - 1)
    width = data[0].shape[1]
    kind = pa.list_(pa.float32())
    columns = {f"f{number}": pa.array([array[:, number].tolist() for array in data], kind) for number in range(width)}
    table = pa.table({"id": [f"s{number}" for number in range(len(data))], **columns})
    sequences = Sequences.from_arrow(table.slice(start), id="id")
    assert sequences.features == tuple(columns)
    for number, array in list(enumerate(data))[start:]:
        np.testing.assert_array_equal(sequences[f"s{number}"], array)


def test_one_column_of_numbers_is_not_copied():
    numbers = pa.array(np.arange(5, dtype="float32"))
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 5], pa.int32()), numbers)
    sequences = Sequences.from_arrow(pa.table({"x": lists}))
    assert sequences.values.ctypes.data == numbers.buffers()[1].address
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 2)
    steps = pa.ListArray.from_arrays(pa.array([0, 1, 3], pa.int32()), fixed)
    sequences = Sequences.from_arrow(steps)
    assert sequences[1].tolist() == [[2, 3], [4, 5]]
    assert sequences.values.ctypes.data == fixed.values.buffers()[1].address


def test_targets_and_weights():
    table = pa.table(
        {
            "x": [[1.0, 2.0], [3.0]],
            "kind": [0, 1],
            "more": [0.5, 0.25],
            "each": [[1, 2], [3]],
            "pair": [[1, 2], [3, 4]],
            "w": [[1.0, 0.0], [2.0]],
        }
    )
    one = Sequences.from_arrow(table, "x", target="kind", weight="w")
    assert (one.targets.tolist(), one.targets_per, one.weights.tolist()) == ([0, 1], "sequence", [1, 0, 2])
    assert one.target_names == ("kind",)
    assert Sequences.from_arrow(table, "x", target=["kind", "more"]).targets.tolist() == [[0, 0.5], [1, 0.25]]
    each = Sequences.from_arrow(table, "x", target="each")
    assert (each.targets.tolist(), each.targets_per) == ([1, 2, 3], "step")
    assert Sequences.from_arrow(table, "x", target="pair", target_per="sequence").targets.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(TargetError, match=r"column 'pair', row 1\n  got     2 entries\n  wanted  1, one for each step"):
        Sequences.from_arrow(table, "x", target="pair")
    with pytest.raises(TargetError, match="must hold numbers, not lists"):
        Sequences.from_arrow(table, "x", target=["each", "kind"])
    with pytest.raises(TargetError, match="differ in length"):
        Sequences.from_arrow(table, "x", target="each", target_per="sequence")


def test_frames_and_files(tmp_path: Path):
    frame = pl.DataFrame({"id": ["a", "b"], "part": [1, 2], "x": [[1, 2], [3]], "flag": [[True, False], [True]]})
    sequences = Sequences.from_arrow(frame, id=["id", "part"])
    assert (sequences.ids, sequences.features) == ((("a", 1), ("b", 2)), ("x", "flag"))
    assert sequences[("a", 1)].tolist() == [[1, 1], [2, 0]]
    frame.write_parquet(tmp_path / "t.parquet")
    assert Sequences.from_arrow(tmp_path / "t.parquet", id=["id", "part"]) == sequences
    assert Sequences.from_arrow(frame["x"].to_arrow()).values[:, 0].tolist() == [1, 2, 3]


REFUSED = [
    ({"x": [1.0, 2.0]}, ColumnError, "SO208", "No column holds lists."),
    ({"x": [["a"], ["b"]]}, DataTypeError, "SO204", "This column holds no lists of numbers."),
    ({"x": [[1.0], None]}, DataError, "SO205", "A row is null."),
    ({"x": [[[1.0], None], [[1.0]]]}, DataError, "SO205", "A step is null."),
    ({"x": [[1.0, None]]}, DataError, "SO205", "The data has missing or infinite values."),
    ({"x": [[1, None]]}, DataError, "SO205", "The data has missing or infinite values."),
    ({"x": [[[1, 2], [1]]]}, DataError, "SO203", "Steps disagree about the number of features."),
    ({"x": [[1, 2]], "y": [[1]]}, DataError, "SO202", "Columns disagree about the length of a sequence."),
    ({"x": pa.array([], pa.list_(pa.int64()))}, DataError, "SO210", "There is no sequence in this data."),
]


@pytest.mark.parametrize(("columns", "kind", "code", "what"), REFUSED, ids=range(len(REFUSED)))
def test_refused(columns, kind, code, what):
    with pytest.raises(kind) as caught:
        Sequences.from_arrow(pa.table(columns))
    assert (caught.value.code, caught.value.what) == (code, what)


def test_lists_without_any_element():
    assert Sequences.from_arrow(pa.table({"x": [[], []]})).lengths.tolist() == [0, 0]


def test_kept_nulls_are_nan():
    found = Sequences.from_arrow(pa.table({"x": [[1, None]]}), missing="keep")
    np.testing.assert_array_equal(found.values, [[1], [np.nan]])


def test_ids_must_be_there():
    with pytest.raises(DataError, match="Some rows have no id"):
        Sequences.from_arrow(pa.table({"id": [1, None], "x": [[1], [2]]}), id="id")
    with pytest.raises(ColumnError, match="near ones: 'name'"):
        Sequences.from_arrow(pa.table({"name": [1], "x": [[1]]}), id="nam")
