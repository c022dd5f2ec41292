# Learn four long signals at once, in pieces of ten values with the memory kept between the pieces.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(33)
rng = np.random.default_rng(33)
signals = np.sin(np.arange(101) / 4 + rng.uniform(0, 6, size=(4, 1))).astype("float32")
pieces = [signals[:, i : i + 10, None] for i in range(0, 100, 10)]
following = [signals[:, i + 1 : i + 11, None] for i in range(0, 100, 10)]
x, y = np.concatenate(pieces), np.concatenate(following)

lstm = layers.LSTM(16, return_sequences=True, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(4, 10, 1)), lstm, layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
for _ in range(2):
    lstm.reset_state()
    model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
lstm.reset_state()
forecast = model.predict(x, batch_size=4, verbose=0)
print("forecast", forecast.shape)
