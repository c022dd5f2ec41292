# Does a five-word sentence speak about an animal that sleeps?
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(19)
rng = np.random.default_rng(19)
words = ["a", "the", "cat", "dog", "horse", "sleeps", "runs", "eats", "near", "old", "young", "house"]
number = {word: i for i, word in enumerate(words, start=1)}
sentences = rng.choice(words, size=(90, 5))
x = np.array([[number[word] for word in sentence] for sentence in sentences])
y = (x == number["sleeps"]).any(axis=1, keepdims=True).astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=(5,), dtype="int32"),
        layers.Embedding(len(number), 6),
        layers.LSTM(12),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
history = model.fit(x, y, epochs=2, batch_size=10, verbose=0)
print("loss", round(history.history["loss"][-1], 2))
