"""A language model: one long text, read in twenty places side by side, each going on from its own state.

    python examples/language_model/train.py train.txt valid.txt test.txt --out out/words

Trains the small model of Zaremba, Sutskever and Vinyals 2014, "Recurrent neural network regularization": two LSTM
layers of 200 units, unrolled for 20 steps, by stochastic gradient descent. Words are what blanks separate.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from words import END_OF_LINE, lanes, numbered, read_words, vocabulary_of

import sostenuto as so

RATE, CLIP = 1.0, 5.0
FULL_RATE_EPOCHS = 4
SAMPLE = 100
TEXTS = {"train": "learn", "valid": "validate on", "test": "test on"}


def rate_of(epoch: int) -> float:
    """The learning rate of an epoch counted from 0: 1 in the first four, then half of the last one's."""
    return RATE * 0.5 ** max(epoch + 1 - FULL_RATE_EPOCHS, 0)


def build(vocabulary: int, units: int = 200, unroll: int = 20, seed: int = 0, clip: float = CLIP) -> so.SequenceModel:
    """The model, its weights uniform within 0.1 of zero, compiled.

    Args:
        vocabulary: V, the number of words.
        units: U, of the embedding and of both LSTM layers.
        unroll: K, the steps of a chunk.
        seed: of the weights.
        clip: the largest norm of a gradient.

    Returns:
        A model from words (T,) to logits (T, V).
    """
    keras.utils.set_random_seed(seed)

    def uniform(*weights: str) -> dict[str, Any]:
        # One object each: an initialiser draws the same numbers whenever it is asked again.
        return {f"{weight}_initializer": keras.initializers.RandomUniform(-0.1, 0.1) for weight in weights}

    def recurrent() -> so.LSTM:
        start = uniform("kernel", "recurrent", "bias")
        return so.LSTM(units, return_sequences=True, unit_forget_bias=False, **start)

    model = so.SequenceModel(
        [
            keras.layers.Embedding(vocabulary, units, **uniform("embeddings")),
            recurrent(),
            recurrent(),
            keras.layers.Dense(vocabulary, **uniform("kernel", "bias")),
        ],
        name="language_model",
    )
    model.build(1)
    model.compile(
        keras.optimizers.SGD(RATE, global_clipnorm=clip),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # The paper sums over the steps of a chunk and averages over the batch: K times the mean over real steps.
        loss_weights=float(unroll),
    )
    return model


def perplexity(loss: float, unroll: int) -> float:
    """The perplexity that belongs to a loss of the model; infinite rather than an overflow where training diverged."""
    with np.errstate(over="ignore"):
        return float(np.exp(np.float64(loss) / unroll))


class PerplexityTable(keras.callbacks.Callback):
    """Prints the perplexities of each epoch as a row of a table, under it a moving bar for the epoch that runs.

    Args:
        console: where to print.
        unroll: K, the steps of a chunk.
    """

    def __init__(self, console: Console, unroll: int) -> None:
        super().__init__()
        self._console = console
        self._unroll = unroll
        self._bar: Progress | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Prints the head."""
        self._row("epoch", "rate", "training", "validation", "time", style="bold")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Shows the bar, where somebody watches."""
        self._begun = time.monotonic()
        if self._console.is_terminal:
            columns = (BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("perplexity {task.fields[now]}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=self.params["steps"], now="")
            self._bar.start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Moves the bar."""
        if self._bar is not None:
            now = perplexity(float((logs or {})["loss"]), self._unroll)
            self._bar.update(self._task, completed=batch + 1, now=f"{now:.1f}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Puts the row of the epoch in place of the bar."""
        self.close()
        found = [f"{perplexity(float((logs or {})[name]), self._unroll):.2f}" for name in ("loss", "val_loss")]
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = time.monotonic() - self._begun
        self._row(f"{epoch + 1}/{self.params['epochs']}", f"{rate:.4g}", *found, f"{seconds:.0f} s")

    def close(self) -> None:
        """Takes the bar away, also after an interruption."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _row(self, *cells: str, style: str = "") -> None:
        # A table of one row with set widths, so that it can be printed as it grows, also into a file.
        table = Table.grid(padding=(0, 2))
        for width in (5, 8, 10, 10, 7):
            table.add_column(justify="right", width=width)
        table.add_row(*cells, style=style)
        self._console.print(table)


def fit(
    model: so.SequenceModel, train: so.Sequences, valid: so.Sequences, unroll: int, epochs: int, console: Console
) -> dict[str, list[float]]:
    """Trains; gives the perplexities of ``"train"`` and ``"valid"`` by epoch."""
    table = PerplexityTable(console, unroll)
    try:
        history = model.fit(
            train,
            validation_data=valid,
            batch_size=len(train),
            chunk=unroll,
            epochs=epochs,
            shuffle=False,
            callbacks=[keras.callbacks.LearningRateScheduler(rate_of), table],
            verbose=0,
        ).history
    finally:
        table.close()
    return {
        name: [perplexity(loss, unroll) for loss in history[key]]
        for name, key in (("train", "loss"), ("valid", "val_loss"))
    }


def evaluate(model: so.SequenceModel, text: so.Sequences, unroll: int) -> float:
    """The perplexity of a text, nothing learnt from it."""
    return perplexity(model.evaluate(text, batch_size=len(text), chunk=unroll, verbose=0), unroll)


def sample(model: so.SequenceModel, vocabulary: list[str], number: int, seed: int = 0) -> list[str]:
    """Words drawn one after the other, each from the shares that the model gives it after all those before.

    Args:
        model: the trained model.
        vocabulary: its V words.
        number: how many words to draw.
        seed: of the draws.

    Returns:
        The words. The text begins at the start of a line.
    """
    random = np.random.default_rng(seed)
    said = numbered([END_OF_LINE], vocabulary).tolist()
    live = model.session()
    for _ in range(number):
        logits = live.step({"sample": said[-1]})["sample"].astype(np.float64)
        shares = np.exp(logits - logits.max())
        said.append(int(random.choice(len(vocabulary), p=shares / shares.sum())))
    return [vocabulary[word] for word in said[1:]]


def draw(path: Path, found: dict[str, list[float]]) -> None:
    """Writes the picture of the perplexities by epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from sostenuto.sequences.picture import BUCKETED, INK, REAL

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, label, colour in (("train", "training", REAL), ("valid", "validation", BUCKETED)):
        values = found[name]
        epochs = np.arange(1, len(values) + 1)
        axes.plot(epochs, values, "o-", color=colour, markersize=4, label=f"{label}: {values[-1]:.1f} at the end")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("perplexity")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", colors=INK, labelsize=9)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def read_texts(options: argparse.Namespace) -> tuple[list[str], dict[str, so.Sequences]]:
    """The vocabulary of the training text, and the lanes of all three.

    Raises:
        DataFileError, DataError: a text is missing, no text, empty, or too short.
    """
    words = {name: read_words(getattr(options, name)) for name in TEXTS}
    vocabulary = vocabulary_of(words["train"], options.vocabulary)
    texts = {
        name: lanes(numbered(words[name], vocabulary), options.batch, options.unroll, repr(str(getattr(options, name))))
        for name in TEXTS
    }
    return vocabulary, texts


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Ends the program with the text of an error of Sostenuto instead of a traceback."""
    try:
        yield
    except so.SostenutoError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def arguments_of(description: str) -> argparse.ArgumentParser:
    """The arguments that the programs of this folder share."""

    def number(text: str) -> int:
        if int(text) < 1:
            raise argparse.ArgumentTypeError(f"{text} is less than 1")
        return int(text)

    parser = argparse.ArgumentParser(
        description=description.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for name, verb in TEXTS.items():
        parser.add_argument(name, type=Path, help=f"text to {verb}")
    parser.add_argument("--batch", type=number, default=20, help="lanes that the text is cut into")
    parser.add_argument("--unroll", type=number, default=20, help="steps of a chunk")
    parser.add_argument("--units", type=number, default=200, help="of the embedding and of each LSTM layer")
    parser.add_argument("--epochs", type=number, default=13, help="of which four at the full rate")
    parser.add_argument("--vocabulary", type=number, default=10_000, help="different words at most")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Runs the example."""
    parser = arguments_of(__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/words"), help="folder for model, figures and picture")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)

    with explained():
        vocabulary, texts = read_texts(options)
    options.out.mkdir(parents=True, exist_ok=True)
    sizes = ", ".join(f"{texts[name].values.size:,} to {verb}" for name, verb in TEXTS.items())
    console.print(f"{len(vocabulary):,} different words; {sizes}; Keras on {keras.backend.backend()}\n")

    model = build(len(vocabulary), options.units, options.unroll, options.seed)
    found: dict[str, Any] = fit(model, texts["train"], texts["valid"], options.unroll, options.epochs, console)
    found["test"] = evaluate(model, texts["test"], options.unroll)
    console.print(f"\n[bold]{found['test']:.2f}[/] is the perplexity of the test text")

    model.save(options.out / "language_model.keras")
    (options.out / "vocabulary.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (options.out / "perplexity.json").write_text(json.dumps(found, indent=2) + "\n")
    try:
        draw(options.out / "perplexity.png", found)
    except ModuleNotFoundError:
        console.print("no picture: matplotlib is not installed (pip install 'sostenuto[pictures]')", markup=False)
    console.print("What it writes by itself, one word at a time:")
    written = " ".join(sample(model, vocabulary, SAMPLE, options.seed)).replace(f" {END_OF_LINE} ", "\n")
    console.print(f"{written}\n", markup=False)
    for path in sorted(options.out.iterdir()):
        console.print(f"  {path}")


if __name__ == "__main__":
    main()
