"""A task that only carried state can solve: the first symbol of a sequence decides its label 500 steps later."""

from __future__ import annotations

import keras
import numpy as np

import sostenuto as so

CHUNK = 50


def first_symbol_decides(rng, lengths):
    """Faint noise (T, 1); the sign of the very first value is the label of every step."""
    values, targets = [], []
    for number, length in enumerate(lengths):
        label = number % 2
        x = rng.normal(0, 0.1, size=(length, 1)).astype("float32")
        x[0] = 2 * label - 1
        values.append(x)
        targets.append(np.full(length, label))
    return so.Sequences.from_list(values, targets=targets, targets_per="step")


def network():
    """One that starts out remembering (Le, Jaitly and Hinton 2015), so that few epochs are enough."""
    keras.utils.set_random_seed(0)
    layer = so.SimpleRNN(8, return_sequences=True, recurrent_initializer="identity")
    model = so.SequenceModel([layer, keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), "binary_crossentropy")
    return model


def right_at_the_end(model, sequences):
    """The share of sequences whose last step is labelled right."""
    said = model.predict(sequences, batch_size=100, chunk=CHUNK, verbose=0)
    labels = sequences.targets[sequences.offsets[1:] - 1]
    return np.mean([(said[name][-1, 0] > 0.5) == label for name, label in zip(sequences.ids, labels, strict=True)])


def test_learnt_with_state_by_id_and_not_with_states_reset_at_each_chunk(rng):
    train = first_symbol_decides(rng, rng.integers(25, 500, 64))
    test = first_symbol_decides(rng, [500] * 100)

    carried = network()
    carried.fit(train, epochs=4, batch_size=16, chunk=CHUNK, verbose=0)
    assert right_at_the_end(carried, test) > 0.98

    reset = network()
    reset.fit(train.chunk(CHUNK), epochs=4, batch_size=16, verbose=0)  # pieces that each begin at zero
    last_pieces = test.chunk(CHUNK)
    last_pieces = last_pieces.take(np.arange(9, len(last_pieces), 10))
    assert 0.35 < right_at_the_end(reset, last_pieces) < 0.65
    assert right_at_the_end(reset, test.chunk(CHUNK).take(np.arange(0, 1000, 10))) > 0.98, (
        "it did learn the first piece"
    )
