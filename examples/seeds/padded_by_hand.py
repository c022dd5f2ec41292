"""Padding must not be learnt as data (seed 004-1)."""

import keras
import numpy as np

import sostenuto as so

data = [
    np.array([[1, 2], [3, 4], [5, 6]]),
    np.array([[7, 8], [9, 10]]),
    np.array([[11, 12], [13, 14], [15, 16]]),
]
model = so.SequenceModel([so.LSTM(32), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(data, [1, 2, 3], verbose=0)
together = model.predict(data, verbose=0)
alone = model.predict([data[1]], verbose=0)
print("the short sequence gives the same alone and among longer ones:", bool(np.allclose(together[1], alone[0])))
