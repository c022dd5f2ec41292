"""What rules about states ask: which states a call was given, which it returned, and what those tensors are."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_keras, is_model, is_recurrent, kinds, state_names, title, units

# A recurrent layer's second argument is its initial state, a cell's its states.
_NAMES = ("initial_state", "states", "argument 1")


@dataclass(frozen=True)
class Origin:
    """Where a tensor came from, if a recurrent layer returned it.

    Attributes:
        layer: the layer, in words.
        index: which of its outputs: 0 the output itself, then the states.
        state: the name of the state, "" for the output.
        place: of the call that returned it, without its variables.
        sequence: whether it is an output at every step.
    """

    layer: str
    index: int
    state: str
    place: Place | None
    sequence: bool = False


def is_cell(layer: Any) -> bool:
    """Whether it is a cell of Keras: one step of a recurrent layer."""
    return is_keras(layer) and bool(kinds(layer) & {"LSTMCell", "GRUCell", "SimpleRNNCell"})


def names_of_states(layer: Any) -> tuple[str, ...]:
    """The states of a recurrent layer or cell, in their order, in words."""
    if is_cell(layer):
        return ("hidden state h", "cell state c") if "LSTMCell" in kinds(layer) else ("hidden state h",)
    return state_names(layer)


def keeps_known_states(layer: Any) -> bool:
    """Whether the states of a layer or cell are known: LSTM, GRU, SimpleRNN, their cells, Bidirectional."""
    if is_cell(layer):
        return True
    inner = getattr(layer, "forward_layer", layer)
    return is_recurrent(layer) and bool(kinds(inner) & {"LSTM", "GRU", "SimpleRNN"})


def given_states(call: LayerCall) -> list[Any] | None:
    """The states that a call was given, one by one; None where it was given none."""
    found = next((call.options[name] for name in _NAMES if call.options.get(name) is not None), None)
    if found is None:
        return None
    return list(found) if isinstance(found, list | tuple) else [found]


def own_call(call: LayerCall) -> bool:
    """Whether the user wrote the call, or a model of the user's runs the layer: not a layer that runs its cell."""
    return call.outer is None or is_model(call.outer.layer) or not is_keras(call.outer.layer)


def calls_with_states(failure: Failure) -> list[LayerCall]:
    """The calls given states that an exception went through, innermost first, cells within layers left out."""
    layers = [call for call in failure.calls if isinstance(call, LayerCall) and keeps_known_states(call.layer)]
    return [call for call in layers if given_states(call) is not None and not _inside_of_layer(call)]


def _inside_of_layer(call: LayerCall) -> bool:
    return call.outer is not None and is_recurrent(call.outer.layer)


def mark_returned(call: LayerCall, seen: Seen) -> None:
    """Remembers of the tensors that a call returned which of its outputs they are."""
    outputs = call.output if isinstance(call.output, list | tuple) else [call.output]
    place = call.place.bare() if call.place is not None else None
    names = names_of_states(call.layer)
    sequences = bool(getattr(call.layer, "return_sequences", False))
    for index, one in enumerate(outputs):
        if hasattr(one, "shape") and index <= len(names):
            origin = Origin(title(call.layer), index, names[index - 1] if index else "", place, sequences and not index)
            seen.mark(one, origin=origin)


def origin_of(tensor: Any, seen: Seen) -> Origin | None:
    """Where a tensor came from; None where no recurrent layer that was watched returned it as it is."""
    found = seen.marks(tensor).get("origin")
    return found if isinstance(found, Origin) else None


def size(tensor: Any, axis: int) -> int | None:
    """The length of an axis; None where it is open or unknown."""
    try:
        found = tuple(tensor.shape)[axis]
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    return found if isinstance(found, int) else None


def unpacking(place: Place | None) -> tuple[ast.Assign, ast.Tuple | ast.List] | None:
    """The assignment to several names around a place, and its names; None where it is no such statement."""
    statement = place.statement() if place is not None else None
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    return (statement, target) if isinstance(target, ast.Tuple | ast.List) else None


def names_in(target: ast.Tuple | ast.List) -> list[str]:
    """The names that are assigned to, "" for what is no name."""
    return [one.id if isinstance(one, ast.Name) else "" for one in target.elts]


def units_of(layer: Any) -> int | None:
    """The units of a recurrent layer or cell."""
    return units(layer)
