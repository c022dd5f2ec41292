"""``to_table`` and the way back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import ColumnError, DataError, DataTypeError, TargetError
from sostenuto.sequences import Sequences
from tests.sequences.strategies import ragged


@given(
    data=ragged(least=1, dtypes=("float32", "float64", "int32", "int64")),
    kind=st.sampled_from(["arrow", "pandas", "polars"]),
    per=st.sampled_from(["step", "sequence"]),
    pairs=st.booleans(),
    wide=st.booleans(),
)
def test_there_and_back(data, kind, per, pairs, wide):
    ids = [("u", row) for row in range(len(data))] if pairs else [f"u{row}" for row in range(len(data))]
    targets = np.arange(2.0 * sum(map(len, data)) if per == "step" else 2.0 * len(data)).reshape(-1, 2)
    sequences = Sequences.from_list(data, ids=ids, targets=targets if wide else targets[:, 0], targets_per=per)
    if per == "step":
        sequences = sequences.with_weights(np.arange(sequences.steps), "step")
    table = sequences.to_table(kind)
    assert isinstance(table, {"arrow": pa.Table, "pandas": pd.DataFrame, "polars": pl.DataFrame}[kind])
    found = Sequences.from_table(
        table,
        id=["id_0", "id_1"] if pairs else "id",
        time="step",
        features=sequences.features,
        target=["target_0", "target_1"] if wide else "target",
        weight="weight" if per == "step" else None,
        target_per=per,
    )
    assert found.with_targets(found.targets, per) == sequences


def test_names():
    sequences = Sequences.from_list({"a": [1, 2]}, targets=[5], features=["x"]).with_targets([5], target_names=["kind"])
    assert sequences.to_table(id="unit", step="cycle").to_pydict() == {
        "unit": ["a", "a"],
        "cycle": [0, 1],
        "x": [1, 2],
        "kind": [5, 5],
    }
    pair = Sequences.from_list({("a", 1): [1]}).to_table(id=["unit", "visit"])
    assert pair.column_names == ["unit", "visit", "step", "feature_0"]


def test_refused():
    sequences = Sequences.from_list([[1]], features=["step"])
    with pytest.raises(ColumnError) as caught:
        sequences.to_table()
    assert str(caught.value) == (
        "Two columns would have the same name.\n"
        "  where   to_table\n"
        "  got     'step'\n"
        "  wanted  one column for each name\n"
        "  fix     rename them: to_table(id=..., step=...), or other features or target_names\n"
        "  more    sostenuto explain SO208"
    )
    with pytest.raises(DataError, match="SO214"):
        sequences.to_table("excel")
    with pytest.raises(ColumnError, match="names of id columns"):
        sequences.to_table(id=["a", "b"])
    with pytest.raises(DataTypeError, match="got     ids of types int, str"):
        Sequences.from_list([[1], [2]], ids=[1, "a"]).to_table()
    with pytest.raises(TargetError, match="SO401"):
        Sequences.from_list([[1]], targets=np.zeros((1, 2, 2)), targets_per="sequence").to_table()
