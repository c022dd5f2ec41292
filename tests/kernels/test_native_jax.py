"""The native kernels under JAX against the float64 reference, and what is computed of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from sostenuto.kernels.recurrence import CELLS, Recurrence
from tests.kernels.jax_cases import (
    MASKS,
    ROWS,
    STEPS,
    UNITS,
    adapter,
    assert_gradients,
    gradients_of,
    jax,
    jnp,
    loss,
    make_case,
    native_calls,
    oracle,
    run,
    shapes_in,
    shapes_out,
)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layout", [*MASKS, "flat"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("plain", [True, False], ids=["bias", "dropout without bias"])
def test_results_and_gradients_are_those_of_the_reference(cell, layout, reverse, plain):
    case = make_case(cell, layout, bias=plain, dropout=not plain, reverse=reverse)
    wanted_outputs, wanted_last, wanted_gradients = oracle(case)

    outputs, last = run(case)

    np.testing.assert_allclose(outputs, wanted_outputs, rtol=0, atol=2e-6)
    np.testing.assert_allclose(last, wanted_last, rtol=0, atol=2e-6)
    assert_gradients(gradients_of(case), wanted_gradients)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layout", ["gaps", "flat"])
@pytest.mark.parametrize("by_gate", ["recurrent", "input", "recurrent and input"])
def test_dropout_that_each_gate_has_of_its_own(cell, layout, by_gate):
    case = make_case(cell, layout, by_gate=by_gate)
    wanted_outputs, wanted_last, wanted_gradients = oracle(case)

    outputs, last = run(case)

    np.testing.assert_allclose(outputs, wanted_outputs, rtol=0, atol=2e-6)
    np.testing.assert_allclose(last, wanted_last, rtol=0, atol=2e-6)
    assert_gradients(gradients_of(case), wanted_gradients)


@pytest.mark.parametrize("cell", CELLS)
def test_last_states_alone(cell):
    case = make_case(cell, "gaps", all_outputs=False)
    _, wanted_last, wanted_gradients = oracle(case)
    outputs, last = run(case)
    assert outputs is None
    np.testing.assert_allclose(last, wanted_last, rtol=0, atol=2e-6)
    assert_gradients(gradients_of(case), wanted_gradients)


@pytest.mark.parametrize(
    ("rows", "steps", "features"), [(0, 6, 3), (4, 0, 3), (0, 0, 3), (4, 6, 0)], ids=lambda size: str(size)
)
def test_nothing_in_a_batch_is_a_batch(rows, steps, features):
    what = Recurrence("lstm", UNITS)
    weights = [jnp.ones((features, 4 * UNITS)), jnp.ones((UNITS, 4 * UNITS)), jnp.zeros(4 * UNITS)]
    states = [jnp.full((rows, UNITS), 0.5), jnp.full((rows, UNITS), 0.25)]
    inputs = jnp.ones((rows, steps, features))

    def total(weights: Any, states: Any) -> Any:
        outputs, last = adapter.recurrence(what, inputs, weights, states)
        return outputs.sum() + 3 * last[0].sum(), (outputs, last)

    (d_weights, d_states), (outputs, last) = jax.grad(total, (0, 1), has_aux=True)(weights, states)
    assert outputs.shape == (rows, steps, UNITS)
    if steps == 0:
        np.testing.assert_array_equal(last, states)
        np.testing.assert_array_equal(d_states[0], np.full((rows, UNITS), 3))
        assert not any(d.any() for d in d_weights)
    if features == 0:
        assert d_weights[0].shape == (0, 4 * UNITS)
        assert np.isfinite(outputs).all()
        assert d_weights[1].any()


def test_offsets_of_64_bits():
    case = make_case("lstm", "flat")
    wanted = run(case)
    with jax.enable_x64(True):
        assert jnp.asarray(case.options["offsets"]).dtype == "int64"
        got = run(case)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


def test_arrays_of_any_layout_in_memory():
    case = make_case("gru_reset_after")
    wanted, _ = run(case)
    turned = np.ascontiguousarray(case.inputs.transpose(2, 0, 1)).transpose(1, 2, 0)
    unaligned = np.frombuffer(b"...." + case.inputs.tobytes(), np.float32, offset=4).reshape(case.inputs.shape)
    np.testing.assert_array_equal(run(case, inputs=turned)[0], wanted)
    np.testing.assert_array_equal(run(case, inputs=unaligned)[0], wanted)
    by_jax = jax.jit(lambda turned: run(case, inputs=jnp.transpose(turned, (1, 2, 0)))[0])
    np.testing.assert_array_equal(by_jax(jnp.asarray(case.inputs.transpose(2, 0, 1))), wanted)


# --- what is computed, and what is not --------------------------------------------------------------------------------


def test_inference_saves_nothing_and_training_does():
    case = make_case("lstm")
    (call,) = native_calls(lambda inputs: run(case, inputs=inputs), case.inputs)
    outputs, h, c, saved = shapes_out(call)
    assert (outputs, h, c, saved) == ((ROWS, STEPS, UNITS), (ROWS, UNITS), (ROWS, UNITS), (0,))
    forward, _ = native_calls(jax.grad(lambda inputs: loss(case, inputs, case.weights, case.states)), case.inputs)
    assert shapes_out(forward)[3] == (case.what.saved_size(ROWS * STEPS),)


def test_inference_without_outputs_has_no_memory_for_them():
    case = make_case("gru_reset_after", all_outputs=False)
    (call,) = native_calls(lambda inputs: run(case, inputs=inputs), case.inputs)
    assert shapes_out(call) == [(0,), (ROWS, UNITS), (0,), (0,)]


def test_only_wanted_gradients_are_computed():
    case = make_case("lstm")
    _, backward = native_calls(jax.grad(lambda weights: loss(case, case.inputs, weights, case.states)), case.weights)
    assert [shape != (0,) for shape in shapes_out(backward)] == [False, True, True, True, False, False]
    _, backward = native_calls(jax.grad(lambda inputs: loss(case, inputs, case.weights, case.states)), case.inputs)
    assert [shape != (0,) for shape in shapes_out(backward)] == [True, False, False, False, False, False]


@pytest.mark.parametrize("wrap", [jax.jit, partial(jax.jit, inline=True), jax.checkpoint, lambda function: function])
def test_one_function_differentiated_by_different_arguments(wrap):
    """JAX keeps what it traced of a function, and once mixed up which gradients were wanted of it."""
    case = make_case("lstm")
    total = wrap(partial(loss, case))
    operands = case.inputs, case.weights, case.states
    wanted = oracle(case)[2]
    names = [["inputs"], ["kernel", "recurrent_kernel", "bias"], ["h", "c"]]
    backwards = []
    for place in (0, 1, 2, 1, 0):
        vary = lambda value, place=place: total(*operands[:place], value, *operands[place + 1 :])  # noqa: E731
        backwards.append((place, jax.vjp(vary, operands[place])[1]))
    for place, backward in backwards:
        got = dict(zip(names[place], jax.tree.leaves(backward(np.float32(1))), strict=True))
        assert_gradients(got, {name: wanted[name] for name in names[place]})


@pytest.mark.parametrize("used", ["outputs", "h", "c"])
def test_gradients_that_are_zero_are_not_made(used):
    case = make_case("lstm")

    def total(inputs: Any) -> Any:
        outputs, (h, c) = run(case, inputs=inputs)
        return {"outputs": outputs, "h": h, "c": c}[used].sum()

    for function in (jax.grad(total), jax.grad(jax.jit(total)), jax.jit(jax.grad(total))):
        _, backward = native_calls(function, case.inputs)
        given = [shape != (0,) for shape in shapes_in(backward)[-3:]]
        assert given == [used == "outputs", used == "h", used == "c"]
    plain = {"outputs": jnp.zeros_like(case.d_outputs), "h": jnp.zeros((ROWS, UNITS)), "c": jnp.zeros((ROWS, UNITS))}
    plain[used] = jnp.ones_like(plain[used])
    as_numbers = case._replace(d_outputs=plain["outputs"], d_last=[plain["h"], plain["c"]])
    np.testing.assert_allclose(jax.grad(total)(case.inputs), oracle(as_numbers)[2]["inputs"], rtol=0, atol=2e-5)
