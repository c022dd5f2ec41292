"""What the native kernels refuse under JAX, and where they do not run."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from sostenuto.errors import ModelError, ShapeError
from sostenuto.kernels import native_module
from tests.kernels.jax_cases import (
    FEATURES,
    OFFSETS,
    ROWS,
    STEPS,
    UNITS,
    adapter,
    jax,
    loss,
    make_case,
    native_calls,
    operands_of,
    run,
    shapes_out,
)

# What JAX makes of a message of the module depends on how the call was dispatched.
REFUSED = (ValueError, jax.errors.JaxRuntimeError)


def forward_mode(loss: Any, x: Any) -> Any:
    return jax.jvp(loss, (x,), (x,))


def forward_mode_compiled(loss: Any, x: Any) -> Any:
    return jax.jit(lambda x: forward_mode(loss, x))(x)


def forward_mode_in_a_scan(loss: Any, x: Any) -> Any:
    return forward_mode(lambda x: jax.lax.scan(lambda total, _: (total + loss(x), None), 0.0, None, length=2)[0], x)


def linearized(loss: Any, x: Any) -> Any:
    return jax.linearize(loss, x)[1](x)


@pytest.mark.parametrize("derive", [forward_mode, forward_mode_compiled, forward_mode_in_a_scan, linearized])
def test_forward_mode_is_refused(derive):
    case = make_case("lstm")
    with pytest.raises(ModelError, match=r"cannot be differentiated like this") as caught:
        derive(lambda x: loss(case, x, case.weights, case.states), case.inputs)
    assert caught.value.code == "SO609"
    assert caught.value.got.startswith("forward mode")
    assert "SOSTENUTO_NATIVE=0" in caught.value.fix


def test_forward_mode_of_many_directions_is_refused_by_jax():
    case = make_case("lstm")
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jacfwd(lambda x: loss(case, x, case.weights, case.states))(case.inputs)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("outer", [jax.grad, jax.jacfwd, jax.jacrev])
def test_second_derivatives_are_refused(outer, compiled):
    case = make_case("lstm")
    first = jax.grad(lambda x: loss(case, x, case.weights, case.states))
    second = outer(lambda x: (first(x) ** 2).sum())
    with pytest.raises(ModelError) as caught:
        (jax.jit(second) if compiled else second)(case.inputs)
    assert caught.value.code == "SO609"
    assert caught.value.got == "a second derivative"


@pytest.mark.parametrize(
    "changed",
    [
        {"inputs": np.zeros((ROWS, STEPS, FEATURES + 1), np.float32)},
        {"inputs": np.zeros((ROWS, FEATURES), np.float32)},
        {"states": [np.zeros((1, UNITS), np.float32), np.zeros((ROWS, UNITS), np.float32)]},
        {"states": [np.zeros((ROWS, UNITS), np.float32)]},
        {"mask": np.ones((ROWS, STEPS + 1), bool)},
        {"recurrent_dropout": np.ones((ROWS, 1), np.float32)},
        {"offsets": OFFSETS},
        {"inputs": np.zeros((ROWS, STEPS, FEATURES), np.float16)},
        {"mask": np.ones((ROWS, STEPS), np.int32)},
    ],
    ids=lambda changed: "{} {}".format(*next((k, getattr(v, "shape", "")) for k, v in changed.items())),
)
def test_operands_that_do_not_fit_are_refused(changed):
    with pytest.raises(ShapeError) as caught:
        run(make_case("lstm"), **changed)
    assert caught.value.code == "SO107"


@pytest.mark.parametrize(
    ("offsets", "told"),
    [
        ([0, 5, 5, 6, 13], "got 0 to 13, wanted 0 to 12"),
        ([0, 5, 5, 6, 11], "got 0 to 11, wanted 0 to 12"),
        ([1, 5, 5, 6, 12], "got 1 to 12, wanted 0 to 12"),
        ([0, 7, 5, 6, 12], "not rising all the way"),
        ([0, -7, 5, 6, 12], "not rising all the way"),
    ],
)
def test_offsets_that_lead_elsewhere_are_refused(offsets, told):
    case = make_case("lstm", "flat")
    with pytest.raises(REFUSED, match=told):
        jax.block_until_ready(run(case, offsets=np.array(offsets)))


def raw_call(target: str, arguments: list[Any], results: list[tuple[int, ...]], cell: int = 0, units: int = 5) -> Any:
    shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in results]
    call = jax.ffi.ffi_call(target, shapes)
    return jax.block_until_ready(call(*arguments, cell=cell, reverse=False, units=units))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("offsets", np.zeros((5, 1), np.int32), r"offsets: got int32 \(5, 1\), wanted int32 or int64 \(rows \+ 1,\)"),
        (
            "inputs",
            np.zeros((2, 6), np.float32),
            r"inputs: got float32 \(2, 6\), wanted float32 \(rows, steps, features\)",
        ),
        ("inputs", np.zeros((4, 6, 3), np.float16), r"inputs: got float16 \(4, 6, 3\)"),
        ("kernel", np.zeros((2, 20), np.float32), r"kernel: got float32 \(2, 20\), wanted float32 \(3, 20\)"),
        (
            "recurrent_kernel",
            np.zeros((5, 19), np.float32),
            r"recurrent_kernel: got float32 \(5, 19\), wanted float32 \(5, 20\)",
        ),
        ("bias", np.zeros((2, 20), np.float32), r"bias: got float32 \(2, 20\), wanted float32 \(20,\)"),
        ("h", np.zeros((0,), np.float32), r"state h: got float32 \(0,\), wanted float32 \(4, 5\)"),
        ("c", np.zeros((4, 6), np.float32), r"state c: got float32 \(4, 6\), wanted float32 \(4, 5\)"),
        (
            "recurrent_dropout",
            np.zeros((4, 5), np.int32),
            r"recurrent_dropout: got int32 \(4, 5\), wanted float32 \(4, 5\)",
        ),
        (
            "input_dropout",
            np.zeros((4, 3), np.float32),
            r"input_dropout: got float32 \(4, 3\), wanted float32 \(4, 12\)",
        ),
        ("mask", np.zeros((4, 6), np.float32), r"mask: got float32 \(4, 6\), wanted bool \(4, 6\)"),
    ],
)
@pytest.mark.parametrize("target", ["sostenuto_forward", "sostenuto_backward"])
def test_the_module_itself_refuses_what_does_not_fit(target, place, value, told):
    """Whoever calls it past recurrence() gets a message, not a crash."""
    case = make_case("lstm")
    absent = np.zeros((0,), np.float32)
    arguments = [*operands_of(case, **{place: value}).values()]
    results = [case.d_outputs.shape, (ROWS, UNITS), (ROWS, UNITS), (0,)]
    if target == "sostenuto_backward":
        saved = np.zeros(case.what.saved_size(ROWS * STEPS), np.float32)
        arguments += [case.d_outputs, saved, absent, absent, absent]
        # XLA leaves out a call whose results are all empty.
        results = [(0,)] * 4 + [(ROWS, UNITS), (0,)]
    with pytest.raises(REFUSED, match=told):
        raw_call(target, arguments, results)


def test_the_module_itself_refuses_calls_of_another_form():
    case = make_case("lstm")
    absent = np.zeros((0,), np.float32)
    operands = [*operands_of(case).values()]
    count = len(operands)
    results = [case.d_outputs.shape, (ROWS, UNITS), (ROWS, UNITS), (0,)]
    (saved,) = shapes_out(native_calls(jax.grad(partial(loss, case)), case.inputs, case.weights, case.states)[0])[3]
    for arguments, wanted, options, told in (
        (operands[:-1], results, {}, f"expected {count} but got {count - 1}"),
        (operands, results[:-1], {}, "expected 4 but got 3"),
        ([*operands, absent], results, {}, f"expected {count} but got {count + 1}"),
        (operands, [*results, (1,)], {}, "expected 4 but got 5"),
        (operands, [(ROWS, UNITS), *results[1:]], {}, r"outputs: got float32 \(4, 5\), wanted float32 \(4, 6, 5\)"),
        (
            operands,
            [*results[:3], (saved - 1,)],
            {},
            rf"saved: got float32 \({saved - 1},\), wanted float32 \({saved},",
        ),
        (operands, [(0,), *results[1:3], (saved,)], {}, "saved without outputs"),
        (operands, results, {"cell": 4}, "cell number 4 with 5 units"),
        (operands, results, {"cell": -1}, "cell number -1"),
        (operands, results, {"units": 0}, "with 0 units"),
    ):
        with pytest.raises(REFUSED, match=told):
            raw_call("sostenuto_forward", arguments, wanted, **options)
    with pytest.raises(REFUSED, match=rf"saved: got float32 \(0,\), wanted float32 \({saved},\)"):
        raw_call("sostenuto_backward", [*operands, case.d_outputs, *[absent] * 4], [*[(0,)] * 4, (ROWS, UNITS), (0,)])


# --- where it runs ----------------------------------------------------------------------------------------------------


def test_reasons(monkeypatch):
    assert adapter.native_reason() is None
    with monkeypatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        assert adapter.native_reason() == "JAX computes on 'gpu', not on the CPU"
    with monkeypatch.context() as patch:
        patch.setattr(native_module, "load", lambda: object())
        assert "without the headers of jaxlib" in adapter.native_reason()
