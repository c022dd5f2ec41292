# Is a short message friendly?
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(37)
rng = np.random.default_rng(37)
words = ["thanks", "great", "please", "never", "bad", "stop", "we", "you", "it"]
number = {word: i + 1 for i, word in enumerate(words)}
messages = [rng.choice(words, size=rng.integers(2, 9)).tolist() for _ in range(80)]
friendly = np.array([[float(sum(w in words[:3] for w in m) >= sum(w in words[3:6] for w in m))] for m in messages])
ids = keras.utils.pad_sequences([[number[word] for word in message] for message in messages], padding="post")

model = keras.Sequential(
    [
        keras.Input(shape=(ids.shape[1],), dtype="int32"),
        layers.Embedding(len(number) + 1, 8, mask_zero=True),
        layers.LSTM(12),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
model.fit(ids, friendly, epochs=2, batch_size=8, verbose=0)
print("largest id", ids.max(), "of", len(number))
