# Squeeze a bearing's vibration into eight numbers and rebuild it, to find unusual bearings.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(16)
rng = np.random.default_rng(16)
phase = rng.uniform(0, 6, size=(64, 1, 1))
axis = np.array([0.0, 1.5])
vibration = np.sin(np.arange(30)[:, None] / 3 + phase + axis).astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=(30, 2)),
        layers.LSTM(16, return_sequences=True),
        layers.LSTM(8),
        layers.RepeatVector(30),
        layers.LSTM(16, return_sequences=True),
        layers.TimeDistributed(layers.Dense(2)),
    ]
)
model.compile(optimizer="adam", loss="mse")
model.fit(vibration, vibration, epochs=1, verbose=0)
print("rebuilt", model.predict(vibration[:3], verbose=0).shape)
