# Forecast tomorrow's temperature in degrees from two weeks of weather.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(2)
rng = np.random.default_rng(2)
days = np.arange(240)
temperature = 20 + 6 * np.sin(days / 30) + rng.normal(0, 1, size=240)
humidity = 60 - temperature + rng.normal(0, 2, size=240)
weather = np.column_stack([temperature, humidity])
weather = (weather - weather.mean(axis=0)) / weather.std(axis=0)

x = np.stack([weather[i : i + 14] for i in range(226)]).astype("float32")
y = temperature[14:, None].astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=(14, 2)),
        layers.LSTM(24),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, activation="tanh"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mae")
model.fit(x[:180], y[:180], epochs=2, batch_size=12, verbose=0)
print("mean error in degrees", round(model.evaluate(x[180:], y[180:], verbose=0), 1))
