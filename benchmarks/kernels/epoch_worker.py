"""One contender of epoch.py in a process of its own: trains a slice of the epoch for every line on standard input.

Answers with a line of JSON each: first {"ready": true}, once everything is compiled, then for each slice
{"seconds": ..., "loss": mean loss of a word}.

    KERAS_BACKEND=jax python epoch_worker.py ours 2 97 9      kind, threads, chunks of a slice, slices
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parents[1] / "examples" / "language_model"))

VOCABULARY, UNITS, UNROLL, LANES = 10_000, 200, 20, 20


def text_of(chunks: int) -> tuple[np.ndarray, np.ndarray]:
    """Words (LANES, chunks * UNROLL) and those that follow them, as frequent as words of a language are (Zipf)."""
    shares = 1 / np.arange(1, VOCABULARY + 1)
    words = (
        np.random.default_rng(0)
        .choice(VOCABULARY, size=(LANES, chunks * UNROLL + 1), p=shares / shares.sum())
        .astype("int32")
    )
    return words[:, :-1], words[:, 1:]


class Slices:
    """Waits for a line before each slice, and answers after it."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # whatever a framework prints is no answer
        self._begun: float | None = None

    def begin(self) -> None:
        """Waits for the word to go on."""
        if not sys.stdin.readline():
            sys.exit()
        self._begun = time.perf_counter()

    def end(self, loss: float) -> None:
        """Answers with the time since."""
        assert self._begun is not None
        self.say(seconds=time.perf_counter() - self._begun, loss=loss)

    def say(self, **answer: Any) -> None:
        """Answers."""
        print(json.dumps(answer), file=self._out)


def in_keras(slices: Slices) -> Any:
    """A callback for which each epoch of Keras is a slice, the first one warming up."""
    import keras

    class ByEpoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch:
                slices.begin()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch:
                slices.end(float(logs["loss"]) / UNROLL)
            else:
                slices.say(ready=True)

    return ByEpoch()


def train_ours(slices: Slices, chunks: int, number: int) -> None:
    """The example as it is, on the backend of KERAS_BACKEND."""
    import train as example

    import sostenuto as so

    # The same text again for each slice, as the others have it.
    words, following = (np.tile(each, number + 1) for each in text_of(chunks))
    text = so.Sequences.from_list(list(words), targets=list(following), targets_per="step")
    model = example.build(VOCABULARY, UNITS, UNROLL)
    model.fit(
        text, batch_size=LANES, chunk=UNROLL, shuffle=False, verbose=0,
        epochs=number + 1, steps_per_epoch=chunks, callbacks=[in_keras(slices)],
    )  # fmt: skip


def train_stock(slices: Slices, chunks: int, number: int) -> None:
    """The same network of Keras's own layers, every chunk begun with zeros.

    Not stateful: on torch the backward pass of that fails (a state it needs was overwritten), on JAX ``fit`` loses the
    states. So stock Keras is spared the carrying.
    """
    import keras
    import train as example

    weights = example.build(VOCABULARY, UNITS, UNROLL).get_weights()
    words, following = (
        # Batch by batch: lane 0 of chunk 0, lane 1 of chunk 0, ...
        each.reshape(LANES, -1, UNROLL).swapaxes(0, 1).reshape(-1, UNROLL)
        for each in text_of(chunks)
    )
    model = keras.Sequential(
        [
            keras.Input((UNROLL,), dtype="int32"),
            keras.layers.Embedding(VOCABULARY, UNITS),
            keras.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dense(VOCABULARY),
        ]
    )
    model.set_weights(weights)
    model.compile(
        keras.optimizers.SGD(example.RATE, global_clipnorm=example.CLIP),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        loss_weights=float(UNROLL),
    )
    model.fit(words, following, batch_size=LANES, shuffle=False, verbose=0, epochs=number + 1,
              callbacks=[in_keras(slices)])  # fmt: skip


def train_plainly(slices: Slices, chunks: int, number: int) -> None:
    """A loop in plain PyTorch around torch.nn.LSTM."""
    import plain_torch
    import train as example

    import sostenuto as so

    weights = example.build(VOCABULARY, UNITS, UNROLL).get_weights()
    words, following = text_of(chunks)
    text = so.Sequences.from_list(list(words), targets=list(following), targets_per="step")
    model = plain_torch.PlainModel(weights)
    for turn in range(number + 1):
        if turn:
            slices.begin()
        loss = float(np.log(plain_torch.fit_epoch(model, text, UNROLL, example.RATE, example.CLIP)))
        if turn:
            slices.end(loss)
        else:
            slices.say(ready=True)


TRAIN: dict[str, Callable[[Slices, int, int], None]] = {
    "ours": train_ours, "stock": train_stock, "plain": train_plainly,
}  # fmt: skip


def set_threads(number: int) -> None:
    """Keeps the process to so many processors, and the framework to so many threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])
    backend = os.environ["KERAS_BACKEND"]
    if backend == "torch":
        import torch

        torch.set_num_threads(number)
    elif backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(number)
        tf.config.threading.set_inter_op_parallelism_threads(number)


def main() -> None:
    """Trains until standard input ends."""
    kind, threads, chunks, number = sys.argv[1], *(int(each) for each in sys.argv[2:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    set_threads(threads)
    TRAIN[kind](Slices(), chunks, number)


if __name__ == "__main__":
    main()
