"""Initial states that do not fit the layer they start: of another width, number or batch size, or no states at all."""

from __future__ import annotations

from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.state_pages import SO324, SO325, SO326, SO327
from sostenuto.diagnosis.rules.state_views import (
    calls_with_states,
    given_states,
    is_cell,
    keeps_known_states,
    names_of_states,
    origin_of,
    own_call,
    size,
    units_of,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import kinds, layers_of, source_of, title
from sostenuto.diagnosis.wording import count


@SO324.on(LayerCall)
def remembered(event: LayerCall, seen: Seen) -> None:
    """Remembers starts that cannot work: Keras notices when the model runs, somewhere else."""
    if own_call(event) and keeps_known_states(event.layer) and given_states(event) is not None:
        found = _width(event, seen)
        if found is not None:
            seen.notes["state widths"][id(event.layer)] = found


@SO324.on(Failure)
def other_width(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for states of other units than those of the layer they start."""
    for call in calls_with_states(failure):
        if (found := _width(call, seen)) is not None:
            return found
    model = failure.verb.model if failure.verb is not None else None
    models = [model] if model is not None else [call.layer for call in failure.calls if isinstance(call, LayerCall)]
    for one in models:
        for layer in layers_of(one):
            if id(layer) in seen.notes["state widths"]:
                found = seen.notes["state widths"][id(layer)]
                return found if isinstance(found, Evidence) else None
    return None


def _width(call: LayerCall, seen: Seen) -> Evidence | None:
    states, wide = given_states(call) or [], units_of(call.layer)
    widths = [size(one, -1) for one in states if len(getattr(one, "shape", ())) == 2]
    wrong = next((one for one in widths if one is not None and one != wide), None)
    if wide is None or wrong is None or len(states) != len(names_of_states(call.layer)):
        return None
    origin = next((found for one in states if (found := origin_of(one, seen)) is not None), None)
    giver = origin.layer if origin is not None else "what gives the state"
    source = source_of(call.layer, seen)
    both = "Bidirectional" in giver or wrong == 2 * wide
    fix = source.replace(str(wide), str(wrong), 1) if str(wide) in source else f"units={wrong}"
    letters = "h, c" if len(states) == 2 else "h"
    return Evidence(
        title=f"{title(call.layer)} has {wide} units, and its initial state is {wrong} wide.",
        got=f"a state of {wrong} units, from {giver}" + (f", {origin.place.words}" if origin and origin.place else ""),
        wanted=f"a state of {wide} units: as wide as {title(call.layer)}, {source}",
        cause="A state has one number for each unit of the layer that keeps it, so two layers hand states on only if "
        f"they have\nthe same number of units: {wrong} here, {wide} there."
        + (" The two directions together are twice as wide as one." if both else ""),
        fix=f"{fix}        # as many units as the state\n"
        f"# or project the state first: {letters} = "
        + ", ".join(f"keras.layers.Dense({wide})({one})" for one in letters.split(", ")),
        place=call.place.bare() if call.place is not None else None,
        boundary=(giver, title(call.layer)),
    )


@SO325.on(Failure)
def other_number(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for one state where two are needed, and the other way round."""
    for call in calls_with_states(failure):
        states, wanted = given_states(call) or [], names_of_states(call.layer)
        if len(states) == len(wanted) or not all(hasattr(one, "shape") for one in states):
            continue
        origin = next((found for one in states if (found := origin_of(one, seen)) is not None), None)
        return Evidence(
            title=f"{title(call.layer)} starts from {count(len(wanted), 'state')}, and is given {len(states)}.",
            got=f"{count(len(states), 'tensor')}" + (f" from {origin.layer}" if origin else ""),
            wanted=f"{count(len(wanted), 'tensor')}: {', '.join(wanted)}",
            cause=_why(call.layer, len(states)),
            fix=_as_many(call, wanted),
            boundary=(origin.layer if origin else "initial_state", title(call.layer)),
        )
    return None


def _why(layer: Any, given: int) -> str:
    if "Bidirectional" in kinds(layer):
        return (
            "A Bidirectional layer keeps states for both directions: those of the forward layer first, then those of "
            f"the\nbackward one. {given} are not enough to start both."
        )
    if "LSTM" in kinds(layer) or "LSTMCell" in kinds(layer):
        return "An LSTM keeps two states, the hidden state h and the cell state c, and needs both to start."
    return f"A {type(layer).__name__} keeps one state, the hidden state h. There is no cell state in it."


def _as_many(call: LayerCall, wanted: tuple[str, ...]) -> str:
    name = "states" if is_cell(call.layer) else "initial_state"
    letters = [f"{one.split()[0]}_{one[-1]}" if "ward" in one else one[-1] for one in wanted]
    value = f"[{', '.join(letters)}]"
    expression = call.place.expression if call.place is not None else ""
    return with_keyword(expression, name, value) if f"{name}=" in expression else f"{name}={value}"


@SO326.on(Failure)
def other_rows(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for states of another batch than the inputs."""
    for call in calls_with_states(failure):
        rows = size(call.inputs, 0)
        states = [one for one in given_states(call) or [] if len(getattr(one, "shape", ())) == 2]
        other = next((found for one in states if (found := size(one, 0)) not in (None, rows)), None)
        if rows is None or other is None:
            continue
        wide = size(states[0], -1)
        source = _source(call.place, is_cell(call.layer))
        what = "states" if is_cell(call.layer) else "initial_state"
        return Evidence(
            title=f"{title(call.layer)} gets {count(rows, 'row')}, and an initial state for {other}.",
            got=f"inputs of batch {rows}, {what} of batch {other}: ({other}, {wide})",
            wanted=f"one row of state for each row of the batch: ({rows}, {wide})",
            cause="A state belongs to a sequence, so the initial state has as many rows as the batch. This one was "
            "made "
            f"for {other},\nand the batch has {rows}"
            + (": some sequences have ended." if other > rows else ": some sequences are new."),
            fix=_for_rows(source, rows, other, wide),
            boundary=(what, title(call.layer)),
        )
    return None


def _source(place: Place | None, cell: bool) -> str:
    if place is None:
        return ""
    return place.argument("states" if cell else "initial_state", 1)


def _for_rows(source: str, rows: int, other: int, wide: int | None) -> str:
    name = source if source.isidentifier() else "state"
    fresh = (
        f"[keras.ops.zeros(({rows}, {wide})) for _ in {name}]        # new sequences: the state is zero, for "
        f"{rows} rows"
    )
    if other < rows:
        return f"{name} = {fresh}\n# or so.LSTM: state by id, and batches of any size"
    return (
        f"{name} = [one[:{rows}] for one in {name}]        # if the first {rows} sequences go on\n# or {name} = {fresh}"
    )


@SO327.on(Failure)
def sequence_for_state(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an output at every step where a state is needed."""
    for call in calls_with_states(failure):
        states = given_states(call) or []
        wrong = next((one for one in states if len(getattr(one, "shape", ())) == 3), None)
        if wrong is None:
            continue
        origin = origin_of(wrong, seen)
        wanted = names_of_states(call.layer)
        giver = origin.layer if origin is not None else "the layer before"
        return Evidence(
            title=f"{title(call.layer)} is started with a sequence, not with a state.",
            got=f"{tuple(wrong.shape)}: an output for every step" + (f" of {giver}" if origin else ""),
            wanted=f"(batch, units {units_of(call.layer)}): {', '.join(wanted)}",
            cause="With return_sequences=True the first output holds all steps. A state is what is left at the end: "
            "the "
            "outputs behind\nthe first, with return_state=True.",
            fix=f"output, {', '.join(one[-1] for one in wanted)} = encoder(x)        # return_state=True\n"
            + _as_many(call, wanted),
            boundary=(giver, title(call.layer)),
        )
    return None
