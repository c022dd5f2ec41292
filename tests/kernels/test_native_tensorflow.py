"""The native kernel as ops of TensorFlow: right by value, and computing no more than is asked."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from sostenuto.kernels import native_module
from sostenuto.kernels.recurrence import CELLS

if keras.backend.backend() != "tensorflow":
    pytest.skip("these ops are TensorFlow's", allow_module_level=True)
if native_module.load() is None:
    pytest.skip(f"no native kernel: {native_module.why_not()}", allow_module_level=True)

import tensorflow as tf

from tests.kernels.tensorflow_cases import (
    LAYOUTS,
    Case,
    F,
    U,
    around_a_graph,
    check_gradients,
    check_values,
    compare,
    eager,
    in_a_graph,
)

# --- values and gradients -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True], ids=["", "reverse"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_values_and_gradients(cell, layout, reverse):
    case = Case(cell, layout, reverse=reverse)
    check_values(case)
    check_values(case, tf.function(case.run, autograph=False))
    for way in (eager, in_a_graph, around_a_graph):
        check_gradients(case, way)


@pytest.mark.parametrize("layout", ["dense", "gaps", "flat"])
@pytest.mark.parametrize("cell", CELLS)
def test_without_outputs(cell, layout):
    case = Case(cell, layout, all_outputs=False)
    check_values(case)
    for way in (eager, in_a_graph, around_a_graph):
        check_gradients(case, way)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("layout", ["gaps", "flat"])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_dropout(cell, layout, bias):
    case = Case(cell, layout, dropout=True, bias=bias)
    check_values(case)
    for way in (eager, in_a_graph):
        check_gradients(case, way)


@pytest.mark.parametrize("cell", CELLS)
def test_masked_steps_are_not_read(cell):
    case, clean = Case(cell, "gaps"), Case(cell, "gaps")
    case.inputs[~case.mask] = np.nan
    np.testing.assert_array_equal(case.run(*case.arrays)[0], clean.run(*clean.arrays)[0])
    tensors = [tf.constant(array) for array in case.arrays]
    compare(eager(case, tensors), clean.expected()[2])


@pytest.mark.parametrize("shape", [(0, 4), (2, 0)], ids=["no rows", "no steps"])
def test_nothing_to_run(shape):
    rows, steps = shape
    case = Case("lstm")
    case.inputs = case.inputs[:rows, :steps]
    case.states = [state[:rows] for state in case.states]
    case.d_outputs, case.d_last = case.d_outputs[:rows, :steps], [d[:rows] for d in case.d_last]
    tensors = [tf.constant(array) for array in case.arrays]
    outputs, last = case.run(*tensors)
    assert outputs.shape == (rows, steps, U)
    for found, first in zip(last, case.states, strict=True):
        np.testing.assert_array_equal(found, first)
    d_inputs, *d_weights, d_h, d_c = eager(case, tensors)
    assert d_inputs.shape == (rows, steps, F)
    assert not any(np.any(gradient) for gradient in d_weights)
    np.testing.assert_array_equal(d_h, case.d_last[0])
    np.testing.assert_array_equal(d_c, case.d_last[1])


def test_a_gradient_that_is_sparse():
    case = Case("gru_reset_after")
    tensors = [tf.constant(array) for array in case.arrays]
    chosen = np.zeros(case.d_outputs.shape, np.float32)
    chosen[[0, 2]] = case.d_outputs[[0, 2]]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = tf.reduce_sum(tf.gather(case.run(*tensors)[0], [0, 2]) * case.d_outputs[[0, 2]])
    found = tape.gradient(loss, tensors)
    case.d_outputs, case.d_last = chosen, [0 * d for d in case.d_last]
    compare(found, case.expected()[2])


# --- what is computed, and what is not ----------------------------------------------------------------------------


def ops_of(function, *tensors):
    graph = function.get_concrete_function(*tensors).graph
    return [op for op in graph.get_operations() if op.type.startswith("Sostenuto")]


@pytest.mark.parametrize("all_outputs", [True, False])
def test_only_a_run_under_a_tape_saves(all_outputs):
    case = Case("lstm", all_outputs=all_outputs)
    tensors = [tf.constant(array) for array in case.arrays]
    (alone,) = ops_of(tf.function(case.run, autograph=False), *tensors)
    assert alone.type == ("SostenutoForward" if all_outputs else "SostenutoLast")

    def under_a_tape_of_others(*tensors):
        other = tf.constant(1.0)
        with tf.GradientTape() as tape:
            tape.watch(other)
            return case.run(*tensors), tape.gradient(other * other, other)

    (unwatched,) = ops_of(tf.function(under_a_tape_of_others, autograph=False), *tensors)
    assert unwatched.type == alone.type
    learning = ops_of(tf.function(lambda *inner: eager(case, list(inner)), autograph=False), *tensors)
    assert [op.type for op in learning] == ["SostenutoForwardSaving", "SostenutoBackward"]


def test_a_gradient_that_nobody_asks_for_is_not_computed():
    case = Case("lstm")

    @tf.function(autograph=False)
    def learn(inputs, *others):
        with tf.GradientTape() as tape:
            tape.watch(others[:2])
            loss = case.loss(inputs, *others)
        return tape.gradient(loss, others[:2])

    tensors = [tf.constant(array) for array in case.arrays]
    (backward,) = [op for op in ops_of(learn, *tensors) if op.type == "SostenutoBackward"]
    assert backward.get_attr("wanted") == 0b000110
    compare(learn(*tensors), case.expected()[2][1:3])


@pytest.mark.parametrize("cell", CELLS)
def test_static_shapes(cell):
    case = Case(cell)
    others = [tf.constant(array) for array in case.arrays[1:]]

    def shapes(*spec):
        found = []

        @tf.function(input_signature=[tf.TensorSpec(spec)], autograph=False)
        def run(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs, last = case.run(inputs, *others)
            found.extend([outputs.shape, *(state.shape for state in last), tape.gradient(outputs, inputs).shape])

        run.get_concrete_function()
        return [shape.as_list() for shape in found]

    states = [[4, U]] * case.what.states
    assert shapes(None, None, F) == [[None, None, U], *states, [None, None, F]]
    assert shapes(4, None, F) == [[4, None, U], *states, [4, None, F]]
    assert shapes(None, 6, F) == [[None, 6, U], *states, [None, 6, F]]
    case.flat, case.offsets = True, np.array([0, 2, 2, 5, 6])
    assert shapes(None, F) == [[None, U], *states, [None, F]]
