# Forecast the next value of a noisy tide from the last 20 values, remembering what came before.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)
tide = (np.sin(np.arange(340) / 9) + 0.1 * rng.normal(size=340)).astype("float32")
steps, batch_size = 20, 32
windows = np.stack([tide[i : i + steps] for i in range(320)])[..., None]
following = tide[steps : steps + 320, None]

model = keras.Sequential(
    [
        keras.Input(batch_shape=(batch_size, steps, 1)),
        layers.LSTM(16, stateful=True),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
model.fit(windows, following, epochs=1, batch_size=batch_size, shuffle=False, verbose=0)
forecast = model.predict(windows, batch_size=batch_size, verbose=0)
print("forecasts", forecast.shape, "mse", float(np.mean((forecast - following) ** 2)).__round__(2))
