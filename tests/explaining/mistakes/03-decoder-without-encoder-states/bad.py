# Learn to write a six-digit number backwards with an encoder and a decoder.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(5)
rng = np.random.default_rng(5)
START = 10
numbers = rng.integers(0, 10, size=(192, 6))
backwards = numbers[:, ::-1]
shifted = np.concatenate([np.full((192, 1), START), backwards[:, :-1]], axis=1)

source = keras.Input(shape=(6,), dtype="int32", name="source")
_, state_h, state_c = layers.LSTM(32, return_state=True)(layers.Embedding(10, 8)(source))
encoder_states = [state_h, state_c]

so_far = keras.Input(shape=(6,), dtype="int32", name="so_far")
decoder = layers.LSTM(32, return_sequences=True)
decoded = decoder(layers.Embedding(11, 8)(so_far))
digits = layers.Dense(10, activation="softmax")(decoded)

model = keras.Model([source, so_far], digits)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
model.fit([numbers, shifted], backwards, epochs=2, verbose=0)
one = model.predict([numbers[:1], shifted[:1]], verbose=0)
other = model.predict([numbers[1:2], shifted[:1]], verbose=0)
print("another source changes the answer by", np.abs(one - other).max().round(3))
