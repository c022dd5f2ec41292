"""Loops over steps where the state does not get from one turn to the next."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall, ModelCalled
from sostenuto.diagnosis.rules.container_views import shape_in
from sostenuto.diagnosis.rules.state_source import feeds_back, loops, unread, walks_through_time
from sostenuto.diagnosis.rules.state_views import (
    flat,
    given_states,
    is_cell,
    is_keras_own,
    keeps_known_states,
    names_of_states,
    rank,
    returns_state,
    short_names,
    size,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, with_keyword
from sostenuto.diagnosis.views import is_model, kinds, recurrent_layers, source_of, stateful_layers, title

SO329 = rule(
    "SO329",
    "Every turn of a loop starts from the same state, and the new state is thrown away",
    """Decoding step by step, each step has to start from the state that the step before returned. If the loop passes
    the same state in every turn, every step is a first step: the result depends on the last token alone.""",
    """Assign what the call returns to the names that the next turn passes: output, h, c = decoder(token,
    initial_state=[h, c]).""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((1, 5, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
_, h, c = lstm(np.ones((1, 5, 3), "float32"))
for step in range(5):
    output, new_h, new_c = lstm(x[:, step : step + 1], initial_state=[h, c])
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((1, 5, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_state=True)
_, h, c = lstm(np.ones((1, 5, 3), "float32"))
for step in range(5):
    output, h, c = lstm(x[:, step : step + 1], initial_state=[h, c])
""",
)

SO335 = rule(
    "SO335",
    "A layer reads a sequence step by step, and keeps no state between the steps",
    """Without stateful=True, and without initial_state, each call of a recurrent layer begins with a state of zero.
    Called with one step at a time, it never knows anything of the steps before: it remembers nothing.""",
    """Give it the whole sequence in one call; or carry the state yourself: output, h, c = lstm(step,
    initial_state=[h, c]), with return_state=True; or so.SequenceModel(...).session(), which keeps state by id.""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 5, 3)).astype("float32")
lstm = keras.layers.LSTM(4)
outputs = [lstm(x[:, step : step + 1]) for step in range(5)]
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 5, 3)).astype("float32")
lstm = keras.layers.LSTM(4, return_sequences=True)
outputs = lstm(x)
""",
)

# So many turns with one state are no accident.
_TURNS = 3
_VERBS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")


@dataclass
class _Turns:
    state: tuple[Any, ...] = ()
    inputs: set[Any] = field(default_factory=set)
    count: int = 0

    def counted(self, state: tuple[Any, ...], inputs: Any) -> bool:
        """Counts a turn; whether there were enough, with different inputs and the same state."""
        if state != self.state:
            self.state, self.count, self.inputs = state, 0, set()
        self.count += 1
        self.inputs.add(inputs)
        return self.count >= _TURNS and len(self.inputs) > 1


# --- the same state in every turn ------------------------------------------------------------------------------------


@SO329.on(LayerCall)
def started_anew(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a layer or model that is called step by step, each time with the first state."""
    if event.symbolic or event.outer is not None or event.place is None:
        return None
    if keeps_known_states(event.layer):
        states = given_states(event)
        step = is_cell(event.layer) or size(event.inputs, 1) == 1
        if states is None or not step or not returns_state(event.layer):
            return None
        return _turn(event.layer, event.place, event.inputs, states, seen)
    if not is_model(event.layer):
        return None
    behind = [value for name, value in event.options.items() if name.startswith("argument") or "state" in name]
    if behind and not is_keras_own(event.layer):
        # A decoder of the user's own: decoder(token, hidden).
        return _of_model(event.layer, [event.inputs, *flat(behind)], event.output, event.place, seen)
    return _of_model(event.layer, event.inputs, event.output, event.place, seen)


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
    states, returned = list(flat(list(x[1:]))), list(flat(list(output[1:])))
    shapes = [shape_in(one) for one in states]
    if [shape_in(one) for one in returned] != shapes or any(one is None or len(one) != 2 for one in shapes):
        return None
    return _turn(model, place, x[0], states, seen)


def _turn(layer: Any, place: Place, inputs: Any, states: list[Any], seen: Seen) -> Evidence | None:
    known = seen.notes["decoding"].setdefault((id(layer), place.file, place.line), _Turns())
    enough = known.counted(tuple(_print(one) for one in states), _print(inputs))
    if not enough or not loops(place):
        return None
    node = place.node()
    source = node.args[0] if isinstance(node, ast.Call) and node.args else None
    names = _assigned(place)
    thrown = names[1:]
    if thrown and not unread(place, _inside(thrown), loops(place)[0].lineno):
        return None
    onwards = walks_through_time(place, source) or feeds_back(place, source)
    discarded = not thrown or all(ast.unparse(one).startswith("_") for one in thrown)
    # Candidates that are tried from one state are no steps.
    if not onwards and discarded:
        return None
    passed = place.argument("initial_state", 1) or place.argument("states", 1)
    return Evidence(
        title=f"{title(layer)} is started from the same state in every turn of the loop.",
        got=f"{known.count} calls with other inputs, each with the same initial state"
        + (f": {passed}" if 0 < len(passed) < 40 else ""),
        wanted="the state that the call before returned",
        cause="What the call returns as its new state is not passed to the next turn, so each step starts from the "
        "first state\nagain: the state is never carried from step to step, and only the last input counts.",
        fix=_carried([ast.unparse(one) for one in names], passed, place.expression),
        unsure="" if onwards else "whether each turn is meant to begin anew",
        boundary=(title(layer),),
    )


def _print(value: Any) -> Any:
    array = as_array(value)
    if array is None:
        return id(value)
    return (array.shape, float(array.sum()), float(array.ravel()[:1].sum()), float(array.ravel()[-1:].sum()))


def _assigned(place: Place) -> list[ast.expr]:
    statement = place.statement()
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    return list(target.elts) if isinstance(target, ast.Tuple | ast.List) else []


def _inside(targets: list[ast.expr]) -> list[str]:
    # Names in brackets: out, (h, c) = ...
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


def _carried(names: list[str], passed: str, source: str) -> str:
    parts = [one.strip() for one in passed.strip("[]()").split(",")] if passed else []
    if len(names) == len(parts) + 1 and all(one.isidentifier() for one in parts):
        return f"{names[0]}, {', '.join(parts)} = {source}"
    if len(names) > 1 and (passed.isidentifier() or not passed):
        states = [one for one in names[1:] if not one.startswith("_")] or ["h", "c"][: len(names) - 1]
        first = f"{', '.join([names[0], *states])} = {source}\n"
        return first + f"{passed or 'states'} = [{', '.join(states)}]        # for the next turn"
    return f"output, *states = {source}        # and pass these states in the next turn"


# --- no state at all -------------------------------------------------------------------------------------------------


@SO335.on(LayerCall)
def without_state(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a layer, or a model of layers, that is called step by step and keeps nothing between the calls."""
    if event.symbolic or event.outer is not None or event.place is None:
        return None
    node = event.place.node()
    # What fit calls are batches, where its line is the last of the user's: no steps of one sequence.
    if isinstance(node, ast.Call) and called(node) in _VERBS:
        return None
    layer = event.layer
    if keeps_known_states(layer) and not is_cell(layer):
        # None in the first turn is a state of zero that the program knows of.
        if {"initial_state", "argument 1"} & set(event.options) or _stateful(layer):
            return None
        return _step(layer, layer, event.place, event.inputs, seen)
    return _of_steps(layer, event.inputs, event.place, seen)


@SO335.on(ModelCalled)
def predicted_without_state(event: ModelCalled, seen: Seen) -> Evidence | None:
    """The same for predict."""
    if not event.verb.startswith("predict") or event.place is None:
        return None
    return _of_steps(event.model, event.x, event.place, seen)


def _of_steps(model: Any, inputs: Any, place: Place, seen: Seen) -> Evidence | None:
    if not is_model(model) or not is_keras_own(model) or len(getattr(model, "inputs", None) or ()) != 1:
        return None
    layers = recurrent_layers(model)
    # What was trained with one step at a time knows nothing else.
    if not layers or stateful_layers(model) or not _read_more(model, layers[0], seen):
        return None
    return _step(model, layers[0], place, inputs, seen)


def _read_more(model: Any, layer: Any, seen: Seen) -> bool:
    shapes = [one for one in seen.history(layer).shapes if one is not None]
    longer = any(len(one) == 3 and (one[1] or 0) > 1 for one in shapes)
    given = (shape_in(verb.x) for verb in seen.verbs if verb.model is model and verb.verb == "fit")
    return longer or any(one is not None and len(one) > 1 and (one[1] or 0) > 1 for one in given)


def _stateful(layer: Any) -> bool:
    return bool(getattr(layer, "stateful", False) or getattr(getattr(layer, "forward_layer", None), "stateful", False))


def _step(caller: Any, layer: Any, place: Place, inputs: Any, seen: Seen) -> Evidence | None:
    known = seen.notes["stepping"].setdefault((id(caller), place.file, place.line), _Turns())
    if size(inputs, 1) != 1 or rank(inputs) not in (2, 3) or "Bidirectional" in kinds(layer):
        return None
    if rank(inputs) == 2 and not is_model(caller):
        return None
    if not known.counted((), _print(inputs)):
        return None
    node = place.node()
    source = node.args[0] if isinstance(node, ast.Call) and node.args else None
    if not walks_through_time(place, source) and not feeds_back(place, source):
        return None
    names = short_names(names_of_states(layer))
    made, expression = source_of(layer, seen), place.expression
    carried = f"{', '.join(['output', *names])} = "
    if caller is layer:
        fix = (
            f"{with_keyword(made, 'return_state', 'True')}\n{carried}"
            f"{with_keyword(expression, 'initial_state', '[' + ', '.join(names) + ']')}        # first: zeros\n"
            f"# or the whole sequence in one call, with return_sequences=True"
        )
    else:
        fix = (
            "live = so.SequenceModel(model).session()        # keeps state by id: live.step({'a': values})\n"
            "# or give the model all steps so far in every call, not the last one alone"
        )
    return Evidence(
        title=f"{title(caller)} is called one step at a time, and keeps no state between the calls.",
        got=f"{known.count} calls with one step each, {tuple(inputs.shape)}; no initial_state, stateful=False",
        wanted="the state that the call before left, or the whole sequence in one call",
        cause=f"Without stateful=True and without initial_state each call of {title(layer)} begins with a state of "
        "zero: the state\nis thrown away after every step, and nothing of the steps before is remembered.",
        fix=fix,
        place=place,
        boundary=(title(layer),),
    )
