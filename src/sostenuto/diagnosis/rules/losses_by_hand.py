"""Losses that a program computes itself: predictions and targets whose difference broadcasts."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.container_views import shape_in
from sostenuto.diagnosis.rules.output_pages import SO420
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import is_model

_LOSSES = ("subtract", "squared_difference", "square", "mean_squared_error", "abs")


@SO420.on(LayerCall)
def difference(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for (N, 1) - (N,) where a model's output meets its targets."""
    place = event.place
    if event.symbolic or event.outer is not None or place is None or not is_model(event.layer) or event.number > 20:
        return None
    output = shape_in(event.output)
    if output is None or len(output) not in (2, 3) or output[-1] != 1 or output[0] in (None, 1):
        return None
    for left, right in _differences(place):
        other = place.value(right)
        target = shape_in(other) if other is not None else None
        if target is None or len(target) != len(output) - 1 or target[-1] == 1 or target[0] != output[0]:
            continue
        made = (*output[:-1], target[-1]) if len(output) == 2 else None
        if made is None:
            continue
        mine, theirs = place.source(left), place.source(right)
        return Evidence(
            title=f"Predictions {output} and targets {target} broadcast to {made}.",
            got=f"{mine} {output} beside {theirs} {target}: their difference is {made}, not {target}",
            wanted=f"two arrays of one shape: {target} and {target}",
            cause=f"{output} and {target} broadcast to {made}: each of the {output[0]} predictions is compared with "
            "each of "
            f"the {target[0]} targets.\nThat is smallest where every prediction is the mean of the targets, so that is "
            "what "
            "the model learns.\nThe output has a last axis of 1 that the targets have not.",
            fix=f"{mine}[:, 0] - {theirs}        # or {theirs}[:, None]: a trailing axis for the targets",
            boundary=(mine, theirs),
        )
    return None


def _differences(place: Place) -> list[tuple[ast.expr, ast.Name]]:
    # model(x) - y in the line itself; or its name minus a name in the lines behind it.
    call, statement = place.node(), place.statement()
    found: list[tuple[ast.expr, ast.Name]] = []
    if call is None or statement is None:
        return found
    target = statement.targets[0] if isinstance(statement, ast.Assign) and statement.value is call else None
    name = target.id if isinstance(target, ast.Name) else ""
    for node in _behind(place, statement) if name else [statement]:
        for one in ast.walk(node):
            for left, right in _pairs(one):
                if (_is(left, name) if name else left is call) and isinstance(right, ast.Name):
                    found.append((left, right))
    return found


def _pairs(node: ast.AST) -> list[tuple[Any, Any]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return [(node.left, node.right), (node.right, node.left)]
    if isinstance(node, ast.Call) and called(node) in _LOSSES and len(node.args) == 2:
        return [(node.args[0], node.args[1]), (node.args[1], node.args[0])] if "mean" not in called(node) else []
    return []


def _is(node: Any, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _behind(place: Place, statement: ast.stmt) -> list[ast.stmt]:
    # What follows in the same block, up to where the name gets another value.
    for node in ast.walk(place.module() or ast.Module([], [])):
        for block in ("body", "orelse"):
            lines = getattr(node, block, None)
            if isinstance(lines, list) and statement in lines:
                return lines[lines.index(statement) + 1 :][:12]
    return []
