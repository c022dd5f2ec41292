# Tell three gestures apart in the recordings of an armband with six electrodes.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)
n_gestures, n_channels, n_times = 3, 6, 100
seconds = np.arange(n_times) / 20

gesture = rng.integers(0, n_gestures, size=90)
phase = rng.uniform(0, 6, size=(90, n_channels, 1))
emg = np.sin((2 + gesture[:, None, None]) * seconds + phase)
emg += 0.1 * rng.normal(size=(90, n_channels, n_times))
emg = emg.transpose(0, 2, 1).astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=emg.shape[1:]),
        layers.Conv1D(16, 5, padding="same", activation="relu"),
        layers.LSTM(16),
        layers.Dense(n_gestures, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(emg, gesture, epochs=2, batch_size=15, verbose=0)
print("input", model.input_shape, "output", model.predict(emg[:4], verbose=0).shape)
