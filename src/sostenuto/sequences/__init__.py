"""What a sequence is: ragged collections, padding, bucketing, chunking and their checks, in plain NumPy and Arrow."""

from sostenuto.sequences.batching import Batch, Padded
from sostenuto.sequences.collection import Sequences
from sostenuto.sequences.description import Description
from sostenuto.sequences.statistics import Statistics
from sostenuto.sequences.stream import SequenceStream

__all__ = ["Batch", "Description", "Padded", "SequenceStream", "Sequences", "Statistics"]
