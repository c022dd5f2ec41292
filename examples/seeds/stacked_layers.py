"""Two LSTMs on top of each other: the lower one hands on every step (seed 001-1)."""

import keras
import numpy as np

import sostenuto as so

model = so.SequenceModel([so.LSTM(64, return_sequences=True), so.LSTM(32), keras.layers.Dense(1)])
output = model.predict(np.random.default_rng(0).normal(size=(32, 10, 3)), verbose=0)
print(np.asarray(output).shape)
model.summary()
