"""What a recurrent layer returns, unpacked into other parts than it has."""

from __future__ import annotations

import ast
import re

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.state_views import (
    is_cell,
    keeps_known_states,
    mark_returned,
    names_in,
    names_of_states,
    own_call,
    size,
    unpacking,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import kinds, source_of, title
from sostenuto.diagnosis.wording import axes, count

SO321 = rule(
    "SO321",
    "The outputs of a recurrent layer are unpacked into too many or too few names",
    """With return_state=True a layer returns its output and then its states: an LSTM three tensors (output, hidden
    state h, cell state c), a GRU or SimpleRNN two (output, h), a Bidirectional LSTM five (output, forward h, forward c,
    backward h, backward c).""",
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

_MESSAGE = re.compile(r"values to unpack|[Ii]terating over|not iterable|unpack")


@SO321.on(LayerCall)
def remembered(event: LayerCall, seen: Seen) -> None:
    """Remembers what layers returned, for the lines that use it."""
    if not keeps_known_states(event.layer) or not own_call(event) or event.place is None:
        return
    mark_returned(event, seen)
    returned = len(event.output) if isinstance(event.output, list | tuple) else 1
    seen.notes["unpacked"][event.place.file, event.place.line] = (
        event.layer if not is_cell(event.layer) else None,
        returned,
        tuple(getattr(event.output, "shape", ())),
    )


@SO321.on(Failure)
def other_number(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an unpacking that failed, of a layer that returns states."""
    found = _unpacked(failure, seen)
    if found is None or not getattr(found[1], "return_state", False):
        return None
    place, layer, returned, target = found
    wanted, names = ("output", *names_of_states(layer)), names_in(target)
    if len(names) == returned:
        return None
    kind, number = type(layer).__name__, count(len(names), "name")
    return Evidence(
        title=f"{title(layer)} returns {_number(returned)} tensors, and they are unpacked into {number}.",
        got=f"{number}: {', '.join(names)}",
        wanted=f"{count(returned, 'name')}: {', '.join(wanted)}",
        cause=f"With return_state=True a {_around(layer)} returns its output and all of its states: "
        f"{_number(returned)} "
        f"tensors,\n{', '.join(wanted)}."
        + ("" if "LSTM" in kinds(layer) or "forward_layer" in dir(layer) else f" A {kind} has no cell state."),
        fix=_with_names(place, target, _good_names(names, layer)),
        boundary=(title(layer),),
    )


@SO322.on(Failure)
def no_states(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an unpacking that failed, of a layer that returns one tensor."""
    found = _unpacked(failure, seen)
    if found is None or getattr(found[1], "return_state", False):
        return None
    place, layer, _, target = found
    return _one_tensor(layer, place, target, seen, "")


@SO322.on(LayerCall)
def rows_for_states(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for rows of a batch that get the names of states, because there happen to be as many."""
    if not keeps_known_states(event.layer) or is_cell(event.layer) or event.outer is not None or event.symbolic:
        return None
    if isinstance(event.output, list | tuple) or not hasattr(event.output, "shape") or event.place is None:
        return None
    found = unpacking(event.place)
    if found is None or found[0].value is not event.place.node():
        return None
    rows = size(event.output, 0)
    if rows != len(found[1].elts) or getattr(event.layer, "return_state", False):
        return None
    got = axes(tuple(event.output.shape), "BTU"[: len(event.output.shape)] if len(event.output.shape) == 3 else "BU")
    return _one_tensor(
        event.layer, event.place, found[1], seen, f" {got}, taken apart along the batch: each name gets one row"
    )


def _one_tensor(layer: object, place: Place, target: ast.Tuple | ast.List, seen: Seen, got: str) -> Evidence:
    names, source = names_in(target), source_of(layer, seen)
    made = seen.history(layer).made
    return Evidence(
        title=f"{title(layer)} returns one tensor, and it is unpacked into {count(len(names), 'name')}.",
        got=f"one output of {title(layer)}{got or f', for {len(names)} names: ' + ', '.join(names)}",
        wanted=f"return_state=True, to get {', '.join(('output', *names_of_states(layer)))}",
        cause="Without return_state=True a recurrent layer returns its output alone, no states. Unpacking takes that "
        "one "
        "tensor\napart along its first axis, the batch.",
        fix=with_keyword(source, "return_state", "True") + (f"        # {made.words.split(':')[0]}" if made else ""),
        place=place,
        boundary=(title(layer),),
    )


def _unpacked(failure: Failure, seen: Seen) -> tuple[Place, object, int, ast.Tuple | ast.List] | None:
    # The line that failed takes apart what a layer returned on that same line, or under a name.
    place = failure.place
    found = unpacking(place)
    if place is None or found is None or failure.calls or not _MESSAGE.search(str(failure.error)):
        return None
    statement, target = found
    for (file, line), (layer, returned, _) in reversed(seen.notes["unpacked"].items()):
        inside = statement.lineno <= line <= (statement.end_lineno or statement.lineno)
        if file == place.file and layer is not None and inside and isinstance(statement.value, ast.Call):
            return place, layer, returned, target
    return None


def _number(number: int) -> str:
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}.get(number, str(number))


def _around(layer: object) -> str:
    inner = getattr(layer, "forward_layer", None)
    return f"Bidirectional {type(inner).__name__}" if inner is not None else type(layer).__name__


def _good_names(names: list[str], layer: object) -> list[str]:
    short = {"hidden state h": "state_h", "cell state c": "state_c"}
    states = [
        short.get(one, one.replace(" hidden state ", "_").replace(" cell state ", "_"))
        for one in names_of_states(layer)
    ]
    return [names[0] or "output", *states]


def _with_names(place: Place, target: ast.Tuple | ast.List, names: list[str]) -> str:
    statement = place.statement()
    value = place.source(statement.value) if isinstance(statement, ast.Assign) else "lstm(x)"
    return f"{', '.join(names)} = {value}"
