"""Token ids and the embedding that looks them up. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO501 = rule(
    "SO501",
    "Token ids are whole numbers",
    "An Embedding looks rows up by number; fractions would be cut off.",
    "Keep token ids as integers from the start; standardise only real-valued features.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([keras.layers.Embedding(10, 4), so.LSTM(4)])
model.predict([[0.5, 1.5], [2.0]])
""",
)

SO502 = rule(
    "SO502",
    "A token id lies outside the vocabulary",
    "An Embedding with input_dim=n knows the ids 0 .. n-1. The JAX backend clamps others silently, TensorFlow on a "
    "GPU gives zeros; both are wrong results.",
    "Make input_dim the largest id + 1, or map rare tokens to one 'unknown' id.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([keras.layers.Embedding(10, 4), so.LSTM(4)])
model.predict([[1, 10], [2]])
""",
)
