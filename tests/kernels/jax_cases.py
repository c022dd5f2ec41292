"""Calls of the native kernels under JAX, their results by the float64 reference, and what JAX traces of them.

Whoever imports this is skipped where there is no JAX or no native module.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from sostenuto.kernels import native_module
from sostenuto.kernels import reference as ref
from sostenuto.kernels.recurrence import Recurrence

if keras.backend.backend() != "jax":
    pytest.skip("tests the adapter of JAX", allow_module_level=True)
if not hasattr(native_module.load(), "jax_targets"):
    pytest.skip(f"no native module: {native_module.why_not() or 'built without JAX'}", allow_module_level=True)

import jax
import jax.extend
import jax.numpy as jnp  # noqa: F401

from sostenuto.kernels.adapters import jax as adapter

ROWS, STEPS, FEATURES, UNITS = 4, 6, 3, 5
REFERENCES = {
    "lstm": ref.LSTM(),
    "gru_reset_after": ref.GRU(),
    "gru_reset_before": ref.GRU(reset_after=False),
    "simple_rnn": ref.SimpleRNN(),
}
MASKS = {
    "dense": None,
    "prefix": np.arange(STEPS) < np.array([6, 0, 3, 1])[:, None],
    "gaps": np.array([[0, 1, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1]], bool),
}
OFFSETS = np.array([0, 5, 5, 6, 12])
NAMES = ("inputs", "kernel", "recurrent_kernel", "bias", "h", "c")


class Case(NamedTuple):
    """Operands of a call, and gradients of its results."""

    what: Recurrence
    inputs: np.ndarray
    weights: list[Any]
    states: list[np.ndarray]
    options: dict[str, np.ndarray]
    d_outputs: np.ndarray
    d_last: list[np.ndarray]


def make_case(
    cell: str, layout: str = "dense", *, bias: bool = True, dropout: bool = False, by_gate: str = "", **what: Any
) -> Case:
    """A case; ``by_gate`` names the operands, "recurrent" and "input", that have dropout of their own for each gate."""
    rng = np.random.default_rng(1)
    asked = Recurrence(cell, UNITS, **what)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.6, shape).astype(np.float32)

    in_memory = (OFFSETS[-1],) if layout == "flat" else (ROWS, STEPS)
    inputs, options = normal(*in_memory, FEATURES), {}
    if layout == "flat":
        options["offsets"] = OFFSETS
    elif layout != "dense":
        options["mask"] = MASKS[layout]
        inputs[~MASKS[layout]] = np.nan
    if dropout:
        options["recurrent_dropout"] = (rng.random((ROWS, UNITS)) < 0.7).astype(np.float32) / np.float32(0.7)
    for name, size in (("recurrent", UNITS), ("input", FEATURES)):
        if name in by_gate:
            options[f"{name}_dropout"] = rng.uniform(0.2, 1.8, (ROWS, asked.gates * size)).astype(np.float32)
    width = asked.gates * UNITS
    weights = [normal(FEATURES, width), normal(UNITS, width), normal(*asked.bias_shape) if bias else None]
    states = [normal(ROWS, UNITS) for _ in range(asked.states)]
    d_last = [normal(ROWS, UNITS) for _ in range(asked.states)]
    return Case(asked, inputs, weights, states, options, normal(*in_memory, UNITS), d_last)


def run(case: Case, **changed: Any) -> Any:
    given = {"inputs": case.inputs, "weights": case.weights, "states": case.states} | case.options | changed
    return adapter.recurrence(case.what, given.pop("inputs"), given.pop("weights"), given.pop("states"), **given)


def loss(case: Case, inputs: Any, weights: Any, states: Any) -> Any:
    """A sum whose gradients by the results are those of the case."""
    outputs, last = run(case, inputs=inputs, weights=weights, states=states)
    total = sum((value * d).sum() for value, d in zip(last, case.d_last, strict=True))
    return total if outputs is None else total + (outputs * case.d_outputs).sum()


def gradients_of(case: Case) -> dict[str, Any]:
    d_inputs, d_weights, d_states = jax.grad(partial(loss, case), (0, 1, 2))(case.inputs, case.weights, case.states)
    found = zip(NAMES, (d_inputs, *d_weights, *d_states), strict=False)
    return {name: value for name, value in found if value is not None}


def oracle(case: Case) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
    """Outputs, last states and gradients by the float64 reference, each row alone and without its masked steps."""
    cell, what = REFERENCES[case.what.cell], case.what
    kernel, recurrent, bias = [None if w is None else w.astype(np.float64) for w in case.weights]
    outputs = np.zeros((*case.inputs.shape[:-1], UNITS))
    last = [np.zeros((ROWS, UNITS)) for _ in case.states]
    found = {"inputs": np.zeros(case.inputs.shape), "kernel": 0.0, "recurrent_kernel": 0.0, "bias": 0.0}
    found |= {name: np.zeros((ROWS, UNITS)) for name in NAMES[4 : 4 + what.states]}
    for row in range(ROWS):
        if "offsets" in case.options:
            steps = list(range(OFFSETS[row], OFFSETS[row + 1]))
            inputs, into, d_outputs, d_inputs = case.inputs, outputs, case.d_outputs, found["inputs"]
            real = set(steps)
        else:
            steps = list(range(STEPS))
            inputs, into, d_outputs, d_inputs = (
                whole[row] for whole in (case.inputs, outputs, case.d_outputs, found["inputs"])
            )
            mask = case.options.get("mask")
            real = set(steps if mask is None else np.flatnonzero(mask[row]))
        in_order = steps[::-1] if what.reverse else steps
        # What the states or the inputs are multiplied with ahead of a kernel might as well be on its rows.
        factors = _on_rows(case, "recurrent_dropout", UNITS, row)
        input_factors = _on_rows(case, "input_dropout", FEATURES, row)
        weights = [input_factors * kernel, factors * recurrent, *([] if bias is None else [bias])]
        states = [state[row].astype(np.float64) for state in case.states]
        run_steps = [step for step in in_order if step in real]
        ran, of_row, tape = ref.forward(cell, inputs[run_steps], weights, states)

        # Entry 0 stands for the initial h, entry k for the k-th real step; masked steps repeat the entry before.
        entries, d_entries, entry = [states[0], *ran], np.zeros((len(ran) + 1, UNITS)), 0
        for step in in_order:
            entry += step in real
            into[step] = entries[entry]
            d_entries[entry] += d_outputs[step] if what.all_outputs else 0
        d_x, d_weights, d_states = ref.backward(tape, d_entries[1:], [d[row] for d in case.d_last])
        d_inputs[run_steps] = d_x
        found["kernel"] += input_factors * d_weights[0]
        found["recurrent_kernel"] += factors * d_weights[1]
        if bias is not None:
            found["bias"] += d_weights[2]
        for name, total, state, d_state in zip(NAMES[4:], last, of_row, d_states, strict=False):
            total[row] = state
            found[name][row] = d_state
        found["h"][row] += d_entries[0]
    if bias is None:
        del found["bias"]
    return outputs, last, found


def _on_rows(case: Case, name: str, size: int, row: int) -> np.ndarray:
    """(size, G * U): the factors of one row of the batch, (size,) or (G * size,), gate by gate."""
    factors = case.options.get(name, np.ones((ROWS, size)))[row].astype(np.float64).reshape(-1, size)
    each_gate = np.broadcast_to(factors, (case.what.gates, size))
    return np.repeat(each_gate.T, UNITS, axis=1)


def operands_of(case: Case, **changed: Any) -> dict[str, np.ndarray]:
    """The operands by name and in order, as the module itself takes them."""
    found = dict.fromkeys(adapter.Operands._fields, np.zeros((0,), np.float32))
    given = zip(NAMES, [case.inputs, *case.weights, *case.states], strict=False)
    return found | dict(given) | case.options | changed


def assert_gradients(got: dict[str, Any], wanted: dict[str, np.ndarray]) -> None:
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=0, atol=2e-5 * np.abs(value).max() + 1e-6, err_msg=name)


def native_calls(function: Any, *operands: Any) -> list[Any]:
    """The native calls that JAX traces in a function, those of inner functions too."""

    def inside(jaxpr: Any) -> Any:
        for equation in jaxpr.eqns:
            if equation.primitive.name == "ffi_call":
                yield equation
            for inner in jax.extend.core.jaxprs_in_params(equation.params):
                yield from inside(inner)

    return list(inside(jax.make_jaxpr(function)(*operands).jaxpr))


def shapes_in(call: Any) -> list[tuple[int, ...]]:
    return [variable.aval.shape for variable in call.invars]


def shapes_out(call: Any) -> list[tuple[int, ...]]:
    return [variable.aval.shape for variable in call.outvars]
