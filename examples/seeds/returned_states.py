"""Outputs and both final states, in their order: output, h, c (seed 001-2)."""

import keras
import numpy as np

import sostenuto as so

inputs = keras.Input((10, 3))
output, h, c = so.LSTM(64, return_state=True)(inputs)
model = keras.Model(inputs, [output, h, c])
output, h, c = model.predict(np.random.default_rng(0).normal(size=(32, 10, 3)), verbose=0)
print(output.shape, h.shape, c.shape)
print("the output is the final h:", bool((output == h).all()), "- and not c:", not np.allclose(output, c))
