"""The pages of codes about states that are handed from layer to layer."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import rule

_ENCODER = """
import numpy as np, keras
x = np.random.default_rng(0).random((2, 6, 3)).astype("float32")
"""

SO324 = rule(
    "SO324",
    "An initial state has other units than the layer it starts",
    """A state is as wide as the layer that keeps it: one number per unit. An encoder of 48 units cannot start a decoder
    of 64. Keras builds such a model without a word, and fails in a product when it runs.""",
    """Give both layers the same number of units, or project the states with a Dense layer. Behind a Bidirectional
    encoder, concatenate its two directions and double the decoder's units.""",
    example=_ENCODER
    + """
output, h, c = keras.layers.LSTM(4, return_state=True)(x)
again = keras.layers.LSTM(5)(x, initial_state=[h, c])
""",
    repaired=_ENCODER
    + """
output, h, c = keras.layers.LSTM(4, return_state=True)(x)
again = keras.layers.LSTM(4)(x, initial_state=[h, c])
""",
)

SO325 = rule(
    "SO325",
    "A layer is started with more or fewer states than it keeps",
    """An LSTM keeps two states, h and c; a GRU or SimpleRNN one, h; a Bidirectional layer those of both directions.""",
    """Pass all of them, in the order in which the layer returns them: initial_state=[h, c].""",
    example=_ENCODER + "output = keras.layers.LSTM(4)(x, initial_state=[np.zeros((2, 4), 'float32')])\n",
    repaired=_ENCODER
    + "output = keras.layers.LSTM(4)(x, initial_state=[np.zeros((2, 4), 'float32'), np.zeros((2, 4), 'float32')])\n",
)

SO326 = rule(
    "SO326",
    "An initial state has another batch size than the inputs",
    """A state has one row for each sequence of the batch. One that was made for, or left by, a batch of another size
    does not fit; where it happens to broadcast, rows get the state of others.""",
    """Make the state for the rows at hand, or keep it by sequence: layers of Sostenuto take batches of any size, and
    sessions keep state by id.""",
    example=_ENCODER
    + """
state = [np.zeros((3, 4), "float32"), np.zeros((3, 4), "float32")]
output = keras.layers.LSTM(4)(x, initial_state=state)
""",
    repaired=_ENCODER
    + """
state = [np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32")]
output = keras.layers.LSTM(4)(x, initial_state=state)
""",
)

SO327 = rule(
    "SO327",
    "A layer is started with a sequence of outputs instead of a state",
    """With return_sequences=True the first output of a layer has a time axis. A state has none: (batch, units).""",
    """Set return_state=True on the encoder, and pass what comes behind its output.""",
    example=_ENCODER
    + """
output, h, c = keras.layers.LSTM(4, return_sequences=True, return_state=True)(x)
again = keras.layers.LSTM(4)(x, initial_state=[output, h])
""",
    repaired=_ENCODER
    + """
output, h, c = keras.layers.LSTM(4, return_sequences=True, return_state=True)(x)
again = keras.layers.LSTM(4)(x, initial_state=[h, c])
""",
)

SO328 = rule(
    "SO328",
    "A state is padded to the batch, and the batch is smaller",
    """Zeros put behind a state make it fit a batch that grew. For a smaller batch their number is negative, and there
    is no such array. Rows are matched by position then, so sequences may go on from the state of others.""",
    """Cut the state where the batch shrinks: h[:batch_size]. Better, keep one state per sequence: a session of
    Sostenuto keeps it by id, for batches of any size and order.""",
    example="""
import numpy as np
h, batch = np.zeros((6, 4)), 2
h = np.concatenate([h, np.zeros((batch - h.shape[0], 4))])
""",
    repaired="""
import numpy as np
h, batch = np.zeros((6, 4)), 2
h = h[:batch]
""",
)

SO331 = rule(
    "SO331",
    "The outputs of a model are not connected to its inputs",
    """Every call of keras.Input makes another input. A model whose layers were applied to one of them and that is given
    another as its input has nothing to compute its outputs from.""",
    """Make one Input, give it a name, pass it to the first layer and to keras.Model.""",
    example="""
import keras
model = keras.Model(keras.Input((10, 3)), keras.layers.LSTM(4)(keras.Input((10, 3))))
""",
    repaired="""
import keras
inputs = keras.Input((10, 3))
model = keras.Model(inputs, keras.layers.LSTM(4)(inputs))
""",
)
