"""A stateful LSTM without a batch size in its input (seed 000-0)."""

import keras
import numpy as np

import sostenuto as so

inputs = keras.Input((10, 1))
outputs = so.LSTM(32, stateful=True)(inputs)
model = keras.Model(inputs, outputs)
print(model.predict(np.zeros((32, 10, 1)), verbose=0).shape)
print(model.predict(np.zeros((4, 10, 1)), verbose=0).shape)
