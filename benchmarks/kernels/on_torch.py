"""torch: its own recurrent layers, padded and packed, Keras on torch, and ours on torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import on_keras
import ours
import torch
from offers import Offer, Ready
from torch.nn.utils import rnn
from workloads import GATES, PRODUCT, Problem, Workload

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

MODULES = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple_rnn": torch.nn.RNN}

Translate = Callable[[list[torch.Tensor]], list[np.ndarray]]


def offers(kind: str, workload: Workload) -> Iterator[Offer]:
    """The contenders of this process."""
    if kind == "product":
        yield from _products()
        return
    problem = Problem(workload)
    name = f"torch.nn.{MODULES[workload.cell].__name__}"
    if kind == "step":
        yield Offer(name, "peer", lambda: _one_step(problem))
        yield Offer("torch.nn.LSTMCell", "peer", lambda: _one_cell(problem))
        yield from on_keras.step_offers("torch", problem)
        return
    training = kind == "training"
    yield Offer(name, "peer", lambda: _padded(problem, training, rows_first=True))
    yield Offer(f"{name}, time first", "peer", lambda: _padded(problem, training, rows_first=False))
    if workload.lengths is not None:
        yield Offer(f"{name}, packed", "peer", lambda: _packed(problem, training))
        yield Offer(f"{name}, packed ahead, sorted", "peer", lambda: _packed_ahead(problem, training))
    stock, layer = on_keras.stock_layer, ours.layer
    yield Offer("Keras torch", "stock", lambda: _layer(problem, stock(workload.cell, workload.units), training))
    yield Offer("layer, torch", "layer", lambda: _layer(problem, layer(workload.cell, workload.units), training))
    yield Offer("ours, torch", "ours", lambda: _ours(problem, training))
    if workload.lengths is not None:
        yield Offer("ours, torch, flat", "ours", lambda: _ours(problem, training, flat=True))
        yield Offer("ours, torch, dense", "dense", lambda: _ours(Problem(on_keras.dense_twin(workload)), training))


def _ready(
    problem: Problem,
    training: bool,
    forward: Callable[[], torch.Tensor],
    leaves: list[torch.Tensor],
    d: np.ndarray,
    translate: Translate | None = None,
    arrange: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> Ready:
    # leaves: the inputs first; translate: gradients of the others in Keras's layout; arrange: of outputs and inputs.
    given = torch.tensor(d)
    steps = problem.workload.real_steps

    def infer() -> torch.Tensor:
        with torch.inference_mode():
            return forward()

    def train() -> tuple[torch.Tensor, Any]:
        outputs = forward()
        return outputs, torch.autograd.grad(outputs, leaves, given)

    def answer() -> dict[str, np.ndarray]:
        if not training:
            return problem.answer(arrange(infer().numpy()))
        outputs, (d_inputs, *others) = train()
        d_weights = translate(list(others)) if translate else [gradient.numpy() for gradient in others]
        return problem.answer(arrange(outputs.detach().numpy()), [arrange(d_inputs.numpy()), *d_weights])

    return Ready(train if training else infer, answer, steps)


# --- torch's own ------------------------------------------------------------------------------------------------


def _module(problem: Problem, rows_first: bool, kind: type | None = None) -> tuple[Any, Translate]:
    # The module with the problem's weights, and what brings its gradients into Keras's layout.
    workload = problem.workload
    options = {} if kind else {"batch_first": rows_first}
    module = (kind or MODULES[workload.cell])(workload.features, workload.units, **options)
    # Keras has a GRU's gates as z, r, h, torch as r, z, h; the swap is its own inverse. The others agree.
    gates = [1, 0, 2] if workload.cell == "gru" else list(range(GATES[workload.cell]))

    def order(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(array, len(gates), axis=-1)[gate] for gate in gates], axis=-1)

    kernel, recurrent_kernel, bias = map(order, problem.weights)
    # Only a GRU has two biases in Keras; the second of the others is zero.
    biases = list(bias) if workload.cell == "gru" else [bias, np.zeros_like(bias)]
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), [kernel.T, recurrent_kernel.T, *biases], strict=True):
            parameter.copy_(torch.tensor(value))

    def translate(gradients: list[torch.Tensor]) -> list[np.ndarray]:
        d_kernel, d_recurrent, *d_biases = [gradient.numpy() for gradient in gradients]
        d_bias = np.stack([order(one) for one in d_biases]) if workload.cell == "gru" else order(d_biases[0])
        return [order(d_kernel.T), order(d_recurrent.T), d_bias]

    return module, translate


def _padded(problem: Problem, training: bool, rows_first: bool) -> Ready:
    def arrange(array: np.ndarray) -> np.ndarray:
        return array if rows_first else np.ascontiguousarray(array.swapaxes(0, 1))

    module, translate = _module(problem, rows_first)
    x = torch.tensor(arrange(problem.x), requires_grad=training)
    leaves = [x, *module.parameters()]
    return _ready(problem, training, lambda: module(x)[0], leaves, arrange(problem.d), translate, arrange)


def _packed(problem: Problem, training: bool) -> Ready:
    # From a padded batch in the order it came, and back to one.
    module, translate = _module(problem, rows_first=True)
    x = torch.tensor(problem.x, requires_grad=training)
    lengths = torch.tensor(problem.lengths)

    def forward() -> torch.Tensor:
        packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return rnn.pad_packed_sequence(module(packed)[0], batch_first=True)[0]

    return _ready(problem, training, forward, [x, *module.parameters()], problem.d, translate)


def _packed_ahead(problem: Problem, training: bool) -> Ready:
    # At its best: rows sorted and packed beforehand, outputs left packed.
    module, translate = _module(problem, rows_first=True)
    order = np.argsort(-problem.lengths, kind="stable")
    lengths = torch.tensor(problem.lengths[order])

    def pack(padded: np.ndarray) -> rnn.PackedSequence:
        return rnn.pack_padded_sequence(torch.tensor(padded[order]), lengths, batch_first=True)

    def arrange(array: np.ndarray) -> np.ndarray:
        padded = rnn.pad_packed_sequence(rnn.PackedSequence(torch.tensor(array), sizes), batch_first=True)[0]
        return padded.numpy()[np.argsort(order)]

    data, sizes = pack(problem.x)[:2]
    data.requires_grad_(training)
    leaves = [data, *module.parameters()]
    d = pack(problem.d).data.numpy()

    def forward() -> torch.Tensor:
        return module(rnn.PackedSequence(data, sizes))[0].data

    return _ready(problem, training, forward, leaves, d, translate, arrange)


def _one_step(problem: Problem) -> Ready:
    module = _module(problem, rows_first=False)[0]

    def run(x: torch.Tensor, states: list[Any]) -> tuple[torch.Tensor, list[Any]]:
        with torch.inference_mode():
            outputs, after = module(x, tuple(states))
        return outputs, list(after)

    return on_keras.carried(problem, run, lambda array: torch.tensor(array)[None])


def _one_cell(problem: Problem) -> Ready:
    cell = _module(problem, rows_first=False, kind=torch.nn.LSTMCell)[0]

    def run(x: torch.Tensor, states: list[Any]) -> tuple[torch.Tensor, list[Any]]:
        with torch.inference_mode():
            after = cell(x, tuple(states))
        return after[0], list(after)

    return on_keras.carried(problem, run, torch.tensor)


# --- Keras on torch, and ours -----------------------------------------------------------------------------------


def _layer(problem: Problem, layer: Any, training: bool) -> Ready:
    on_keras.built(layer, problem)
    x = torch.tensor(problem.x, requires_grad=training)
    mask = None if problem.mask is None else torch.tensor(problem.mask)
    leaves = [x, *(variable.value for variable in layer.trainable_variables)]
    return _ready(problem, training, lambda: layer(x, mask=mask), leaves, problem.d)


def _ours(problem: Problem, training: bool, flat: bool = False) -> Ready:
    run = ours.recurrence("torch", problem, flat)
    x, d = (problem.flat_x, problem.flat_d) if flat else (problem.x, problem.d)
    leaves = [torch.tensor(array, requires_grad=training) for array in (x, *problem.weights)]
    return _ready(problem, training, lambda: run(*leaves), leaves, d)


# --- the large product ------------------------------------------------------------------------------------------


def _products() -> Iterator[Offer]:
    random = np.random.default_rng(0)
    # Transposed in memory, so that linear(a, b) and a @ b.T both read rows.
    a, b = (torch.tensor(random.normal(size=(PRODUCT, PRODUCT)).astype("float32")) for _ in range(2))

    def ready(call: Callable[[], torch.Tensor]) -> Ready:
        return Ready(call, lambda: {"outputs": call().numpy()[:64]})

    def by_onednn() -> Ready:
        left, right = a.to_mkldnn(), b.T.contiguous().to_mkldnn()
        call = torch.nn.functional.linear
        return Ready(lambda: call(left, right), lambda: {"outputs": call(left, right).to_dense().numpy()[:64]})

    yield Offer("torch.mm", "peer", lambda: ready(lambda: a @ b))
    yield Offer("torch, oneDNN", "peer", by_onednn)
