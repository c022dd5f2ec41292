"""Models of Keras whose outputs hang on another input than those they are given."""

from __future__ import annotations

import ast
import copy
import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.state_pages import SO331
from sostenuto.diagnosis.rules.state_unused import parents_of
from sostenuto.diagnosis.rules.state_views import flat
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called

_MESSAGE = re.compile(r"not connected to `?inputs|[Gg]raph disconnected")


@SO331.on(Failure)
def two_inputs(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a model made of one Input and of outputs that come from another."""
    place = failure.place
    # In fit and its siblings it is the data that leaves an input open.
    if place is None or failure.verb is not None or not _MESSAGE.search(failure.message):
        return None
    call = place.call("Model", "Functional")
    fresh = [
        one
        for one in (ast.walk(call) if call is not None else ())
        if isinstance(one, ast.Call) and called(one) == "Input"
    ]
    if call is not None and not fresh and (found := _missing(place, call, seen)) is not None:
        return found
    first = place.source(fresh[0]) if fresh else "keras.Input(...)"
    if len(fresh) > 1:
        made = f"{len(fresh)} calls of Input in one line, each of which makes an input of its own"
    else:
        made = "outputs that were computed from another Input than the model's"
    fix = f"inputs = {first}\n"
    if call is not None:
        statement = place.statement()
        whole = isinstance(statement, ast.Assign | ast.Return) and statement.value is call
        text = place.source(statement if whole and statement is not None else call)
        for one in fresh:
            text = text.replace(place.source(one), "inputs")
        fix += text
    else:
        fix += "model = keras.Model(inputs, outputs)        # outputs computed from the same inputs"
    return Evidence(
        got=made,
        wanted="one Input, given to the first layer and to the model: the same input",
        cause="Each call of keras.Input makes a different input, even of the same shape. The layers were applied to "
        "one, and the\nmodel is given another, so its outputs are not connected to its inputs.",
        fix=fix,
        boundary=("Input", "Model"),
    )


def _missing(place: Place, call: ast.Call, seen: Seen) -> Evidence | None:
    # The inputs that the outputs need and the model does not get, by the user's names.
    nodes = {"inputs": call.args[0] if call.args else None, "outputs": call.args[1] if len(call.args) > 1 else None}
    nodes |= {one.arg: one.value for one in call.keywords if one.arg in nodes}
    given, wanted = _values(place, nodes["inputs"]), _values(place, nodes["outputs"])
    needed = _inputs_of(wanted, {id(one) for one in given})
    missing = [one for one in needed or () if not any(one is other for other in given)]
    if not missing:
        return None
    names = [_name(one, place) for one in missing]
    source = place.source(nodes["inputs"]) if nodes["inputs"] is not None else "[]"
    spare = [name for one in given if not any(one is other for other in needed or ()) and (name := _name(one, place))]
    fixes = []
    if all(names):
        listed = source.strip("[]") if source.startswith("[") and source.count("[") == 1 else source
        every = f"{source} + [{', '.join(names)}]" if "+" in source else f"[{', '.join([listed, *names])}]"
        fixes.append(_with_inputs(call, nodes["inputs"], every))
    if spare:
        fixes.append(f"compute the outputs anew from {', '.join(spare)}: call the layers on these, then keras.Model")
    fix = "\n# or ".join(fixes) or "make one Input, pass it to the first layer and to keras.Model"
    states = len(spare) > 0 and all(len(tuple(one.shape)) == 2 for one in given if _name(one, place) in spare)
    words = [
        name or f"an Input of {tuple(one.shape)} that has no name any more"
        for name, one in zip(names, missing, strict=True)
    ]
    shapes = ", ".join(
        f"{name} {tuple(one.shape)}" if name else word for name, one, word in zip(names, missing, words, strict=True)
    )
    return Evidence(
        title="The outputs of a model depend on an input that the model is not given.",
        got=f"inputs {source}; the outputs are computed from {shapes} too",
        wanted=f"every Input that the outputs depend on, among the model's inputs: {', '.join(words)}",
        cause="A model computes its outputs from its inputs alone. These outputs were computed from another Input, "
        "which is not\namong them, so they are not connected to the model's inputs."
        + (
            " States of an encoder bring its input with them;\nfor a decoder alone they are new Inputs."
            if states
            else ""
        ),
        fix=fix,
        boundary=("Input", "Model"),
    )


def _values(place: Place, node: ast.AST | None) -> list[Any]:
    names = [one.id for one in ast.walk(node or ast.Module([], [])) if isinstance(one, ast.Name)]
    return [one for name in names for one in flat(place.names.get(name)) if hasattr(one, "shape")]


def _name(tensor: Any, place: Place) -> str:
    names = place.names_of(tensor)
    return names[0] if names else ""


def _with_inputs(call: ast.Call, inputs: ast.AST | None, every: str) -> str:
    # The user's call with other inputs.
    made = copy.deepcopy(call)
    new = ast.parse(every, mode="eval").body
    if call.args and call.args[0] is inputs:
        made.args[0] = new
    for keyword in made.keywords:
        if keyword.arg == "inputs":
            keyword.value = new
    return ast.unparse(made)


def _inputs_of(outputs: list[Any], stop: set[int]) -> list[Any] | None:
    # The Inputs that some tensors hang on; what the model is given ends the search.
    found: list[Any] = []
    known: set[int] = set()
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in known:
            continue
        known.add(id(tensor))
        before = parents_of(tensor) if id(tensor) not in stop else []
        if before is None:
            return None
        if not before:
            found.append(tensor)
        waiting += before
    return found
