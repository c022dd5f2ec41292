"""What a recurrent layer returns, unpacked into other parts than it has."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.state_source import names_in, unpacking, value_under_way, whole_line
from sostenuto.diagnosis.rules.state_views import (
    a,
    flat,
    is_cell,
    is_lstm,
    is_stacked,
    keeps_known_states,
    mark_returned,
    names_of_states,
    note_place,
    origin_of,
    own_call,
    place_here,
    returned_number,
    returns_state,
    short_names,
    size,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import source_of, title
from sostenuto.diagnosis.wording import axes, count

SO321 = rule(
    "SO321",
    "The outputs of a recurrent layer are unpacked into too many or too few names",
    """With return_state=True a layer returns its output and then its states: an LSTM three tensors (output, hidden
    state h, cell state c), a GRU or SimpleRNN two (output, h), a Bidirectional LSTM five (output, forward h, forward
    c, backward h, backward c). A cell returns its output and one list of states.""",
    """Write as many names as there are tensors: output, h, c = lstm(x), and output, h = gru(x).""",
    example="""
import keras
steps = keras.Input((None, 3))
output, state = keras.layers.LSTM(4, return_state=True)(steps)
""",
    repaired="""
import keras
steps = keras.Input((None, 3))
output, h, c = keras.layers.LSTM(4, return_state=True)(steps)
""",
)

SO322 = rule(
    "SO322",
    "A layer without return_state=True returns one tensor, and it is unpacked",
    """A recurrent layer returns its states only with return_state=True. Otherwise there is one tensor, and Python takes
    it apart along its first axis, the batch: an error, or, where the batch has as many rows as there are names, rows of
    the batch under the names of states.""",
    """Set return_state=True, or assign the one output to one name.""",
    example="""
import keras
steps = keras.Input((None, 3))
output, h, c = keras.layers.LSTM(4)(steps)
""",
    repaired="""
import keras
steps = keras.Input((None, 3))
output, h, c = keras.layers.LSTM(4, return_state=True)(steps)
""",
)

# The messages of Python and of each backend, where something is taken apart.
_MESSAGE = re.compile(r"values to unpack|[Ii]terat\w+ over|not iterable|unpack")


@SO321.on(LayerCall)
def remembered(event: LayerCall, seen: Seen) -> None:
    """Remembers what layers returned, for the lines that use it."""
    if not keeps_known_states(event.layer) or not own_call(event):
        return
    note_place(event, seen)
    place = place_here(event, seen)
    mark_returned(event, place, seen)
    if place is not None:
        seen.notes["unpacked"][place.file, place.line] = event.layer


@SO321.on(Failure)
def other_number(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an unpacking that failed, of a layer that returns states."""
    found = _unpacked(failure, seen)
    if found is None or not returns_state(found[1]):
        return None
    place, layer, target = found
    returned, names = returned_number(layer), names_in(target)
    if len(names) == returned or any(isinstance(one, ast.Starred) for one in target.elts):
        return None
    number, wanted = count(len(names), "name"), _parts(layer)
    return Evidence(
        title=f"{title(layer)} returns {_number(returned)} {_things(layer)}, and they are unpacked into {number}.",
        got=f"{number}: {', '.join(names)}",
        wanted=f"{count(returned, 'name')}: {', '.join(wanted)}",
        cause=_cause(layer, returned, wanted, names),
        fix=f"{', '.join(_good_names(names, layer))} = {_value(place)}",
        place=whole_line(place),
        boundary=(title(layer),),
    )


@SO322.on(Failure)
def no_states(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an unpacking that failed, of a layer that returns one tensor."""
    found = _unpacked(failure, seen)
    if found is None or returns_state(found[1]):
        return None
    place, layer, target = found
    return _one_tensor(layer, place, names_in(target), seen, "")


@SO322.on(LayerCall)
def rows_for_states(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for rows of a batch that get the names of states, because there happen to be as many."""
    if not keeps_known_states(event.layer) or returns_state(event.layer) or event.symbolic or not own_call(event):
        return None
    rows, shape = size(event.output, 0), tuple(getattr(event.output, "shape", ()))
    place = place_here(event, seen)
    found = value_under_way(place)
    if found is None or place is None or rows != len(found[1].elts) or len(shape) not in (2, 3):
        return None
    got = axes(shape, "BTU" if len(shape) == 3 else "BU")
    return _one_tensor(
        event.layer, place, names_in(found[1]), seen, f" {got}, taken apart along the batch: each name gets one row"
    )


@SO322.on(LayerCall)
def row_for_a_state(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for an index into the batch, where one of the states is meant: lstm(x)[1] in a Functional model."""
    if not event.symbolic or not keeps_known_states(event.layer) or returns_state(event.layer) or not own_call(event):
        return None
    place = event.place if event.outer is None else None
    node, statement = (place.node(), place.statement()) if place is not None else (None, None)
    for one in ast.walk(statement) if statement is not None and node is not None else ():
        index = one.slice if isinstance(one, ast.Subscript) and one.value is node else None
        if isinstance(index, ast.Constant) and isinstance(index.value, int) and place is not None:
            found = _one_tensor(event.layer, place, [place.source(one)], seen, f", indexed with [{index.value}]: a row")
            return replace(
                found, title=f"{title(event.layer)} returns one tensor, and [{index.value}] takes a row of it."
            )
    return None


def _one_tensor(layer: Any, place: Place, names: list[str], seen: Seen, got: str) -> Evidence:
    source, made = source_of(layer, seen), seen.history(layer).made
    return Evidence(
        title=f"{title(layer)} returns one tensor, and it is unpacked into {count(len(names), 'name')}.",
        got=f"one output of {title(layer)}{got or f', for {len(names)} names: ' + ', '.join(names)}",
        wanted=f"return_state=True, to get {', '.join(('output', *names_of_states(layer)))}",
        cause="Without return_state=True a recurrent layer returns its output alone, no states. Unpacking takes that "
        "one\ntensor apart along its first axis, the batch.",
        fix=_returning(layer, source) + (f"        # {made.words.split(':')[0]}" if made else ""),
        place=whole_line(place),
        boundary=(title(layer),),
    )


def _returning(layer: Any, source: str) -> str:
    # Bidirectional takes the option from the layer inside it.
    inner = (
        re.search(r"(?:\w+\.)*(?:LSTM|GRU|SimpleRNN)\([^()]*\)", source) if hasattr(layer, "forward_layer") else None
    )
    if inner is not None:
        return source.replace(inner[0], with_keyword(inner[0], "return_state", "True"))
    return with_keyword(source, "return_state", "True")


def _unpacked(failure: Failure, seen: Seen) -> tuple[Place, Any, ast.Tuple | ast.List] | None:
    # The line that failed takes apart what a layer returned on that same line, or under a name.
    place = failure.place
    found = unpacking(place)
    if place is None or found is None or not _MESSAGE.search(str(failure.error)):
        return None
    statement, target = found
    value = statement.value
    # A call around it, or a model called: what is taken apart is not what the layer returned.
    if isinstance(value, ast.Name | ast.Attribute):
        layer = _giver(place.value(value), seen)
        return (place, layer, target) if layer is not None else None
    if not isinstance(value, ast.Call):
        return None
    for (file, line), layer in reversed(seen.notes["unpacked"].items()):
        inside = statement.lineno <= line <= (statement.end_lineno or statement.lineno)
        if file == place.file and inside and _calls(place, value, layer):
            return place, layer, target
    return None


def _calls(place: Place, value: ast.Call, layer: Any) -> bool:
    # lstm(x), self.lstm(x), layers.LSTM(4)(x): the call that is taken apart is one of the layer.
    function = value.func
    if isinstance(function, ast.Call):
        return True
    named = place.value(function)
    return named is layer if named is not None else isinstance(function, ast.Attribute) and function.attr not in _VERBS


_VERBS = ("predict", "predict_on_batch", "fit", "evaluate", "call")


def _giver(value: Any, seen: Seen) -> Any:
    # The layer that returned what a name stands for.
    first = next((one for one in flat(value) if origin_of(one, seen) is not None), None)
    origin = origin_of(first, seen)
    if origin is None:
        return None
    layer = next((one for one in seen.notes["unpacked"].values() if id(one) == origin.number), None)
    if layer is None or (isinstance(value, list | tuple) and len(value) != returned_number(layer)):
        return None
    return layer


def _number(number: int) -> str:
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}.get(number, str(number))


def _things(layer: Any) -> str:
    return "values" if is_cell(layer) or is_stacked(layer) else "tensors"


def _parts(layer: Any) -> list[str]:
    names = names_of_states(layer)
    if is_cell(layer):
        return ["output", f"[{', '.join(names)}]"]
    if is_stacked(layer):
        cells = range(1, returned_number(layer))
        return ["output", *(f"[{', '.join(one for one in names if one.endswith(f' {cell}'))}]" for cell in cells)]
    return ["output", *names]


def _cause(layer: Any, returned: int, wanted: list[str], names: list[str]) -> str:
    if is_cell(layer):
        return (
            f"A cell computes one step, and returns two values: its output, and a list of all of its states: "
            f"{', '.join(names_of_states(layer))}."
        )
    text = (
        f"With return_state=True {a(_around(layer))} returns its output and all of its states: {_number(returned)} "
        f"{_things(layer)},\n{', '.join(wanted)}."
    )
    if not is_lstm(layer):
        text += f" There is no cell state in {a(_around(layer))}."
    if any(one.startswith("(") for one in names):
        text += " The states stand beside the output, not in a tuple\nof their own as in PyTorch."
    return text


def _around(layer: Any) -> str:
    inner = getattr(layer, "forward_layer", None)
    return f"Bidirectional {type(inner).__name__}" if inner is not None else type(layer).__name__


def _good_names(names: list[str], layer: Any) -> list[str]:
    states = [f"state_{one}" if len(one) == 1 else one for one in short_names(names_of_states(layer))]
    if is_cell(layer):
        return [names[0] or "output", f"[{', '.join(states)}]" if len(states) > 1 else "[state_h]"]
    if is_stacked(layer):
        number = range(1, returned_number(layer))
        return [names[0], *(f"states_{one}" for one in number)]
    # Names that are there already stay.
    written = [part.strip() for one in names[1:] for part in one.strip("()").split(",")]
    if not hasattr(layer, "forward_layer"):
        if written[:1] == ["h"]:
            states = short_names(names_of_states(layer))
        states = [*written[: len(states)], *states[len(written) :]]
    return [names[0] or "output", *states]


def _value(place: Place) -> str:
    statement = place.statement()
    return place.source(statement.value) if isinstance(statement, ast.Assign) else "lstm(x)"
