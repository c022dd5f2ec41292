"""Keep the state of rows while the batch shrinks and grows (seed 002-2)."""

import numpy as np

import sostenuto as so

layer = so.LSTM(8, stateful=True)
step = np.ones((6, 1, 3), "float32")

layer(step)
before = layer.get_state()["h"]
print("after the smaller batch", tuple(layer(step[:2]).shape))
after = layer.get_state()["h"]
print("rows 0 and 1 have moved on:", bool((before[:2] != after[:2]).all()))
print("rows 2 to 5 have waited:", bool((before[2:] == after[2:]).all()))
