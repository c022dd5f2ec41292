"""Neighbours, order, batch size and padding don't matter to what a model says of a sequence."""

from __future__ import annotations

from functools import cache

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from hypothesis import given, settings

import sostenuto as so

LONGEST = 16
POOL = np.random.default_rng(1).normal(size=(12, LONGEST, 2)).astype("float32")


@cache
def model_and_truth(kind):
    """A model, and what it says of each sequence of the pool at every length, alone and without padding."""
    keras.utils.set_random_seed(2)
    layers = {
        "per sequence": [so.Bidirectional(so.LSTM(3)), keras.layers.Dense(2)],
        "per step": [so.GRU(3, return_sequences=True), so.SimpleRNN(3, return_sequences=True), keras.layers.Dense(2)],
    }[kind]
    model = so.SequenceModel(layers)
    model.build(2)
    truth = {}
    for length in (1, 2, 5, 11, LONGEST):
        outputs = keras.ops.convert_to_numpy(model.inner(POOL[:, :length], training=False))
        truth.update({(number, length): outputs[number] for number in range(len(POOL))})
    return model, truth


lengths = st.sampled_from([1, 2, 5, 11, LONGEST])
picks = st.lists(
    st.tuples(st.integers(0, len(POOL) - 1), lengths), min_size=1, max_size=9, unique_by=lambda pick: pick[0]
)


@pytest.mark.parametrize("kind", ["per sequence", "per step"])
@settings(max_examples=15)
@given(picks=picks, batch_size=st.integers(1, 5), empty=st.booleans())
def test_a_sequence_gets_the_same_answer_in_any_company(kind, picks, batch_size, empty):
    model, truth = model_and_truth(kind)
    data = {f"s{number}": POOL[number, :length] for number, length in picks}
    if empty:
        data["empty"] = POOL[0, :0]
    said = model.predict(data, batch_size=batch_size, verbose=0)
    assert list(said) == list(data)
    for number, length in picks:
        np.testing.assert_allclose(said[f"s{number}"], truth[number, length], atol=1e-6)
