"""The native kernel: LSTM, GRU and SimpleRNN in C++, entered through the adapter of the backend in use."""

from __future__ import annotations

import importlib
from typing import Any, cast

import keras
from keras import ops

from sostenuto.cells import dropout_masks, equations_of, gru, lstm, weights_of
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
    what = Recurrence(_kind(cell), cell.units, request.reverse, all_outputs)
    inputs_mask, state_mask = dropout_masks(cell, sequences, states) if request.training else (None, None)
    if inputs_mask is not None and not isinstance(inputs_mask, list):
        sequences, inputs_mask = sequences * ops.expand_dims(inputs_mask, 1), None
    outputs, states = _adapter(request.backend).recurrence(
        what,
        sequences,
        weights_of(cell),
        states,
        mask=mask,
        recurrent_dropout=_side_by_side(state_mask),
        input_dropout=_side_by_side(inputs_mask),
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


def _side_by_side(dropout: Any) -> Any:
    # Keras draws a mask for each gate, in a list, with implementation=1 and wherever there is recurrent_dropout.
    return ops.concatenate(dropout, axis=1) if isinstance(dropout, list) else dropout


# Both in plain names: torch.compile traces caches and imports at every call, and warns of it. The first is the answer
# of native_module, once it was asked.
_absence: list[str | None] = []
_adapter_in_use = _import(keras.backend.backend()) if keras.backend.backend() in BACKENDS else None
