"""Neighbours, their order and padding do not matter: whatever a batch looks like, a sequence's result is its own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sostenuto as so
from tests.layers.cases import FEATURES, UNITS, numpy_of, randomise

JAX = keras.backend.backend() == "jax"
LAYERS = {
    "lstm": so.LSTM(UNITS, return_sequences=True, return_state=True),
    "gru": so.GRU(UNITS, return_sequences=True, return_state=True, reset_after=False),
    "simple, backwards": so.SimpleRNN(UNITS, go_backwards=True, return_sequences=True, return_state=True),
    "bidirectional": so.Bidirectional(so.LSTM(UNITS, return_sequences=True, return_state=True)),
    "stacked": so.RNN([so.GRUCell(3), so.LSTMCell(UNITS)], return_sequences=True, return_state=True),
}
ROWS, STEPS = 4, 6  # one shape, and on JAX one compilation


@pytest.fixture(scope="module", params=LAYERS)
def run(request):
    """Runs a layer, compiled where that saves time; returns outputs and flat states."""
    layer = LAYERS[request.param]
    layer.build((None, None, FEATURES))
    randomise(layer, np.random.default_rng(3))

    def call(values, mask):
        return keras.tree.flatten(layer(values, mask=mask))

    if JAX:
        import jax

        call = jax.jit(call)
    return lambda values, mask: [numpy_of(result) for result in call(values, mask)]


def placed(sequences, masks, garbage):
    """A batch with each sequence at the real steps of its row and garbage elsewhere."""
    values = np.full((len(masks), masks.shape[1], FEATURES), garbage, "float32")
    for row, sequence in enumerate(sequences):
        values[row, masks[row]] = sequence
    return values


@st.composite
def frames(draw, lengths, steps=STEPS):
    """A mask that gives each sequence as many real steps as it needs, anywhere."""
    mask = np.zeros((len(lengths), steps), bool)
    for row, length in enumerate(lengths):
        mask[row, draw(st.permutations(range(steps)))[:length]] = True
    return mask


GARBAGE = st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e30, -3.0])


@settings(max_examples=15)
@given(data=st.data(), lengths=st.lists(st.integers(0, STEPS), min_size=ROWS, max_size=ROWS), seed=st.integers(0, 99))
def test_neighbours_order_and_padding(run, data, lengths, seed):
    """Each sequence alone and right-padded, against a batch of all in any order, padded anywhere with anything."""
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(length, FEATURES)).astype("float32") for length in lengths]
    order = data.draw(st.permutations(range(ROWS)))
    mask = data.draw(frames([lengths[row] for row in order]))
    outputs, *states = run(placed([sequences[row] for row in order], mask, data.draw(GARBAGE)), mask)
    for place, row in enumerate(order):
        alone = np.zeros((ROWS, STEPS), bool)  # the other rows hold no real step
        alone[0, : lengths[row]] = True
        right, *right_states = run(placed([sequences[row]], alone, 0.0), alone)
        np.testing.assert_allclose(outputs[place, mask[place]], right[0, : lengths[row]], atol=1e-6)
        for got, wanted in zip(states, right_states, strict=True):
            np.testing.assert_allclose(got[place], wanted[0], atol=1e-6)


@settings(max_examples=4 if JAX else 15)
@given(data=st.data(), lengths=st.lists(st.integers(0, 4), min_size=1, max_size=3))
def test_amount_and_side_of_padding(run, data, lengths):
    """Frames of other sizes: each compiles anew on JAX, hence fewer examples."""
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, FEATURES)).astype("float32") for length in lengths]
    steps = max(lengths) + data.draw(st.sampled_from([1, 3]))
    right_side = np.arange(steps) < np.array(lengths)[:, None]
    left_side = right_side[:, ::-1]
    tight = np.arange(max(1, max(lengths))) < np.array(lengths)[:, None]
    wanted, *wanted_states = run(placed(sequences, tight, 0.0), tight)
    for mask in (right_side, left_side):
        outputs, *states = run(placed(sequences, mask, np.nan), mask)
        np.testing.assert_allclose(outputs[mask], wanted[tight], atol=1e-6)
        for got, right in zip(states, wanted_states, strict=True):
            np.testing.assert_allclose(got, right, atol=1e-6)


@settings(max_examples=4 if JAX else 15)
@given(cut=st.integers(0, STEPS), data=st.data())
def test_cuts_with_states_passed_by_hand(cut, data):
    """Running up to a cut, then on from the final states, equals running whole."""
    layer = LAYERS[data.draw(st.sampled_from(["lstm", "gru"]))]
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, STEPS, FEATURES)).astype("float32")
    if not layer.built:
        layer.build((None, None, FEATURES))
    whole, *right = layer(x)
    # Masks rather than slices keep the shape, and on JAX the compiled loop.
    before, *states = layer(x, lengths=[cut, cut])
    after, *final = layer(x, initial_state=states, mask=np.tile(np.arange(STEPS) >= cut, (2, 1)))
    joined = np.concatenate([numpy_of(before)[:, :cut], numpy_of(after)[:, cut:]], axis=1)
    np.testing.assert_allclose(joined, numpy_of(whole), atol=1e-6)
    for got, wanted in zip(final, right, strict=True):
        np.testing.assert_allclose(numpy_of(got), numpy_of(wanted), atol=1e-6)
