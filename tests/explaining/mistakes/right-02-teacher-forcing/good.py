# Sort the digits of a number with an encoder and a decoder.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(32)
rng = np.random.default_rng(32)
START = 10
numbers = rng.integers(0, 10, size=(128, 5))
ordered = np.sort(numbers, axis=1)
decoder_in = np.full_like(ordered, START)
decoder_in[:, 1:] = ordered[:, :-1]

source = keras.Input(shape=(5,), dtype="int32")
_, *states = layers.LSTM(24, return_state=True)(layers.Embedding(10, 8)(source))
so_far = keras.Input(shape=(5,), dtype="int32")
steps = layers.LSTM(24, return_sequences=True)(layers.Embedding(11, 8)(so_far), initial_state=states)
model = keras.Model([source, so_far], layers.Dense(10, activation="softmax")(steps))

model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
model.fit([numbers, decoder_in], ordered, epochs=2, verbose=0)

written = np.full((1, 5), START)
for i in range(5):
    digit = model.predict([numbers[:1], written], verbose=0)[0, i].argmax()
    if i < 4:
        written[0, i + 1] = digit
print("wrote", model.output_shape)
