# Train on a tune and let the network play on from the first four notes.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(1)
tune = np.array([0, 2, 4, 5, 7, 5, 4, 2] * 12)
x = np.stack([tune[i : i + 16] for i in range(64)])
y = np.stack([tune[i + 1 : i + 17] for i in range(64)])

embed = layers.Embedding(8, 8)
lstm = layers.LSTM(24, return_sequences=True, return_state=True)
head = layers.Dense(8, activation="softmax")
notes = keras.Input(shape=(None,), dtype="int32")
trainer = keras.Model(notes, head(lstm(embed(notes))[0]))
trainer.compile(optimizer=keras.optimizers.Adam(0.03), loss="sparse_categorical_crossentropy")
trainer.fit(x, y, epochs=2, batch_size=4, verbose=0)

h_in, c_in = keras.Input(shape=(24,)), keras.Input(shape=(24,))
sequence, h_out, c_out = lstm(embed(notes), initial_state=[h_in, c_in])
player = keras.Model([notes, h_in, c_in], [head(sequence), h_out, c_out])

nothing = np.zeros((1, 24), dtype="float32")
probs, h, c = player.predict([tune[None, :4], nothing, nothing], verbose=0)
states = [h, c]
played = [int(probs[0, -1].argmax())]
for _ in range(7):
    probs, h, c = player.predict([np.array([[played[-1]]]), *states], verbose=0)
    states = [h, c]
    played.append(int(probs[0, -1].argmax()))
print("played", played)
