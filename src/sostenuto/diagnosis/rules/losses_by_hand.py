"""Losses that a program computes itself: predictions and targets whose difference broadcasts."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.output_pages import SO411, SO412, SO419, SO420
from sostenuto.diagnosis.rules.output_views import BROADCASTING, Shape, last_layer, name_of_loss, sizes_in
from sostenuto.diagnosis.rules.outputs import one_output_for_all_steps, one_target_for_all_steps
from sostenuto.diagnosis.rules.outputs_compared import Compared
from sostenuto.diagnosis.rules.outputs_sizes import sizes_differ
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import is_model, is_ours

# Functions that subtract two arrays, of every library.
_SUBTRACT = ("subtract", "sub", "squared_difference")
# Calls of a model that are looked at, and lines behind them.
_CALLS, _LINES = 20, 12
_BLOCKS = ("body", "orelse", "finalbody")

# The whole expression, and two parts of it that meet.
Pair = tuple[ast.expr, ast.expr, ast.expr]
Pairs = Callable[[ast.AST], list[Pair]]


@SO420.on(LayerCall)
def difference(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for (N, 1) - (N,) where a model's output meets its targets."""
    model, output = _called(event)
    if output is None or len(output) != 2 or output[-1] != 1 or output[0] == 1 or event.place is None:
        return None
    for whole, left, right in _used(event.place, model, _differences(event.place)):
        other = event.place.value(right)
        target = sizes_in(other) if other is not None else None
        if target is None or len(target) != 1 or target[0] != output[0]:
            continue
        mine, theirs = event.place.source(left), event.place.source(right)
        made = (output[0], target[0])
        rows = output[0] if output[0] is not None else "all"
        return Evidence(
            title=f"Predictions {output} and targets {target} broadcast to {made}.",
            got=f"{mine} {output} beside {theirs} {target}: their difference is {made}, not {target}",
            wanted=f"two arrays of one shape: {target} and {target}",
            cause=f"{output} and {target} broadcast to {made}: each of the {rows} predictions is compared with "
            f"each of the {rows} targets.\nThat is smallest where every prediction is the mean of the targets, so that "
            "is what the model learns.\nThe output has a last axis of 1 that the targets have not.",
            fix=f"{indexed(event.place, whole, left)}        # or {theirs}[:, None]: a trailing axis for the targets",
            boundary=(mine, theirs),
        )
    return None


@SO411.on(LayerCall)
def one_target_in_a_function(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for outputs at every step that a function of Keras's losses compares with one target per sequence."""
    return next((found for one in _given(event) if (found := one_target_for_all_steps(one, seen)) is not None), None)


@SO412.on(LayerCall)
def one_output_in_a_function(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for one output that such a function compares with several targets."""
    return next((found for one in _given(event) if (found := one_output_for_all_steps(one, seen)) is not None), None)


@SO419.on(LayerCall)
def sizes_in_a_function(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for outputs and targets of different sizes that such a function compares."""
    return next((found for one in _given(event) if (found := sizes_differ(one, seen)) is not None), None)


def _called(event: LayerCall) -> tuple[Any, Shape | None]:
    # A model that the program calls itself, and the shape of its output.
    if event.symbolic or event.outer is not None or event.place is None or event.number > _CALLS:
        return None, None
    model = event.layer
    if not is_model(model):
        # stateless_call runs the layers of a model, not the model.
        node = event.place.call("stateless_call")
        model = (
            event.place.value(node.func.value) if node is not None and isinstance(node.func, ast.Attribute) else None
        )
        if not is_model(model) or last_layer(model) is not event.layer:
            return None, None
    return (model, sizes_in(event.output)) if not is_ours(model) else (None, None)


def _given(event: LayerCall) -> Iterator[Compared]:
    # What keras.losses.mean_squared_error(y, model(x)) and its siblings are given.
    model, output = _called(event)
    if output is None or len(output) < 2 or event.place is None:
        return
    for call, _, right in _used(event.place, model, _losses):
        loss = name_of_loss(called(call)) if isinstance(call, ast.Call) else ""
        target = sizes_in(event.place.value(right))
        if loss in BROADCASTING and target:
            yield Compared(model, output, target, loss, place=event.place)


def _used(place: Place, model: Any, pairs: Pairs) -> Iterator[tuple[ast.expr, ast.expr, ast.Name]]:
    # model(x) beside a name in the line itself; or the name it is given beside one in the lines behind it.
    statement = place.statement()
    call = place.node() or _call_of(place, model)
    if call is None or statement is None:
        return
    name = ""
    if isinstance(statement, ast.Assign) and statement.value is call:
        target = statement.targets[0]
        # stateless_call returns the output first.
        if isinstance(target, ast.Tuple) and target.elts:
            target = target.elts[0]
        name = target.id if isinstance(target, ast.Name) else ""
    changed: set[str] = set()
    for line in in_order(behind(place, statement)) if name else [statement]:
        for one in ast.walk(line):
            for whole, left, right in pairs(one):
                mine = isinstance(left, ast.Name) and left.id == name if name else left is call
                if mine and isinstance(right, ast.Name) and right.id != name and right.id not in changed:
                    yield whole, left, right
        # What a name stands for is known until it is given to something else.
        changed |= stored(line)
        if name in changed:
            return


def _call_of(place: Place, model: Any) -> ast.Call | None:
    # Where Python kept no columns: the call of the model by its name.
    names = place.names_of(model)
    return next((one for one in place.calls() if called(one) in names), None)


def indexed(place: Place, whole: ast.expr, part: ast.expr) -> str:
    # The source of an expression, without the last axis of a part of it.
    source = place.source(whole).encode()
    if part.end_lineno != whole.lineno:
        return f"{place.source(part)}[:, 0]"
    at = (part.end_col_offset or 0) - whole.col_offset
    return (source[:at] + b"[:, 0]" + source[at:]).decode()


def _differences(place: Place) -> Pairs:
    # What is subtracted in an expression; in a function of the user's that it calls, too.
    module = place.module() or ast.Module([], [])
    functions = {one.name: one for one in module.body if isinstance(one, ast.FunctionDef)}

    def pairs(node: ast.AST) -> list[Pair]:
        if isinstance(node, ast.Call) and called(node) in functions and isinstance(node.func, ast.Name):
            function = functions[called(node)]
            names = [one.arg for one in function.args.args]
            given = list(zip(node.args, names, strict=False))
            return [
                (node, left, right)
                for (left, mine), (right, theirs) in itertools.permutations(given, 2)
                if _subtracts(function, mine, theirs)
            ]
        return [(node, left, right) for left, right in subtracted(node)]  # type: ignore[misc]

    return pairs


def subtracted(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        left, right = node.left, node.right
    elif isinstance(node, ast.Call) and called(node) in _SUBTRACT and len(node.args) == 2:
        left, right = node.args
    else:
        return []
    return [(left, right), (right, left)]


def _subtracts(function: ast.FunctionDef, *names: str) -> bool:
    # Whether a function subtracts two of its arguments as it got them.
    for line in in_order(function.body):
        for one in ast.walk(line):
            if any(tuple(getattr(part, "id", "") for part in pair) == names for pair in subtracted(one)):
                return True
        if stored(line) & {*names}:
            return False
    return False


def _losses(node: ast.AST) -> list[Pair]:
    # The function, not the object that is made of a class: MeanSquaredError()(y, pred) is seen as it runs.
    if isinstance(node, ast.Call) and called(node)[:1].islower() and len(node.args) == 2:
        return [(node, node.args[1], node.args[0])]
    return []


def stored(line: ast.stmt) -> set[str]:
    return {one.id for one in ast.walk(line) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def in_order(lines: list[ast.stmt]) -> Iterator[ast.stmt]:
    # Simple statements, those of blocks too; not of functions, which run when somebody calls them.
    for line in lines:
        blocks = [getattr(line, block, None) for block in _BLOCKS]
        if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not any(blocks):
            yield line
        for block in blocks:
            yield from in_order(block or [])


def behind(place: Place, statement: ast.stmt) -> list[ast.stmt]:
    # What follows in the same block, with the lines of blocks in it.
    for node in ast.walk(place.module() or ast.Module([], [])):
        for block in _BLOCKS:
            lines = getattr(node, block, None)
            if isinstance(lines, list) and statement in lines:
                return lines[lines.index(statement) + 1 :][:_LINES]
    return []
