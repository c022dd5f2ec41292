# Read scanned pen strokes column by column, from left to right: rising or falling?
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
height, width = 12, 30
scans = 0.1 * rng.random((80, height, width))
rising = rng.integers(0, 2, size=(80, 1))
for scan, up in zip(scans, rising[:, 0], strict=True):
    start = rng.integers(0, 4)
    for column in range(width):
        row = min(start + column * 8 // width, height - 1)
        scan[height - 1 - row if up else row, column] = 1.0

columns = scans.reshape(len(scans), width, height).astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=(width, height)),
        layers.LSTM(16),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
model.fit(columns, rising, epochs=2, batch_size=8, verbose=0)
print("brightest pixel per step", columns[0].max(axis=1)[:8].round(2))
