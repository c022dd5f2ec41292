"""What a layer with return_state=True returned, output and states together, used as if it were one tensor."""

from __future__ import annotations

import ast
import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.state_source import whole_line
from sostenuto.diagnosis.rules.state_views import (
    Origin,
    is_cell,
    names_of_states,
    note_place,
    origin_of,
    place_in,
    short_names,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, without_keyword
from sostenuto.diagnosis.views import is_keras, is_model, kinds, source_of, title
from sostenuto.diagnosis.wording import count

SO332 = rule(
    "SO332",
    "Output and states of a layer are used as if they were one tensor",
    """With return_state=True a layer returns several tensors: its output, then its states. Layers behind it read one. A
    Sequential model hands everything on that a layer returns, so return_state=True has no place in it.""",
    """Leave return_state=True out where the states are not needed; otherwise unpack, and pass the output on:
    output, h, c = lstm(x).""",
    example="""
import keras
steps = keras.Input((6, 3))
encoded = keras.layers.LSTM(4, return_state=True)(steps)
result = keras.layers.Dense(1)(encoded)
""",
    repaired="""
import keras
steps = keras.Input((6, 3))
encoded, h, c = keras.layers.LSTM(4, return_state=True)(steps)
result = keras.layers.Dense(1)(encoded)
""",
)

# Layers that read lists.
_MERGE = re.compile(r"Concatenate|Add|Multiply|Average|Maximum|Minimum|Subtract|Dot|Attention|Wrapper|StackedRNNCells")

_USED = re.compile(r"'?(tuple|list)'? (object has no attribute|indices must be|object is not callable)")


@SO332.on(LayerCall)
def passed_on(event: LayerCall, seen: Seen) -> None:
    """Remembers where a layer took the whole of it for its input, and went on: a Dropout does."""
    note_place(event, seen)
    if _whole(event.inputs, seen) is None or not isinstance(event.output, list | tuple) or _reads_lists(event.layer):
        return
    for given, returned in zip(event.inputs, event.output, strict=False):
        origin = origin_of(given, seen)
        if origin is not None and origin_of(returned, seen) is None:
            seen.mark(returned, origin=origin)


@SO332.on(Failure)
def given_to_a_layer(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a layer that failed over all that another one returned."""
    for call in failure.calls:
        if not isinstance(call, LayerCall) or not is_keras(call.layer) or is_model(call.layer):
            continue
        given = call.inputs if isinstance(call.inputs, list | tuple) else ()
        parts = [given, *given] if not _reads_lists(call.layer) else list(given)
        found = next((origin for one in parts if (origin := _whole(one, seen)) is not None), None)
        if found is not None:
            return _evidence(found, title(call.layer), place_in(failure, call, seen), seen)
    return None


@SO332.on(Failure)
def used_as_a_tensor(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an attribute or an index of a tensor, taken of all that a layer returned."""
    place = failure.place
    node = place.node() if place is not None else None
    if place is None or not _USED.search(str(failure.error)) or not isinstance(node, ast.Attribute | ast.Subscript):
        return None
    origin = _whole(place.value(node.value), seen)
    return _evidence(origin, place.source(node), place, seen) if origin is not None else None


@SO332.on(Failure)
def outputs_of_a_model(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a model whose outputs are all that a layer returned, where there are targets for one of them."""
    if failure.verb is None or failure.verb.y is None or isinstance(failure.verb.y, list | tuple | dict):
        return None
    if "loss" not in failure.message and "y_true" not in failure.message:
        return None
    origin = _whole(list(getattr(failure.verb.model, "outputs", None) or ()), seen)
    return _evidence(origin, title(failure.verb.model), failure.place, seen, model=True) if origin is not None else None


def _reads_lists(layer: Any) -> bool:
    return bool(_MERGE.search(" ".join(kinds(layer)))) or is_model(layer) or is_cell(layer)


def _whole(value: Any, seen: Seen) -> Origin | None:
    # The origin of an output, where all the states follow that the same layer returned.
    if not isinstance(value, list | tuple) or len(value) < 2:
        return None
    origins = [origin_of(one, seen) for one in value]
    first = origins[0]
    if first is None or any(one is None or one.number != first.number or one.joined for one in origins):
        return None
    # Where output and hidden state are one tensor, the first one goes by either name.
    numbers = [one.index for one in origins if one is not None]
    return first if len(numbers) == first.states + 1 and numbers[1:] == list(range(1, len(numbers))) else None


def _layer(number: int, seen: Seen) -> Any:
    return next((one for one in seen.notes["unpacked"].values() if id(one) == number), None)


def _evidence(origin: Origin, reader: str, place: Place | None, seen: Seen, model: bool = False) -> Evidence:
    layer = _layer(origin.number, seen)
    names = ("output", *(names_of_states(layer) if layer is not None else ()))
    number = origin.states + 1
    source = source_of(layer, seen) if layer is not None else ""
    letters = ["output", *short_names(names[1:])]
    statement = origin.place.statement() if origin.place is not None else None
    fix = ""
    node = origin.place.node() if origin.place is not None else None
    direct = isinstance(node, ast.Call) and called(node) not in ("Sequential", "Model", "add")
    if origin.place is not None and isinstance(statement, ast.Assign) and statement.value is node and direct:
        fix = f"{', '.join(letters)} = {origin.place.source(statement.value)}        # and pass output on"
    if "return_state" in source:
        alone = f"{without_keyword(source, 'return_state')}        # where the states are not needed"
        fix = f"{fix}\n# or {alone}" if fix else alone
    reads = "has targets for one output" if model else "reads one tensor"
    return Evidence(
        title=f"{origin.layer} returns {count(number, 'tensor')}, and {reader} {reads}.",
        got=f"{count(number, 'tensor')}, output and states together: {', '.join(names)}",
        wanted=f"one tensor: the output of {origin.layer}, without its states",
        cause=f"With return_state=True a layer returns its output and its states, {count(number, 'tensor')} in a "
        f"tuple. {reader} {'is made of' if model else 'is given'} all\nof them"
        + (", so it has that many outputs." if model else ", where only the output is meant."),
        fix=fix or "output, *states = ...        # and pass output on",
        place=whole_line(place) if place is not None and place.node() is None else place,
        boundary=(origin.layer, reader),
    )
