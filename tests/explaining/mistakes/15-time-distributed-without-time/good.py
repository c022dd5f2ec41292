# Mark for every half hour of a day whether a house is occupied.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(18)
rng = np.random.default_rng(18)
occupied = (np.sin(np.arange(48) / 5 + rng.uniform(0, 6, size=(70, 1))) > 0).astype("float32")[..., None]
meters = (occupied * [0.8, 0.3, 0.1] + 0.1 * rng.normal(size=(70, 48, 3))).astype("float32")

model = keras.Sequential()
model.add(keras.Input(shape=(48, 3)))
model.add(layers.LSTM(20, return_sequences=True))
model.add(layers.Dropout(0.1))
model.add(layers.TimeDistributed(layers.Dense(1, activation="sigmoid")))
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(meters, occupied, epochs=1, verbose=0)
print("marks", model.predict(meters[:2], verbose=0).shape)
