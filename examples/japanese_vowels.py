"""Which of nine speakers said this vowel? Series of 7 to 29 frames, as they are, through a recurrent network.

    python examples/japanese_vowels.py --out out

Trains on the 270 utterances of the Japanese vowels (Kudo, Toyama, Shimbo 1999; the loader of aeon brings them along),
tests once on the other 370, saves the model, reads it back, and writes pictures and a report. Then a second network
hears the 370 live, frame by frame and all at once, in a session whose states rest in a file (live_vowels.py).
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # aeon and Keras may look at TensorFlow where it is installed

import keras
import numpy as np
from aeon.datasets import load_japanese_vowels
from rich.console import Console

import live_vowels
import sostenuto as so
from sostenuto.cli import pictures
from sostenuto.cli.progress import EpochLines
from sostenuto.cli.report import Report

SPEAKERS = [str(number) for number in range(1, 10)]
FRAMES = "12 cepstral coefficients a frame"


def load(split: str) -> so.Sequences:
    """The utterances of ``"train"`` or ``"test"``: ids like ``train-17``, speakers 0 .. 8 as targets."""
    series, labels = load_japanese_vowels(split=split)
    return so.Sequences.from_list(
        series,
        ids=[f"{split}-{number}" for number in range(len(series))],
        targets=[SPEAKERS.index(label) for label in labels],
        features=[f"coefficient_{number}" for number in range(1, 13)],
        layout="channels_first",
    )


def build(units: int = 64) -> so.SequenceModel:
    """A bidirectional GRU, averaged over the real frames; noise and dropout against learning by heart."""
    model = so.SequenceModel(
        [
            keras.layers.GaussianNoise(0.6),
            so.Bidirectional(so.GRU(units, return_sequences=True)),
            keras.layers.Dropout(0.3),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(len(SPEAKERS), activation="softmax"),
        ],
        name="speakers",
    )
    optimizer = keras.optimizers.Adam(0.002, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(
    model: so.SequenceModel, train: so.Sequences, valid: so.Sequences, epochs: int, console: Console
) -> tuple[dict[str, list[float]], int]:
    """Trains with early stopping; gives the history and the epoch whose weights were kept, counted from 1."""
    best = keras.callbacks.EarlyStopping("val_loss", patience=15, restore_best_weights=True)
    lines = EpochLines(console, None)
    history = model.fit(
        train, validation_data=valid, batch_size=16, epochs=epochs, callbacks=[lines, best], verbose=0
    ).history
    return history, int(np.argmin(history["val_loss"])) + 1


def saved_and_read_back(model: so.SequenceModel, test: so.Sequences, path: Path) -> float:
    """Saves, loads, predicts again: the largest difference between the probabilities."""
    model.save(path)
    again = keras.models.load_model(path)
    difference = np.abs(np.asarray(model.predict(test, verbose=0)) - np.asarray(again.predict(test, verbose=0)))
    return float(difference.max())


def alone_and_together(model: so.SequenceModel, test: so.Sequences, number: int = 9) -> float:
    """Some utterances predicted each alone and all in batches: the largest difference between the probabilities."""
    together = model.predict(test, verbose=0)
    chosen = test.ids[:: max(1, len(test) // number)][:number]
    return max(
        float(np.abs(model.predict({name: test[name]}, verbose=0)[name] - together[name]).max()) for name in chosen
    )


def draw(
    out: Path, train: so.Sequences, history: dict[str, list[float]], best: int, said: np.ndarray, test: so.Sequences
) -> None:
    """Writes the three pictures."""
    train.describe().save(out / "lengths.png")
    pictures.learning_curve(history, best).savefig(out / "learning_curve.png", dpi=150)
    figure = pictures.confusion(said.argmax(axis=1), test.targets, SPEAKERS, "370 utterances that training never saw")
    figure.savefig(out / "confusion.png", dpi=150)


def hear(
    train: so.Sequences, valid: so.Sequences, test: so.Sequences, epochs: int, out: Path, console: Console
) -> dict[str, str]:
    """Trains a network that reads forwards, streams the test utterances through it, draws; gives facts for the report.

    Raises:
        SystemExit: the beliefs at the end are not what ``predict`` says.
    """
    for old in out.glob("vowels.db*"):
        old.unlink()
    begun = time.monotonic()
    model = live_vowels.build(len(SPEAKERS))
    done, best = live_vowels.fit(model, train, valid, epochs)
    console.print(f"two GRU layers that read forwards: {done} epochs, epoch {best} kept, "
                  f"{time.monotonic() - begun:.0f} s")  # fmt: skip
    model.save(out / "listener.keras")

    reopened = live_vowels.middle(test)
    live_vowels.listen(model, test, None, None)  # compiles each size of call, once
    memory = live_vowels.listen(model, test, None, None)
    heard = live_vowels.listen(model, test, out / "vowels.db", reopened)
    said = np.asarray(model.predict(test, verbose=0))
    apart = live_vowels.difference(heard, test, said)
    if not apart < 1e-5:
        raise SystemExit(f"the session's last beliefs differ from what predict says, by up to {apart:.3g}")
    by_frame = live_vowels.accuracy_by_frame(heard, test)
    live_vowels.draw_beliefs(heard, test, SPEAKERS, reopened).savefig(out / "belief.png", dpi=150)
    live_vowels.draw_accuracy(by_frame, reopened).savefig(out / "accuracy_by_frame.png", dpi=150)

    rate = f"{test.steps / heard.seconds:,.0f} frames/s in a SQLite file, {test.steps / memory.seconds:,.0f} in memory"
    console.print(f"{len(test)} utterances heard at once, {test.steps:,} frames; the session was closed after "
                  f"{reopened} frames each, and another went on")  # fmt: skip
    console.print(f"[bold]{by_frame[-1]:.1%}[/] named right at the end, {by_frame[reopened - 1]:.1%} after "
                  f"{reopened} frames; difference to predict: {apart:.1g}")  # fmt: skip
    console.print(f"{rate}")
    return {
        "live network": f"two GRU layers that read forwards; {model.count_params():,} parameters, epoch {best} kept",
        "live accuracy": f"{by_frame[-1]:.1%} at the end of each utterance",
        "live or by predict": f"the same probabilities, to within {apart:.1g}",
        "live throughput": f"{rate}, up to {len(test)} ids in a call",
    }


def write_report(out: Path, figures: dict[str, str], facts: dict[str, str]) -> None:
    """Writes the page."""
    report = Report(
        "Who is speaking? Nine voices, told apart by a vowel",
        "Nine speakers said the Japanese vowels /ae/. Each utterance is a series of 7 to 29 frames; the network reads "
        "them as they are, without cutting or stretching, and names the speaker.",
    )
    report.figures(figures)
    report.picture(
        "Who was taken for whom", out / "confusion.png",
        "Utterances of the test set: rows are the true speaker, columns the one that the network named.",
    )  # fmt: skip
    report.picture(
        "Learning curve", out / "learning_curve.png",
        "Training and validation part by epoch; the weights of the best validation loss were kept.",
    )  # fmt: skip
    report.picture(
        "Lengths", out / "lengths.png",
        "How long the training utterances are. Padding is masked: it takes no part in sums, losses or figures.",
    )  # fmt: skip
    report.picture(
        "Heard live", out / "belief.png",
        "What a network that reads forwards believes after every frame, for one utterance of each speaker.",
    )  # fmt: skip
    report.picture(
        "How soon the speaker is known", out / "accuracy_by_frame.png",
        "The share of the 370 test utterances named right, by the number of frames heard so far.",
    )  # fmt: skip
    report.table("How it was made", facts)
    report.save(out / "report.html", "Written by examples/japanese_vowels.py; this page needs no other file.")


def main() -> None:
    """Runs the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for pictures, report and model")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights, shuffling and noise")
    parser.add_argument("--epochs", type=int, default=60, help="at most")
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False, soft_wrap=True)
    begun = time.monotonic()

    whole, test = load("train"), load("test")
    train, valid = whole.split(0.8, seed=options.seed, stratify=True)
    statistics = train.statistics()
    train, valid, test = (part.standardised(statistics) for part in (train, valid, test))
    console.print(f"Japanese vowels, {FRAMES}: {len(train)} utterances to train, {len(valid)} to validate, "
                  f"{len(test)} to test; Keras on {keras.backend.backend()}\n")  # fmt: skip

    keras.utils.set_random_seed(options.seed)
    model = build()
    history, best = fit(model, train, valid, options.epochs, console)
    said = np.asarray(model.predict(test, verbose=0))
    accuracy = float(np.mean(said.argmax(axis=1) == test.targets))
    valid_accuracy = history["val_accuracy"][best - 1]

    model_path = out / "speakers.keras"
    difference = saved_and_read_back(model, test, model_path)
    if difference != 0.0:
        raise SystemExit(f"the model read back from {model_path} answers differently, by up to {difference:.3g}")
    apart = alone_and_together(model, test)

    draw(out, whole, history, best, said, test)
    right = round(accuracy * len(test))
    console.print(f"\n[bold]{accuracy:.1%}[/] of the test utterances named right ({right} of {len(test)}), "
                  f"{valid_accuracy:.1%} in validation")  # fmt: skip
    console.print(f"saved, read back, predicted again: difference {difference:g}")
    console.print(f"alone or in a batch: the same to within {apart:.1g}")

    console.print(f"\n[bold]Live[/]\n{live_vowels.why_not_live(model)} It reads an utterance "
                  "from its end too, so it must wait for that.")  # fmt: skip
    live_facts = hear(train, valid, test, options.epochs, out, console)
    seconds = time.monotonic() - begun
    figures = {
        "accuracy on the test set": f"{accuracy:.1%}",
        "accuracy on the validation part": f"{valid_accuracy:.1%}",
        "difference after saving and loading": "0",
    }
    facts = {
        "data": f"Japanese vowels, {FRAMES}",
        "utterances": f"{len(train)} to train, {len(valid)} to validate, {len(test)} to test",
        "network": f"bidirectional GRU, averaged over frames; {model.count_params():,} parameters",
        "chosen by": "validation on the training part alone; the test set was read once, at the end",
        "training": f"{len(history['loss'])} epochs, epoch {best} kept; seed {options.seed}",
        "alone or in a batch": f"the same probabilities, to within {apart:.1g}",
        **live_facts,
        "software": f"Sostenuto {so.__version__}, Keras {keras.__version__} on {keras.backend.backend()}",
        "time": f"{seconds:.0f} s",
    }
    write_report(out, figures, facts)

    console.print(f"\n{seconds:.0f} s in all\n")
    pictures_made = ("confusion.png", "learning_curve.png", "lengths.png", "belief.png", "accuracy_by_frame.png")
    for name in ("report.html", *pictures_made, model_path.name, "listener.keras", "vowels.db"):
        console.print(f"  {out / name}")


if __name__ == "__main__":
    main()
