"""Initial states that do not fit the layer they start: of another number, width, batch size, or no states at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, Rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.state_arguments import misplaced
from sostenuto.diagnosis.rules.state_fixes import (
    for_number,
    for_rank,
    for_rows,
    for_width,
    made_at,
    source_in,
    why_number,
)
from sostenuto.diagnosis.rules.state_pages import SO324, SO325, SO326, SO327
from sostenuto.diagnosis.rules.state_views import (
    Origin,
    calls_with_states,
    given_states,
    is_cell,
    is_stacked,
    keeps_known_states,
    names_of_states,
    origin_of,
    own_call,
    place_here,
    place_in,
    rank,
    raw_states,
    returned_number,
    short_names,
    size,
    widths,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import layers_of, source_of, title
from sostenuto.diagnosis.wording import count

# What TensorFlow says of two shapes that do not fit.
_SHAPES = re.compile(r"\[(\d+),\d+\] vs\. \[(\d+),\d+\]")

Look = Callable[[LayerCall, Place | None, Seen], "Evidence | None"]


@SO324.on(LayerCall)
def remembered(event: LayerCall, seen: Seen) -> None:
    """Remembers starts that cannot work: Keras notices when the model runs, somewhere else."""
    if event.symbolic and own_call(event) and keeps_known_states(event.layer) and given_states(event) is not None:
        found = judged(event, place_here(event, seen), seen)
        if found is not None:
            seen.notes["state starts"][id(event.layer)] = found


def judged(call: LayerCall, place: Place | None, seen: Seen) -> tuple[Rule, Evidence] | None:
    """What does not fit in the states that a call was given, and the code for it; the first that is found.

    Args:
        call: of a layer whose states are known.
        place: the line of the user's that made the call.
        seen: knows where states come from.
    """
    raw = raw_states(call)
    # An argument in the wrong place, and the whole result of a cell, are other mistakes, with codes of their own.
    whole = is_cell(call.layer) and isinstance(raw, list | tuple) and isinstance(raw[-1], list | tuple)
    for code, look in _LOOKS if not whole and misplaced(call, place, seen) is None else ():
        found = look(call, place, seen)
        if found is not None:
            return code, found
    return None


def _of_failure(failure: Failure, seen: Seen) -> tuple[Rule, Evidence] | None:
    for call in calls_with_states(failure):
        found = judged(call, place_in(failure, call, seen), seen)
        if found is not None:
            return found
    starts = seen.notes["state starts"]
    model = failure.verb.model if failure.verb is not None else None
    models = [model] if model is not None else [call.layer for call in failure.calls if isinstance(call, LayerCall)]
    for one in models if failure.calls else ():
        for layer in layers_of(one):
            if id(layer) in starts:
                found = starts[id(layer)]
                return found if isinstance(found, tuple) else None
    return None


def _of_call(event: LayerCall, seen: Seen) -> tuple[Rule, Evidence] | None:
    # Keras ran it for real, and was content.
    if event.symbolic or not keeps_known_states(event.layer) or not own_call(event) or given_states(event) is None:
        return None
    return judged(event, place_here(event, seen), seen)


def _entered(code: Rule) -> None:
    @code.on(Failure)
    def failed(failure: Failure, seen: Seen) -> Evidence | None:
        found = _of_failure(failure, seen)
        return found[1] if found is not None and found[0] is code else None

    @code.on(LayerCall)
    def passed(event: LayerCall, seen: Seen) -> Evidence | None:
        found = _of_call(event, seen)
        return found[1] if found is not None and found[0] is code else None


for _code in (SO324, SO325, SO326, SO327):
    _entered(_code)


# --- what does not fit -----------------------------------------------------------------------------------------------


def origin_in(call: LayerCall, seen: Seen) -> Origin | None:
    """Where the first state comes from of which that is known."""
    return next((found for one in given_states(call) or [] if (found := origin_of(one, seen)) is not None), None)


def other_number(call: LayerCall, place: Place | None, seen: Seen) -> Evidence | None:
    """Looks for one state where two are needed, and the other way round, and for lists within lists."""
    states, wanted = given_states(call) or [], names_of_states(call.layer)
    raw = raw_states(call)
    if not all(hasattr(one, "shape") for one in states):
        return None
    nested = isinstance(raw, list | tuple) and len(raw) == 1 and isinstance(raw[0], list | tuple)
    if is_stacked(call.layer):
        nested = not all(isinstance(one, list | tuple) for one in raw) if isinstance(raw, list | tuple) else True
        nested = nested and returned_number(call.layer) - 1 < len(wanted)
    if len(states) == len(wanted) and not nested:
        return None
    # A tensor for a list has a code of its own.
    if is_cell(call.layer) and not isinstance(raw, list | tuple):
        return None
    if not nested and _is_stack_of_one(states, wanted):
        return None
    origin = origin_in(call, seen)
    got = "a list within a list: [[...]]" if nested and not is_stacked(call.layer) else count(len(states), "tensor")
    given = _given(call.layer, states, nested)
    return Evidence(
        title=f"{title(call.layer)} starts from {count(len(wanted), 'state')}, and is given {given}.",
        got=got + (f" from {origin.layer}" if origin else "") + _shapes(states),
        wanted=f"{count(len(wanted), 'tensor')}: {', '.join(wanted)}",
        cause=why_number(call.layer, len(states), origin, nested and not is_stacked(call.layer)),
        fix=for_number(call, place, wanted, origin, len(states)),
        place=place,
        boundary=(origin.layer if origin else "initial_state", title(call.layer)),
    )


def _given(layer: Any, states: list[Any], nested: bool) -> str:
    if nested and is_stacked(layer):
        return f"{len(states)} side by side"
    return "a list within a list" if nested else str(len(states))


def _shapes(states: list[Any]) -> str:
    return ": " + ", ".join(str(tuple(one.shape)) for one in states[:4])


def _is_stack_of_one(states: list[Any], wanted: tuple[str, ...]) -> bool:
    # (2, batch, units): both states in one tensor, which is another mistake.
    return len(states) == 1 and len(wanted) > 1 and rank(states[0]) == 3


def other_rank(call: LayerCall, place: Place | None, seen: Seen) -> Evidence | None:
    """Looks for an output at every step where a state is needed, and for states with an axis too many or too few."""
    states = given_states(call) or []
    wrong = next((one for one in states if rank(one) not in (2, None) or isinstance(one, int | float)), None)
    if wrong is None:
        return None
    origin, wanted = origin_of(wrong, seen), names_of_states(call.layer)
    wide = widths(call.layer)[0]
    shape = tuple(getattr(wrong, "shape", ()))
    numbers = isinstance(wrong, int | float)
    sequence = len(shape) == 3 and (origin is not None or shape[:2] == tuple(getattr(call.inputs, "shape", ()))[:2])
    giver = origin.layer if origin is not None else "the layer before"
    if sequence:
        got = f"{shape}: an output for every step" + (f" of {giver}" if origin else "")
        what = "a sequence, not with a state"
        cause = (
            "With return_sequences=True the first output holds all steps: it has a time axis. A state is what is left "
            "at the end,\n(batch, units): the outputs behind the first, with return_state=True."
        )
    elif numbers:
        got, what = "a list of numbers", "numbers, not with an array"
        cause = "A state is one array with a row for each sequence of the batch: (batch, units)."
    else:
        got = f"{shape}: {count(len(shape), 'axis', 'axes')}"
        what = f"an array of {count(len(shape), 'axis', 'axes')}"
        cause = "A state of Keras has two axes, one row for each sequence of the batch: (batch, units)." + (
            "\nOne more axis in front, for layers or directions, is what PyTorch has." if len(shape) == 3 else ""
        )
    return Evidence(
        title=f"{title(call.layer)} is started with {what}.",
        got=got,
        wanted=f"(batch {_or_any(size(call.inputs, 0))}, units {wide}) for each of {', '.join(wanted)}",
        cause=cause,
        fix=for_rank(call, place, wanted, shape, sequence),
        place=place,
        boundary=(giver, title(call.layer)),
    )


def _or_any(number: int | None) -> str:
    return "?" if number is None else str(number)


def other_width(call: LayerCall, place: Place | None, seen: Seen) -> Evidence | None:
    """Looks for states of other units than those of the layer they start."""
    states, wanted = given_states(call) or [], widths(call.layer)
    if len(states) != len(wanted):
        return None
    pairs = [(one, size(one, -1), wide) for one, wide in zip(states, wanted, strict=True) if rank(one) == 2]
    found = next(((one, got, wide) for one, got, wide in pairs if None not in (got, wide) and got != wide), None)
    if found is None:
        return None
    state, wrong, wide = found
    if wrong is None or wide is None:
        return None
    rows = size(call.inputs, 0)
    turned = rows is not None and (size(state, 0), wrong) == (wide, rows)
    origin = origin_of(state, seen) or origin_in(call, seen)
    giver = origin.layer if origin is not None else "what gives the state"
    both = origin is not None and bool(origin.joined)
    letters = short_names(names_of_states(call.layer))
    if turned:
        cause = f"The axes of the state are swapped: (units {wide}, batch {rows}). Keras reads (batch, units)."
    else:
        cause = (
            "A state has one number for each unit of the layer that keeps it, so two layers hand states on only if "
            f"they have\nthe same number of units: {wrong} here, {wide} there."
        )
    if both:
        cause += (
            f" The two directions of the encoder, {wrong // 2} units each, are joined to {wrong}:\nthe decoder needs "
            "twice the units of one direction."
        )
    return Evidence(
        title=f"{title(call.layer)} has {wide} units, and its initial state is {wrong} wide.",
        got=f"a state of {wrong} units, from {giver}" + (f", {origin.place.words}" if origin and origin.place else ""),
        wanted=f"a state of {wide} units: as wide as {title(call.layer)}, {source_of(call.layer, seen)}",
        cause=cause,
        fix=for_width(call, place, source_of(call.layer, seen), wrong, wide, letters, turned),
        place=place,
        boundary=(giver, title(call.layer)),
    )


@SO326.on(LayerCall)
def open_batch(event: LayerCall, seen: Seen) -> None:
    """Remembers states of a fixed number of rows, in a graph that is made for batches of any size."""
    if (
        not keeps_known_states(event.layer)
        or not own_call(event)
        or event.symbolic
        or size(event.inputs, 0) is not None
    ):
        return
    states = [one for one in given_states(event) or [] if rank(one) == 2]
    rows = size(states[0], 0) if states else None
    if rows is not None and rank(event.inputs) is not None:
        place = place_here(event, seen)
        source = source_in(event, place)
        seen.notes["fixed rows"][id(event.layer)] = (
            rows,
            title(event.layer),
            size(states[0], -1),
            place.bare() if place is not None else None,
            source,
        )


@SO326.on(Failure)
def fixed_rows(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for such a state, and a batch of another size that the graph met."""
    met = _SHAPES.search(failure.message)
    if met is None or failure.calls:
        return None
    numbers = {int(one) for one in met.groups()}
    for rows, name, wide, place, source in seen.notes["fixed rows"].values():
        other = next(iter(numbers - {rows}), None)
        if rows in numbers and other is not None:
            return Evidence(
                title=f"{name} gets {count(other, 'row')}, and an initial state for {rows}.",
                got=f"a batch of {other}, initial_state={source or '...'} of batch {rows}: ({rows}, {wide})",
                wanted=f"one row of state for each row of the batch: ({other}, {wide})",
                cause=f"The initial state is made for a fixed batch of {rows}. A batch of another size, as the last "
                f"one of an epoch is when\nthe rows do not divide evenly, has {other} rows, and the state does not "
                "fit.",
                fix=f"rows = keras.ops.shape(inputs)[0]\nstate = keras.ops.zeros((rows, {wide}))      # any batch",
                place=place or failure.place,
                boundary=("initial_state", name),
            )
    return None


def other_rows(call: LayerCall, place: Place | None, seen: Seen) -> Evidence | None:
    """Looks for states of another batch than the inputs."""
    rows = size(call.inputs, 0)
    states = [one for one in given_states(call) or [] if rank(one) == 2]
    other = next((found for one in states if (found := size(one, 0)) not in (None, rows)), None)
    if rows is None or other is None:
        return None
    wide = size(states[0], -1)
    what = "states" if is_cell(call.layer) else "initial_state"
    known = made_at(states[0], place)
    if other == 1:
        why = "one row, which would be the state of all"
    else:
        why = "some sequences have ended" if other > rows else "some sequences are new"
    return Evidence(
        title=f"{title(call.layer)} gets {count(rows, 'row')}, and an initial state for {other}.",
        got=f"inputs of batch {rows}, {what} of batch {other}: ({other}, {wide})" + (f" in {known}" if known else ""),
        wanted=f"one row of state for each row of the batch: ({rows}, {wide})",
        cause=f"A state belongs to a sequence, so the initial state has as many rows as the batch. This one was made "
        f"for {other},\nand the batch has {rows}: {why}.",
        fix=for_rows(call, place, states[0], rows, other, wide),
        place=place,
        boundary=(what, title(call.layer)),
    )


_LOOKS: tuple[tuple[Rule, Look], ...] = (
    (SO325, other_number),
    (SO327, other_rank),
    (SO324, other_width),
    (SO326, other_rows),
)
