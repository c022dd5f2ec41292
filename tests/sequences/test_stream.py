"""``Sequences.stream``."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import ColumnError, DataError, DataFileError
from sostenuto.sequences import Sequences, table_source


def write(path: Path, **columns) -> Path:
    pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=4)
    return path


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 60), max_size=2),
    steps=st.integers(1, 30),
    rows=st.integers(1, 9),
)
def test_blocks_joined_are_the_whole(tmp_path_factory, lengths, cuts, steps, rows):
    folder = tmp_path_factory.mktemp("stream")
    random = np.random.default_rng(0)
    unit = np.repeat(np.arange(len(lengths))[::-1], lengths)
    time = np.concatenate([random.permutation(length) for length in lengths])
    columns = {"unit": unit, "time": time, "x": random.normal(size=len(unit)), "y": random.integers(0, 9, len(unit))}
    bounds = [0, *sorted(min(cut, len(unit)) for cut in cuts), len(unit)]
    paths = [
        write(folder / f"{number}.parquet", **{name: column[start:stop] for name, column in columns.items()})
        for number, (start, stop) in enumerate(itertools.pairwise(bounds))
    ]
    whole = Sequences.from_table(pa.table(columns), id="unit", time="time", target="y")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_source, "ROWS", rows)
        stream = Sequences.stream(paths, id="unit", time="time", target="y", steps_per_block=steps)
        assert (stream.steps, stream.features, stream.target_names) == (len(unit), ("x",), ("y",))
        assert stream.dtype == np.float64
        for _ in range(2):
            blocks = list(stream)
            assert Sequences.concatenate(blocks) == whole
            assert all(block.steps <= max(steps, 2 * max(lengths)) + rows for block in blocks)


def test_a_block_is_not_much_larger_than_asked(tmp_path):
    path = write(tmp_path / "t.parquet", u=np.repeat(np.arange(100), 10), x=np.arange(1000.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_source, "ROWS", 50)
        sizes = [block.steps for block in Sequences.stream(path, id="u", steps_per_block=100)]
    assert sum(sizes) == 1000
    assert max(sizes) <= 100 + 50


def test_dtypes_of_files_are_joined(tmp_path):
    paths = [write(tmp_path / "a.parquet", u=[1], x=np.float32([0.5])), write(tmp_path / "b.parquet", u=[2], x=[0.1])]
    stream = Sequences.stream(paths, id="u")
    assert stream.dtype == np.float64
    assert repr(stream) == "SequenceStream(2 files, 2 steps, 1 feature, float64)"
    (block,) = stream
    assert block.values[:, 0].tolist() == [0.5, 0.1]


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_an_id_that_comes_back(tmp_path, steps):
    path = write(tmp_path / "t.parquet", u=["a", "a", "b", "b", "a"], x=np.arange(5.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_source, "ROWS", 1)
        with pytest.raises(DataError) as caught:
            list(Sequences.stream(path, id="u", steps_per_block=steps))
    assert str(caught.value) == (
        "The rows of a sequence do not lie together.\n"
        "  where   id 'a'\n"
        "  got     rows of an id that had ended before\n"
        "  wanted  all rows of an id one after another\n"
        "  fix     sort the files by id, or read them whole with Sequences.from_table\n"
        "  more    sostenuto explain SO206"
    )


def test_refused_before_anything_is_read(tmp_path):
    good = write(tmp_path / "good.parquet", u=[1], x=[1.0])
    text = write(tmp_path / "text.parquet", u=["1"], x=[1.0])
    empty = write(tmp_path / "empty.parquet", u=pa.array([], pa.int64()), x=pa.array([], pa.float64()))
    (tmp_path / "t.csv").write_text("u,x\n1,2\n")
    for paths, arguments, kind, code in [
        (tmp_path / "none.parquet", {}, DataFileError, "SO209"),
        (tmp_path / "t.csv", {}, DataError, "SO213"),
        ([], {}, DataError, "SO210"),
        (empty, {}, DataError, "SO210"),
        (good, {"time": "cycle"}, ColumnError, "SO208"),
        (good, {"steps_per_block": 0}, DataError, "SO214"),
        ([good, text], {}, DataError, "SO204"),
    ]:
        with pytest.raises(kind) as caught:
            Sequences.stream(paths, id="u", **arguments)
        assert caught.value.code == code


def test_errors_of_the_rows(tmp_path):
    path = write(tmp_path / "t.parquet", u=[1, 1], t=[0, 0], x=[1.0, None])
    with pytest.raises(DataError, match="SO205"):
        list(Sequences.stream(path, id="u"))
    with pytest.raises(DataError, match="SO207"):
        list(Sequences.stream(path, id="u", time="t", missing="keep"))
    (block,) = Sequences.stream(path, id="u", features="x", missing="keep")
    assert np.isnan(block.values[1, 0])
