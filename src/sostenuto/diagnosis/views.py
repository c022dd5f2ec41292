"""What rules ask of layers and models of Keras, which they never import: names, kinds, order, where masks begin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sostenuto.diagnosis.seen import Seen


def kinds(thing: Any) -> set[str]:
    """The names of an object's class and of all classes above it."""
    return {kind.__name__ for kind in type(thing).__mro__}


def is_keras(thing: Any) -> bool:
    """Whether an object is of a class of Keras, or below one."""
    return any(kind.__module__.partition(".")[0] == "keras" for kind in type(thing).__mro__)


def is_ours(thing: Any) -> bool:
    """Whether an object is of a class of Sostenuto itself."""
    return type(thing).__module__.startswith("sostenuto")


def is_recurrent(layer: Any) -> bool:
    """Whether it is a recurrent layer of Keras: LSTM, GRU, SimpleRNN, RNN, or Bidirectional around one."""
    return is_keras(layer) and bool(kinds(layer) & {"RNN", "Bidirectional"})


def is_model(layer: Any) -> bool:
    """Whether it is a model of Keras."""
    return is_keras(layer) and "Model" in kinds(layer)


def title(layer: Any) -> str:
    """A layer's class and name."""
    name = getattr(layer, "name", "")
    return f"{type(layer).__name__} '{name}'" if isinstance(name, str) and name else type(layer).__name__


def state_names(layer: Any) -> tuple[str, ...]:
    """The states a recurrent layer returns with ``return_state=True``, in order, in words."""
    if "Bidirectional" in kinds(layer):
        one = state_names(layer.forward_layer)
        return (*(f"forward {name}" for name in one), *(f"backward {name}" for name in one))
    return ("hidden state h", "cell state c") if "LSTM" in kinds(layer) else ("hidden state h",)


def units(layer: Any) -> int | None:
    """The units of a recurrent layer, or None."""
    found = getattr(layer, "units", None)
    if found is None:
        found = getattr(getattr(layer, "forward_layer", None) or getattr(layer, "cell", None), "units", None)
    return found if isinstance(found, int) else None


def layers_of(model: Any) -> Iterator[Any]:
    """All layers of a model, those of models inside it too, in order."""
    for layer in getattr(model, "layers", ()):
        if is_model(layer):
            yield from layers_of(layer)
        else:
            yield layer


def recurrent_layers(model: Any) -> list[Any]:
    """All recurrent layers of a model, in order."""
    return [layer for layer in layers_of(model) if is_recurrent(layer)]


def stateful_layers(model: Any) -> list[Any]:
    """Its recurrent layers with ``stateful=True``."""
    return [
        layer
        for layer in recurrent_layers(model)
        if getattr(layer, "stateful", False) or getattr(getattr(layer, "forward_layer", None), "stateful", False)
    ]


def makes_mask(layer: Any) -> bool:
    """Whether a mask begins at a layer: Masking, or an Embedding with ``mask_zero=True``."""
    return "Masking" in kinds(layer) or ("Embedding" in kinds(layer) and bool(getattr(layer, "mask_zero", False)))


def first_layers(model: Any) -> list[Any]:
    """The layers that read the inputs of a Sequential or Functional model, in the order of the inputs.

    Empty where Keras does not say: a subclass of Model with a call of its own.
    """
    layers = [layer for layer in getattr(model, "layers", ()) if "InputLayer" not in kinds(layer)]
    if "Sequential" in kinds(model):
        return layers[:1]
    inputs = getattr(model, "inputs", None) or ()
    found = []
    for one in inputs:
        found += [layer for layer in layers if any(tensor is one for tensor in input_tensors(layer))]
    return found


def input_tensors(layer: Any) -> list[Any]:
    """The symbolic tensors a layer was called with, where it was called once; else an empty list."""
    return _tensors(layer, "input")


def output_tensors(layer: Any) -> list[Any]:
    """The symbolic tensors a layer returned, where it was called once; else an empty list."""
    return _tensors(layer, "output")


def _tensors(layer: Any, name: str) -> list[Any]:
    # Keras raises where a layer was called never or more than once.
    try:
        found = getattr(layer, name)
    except Exception:
        return []
    if isinstance(found, dict):
        return list(found.values())
    return list(found) if isinstance(found, list | tuple) else [found]


def before(model: Any, layer: Any) -> list[Any]:
    """The layers of a model that a layer reads, directly or through others, nearest first."""
    if "Sequential" in kinds(model):
        layers = list(model.layers)
        return layers[: layers.index(layer)][::-1] if layer in layers else []
    by_output = {id(tensor): one for one in getattr(model, "layers", ()) for tensor in output_tensors(one)}
    found: list[Any] = []
    waiting = input_tensors(layer)
    while waiting:
        one = by_output.get(id(waiting.pop(0)))
        if one is not None and one not in found and one is not layer:
            found.append(one)
            waiting += input_tensors(one)
    return found


def backend() -> str:
    """The backend Keras works on, or "" where Keras is not imported."""
    keras = sys.modules.get("keras")
    try:
        return str(keras.config.backend()) if keras is not None else ""
    except AttributeError:
        return ""


def source_of(layer: Any, seen: Seen) -> str:
    """The call that made a layer, as the user wrote it, or as one would write it."""
    written = seen.history(layer).source
    if written:
        return written
    size = units(layer) or getattr(layer, "filters", None) or ""
    return f"{type(layer).__name__}({size})"


def shape_words(shape: Any) -> str:
    """A shape with None for what is free, as Keras prints it: "(None, 10, 3)"."""
    return str(tuple(shape)) if shape is not None else "?"
