"""Train on plain nested lists (seed 004-2)."""

import keras

import sostenuto as so

data = [
    [[1, 2], [3, 4], [5, 6]],
    [[7, 8], [9, 10]],
    [[11, 12], [13, 14], [15, 16]],
]
model = so.SequenceModel([so.LSTM(32), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(data, [1, 2, 3], verbose=0)
padded = so.Sequences.from_list(data).to_padded()
print("fitted", padded.values.shape, "lengths", padded.lengths.tolist())
