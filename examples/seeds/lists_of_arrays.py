"""Train on arrays of different lengths (seed 004-0)."""

import keras
import numpy as np

import sostenuto as so

data = [
    np.array([[1, 2], [3, 4], [5, 6]]),
    np.array([[7, 8], [9, 10]]),
    np.array([[11, 12], [13, 14], [15, 16], [17, 18]]),
]
model = so.SequenceModel([so.LSTM(32), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(data, [1, 2, 3], verbose=0)
print("fitted", so.Sequences.from_list(data))
