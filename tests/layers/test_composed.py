"""Bidirectional, RNN over a cell and over stacked cells, against the reference of their parts."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops, tree

import sostenuto as so
from tests.gradients import gradients
from tests.layers.cases import (
    FEATURES,
    LAYERS,
    LENGTHS,
    MASK,
    ROWS,
    STEPS,
    UNITS,
    assert_close,
    batch,
    built,
    mask_of,
    numpy_of,
    randomise,
    with_garbage,
)
from tests.oracle import expected

pytestmark = pytest.mark.usefixtures("kernel")

each_direction = pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])


def in_time_order(values, mask):
    """Reverses what stands at the real positions of each row."""
    turned = values.copy()
    for row, real in enumerate(mask):
        turned[row, real] = values[row, real][::-1]
    return turned


def states_for(layer, rng):
    return [rng.normal(0, 0.5, (ROWS, UNITS)).astype("float32") for _ in layer.state_names]


def weighted_sum(results, weights):
    return sum(ops.sum(r * ops.convert_to_tensor(w, "float32")) for r, w in zip(results, weights, strict=True))


@pytest.mark.parametrize("merge_mode", ["concat", "sum"])
@pytest.mark.parametrize("name", ["lstm", "gru", "gru reset before", "simple"])
def test_bidirectional(name, merge_mode, rng):
    layer = so.Bidirectional(LAYERS[name](return_sequences=True, return_state=True), merge_mode)
    layer.build((None, None, FEATURES))
    randomise(layer, rng)
    x, first = batch(rng), states_for(layer, rng)
    half = len(first) // 2
    spoilt = with_garbage(x, MASK)
    width = 2 * UNITS if merge_mode == "concat" else UNITS
    d_output = rng.normal(size=(ROWS, STEPS, width)) * MASK[..., None]
    d_there, d_back = np.split(d_output, 2, axis=-1) if merge_mode == "concat" else (d_output, d_output)
    d_final = list(rng.normal(size=(len(first), ROWS, UNITS)))

    def loss(x, *first):
        return weighted_sum(layer(x, initial_state=list(first), mask=MASK), [d_output, *d_final])

    there = expected(layer.forward_layer, x, MASK, first[:half], d_outputs=d_there, d_states=d_final[:half])
    turned = in_time_order(d_back, MASK)
    back = expected(layer.backward_layer, x, MASK, first[half:], d_outputs=turned, d_states=d_final[half:])
    backwards = in_time_order(back.outputs, MASK)
    joined = np.concatenate([there.outputs, backwards], -1) if merge_mode == "concat" else there.outputs + backwards

    output, *final = layer(spoilt, initial_state=first, mask=MASK)
    assert_close(output, joined)  # zero at masked steps, as Keras has it
    for got, right in zip(final, there.states + back.states, strict=True):
        assert_close(got, right)
    (d_x, *d_first), d_weights = gradients(loss, [spoilt, *first], layer.trainable_variables)
    assert_close(d_x, there.d_inputs + back.d_inputs)
    for got, right in zip(d_first, there.d_states + back.d_states, strict=True):
        assert_close(got, right)
    for got, right in zip(d_weights, there.d_weights + back.d_weights, strict=True):
        assert_close(got, right)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
def test_bidirectional_last_output(merge_mode, rng):
    layer = so.Bidirectional(so.LSTM(UNITS), merge_mode)
    layer.build((None, None, FEATURES))
    randomise(layer, rng)
    x, mask = batch(rng), mask_of(LENGTHS)
    there = expected(layer.forward_layer, x, mask).last
    back = expected(layer.backward_layer, x, mask).last
    got = layer(with_garbage(x, mask), lengths=LENGTHS)
    if merge_mode is None:
        assert_close(got[0], there)
        assert_close(got[1], back)
    else:
        ways = {"concat": np.concatenate([there, back], -1), "sum": there + back, "mul": there * back}
        assert_close(got, ways.get(merge_mode, (there + back) / 2))


@each_direction
@pytest.mark.parametrize("name", ["lstm", "gru", "gru reset before", "simple"])
@pytest.mark.parametrize("ours", [True, False], ids=["our cell", "keras's cell"])
def test_rnn_over_a_cell(name, ours, go_backwards, kernel, rng):
    """The same sums as the layer that is made for the cell."""
    twin = built(LAYERS[name], rng, go_backwards=go_backwards)
    kind = {"lstm": so.LSTMCell, "simple": so.SimpleRNNCell}.get(name, so.GRUCell) if ours else type(twin.cell)
    options = {"reset_after": False} if name == "gru reset before" else {}
    layer = so.RNN(kind(UNITS, **options), go_backwards=go_backwards, return_sequences=True, return_state=True)
    layer.build((None, None, FEATURES))
    layer.set_weights(twin.get_weights())
    assert layer.explain().kernel.name == kernel
    x, first = batch(rng), states_for(twin, rng)
    wanted = expected(twin, x, MASK, first)
    outputs, *final = layer(with_garbage(x, MASK), initial_state=first, mask=MASK)
    assert_close(numpy_of(outputs) * MASK[..., None], wanted.outputs)
    for got, right in zip(final, wanted.states, strict=True):
        assert_close(got, right)


def stacked(rng, **settings):
    """RNN over a GRU cell and an LSTM cell, and the two layers that it amounts to."""
    layer = so.RNN([so.GRUCell(UNITS), so.LSTMCell(UNITS)], return_state=True, **settings)
    layer.build((None, None, FEATURES))
    randomise(layer, rng)
    lower = so.GRU(UNITS, go_backwards=layer.go_backwards)
    upper = so.LSTM(UNITS)  # reads what the lower one computed, in that order
    for part, size, weights in [(lower, FEATURES, layer.get_weights()[:3]), (upper, UNITS, layer.get_weights()[3:])]:
        part.build((None, None, size))
        part.set_weights(weights)
    return layer, lower, upper


@each_direction
def test_stacked_cells(go_backwards, rng):
    layer, lower, upper = stacked(rng, go_backwards=go_backwards, return_sequences=True)
    x, first = batch(rng), states_for(layer, rng)
    spoilt = with_garbage(x, MASK)
    d_output = rng.normal(size=(ROWS, STEPS, UNITS)) * MASK[..., None]
    d_final = list(rng.normal(size=(3, ROWS, UNITS)))

    def loss(x, *first):
        return weighted_sum(
            tree.flatten(layer(x, initial_state=[first[0], list(first[1:])], mask=MASK)), [d_output, *d_final]
        )

    between = expected(lower, x, MASK, first[:1]).outputs
    high = expected(upper, between, MASK, first[1:], d_outputs=d_output, d_states=d_final[1:])
    low = expected(lower, x, MASK, first[:1], d_outputs=high.d_inputs, d_states=d_final[:1])

    output, *final = tree.flatten(layer(spoilt, initial_state=[first[0], first[1:]], mask=MASK))
    assert_close(numpy_of(output) * MASK[..., None], high.outputs)
    for got, right in zip(final, low.states + high.states, strict=True):
        assert_close(got, right)
    (d_x, *d_first), d_weights = gradients(loss, [spoilt, *first], layer.trainable_variables)
    assert_close(d_x, low.d_inputs)
    for got, right in zip(
        d_first + d_weights, low.d_states + high.d_states + low.d_weights + high.d_weights, strict=True
    ):
        assert_close(got, right)


@pytest.mark.parametrize("given", ["mask", "lengths"])
def test_last_output_of_stacked_cells(given, rng):
    """A row without a real step has the output that its states stand for, as in every other layer."""
    layer, lower, upper = stacked(rng)
    x, first = batch(rng), states_for(layer, rng)
    mask = MASK if given == "mask" else mask_of(LENGTHS)
    between = expected(lower, x, mask, first[:1]).outputs
    right = expected(upper, between, mask, first[1:]).last
    options = {"mask": MASK} if given == "mask" else {"lengths": LENGTHS}
    assert_close(layer(with_garbage(x, mask), initial_state=[first[0], first[1:]], **options)[0], right)


class Counter:
    """A cell of somebody's own: sums its input, puts out twice the sum; no Keras layer."""

    state_size = FEATURES
    output_size = FEATURES

    def call(self, inputs, states):
        total = states[0] + inputs
        return 2 * total, [total]


@each_direction
def test_a_cell_of_ones_own(go_backwards, rng):
    layer = so.RNN(Counter(), go_backwards=go_backwards, return_sequences=True, return_state=True)
    x = batch(rng)
    outputs, total = layer(with_garbage(x, MASK), mask=MASK)
    assert layer.explain().kernel.name == "cellwise"
    clean = np.where(MASK[..., None], x, 0)
    assert_close(total, clean.sum(axis=1))
    right = 2 * np.cumsum(in_time_order(clean, MASK) if go_backwards else clean, axis=1)
    assert_close(outputs, right)
