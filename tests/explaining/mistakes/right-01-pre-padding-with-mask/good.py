# Tell two kinds of engines by the pressure of runs of different length.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(31)
rng = np.random.default_rng(31)
kind = rng.integers(0, 2, size=(80, 1))
runs = [rng.normal(0.3 * k, 0.5, size=(rng.integers(4, 20), 2)).clip(-3, 3) for k in kind[:, 0]]
x = keras.utils.pad_sequences(runs, value=-5.0, dtype="float32")

model = keras.Sequential(
    [
        keras.Input(shape=(None, 2)),
        layers.Masking(mask_value=-5.0),
        layers.LSTM(12),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x, kind, epochs=2, batch_size=20, verbose=0)
print("padded to", x.shape)
