"""The native kernels inside of JAX's transformations: compiled, looped, rematerialised, mapped."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.kernels.jax_cases import (
    FEATURES,
    NAMES,
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
    shapes_out,
)


def test_compiled_as_eager():
    case = make_case("lstm", "prefix")
    wanted = gradients_of(case)
    value, gradients = jax.jit(jax.value_and_grad(partial(loss, case), (0, 1, 2)))(
        case.inputs, case.weights, case.states
    )
    np.testing.assert_allclose(value, loss(case, case.inputs, case.weights, case.states), rtol=1e-6)
    d_inputs, d_weights, d_states = gradients
    assert_gradients(dict(zip(NAMES, (d_inputs, *d_weights, *d_states), strict=True)), wanted)


def test_scan_over_chunks_is_the_whole():
    case = make_case("lstm")
    chunks = np.moveaxis(case.inputs.reshape(ROWS, 3, 2, FEATURES), 1, 0)

    def by_chunks(inputs: Any, weights: Any, states: Any) -> Any:
        def advance(states: Any, chunk: Any) -> Any:
            outputs, last = run(case, inputs=chunk, weights=weights, states=states)
            return last, outputs

        last, outputs = jax.lax.scan(advance, states, inputs)
        outputs = jnp.moveaxis(outputs, 0, 1).reshape(ROWS, STEPS, UNITS)
        total = sum((value * d).sum() for value, d in zip(last, case.d_last, strict=True))
        return total + (outputs * case.d_outputs).sum(), outputs

    (d_inputs, d_weights, d_states), outputs = jax.grad(by_chunks, (0, 1, 2), has_aux=True)(
        chunks, case.weights, case.states
    )
    np.testing.assert_allclose(outputs, run(case)[0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(by_chunks(chunks, case.weights, case.states)[1], run(case)[0])
    d_inputs = np.moveaxis(d_inputs, 0, 1).reshape(case.inputs.shape)
    assert_gradients(dict(zip(NAMES, (d_inputs, *d_weights, *d_states), strict=True)), oracle(case)[2])


def test_in_loops_and_branches():
    case = make_case("gru_reset_before")

    def thrice(states: Any) -> Any:
        return jax.lax.fori_loop(0, 3, lambda _, now: run(case, states=now)[1], states)

    wanted = run(case, states=run(case, states=run(case)[1])[1])[1]
    np.testing.assert_array_equal(jax.jit(thrice)(case.states)[0], wanted[0])

    def branching(really: Any, inputs: Any) -> Any:
        return jax.lax.cond(
            really, lambda x: loss(case, x, case.weights, case.states), lambda x: jnp.float32(0), inputs
        )

    gradient = jax.jit(jax.grad(branching, 1))
    np.testing.assert_allclose(gradient(True, case.inputs), oracle(case)[2]["inputs"], rtol=0, atol=2e-5)
    assert not gradient(False, case.inputs).any()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_rematerialised(compiled):
    case = make_case("lstm", "gaps", dropout=True)
    again = jax.checkpoint(partial(loss, case))
    gradient = jax.grad(again, (0, 1, 2))
    d_inputs, d_weights, d_states = (jax.jit(gradient) if compiled else gradient)(
        case.inputs, case.weights, case.states
    )
    assert_gradients(dict(zip(NAMES, (d_inputs, *d_weights, *d_states), strict=True)), oracle(case)[2])


def test_donated_states():
    case = make_case("lstm")
    advance = jax.jit(lambda states: run(case, states=states)[1], donate_argnums=0)
    wanted = advance([jnp.array(state) for state in case.states])
    np.testing.assert_array_equal(wanted, run(case)[1])


def test_two_directions_and_two_layers_in_one_program():
    ahead, back = make_case("lstm", "prefix"), make_case("lstm", "prefix", reverse=True)

    @jax.jit
    def both(inputs: Any) -> Any:
        first, second = run(ahead, inputs=inputs)[0], run(back, inputs=inputs)[0]
        third = adapter.recurrence(
            ahead.what, first + second, [jnp.ones((UNITS, 4 * UNITS)) / 9, *ahead.weights[1:]], ahead.states
        )
        return first, second, third[0]

    first, second, third = both(ahead.inputs)
    np.testing.assert_array_equal(first, run(ahead)[0])
    np.testing.assert_array_equal(second, run(back)[0])
    above = [np.ones((UNITS, 4 * UNITS), np.float32) / 9, *ahead.weights[1:]]
    np.testing.assert_allclose(
        third, adapter.recurrence(ahead.what, first + second, above, ahead.states)[0], rtol=0, atol=1e-6
    )


def test_many_threads_at_once():
    case = make_case("lstm", "gaps")
    gradient = jax.jit(jax.grad(partial(loss, case), (0, 1, 2)))
    wanted = jax.tree.map(np.asarray, gradient(case.inputs, case.weights, case.states))
    differences: list[float] = []

    def work() -> None:
        for _ in range(20):
            got = gradient(case.inputs, case.weights, case.states)
            differences.append(max(jax.tree.leaves(jax.tree.map(lambda a, b: float(abs(a - b).max()), got, wanted))))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(differences) == 80
    assert max(differences) < 1e-6


# --- jax.vmap ---------------------------------------------------------------------------------------------------------

MAPPED = 3


def stacked(value: np.ndarray) -> np.ndarray:
    """Three of it that differ."""
    return np.stack([value, value * np.float32(0.5), -value])


@pytest.mark.parametrize("layout", ["dense", "gaps"])
def test_mapped_batches_run_as_one(layout):
    case = make_case("lstm", layout, by_gate="recurrent and input")
    inputs, h = stacked(case.inputs), stacked(case.states[0])

    def mapped(inputs: Any, h: Any) -> Any:
        return jax.vmap(lambda x, h: run(case, inputs=x, states=[h, case.states[1]]))(inputs, h)

    (call,) = native_calls(mapped, inputs, h)
    assert shapes_out(call)[0] == (MAPPED * ROWS, STEPS, UNITS)
    outputs, last = mapped(inputs, h)
    for k in range(MAPPED):
        alone, last_alone = run(case, inputs=inputs[k], states=[h[k], case.states[1]])
        np.testing.assert_array_equal(outputs[k], alone)
        np.testing.assert_array_equal([each[k] for each in last], last_alone)


def test_mapped_twice_and_along_another_axis():
    case = make_case("gru_reset_after")
    inputs = np.stack([stacked(case.inputs), stacked(case.inputs) + 1])
    outputs = jax.vmap(jax.vmap(lambda x: run(case, inputs=x)[0], in_axes=2))(np.moveaxis(inputs, 1, 3))
    for i, k in np.ndindex(2, MAPPED):
        np.testing.assert_array_equal(outputs[i, k], run(case, inputs=inputs[i, k])[0])


@pytest.mark.parametrize("layout", ["dense", "flat"])
def test_mapped_weights_run_one_after_another(layout):
    case = make_case("simple_rnn", layout)
    kernels = stacked(case.weights[0])
    outputs, last = jax.vmap(lambda kernel: run(case, weights=[kernel, *case.weights[1:]]))(kernels)
    for k in range(MAPPED):
        alone, last_alone = run(case, weights=[kernels[k], *case.weights[1:]])
        np.testing.assert_array_equal(outputs[k], alone)
        np.testing.assert_array_equal(last[0][k], last_alone[0])


def test_mapped_flat_inputs():
    case = make_case("lstm", "flat")
    inputs = stacked(case.inputs)
    outputs, _ = jax.vmap(lambda x: run(case, inputs=x))(inputs)
    for k in range(MAPPED):
        np.testing.assert_array_equal(outputs[k], run(case, inputs=inputs[k])[0])


def test_gradients_of_mapped_and_mapped_gradients():
    case = make_case("lstm", "prefix")
    inputs = stacked(case.inputs)
    alone = [jax.grad(partial(loss, case), (0, 1))(x, case.weights, case.states) for x in inputs]

    per_batch = jax.vmap(jax.grad(partial(loss, case), (0, 1)), (0, None, None))(inputs, case.weights, case.states)
    for k in range(MAPPED):
        jax.tree.map(
            lambda got, wanted, k=k: np.testing.assert_allclose(got[k], wanted, atol=1e-6), per_batch, alone[k]
        )

    def summed(inputs: Any, weights: Any) -> Any:
        return jax.vmap(lambda x: loss(case, x, weights, case.states))(inputs).sum()

    d_inputs, d_weights = jax.grad(summed, (0, 1))(inputs, case.weights)
    np.testing.assert_allclose(d_inputs, [each[0] for each in alone], atol=1e-6)
    for k, d_weight in enumerate(d_weights):
        np.testing.assert_allclose(d_weight, sum(each[1][k] for each in alone), atol=1e-5)


def test_jacobian_in_reverse():
    case = make_case("simple_rnn", all_outputs=False)
    jacobian = jax.jacrev(lambda h: run(case, states=[h])[1][0].sum(0))(case.states[0])
    for unit in range(UNITS):
        only = np.zeros((ROWS, UNITS), np.float32)
        only[:, unit] = 1
        wanted = oracle(case._replace(d_last=[only]))[2]["h"]
        np.testing.assert_allclose(jacobian[unit], wanted, rtol=0, atol=2e-5)
