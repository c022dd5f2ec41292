"""Sostenuto: recurrent networks on real sequences, with Keras 3 on TensorFlow, JAX or PyTorch."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import wrapt

from sostenuto._backend import choose_backend as _choose_backend

_choose_backend()

if TYPE_CHECKING:
    from sostenuto.diagnosis import Finding, Report
    from sostenuto.errors import (
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
    from sostenuto.explaining.checking import check
    from sostenuto.explaining.notebook import explain
    from sostenuto.explaining.tracing import trace
    from sostenuto.explaining.watching import watch
    from sostenuto.layers import (
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
    from sostenuto.models import Predictions, SequenceModel, convert
    from sostenuto.sequences import Sequences, SequenceStream
    from sostenuto.sessions import Session
    from sostenuto.stores import MemoryStore, SQLiteStore, ValkeyStore

# What is used is imported when it is used: commands that need no Keras start at once, and `sostenuto explain` leaves it
# to the script which backend Keras works on (design/0015).
_HOMES = {
    "errors": (
        "BackendError ColumnError ConflictError DataError DataFileError DataTypeError IdError ModelError SessionError "
        "ShapeError SostenutoError StateError StoreError TargetError TokenError UnknownIdError"
    ),
    "diagnosis": "Finding Report",
    "explaining.checking": "check",
    "explaining.notebook": "explain",
    "explaining.tracing": "trace",
    "explaining.watching": "watch",
    "layers": "GRU LSTM RNN Bidirectional GRUCell LSTMCell SimpleRNN SimpleRNNCell StackedRNNCells",
    "models": "Predictions SequenceModel convert",
    "sequences": "Sequences SequenceStream",
    "sessions": "Session",
    "stores": "MemoryStore SQLiteStore ValkeyStore",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        found = getattr(importlib.import_module(f"sostenuto.{_HOME[name]}"), name)
    elif name in _HOMES or name in ("cells", "cli", "explaining", "kernels"):
        found = importlib.import_module(f"sostenuto.{name}")
    else:
        raise AttributeError(f"module 'sostenuto' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    # What tab completion offers: names of ours, not what this file imports.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext sostenuto``: every exception of the notebook is explained below its traceback."""
    from sostenuto.explaining.notebook import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext sostenuto``."""
    from sostenuto.explaining.notebook import unload

    unload(shell)


def _register_models(module: Any) -> None:
    """Lets keras.saving.load_model know our layers and models as soon as both packages are imported."""
    for name in _REGISTERED_AFTER[1:]:
        half_imported = getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)
        if half_imported and name != module.__name__:
            return  # it is what imports Keras, and the models need it whole: its own import comes here at its end
    importlib.import_module("sostenuto.models")


_REGISTERED_AFTER = ("keras", "sostenuto.cells", "sostenuto.kernels", "sostenuto.layers", "sostenuto.sequences")
for _name in _REGISTERED_AFTER:
    wrapt.when_imported(_name)(_register_models)

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
    "Finding",
    "GRUCell",
    "IdError",
    "LSTMCell",
    "MemoryStore",
    "ModelError",
    "Predictions",
    "Report",
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
    "check",
    "convert",
    "explain",
    "trace",
    "watch",
]
