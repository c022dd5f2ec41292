"""Train one stateful model with batches of 32, then of 64 (seed 002-1)."""

import keras
import numpy as np

import sostenuto as so

rng = np.random.default_rng(0)
x = rng.random((128, 5, 3)).astype("float32")
y = rng.random((128, 5, 1)).astype("float32")

lstm = so.LSTM(64, return_sequences=True, stateful=True)
model = keras.Sequential([keras.Input((None, 3)), lstm, keras.layers.Dense(1)])
model.compile("adam", "mse")
for batch_size in (32, 64):
    lstm.reset_state()
    history = model.fit(x, y, batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    print("batches of", batch_size, "leave states for", len(lstm.get_state()["h"]), "rows")
print("both batch sizes fitted:", history.history["loss"][-1] < 0.5)
