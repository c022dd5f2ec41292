"""The definition of correct: LSTM, GRU and SimpleRNN on one sequence, forward and backward, in NumPy float64.

One sequence at a time, without padding, mask or batch, so that nothing but the equations is left. Every other
kernel is tested against this file; it is written to be read, not to be fast.

Weights are in Keras's order and layout, ``(kernel, recurrent_kernel, bias)``; leave the bias away where
``use_bias=False``. Gates lie side by side along the last axis.

=========  ===========  ================  ==================================  ===========  ======
cell       kernel       recurrent_kernel  bias                                gates        states
=========  ===========  ================  ==================================  ===========  ======
LSTM       (F, 4U)      (U, 4U)           (4U,)                               i, f, c, o   h, c
GRU        (F, 3U)      (U, 3U)           (2, 3U); (3U,) for not reset_after  z, r, h      h
SimpleRNN  (F, U)       (U, U)            (U,)                                h            h
=========  ===========  ================  ==================================  ===========  ======

T steps, F features, U units. A name that begins with ``d_`` is the gradient of the loss with respect to what
follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from sostenuto.errors import ModelError, ShapeError, StateError

Array = npt.NDArray[np.float64]
Arrays = tuple[Array, ...]


class Activation(NamedTuple):
    """A function of one number and its slope, the latter written in terms of the function's value."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


ACTIVATIONS = {
    "tanh": Activation(np.tanh, lambda y: 1 - y * y),
    # The logistic function by way of tanh: exact, and no overflow for large negative numbers.
    "sigmoid": Activation(lambda x: 0.5 + 0.5 * np.tanh(0.5 * x), lambda y: y * (1 - y)),
    "relu": Activation(lambda x: np.maximum(x, 0.0), lambda y: np.where(y > 0, 1.0, 0.0)),
    "linear": Activation(lambda x: x, np.ones_like),
    "hard_sigmoid": Activation(
        lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0), lambda y: np.where((y > 0) & (y < 1), 1 / 6, 0.0)
    ),
}


@dataclass(frozen=True)
class Cell:
    """What a step does; a subclass holds the equations of one kind of cell.

    Args:
        activation: name of the activation of the candidate (and, in an LSTM, of the cell state).
        recurrent_activation: name of the activation of the gates.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    gates: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("h",)

    def __post_init__(self) -> None:
        for name in (self.activation, self.recurrent_activation, getattr(self, "output_activation", None)):
            if name is not None and name not in ACTIVATIONS:
                raise ModelError(
                    f"The reference {type(self).__name__} does not know this activation.",
                    code="SO214",
                    got=repr(name),
                    wanted=" or ".join(map(repr, ACTIVATIONS)),
                )

    def bias_shape(self, units: int) -> tuple[int, ...]:
        """The shape of the bias for ``units`` units."""
        return (self.gates * units,)

    def step(self, x: Array, states: Arrays, weights: Arrays) -> tuple[Arrays, Arrays]:
        """Runs one step.

        Args:
            x: the features of the step, (F,).
            states: the states before the step, each (U,).
            weights: kernel, recurrent kernel, bias.

        Returns:
            The states after the step, the first of which is the output; and what ``step_back`` needs to remember.
        """
        raise NotImplementedError

    def step_back(self, saved: Arrays, d_states: Arrays, weights: Arrays) -> tuple[Array, Arrays, Arrays]:
        """Runs one step backward.

        Args:
            saved: what ``step`` remembered.
            d_states: gradients of the states after the step, each (U,).
            weights: kernel, recurrent kernel, bias.

        Returns:
            The gradients of x, of the states before the step, and of the weights.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory: gates i, f, c, o; states h, c.

    Args:
        activation: as in ``Cell``.
        recurrent_activation: as in ``Cell``.
        output_activation: name of the activation of the cell state on its way out, where ONNX's h is not its g;
            the same as ``activation`` by default.
    """

    output_activation: str | None = None

    gates = 4
    state_names = ("h", "c")

    def step(self, x: Array, states: Arrays, weights: Arrays) -> tuple[Arrays, Arrays]:
        act, gate = ACTIVATIONS[self.activation].value, ACTIVATIONS[self.recurrent_activation].value
        out = ACTIVATIONS[self.output_activation or self.activation].value
        kernel, recurrent, bias = weights
        h, c = states
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        i, f, g, o = gate(i), gate(f), act(g), gate(o)
        c_new = f * c + i * g
        a = out(c_new)
        return (o * a, c_new), (x, h, c, i, f, g, o, a)

    def step_back(self, saved: Arrays, d_states: Arrays, weights: Arrays) -> tuple[Array, Arrays, Arrays]:
        act, gate = ACTIVATIONS[self.activation].slope, ACTIVATIONS[self.recurrent_activation].slope
        out = ACTIVATIONS[self.output_activation or self.activation].slope
        kernel, recurrent, _ = weights
        x, h, c, i, f, g, o, a = saved
        d_h, d_c = d_states
        d_c = d_c + d_h * o * out(a)
        d_z = np.concatenate([d_c * g * gate(i), d_c * c * gate(f), d_c * i * act(g), d_h * a * gate(o)])
        d_weights = _outer(x, d_z), _outer(h, d_z), d_z
        return d_z @ kernel.T, (d_z @ recurrent.T, d_c * f), d_weights


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit: gates z, r, h; state h.

    Args:
        activation: as in ``Cell``.
        recurrent_activation: as in ``Cell``.
        reset_after: whether the reset gate acts after the multiplication with the recurrent kernel (Keras's default)
            or before it.
    """

    reset_after: bool = True

    gates = 3

    def bias_shape(self, units: int) -> tuple[int, ...]:
        return (2, 3 * units) if self.reset_after else (3 * units,)

    def step(self, x: Array, states: Arrays, weights: Arrays) -> tuple[Arrays, Arrays]:
        act, gate = ACTIVATIONS[self.activation].value, ACTIVATIONS[self.recurrent_activation].value
        kernel, recurrent, bias = weights
        (h,) = states
        units = h.size
        if self.reset_after:
            xz, xr, xg = np.split(x @ kernel + bias[0], 3)
            hz, hr, inner = np.split(h @ recurrent + bias[1], 3)
            z, r = gate(xz + hz), gate(xr + hr)
            g = act(xg + r * inner)
        else:
            xz, xr, xg = np.split(x @ kernel + bias, 3)
            hz, hr = np.split(h @ recurrent[:, : 2 * units], 2)
            z, r = gate(xz + hz), gate(xr + hr)
            inner = r * h
            g = act(xg + inner @ recurrent[:, 2 * units :])
        return (z * h + (1 - z) * g,), (x, h, z, r, g, inner)

    def step_back(self, saved: Arrays, d_states: Arrays, weights: Arrays) -> tuple[Array, Arrays, Arrays]:
        act, gate = ACTIVATIONS[self.activation].slope, ACTIVATIONS[self.recurrent_activation].slope
        kernel, recurrent, _ = weights
        x, h, z, r, g, inner = saved
        (d_h_new,) = d_states
        units = h.size
        d_z = d_h_new * (h - g) * gate(z)
        d_g = d_h_new * (1 - z) * act(g)
        if self.reset_after:
            d_r = d_g * inner * gate(r)
            d_x_side = np.concatenate([d_z, d_r, d_g])
            d_h_side = np.concatenate([d_z, d_r, d_g * r])
            d_h = d_h_new * z + d_h_side @ recurrent.T
            d_weights = _outer(x, d_x_side), _outer(h, d_h_side), np.stack([d_x_side, d_h_side])
        else:
            d_inner = d_g @ recurrent[:, 2 * units :].T
            d_r = d_inner * h * gate(r)
            d_x_side = np.concatenate([d_z, d_r, d_g])
            d_h = d_h_new * z + d_inner * r + d_x_side[: 2 * units] @ recurrent[:, : 2 * units].T
            d_recurrent = np.concatenate([_outer(h, d_x_side[: 2 * units]), _outer(inner, d_g)], axis=1)
            d_weights = _outer(x, d_x_side), d_recurrent, d_x_side
        return d_x_side @ kernel.T, (d_h,), d_weights


@dataclass(frozen=True)
class SimpleRNN(Cell):
    """The plain recurrence: one state h, no gates; ``recurrent_activation`` has no part in it."""

    def step(self, x: Array, states: Arrays, weights: Arrays) -> tuple[Arrays, Arrays]:
        kernel, recurrent, bias = weights
        (h,) = states
        h_new = ACTIVATIONS[self.activation].value(x @ kernel + h @ recurrent + bias)
        return (h_new,), (x, h, h_new)

    def step_back(self, saved: Arrays, d_states: Arrays, weights: Arrays) -> tuple[Array, Arrays, Arrays]:
        kernel, recurrent, _ = weights
        x, h, h_new = saved
        (d_h_new,) = d_states
        d_z = d_h_new * ACTIVATIONS[self.activation].slope(h_new)
        d_weights = _outer(x, d_z), _outer(h, d_z), d_z
        return d_z @ kernel.T, (d_z @ recurrent.T,), d_weights


@dataclass(frozen=True)
class Tape:
    """What a forward run remembers for the backward run."""

    cell: Cell
    weights: Arrays
    use_bias: bool
    reverse: bool
    saved: list[Arrays]


def forward(
    cell: Cell, x: Any, weights: Sequence[Any], states: Sequence[Any] | None = None, *, reverse: bool = False
) -> tuple[Array, Arrays, Tape]:
    """Runs a cell over one sequence.

    Args:
        cell: an ``LSTM``, ``GRU`` or ``SimpleRNN`` of this module.
        x: the sequence, (T, F); T may be 0.
        weights: kernel, recurrent kernel and, unless there is none, bias.
        states: the states before the first step, each (U,); zeros by default.
        reverse: whether to run from the last step to the first (Keras's ``go_backwards``).

    Returns:
        The outputs (T, U) in the order in which the steps were run, the final states, each (U,), and the tape.

    Raises:
        ShapeError: x is not (T, F) with the F of the kernel, or the weights do not fit each other.
        StateError: the states are not those of the cell.

    Example:
        >>> import numpy as np
        >>> weights = np.ones((1, 2)), np.zeros((2, 2))
        >>> outputs, (h,), _ = forward(SimpleRNN("linear"), [[1.0], [5.0]], weights)
        >>> outputs.tolist(), h.tolist()
        ([[1.0, 1.0], [5.0, 5.0]], [5.0, 5.0])
    """
    x = np.asarray(x, np.float64)
    known = _weights(cell, weights)
    units = known[1].shape[0]
    if x.ndim != 2:
        raise ShapeError("The reference reads one sequence.", code="SO202", got=f"shape {x.shape}", wanted="(T, F)")
    if x.shape[1] != known[0].shape[0]:
        got, wanted = f"{x.shape[1]} features", f"{known[0].shape[0]} features"
        raise ShapeError("The reference cannot read this sequence.", code="SO103", got=got, wanted=wanted)
    current = _states(cell, units, states)
    outputs = np.zeros((len(x), units))
    saved = []
    for k, step in enumerate(x[::-1] if reverse else x):
        current, remembered = cell.step(step, current, known)
        outputs[k] = current[0]
        saved.append(remembered)
    return outputs, current, Tape(cell, known, len(weights) == 3, reverse, saved)


def backward(
    tape: Tape, d_outputs: Any | None = None, d_final_states: Sequence[Any] | None = None
) -> tuple[Array, Arrays, Arrays]:
    """Backpropagation through time for a run of ``forward``.

    Args:
        tape: what ``forward`` returned.
        d_outputs: gradients of the outputs, (T, U), in the order of the outputs; zeros by default.
        d_final_states: gradients of the final states, each (U,); zeros by default.

    Returns:
        The gradients of x (T, F) in the order of x, of the weights as they were given, and of the initial states.

    Example:
        >>> import numpy as np
        >>> weights = np.ones((1, 2)), np.zeros((2, 2))
        >>> outputs, states, tape = forward(SimpleRNN("linear"), [[1.0], [5.0]], weights)
        >>> d_x, d_weights, d_states = backward(tape, d_final_states=[[1.0, 0.0]])
        >>> d_x.tolist(), d_weights[0].tolist()
        ([[0.0], [1.0]], [[5.0, 0.0]])
    """
    features, units = tape.weights[0].shape[0], tape.weights[1].shape[0]
    length = len(tape.saved)
    d_out = np.zeros((length, units)) if d_outputs is None else np.asarray(d_outputs, np.float64)
    if d_out.shape != (length, units):
        got, wanted = f"shape {d_out.shape}", f"shape {(length, units)}"
        raise ShapeError("The gradients do not fit the outputs.", code="SO202", got=got, wanted=wanted)
    d_states = _states(tape.cell, units, d_final_states)
    d_x = np.zeros((length, features))
    d_weights: Arrays = tuple(np.zeros_like(w) for w in tape.weights)
    for k in reversed(range(length)):
        d_states = (d_states[0] + d_out[k], *d_states[1:])
        d_x[k], d_states, of_step = tape.cell.step_back(tape.saved[k], d_states, tape.weights)
        d_weights = tuple(total + part for total, part in zip(d_weights, of_step, strict=True))
    return d_x[::-1] if tape.reverse else d_x, d_weights if tape.use_bias else d_weights[:2], d_states


def forward_ragged(
    cell: Cell,
    sequences: Sequence[Any],
    weights: Sequence[Any],
    states: Sequence[Any] | None = None,
    *,
    reverse: bool = False,
) -> tuple[list[Array], list[Arrays], list[Tape]]:
    """Runs a cell over many sequences, each alone.

    Args:
        cell: as in ``forward``.
        sequences: the sequences, each (T, F) with a T of its own.
        weights: as in ``forward``.
        states: for each sequence its initial states; zeros by default.
        reverse: as in ``forward``.

    Returns:
        For each sequence its outputs, its final states and its tape.

    Example:
        >>> import numpy as np
        >>> weights = np.ones((1, 2)), np.zeros((2, 2))
        >>> outputs, states, _ = forward_ragged(SimpleRNN(), [[[1.0], [2.0]], np.zeros((0, 1))], weights)
        >>> [each.shape for each in outputs]
        [(2, 2), (0, 2)]
    """
    of_each = [None] * len(sequences) if states is None else states
    runs = [forward(cell, x, weights, s, reverse=reverse) for x, s in zip(sequences, of_each, strict=True)]
    return [run[0] for run in runs], [run[1] for run in runs], [run[2] for run in runs]


def backward_ragged(
    tapes: Sequence[Tape],
    d_outputs: Sequence[Any] | None = None,
    d_final_states: Sequence[Any] | None = None,
) -> tuple[list[Array], Arrays, list[Arrays]]:
    """Backpropagation through time for a run of ``forward_ragged`` over at least one sequence.

    Args:
        tapes: what ``forward_ragged`` returned.
        d_outputs: for each sequence the gradients of its outputs; zeros by default.
        d_final_states: for each sequence the gradients of its final states; zeros by default.

    Returns:
        The gradients of each sequence, of the weights (summed over the sequences), and of the initial states of each.
    """
    of_outputs = [None] * len(tapes) if d_outputs is None else d_outputs
    of_states = [None] * len(tapes) if d_final_states is None else d_final_states
    runs = [backward(tape, d, s) for tape, d, s in zip(tapes, of_outputs, of_states, strict=True)]
    d_weights = tuple(np.sum(parts, axis=0) for parts in zip(*[run[1] for run in runs], strict=True))
    return [run[0] for run in runs], d_weights, [run[2] for run in runs]


def _outer(a: Array, b: Array) -> Array:
    return a[:, None] * b


def _weights(cell: Cell, weights: Sequence[Any]) -> Arrays:
    kernel, recurrent = (np.asarray(w, np.float64) for w in weights[:2])
    units = recurrent.shape[0]
    bias = np.asarray(weights[2], np.float64) if len(weights) == 3 else np.zeros(cell.bias_shape(units))
    got = kernel.shape, recurrent.shape, bias.shape
    wanted = (kernel.shape[0], cell.gates * units), (units, cell.gates * units), cell.bias_shape(units)
    if got != wanted:
        what, where = f"These are not the weights of a {type(cell).__name__}.", "kernel, recurrent kernel, bias"
        words = {"got": ", ".join(map(str, got)), "wanted": ", ".join(map(str, wanted))}
        raise ShapeError(what, code="SO103", where=where, **words)
    return kernel, recurrent, bias


def _states(cell: Cell, units: int, states: Sequence[Any] | None) -> Arrays:
    if states is None:
        return tuple(np.zeros(units) for _ in cell.state_names)
    known = tuple(np.array(state, np.float64) for state in states)
    if len(known) != len(cell.state_names):
        raise StateError(
            f"These are not the states of a {type(cell).__name__}.",
            code="SO301",
            got=str(len(known)),
            wanted=f"{len(cell.state_names)}: {', '.join(cell.state_names)}",
        )
    for name, state in zip(cell.state_names, known, strict=True):
        if state.shape != (units,):
            raise StateError(
                f"State {name!r} does not fit this {type(cell).__name__}.",
                code="SO302",
                got=f"shape {state.shape}",
                wanted=f"shape {(units,)}",
            )
    return known
