"""The native kernel: LSTM, GRU and SimpleRNN in C++, entered through the adapter of the backend in use."""

from __future__ import annotations

import importlib
from typing import Any, cast

import keras
from keras import ops

from sostenuto.cells import equations_of, gru, lstm, weights_of
from sostenuto.kernels import native_module
from sostenuto.kernels.contract import Adapter, Declined, Request, Result
from sostenuto.kernels.recurrence import Recurrence

name = "native"

BACKENDS = ("tensorflow", "jax", "torch")


def declines(request: Request) -> Declined | None:
    """Declines what the C++ does not compute, and calls that cannot leave their graph."""
    reason = _unknown_sums(request) or _missing(request.backend) or _adapter(request.backend).native_reason()
    return None if reason is None else Declined(reason)


def run(request: Request, sequences: Any, states: list[Any], mask: Any, *, all_outputs: bool) -> Result:
    """Runs the cell; masked steps are not even read."""
    cell = request.cell
    what = Recurrence(_kind(cell), cell.units, all_outputs=all_outputs)
    inputs_mask, state_mask = _dropout_masks(cell, sequences, states) if request.training else (None, None)
    if inputs_mask is not None:
        sequences = sequences * ops.expand_dims(inputs_mask, 1)
    outputs, states = _adapter(request.backend).recurrence(
        what, sequences, weights_of(cell), states, mask=mask, recurrent_dropout=state_mask
    )
    return Result(outputs if all_outputs else None, states[0], states)


def description(request: Request) -> str:
    """The instruction set and the threads that calls of this kind run on, for ``explain()``."""
    # Only the adapter of torch has an opinion about threads.
    module = getattr(_adapter(request.backend), "native", native_module.load)()
    threads = module.threads()
    return f"{module.target()}, {threads} thread{'s' * (threads != 1)}"


def _unknown_sums(request: Request) -> str | None:
    cell = request.cell
    if equations_of(cell) is None:
        return f"{type(cell).__name__} has a call() of its own"
    if request.dtype != "float32":
        return f"it computes in float32, not in {request.dtype}"
    if cell.activation is not keras.activations.tanh:
        return f"its activation is tanh, not {_name_of(cell.activation)}"
    if _kind(cell) != "simple_rnn" and cell.recurrent_activation is not keras.activations.sigmoid:
        return f"its recurrent activation is sigmoid, not {_name_of(cell.recurrent_activation)}"
    by_gate = getattr(cell, "dropout_mask_count", None) is not None
    if request.training and by_gate and (0 < cell.dropout < 1 or 0 < cell.recurrent_dropout < 1):
        return "each gate has a dropout mask of its own (implementation=1, or recurrent_dropout)"
    return None


def _kind(cell: Any) -> str:
    equations = equations_of(cell)
    if equations is lstm:
        return "lstm"
    if equations is gru:
        return "gru_reset_after" if cell.reset_after else "gru_reset_before"
    return "simple_rnn"


def _name_of(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)


def _missing(backend: str) -> str | None:
    if backend not in BACKENDS:
        return f"it has no adapter for the backend {backend!r}"
    if not _absence:
        _absence.append(native_module.why_not())
    return _absence[0]


def _adapter(backend: str) -> Adapter:
    return _adapter_in_use if _adapter_in_use and backend == keras.backend.backend() else _import(backend)


def _import(backend: str) -> Adapter:
    return cast(Adapter, importlib.import_module(f"sostenuto.kernels.adapters.{backend}"))


def _dropout_masks(cell: Any, sequences: Any, states: list[Any]) -> tuple[Any, Any]:
    # Drawn as the portable kernel draws them, so that both give the same numbers for the same seed.
    inputs = cell.get_dropout_mask(sequences[:, 0, :]) if cell.dropout < 1 else None
    state = cell.get_recurrent_dropout_mask(states[0]) if cell.recurrent_dropout < 1 else None
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    return inputs, state


# Both in plain names: torch.compile traces caches and imports at every call, and warns of it. The first is the answer
# of native_module, once it was asked.
_absence: list[str | None] = []
_adapter_in_use = _import(keras.backend.backend()) if keras.backend.backend() in BACKENDS else None
