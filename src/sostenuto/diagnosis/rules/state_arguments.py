"""States, masks and options that are passed where they are not taken: by position, to a model, to the constructor."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.state_views import (
    flat,
    is_cell,
    is_keras_own,
    is_lstm,
    keeps_known_states,
    names_of_states,
    origin_of,
    own_call,
    place_here,
    place_in,
    rank,
    short_names,
    size,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, with_keyword, without_keyword
from sostenuto.diagnosis.views import is_model, is_recurrent, title
from sostenuto.diagnosis.wording import axes

SO333 = rule(
    "SO333",
    "An initial state, a mask or an option is passed where it is not taken",
    """A recurrent layer of Keras 3 is called as layer(sequence, initial_state=None, mask=None, training=False). By
    position the second argument is the initial state, not the mask. Models do not pass initial_state on to their
    layers, and ignore it without a word; the constructor does not take it at all. return_state and return_sequences
    are options of the constructor.""",
    """Pass states and masks by name, to the layer itself: lstm(x, mask=mask, initial_state=[h, c]). For a model, make
    the states inputs of it.""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 6, 3)).astype("float32")
output = keras.layers.GRU(6)(x, np.ones((2, 6), bool))
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 6, 3)).astype("float32")
output = keras.layers.GRU(6)(x, mask=np.ones((2, 6), bool))
""",
)

_LAYERS = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional")
_OPTIONS = ("return_state", "return_sequences", "go_backwards", "stateful", "unroll")
_VERBS = ("fit", "evaluate", "predict", "predict_on_batch", "train_on_batch", "test_on_batch")


@SO333.on(Failure)
def refused(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for arguments by position, and lists of inputs, in the calls that an exception came through."""
    for call in failure.calls:
        if isinstance(call, LayerCall) and keeps_known_states(call.layer) and own_call(call):
            place = place_in(failure, call, seen)
            found = misplaced(call, place, seen) or _listed(call, place, seen)
            if found is not None:
                return found
    return None


@SO333.on(LayerCall)
def taken(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for the same in calls that went through, and for states that a model was given in vain."""
    if keeps_known_states(event.layer) and own_call(event) and not event.symbolic:
        return misplaced(event, place_here(event, seen), seen)
    given = event.options.get("initial_state")
    if given is not None and is_model(event.layer) and is_keras_own(event.layer) and event.outer is None:
        return _in_vain(event)
    return None


def misplaced(call: LayerCall, place: Place | None, seen: Seen) -> Evidence | None:
    """What stands in the place of another argument, if anything does.

    Args:
        call: of a layer whose states are known.
        place: the line that made the call.
        seen: knows where tensors come from.
    """
    second, third = call.options.get("argument 1"), call.options.get("argument 2")
    name = "states" if is_cell(call.layer) else "initial_state"
    expression = place.expression if place is not None else ""
    if isinstance(second, bool):
        return _of(
            call,
            place,
            got=f"{second} as {name}, the second argument",
            wanted=f"training={second}, by its name: layer(sequence, initial_state=None, mask=None, training=False)",
            cause=f"By position, the second argument is {name}; training and mask are passed by name.",
            fix=_by_name(expression, 1, "training"),
        )
    mask: Any = next((one for one in (second, call.options.get("initial_state")) if _is_mask(one, call)), None)
    if mask is not None:
        return _of(
            call,
            place,
            got=f"a mask {axes(tuple(mask.shape), 'BT')} as initial_state, the second argument",
            wanted="mask=..., by its name: layer(sequence, initial_state=None, mask=None)",
            cause="By position, the second argument of a recurrent layer is its initial state, not its mask. The mask "
            "is taken for a\nstate, and nothing is masked.",
            fix=_by_name(expression, 1, "mask"),
        )
    if second is not None and rank(second) == rank(third) == 2 and is_lstm(call.layer) and not _is_boolean(third):
        letters = ", ".join(_sources(expression)[1:3]) or "h, c"
        return _of(
            call,
            place,
            got=f"{name} {tuple(second.shape)} alone; the tensor behind it is taken for another argument",
            wanted=f"both states in one list: {name}=[{letters}]",
            cause="An LSTM takes its hidden state h and its cell state c together, in one list. By position the next "
            f"argument\nis {'training' if is_cell(call.layer) else 'the mask'}, and the cell state is taken for it.",
            fix=_by_name(expression, 1, name, f"[{letters}]", 2),
        )
    states = [one for one in flat(third) if hasattr(one, "shape")] if third is not None else []
    if states and not is_cell(call.layer) and not _is_boolean(states[0]) and all(rank(one) == 2 for one in states):
        known = [origin_of(one, seen) for one in states]
        if isinstance(third, list | tuple) or any(one is not None and one.state for one in known):
            return _of(
                call,
                place,
                got=f"states {', '.join(str(tuple(one.shape)) for one in states)} as mask, the third argument",
                wanted="initial_state=..., by its name: layer(sequence, initial_state=None, mask=None)",
                cause="By position, the second argument of a recurrent layer is initial_state, the third one the mask. "
                "Here the\nstates are taken for a mask, and the layer starts from zero.",
                fix=_by_name(expression, 2, "initial_state"),
            )
    return None


def _is_boolean(value: Any) -> bool:
    return _dtype(value) == "bool"


def _dtype(value: Any) -> str:
    found = getattr(value, "dtype", "")
    return str(getattr(found, "name", None) or found).rpartition(".")[2]


def _is_mask(value: Any, call: LayerCall) -> bool:
    rows, steps = size(call.inputs, 0), size(call.inputs, 1)
    numbers = _dtype(value).startswith(("bool", "int", "uint"))
    return rank(value) == 2 and numbers and not is_cell(call.layer) and tuple(value.shape) == (rows, steps)


def _of(call: LayerCall, place: Place | None, got: str, wanted: str, cause: str, fix: str) -> Evidence:
    return Evidence(
        title=f"{title(call.layer)} is given an argument in the place of another.",
        got=got,
        wanted=wanted,
        cause=cause,
        fix=fix,
        place=place,
        boundary=(title(call.layer),),
    )


def _call(expression: str) -> ast.Call | None:
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        return None
    return tree if isinstance(tree, ast.Call) else None


def _sources(expression: str) -> list[str]:
    call = _call(expression)
    return [ast.unparse(one) for one in call.args] if call is not None else []


def _by_name(expression: str, position: int, name: str, value: str = "", last: int = 0) -> str:
    # The call with a positional argument passed by name, those before it that are None left out.
    call = _call(expression)
    if call is None or len(call.args) <= position:
        return f"layer(x, {name}={value or '...'})"
    value = value or ast.unparse(call.args[position])
    call.args = [
        one
        for number, one in enumerate(call.args)
        if number == 0
        or (number > max(position, last))
        or (number < position and not (isinstance(one, ast.Constant) and one.value is None))
    ]
    return with_keyword(ast.unparse(call), name, value)


def _listed(call: LayerCall, place: Place | None, seen: Seen) -> Evidence | None:
    # lstm([x, h, c]), as Keras 2 allowed.
    given = call.inputs
    if not isinstance(given, list | tuple) or len(given) < 2 or rank(given[0]) != 3:
        return None
    if any(rank(one) != 2 for one in given[1:]) or is_cell(call.layer):
        return None
    first, second = origin_of(given[0], seen), origin_of(given[1], seen)
    # All that one layer returned, output and states: that is another mistake.
    if first is not None and second is not None and first.number == second.number and len(given) == first.states + 1:
        return None
    expression = place.expression if place is not None else ""
    parsed = _call(expression)
    letters = short_names(names_of_states(call.layer))[: len(given) - 1]
    fix = f"layer(x, initial_state=[{', '.join(letters)}])"
    if parsed is not None and parsed.args and isinstance(parsed.args[0], ast.List | ast.Tuple):
        sequence, *states = parsed.args[0].elts
        parsed.args[0] = sequence
        fix = with_keyword(ast.unparse(parsed), "initial_state", f"[{', '.join(map(ast.unparse, states))}]")
    return _of(
        call,
        place,
        got=f"a list of {len(given)} tensors as the input: the sequence and {len(given) - 1} states",
        wanted="one tensor (batch, time, features), and initial_state=[...] by its name",
        cause="Keras 2 took the initial state behind the sequence in one list; Keras 3 reads one tensor and takes "
        "states only as\ninitial_state.",
        fix=fix,
    )


def _in_vain(event: LayerCall) -> Evidence:
    place = event.place
    expression = place.expression if place is not None else ""
    recurrent = next((one for one in getattr(event.layer, "layers", ()) if is_recurrent(one)), None)
    inner = title(recurrent) if recurrent is not None else "the recurrent layer inside"
    letters = short_names(names_of_states(recurrent)) if recurrent is not None else ["h", "c"]
    inputs = "; ".join(f"{one} = keras.Input((units,))" for one in letters)
    return Evidence(
        title=f"{title(event.layer)} does not pass initial_state on to {inner}.",
        got=f"{expression or 'model(x, initial_state=...)'}: initial_state is ignored, {inner} starts at zero",
        wanted="initial_state at the call of the layer itself; no such argument is known to a model",
        cause="A model hands its inputs to its layers and nothing else. An argument that it does not know is dropped "
        "without a word,\nso the layer starts from a state of zero.",
        fix=f"{inputs}\nmodel = keras.Model([x, {', '.join(letters)}], lstm(x, initial_state=[{', '.join(letters)}]))",
        boundary=(title(event.layer), inner),
    )


# --- options where they are not known --------------------------------------------------------------------------------


@SO333.on(Failure)
def of_the_constructor(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for initial_state in the constructor or in fit, and for return_state in the call."""
    place = failure.place
    node = place.node() if place is not None else None
    if place is None or not isinstance(node, ast.Call):
        return None
    names = {one.arg for one in node.keywords}
    wrong = next((one for one in ("initial_state", *_OPTIONS) if one in names and one in failure.message), None)
    if wrong is None:
        return None
    if wrong == "initial_state" and called(node) in (*_LAYERS, *_VERBS):
        return _to_the_call(place, node)
    layer = place.value(node.func)
    if wrong in _OPTIONS and (
        is_recurrent(layer) or (isinstance(node.func, ast.Call) and called(node.func) in _LAYERS)
    ):
        return _to_the_layer(place, node, wrong)
    return None


def _to_the_call(place: Place, node: ast.Call) -> Evidence:
    value = next(place.source(one.value) for one in node.keywords if one.arg == "initial_state")
    without, verb = without_keyword(place.source(node), "initial_state"), called(node)
    fix = f"{without}(x, initial_state={value})"
    if verb in _VERBS:
        fix = f"{place.source(node.func)}([x, h, c])        # states as inputs of the model: keras.Input((units,))"
    return Evidence(
        title=f"{verb} takes no initial_state: it belongs to the call of the layer.",
        got=f"initial_state={value} in {verb}(...)",
        wanted="initial_state where the layer is called: layer(x, initial_state=[h, c])",
        cause="An initial state belongs to the sequences of a batch, so it is given with them, in the call of the "
        "layer. A layer in a\nSequential model cannot be given one; in a Functional model the states are inputs.",
        fix=fix,
        place=place,
        boundary=(verb,),
    )


def _to_the_layer(place: Place, node: ast.Call, wrong: str) -> Evidence:
    value = next(place.source(one.value) for one in node.keywords if one.arg == wrong)
    function = node.func
    layer = place.source(function)
    made = (
        with_keyword(layer, wrong, value)
        if isinstance(function, ast.Call)
        else f"keras.layers.LSTM(units, {wrong}={value})"
    )
    without = without_keyword(place.source(node), wrong)
    fix = (
        without.replace(ast.unparse(function), made, 1)
        if isinstance(function, ast.Call)
        else f"{layer} = {made}\n{without}"
    )
    return Evidence(
        title=f"{wrong} is an option of the layer, not of its call.",
        got=f"{wrong}={value} in the call {place.source(node)}",
        wanted=f"{wrong}={value} where the layer is made",
        cause=f"A layer decides what it returns when it is made. Its call takes the sequence, initial_state, mask and "
        f"training;\n{wrong} is not known there.",
        fix=fix,
        place=place,
        boundary=(layer,),
    )
