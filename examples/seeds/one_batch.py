"""Train on all sequences as one batch (seed 003-1)."""

import keras
import numpy as np

import sostenuto as so

rng = np.random.default_rng(0)
data, labels = rng.random((200, 50, 100)), rng.random(200)

model = so.SequenceModel([so.LSTM(64), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(data, labels, batch_size=200, epochs=2, verbose=0)
print("fitted in", int(model.optimizer.iterations.numpy()), "steps of one batch each")
