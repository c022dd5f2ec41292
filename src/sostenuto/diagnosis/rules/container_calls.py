"""The call that was given data, as the user wrote it, and the same call with something changed."""

from __future__ import annotations

import ast
import copy
import inspect
import re
from dataclasses import dataclass
from typing import Any

from sostenuto.diagnosis.events import Failure, LayerCall, ModelCall
from sostenuto.diagnosis.rules.container_views import inputs_of, is_container, shape_in
from sostenuto.diagnosis.source import Place

# Arguments of fit by position.
_POSITIONS = ("x", "y")


def own_verb(failure: Failure) -> ModelCall | None:
    """The fit, evaluate or predict that an exception came out of; None where it came from somewhere else."""
    verb = failure.verb
    if verb is None or not failure.places or verb.place is None:
        return verb
    lines = {(place.file, place.line) for place in failure.places}
    return verb if (verb.place.file, verb.place.line) in lines else None


def outer_call(verb: ModelCall) -> tuple[Place, ast.Call, bool] | None:
    """The call as the user wrote it: where, the call, and whether it is the fit that evaluated for itself."""
    for one, inside in ((verb, False), (verb.within, True)):
        node = one.place.call(one.verb) if one is not None and one.place is not None else None
        if one is not None and one.place is not None and node is not None:
            return one.place, node, inside
    return None


def written(verb: ModelCall, name: str) -> str:
    """The source of an argument of fit, evaluate or predict, its name where it cannot be read.

    What fit evaluates for itself is looked up in its ``validation_data``.
    """
    found = outer_call(verb)
    if found is None:
        return name
    place, _, inside = found
    if not inside:
        return place.argument(name, _POSITIONS.index(name) if name in _POSITIONS else None, verb.verb) or name
    number = _POSITIONS.index(name) if name in _POSITIONS else len(_POSITIONS)
    pair = _validation(found)
    if isinstance(pair, ast.Tuple | ast.List) and number < len(pair.elts):
        return place.source(pair.elts[number])
    return f"{place.source(pair)}[{number}]" if isinstance(pair, ast.Name) else name


def call_with(verb: ModelCall, **changes: str) -> str:
    """The user's call of fit, evaluate or predict with some arguments written anew.

    Args:
        verb: the call; what fit evaluates for itself is changed in its ``validation_data``.
        changes: source for arguments, by name.
    """
    found = outer_call(verb)
    if found is None:
        return ", ".join(f"{name}={source}" for name, source in changes.items()) or f"{verb.name}(...)"
    new = copy.deepcopy(found[1])
    if found[2]:
        pair = _validation(found)
        parts = [changes.get(name) or written(verb, name) for name in _POSITIONS]
        if isinstance(pair, ast.Tuple | ast.List):
            parts += [found[0].source(one) for one in pair.elts[len(_POSITIONS) :]]
        changes = {"validation_data": f"({', '.join(parts)})"}
    for number, name in enumerate(_POSITIONS):
        if name in changes and number < len(new.args):
            new.args[number] = _parsed(changes.pop(name))
    positional = [name for name in _POSITIONS if name in changes and len(new.args) == _POSITIONS.index(name)]
    for name in positional:
        if all(one.arg != name for one in new.keywords):
            new.args.append(_parsed(changes.pop(name)))
    for one in new.keywords:
        if one.arg in changes:
            one.value = _parsed(changes.pop(one.arg))
    new.keywords += [ast.keyword(name, _parsed(source)) for name, source in changes.items()]
    return ast.unparse(ast.fix_missing_locations(new))


def _parsed(source: str) -> ast.expr:
    # Source of several lines stands without its brackets.
    return ast.parse(f"({source})", mode="eval").body


def _validation(found: tuple[Place, ast.Call, bool]) -> ast.expr | None:
    return next((one.value for one in found[1].keywords if one.arg == "validation_data"), None)


def with_argument(source: str, name: str, position: int, value: str) -> str:
    """A call's source with an argument written anew, by position or by name as it was.

    Args:
        source: of the call.
        name: of the argument.
        position: of the argument, from 0.
        value: source to write.

    Example:
        >>> with_argument("layers.Embedding(500, 16)", "input_dim", 0, "501")
        'layers.Embedding(501, 16)'
        >>> with_argument("layers.Embedding(output_dim=16, input_dim=500)", "input_dim", 0, "501")
        'layers.Embedding(output_dim=16, input_dim=501)'
    """
    try:
        call = _parsed(source)
    except SyntaxError:
        return source
    if not isinstance(call, ast.Call):
        return source
    for one in call.keywords:
        if one.arg == name:
            one.value = _parsed(value)
            return ast.unparse(call)
    if position < len(call.args):
        call.args[position] = _parsed(value)
    else:
        call.keywords.append(ast.keyword(name, _parsed(value)))
    return ast.unparse(call)


@dataclass(frozen=True)
class Given:
    """What a model or a layer was given when it failed.

    Attributes:
        model: the model or layer.
        x: its inputs, as the user gave them.
        y: its targets, or None.
        place: of the call.
        source: of the inputs, in the user's words.
        verb: the fit, evaluate or predict, or None where the model was called itself.
    """

    model: Any
    x: Any
    y: Any
    place: Place | None
    source: str
    verb: ModelCall | None = None

    @property
    def name(self) -> str:
        """The call in words: "model.fit"."""
        if self.verb is not None:
            return (self.verb.within or self.verb).name
        names = self.place.names_of(self.model) if self.place is not None else []
        names = [name for name in names if name != "self"]
        return names[0] if names else type(self.model).__name__

    @property
    def in_batches(self) -> bool:
        """Whether it is a batch of a dataset or generator, which no expression of the user's stands for."""
        return self.verb is not None and not is_container(self.verb.x)

    def call(self, **changes: str) -> str:
        """The user's call with its inputs (``x``) or targets (``y``) written anew; or what its batches are to be."""
        if self.verb is not None and self.in_batches:
            inputs = re.sub(r"^\[(.*)\]$", r"(\1)", changes.get("x", "inputs"), flags=re.DOTALL)
            form = "yield {}, targets" if inspect.isgenerator(self.verb.x) else "({}, targets)      # in each batch"
            return form.format(inputs)
        if self.verb is not None:
            return call_with(self.verb, **changes)
        node = self.place.node() if self.place is not None else None
        if isinstance(node, ast.Call) and node.args and "x" in changes:
            new = copy.deepcopy(node)
            new.args[0] = _parsed(changes["x"])
            return ast.unparse(ast.fix_missing_locations(new))
        return f"{self.name}({changes.get('x', 'x')})"


def own_verbs(failure: Failure) -> list[ModelCall]:
    """The fit, evaluate or predict that an exception came out of, and the evaluation that fit prepares for itself."""
    verb = own_verb(failure)
    if verb is None:
        return []
    pair = verb.options.get("validation_data") if verb.verb == "fit" else None
    if not isinstance(pair, list | tuple) or len(pair) < 2:
        return [verb]
    return [verb, ModelCall(verb.place, "evaluate", verb.model, pair[0], pair[1], {}, verb)]


def givens(failure: Failure) -> list[Given]:
    """What the model was given whose fit, evaluate, predict or call failed; with fit's validation data, if any.

    Batches of a dataset or generator are taken from the call of the model.
    """
    verbs = own_verbs(failure)
    found = [_given(failure, verbs[0] if verbs else None)]
    found += [Given(verb.model, verb.x, verb.y, verb.place, written(verb, "x"), verb) for verb in verbs[1:]]
    return [one for one in found if one is not None]


def given_to(failure: Failure) -> Given | None:
    """The same without validation data; None where no model or layer was under way."""
    return _given(failure, own_verb(failure))


def _given(failure: Failure, verb: ModelCall | None) -> Given | None:
    if verb is not None and is_container(verb.x):
        return Given(verb.model, verb.x, verb.y, verb.place, written(verb, "x"), verb)
    calls = [call for call in failure.calls if isinstance(call, LayerCall) and not call.symbolic]
    if not calls:
        return None
    call = calls[-1]
    if verb is not None:
        source = "a batch" if not isinstance(call.inputs, list | tuple | dict) else "batch"
        return Given(verb.model, call.inputs, None, verb.place, source, verb) if call.layer is verb.model else None
    place = call.place or failure.place
    node = place.node() if place is not None else None
    source = place.source(node.args[0]) if place is not None and isinstance(node, ast.Call) and node.args else "x"
    return Given(call.layer, call.inputs, None, place, source)


def is_pair(given: Given) -> bool:
    """Whether (x, y) was given as one: two parts, of which the second has as many rows and cannot be an input."""
    if given.y is not None or not isinstance(given.x, list | tuple) or len(given.x) not in (2, 3):
        return False
    if given.verb is None or given.verb.verb not in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        return False
    first, second = shape_in(given.x[0]), shape_in(given.x[1])
    if not first or not second or first[0] != second[0] or len(first) < 2:
        return False
    known = inputs_of(given.model)
    if len(known) > 1:
        return False
    if known:
        return known[0].fits(first)
    return first != second
