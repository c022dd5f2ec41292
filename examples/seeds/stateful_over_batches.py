"""Carry state from batch to batch, reset between independent series (seed 000-2)."""

import keras
import numpy as np

import sostenuto as so

series = np.random.default_rng(0).random((4, 250, 1)).astype("float32")  # four series of 250 steps
lstm = so.LSTM(32, stateful=True)
model = keras.Sequential([keras.Input((None, 1)), lstm])

for start in range(0, 250, 10):  # 25 batches of 10 steps each
    output = model.predict(series[:, start : start + 10], verbose=0)
print("Output shape is", output.shape)

lstm.reset_state()  # now the four series as one batch of 250 steps
whole = model.predict(series, verbose=0)
print("25 pieces give what the whole gives:", bool(np.allclose(output, whole, atol=1e-6)))
