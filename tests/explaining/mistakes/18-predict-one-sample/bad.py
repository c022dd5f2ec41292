# Train on the energy use of houses and ask for the forecast of the first one.
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(21)
rng = np.random.default_rng(21)
houses = np.cumsum(rng.normal(size=(50, 20, 3)), axis=1).astype("float32") / 5
next_use = houses[:, -1, :1] + 0.1 * rng.normal(size=(50, 1)).astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=(20, 3)),
        layers.GRU(16),
        layers.Dense(8, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(optimizer="adam", loss="mse")
model.fit(houses, next_use, epochs=1, verbose=0)

first = houses[0]
print("forecast", model.predict(first, verbose=0).shape)
