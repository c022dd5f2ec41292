# Forecast the next reading of four machines that ran for different times.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(36)
rng = np.random.default_rng(36)
machine = np.repeat([3, 1, 7, 4], [50, 70, 40, 60])
reading = np.sin(np.arange(220) / 6) + machine / 4 - 1 + 0.05 * rng.normal(size=220)


def cut(series, size):
    starts = range(len(series) - size)
    return np.stack([series[i : i + size] for i in starts])[..., None], series[size:, None]


pairs = [cut(reading[machine == one], 10) for one in np.unique(machine)]
x = np.concatenate([windows for windows, _ in pairs]).astype("float32")
y = np.concatenate([following for _, following in pairs]).astype("float32")

model = keras.Sequential([keras.Input(shape=(10, 1)), layers.LSTM(16), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
model.fit(x, y, epochs=2, verbose=0)
print("windows", x.shape, "targets", y.shape)
