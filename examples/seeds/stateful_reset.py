"""Start from a fresh state, then predict (seed 000-1)."""

import keras
import numpy as np

import sostenuto as so

lstm = so.LSTM(32, stateful=True)
model = keras.Sequential([keras.Input((10, 1)), lstm])

x = np.random.default_rng(0).random((4, 10, 1))
first = model.predict(x, verbose=0)
lstm.reset_state()
again = model.predict(x, verbose=0)
print("Output shape is", again.shape)
print("after a reset the same input gives the same output:", bool(np.allclose(first, again)))
