"""What a model tells the recurrent layers inside it, however deep they are nested: masks, states, the order of outputs.

Keras hands a layer its inputs and nothing else. A model of sequences knows more: which steps are real, and in which
state each sequence arrives. It opens a context around the call of its layers, and they look there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

_batch: ContextVar[BatchContext | None] = ContextVar("batch", default=None)
_time_order: ContextVar[bool] = ContextVar("time_order", default=False)


@dataclass
class BatchContext:
    """What holds for one batch.

    Attributes:
        mask: (B, T) boolean, or None where every step is real.
        declared_steps: T as the model's input declares it, None where it is left open. A layer that was built with
            another declared T, as behind a RepeatVector, reads other steps than those of the batch and is passed by.
        first_states: takes a recurrent layer, in the order of the calls, and a function that makes the states it would
            start from; returns those to start from. None leaves them.
        carries: whether ``first_states`` carries the states of sequences; what stateful layers keep rests meanwhile.
        layers: the layers of the recurrent calls so far.
        states: the states that these calls ended in.
        passed_by: recurrent layers that took their states from elsewhere in the model, or read other steps.
    """

    mask: Any = None
    declared_steps: int | None = None
    first_states: Callable[[Any, Callable[[], list[Any]]], list[Any]] | None = None
    carries: bool = False
    layers: list[Any] = field(default_factory=list)
    states: list[list[Any]] = field(default_factory=list)
    passed_by: list[Any] = field(default_factory=list)

    def begin(self, layer: Any, own: Callable[[], list[Any]]) -> list[Any]:
        """The states that a layer starts from; ``own`` makes those it would take by itself."""
        self.layers.append(layer)
        return own() if self.first_states is None else self.first_states(layer, own)


@contextmanager
def batch_context(context: BatchContext) -> Iterator[BatchContext]:
    """Lets the recurrent layers called inside know what holds for their batch."""
    token = _batch.set(context)
    try:
        yield context
    finally:
        _batch.reset(token)


def batch_now(declared_steps: int | None) -> BatchContext | None:
    """The context of the batch that a layer with these declared steps reads, or None."""
    context = _batch.get()
    return context if context is not None and context.declared_steps == declared_steps else None


def pass_by(layer: Any) -> None:
    """Notes a recurrent layer whose states are not those of the batch's sequences."""
    context = _batch.get()
    if context is not None:
        context.passed_by.append(layer)


@contextmanager
def outputs_in_time_order() -> Iterator[None]:
    """Lets a layer with go_backwards return its outputs in the order of time, as Bidirectional joins them."""
    token = _time_order.set(True)
    try:
        yield
    finally:
        _time_order.reset(token)


def in_time_order() -> bool:
    """Whether ``outputs_in_time_order`` is open."""
    return _time_order.get()
