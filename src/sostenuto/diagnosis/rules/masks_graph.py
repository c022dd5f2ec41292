"""The way of data through the layers of a model: what a layer reads, and what stands between it and the inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.rules.output_views import returns_sequences
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_model, is_recurrent, kinds, makes_mask, recurrent_layers

# Layers that read the steps of a batch, and would leave masked ones out.
READERS = {
    "RNN",
    "Bidirectional",
    "Attention",
    "AdditiveAttention",
    "MultiHeadAttention",
    "GroupedQueryAttention",
    "GlobalAveragePooling1D",
}

# Layers behind which there are no steps any more, or others than those of the input.
_ENDS = {
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Flatten",
    "RepeatVector",
    "Dot",
    "InputLayer",
}


@dataclass(frozen=True)
class Way:
    """How data comes to a layer.

    Attributes:
        inputs: the numbers of the inputs it comes from; None where only the model's own ``call`` knows.
        passed: layers and functions between, nearest first.
    """

    inputs: frozenset[int] | None
    passed: tuple[Any, ...] = ()

    def reads(self, index: int) -> bool:
        """Whether the input of a number comes this way, as far as is known."""
        return self.inputs is None or index in self.inputs


def way_to(model: Any, layer: Any) -> Way:
    """The way to a layer of a model."""
    layers = list(getattr(model, "layers", ()))
    if "Sequential" in kinds(model) and layer in layers:
        before = [one for one in layers[: layers.index(layer)][::-1] if "InputLayer" not in kinds(one)]
        kept = tuple(itertools.takewhile(lambda one: not _ends(one), before))
        # Behind a layer that gives up the steps there are none of the input.
        return Way(frozenset((0,) if len(kept) == len(before) else ()), kept)
    tensors = list(getattr(model, "inputs", None) or ())
    if not tensors or layer not in layers:
        return Way(None)
    found: set[int] = set()
    passed: list[Any] = []
    for tensor in _read(layer):
        inputs, steps = _back(tensor, tensors)
        found |= inputs
        passed += [one for one in steps if one not in passed]
    return Way(frozenset(found), tuple(passed))


def _ends(layer: Any) -> bool:
    return bool(kinds(layer) & _ENDS) or (is_recurrent(layer) and not returns_sequences(layer))


def _nodes(layer: Any) -> list[Any]:
    # Where Keras keeps its graph some other way, nothing is known of the way.
    nodes = getattr(layer, "_inbound_nodes", None)
    return list(nodes) if isinstance(nodes, list | tuple) else []


def _read(layer: Any) -> list[Any]:
    # A recurrent layer reads its sequence first; the rest are its states.
    found = []
    for node in _nodes(layer):
        tensors = list(getattr(node, "input_tensors", ()))
        found += tensors[:1] if is_recurrent(layer) else tensors
    return found


def producer(tensor: Any) -> tuple[Any, list[Any]] | None:
    """The layer or function that made a symbolic tensor, and what it read; None where that is not known."""
    try:
        operation, number, _ = tensor._keras_history
        return operation, list(operation._inbound_nodes[number].input_tensors)
    except (AttributeError, TypeError, ValueError, IndexError):
        return None


def _back(tensor: Any, inputs: list[Any]) -> tuple[set[int], list[Any]]:
    found: set[int] = set()
    passed: list[Any] = []
    known: set[int] = set()
    waiting = [tensor]
    while waiting and len(known) < 500:
        one = waiting.pop(0)
        if id(one) in known:
            continue
        known.add(id(one))
        number = next((index for index, other in enumerate(inputs) if other is one), None)
        if number is not None:
            found.add(number)
            continue
        made = producer(one)
        if made is None or _ends(made[0]):
            continue
        passed.append(made[0])
        waiting += made[1][:1] if is_recurrent(made[0]) else made[1]
    return found, passed


def all_layers(model: Any) -> list[Any]:
    """All layers of a model, those inside of other layers too."""
    found = []
    for layer in getattr(model, "layers", ()):
        found.append(layer)
        inner = getattr(layer, "layer", None)
        found += [inner] if inner is not None and not is_recurrent(layer) else []
        found += all_layers(layer) if is_model(layer) else []
    return found


def attribute(owner: Any, name: str) -> Any:
    """What an object keeps under a name, None where it keeps nothing; no property is run."""
    kept = getattr(owner, "__dict__", {})
    # Layers on torch are modules, which keep modules apart.
    return kept[name] if name in kept else (kept.get("_modules") or {}).get(name)


def functions_in(model: Any) -> list[Any]:
    """The functions on tensors that a Functional model holds beside its layers: ``x * 2``, ``x[:, -1]``,
    ``ops.mean``; without those that layers make their masks of."""
    operations = getattr(model, "operations", None)
    if not isinstance(operations, list | tuple):
        return []
    made = {id(one) for layer in getattr(model, "layers", ()) if makes_mask(layer) for one in _of_its_mask(layer)}
    return [one for one in operations if "Layer" not in kinds(one) and id(one) not in made]


def _of_its_mask(layer: Any) -> Iterator[Any]:
    read = [id(tensor) for tensor in _read(layer)]
    for node in _nodes(layer):
        for tensor in getattr(node, "outputs", ()):
            mask = getattr(tensor, "_keras_mask", None)
            # any(not_equal(inputs, 0)), back to what the layer reads.
            while mask is not None and id(mask) not in read and (made := producer(mask)) is not None and made[1]:
                yield made[0]
                mask = made[1][0]


def got_mask(layer: Any, seen: Seen) -> bool:
    """Whether a mask came to a layer in any call that was seen."""
    return any(seen.history(layer).masked)


def masks_on(way: Way) -> list[Any]:
    """The layers on a way where a mask begins."""
    return [one for one in way.passed if makes_mask(one)]


def unmasked_readers(model: Any, index: int, seen: Seen) -> Iterator[tuple[Any, Way]]:
    """The recurrent layers that read an input of a model and got no mask, with their ways, first ones first."""
    for layer in recurrent_layers(model):
        way = way_to(model, layer)
        if way.reads(index) and not got_mask(layer, seen):
            yield layer, way


def late_mask(model: Any, index: int) -> tuple[Any, Any] | None:
    """A Masking layer that reads what another layer has made of an input, and that layer; None where there is none.

    Args:
        model: of Keras.
        index: of the input.
    """
    for layer in getattr(model, "layers", ()):
        if "Masking" not in kinds(layer):
            continue
        way = way_to(model, layer)
        if way.inputs is None or index not in way.inputs:
            continue
        moving = next((one for one in reversed(way.passed) if moves_zeros(one)), None)
        if moving is not None:
            return layer, moving
    return None


def moves_zeros(layer: Any) -> bool:
    """Whether a layer makes something else than 0 of steps that are 0."""
    inner = layer.layer if "TimeDistributed" in kinds(layer) else layer
    names = kinds(inner)
    if names & {"Dense", "EinsumDense", "BaseConv"}:
        return bool(getattr(inner, "use_bias", True))
    if "Rescaling" in names:
        return bool(np.any(np.asarray(inner.offset) != 0))
    return bool(
        names & {"RNN", "Bidirectional", "Embedding", "BatchNormalization", "LayerNormalization", "Normalization"}
    )
