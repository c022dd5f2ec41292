"""An encoder whose states nobody uses: its decoder starts at zero, and the encoder is never trained."""

from __future__ import annotations

import ast
import weakref
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall, ModelCall
from sostenuto.diagnosis.rules.state_source import unread, value_under_way
from sostenuto.diagnosis.rules.state_views import (
    given_states,
    is_cell,
    keeps_known_states,
    names_of_states,
    own_call,
    place_here,
    rebuilds,
    returns_state,
    short_names,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import is_recurrent, kinds, layers_of, title

SO330 = rule(
    "SO330",
    "The states of an encoder reach no output of the model",
    """Keras builds a model with an input that nothing depends on, without a word. In an encoder and decoder that is
    what happens where the decoder is not started from the encoder's states: the encoder is not part of the model, is
    not trained, and its data changes nothing.""",
    """Hand the states on: decoder(x, initial_state=[h, c]); or leave the input out.""",
    example="""
import numpy as np, keras
asked, told = keras.Input((5, 3)), keras.Input((4, 3))
_, h, c = keras.layers.LSTM(6, return_state=True)(asked)
decoded = keras.layers.LSTM(6, return_sequences=True)(told)
model = keras.Model([asked, told], decoded)
model.predict([np.ones((2, 5, 3)), np.ones((2, 4, 3))], verbose=0)
""",
    repaired="""
import numpy as np, keras
asked, told = keras.Input((5, 3)), keras.Input((4, 3))
_, h, c = keras.layers.LSTM(6, return_state=True)(asked)
decoded = keras.layers.LSTM(6, return_sequences=True)(told, initial_state=[h, c])
model = keras.Model([asked, told], decoded)
model.predict([np.ones((2, 5, 3)), np.ones((2, 4, 3))], verbose=0)
""",
)


@SO330.on(LayerCall)
def encoded(event: LayerCall, seen: Seen) -> Evidence | None:
    """Remembers encoders that nobody reads, and looks for the decoder behind one in a model of the user's own."""
    layer = event.layer
    if not keeps_known_states(layer) or is_cell(layer) or not own_call(event) or rebuilds(event):
        return None
    place = place_here(event, seen)
    if place is None:
        return None
    encoders = seen.notes["encoders"]
    if returns_state(layer) and given_states(event) is None:
        found = value_under_way(place)
        names = _names(found[1].elts) if found is not None else []
        if names and unread(place, names) and id(layer) not in encoders:
            encoders[id(layer)] = title(layer), place.bare(), names_of_states(layer)
            if event.symbolic:
                seen.mark(event.inputs, encoder=id(layer))
            return None
    if event.symbolic or given_states(event) is not None or place.function in ("<module>", ""):
        return None
    for number, (name, where, states) in encoders.items():
        same = (where.file, where.function) == (place.file, place.function) and where.line < place.line
        if same and number != id(layer) and names_of_states(layer) == states:
            return _evidence(name, title(layer), where, place, states, f"{name} in {place.function}: ")
    return None


def _names(targets: list[ast.expr]) -> list[str]:
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


@SO330.on(ModelCall)
def reaches_nothing(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for inputs and encoders of a Functional model that its outputs do not depend on."""
    model = event.model
    if "Functional" not in kinds(model) or "Sequential" in kinds(model) or event.within is not None:
        return None
    outputs, inputs = list(getattr(model, "outputs", None) or ()), list(getattr(model, "inputs", None) or ())
    reached = _reached(outputs)
    if reached is None or id(model) in seen.notes["reached"]:
        return None
    seen.notes["reached"][id(model)] = True
    layers = {id(one) for one in layers_of(model)}
    for tensor in inputs:
        number = _encoder_of(tensor, seen)
        if number is not None and number in seen.notes["encoders"] and number not in layers:
            name, where, states = seen.notes["encoders"][number]
            decoder = _decoder(model, states)
            got = "" if id(tensor) in reached else f"input '{getattr(tensor, 'name', '')}' {tuple(tensor.shape)}: "
            if decoder is not None:
                place = seen.notes["state calls"].get(id(decoder))
                return _evidence(name, title(decoder), where, place, states, got)
    unread_inputs = [one for one in inputs if id(one) not in reached]
    if not unread_inputs or len(unread_inputs) == len(inputs):
        return None
    first = unread_inputs[0]
    name = getattr(first, "name", "")
    return Evidence(
        title=f"Input '{name}' of {event.name.partition('.')[0]} reaches none of its outputs.",
        got=f"input '{name}' {tuple(first.shape)}: no output of the model depends on it",
        wanted="outputs that depend on every input",
        cause="Nothing in the model depends on this input, so its data changes nothing, and Keras says no word. Layers "
        "that read it are\nno part of the model and are not trained.",
        fix=f"leave input '{name}' out of keras.Model(inputs=...), or use it: states as initial_state",
        boundary=(f"input '{name}'", title(model)),
    )


def _encoder_of(tensor: Any, seen: Seen) -> int | None:
    # The encoder that reads an input, directly or behind an Embedding or a Masking.
    waiting, known = [tensor], 0
    while waiting and known < 50:
        one = waiting.pop()
        known += 1
        number = seen.marks(one).get("encoder")
        if isinstance(number, int):
            return number
        follower = seen.marks(one).get("followed by")
        waiting += [follower()] if callable(follower) and follower() is not None else []
    return None


@SO330.on(LayerCall)
def followed(event: LayerCall, seen: Seen) -> None:
    """Remembers which tensor an Embedding, a Masking or a Dropout made of another."""
    tensors = hasattr(event.output, "shape") and hasattr(event.inputs, "shape")
    if event.symbolic and event.outer is None and kinds(event.layer) & {"Embedding", "Masking", "Dropout"} and tensors:
        seen.mark(event.inputs, **{"followed by": weakref.ref(event.output)})


def _reached(outputs: list[Any]) -> set[int] | None:
    # The symbolic tensors that outputs depend on; None where Keras does not say.
    found: set[int] = set()
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in found:
            continue
        found.add(id(tensor))
        parents = parents_of(tensor)
        if parents is None:
            return None
        waiting += parents
    return found


def parents_of(tensor: Any) -> list[Any] | None:
    """The symbolic tensors that one was computed from, none for an Input; None where Keras does not say.

    Args:
        tensor: of a Functional model.
    """
    try:
        operation, node, _ = tensor._keras_history
        return list(operation._inbound_nodes[node].input_tensors)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


def _decoder(model: Any, states: tuple[str, ...]) -> Any:
    # A recurrent layer of the model that starts at zero, and could have started from these states.
    for layer in layers_of(model):
        if is_recurrent(layer) and names_of_states(layer) == states and not _is_started(layer):
            return layer
    return None


def _is_started(layer: Any) -> bool:
    nodes = getattr(layer, "_inbound_nodes", None) or ()
    return any(len(tuple(getattr(node, "input_tensors", None) or ())) > 1 for node in nodes)


def _them(states: tuple[str, ...]) -> str:
    return "them" if len(states) > 1 else "it"


def _evidence(
    encoder: str, decoder: str, where: Place, place: Place | None, states: tuple[str, ...], got: str
) -> Evidence:
    letters = short_names(states)
    statement = where.statement()
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple | ast.List):
        written = [one.id for one in statement.targets[0].elts[1:] if isinstance(one, ast.Name)]
        if len(written) == len(letters) and not any(one.startswith("_") for one in written):
            letters = written
    expression = place.expression if place is not None else ""
    return Evidence(
        title=f"The states of {encoder} are never used: {decoder} starts at zero.",
        got=f"{got}{encoder} returns {', '.join(states)}, and nothing reads {_them(states)};\n"
        f"{decoder} is called without initial_state",
        wanted=f"initial_state=[{', '.join(letters)}] at the call of {decoder}",
        cause=f"The decoder does not start from the encoder's states, so no output depends on the encoder: {encoder} "
        "is no part of\nthe result, gets no gradient and is not trained, and what it reads changes nothing.",
        fix=with_keyword(expression or "decoder(x)", "initial_state", f"[{', '.join(letters)}]"),
        place=place or where,
        boundary=(encoder, decoder),
    )
