"""Trains a stack of recurrent layers on sequences: split, standardise, stop early, keep the best weights."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from sostenuto.cli.recipe import Recipe, with_features
from sostenuto.layers import GRU, LSTM
from sostenuto.models import SequenceModel
from sostenuto.models.chunks import plan_rounds
from sostenuto.sequences import Sequences

CELLS = {"lstm": LSTM, "gru": GRU}


@dataclass(frozen=True)
class Settings:
    """How a network is made and trained.

    Args:
        units: units of each recurrent layer.
        layers: number of recurrent layers.
        cell: ``"lstm"`` or ``"gru"``.
        dropout: share of the outputs of each recurrent layer that training leaves out.
        epochs: the greatest number of epochs.
        batch_size: sequences in a batch.
        learning_rate: of Adam, in the first epoch; it falls along a cosine and would reach 0 after the last.
        patience: epochs without a better validation loss after which training stops.
        seed: of weights, shuffling, dropout and the split.
        chunk: steps of a chunk, for truncated backpropagation through time; None runs sequences whole.
    """

    units: int = 64
    layers: int = 2
    cell: str = "lstm"
    dropout: float = 0.2
    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 0.003
    patience: int = 20
    seed: int = 0
    chunk: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Args:
        model: the compiled ``SequenceModel`` with its best weights.
        recipe: how tables become what it reads.
        train: the training part, in the units of the table.
        validation: the validation part, or None.
        history: loss and metric of each epoch by name, as Keras names them; ``rmse`` in units of the target.
        best_epoch: the epoch whose weights were kept, counted from 1.
        seconds: time spent in training.
        held_out: with folds, the answers to ``train`` of the networks that did not see it; else None.
        networks: how many networks the model averages.
    """

    model: Any
    recipe: Recipe
    train: Sequences
    validation: Sequences | None
    history: dict[str, list[float]]
    best_epoch: int
    seconds: float
    held_out: np.ndarray | None = None
    networks: int = 1


def network(recipe: Recipe, settings: Settings, batches: int) -> SequenceModel:
    """Recurrent layers with dropout after each, then a Dense layer; compiled.

    Args:
        recipe: what is read and answered.
        settings: units, layers, learning rate and so on.
        batches: the number of batches in an epoch, for the fall of the learning rate.

    Example:
        >>> recipe = Recipe(("id",), None, (), ("x",), (), (0.0,), (1.0,), (0.0,), (1.0,), "y")
        >>> [layer.name for layer in network(recipe, Settings(units=4), 10).inner.layers]
        ['lstm_1', 'dropout_1', 'lstm_2', 'dropout_2', 'answer']
    """
    layers: list[Any] = []
    for number in range(1, settings.layers + 1):
        every_step = recipe.per == "step" or number < settings.layers
        layers.append(
            CELLS[settings.cell](settings.units, return_sequences=every_step, name=f"{settings.cell}_{number}")
        )
        if settings.dropout:
            layers.append(keras.layers.Dropout(settings.dropout, name=f"dropout_{number}"))
    if recipe.labels:
        layers.append(keras.layers.Dense(len(recipe.labels), activation="softmax", name="answer"))
    else:
        layers.append(keras.layers.Dense(1, name="answer"))
    return compiled(SequenceModel(layers, name="network"), recipe, settings, batches)


def compiled(model: SequenceModel, recipe: Recipe, settings: Settings, batches: int) -> SequenceModel:
    """The model with loss and optimizer; arguments as for ``network``."""
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.epochs * batches)
    # Sequences are long and their gradients may be too: one bad batch must not undo the epochs before it.
    optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
    if recipe.labels:
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    else:
        model.compile(optimizer, "mse")
    return model


def batches_in(sequences: Sequences, settings: Settings) -> int:
    """The number of batches in an epoch.

    Example:
        >>> sequences = Sequences.from_list([[1.0] * 9, [1.0] * 5])
        >>> batches_in(sequences, Settings(batch_size=2)), batches_in(sequences, Settings(batch_size=2, chunk=4))
        (1, 3)
    """
    if settings.chunk is None:
        return -(-len(sequences) // settings.batch_size)
    lanes = max(min(settings.batch_size, len(sequences)), 1)
    return len(plan_rounds(sequences.lengths, lanes, settings.chunk, np.random.default_rng(0)))


def train(
    recipe: Recipe, sequences: Sequences, validation: Sequences | None, settings: Settings, callbacks: list[Any]
) -> Trained:
    """Trains on sequences with targets.

    Args:
        recipe: what ``learnt_from`` found in the training part.
        sequences: the training part, in the units of its table.
        validation: what early stopping looks at; None trains for all epochs.
        settings: how.
        callbacks: further callbacks of Keras; they see losses of standardised targets.
    """
    sequences = with_features(sequences, recipe.features)
    validation = None if validation is None else with_features(validation, recipe.features)
    keras.utils.set_random_seed(settings.seed)
    model = network(recipe, settings, batches_in(sequences, settings))
    if validation is not None:
        patient = keras.callbacks.EarlyStopping("val_loss", patience=settings.patience, restore_best_weights=True)
        callbacks = [*callbacks, patient]
    begun = time.monotonic()
    history = model.fit(
        recipe.prepared(sequences),
        validation_data=None if validation is None else recipe.prepared(validation),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        chunk=settings.chunk,
        callbacks=callbacks,
        verbose=0,
    ).history
    found = {name: [float(value) for value in values] for name, values in history.items()}
    if not recipe.labels:
        for prefix in ("", "val_"):
            if f"{prefix}loss" in found:
                found[f"{prefix}rmse"] = [recipe.target_std * float(np.sqrt(loss)) for loss in found[f"{prefix}loss"]]
    done = len(found["loss"])
    best_epoch = int(np.argmin(found["val_loss"])) + 1 if validation is not None else done
    return Trained(model, recipe, sequences, validation, found, best_epoch, time.monotonic() - begun)
