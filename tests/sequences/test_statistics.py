"""``statistics`` and ``standardised``."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import DataError
from sostenuto.sequences import Sequences, checks
from tests.sequences.strategies import ragged


@given(data=ragged(least=1), block=st.sampled_from([2, 1 << 20]))
def test_against_exact_fractions(data, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "BLOCK", block)
        found = Sequences.from_list(data).statistics()
    for feature in range(data[0].shape[1]):
        values = [Fraction(float(value)) for array in data for value in array[:, feature]]
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        assert found.mean[feature] == pytest.approx(float(mean), rel=1e-14, abs=1e-14)
        assert found.std[feature] == pytest.approx(math.sqrt(variance), rel=1e-14)
        assert (found.minimum[feature], found.maximum[feature]) == (float(min(values)), float(max(values)))
    assert not found.missing.any()


def test_huge_values_do_not_overflow():
    found = Sequences.from_list([np.full(1000, 60000, "float16")]).statistics()
    assert (found.mean[0], found.std[0]) == (60000, 0)
    found = Sequences.from_list([[1.5e308, -1.5e308, 1.5e308]]).statistics()
    assert found.mean[0] == pytest.approx(0.5e308)
    assert found.std[0] == pytest.approx(0.5e308 * math.sqrt(8))
    found = Sequences.from_list([[5e-324, 0.0]]).statistics()
    assert (found.minimum[0], found.maximum[0]) == (0, 5e-324)


@pytest.mark.parametrize("value", [0.1, 1e-300, -3.3e200, 0.0, 2**40 + 0.1])
def test_a_constant_feature_has_a_deviation_of_exactly_zero(value):
    found = Sequences.from_list([np.full(12345, value)], features=["x"]).statistics()
    assert (found.mean[0], found.std[0]) == (value, 0)
    assert found.constant == ("x",)
    assert Sequences.from_list([np.full(5, value)]).standardised().values.tolist() == [[0]] * 5


def test_a_small_deviation_around_a_large_mean():
    values = 1e9 + np.array([0.0, 1.0, 2.0])
    assert Sequences.from_list([values]).statistics().std[0] == pytest.approx(math.sqrt(2 / 3), rel=1e-12)


def test_missing_values_are_counted_and_left_out():
    found = Sequences.from_list([[[1, np.nan, np.nan]], [[3, 5, np.inf], [5, 7, -np.inf]]], missing="keep").statistics()
    assert found.mean[:2].tolist() == [3, 6]
    assert found.missing.tolist() == [0, 1, 3]
    assert np.isnan([found.mean[2], found.std[2], found.minimum[2], found.maximum[2]]).all()


def test_no_steps():
    found = Sequences.from_list([[], []]).statistics()
    assert np.isnan(found.mean).all()
    assert Sequences.from_list([[], []]).standardised().steps == 0


@given(data=ragged(least=1, dtypes=("float32", "float64")))
def test_standardised(data):
    sequences = Sequences.from_list(data)
    found = sequences.standardised()
    assert found.dtype == sequences.dtype
    flat = np.concatenate(data).astype("float64")
    std = np.where(flat.std(axis=0) > 0, flat.std(axis=0), 1)
    np.testing.assert_allclose(found.values, (flat - flat.mean(axis=0)) / std, rtol=1e-5, atol=1e-6)
    assert Sequences.from_list([[1, 3]]).standardised().dtype == np.float32


def test_statistics_of_other_features():
    one, other = Sequences.from_list([[1, 2]], features=["x"]), Sequences.from_list([[1, 2]], features=["y"])
    with pytest.raises(DataError) as caught:
        one.standardised(other.statistics())
    assert str(caught.value) == (
        "These statistics are of other features.\n"
        "  where   argument 'statistics'\n"
        "  got     statistics of 'y' for values (2, 1) int64\n"
        "  wanted  statistics of 'x'\n"
        "  fix     use the statistics of sequences with the same features in the same order\n"
        "  more    sostenuto explain SO203"
    )
