"""LSTM, GRU and SimpleRNN against the reference, which runs each row alone over its real steps in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from keras import ops

import sostenuto as so
from sostenuto.kernels import portable
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
    with_garbage,
)
from tests.oracle import expected

pytestmark = pytest.mark.usefixtures("kernel")

each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
each_direction = pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
each_mask = pytest.mark.parametrize("given", ["nothing", "mask", "lengths"])


def a_mask(given):
    """The options of a call, and the mask that they mean."""
    if given == "nothing":
        return {}, np.ones((ROWS, STEPS), bool)
    if given == "mask":
        return {"mask": MASK}, MASK
    return {"lengths": LENGTHS}, mask_of(LENGTHS)


def states_of(layer, rng):
    return list(rng.normal(0, 0.5, (len(layer.state_names), ROWS, UNITS)).astype("float32"))


@each_layer
@each_direction
@pytest.mark.parametrize(
    ("given", "return_sequences"),
    [("nothing", True), ("mask", True), ("mask", False)],
    ids=["all steps", "masked", "masked, last only"],
)
def test_gradients(make, go_backwards, given, return_sequences, rng):
    """From initial states, with NaN and inf in the padding: outputs, final states and every gradient."""
    layer = built(make, rng, go_backwards=go_backwards, return_sequences=return_sequences, return_state=True)
    options, mask = a_mask(given)
    x, first = batch(rng), states_of(layer, rng)
    spoilt = with_garbage(x, mask)
    d_output = rng.normal(size=(ROWS, STEPS, UNITS)) * mask[..., None]
    d_output = d_output if return_sequences else d_output[:, 0]
    d_final = rng.normal(size=(len(first), ROWS, UNITS))

    def loss(x, *first):
        output, *final = layer(x, initial_state=list(first), **options)
        weights = [ops.convert_to_tensor(d, "float32") for d in (d_output, *d_final)]
        return sum(ops.sum(result * weight) for result, weight in zip([output, *final], weights, strict=True))

    wanted = expected(
        layer,
        x,
        mask,
        first,
        d_outputs=d_output if return_sequences else None,
        d_last=None if return_sequences else d_output,
        d_states=list(d_final),
    )
    (d_x, *d_first), d_weights = gradients(loss, [spoilt, *first], layer.trainable_variables)
    assert_close(d_x, wanted.d_inputs)
    for got, right in zip(d_first + d_weights, wanted.d_states + wanted.d_weights, strict=True):
        assert_close(got, right)


@each_layer
@each_direction
@each_mask
@pytest.mark.parametrize(
    ("return_sequences", "from_states"), [(True, True), (False, False)], ids=["from states", "last only, from zero"]
)
def test_results(make, go_backwards, given, return_sequences, from_states, rng):
    """Outputs and final states, with NaN and inf in the padding."""
    layer = built(make, rng, go_backwards=go_backwards, return_sequences=return_sequences, return_state=True)
    options, mask = a_mask(given)
    x, first = batch(rng), states_of(layer, rng) if from_states else None
    output, *final = layer(with_garbage(x, mask), initial_state=first, **options)
    wanted = expected(layer, x, mask, first)
    if return_sequences:
        assert_close(numpy_of(output) * mask[..., None], wanted.outputs)
    else:
        assert_close(output, wanted.last)
    for got, right in zip(final, wanted.states, strict=True):
        assert_close(got, right)


@each_layer
@each_direction
def test_outputs_at_masked_steps(make, go_backwards, rng):
    """They repeat the output before, of the initial state at first; zero_output_for_mask makes them zero."""
    settings = {"go_backwards": go_backwards, "return_sequences": True}
    layer = built(make, rng, **settings)
    zeroing = make(zero_output_for_mask=True, **settings)
    zeroing.build((None, None, FEATURES))
    zeroing.set_weights(layer.get_weights())
    x, first = batch(rng), states_of(layer, rng)
    right = expected(layer, x, MASK, first).outputs
    assert_close(zeroing(x, initial_state=first, mask=MASK), right)
    for step in range(STEPS):
        before = first[0] if step == 0 else right[:, step - 1]
        right[:, step] = np.where(MASK[:, step, None], right[:, step], before)
    assert_close(layer(x, initial_state=first, mask=MASK), right)


@each_layer
def test_padding_changes_no_bit(make, rng):
    layer = built(make, rng, return_sequences=True)
    x = batch(rng)
    spoilt = x.copy()
    spoilt[~MASK] = rng.choice([np.nan, np.inf, -np.inf, 1e38], size=spoilt[~MASK].shape)

    def loss(x):
        return ops.sum(layer(x, mask=MASK) ** 2)

    def results(values):
        (d_x,), d_weights = gradients(loss, [values], layer.trainable_variables)
        return [numpy_of(layer(values, mask=MASK)), d_x, *d_weights]

    for clean, got in zip(results(x), results(spoilt), strict=True):
        assert np.isfinite(clean).all()
        np.testing.assert_array_equal(got, clean)


@each_layer
@each_direction
def test_unrolled_loop(make, go_backwards, rng):
    layer = built(make, rng, go_backwards=go_backwards, return_sequences=True, return_state=True, unroll=True)
    x, first = batch(rng), states_of(layer, rng)
    outputs, *final = layer(with_garbage(x, MASK), initial_state=first, mask=MASK)
    wanted = expected(layer, x, MASK, first)
    assert_close(numpy_of(outputs) * MASK[..., None], wanted.outputs)
    for got, right in zip(final, wanted.states, strict=True):
        assert_close(got, right)


@each_layer
@each_direction
@pytest.mark.parametrize("steps_at_once", [1, 2])
def test_projected_in_several_blocks(make, go_backwards, steps_at_once, kernel, monkeypatch, rng):
    """What a Python loop projects at once is more than these small layers have: here it is less."""
    if kernel == "native":
        pytest.skip("the portable kernel projects ahead, the native one does not")
    width = built(make, rng).cell.kernel.shape[-1]
    monkeypatch.setattr(portable, "PROJECTED_BYTES", steps_at_once * ROWS * width * 4)
    test_gradients(partial(make, unroll=True), go_backwards, "mask", True, rng)
    test_unrolled_loop(make, go_backwards, rng)


@each_layer
def test_no_steps_at_all(make, rng):
    layer = built(make, rng, return_sequences=True, return_state=True)
    first = states_of(layer, rng)
    outputs, *final = layer(np.zeros((ROWS, 0, FEATURES), "float32"), initial_state=first)
    assert outputs.shape == (ROWS, 0, UNITS)
    np.testing.assert_array_equal(numpy_of(final), first)


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("name", ["lstm", "gru", "simple"])
def test_half_precision(name, dtype, rng):
    """Runs in the dtype of the policy, and is right to its few digits."""
    # Keras's orthogonal initializer knows no half precision.
    layer = built(LAYERS[name], rng, return_sequences=True, dtype=dtype, recurrent_initializer="glorot_uniform")
    x = batch(rng)
    outputs = layer(with_garbage(x, MASK), mask=MASK)
    assert layer.compute_dtype in str(outputs.dtype)
    right = expected(layer, x, MASK).outputs
    assert_close(numpy_of(ops.cast(outputs, "float32")) * MASK[..., None], right, 0.04)


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("name", ["lstm", "gru", "gru reset before"])
def test_both_implementations_of_keras_mean_the_same(name, implementation, rng):
    layer = built(LAYERS[name], rng, return_sequences=True, implementation=implementation)
    x = batch(rng)
    assert_close(layer(x), expected(layer, x).outputs)


@pytest.mark.parametrize("stacked", [False, True], ids=["gru", "cellwise"])
def test_wide_steps_are_cleaned_too(stacked, kernel, rng):
    """From 64 features on, compiled loops clean each step by itself; gradients and results know nothing of it."""
    twin = built(LAYERS["gru"], rng, features=64, return_sequences=True)
    layer = so.RNN([so.GRUCell(UNITS)], return_sequences=True) if stacked else twin
    layer.build((None, None, 64))
    layer.set_weights(twin.get_weights())
    x, d_output = batch(rng, features=64), rng.normal(size=(ROWS, STEPS, UNITS)) * MASK[..., None]

    def loss(x):
        return ops.sum(layer(x, mask=MASK) * ops.convert_to_tensor(d_output, "float32"))

    wanted = expected(twin, x, MASK, d_outputs=d_output)
    (d_x,), d_weights = gradients(loss, [with_garbage(x, MASK)], layer.trainable_variables)
    assert_close(d_x, wanted.d_inputs)
    for got, right in zip(d_weights, wanted.d_weights, strict=True):
        assert_close(got, right)
    assert layer.explain().kernel.name == ("cellwise" if stacked else kernel)
