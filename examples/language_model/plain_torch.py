"""The same training as train.py, written out by hand in PyTorch: what the example is measured against.

    python examples/language_model/train.py train.txt valid.txt test.txt --epochs 3 --out out/words
    python examples/language_model/plain_torch.py train.txt valid.txt test.txt --epochs 3 --beside out/words

It starts from the weights that train.py starts from (same seed, same KERAS_BACKEND), reads the same batches in the same
order, and prints the perplexities of both with their ratio. --nudge 1e-7 changes each weight by such a share before it
begins: how far rounding alone leads away from the same start.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import torch
import train as example
from rich.console import Console
from torch.nn import functional

import sostenuto as so


class PlainModel(torch.nn.Module):
    """Embedding, two LSTM layers and a Dense layer with the weights of a Keras model of these.

    Args:
        weights: embedding (V, U); kernel (U, 4U), recurrent kernel (U, 4U) and bias (4U,) of each LSTM; kernel (U, V)
            and bias (V,) of the Dense layer.
    """

    def __init__(self, weights: list[np.ndarray]) -> None:
        super().__init__()
        embedding, *recurrent, kernel, bias = (torch.tensor(np.array(weight, np.float32)) for weight in weights)
        vocabulary, units = embedding.shape
        self.embedding = torch.nn.Embedding(vocabulary, units, _weight=embedding)
        self.lstm = torch.nn.LSTM(units, units, num_layers=len(recurrent) // 3, batch_first=True)
        self.dense = torch.nn.Linear(units, vocabulary)
        with torch.no_grad():
            for layer in range(self.lstm.num_layers):
                # Both frameworks order the gates i, f, g, o; PyTorch keeps kernels transposed.
                w, r, b = recurrent[3 * layer : 3 * layer + 3]
                getattr(self.lstm, f"weight_ih_l{layer}").copy_(w.T)
                getattr(self.lstm, f"weight_hh_l{layer}").copy_(r.T)
                getattr(self.lstm, f"bias_ih_l{layer}").copy_(b)
                # PyTorch's second bias would make every bias learn twice as fast, and count twice in the norm.
                getattr(self.lstm, f"bias_hh_l{layer}").zero_().requires_grad_(False)
            self.dense.weight.copy_(kernel.T)
            self.dense.bias.copy_(bias)

    def forward(self, words: torch.Tensor, states: tuple | None) -> tuple[torch.Tensor, tuple]:
        """Logits (B, T, V) of words (B, T), and the states after them."""
        outputs, states = self.lstm(self.embedding(words), states)
        return self.dense(outputs), states


def chunks(lanes: so.Sequences, unroll: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Words and next words (B, K), chunk by chunk."""
    words = torch.tensor(lanes.values.reshape(len(lanes), -1), dtype=torch.long)
    following = torch.tensor(np.array(lanes.targets).reshape(len(lanes), -1), dtype=torch.long)
    return zip(words.split(unroll, dim=1), following.split(unroll, dim=1), strict=True)


def fit_epoch(model: PlainModel, lanes: so.Sequences, unroll: int, rate: float, clip: float) -> float:
    """One epoch of stochastic gradient descent; gives its perplexity."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=rate)
    states, total, number = None, 0.0, 0
    for words, following in chunks(lanes, unroll):
        if states is not None:
            states = tuple(state.detach() for state in states)
        logits, states = model(words, states)
        # Summed over steps, averaged over the batch.
        loss = functional.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="sum") / len(words)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        total += loss.item() * len(words)
        number += following.numel()
    return float(np.exp(total / number))


def evaluate(model: PlainModel, lanes: so.Sequences, unroll: int) -> float:
    """The perplexity of a text, nothing learnt from it."""
    states, total = None, 0.0
    with torch.no_grad():
        for words, following in chunks(lanes, unroll):
            logits, states = model(words, states)
            total += functional.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="sum").item()
    return float(np.exp(total / lanes.values.size))


def main(arguments: list[str] | None = None) -> None:
    """Trains, and prints the perplexity of each epoch."""
    parser = example.arguments_of(__doc__)
    parser.add_argument("--beside", type=example.Path, help="the --out folder of a train.py of the same settings")
    parser.add_argument("--nudge", type=float, default=0.0, help="change each weight by about this share of it first")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    with example.explained():
        vocabulary, texts = example.read_texts(options)
        weights = example.build(len(vocabulary), options.units, options.unroll, options.seed).get_weights()
    random = np.random.default_rng(0)
    model = PlainModel([weight * (1 + options.nudge * random.standard_normal(weight.shape)) for weight in weights])
    beside = json.loads((options.beside / "perplexity.json").read_text()) if options.beside else {"train": []}
    console.print(f"[bold]{'epoch':>5}  {'training':>10}  {'validation':>10}  {'train.py':>10}  {'ratio':>7}[/]")
    for epoch in range(options.epochs):
        trained = fit_epoch(model, texts["train"], options.unroll, example.rate_of(epoch), example.CLIP)
        valid = evaluate(model, texts["valid"], options.unroll)
        line = f"{epoch + 1:>5}  {trained:>10.3f}  {valid:>10.3f}"
        if epoch < len(beside["train"]):
            line += f"  {beside['train'][epoch]:>10.3f}  {beside['train'][epoch] / trained:>7.5f}"
        console.print(line)
    console.print(f"test {evaluate(model, texts['test'], options.unroll):.3f}")


if __name__ == "__main__":
    main()
