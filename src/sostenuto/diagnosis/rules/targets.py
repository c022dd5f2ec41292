"""Targets and weights beside their sequences, and the loss that compares them. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO401 = rule(
    "SO401",
    "Targets do not fit the sequences",
    "Targets are given per sequence (one entry for each) or per step (one entry for each step of each sequence).",
    "Check that targets come in the same order, or by the same ids, and are cut to the same lengths.",
    example="""
import numpy as np, sostenuto as so
so.Sequences.from_list([[1.0, 2.0], [3.0]], targets=[0, 1, 0])
""",
)

SO402 = rule(
    "SO402",
    "Targets do not fit the model's output",
    "A layer with return_sequences=True gives an output per step and wants a target per step; without it there is "
    "one output per sequence. Nothing is broadcast for you.",
    "Change return_sequences of the last recurrent layer, or give the other kind of target.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4, return_sequences=True), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit([np.ones((5, 3)), np.ones((4, 3))], [0.5, 0.7])
""",
)

SO403 = rule(
    "SO403",
    "Training needs targets",
    "fit and evaluate compare outputs with targets, and these sequences have none.",
    "Pass y=, or make the Sequences with targets= (from_table: target='column').",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit([np.ones((5, 3)), np.ones((4, 3))])
""",
)

SO404 = rule(
    "SO404",
    "Weights do not fit the sequences",
    "Sample weights are one number per sequence or one per step, none below zero; class weights need whole-numbered "
    "classes.",
    "Check their number and order.",
    example="""
import numpy as np, sostenuto as so
sequences = so.Sequences.from_list([[1.0, 2.0], [3.0]], targets=[0, 1])
sequences.with_weights([1.0, -1.0])
""",
)
