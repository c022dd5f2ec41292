"""What to write instead, where states do not fit the layer they start, and why they do not."""

from __future__ import annotations

import ast
import re
from typing import Any

from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.state_views import Origin, a, is_cell, is_lstm, is_stacked, short_names, units_of
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import kinds


def why_number(layer: Any, given: int, origin: Origin | None, nested: bool) -> str:
    """Why a layer cannot start from so many states.

    Args:
        layer: that is started.
        given: how many states there are.
        origin: where they come from, or None.
        nested: whether they stand in a list within a list.
    """
    if nested:
        return "The states stand in one list, side by side: [h, c]. A list within a list is one state to Keras."
    name = type(layer).__name__
    if "Bidirectional" in kinds(layer):
        one = "states h and c" if is_lstm(layer) else "state h"
        return (
            "A Bidirectional layer keeps states for both directions: those of the forward layer first, then those of "
            f"the\nbackward layer. {given} are the {one} of one direction, not enough to start both."
        )
    if is_stacked(layer):
        return "A stack of cells keeps a list of states for each of its cells: [[h_1, c_1], [h_2, c_2]]."
    if origin is not None and "Bidirectional" in origin.layer:
        return (
            f"A Bidirectional encoder returns the states of both directions, forward and backward; {a(name)} reads one "
            "way\nand keeps those of one direction. Concatenate the two directions, and give the decoder twice the "
            "units."
        )
    if is_lstm(layer):
        text = f"{_the(name)} keeps two states, the hidden state h and the cell state c"
        if origin is not None and given == origin.states + 1 > 2:
            return text + ".\nThe first of what the encoder returned is its output, no state: leave it out."
        if origin is not None and origin.states == 1:
            return text + f", and\n{origin.layer} has only a hidden state: there is no cell state in it."
        return text + ", and needs both to start."
    return (
        f"{_the(name)} keeps one state, the hidden state h. There is no cell state in it, so what is given\nbeyond h, "
        "a cell state too, is left out without a word."
    )


def _the(name: str) -> str:
    return a(name)[0].upper() + a(name)[1:]


def for_number(call: LayerCall, place: Place | None, wanted: tuple[str, ...], origin: Origin | None, given: int) -> str:
    """The call with as many states as it needs."""
    letters = short_names(wanted)
    one_way = "Bidirectional" not in kinds(call.layer)
    if origin is not None and "Bidirectional" in origin.layer and one_way and origin.states == 2 * len(wanted):
        lines = [f"{letter} = keras.layers.Concatenate()([forward_{letter}, backward_{letter}])" for letter in letters]
        size = units_of(call.layer)
        return "\n".join(
            [*lines, _with_states(call, place, letters) + f"        # {2 * size if size else 'twice the'} units"]
        )
    if not one_way and given * 2 == len(wanted):
        plain = [one.removeprefix("forward_") for one in letters[:given]]
        return _with_states(call, place, plain * 2) + "        # both directions start from the same states"
    if is_stacked(call.layer):
        return _with_states(call, place, ["[h_1, c_1]", "[h_2, c_2]"]) + "        # one list for each cell"
    fix = _with_states(call, place, letters)
    if origin is not None and origin.states == 1 and len(wanted) == 2:
        fix += "        # with an LSTM as encoder, which gives both\n# or a GRU as decoder, which needs only h: "
        fix += f"keras.layers.GRU({units_of(call.layer) or ''})"
    elif origin is not None and given == origin.states + 1 > len(wanted):
        fix = f"output, {', '.join(letters)} = ...        # what the encoder returns\n{fix}"
    return fix


def _with_states(call: LayerCall, place: Place | None, letters: list[str]) -> str:
    name = "states" if is_cell(call.layer) else "initial_state"
    value = f"[{', '.join(letters)}]"
    expression = place.expression if place is not None else ""
    return with_keyword(expression, name, value) if re.search(rf"\b{name}\s*=", expression) else f"{name}={value}"


def for_rank(
    call: LayerCall, place: Place | None, wanted: tuple[str, ...], shape: tuple[Any, ...], sequence: bool
) -> str:
    """The call with states of two axes."""
    letters = short_names(wanted)
    source = source_in(call, place)
    if sequence or not source.isidentifier() or len(shape) != 3:
        fix = _with_states(call, place, letters)
        if sequence:
            return f"output, {', '.join(letters)} = encoder(x)        # made with return_state=True\n{fix}"
        units = units_of(call.layer)
        return f"{', '.join(letters)} = [keras.ops.zeros((batch, {units})) for _ in range({len(letters)})]\n{fix}"
    rows = [f"{source}[{number}]" for number in range(len(letters))]
    return _with_states(call, place, rows)


def for_width(
    call: LayerCall, place: Place | None, source: str, wrong: int, wide: int, letters: list[str], turned: bool
) -> str:
    """A layer as wide as its state, or a state made as wide as the layer."""
    if turned:
        return "keras.ops.transpose(state)        # (batch, units)"
    match = re.search(rf"\b{wide}\b", source)
    fix = source[: match.start()] + str(wrong) + source[match.end() :] if match else f"units={wrong}"
    both = _names_in(source_in(call, place)) or (letters if len(letters) <= 2 else letters[:2])
    return f"{fix}        # as many units as the state\n# or project the state first: {', '.join(both)} = " + ", ".join(
        f"keras.layers.Dense({wide})({one})" for one in both
    )


def _names_in(states: str) -> list[str]:
    # The user's own names, where each state has one: [state_h, state_c].
    names = [one.strip() for one in states.strip("[]()").split(",")]
    return names if all(name.isidentifier() for name in names) and states[:1] in ("[", "(") else []


def source_in(call: LayerCall, place: Place | None) -> str:
    """What the user wrote for the states."""
    if place is None:
        return ""
    return place.argument("states" if is_cell(call.layer) else "initial_state", 1)


def made_at(state: Any, place: Place | None) -> str:
    """The user's name for a state, or for the list that holds it; "" where there is none."""
    for name, value in (place.names if place is not None else {}).items():
        if name.startswith("_"):
            continue
        if value is state or (isinstance(value, list | tuple) and any(one is state for one in value)):
            return name
    return ""


def for_rows(call: LayerCall, place: Place | None, state: Any, rows: int, other: int, wide: int | None) -> str:
    """States with a row for each row of the batch."""
    name = made_at(state, place)
    value = (place.names.get(name) if place is not None else None) if name else None
    many = isinstance(value, list | tuple) or (not name and (is_lstm(call.layer)))
    name = name or "state"
    zeros = f"keras.ops.zeros(({rows}, {wide}))"
    fresh = f"{name} = " + (f"[{zeros} for _ in range({len(value) if value else 2})]" if many else zeros)
    fresh += f"        # {_before_call(place, name, rows)}{rows} new sequences: the state is zero"
    batch = "\n# by itself for any batch: keras.ops.shape(x)[0] rows; so.LSTM keeps state by id for batches of any size"
    if other == 1:
        each = f"keras.ops.repeat({'one' if many else name}, {rows}, axis=0)"
        each = f"[{each} for one in {name}]" if many else each
        return f"{name} = {each}        # all {rows} rows start from that one state\n# or {fresh}"
    if other > rows:
        cut = f"[one[:{rows}] for one in {name}]" if many else f"{name}[:{rows}]"
        return f"{name} = {cut}        # if the first {rows} sequences go on\n# or {fresh}"
    return fresh + batch


def _before_call(place: Place | None, name: str, rows: int) -> str:
    # States that a function is given have to be made where it is called: within, they would be the same for all calls.
    tree = place.module() if place is not None else None
    if place is None or tree is None:
        return ""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or node.name != place.function:
            continue
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if node.lineno <= place.line <= (node.end_lineno or 0) and any(one.arg == name for one in arguments):
            return f"before {node.name}(...) gets {rows} rows; "
    return ""
