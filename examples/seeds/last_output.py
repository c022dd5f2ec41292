"""One output per sequence (seed 001-0)."""

import keras
import numpy as np

import sostenuto as so

model = so.SequenceModel([so.LSTM(64), keras.layers.Dense(1)])
output = model.predict(np.random.default_rng(0).normal(size=(32, 10, 3)), verbose=0)
print(np.asarray(output).shape)
