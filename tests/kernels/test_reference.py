"""The reference against central finite differences, and its promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import ModelError, ShapeError, StateError
from sostenuto.kernels import reference as ref

pytestmark = pytest.mark.plain

FEATURES, UNITS = 3, 4
CELLS = {
    "lstm": ref.LSTM(),
    "lstm relu, hard_sigmoid": ref.LSTM("relu", "hard_sigmoid"),
    "lstm of three activations": ref.LSTM("sigmoid", "tanh", "linear"),
    "gru": ref.GRU(),
    "gru linear, hard_sigmoid": ref.GRU("linear", "hard_sigmoid"),
    "gru reset before": ref.GRU(reset_after=False),
    "gru reset before, relu": ref.GRU("relu", reset_after=False),
    "simple": ref.SimpleRNN(),
    "simple relu": ref.SimpleRNN("relu"),
    "simple linear": ref.SimpleRNN("linear"),
}
all_cells = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def random_weights(cell: ref.Cell, rng: np.random.Generator, use_bias: bool = True) -> list[np.ndarray]:
    shapes = [(FEATURES, cell.gates * UNITS), (UNITS, cell.gates * UNITS), cell.bias_shape(UNITS)]
    return [rng.normal(0, 0.5, shape) for shape in shapes[: 3 if use_bias else 2]]


def random_states(cell: ref.Cell, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=UNITS) for _ in cell.state_names]


def slopes(loss, at: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of ``loss()`` with respect to every entry of ``at``, which is moved in place."""
    out = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        kept = at[place]
        at[place] = kept + step
        above = loss()
        at[place] = kept - step
        below = loss()
        at[place] = kept
        out[place] = (above - below) / (2 * step)
    return out


@all_cells
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no bias"])
def test_gradients_are_the_slopes_of_the_loss(cell, reverse, use_bias, rng):
    x = rng.normal(size=(5, FEATURES))
    weights = random_weights(cell, rng, use_bias)
    states = random_states(cell, rng)
    d_outputs = rng.normal(size=(5, UNITS))
    d_final = random_states(cell, rng)

    def loss() -> float:
        outputs, final, _ = ref.forward(cell, x, weights, states, reverse=reverse)
        return float((outputs * d_outputs).sum() + sum((s * d).sum() for s, d in zip(final, d_final, strict=True)))

    d_x, d_weights, d_states = ref.backward(
        ref.forward(cell, x, weights, states, reverse=reverse)[2], d_outputs, d_final
    )

    np.testing.assert_allclose(d_x, slopes(loss, x), atol=1e-7)
    assert len(d_weights) == len(weights)
    for got, weight in zip(d_weights, weights, strict=True):
        np.testing.assert_allclose(got, slopes(loss, weight), atol=1e-7)
    for got, state in zip(d_states, states, strict=True):
        np.testing.assert_allclose(got, slopes(loss, state), atol=1e-7)


def test_lstm_step_by_hand():
    """One unit, weights of one: every gate is the sigmoid of x + h."""
    weights = np.ones((1, 4)), np.ones((1, 4)), np.zeros(4)
    outputs, (h, c), _ = ref.forward(ref.LSTM(), [[0.5]], weights, ([0.25], [2.0]))
    gate = 1 / (1 + np.exp(-0.75))
    wanted_c = gate * 2.0 + gate * np.tanh(0.75)
    np.testing.assert_allclose(c, [wanted_c], rtol=1e-15)
    np.testing.assert_allclose(h, [gate * np.tanh(wanted_c)], rtol=1e-15)
    np.testing.assert_array_equal(outputs, [h])


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_step_by_hand(reset_after):
    """Scalar weights and biases that differ in every gate."""
    kernel, recurrent = np.array([[0.1, 0.2, 0.3]]), np.array([[0.4, 0.5, 0.6]])
    bias = np.array([[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]]) if reset_after else np.array([0.01, 0.02, 0.03])
    x, h = 0.7, -0.9
    own, inner = (bias[0], bias[1]) if reset_after else (bias, np.zeros(3))
    z = 1 / (1 + np.exp(-(x * 0.1 + own[0] + h * 0.4 + inner[0])))
    r = 1 / (1 + np.exp(-(x * 0.2 + own[1] + h * 0.5 + inner[1])))
    # For one unit r * (h R) and (r * h) R are the same; only the second bias tells the variants apart.
    g = np.tanh(x * 0.3 + own[2] + r * (h * 0.6 + inner[2]))
    _, (got,), _ = ref.forward(ref.GRU(reset_after=reset_after), [[x]], (kernel, recurrent, bias), [[h]])
    np.testing.assert_allclose(got, [z * h + (1 - z) * g], rtol=1e-14)


@all_cells
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4), seed=st.integers(0, 9), reverse=st.booleans())
def test_ragged_equals_each_alone(cell, lengths, seed, reverse):
    rng = np.random.default_rng(seed)
    weights = random_weights(cell, rng)
    sequences = [rng.normal(size=(length, FEATURES)) for length in lengths]
    states = [random_states(cell, rng) for _ in lengths]
    d_outputs = [rng.normal(size=(length, UNITS)) for length in lengths]
    d_final = [random_states(cell, rng) for _ in lengths]

    outputs, final, tapes = ref.forward_ragged(cell, sequences, weights, states, reverse=reverse)
    d_x, d_weights, d_states = ref.backward_ragged(tapes, d_outputs, d_final)

    total = [np.zeros_like(weight) for weight in weights]
    for k, x in enumerate(sequences):
        alone, end, tape = ref.forward(cell, x, weights, states[k], reverse=reverse)
        back = ref.backward(tape, d_outputs[k], d_final[k])
        np.testing.assert_array_equal(outputs[k], alone)
        np.testing.assert_array_equal(final[k], end)
        np.testing.assert_array_equal(d_x[k], back[0])
        np.testing.assert_array_equal(d_states[k], back[2])
        total = [t + d for t, d in zip(total, back[1], strict=True)]
    for got, wanted in zip(d_weights, total, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@all_cells
@given(cut=st.integers(0, 6), seed=st.integers(0, 9))
def test_a_cut_changes_nothing(cell, cut, seed):
    rng = np.random.default_rng(seed)
    weights, states = random_weights(cell, rng), random_states(cell, rng)
    x = rng.normal(size=(6, FEATURES))
    whole, end, _ = ref.forward(cell, x, weights, states)
    first, between, _ = ref.forward(cell, x[:cut], weights, states)
    second, last, _ = ref.forward(cell, x[cut:], weights, between)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(last, end)


@all_cells
def test_no_steps_leave_the_states(cell, rng):
    states, d_final = random_states(cell, rng), random_states(cell, rng)
    outputs, final, tape = ref.forward(cell, np.zeros((0, FEATURES)), random_weights(cell, rng), states)
    assert outputs.shape == (0, UNITS)
    np.testing.assert_array_equal(final, states)
    d_x, d_weights, d_states = ref.backward(tape, d_final_states=d_final)
    assert d_x.shape == (0, FEATURES)
    assert not any(d.any() for d in d_weights)
    np.testing.assert_array_equal(d_states, d_final)


@all_cells
def test_reverse_is_the_reversed_sequence(cell, rng):
    weights, x = random_weights(cell, rng), rng.normal(size=(5, FEATURES))
    for got, wanted in zip(
        ref.forward(cell, x, weights, reverse=True)[:2], ref.forward(cell, x[::-1], weights)[:2], strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


def test_inputs_are_left_alone(rng):
    cell = ref.LSTM()
    states = random_states(cell, rng)
    before = [state.copy() for state in states]
    _, final, _ = ref.forward(cell, np.zeros((0, FEATURES)), random_weights(cell, rng), states)
    final[0][:] = 9
    np.testing.assert_array_equal(states, before)


def test_unknown_activation():
    with pytest.raises(ModelError) as caught:
        ref.LSTM("swish")
    assert str(caught.value) == (
        "The reference LSTM does not know this activation.\n"
        "  got     'swish'\n"
        "  wanted  'tanh' or 'sigmoid' or 'relu' or 'linear' or 'hard_sigmoid'\n"
        "  more    sostenuto explain SO214"
    )


def test_wrong_number_of_features(rng):
    with pytest.raises(ShapeError) as caught:
        ref.forward(ref.GRU(), np.zeros((2, 7)), random_weights(ref.GRU(), rng))
    assert str(caught.value) == (
        "The reference cannot read this sequence.\n"
        "  got     7 features\n"
        "  wanted  3 features\n"
        "  more    sostenuto explain SO103"
    )


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3)])
def test_wrong_number_of_axes(shape, rng):
    with pytest.raises(ShapeError, match=r"wanted  \(T, F\)"):
        ref.forward(ref.GRU(), np.zeros(shape), random_weights(ref.GRU(), rng))


def test_weights_of_another_cell(rng):
    with pytest.raises(ShapeError, match="These are not the weights of a GRU"):
        ref.forward(ref.GRU(), np.zeros((2, FEATURES)), random_weights(ref.LSTM(), rng))


def test_wrong_number_of_states(rng):
    with pytest.raises(StateError, match="wanted  2: h, c"):
        ref.forward(ref.LSTM(), np.zeros((2, FEATURES)), random_weights(ref.LSTM(), rng), [np.zeros(UNITS)])


def test_state_of_another_size(rng):
    with pytest.raises(StateError, match=r"State 'c' does not fit this LSTM"):
        ref.forward(ref.LSTM(), np.zeros((2, FEATURES)), random_weights(ref.LSTM(), rng), [np.zeros(UNITS), [0.0]])


def test_gradients_of_another_length(rng):
    tape = ref.forward(ref.GRU(), np.zeros((2, FEATURES)), random_weights(ref.GRU(), rng))[2]
    with pytest.raises(ShapeError, match="The gradients do not fit the outputs"):
        ref.backward(tape, np.zeros((3, UNITS)))
