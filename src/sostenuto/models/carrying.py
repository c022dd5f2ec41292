"""The states that sequences carry through a model: which there are, what they start from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
from keras import ops, tree
from keras.src import backend as keras_backend

from sostenuto.layers import RNN, BatchContext, batch_context


@dataclass(frozen=True)
class StateSpec:
    """One state that every sequence carries.

    Attributes:
        layer: the name of the recurrent layer, unique in the model.
        state: the name of the state in the layer, for instance "h".
        size: U.
        dtype: the dtype that the layer computes it in.
    """

    layer: str
    state: str
    size: int
    dtype: str

    @property
    def variable_name(self) -> str:
        """A name that every backend takes for a variable."""
        return re.sub(r"\W", "_", f"{self.layer}_{self.state}")


@dataclass(frozen=True)
class Carried:
    """The states that sequences carry, in the order of the recurrent calls.

    Attributes:
        specs: the states.
        layers: the recurrent layer of each call.
        passed_by: recurrent layers whose states are not those of the sequences.
    """

    specs: tuple[StateSpec, ...]
    layers: tuple[Any, ...]
    passed_by: tuple[Any, ...]

    @cached_property
    def begins_at_zero(self) -> bool:
        """Whether every layer begins a sequence with zeros, now and after any training."""
        return all(_begins_at_zero(layer) for layer in self.layers)


def carried_states(inner: Any) -> Carried:
    """Asks a built model for its states, by following one batch through its layers without computing it."""
    declared = inner.inputs[0]
    context = BatchContext(declared_steps=declared.shape[1])
    shape = (1, declared.shape[1] or 2, *declared.shape[2:])
    with batch_context(context):
        keras_backend.compute_output_spec(inner, keras.KerasTensor(shape, dtype=declared.dtype))
    specs: list[StateSpec] = []
    for name, layer in zip(_names(context.layers), context.layers, strict=True):
        dtype = getattr(layer.cell, "compute_dtype", layer.compute_dtype)
        states = zip(layer.state_names, tree.flatten(layer.state_size), strict=True)
        specs += [StateSpec(name, state, int(size), dtype) for state, size in states]
    return Carried(tuple(specs), tuple(context.layers), tuple(context.passed_by))


def _names(layers: list[Any]) -> list[str]:
    distinct = {id(layer): layer for layer in layers}
    alike = Counter(layer.name for layer in distinct.values())
    seen: Counter[str] = Counter()
    names = []
    for layer in layers:
        # Even paths may be alike, as those of networks that were built alone and joined later.
        name = layer.name if alike[layer.name] == 1 else layer.path
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


def _begins_at_zero(layer: Any) -> bool:
    return type(layer).get_initial_state is RNN.get_initial_state and _cell_begins_at_zero(layer.cell)


def _cell_begins_at_zero(cell: Any) -> bool:
    if not hasattr(cell, "get_initial_state"):
        return True
    begin = type(cell).get_initial_state
    if begin is keras.layers.StackedRNNCells.get_initial_state:
        return all(map(_cell_begins_at_zero, cell.cells))
    known = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)
    return any(begin is kind.get_initial_state for kind in known)


@keras.saving.register_keras_serializable(package="sostenuto")
class LearnedStart(keras.layers.Layer):
    """The trained states that sequences start from, (U,) for each state of each recurrent layer."""

    def build_for(self, specs: Sequence[StateSpec]) -> None:
        """Makes the weights, zero at first."""
        self.vectors = []
        for spec in specs:
            self.vectors.append(self.add_weight(shape=(spec.size,), initializer="zeros", name=spec.variable_name))
        self.built = True

    def begin(self, own: list[Any], first: int) -> list[Any]:
        """The states (B, U) to start from in place of ``own``; ``first`` is the number of the first of them."""
        flat = tree.flatten(own)
        vectors = self.vectors[first : first + len(flat)]
        rows = [
            ops.broadcast_to(ops.cast(vector.value, state.dtype), ops.shape(state))
            for vector, state in zip(vectors, flat, strict=True)
        ]
        return tree.pack_sequence_as(own, rows)


class FirstStates:
    """What the recurrent layers of one batch start from, asked for in the order of their calls.

    Args:
        carried: the states (B, U) that the sequences arrive in, in the order of ``Carried.specs``; None where all
            sequences begin.
        fresh: (B, 1) which rows of ``carried`` are to be passed by, because they begin a sequence; None for none.
        start: the learned states of the model, None where sequences begin as the layers say.
    """

    def __init__(self, carried: Sequence[Any] | None, fresh: Any = None, start: LearnedStart | None = None) -> None:
        self._carried = carried
        self._fresh = fresh
        self._start = start
        self._first = 0

    def __call__(self, layer: Any, own: Callable[[], list[Any]]) -> list[Any]:
        sizes = list(layer.state_size) if isinstance(layer.state_size, list | tuple) else [layer.state_size]
        nested = any(isinstance(size, list | tuple) for size in sizes)
        first = self._first
        self._first += len(tree.flatten(sizes)) if nested else len(sizes)
        if self._carried is not None and self._fresh is None:
            states = list(self._carried[first : self._first])
            return tree.pack_sequence_as(sizes, states) if nested else states
        begun = own()
        if self._carried is None and layer.stateful:
            return begun  # a stateful layer goes on from what it keeps
        if self._start is not None:
            begun = self._start.begin(begun, first)
        if self._carried is None:
            return begun
        chosen = [
            ops.where(self._fresh, new, ops.cast(old, new.dtype))
            for new, old in zip(tree.flatten(begun), self._carried[first : self._first], strict=True)
        ]
        return tree.pack_sequence_as(begun, chosen)
