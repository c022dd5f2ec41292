# Read a long signal piece by piece with the state handed on, and in one pass to compare.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(38)
rng = np.random.default_rng(38)
signal = rng.normal(size=(2, 60, 3)).astype("float32")

inputs = keras.Input(shape=(None, 3))
h_in, c_in = keras.Input(shape=(10,)), keras.Input(shape=(10,))
outputs, h_out, c_out = layers.LSTM(10, return_sequences=True, return_state=True)(inputs, initial_state=[h_in, c_in])
model = keras.Model([inputs, h_in, c_in], [outputs, h_out, c_out])

h = c = start = np.zeros((2, 10), dtype="float32")
pieces = []
for first in range(0, 60, 15):
    out, h, c = model.predict([signal[:, first : first + 15], h, c], verbose=0)
    pieces.append(out)
whole, _, _ = model.predict([signal, start, start], verbose=0)
print("largest difference", np.abs(np.concatenate(pieces, axis=1) - whole).max().round(4))
