"""States that are computed and never handed on."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.container_views import shape_in
from sostenuto.diagnosis.rules.state_views import given_states, is_cell, keeps_known_states, own_call, size
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import input_tensors, is_model, kinds, title

SO329 = rule(
    "SO329",
    "Every turn of a loop starts from the same state, and the new state is thrown away",
    """Decoding step by step, each step has to start from the state that the step before returned. If the loop passes
    the same state in every turn, every step is a first step: the result depends on the last token alone.""",
    """Assign what the call returns to the names that the next turn passes: output, h, c = decoder(token,
    initial_state=[h, c]).""",
    example="""
import numpy as np, keras
token = np.random.default_rng(0).random((1, 1, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
_, h, c = lstm(np.ones((1, 5, 3), "float32"))
for step in range(5):
    output, new_h, new_c = lstm(token + step, initial_state=[h, c])
""",
    repaired="""
import numpy as np, keras
token = np.random.default_rng(0).random((1, 1, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
_, h, c = lstm(np.ones((1, 5, 3), "float32"))
for step in range(5):
    output, h, c = lstm(token + step, initial_state=[h, c])
""",
)

SO330 = rule(
    "SO330",
    "An input of the model reaches none of its outputs",
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

# So many turns with one state are no accident.
_TURNS = 3


@dataclass
class _Turns:
    state: tuple[Any, ...] = ()
    inputs: set[Any] = field(default_factory=set)
    count: int = 0


# --- the same state in every turn ------------------------------------------------------------------------------------


@SO329.on(LayerCall)
def started_anew(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a layer or model that is called step by step, each time with the first state."""
    if event.symbolic or event.outer is not None or event.place is None:
        return None
    if keeps_known_states(event.layer):
        states = given_states(event)
        step = is_cell(event.layer) or size(event.inputs, 1) == 1
        returns = is_cell(event.layer) or bool(getattr(event.layer, "return_state", False))
        if states is None or not step or not returns:
            return None
        return _turn(event.layer, event.place, event.inputs, states, seen)
    if is_model(event.layer):
        return _of_model(event.layer, event.inputs, event.output, event.place, seen)
    return None


@SO329.on(ModelCalled)
def predicted_anew(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for predict in a loop, each time with the first state."""
    if not event.verb.startswith("predict") or event.place is None:
        return None
    return _of_model(event.model, event.x, event.result, event.place, seen)


def _of_model(model: Any, x: Any, output: Any, place: Place, seen: Seen) -> Evidence | None:
    # A decoder made for inference: [token, h, c] in, [output, h, c] out.
    if not isinstance(x, list | tuple) or not isinstance(output, list | tuple) or len(x) < 2 or len(output) < 2:
        return None
    states = list(x[1:])
    shapes = [shape_in(one) for one in states]
    if [shape_in(one) for one in output[1:]] != shapes or any(one is None or len(one) != 2 for one in shapes):
        return None
    return _turn(model, place, x[0], states, seen)


def _turn(layer: Any, place: Place, inputs: Any, states: list[Any], seen: Seen) -> Evidence | None:
    known = seen.notes["decoding"].setdefault((id(layer), place.file, place.line), _Turns())
    state = tuple(_print(one) for one in states)
    if state != known.state:
        known.state, known.count, known.inputs = state, 0, set()
    known.count += 1
    known.inputs.add(_print(inputs))
    loop = _loop(place)
    # Different inputs: the loop goes on in its sequence; the same one may be asked again and again.
    if known.count < _TURNS or len(known.inputs) < 2 or loop is None or _is_zero(states):
        return None
    names = _assigned(place)
    source = place.expression
    passed = place.argument("initial_state", 1) or place.argument("states", 1) or "the states"
    return Evidence(
        title=f"{title(layer)} is started from the same state in every turn of the loop.",
        got=f"{known.count} calls with other inputs and the same {passed if len(passed) < 40 else 'states'}",
        wanted="the state that the call before returned",
        cause="What the call returns as its new state is not passed to the next turn, so each step starts from the "
        "first "
        "state\nagain: the state is never carried from step to step, and only the last input counts.",
        fix=_carried(names, passed, source),
        unsure="" if names else "whether each turn is meant to begin anew",
        boundary=(title(layer),),
    )


def _print(value: Any) -> Any:
    array = as_array(value)
    if array is None:
        return id(value)
    return (array.shape, float(array.sum()), float(array.ravel()[:1].sum()), float(array.ravel()[-1:].sum()))


def _is_zero(states: list[Any]) -> bool:
    # Independent one-step sequences start at zero, and may do so on purpose.
    arrays = [as_array(one) for one in states]
    return all(one is not None and not one.any() for one in arrays)


def _loop(place: Place) -> ast.AST | None:
    for node in ast.walk(place.module() or ast.Module([], [])):
        if isinstance(node, ast.For | ast.While) and node.lineno <= place.line <= (node.end_lineno or 0):
            return node
    # A function that is called in a loop elsewhere.
    return place.module() if place.function != "<module>" else None


def _assigned(place: Place) -> list[str]:
    statement = place.statement()
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    return [ast.unparse(one) for one in target.elts] if isinstance(target, ast.Tuple | ast.List) else []


def _carried(names: list[str], passed: str, source: str) -> str:
    parts = [one.strip() for one in passed.strip("[]()").split(",")]
    if len(names) == len(parts) + 1:
        return f"{names[0]}, {', '.join(parts)} = {source}"
    if len(names) > 1:
        return f"# before the next turn:\n{passed} = [{', '.join(names[1:])}]"
    return f"output, h, c = {source}        # and pass h, c in the next turn"


# --- an input that nothing depends on --------------------------------------------------------------------------------


@SO330.on(ModelCall)
def reaches_nothing(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for inputs of a Functional model that no layer of it reads."""
    model = event.model
    if "Functional" not in kinds(model) or "Sequential" in kinds(model) or event.within is not None:
        return None
    layers = [one for one in getattr(model, "layers", ()) if "InputLayer" not in kinds(one)]
    read = [tensor for layer in layers for tensor in _all_inputs(layer)]
    inputs = list(getattr(model, "inputs", None) or ())
    outputs = list(getattr(model, "outputs", None) or ())
    unread = [one for one in inputs if not any(one is other for other in [*read, *outputs])]
    if not unread or len(unread) == len(inputs):
        return None
    first = unread[0]
    name = getattr(first, "name", "")
    encoder = seen.marks(first).get("read by")
    starts = (
        f"{encoder} reads it, and nothing of the model reads {encoder}" if encoder else "no layer of the model reads it"
    )
    return Evidence(
        title=f"Input '{name}' of {event.name.partition('.')[0]} reaches none of its outputs.",
        got=f"input '{name}' {tuple(first.shape)}: {starts}",
        wanted="outputs that depend on every input",
        cause=(
            f"The states of {encoder} are never used: the decoder starts at zero, not from the encoder's states, so "
            "the "
            "encoder is\nno part of the model, is not trained, and its input changes nothing."
            if encoder
            else "Nothing in the model depends on this input, so its data changes nothing, and Keras says no word."
        ),
        fix="decoder(..., initial_state=[state_h, state_c])        # the states that the encoder returns"
        if encoder
        else f"leave input '{name}' out of keras.Model(inputs=...), or use it",
        boundary=(f"input '{name}'", title(model)),
    )


def _all_inputs(layer: Any) -> list[Any]:
    found = input_tensors(layer)
    if found:
        return found
    # Called more than once: Keras keeps each call as a node.
    tensors = []
    for node in getattr(layer, "_inbound_nodes", None) or ():
        tensors += list(getattr(node, "input_tensors", None) or ())
    return tensors


@SO330.on(LayerCall)
def readers(event: LayerCall, seen: Seen) -> None:
    """Remembers which recurrent layer reads a symbolic input."""
    known = event.symbolic and own_call(event) and keeps_known_states(event.layer)
    if known and hasattr(event.inputs, "shape") and getattr(event.layer, "return_state", False):
        seen.mark(event.inputs, **{"read by": title(event.layer)})
