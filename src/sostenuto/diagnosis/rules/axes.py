"""A batch meets a layer: axes, features, masks, declared batch sizes. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO101 = rule(
    "SO101",
    "A layer got something else than (batch, time, features)",
    "A recurrent layer reads three axes: rows of a batch, steps in time, features of a step. One number per step is "
    "still one feature: (batch, time, 1). One sequence alone is still a batch of one: (1, time, features).",
    "Add the missing axis with x[None] (batch) or x[..., None] (features), or hand ragged data to SequenceModel, "
    "which makes batches itself.",
    example="""
import numpy as np, sostenuto as so
so.LSTM(4)(np.ones((8, 10), "float32"))
""",
)

SO102 = rule(
    "SO102",
    "The axes of time and features look swapped",
    "The number of features does not fit, but the number of steps does: many archives keep (case, channel, time).",
    "Transpose with x.swapaxes(1, 2), or read the data with layout='channels_first'.",
    example="""
import numpy as np, sostenuto as so
lstm = so.LSTM(4)
lstm(np.ones((8, 10, 3), "float32"))
lstm(np.ones((8, 3, 10), "float32"))
""",
    repaired="""
import numpy as np, keras
lstm = keras.layers.LSTM(4)
lstm(np.ones((8, 10, 3), "float32"))
lstm(np.ones((8, 3, 10), "float32").swapaxes(1, 2))
""",
)

SO103 = rule(
    "SO103",
    "The number of features per step does not fit",
    "The weights of a layer are made for the number of features it first saw; another number cannot be multiplied "
    "with them.",
    "Pass the features that the model was built with, in that order, or build a new model for the new ones.",
    example="""
import numpy as np, sostenuto as so
lstm = so.LSTM(4)
lstm(np.ones((8, 10, 3), "float32"))
lstm(np.ones((8, 10, 5), "float32"))
""",
    repaired="""
import numpy as np, keras
lstm = keras.layers.LSTM(4)
lstm(np.ones((8, 10, 3), "float32"))
lstm(np.ones((8, 10, 5), "float32")[..., :3])
""",
)

SO104 = rule(
    "SO104",
    "A layer got values that are no numbers",
    "Recurrent layers multiply their input with weights, so every step must be a vector of numbers in one tensor.",
    "Turn text into token ids and put an Embedding first; hand a list of sequences to SequenceModel or to "
    "Sequences.from_list instead of to the layer.",
    example="""
import numpy as np, sostenuto as so
so.LSTM(4)(np.array([["to", "be"]]))
""",
)

SO105 = rule(
    "SO105",
    "A mask or lengths do not fit the batch",
    "A mask says for every row and step whether it is real: (batch, time). Lengths say for every row how many steps "
    "are real: (batch,), each between 0 and the number of steps.",
    "Sequences.to_padded() returns values, lengths and mask that fit each other.",
    example="""
import numpy as np, sostenuto as so
so.LSTM(4)(np.ones((2, 5, 3), "float32"), lengths=[5, 9])
""",
)

SO106 = rule(
    "SO106",
    "A model was declared for one batch size and got another",
    "A stateful layer takes any batch size, but the Input of this Functional model declares one (batch_size= or "
    "batch_shape=), and what is declared binds, as it does in Keras.",
    "Leave the batch size out of keras.Input. For a model that is already there: so.convert(model) and "
    "so.SequenceModel(model) take any batch size.",
    example="""
import keras, numpy as np, sostenuto as so
steps = keras.Input((5, 3), batch_size=4)
model = keras.Model(steps, so.LSTM(4, stateful=True)(steps))
model(np.ones((2, 5, 3), "float32"))
""",
)

SO107 = rule(
    "SO107",
    "Arrays that the native kernel cannot run",
    "It reads float32 numbers in the memory of the CPU, and arrays that agree on rows, steps, features and units.",
    "Compare the shapes that the message lists.",
    needs="a call of the native kernels past the layers",
)
