"""``describe``: the words and the picture."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import BackendError, DataError
from sostenuto.sequences import Sequences
from sostenuto.sequences.description import histogram


@pytest.fixture
def sequences(rng) -> Sequences:
    data = [np.column_stack([rng.normal(size=length), np.full(length, 3.0)]) for length in (0, 5, 9, 30, 31, 64)]
    data[3][2, 0] = np.nan
    targets = [row % 2 for row in range(6)]
    return Sequences.from_list(data, features=["x", "still"], targets=targets, weights=np.ones(6), missing="keep")


def test_words(sequences):
    description = sequences.describe(buckets=2)
    text = str(description)
    assert text == repr(description)
    lines = text.splitlines()
    assert lines[0] == repr(sequences)
    assert "lengths   0 to 64, half of them from 6 to 30.75, median 19.5, 1 without steps" in lines
    assert "padding   63.8% of one rectangle for all" in lines
    assert "constant  'still'" in lines
    assert "missing   'x' 1" in lines
    assert "targets   per sequence, whole numbers, 2 different: 0 (3), 1 (3)" in lines
    assert "weights   per sequence, from 1 to 1, mean 1" in lines
    assert all(len(line) <= 100 for line in lines)
    assert text.isascii()


def test_padding_is_counted(sequences):
    description = sequences.describe(buckets=2)
    lengths = sequences.lengths.tolist()
    assert description.padding == pytest.approx(1 - sum(lengths) / (64 * 6))
    groups = sequences.bucket(2)
    padded = sum(max(lengths[row] for row in group) * len(group) for group in groups)
    assert description.bucketed_padding == pytest.approx(1 - sum(lengths) / padded)


@given(lengths=st.lists(st.integers(0, 500), min_size=1))
def test_the_histogram_counts_every_length_once(lengths):
    numbers, edges = histogram(np.array(lengths))
    assert len(numbers) == len(edges) <= 10
    for number, (first, last) in zip(numbers, edges, strict=True):
        assert number == sum(first <= length <= last for length in lengths)
    assert sum(numbers) == len(lengths)


def test_many_features_and_no_targets():
    sequences = Sequences.from_list([np.random.default_rng(0).normal(size=(3, 30))])
    text = str(sequences.describe())
    assert "          and 10 more" in text
    assert "missing   none\n\ntargets   none\nweights   none" in text


def test_nothing_at_all():
    assert "lengths   no sequences" in str(Sequences.from_list([[1]]).take([]).describe())
    assert "lengths   0 to 0" in str(Sequences.from_list([[], []]).describe())


def test_buckets_are_checked(sequences):
    with pytest.raises(DataError, match="SO214"):
        sequences.describe(buckets=0)


@pytest.mark.parametrize("name", ["p.png", "p.svg"])
def test_the_picture(sequences, tmp_path, name):
    path = tmp_path / name
    sequences.describe().save(path)
    assert path.stat().st_size > 5_000
    left, right = sequences.describe().figure().axes
    assert (left.get_xlabel(), left.get_ylabel(), right.get_xlabel()) == ("length in steps", "sequences", "step")
    assert sum(bar.get_height() for bar in left.patches) == len(sequences)
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "one rectangle: 64% padding",
        "6 buckets: 0%",
        "real steps",
    ]


def test_the_picture_of_nothing():
    assert len(Sequences.from_list([[1]]).take([]).describe().figure().axes) == 2
    assert len(Sequences.from_list([[]]).describe().figure().axes) == 2


def test_without_matplotlib(sequences, monkeypatch):
    monkeypatch.delitem(sys.modules, "sostenuto.sequences.picture", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(BackendError) as caught:
        sequences.describe().save("p.png")
    assert str(caught.value) == (
        "The picture needs matplotlib.\n"
        "  where   describe().figure() or .save()\n"
        "  got     no matplotlib in this environment\n"
        "  wanted  matplotlib 3.9 or newer\n"
        "  fix     pip install 'sostenuto[pictures]'; print(sequences.describe()) works without\n"
        "  more    sostenuto explain SO702"
    )
