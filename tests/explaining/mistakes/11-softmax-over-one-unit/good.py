# Is a heartbeat ill (1) or healthy (0)?
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(13)
rng = np.random.default_rng(13)
ill = rng.integers(0, 2, size=(100, 1))
time = np.linspace(0, 6, 30)
beats = np.sin(time * (1 + 0.5 * ill)) + 0.1 * rng.normal(size=(100, 30))
beats = beats[..., None].astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=(30, 1)),
        layers.LSTM(16),
        layers.Dropout(0.2),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
model.fit(beats, ill, epochs=2, batch_size=10, verbose=0)
print("lowest and highest answer", np.ptp(model.predict(beats, verbose=0)).round(2), "apart")
