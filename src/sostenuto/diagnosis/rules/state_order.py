"""The states of an LSTM in each other's place: cell state for hidden state, output for state, backward for forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.state_source import names_in, unpacking
from sostenuto.diagnosis.rules.state_views import (
    Origin,
    given_states,
    is_cell,
    is_stacked,
    keeps_known_states,
    names_of_states,
    origin_of,
    own_call,
    place_here,
    short_names,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import kinds, title

SO323 = rule(
    "SO323",
    "Hidden state and cell state of an LSTM stand in the wrong order",
    """An LSTM returns output, hidden state h, cell state c, and takes initial_state=[h, c]. All of them have the same
    shape, so nothing is raised where they are swapped or moved by one: the layer goes on from a state that never
    was.""",
    """Unpack as output, h, c, and pass initial_state=[h, c].""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 6, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
output, h, c = lstm(x)
again = lstm(x, initial_state=[c, h])
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 6, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
output, h, c = lstm(x)
again = lstm(x, initial_state=[h, c])
""",
)


@dataclass(frozen=True)
class Mistake:
    """What is wrong with the order of some states.

    Attributes:
        title: one sentence without the layer: "starts with ... swapped."
        got: which tensor stands where.
        cause: why that matters.
        origin: the state that stands in the wrong place.
        unsure: what would have to be known; "" where nothing else can be meant.
        swapped: whether the two states of an LSTM stand in each other's place.
    """

    title: str
    got: str
    cause: str
    origin: Origin
    unsure: str = ""
    swapped: bool = False


@SO323.on(LayerCall)
def joined(event: LayerCall, seen: Seen) -> None:
    """Remembers which states were concatenated: those of both directions of a Bidirectional encoder."""
    if "Concatenate" in kinds(event.layer) and isinstance(event.inputs, list | tuple) and len(event.inputs) == 2:
        parts = [origin_of(one, seen) for one in event.inputs]
        known = [one for one in parts if one is not None and one.state]
        if len(known) == 2 and known[0].number == known[1].number:
            first = known[0]
            made = Origin(
                first.layer, 1, "joined", first.place, number=first.number, joined=tuple(known), states=first.states
            )
            seen.mark(event.output, origin=made)


@SO323.on(LayerCall)
def swapped(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a cell state where the hidden state belongs, and the other way round."""
    if not keeps_known_states(event.layer) or is_stacked(event.layer) or not own_call(event):
        return None
    states, wanted = given_states(event), names_of_states(event.layer)
    if states is None or len(states) != len(wanted) or len(wanted) < 2:
        return None
    mistake = mistake_in([origin_of(one, seen) for one in states], wanted)
    told = seen.notes["state order"]
    if mistake is None or id(event.layer) in told:
        return None
    told[id(event.layer)] = True
    place = place_here(event, seen)
    where, fix, got = _repair(mistake, place, wanted, "states" if is_cell(event.layer) else "initial_state")
    return Evidence(
        title=f"{title(event.layer)} {mistake.title}",
        got=got,
        wanted=f"[{', '.join(short_names(wanted))}]: {', '.join(wanted)}",
        cause=mistake.cause,
        fix=fix,
        unsure=mistake.unsure,
        place=where or place,
        boundary=(mistake.origin.layer, title(event.layer)),
    )


def mistake_in(origins: Sequence[Origin | None], wanted: Sequence[str]) -> Mistake | None:
    """What is wrong with the order of states, if anything is.

    Args:
        origins: where each of them came from, None where that is not known.
        wanted: the states in their order.
    """
    known = [one for one in origins if one is not None]
    if len(known) != len(origins) or len(origins) < 2 or len({one.number for one in known}) > 1:
        return _two_wrong(origins, wanted)
    letters = [one.letter for one in known]
    right = ["c" if "cell state" in name else "h" for name in wanted]
    giver = known[0].layer
    order = f"{giver} returns output, hidden state h, cell state c, in this order, and initial_state takes [h, c]."
    mixed = next((one for one in known if one.joined and not one.letter), None)
    if mixed is not None:
        parts = " and ".join(one.state for one in mixed.joined)
        return Mistake(
            "starts with hidden and cell state joined to one.",
            f"one state made of {parts}",
            f"{giver} returns forward h, forward c, backward h, backward c, in this order.\nThe hidden states of both "
            "directions belong together, and so do the two cell states; here the order was mistaken,\nand a hidden "
            "state is joined with a cell state.",
            mixed,
        )
    if letters != right and sorted(letters) == sorted(right):
        return _swap(known, wanted)
    pair = right == ["h", "c"] and known[0].states == 2
    if pair and known[0].index == 0 and known[1].letter == "h":
        return Mistake(
            "starts with its states moved by one.",
            f"the output of {giver} in the place of h, its hidden state h in the place of c; its cell state c nowhere",
            f"{order}\nThe first of the three is the output, no state: what follows is in the wrong order by one "
            "place, and nothing\nnotices, for all three have the same shape.",
            known[0],
        )
    if pair and letters in (["h", "h"], ["c", "c"]):
        both = f"{'hidden' if letters[0] == 'h' else 'cell'} state {letters[0]}"
        other = "cell state c" if letters[0] == "h" else "hidden state h"
        return Mistake(
            f"starts with the {both} twice.",
            f"the {both} of {giver} in both places, its {other} in none",
            f"{order}\nThe {other} that {giver} returned is not handed on.",
            known[0],
            unsure=f"whether the {other} is left out on purpose",
        )
    if len(known) == len(wanted) == 4 and letters == right:
        turned = [one for one, name in zip(known, wanted, strict=True) if one.state.split()[0] != name.split()[0]]
        if len(turned) == 4 and {one.state.split()[0] for one in turned} == {"forward", "backward"}:
            return Mistake(
                "starts with the states of its two directions swapped.",
                "the backward states first, the forward states behind them",
                "A Bidirectional layer returns and takes the states of its forward layer first, then the backward "
                "ones.\nBoth have the same shape, so nothing notices that the order is the other way round.",
                turned[0],
            )
    return None


def _two_wrong(origins: Sequence[Origin | None], wanted: Sequence[str]) -> Mistake | None:
    # Of several layers, or with some that are not known: two that stand wrong are enough.
    wrong = [
        one
        for one, name in zip(origins, wanted, strict=True)
        if one is not None and one.letter and one.letter != ("c" if "cell state" in name else "h")
    ]
    # One alone may be meant: a cell that starts at h, the rest at zero.
    return _swap(wrong, wanted) if len(wrong) > 1 and len(wanted) == 2 else None


def _swap(known: Sequence[Origin], wanted: Sequence[str]) -> Mistake:
    giver = known[0].layer
    two = len(wanted) == 2
    return Mistake(
        "starts with hidden state and cell state swapped.",
        "the cell state c first, the hidden state h behind it" if two else "hidden and cell states in another order",
        f"{giver} returns output, {', '.join(wanted)}, in this order;\ninitial states stand in the same order, "
        f"[{', '.join(short_names(tuple(wanted)))}]. All have the same shape, so nothing notices that hidden\nstate "
        "and cell state are the other way round; the layer goes on from a state that never was.",
        known[0],
        swapped=two,
    )


def _repair(
    mistake: Mistake, place: Place | None, wanted: tuple[str, ...], argument: str
) -> tuple[Place | None, str, str]:
    origin = mistake.origin.joined[0] if mistake.origin.joined else mistake.origin
    found = unpacking(origin.place)
    names = names_in(found[1]) if found is not None else []
    if mistake.origin.index == 0 and found is not None and origin.place is not None and names[-1:] == ["_"]:
        value = origin.place.source(found[0].value)
        got = f"{', '.join(names)} = ...: {names[0]} gets the output, {names[1]} the hidden state h"
        return origin.place, f"_, {', '.join(names[:-1])} = {value}", got
    # Names that say the opposite of what they hold: then the unpacking is wrong, not this call.
    if mistake.swapped and found is not None and origin.place is not None and misnamed(names):
        value = origin.place.source(found[0].value)
        if names[1].startswith("("):
            pair = [one.strip() for one in names[1].strip("()").split(",")]
            return origin.place, f"{names[0]}, ({pair[1]}, {pair[0]}) = {value}", _holds(names[0], pair)
        return origin.place, f"{names[0]}, {names[2]}, {names[1]} = {value}", _holds(names[0], names[1:])
    source = place.argument(argument, 1) if place is not None else ""
    got = f"{argument}={source}: {mistake.got}" if source else mistake.got
    return None, _fixed(mistake, place, wanted, argument, source, names), got


def _holds(first: str, names: Sequence[str]) -> str:
    return f"{first}, {', '.join(names)} = ...: {names[0]} gets the hidden state h, {names[1]} the cell state c"


def misnamed(names: Sequence[str]) -> bool:
    """Whether names of an unpacking call the hidden state c, and the cell state h."""
    if len(names) == 2 and names[1].startswith("("):
        names = [names[0], *(one.strip() for one in names[1].strip("()").split(","))]
    if len(names) != 3:
        return False
    first, second = names[1].lower(), names[2].lower()
    cell, hidden = ("c", "cell", "carry", "memory"), ("h", "hidden")
    return _says(first, cell) and _says(second, hidden)


def _says(name: str, words: tuple[str, ...]) -> bool:
    parts = [one for one in name.replace("0", "").replace("1", "").replace("2", "").split("_") if one]
    return any(one in words for one in parts) or name.endswith(tuple(f"_{one}" for one in words))


def _fixed(
    mistake: Mistake, place: Place | None, wanted: tuple[str, ...], argument: str, source: str, names: list[str]
) -> str:
    parts = [one.strip() for one in source.strip("[]()").split(",")] if source.startswith(("[", "(")) else []
    letters = short_names(wanted)
    if mistake.swapped and len(parts) == 2:
        letters = parts[::-1]
    elif len(names) == len(wanted) + 1:
        letters = names[1:]
    if mistake.origin.joined and not mistake.origin.letter:
        return (
            "h = layers.Concatenate()([forward_h, backward_h])\nc = layers.Concatenate()([forward_c, backward_c])\n"
            f"{argument}=[h, c]"
        )
    value = f"[{', '.join(letters)}]"
    expression = place.expression if place is not None else ""
    if letters != parts and "_" in letters and len(letters) == 2:
        letters = ["h", "c"]
    known = f"{argument}=" in expression or f"{argument} =" in expression
    fix = with_keyword(expression, argument, value) if known else f"{argument}={value}"
    return fix if parts or known else f"output, {', '.join(letters)} = ...\n{fix}"
