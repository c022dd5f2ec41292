"""Keras's own recurrent tests, run on Sostenuto's layers; ``python -m tests.keras_suite`` compares with stock Keras.

Only the tests of one backend run at a time, that of KERAS_BACKEND.
"""
