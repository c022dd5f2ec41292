"""What a sequence is: ragged collections, padding, bucketing, chunking and their checks, in plain NumPy and Arrow."""

from sostenuto.sequences.batching import Batch, Padded
from sostenuto.sequences.collection import Sequences

__all__ = ["Batch", "Padded", "Sequences"]
