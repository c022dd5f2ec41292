# Score the vibration of two pumps chunk by chunk: how well is the next value foretold?
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(9)
clock = np.arange(201)
pump_a = np.sin(clock / 4).astype("float32")
pump_b = (0.5 * np.cos(clock / 3)).astype("float32")

trainer = keras.Sequential([keras.Input(shape=(None, 1)), layers.LSTM(16, return_sequences=True), layers.Dense(1)])
trainer.compile(optimizer=keras.optimizers.Adam(0.03), loss="mse")
both = np.stack([pump_a, pump_b])[..., None]
trainer.fit(both[:, :-1], both[:, 1:], epochs=2, verbose=0)

monitor = keras.Sequential(
    [
        keras.Input(batch_shape=(1, 40, 1)),
        layers.LSTM(16, return_sequences=True, stateful=True),
        layers.Dense(1),
    ]
)
monitor.set_weights(trainer.get_weights())

for name, pump in [("A", pump_a), ("B", pump_b)]:
    errors = []
    monitor.layers[0].reset_state()
    for start in range(0, 200, 40):
        foretold = keras.ops.convert_to_numpy(monitor(pump[None, start : start + 40, None]))
        errors.append(np.mean((foretold[0, :, 0] - pump[start + 1 : start + 41]) ** 2))
    print("pump", name, "first chunk", round(float(errors[0]), 4), "mean", round(float(np.mean(errors)), 4))
