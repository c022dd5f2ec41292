"""A loop over sequences around a loop over their steps, with a stateful layer inside and no reset between sequences."""

from __future__ import annotations

import ast

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import LayerCall, ModelCalled
from sostenuto.diagnosis.rules.stateful_calls import SO347
from sostenuto.diagnosis.rules.stateful_rows import lies_behind
from sostenuto.diagnosis.rules.stateful_runs import carries, followed, layer_name, line_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import title


@SO347.on(ModelCalled, LayerCall)
def next_of_a_loop(event: ModelCalled | LayerCall, seen: Seen) -> Evidence | None:
    """Looks for the first step of the next sequence, read with the state of the last one."""
    place = event.place
    loops = _around(place)
    if place is None or len(loops) < 2:
        return None
    outer, inner = loops[-2:]
    # The sequence of the outer loop, whose steps the inner loop goes through, or cuts pieces from.
    cut = [one for one in _names(place.node() or inner.iter) if not np.isscalar(place.value(one))]
    name = next((one for one in _names(outer.target) if one in [*_names(inner.iter), *cut]), None)
    log = followed(event, seen) if name is not None else None
    if name is None or log is None or not log.runs or (isinstance(event, ModelCalled) and not carries()):
        return None
    # A number is known by its value: the same objects stand for small ones.
    value = place.value(name)
    now = value if isinstance(value, int | str) else id(value)
    known = seen.notes["stateful loops"]
    before, known[id(log)] = known.get(id(log)), now
    run = log.runs[-1]
    last = log.runs[-2].piece if len(log.runs) > 1 else None
    # A long sequence in pieces, each read step by step.
    if last is not None and run.piece is not None and lies_behind(last, run.piece):
        return None
    if before in (None, now) or run.after_reset or run.zero[0] or run.verb.startswith(("fit", "train")):
        return None
    layer, line = layer_name(log, place), place.source(outer).splitlines()[0]
    return Evidence(
        title=f"{title(log.layer)} begins the next sequence with the state that the last one left.",
        got=f"{line_of(run)} reads step after step of {name}, then the steps of the next one;\n"
        f"no reset of {title(log.layer)} between two of them",
        wanted=f"a state of zero where a sequence begins: {layer}.reset_state() before the inner loop",
        cause="With stateful=True nothing resets the state by itself. Each sequence of the loop begins with the state "
        "of the\none before, so its result depends on which sequences were read earlier.",
        fix=f"{line}\n    {layer}.reset_state()",
        unsure="whether these are pieces of one long sequence",
        boundary=(title(log.layer),),
    )


def _around(place: Place | None) -> list[ast.For]:
    # The for loops around a place, outermost first.
    found = []
    for node in ast.walk(place.module() or ast.Module([], [])) if place is not None else ():
        if isinstance(node, ast.For) and place is not None and node.lineno <= place.line <= (node.end_lineno or 0):
            found.append(node)
    return sorted(found, key=lambda loop: loop.lineno)


def _names(node: ast.AST) -> list[str]:
    return [one.id for one in ast.walk(node) if isinstance(one, ast.Name)]
