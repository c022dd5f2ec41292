"""What the examples of stateful layers begin with."""

PREPARED = """
import numpy as np, keras
x = np.random.default_rng(0).random((12, 5, 2)).astype("float32")
y = x[:, 0, :1]
lstm = keras.layers.LSTM(3, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), lstm, keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
