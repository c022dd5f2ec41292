"""A loop over sequences around a loop over their steps, with a state that goes on from one sequence into the next."""

from __future__ import annotations

import ast
import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.state_source import loaded, loops, stored
from sostenuto.diagnosis.rules.state_views import given_states, is_cell, keeps_known_states, origin_of, rank, size
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import title

SO338 = rule(
    "SO338",
    "The state that one sequence left starts the next one",
    """A state belongs to a sequence. A loop over sequences that carries it on from the last step of one to the first
    step of the next lets each result depend on the sequences before.""",
    """Set the state back to zero where a sequence begins, inside of the outer loop. A session of Sostenuto keeps
    state by id: a new id begins at zero.""",
    example="""
import numpy as np, keras
sequences = [np.ones((1, steps, 3), "float32") for steps in (4, 6, 3)]
gru = keras.layers.GRU(4, return_state=True)
state = keras.ops.zeros((1, 4))
for sequence in sequences:
    for step in range(sequence.shape[1]):
        output, state = gru(sequence[:, step : step + 1], initial_state=state)
""",
    repaired="""
import numpy as np, keras
sequences = [np.ones((1, steps, 3), "float32") for steps in (4, 6, 3)]
gru = keras.layers.GRU(4, return_state=True)
for sequence in sequences:
    state = keras.ops.zeros((1, 4))
    for step in range(sequence.shape[1]):
        output, state = gru(sequence[:, step : step + 1], initial_state=state)
""",
)

# Pieces of one sequence go on from each other.
_PIECES = re.compile(r"chunk|window|part|piece|segment|batch|block", re.IGNORECASE)


@SO338.on(LayerCall)
def next_sequence(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for the first step of another sequence, started from the state that the last one left."""
    place, layer = event.place, event.layer
    if event.outer is not None or event.symbolic or place is None or not keeps_known_states(layer):
        return None
    states = given_states(event)
    around = loops(place) if states and (is_cell(layer) or size(event.inputs, 1) == 1) else []
    if len(around) < 2 or states is None:
        return None
    outer, inner = around[-2:]
    if not isinstance(outer, ast.For) or not isinstance(inner, ast.For | ast.While):
        return None
    inside = loaded(inner.iter) if isinstance(inner, ast.For) else loaded(inner.test)
    name = next((one for one in stored(outer.target) if one in inside), None)
    if name is None or _PIECES.search(name):
        return None
    value = place.names.get(name)
    log: list[tuple[Any, int | None]] = seen.notes["state sequences"].setdefault((id(layer), place.line), [])
    if log and log[-1][0] == id(value):
        return None
    log.append((id(value), _length(value)))
    lengths = [one for _, one in log]
    # Pieces of one long sequence are as long as each other, all but the last.
    if len(log) < 3 or len({one for one in lengths[:-1] if one is not None}) < 2:
        return None
    carried = [one for one in states if (origin := origin_of(one, seen)) is not None and origin.number == id(layer)]
    passed = _passed(place)
    if len(carried) != len(states) or not passed or passed & _set_between(outer, inner):
        return None
    line = place.source(outer).splitlines()[0]
    zeros = " = ".join(sorted(passed)) + f" = keras.ops.zeros({tuple(states[0].shape)})"
    if any(isinstance(one, ast.List | ast.Tuple) for one in [_argument(place)]) or len(states) == 1:
        fix = f"{line}\n    {zeros}"
    else:
        fix = f"{line}\n    {sorted(passed)[0]} = [keras.ops.zeros({tuple(states[0].shape)})] * {len(states)}"
    return Evidence(
        title=f"{title(layer)} begins the next sequence with the state that the last one left.",
        got=f"{len(log)} sequences of {', '.join(str(one) for one in lengths)} steps in a loop; "
        f"{', '.join(sorted(passed))} is set before the loop, once",
        wanted="a state of zero where a sequence begins: inside of the loop over sequences",
        cause=f"The state is made once, outside of the loop over {name}, and goes on from the last step of one "
        "sequence to the first\nstep of the next: the state is carried between sequences that are independent.",
        fix=fix,
        unsure="whether these are pieces of one long sequence",
        boundary=(title(layer),),
    )


def _length(value: Any) -> int | None:
    if rank(value) is not None and (rank(value) or 0) >= 2:
        return size(value, 1) if rank(value) == 3 else size(value, 0)
    return len(value) if isinstance(value, list | tuple) else None


def _argument(place: Place) -> ast.expr | None:
    node = place.node()
    if not isinstance(node, ast.Call):
        return None
    named = next((one.value for one in node.keywords if one.arg in ("initial_state", "states")), None)
    return named if named is not None else (node.args[1] if len(node.args) > 1 else None)


def _passed(place: Place) -> set[str]:
    return loaded(_argument(place))


def _set_between(outer: ast.For, inner: ast.AST) -> set[str]:
    # Names that the outer loop sets outside of the inner one.
    found: set[str] = set()
    waiting: list[ast.AST] = list(outer.body)
    while waiting:
        node = waiting.pop()
        if node is inner:
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        waiting += list(ast.iter_child_nodes(node))
    return found
