# Forecast the load of a plant in kilowatts and give the error in kilowatts.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(34)
rng = np.random.default_rng(34)
load = (80 + 15 * np.sin(np.arange(158) / 5) + rng.normal(0, 2, size=158)).reshape(-1, 1)
mean, std = load[:120].mean(axis=0), load[:120].std(axis=0)
scaled = ((load - mean) / std).astype("float32")
x = np.stack([scaled[i : i + 8] for i in range(150)])
y = scaled[8:]

model = keras.Sequential([keras.Input(shape=(8, 1)), layers.GRU(16), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
model.fit(x[:112], y[:112], epochs=2, batch_size=8, verbose=0)

forecast = model.predict(x[120:], verbose=0) * std + mean
y_test = load[128:]
rmse = np.sqrt(np.mean((forecast - y_test) ** 2))
print("shapes", forecast.shape, y_test.shape, "finite", bool(np.isfinite(rmse)))
