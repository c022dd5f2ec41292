"""States that leave a model as outputs and enter the next one as inputs: encoders and decoders made for inference."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, LayerCall, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.state_order import SO323, misnamed, mistake_in
from sostenuto.diagnosis.rules.state_source import names_in, unpacking, whole_line
from sostenuto.diagnosis.rules.state_unpacking import SO321
from sostenuto.diagnosis.rules.state_views import (
    Origin,
    flat,
    given_states,
    is_cell,
    is_stacked,
    keeps_known_states,
    names_of_states,
    origin_of,
    own_call,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_model, kinds, title
from sostenuto.diagnosis.wording import count


def _tensors(model: Any, name: str) -> list[Any]:
    if "Functional" not in kinds(model):
        return []
    return list(getattr(model, name, None) or ())


# --- what enters and what leaves -------------------------------------------------------------------------------------


@SO323.on(LayerCall)
def entered(event: LayerCall, seen: Seen) -> None:
    """Remembers which inputs of a model start a layer, and as which state."""
    if not event.symbolic or not keeps_known_states(event.layer) or is_stacked(event.layer) or not own_call(event):
        return
    states, names = given_states(event) or [], names_of_states(event.layer)
    if len(states) == len(names):
        for number, (one, name) in enumerate(zip(states, names, strict=True)):
            seen.mark(one, starts=(id(event.layer), title(event.layer), number, name))


@SO323.on(ModelCalled)
def predicted(event: ModelCalled, seen: Seen) -> None:
    """Remembers which of the arrays that predict returned are states."""
    if event.verb.startswith("predict"):
        _mark(event.model, event.result, event.place, seen)


@SO323.on(LayerCall)
def called(event: LayerCall, seen: Seen) -> None:
    """The same for a model that is called."""
    if is_model(event.layer) and event.outer is None:
        _mark(event.layer, event.output, event.place, seen)


def _mark(model: Any, result: Any, place: Place | None, seen: Seen) -> None:
    outputs = _tensors(model, "outputs")
    arrays = list(flat(result))
    if len(outputs) != len(arrays):
        return
    for symbolic, array in zip(outputs, arrays, strict=True):
        origin = origin_of(symbolic, seen)
        if origin is not None and not origin.joined and origin_of(array, seen) is None:
            seen.mark(array, origin=replace(origin, place=place.bare() if place is not None else None))


# --- the order -------------------------------------------------------------------------------------------------------


@SO323.on(ModelCall)
def swapped_at_predict(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for predict with states in another order than that of the model's inputs."""
    if not event.verb.startswith("predict"):
        return None
    return _swapped(event.model, event.x, event.place, seen)


@SO323.on(LayerCall)
def swapped_at_call(event: LayerCall, seen: Seen) -> Evidence | None:
    """The same for a model that is called."""
    if not is_model(event.layer) or event.outer is not None or event.symbolic:
        return None
    return _swapped(event.layer, event.inputs, event.place, seen)


def _swapped(model: Any, x: Any, place: Place | None, seen: Seen) -> Evidence | None:
    inputs, arrays = _tensors(model, "inputs"), list(flat(x))
    if len(inputs) != len(arrays) or len(inputs) < 2:
        return None
    starts: dict[int, list[tuple[int, str, str, Origin | None]]] = {}
    for symbolic, array in zip(inputs, arrays, strict=True):
        found = seen.marks(symbolic).get("starts")
        if isinstance(found, tuple):
            layer, name, number, state = found
            starts.setdefault(layer, []).append((number, name, state, origin_of(array, seen)))
    for slots in starts.values():
        slots.sort(key=lambda one: one[0])
        mistake = mistake_in([one[3] for one in slots], [one[2] for one in slots])
        # Somebody may try a state twice; only what cannot be meant is said about arrays.
        if mistake is not None and not mistake.unsure:
            return _evidence(model, slots[0][1], mistake.got, mistake.cause, mistake.origin, place)
    return None


def _evidence(model: Any, layer: str, got: str, cause: str, origin: Origin, place: Place | None) -> Evidence:
    found = unpacking(origin.place)
    names = names_in(found[1]) if found is not None else []
    pair = ["", *names] if len(names) == 2 else names
    expression = place.expression if place is not None else ""
    if found is not None and origin.place is not None and len(pair) == 3 and misnamed(pair):
        turned = ", ".join([*names[:-2], pair[2], pair[1]])
        fix = f"{turned} = {origin.place.source(found[0].value)}"
        got = f"{', '.join(names)} = ...: {pair[1]} gets the hidden state h, {pair[2]} the cell state c"
        where: Place | None = origin.place
    else:
        where = place
        fix = f"{expression or 'decoder.predict([token, h, c])'}        # h, then c, as the decoder takes them"
        if len(pair) == 3:
            fix = f"states = [{pair[1]}, {pair[2]}]        # h, then c\n{expression}".rstrip()
    return Evidence(
        title=f"{layer} in {title(model)} starts with hidden state and cell state in the wrong order.",
        got=got,
        wanted=f"the inputs of {title(model)} in their order: h, then c",
        cause=cause,
        fix=fix,
        place=where,
        boundary=(origin.layer, layer),
    )


# --- unpacking -------------------------------------------------------------------------------------------------------

_MESSAGE = re.compile(r"values to unpack")


@SO321.on(Failure)
def outputs_of_a_model(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an unpacking that failed, of what a Functional model with states among its outputs returns."""
    place = failure.place
    found = unpacking(place)
    if place is None or found is None or not _MESSAGE.search(str(failure.error)):
        return None
    statement, target = found
    if not isinstance(statement.value, ast.Call) or any(isinstance(one, ast.Starred) for one in target.elts):
        return None
    function = statement.value.func
    if isinstance(function, ast.Attribute) and function.attr in ("predict", "predict_on_batch"):
        function = function.value
    model = place.value(function)
    outputs, names = _tensors(model, "outputs"), names_in(target)
    origins = [origin_of(one, seen) for one in outputs]
    if len(outputs) == len(names) or not any(one is not None and one.state for one in origins) or is_cell(model):
        return None
    parts = [_part(one) for one in origins]
    letters = [part.split()[-1] if part != "output" else "output" for part in parts]
    return Evidence(
        title=f"{title(model)} returns {count(len(outputs), 'array')}, and they are unpacked into {len(names)}.",
        got=f"{count(len(names), 'name')}: {', '.join(names)}",
        wanted=f"{count(len(outputs), 'name')}: {', '.join(parts)}",
        cause=f"The model returns what it was made with, {count(len(outputs), 'output')}: {', '.join(parts)}. "
        "return_state=True on a layer inside\nadds an output and states only where they are among the model's outputs.",
        fix=f"{', '.join(letters)} = {place.source(statement.value)}",
        place=whole_line(place),
        boundary=(title(model),),
    )


def _part(origin: Origin | None) -> str:
    return "output" if origin is None or not origin.state else origin.state
