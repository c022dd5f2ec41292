# Tell limping from healthy walks by the acceleration of a foot, walks of different length.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(20)
rng = np.random.default_rng(20)
limping = rng.integers(0, 2, size=(110, 1))
walks = []
for limp in limping[:, 0]:
    steps = np.arange(rng.integers(15, 40))
    swing = np.sin(steps / 2) + limp * 0.5 * np.sin(steps / 4)
    walks.append(np.column_stack([swing, np.gradient(swing)]) + 0.1 * rng.normal(size=(len(steps), 2)))
every_step = np.concatenate(walks)
walks = [(walk - every_step.mean(axis=0)) / every_step.std(axis=0) for walk in walks]

x = keras.utils.pad_sequences(walks, padding="post", value=-10)

model = keras.Sequential(
    [
        keras.Input(shape=(None, 2)),
        layers.Masking(mask_value=-10),
        layers.LSTM(16),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
model.fit(x, limping, epochs=2, batch_size=22, verbose=0)
print("start of the first walk", x[0, :3, 0])
