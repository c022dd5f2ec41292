"""Models of whole sequences: ``SequenceModel``, conversion of stock models, batches for Keras's trainers."""

from sostenuto.models.conversion import convert
from sostenuto.models.predictions import Predictions
from sostenuto.models.sequence_model import SequenceModel

__all__ = ["Predictions", "SequenceModel", "convert"]
