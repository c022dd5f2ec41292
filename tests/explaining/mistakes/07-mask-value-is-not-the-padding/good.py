# Tell calm from hurried drivers by speed and brake (both between 0 and 1) on journeys of different length.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(4)
rng = np.random.default_rng(4)
hurried = rng.integers(0, 2, size=(120, 1))
journeys = []
for hurry in hurried[:, 0]:
    length = rng.integers(5, 25)
    journeys.append(np.clip(rng.normal(0.4 + 0.2 * hurry, 0.1, size=(length, 2)), 0.02, 1.0))

x = keras.utils.pad_sequences(journeys, padding="post", value=-1.0, dtype="float32")

model = keras.Sequential(
    [
        keras.Input(shape=(x.shape[1], 2)),
        layers.Masking(mask_value=-1.0),
        layers.LSTM(8),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x, hurried, epochs=2, batch_size=12, verbose=0)
print("accuracy", round(model.evaluate(x, hurried, verbose=0)[1], 3))
