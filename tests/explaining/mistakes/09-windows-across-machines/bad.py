# Forecast the next load of three machines from a table with all their readings.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(7)
rng = np.random.default_rng(7)
parts = []
for machine, level in enumerate([-1.0, 0.2, 1.1]):
    load = level + 0.2 * np.sin(np.arange(80) / 5) + 0.02 * rng.normal(size=80)
    parts.append(np.column_stack([np.full(80, machine), load]))
table = np.concatenate(parts)

size = 12
windows, targets = [], []
for i in range(len(table) - size):
    windows.append(table[i : i + size, 1:])
    targets.append(table[i + size, 1:])
x, y = np.array(windows, dtype="float32"), np.array(targets, dtype="float32")

model = keras.Sequential([keras.Input(shape=(size, 1)), layers.LSTM(16), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
model.fit(x, y, epochs=2, verbose=0)
print(len(x), "windows, largest jump inside one", np.abs(np.diff(x[..., 0], axis=1)).max().round(2))
