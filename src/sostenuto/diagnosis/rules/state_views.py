"""What rules about states ask: which states a call was given, which it returned, and what those tensors are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, place_now, places_of
from sostenuto.diagnosis.views import is_keras, is_model, is_recurrent, kinds, title, units

# A recurrent layer's second argument is its initial state, a cell's its states.
_NAMES = ("initial_state", "states", "argument 1")

_VERBS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")

_CELLS = {"LSTMCell", "GRUCell", "SimpleRNNCell"}

_LETTER = re.compile(r"state ([hc])\b")

H, C = "hidden state h", "cell state c"


@dataclass(frozen=True)
class Origin:
    """Where a tensor came from, if a recurrent layer returned it.

    Attributes:
        layer: the layer, in words.
        index: which of its outputs: 0 the output itself, then the states.
        state: the name of the state, "" for the output.
        place: of the call that returned it, without its variables.
        sequence: whether it is an output at every step.
        number: of the layer that returned it.
        joined: where it was concatenated of several: their origins.
        states: how many states the layer returned.
    """

    layer: str
    index: int
    state: str
    place: Place | None
    sequence: bool = False
    number: int = 0
    joined: tuple[Origin, ...] = field(default=())
    states: int = 0

    @property
    def letter(self) -> str:
        """ "h" or "c"; "" for an output, and for what is joined of both."""
        if self.joined:
            letters = {one.letter for one in self.joined}
            return letters.pop() if len(letters) == 1 else ""
        found = _LETTER.search(self.state)
        return found[1] if found else ""


# --- layers ----------------------------------------------------------------------------------------------------------


def is_cell(layer: Any) -> bool:
    """Whether it is a cell of Keras: one step of a recurrent layer."""
    return is_keras(layer) and bool(kinds(layer) & _CELLS)


def _cells(layer: Any) -> list[Any] | None:
    # The cells of a layer made with keras.layers.RNN; None where one of them is not known.
    cell = getattr(layer, "cell", None)
    cells = list(getattr(cell, "cells", None) or [cell])
    return cells if all(is_cell(one) for one in cells) else None


def is_stacked(layer: Any) -> bool:
    """Whether a layer runs several cells one above the other."""
    return "StackedRNNCells" in kinds(getattr(layer, "cell", layer))


def names_of_states(layer: Any) -> tuple[str, ...]:
    """The states of a recurrent layer or cell, in their order, in words."""
    if is_cell(layer):
        return (H, C) if "LSTMCell" in kinds(layer) else (H,)
    inner = getattr(layer, "forward_layer", None)
    if inner is not None:
        one = names_of_states(inner)
        return (*(f"forward {name}" for name in one), *(f"backward {name}" for name in one))
    cells = _cells(layer) or []
    if is_stacked(layer):
        return tuple(
            f"{name} of cell {number}" for number, cell in enumerate(cells, 1) for name in names_of_states(cell)
        )
    if kinds(layer) & {"LSTM", "GRU", "SimpleRNN"} or not cells:
        return (H, C) if "LSTM" in kinds(layer) else (H,)
    return names_of_states(cells[0])


def widths(layer: Any) -> tuple[int | None, ...]:
    """The units of each of a layer's states, in their order."""
    if is_stacked(layer):
        return tuple(units(cell) for cell in _cells(layer) or [] for _ in names_of_states(cell))
    return (units(layer),) * len(names_of_states(layer))


def keeps_known_states(layer: Any) -> bool:
    """Whether it is a layer or cell whose states are known: LSTM, GRU, SimpleRNN, RNN of their cells, Bidirectional."""
    if is_cell(layer):
        return True
    if not is_recurrent(layer):
        return False
    inner = getattr(layer, "forward_layer", layer)
    return bool(kinds(inner) & {"LSTM", "GRU", "SimpleRNN"}) or _cells(inner) is not None


def is_lstm(layer: Any) -> bool:
    """Whether a layer keeps a cell state."""
    return any(C in name for name in names_of_states(layer))


def returns_state(layer: Any) -> bool:
    """Whether a layer returns its states beside its output."""
    return is_cell(layer) or bool(getattr(layer, "return_state", False))


def returned_number(layer: Any) -> int:
    """How many parts a layer returns: a cell its output and one list, a stack of cells one part for each cell."""
    if is_cell(layer):
        return 2
    if not returns_state(layer):
        return 1
    return 1 + (len(_cells(layer) or []) if is_stacked(layer) else len(names_of_states(layer)))


def units_of(layer: Any) -> int | None:
    """The units of a recurrent layer or cell."""
    return units(layer)


# --- calls -----------------------------------------------------------------------------------------------------------


def raw_states(call: LayerCall) -> Any:
    """What a call was given as its states, as it was given; None where there was nothing."""
    # Of Keras's own only cells know the name "states": elsewhere it is an argument that Keras refuses.
    names = [name for name in _NAMES if name != "states" or is_cell(call.layer) or not is_keras_own(call.layer)]
    return next((call.options[name] for name in names if call.options.get(name) is not None), None)


def given_states(call: LayerCall) -> list[Any] | None:
    """The states that a call was given, one by one; None where it was given none, or a dict."""
    found = raw_states(call)
    if found is None or isinstance(found, dict | bool | str):
        return None
    return list(flat(found)) if isinstance(found, list | tuple) else [found]


def flat(value: Any) -> Iterator[Any]:
    """The leaves of nested lists and tuples."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from flat(one)
    else:
        yield value


def own_call(call: LayerCall) -> bool:
    """Whether the user wrote the call, or a model of the user's runs the layer: not a layer that runs its cell."""
    return call.outer is None or is_model(call.outer.layer) or not is_keras_own(call.outer.layer)


def is_keras_own(layer: Any) -> bool:
    """Whether a layer is of a class of Keras itself, or of ours: none that the user wrote."""
    return type(layer).__module__.partition(".")[0] in ("keras", "sostenuto")


def rebuilds(call: LayerCall) -> bool:
    """Whether a Functional or Sequential model runs the layer, so that the user's line is where it was put together."""
    return call.outer is not None and is_keras_own(call.outer.layer)


def calls_with_states(failure: Failure) -> list[LayerCall]:
    """The calls an exception went through that were given states, innermost first; cells within layers left out."""
    layers = [call for call in failure.calls if isinstance(call, LayerCall) and keeps_known_states(call.layer)]
    return [call for call in layers if given_states(call) is not None and not inside_of_layer(call)]


def inside_of_layer(call: LayerCall) -> bool:
    """Whether a recurrent layer, or a stack of cells, made the call."""
    return call.outer is not None and (is_recurrent(call.outer.layer) or is_stacked(call.outer.layer))


def place_here(event: LayerCall, seen: Seen) -> Place | None:
    """The line of the user's that calls a layer, while the call is considered.

    Args:
        event: the call that was just seen.
        seen: remembers where a Functional model was put together.
    """
    if rebuilds(event) or _within_verb(event.place, event.outer):
        return noted_place(event.layer, seen) or event.place
    return event.place if event.outer is None else place_now() or event.place


def _within_verb(place: Place | None, outer: LayerCall | None) -> bool:
    # Some backends run the layers of a Functional model within fit and predict without calling the model.
    node = place.node() if place is not None and outer is None else None
    return isinstance(node, ast.Call) and called(node) in _VERBS


def note_place(event: LayerCall, seen: Seen) -> None:
    """Remembers the line that called a layer while a Functional model was put together."""
    if event.symbolic and event.outer is None and event.place is not None:
        seen.notes["state calls"][id(event.layer)] = event.place.bare()


def noted_place(layer: Any, seen: Seen) -> Place | None:
    """The line that called a layer while a Functional model was put together; None where none was seen."""
    found = seen.notes["state calls"].get(id(layer))
    return found if isinstance(found, Place) else None


def place_in(failure: Failure, call: LayerCall, seen: Seen) -> Place | None:
    """The line of the user's that calls a layer, for a call that an exception went through."""
    if rebuilds(call) or _within_verb(call.place, call.outer):
        return noted_place(call.layer, seen) or _within_call(failure) or failure.place
    return call.place if call.outer is None else _within_call(failure) or failure.place


def _within_call(failure: Failure) -> Place | None:
    # Keras builds a model before it fits it, and raises anew what that raised: the user's line is with the first error.
    error: BaseException | None = failure.error
    for _ in range(5):
        places = places_of(error.__traceback__) if error is not None else []
        node = places[-1].node() if places else None
        if isinstance(node, ast.Call) and called(node) not in _VERBS:
            return places[-1]
        error = (error.__cause__ or error.__context__) if error is not None else None
    return None


# --- tensors ---------------------------------------------------------------------------------------------------------


def mark_returned(call: LayerCall, place: Place | None, seen: Seen) -> None:
    """Remembers of the tensors that a call returned which of its outputs they are."""
    outputs = list(flat(call.output))
    bare = place.bare() if place is not None else None
    names = names_of_states(call.layer)
    inner = getattr(call.layer, "forward_layer", None) or call.layer
    sequences = bool(getattr(inner, "return_sequences", False))
    for index, one in enumerate(outputs):
        if hasattr(one, "shape") and index <= len(names):
            name = names[index - 1] if index else ""
            origin = Origin(
                title(call.layer), index, name, bare, sequences and not index, id(call.layer), states=len(names)
            )
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


def rank(tensor: Any) -> int | None:
    """The number of axes; None for what has no shape."""
    try:
        return len(tensor.shape)
    except (AttributeError, TypeError, ValueError):
        return None


def a(word: str) -> str:
    """A word with its article: "an LSTM", "a GRU"."""
    return f"{'an' if word[:1] in 'AEIOUaeio' or word.startswith('LSTM') else 'a'} {word}"


def short_names(names: tuple[str, ...]) -> list[str]:
    """Names for variables: ["h", "c"], ["forward_h", "backward_h"], ["h_1", "c_1"]."""
    found = []
    for one in names:
        words = one.split()
        if words[0] in ("forward", "backward"):
            found.append(f"{words[0]}_{words[-1]}")
        elif "cell" in words[-2:-1]:
            found.append(f"{words[2]}_{words[-1]}")
        else:
            found.append(words[-1])
    return found
