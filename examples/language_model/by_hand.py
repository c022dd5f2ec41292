"""The same training as train.py with every equation written out: on PyTorch the two agree bit for bit.

    export KERAS_BACKEND=torch OMP_NUM_THREADS=1 SOSTENUTO_NATIVE=0
    python examples/language_model/train.py train.txt valid.txt test.txt --epochs 3 --out out/words
    python examples/language_model/by_hand.py train.txt valid.txt test.txt --epochs 3 --beside out/words

Nothing of Sostenuto or Keras is used after the first weights are drawn: two LSTM layers, the states that go from chunk
to chunk, the loss, the clipping and the steps of gradient descent are plain PyTorch, each operation in the order in
which train.py's portable kernel does it. Training at rate 1 makes a rounding error grow to a percent within a hundred
chunks, so a loop in another order (plain_torch.py) tells the two apart no better than that; this one shows that nothing
but rounding was different. Both programs need the same number of threads (OMP_NUM_THREADS).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import torch
import train as example
from plain_torch import chunks
from rich.console import Console
from torch.nn import functional

import sostenuto as so

Tensors = Sequence[torch.Tensor]


def lstm(x: torch.Tensor, weights: Tensors, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
    """Outputs (B, T, U) and the last states of inputs (B, T, F), from states (B, U)."""
    kernel, recurrent_kernel, bias = weights
    outputs = []
    for step in (x.transpose(0, 1) @ kernel + bias).unbind():
        i, f, g, o = step.addmm(h, recurrent_kernel).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs).transpose(0, 1), (h, c)


def forward(words: torch.Tensor, weights: Tensors, states: Tensors) -> tuple[torch.Tensor, Tensors]:
    """Logits (B, T, V) of words (B, T), and the states h and c of both layers after them."""
    embedding, *recurrent, kernel, bias = weights
    values = functional.embedding(words, embedding)
    first, after_first = lstm(values, recurrent[:3], *states[:2])
    second, after_second = lstm(first, recurrent[3:], *states[2:])
    return second @ kernel + bias, [*after_first, *after_second]


def losses(logits: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """The loss of each step (B * T,)."""
    return functional.cross_entropy(logits.flatten(0, 1), following.flatten().long(), reduction="none")


def zeros(lanes: so.Sequences, units: int) -> Tensors:
    """The states (B, U) that all lanes begin with."""
    return [torch.zeros(len(lanes), units) for _ in range(4)]


def fit_epoch(weights: Tensors, lanes: so.Sequences, unroll: int, rate: float) -> float:
    """One epoch of stochastic gradient descent; gives its perplexity."""
    states, total, number = zeros(lanes, weights[2].shape[0]), 0.0, 0
    for words, following in chunks(lanes, unroll):
        logits, states = forward(words, weights, [state.detach() for state in states])
        each = losses(logits, following)
        gradients = torch.autograd.grad(each.sum() / each.numel() * unroll, list(weights))
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        scale = example.CLIP * torch.minimum(1 / norm, torch.tensor(1 / example.CLIP))
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.add_(gradient * scale, alpha=-rate)
        total += each.detach().sum().item()
        number += each.numel()
    return math.exp(total / number)


def evaluate(weights: Tensors, lanes: so.Sequences, unroll: int) -> float:
    """The perplexity of a text, nothing learnt from it."""
    states, total = zeros(lanes, weights[2].shape[0]), 0.0
    with torch.no_grad():
        for words, following in chunks(lanes, unroll):
            logits, states = forward(words, weights, states)
            total += losses(logits, following).sum().item()
    return math.exp(total / lanes.values.size)


def main(arguments: list[str] | None = None) -> None:
    """Trains, prints the perplexity of each epoch, and how far the weights are from those of train.py."""
    parser = example.arguments_of(__doc__)
    parser.add_argument("--beside", type=example.Path, help="the --out folder of a train.py of the same settings")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    with example.explained():
        vocabulary, texts = example.read_texts(options)
        drawn = example.build(len(vocabulary), options.units, options.unroll, options.seed).get_weights()
    weights = [torch.tensor(np.array(weight), requires_grad=True) for weight in drawn]
    beside = json.loads((options.beside / "perplexity.json").read_text()) if options.beside else {"train": []}
    console.print(f"[bold]{'epoch':>5}  {'training':>10}  {'validation':>10}  {'train.py':>10}  {'ratio':>10}[/]")
    for epoch in range(options.epochs):
        trained = fit_epoch(weights, texts["train"], options.unroll, example.rate_of(epoch))
        valid = evaluate(weights, texts["valid"], options.unroll)
        line = f"{epoch + 1:>5}  {trained:>10.3f}  {valid:>10.3f}"
        if epoch < len(beside["train"]):
            line += f"  {beside['train'][epoch]:>10.3f}  {beside['train'][epoch] / trained:>10.8f}"
        console.print(line)
    console.print(f"test {evaluate(weights, texts['test'], options.unroll):.3f}")
    if options.beside:
        other = example.keras.models.load_model(options.beside / "language_model.keras").get_weights()
        distance = max(
            float(np.abs(w.detach().numpy() - np.asarray(o)).max()) for w, o in zip(weights, other, strict=True)
        )
        console.print(f"largest difference of a weight from train.py's: {distance:.3g}")


if __name__ == "__main__":
    main()
