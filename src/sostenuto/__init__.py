"""Sostenuto: recurrent networks on real sequences, with Keras 3 on TensorFlow, JAX or PyTorch."""

from sostenuto._backend import choose_backend as _choose_backend

_choose_backend()

from sostenuto.errors import (  # noqa: E402
    BackendError,
    ColumnError,
    DataError,
    DataFileError,
    DataTypeError,
    ModelError,
    ShapeError,
    SostenutoError,
    StateError,
    TargetError,
    TokenError,
    UnknownIdError,
)
from sostenuto.layers import (  # noqa: E402
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)
from sostenuto.models import Predictions, SequenceModel, convert  # noqa: E402
from sostenuto.sequences import Sequences, SequenceStream  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BackendError",
    "Bidirectional",
    "ColumnError",
    "DataError",
    "DataFileError",
    "DataTypeError",
    "GRUCell",
    "LSTMCell",
    "ModelError",
    "Predictions",
    "SequenceModel",
    "SequenceStream",
    "Sequences",
    "ShapeError",
    "SimpleRNN",
    "SimpleRNNCell",
    "SostenutoError",
    "StackedRNNCells",
    "StateError",
    "TargetError",
    "TokenError",
    "UnknownIdError",
    "convert",
]
