"""Step a cell by hand, for another batch size each time, with states made for it (seed 002-0)."""

import numpy as np
from keras import ops

import sostenuto as so

cell = so.LSTMCell(64)  # made once: a cell made inside the function would be another network at each call


def run(sequences):
    rows, steps, _ = sequences.shape
    states = [ops.zeros((rows, 64)), ops.zeros((rows, 64))]
    outputs = []
    for step in range(steps):
        output, states = cell(sequences[:, step], states)
        outputs.append(output)
    return ops.stack(outputs, axis=1), states


rng = np.random.default_rng(0)
for rows in (32, 64):
    outputs, states = run(rng.normal(size=(rows, 10, 20)).astype("float32"))
    print(tuple(outputs.shape))

try:
    cell(np.zeros((32, 20), "float32"), states)  # states of 64 rows
except so.StateError as error:
    print(error)
