"""Chunked training as it ought to be, in float64: a loop over rounds and over sequences, each alone, with its states.

Nothing of the package's plan of batches, of its tables of states or of the backends' gradients is used: sequences are
dealt to lanes by a plain queue, layers are run by the NumPy reference, and weights are moved by plain gradient descent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import sostenuto as so
from tests.oracle import expected


@dataclass
class Network:
    """Branches of recurrent layers side by side, their outputs joined, a Dense layer after them.

    Attributes:
        branches: layers with weights, one list per branch.
        kernel: (sum of U, O) of the Dense layer.
        bias: (O,).
        per: "step" or "sequence".
        start: learned initial states, one list of vectors (U,) for each layer, or None for zeros.
        names: the names of the model's layers, in the order of the branches.
    """

    branches: list[list[Any]]
    kernel: np.ndarray
    bias: np.ndarray
    per: str = "step"
    start: list[list[np.ndarray]] | None = None
    names: list[str] = field(default_factory=list)
    layers: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.layers = [layer for branch in self.branches for layer in branch]

    def first_states(self) -> list[list[np.ndarray]]:
        """Fresh states, (1, U) each, for each layer."""
        if self.start is not None:
            return [[vector[None].astype(float) for vector in vectors] for vectors in self.start]
        return [[np.zeros((1, layer.units)) for _ in layer.state_names] for layer in self.layers]


@dataclass
class Gradients:
    """Sums over sequences, in the shapes of a Network."""

    layers: list[list[np.ndarray]]
    kernel: np.ndarray
    bias: np.ndarray
    start: list[list[np.ndarray]]

    @classmethod
    def zero(cls, network: Network) -> Gradients:
        return cls(
            [[np.zeros(w.shape) for w in layer.get_weights()] for layer in network.layers],
            np.zeros_like(network.kernel),
            np.zeros_like(network.bias),
            [[np.zeros(state.shape[1]) for state in states] for states in network.first_states()],
        )


def chunk_of(network: Network, x: np.ndarray, target: Any, states: Any, fresh: bool, counts: bool, into: Gradients):
    """One chunk of one sequence: the sum of its squared errors, its count, and its final states.

    Gradients of that sum are added to ``into``; they stop where the chunk begins.
    """
    forward, number, joined = [], 0, []
    for branch in network.branches:
        values = x[None].astype(float)
        for layer in branch:
            done = expected(layer, values, initial_state=states[number])
            forward.append((values, done))
            values = done.outputs
            number += 1
        joined.append(values[0] if network.per == "step" else forward[-1][1].last)
    read = np.concatenate(joined, axis=-1)  # (T, U) or (1, U)
    error = read @ network.kernel + network.bias - np.reshape(np.asarray(target, float), (len(read), 1))
    after = [done.states for _, done in forward]
    if not counts or (network.per == "step" and len(x) == 0):
        return 0.0, 0, after
    d_read = 2 * error @ network.kernel.T
    into.kernel += read.T @ (2 * error)
    into.bias += 2 * error.sum(0)
    at, number = 0, 0
    for branch in network.branches:
        width = branch[-1].units
        d_out = d_read[:, at : at + width]
        at += width
        for depth in range(len(branch) - 1, -1, -1):
            position = number + depth
            values, _ = forward[position]
            last = network.per == "sequence" and depth == len(branch) - 1
            back = expected(
                branch[depth],
                values,
                initial_state=states[position],
                d_outputs=None if last else d_out[None],
                d_last=d_out if last else None,
            )
            for total, part in zip(into.layers[position], back.d_weights, strict=True):
                total += part.reshape(total.shape)
            if fresh:
                for total, part in zip(into.start[position], back.d_states, strict=True):
                    total += part[0]
            d_out = back.d_inputs[0]
        number += len(branch)
    return float((error**2).mean(-1).sum()), len(read), after


def train(
    network: Network,
    data: dict[Any, np.ndarray],
    targets: dict[Any, Any],
    *,
    chunk: int,
    lanes: int,
    rate: float,
    epochs: int = 1,
    carry_epochs: bool = False,
    every_chunk: bool = True,
) -> list[float]:
    """Trains a network in place, sequences in order; gives the mean loss of each epoch."""
    history, kept = [], {}
    for _ in range(epochs):
        waiting, lane_of, done = list(data), [None] * lanes, dict.fromkeys(data, 0)
        total = counted = 0.0
        while True:
            for lane in range(lanes):
                if lane_of[lane] is None and waiting:
                    lane_of[lane] = waiting.pop(0)
            busy = [name for name in lane_of if name is not None]
            if not busy:
                break
            sums, loss, number = Gradients.zero(network), 0.0, 0
            for lane, name in enumerate(lane_of):
                if name is None:
                    continue
                x = data[name]
                start, end = done[name], min(done[name] + chunk, len(x))
                fresh = start == 0 and not (carry_epochs and name in kept)
                states = network.first_states() if fresh else kept[name]
                target = targets[name][start:end] if network.per == "step" else targets[name]
                counts = network.per == "step" or every_chunk or end == len(x)
                one, count, kept[name] = chunk_of(network, x[start:end], target, states, fresh, counts, sums)
                loss, number, done[name] = loss + one, number + count, end
                if end == len(x):
                    lane_of[lane] = None
            if number:
                descend(network, sums, rate / number)
            total, counted = total + loss, counted + number
        history.append(total / counted)
    return history


def descend(network: Network, sums: Gradients, rate: float) -> None:
    """Plain gradient descent."""
    for layer, gradients in zip(network.layers, sums.layers, strict=True):
        layer.set_weights([w - rate * g for w, g in zip(layer.get_weights(), gradients, strict=True)])
    network.kernel -= rate * sums.kernel
    network.bias -= rate * sums.bias
    if network.start is not None:
        network.start = [
            [v - rate * g for v, g in zip(vectors, gradients, strict=True)]
            for vectors, gradients in zip(network.start, sums.start, strict=True)
        ]


def copies_of(layer: Any) -> list[Any]:
    """Plain layers in float64 that compute what a recurrent layer does; a stack of cells becomes several."""
    cells = layer.cell.cells if hasattr(layer.cell, "cells") else [layer.cell]
    kinds = {"LSTMCell": so.LSTM, "GRUCell": so.GRU, "SimpleRNNCell": so.SimpleRNN}
    plain = []
    for cell in cells:
        one = kinds[type(cell).__name__](cell.units, return_sequences=True, dtype="float64")
        one.build((None, None, cell.kernel.shape[0]))
        one.set_weights(cell.get_weights())
        plain.append(one)
    return plain


def network_of(branches: list[list[Any]], dense: Any, per: str = "step", start: Any = None) -> Network:
    """The oracle's copy of a model's layers.

    Args:
        branches: the model's recurrent layers, one list per branch.
        dense: its Dense layer.
        per: "step" or "sequence".
        start: its learned initial states, flat, or None.
    """
    kernel, bias = (np.array(w, float) for w in dense.get_weights())
    plain = [[copy for layer in branch for copy in copies_of(layer)] for branch in branches]
    network = Network(plain, kernel, bias, per, names=[layer.name for branch in branches for layer in branch])
    if start is not None:
        flat = [np.asarray(vector, float) for vector in start]
        network.start = [[flat.pop(0) for _ in layer.state_names] for layer in network.layers]
    return network


def weights_of(network: Network) -> list[np.ndarray]:
    """All weights, in the order: recurrent layers, Dense, learned initial states."""
    start = [] if network.start is None else [vector for vectors in network.start for vector in vectors]
    return [*(w for layer in network.layers for w in layer.get_weights()), network.kernel, network.bias, *start]
