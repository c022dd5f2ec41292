# Forecast the number of visitors of a pool and give the error in visitors.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(12)
rng = np.random.default_rng(12)
visitors = 300 + 120 * np.sin(np.arange(210) / 6) + rng.normal(0, 10, size=210)
mean, std = visitors[:150].mean(), visitors[:150].std()
scaled = ((visitors - mean) / std).astype("float32")

x = np.stack([scaled[i : i + 10] for i in range(200)])[..., None]
y = scaled[10:]
x_train, y_train = x[:160], y[:160]
x_test, y_test = x[160:], visitors[170:]

model = keras.Sequential([keras.Input(shape=(10, 1)), layers.LSTM(24), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
model.fit(x_train, y_train, epochs=2, batch_size=4, verbose=0)

forecast = model.predict(x_test, verbose=0) * std + mean
rmse = np.sqrt(np.mean((forecast[:, 0] - y_test) ** 2))
print("rmse in visitors", round(float(rmse), 1), "spread of the visitors", round(float(y_test.std()), 1))
