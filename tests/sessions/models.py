"""Small models of every kind that a session runs, with sequences and what is right for each of their steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np

import sostenuto as so

SEQUENCES = 4
LENGTH = 12
FEATURES = 3
TOKENS = 7


@dataclass(frozen=True)
class Case:
    """A model, sequences (S, T, F) or token ids (S, T), and the output (S, T, ...) after each of their steps."""

    model: Any
    values: np.ndarray
    right: np.ndarray


def _layers(kind: str) -> Any:
    if kind == "stacked":
        return [so.LSTM(5, return_sequences=True), so.GRU(4, return_sequences=True), keras.layers.Dense(2)]
    if kind == "last":
        return [so.LSTM(4), keras.layers.Dense(1)]
    if kind == "cells":
        return [so.RNN([so.GRUCell(3), so.LSTMCell(4)], return_sequences=True)]
    if kind == "tokens":
        return [keras.layers.Embedding(TOKENS, 3), so.GRU(4, return_sequences=True), keras.layers.Dense(TOKENS)]
    if kind == "learned":
        return [so.LSTM(4, return_sequences=True), so.GRU(3)]
    assert kind == "branches"
    given = keras.Input((None, FEATURES))
    one = so.LSTM(3, return_sequences=True, name="slow")(given)
    two = so.LSTM(4, return_sequences=True, name="fast")(given)
    return keras.Model(given, keras.layers.Dense(1)(keras.layers.Concatenate()([one, two])))


KINDS = ("stacked", "last", "cells", "tokens", "learned", "branches")


def model_of(kind: str, seed: int = 0) -> Any:
    """A built model with weights of that seed."""
    keras.utils.set_random_seed(seed)
    model = so.SequenceModel(_layers(kind), name=kind, initial_state="learned" if kind == "learned" else "zeros")
    model.build(1 if kind == "tokens" else FEATURES)
    if model.start is not None:
        for number, vector in enumerate(model.start.vectors):
            vector.assign(np.linspace(-1, 1, vector.shape[0]) * (number + 1) / 2)
    return model


@cache
def case(kind: str) -> Case:
    """A kind of model with what is right: every beginning of every sequence by itself, whole, through ``predict``."""
    model = model_of(kind)
    rng = np.random.default_rng(5)
    if kind == "tokens":
        values = rng.integers(0, TOKENS, (SEQUENCES, LENGTH))
    else:
        values = rng.normal(size=(SEQUENCES, LENGTH, FEATURES)).astype("float32")
    table = values[..., None] if kind == "tokens" else values
    if model.output_per == "step":
        said = model.predict(list(table), verbose=0)
        right = np.stack([said[name] for name in said.ids])
    else:
        beginnings = [sequence[: length + 1] for sequence in table for length in range(LENGTH)]
        said = np.asarray(model.predict(beginnings, verbose=0))
        right = said.reshape(SEQUENCES, LENGTH, *said.shape[1:])
    return Case(model, values, right)
