"""Sostenuto: recurrent networks on real sequences, with Keras 3 on TensorFlow, JAX or PyTorch."""

from sostenuto._backend import choose_backend as _choose_backend

_choose_backend()

from sostenuto.errors import (  # noqa: E402
    BackendError,
    ColumnError,
    ConflictError,
    DataError,
    DataFileError,
    DataTypeError,
    IdError,
    ModelError,
    SessionError,
    ShapeError,
    SostenutoError,
    StateError,
    StoreError,
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
from sostenuto.sessions import Session  # noqa: E402
from sostenuto.stores import MemoryStore, SQLiteStore, ValkeyStore  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BackendError",
    "Bidirectional",
    "ColumnError",
    "ConflictError",
    "DataError",
    "DataFileError",
    "DataTypeError",
    "GRUCell",
    "IdError",
    "LSTMCell",
    "MemoryStore",
    "ModelError",
    "Predictions",
    "SQLiteStore",
    "SequenceModel",
    "SequenceStream",
    "Sequences",
    "Session",
    "SessionError",
    "ShapeError",
    "SimpleRNN",
    "SimpleRNNCell",
    "SostenutoError",
    "StackedRNNCells",
    "StateError",
    "StoreError",
    "TargetError",
    "TokenError",
    "UnknownIdError",
    "ValkeyStore",
    "convert",
]
