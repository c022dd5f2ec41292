"""The numbers that others published, reproduced by the reference and by the layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import sostenuto as so
from sostenuto.kernels import reference as ref
from tests.kernels import vectors

CASES = vectors.all_cases()
needs_files = pytest.mark.skipif(not CASES, reason=f"the published vectors are not in {vectors.FOLDER}")


def activations_of_keras(case):
    """Keras's layers have one activation for the candidate and the cell state."""
    return case.activations[1] == case.activations[2]


def compare(case, outputs, last, c, atol):
    """Outputs in the order in which they were computed; published ones are in the order of time."""
    for row, mask in enumerate(case.mask):
        if case.outputs is not None:
            wanted = case.outputs[row, mask]
            wanted = wanted[::-1] if case.reverse else wanted
            np.testing.assert_allclose(outputs[row][mask], wanted, atol=atol, rtol=0)
        if case.last is not None:
            np.testing.assert_allclose(last[row], case.last[row], atol=atol, rtol=0)
        if case.c is not None:
            np.testing.assert_allclose(c[row], case.c[row], atol=atol, rtol=0)


@needs_files
def test_all_cases_are_there():
    assert len([case for case in CASES if case.name.startswith("keras")]) == 10
    assert len({case.name.split()[1] for case in CASES if case.name.startswith("onnx")}) == 9
    assert len([case for case in CASES if case.name.startswith("pytorch")]) == 1
    assert sum(activations_of_keras(case) for case in CASES) == len(CASES) - 2


@needs_files
@pytest.mark.plain
@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference(case):
    gate, candidate, out = case.activations
    cell = ref.LSTM(candidate, gate, out)
    sequences = [x[real] for x, real in zip(case.inputs, case.mask, strict=True)]
    states = None if case.states is None else list(zip(*case.states, strict=True))
    for _ in range(case.calls):
        outputs, states, _ = ref.forward_ragged(cell, sequences, case.weights, states, reverse=case.reverse)
    padded = np.zeros((*case.mask.shape, case.units))
    for row, values in enumerate(outputs):
        padded[row, case.mask[row]] = values
    compare(case, padded, [h for h, _ in states], [c for _, c in states], case.atol)


@needs_files
@pytest.mark.parametrize("case", [case for case in CASES if activations_of_keras(case)], ids=str)
def test_layer(case):
    gate, activation, _ = case.activations
    layer = layer_of(case, so.LSTM, activation, gate)
    states = None if case.states is None else [ops.convert_to_tensor(state, "float32") for state in case.states]
    for _ in range(case.calls):
        outputs, *states = layer(case.inputs.astype("float32"), mask=case.mask, initial_state=states)
    h, c = (ops.convert_to_numpy(state) for state in states)
    # Two computations in float32 may err in opposite directions.
    compare(case, ops.convert_to_numpy(outputs), h, c, 2 * case.atol)


def layer_of(case, kind, activation="tanh", gate="sigmoid", **settings):
    layer = kind(
        case.units,
        activation=activation,
        recurrent_activation=gate,
        go_backwards=case.reverse,
        return_sequences=True,
        return_state=True,
        **settings,
    )
    layer.build((None, None, case.inputs.shape[2]))
    layer.set_weights(case.weights)
    return layer


def named(name):
    return next(case for case in CASES if case.name == name)


@needs_files
@pytest.mark.parametrize("name", ["onnx BidirectionalSimpleWeightsNoBiasTwoRows", "onnx ShorterSeqInMiddle"])
def test_bidirectional_layer(name):
    there, back = named(f"{name} forward"), named(f"{name} reverse")
    layer = so.Bidirectional(layer_of(there, so.LSTM), backward_layer=layer_of(back, so.LSTM))
    layer.build((None, None, there.inputs.shape[2]))
    layer.set_weights([*there.weights, *back.weights])
    outputs, *states = layer(there.inputs.astype("float32"), mask=there.mask)
    wanted = np.concatenate([there.outputs, back.outputs], axis=-1)
    np.testing.assert_allclose(ops.convert_to_numpy(outputs)[there.mask], wanted[there.mask], atol=1e-6, rtol=0)
    for got, right in zip(states, [there.last, there.c, back.last, back.c], strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(got), right, atol=1e-6, rtol=0)


@needs_files
@pytest.mark.parametrize("zero", [False, True], ids=["repeated", "zero"])
def test_outputs_at_masked_steps(zero):
    """Published: a masked step repeats the output before it, or holds 0 with zero_output_for_mask."""
    case = named("keras mask_sequences")
    layer = layer_of(case, so.LSTM, zero_output_for_mask=zero)
    outputs, *_ = layer(case.inputs.astype("float32"), mask=case.mask)
    wanted = case.outputs * case.mask[..., None] if zero else case.outputs
    np.testing.assert_allclose(ops.convert_to_numpy(outputs), wanted, atol=1e-6, rtol=0)


@needs_files
def test_stateful_layer():
    case = named("keras stateful_second_call")
    layer = so.LSTM(case.units, stateful=True)
    layer.build((len(case.inputs), None, case.inputs.shape[2]))
    layer.set_weights(case.weights)
    x = keras.ops.convert_to_tensor(case.inputs, "float32")
    layer(x)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), case.last, atol=1e-6, rtol=0)
