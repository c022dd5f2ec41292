"""The recurrent layers and cells: subclasses of Keras's, with the same arguments, weights and configuration."""

from sostenuto.layers.attached_mask import attach_mask, attached_mask
from sostenuto.layers.bidirectional import Bidirectional
from sostenuto.layers.cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from sostenuto.layers.context import BatchContext, batch_context
from sostenuto.layers.convert import convert_layer, converts
from sostenuto.layers.recurrent import Recurrent
from sostenuto.layers.rnn import GRU, LSTM, RNN, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BatchContext",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "Recurrent",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "attach_mask",
    "attached_mask",
    "batch_context",
    "convert_layer",
    "converts",
]
