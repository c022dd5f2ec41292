"""Errors and accuracies that a program computes itself of what predict returned: (N, 1) beside (N,)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import ModelCalled
from sostenuto.diagnosis.rules.losses_by_hand import behind, in_order, indexed, stored, subtracted
from sostenuto.diagnosis.rules.output_pages import SO420
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import is_ours

# What keeps the shape of its first argument, or of the object it is a method of.
_KEEPS = (
    *("abs", "absolute", "round", "rint", "around", "exp", "expm1", "sqrt", "square", "log", "log1p", "clip", "sign"),
    *("array", "asarray", "float32", "float64", "astype", "copy", "maximum", "minimum", "nan_to_num"),
    *("inverse_transform", "numpy", "convert_to_numpy", "convert_to_tensor"),
)


@SO420.on(ModelCalled)
def measured(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for predictions (N, 1) that meet targets (N,) in the lines behind a call of predict."""
    place, shape = event.place, getattr(event.result, "shape", None)
    if not event.verb.startswith("predict") or event.within is not None or place is None or is_ours(event.model):
        return None
    if not isinstance(event.result, np.ndarray) or shape is None or len(shape) != 2 or shape[1] != 1 or shape[0] < 2:
        return None
    for whole, left, part, right in _meetings(place, place.call(event.verb)):
        target = getattr(place.value(right), "shape", None)
        if target is None or tuple(target) != (shape[0],):
            continue
        mine, theirs, rows = place.source(left), place.source(right), shape[0]
        every = "compared with" if isinstance(whole, ast.Compare) else "subtracted from"
        return Evidence(
            title=f"Predictions ({rows}, 1) and targets ({rows},) broadcast to ({rows}, {rows}).",
            got=f"{mine} ({rows}, 1) beside {theirs} ({rows},): {place.source(whole)} is ({rows}, {rows})",
            wanted=f"two arrays of one shape: ({rows},) and ({rows},)",
            cause=f"({rows}, 1) and ({rows},) broadcast to ({rows}, {rows}): each of the {rows} targets is {every} "
            f"each of the {rows} predictions,\nso this measures all pairs, not how good the predictions are. predict "
            "returns a last axis of 1, which the targets have not.",
            fix=f"{indexed(place, whole, part)}        # or {theirs}[:, None]: a trailing axis for the targets",
            boundary=(mine, theirs),
        )
    return None


def _meetings(place: Place, call: ast.Call | None) -> Iterator[tuple[ast.expr, ...]]:
    # Differences and comparisons of the predictions with a name, in the line of the call and in those behind it: the
    # whole, the side of the predictions, the part of it that can be indexed, and the name.
    statement = place.statement()
    if call is None or statement is None:
        return
    names: set[str] = set()
    changed: set[str] = set()
    for line in [statement, *in_order(behind(place, statement))]:
        for node in ast.walk(line):
            for left, right in [*subtracted(node), *_equated(node)]:
                part = _kept(left, call, names, place)
                known = isinstance(right, ast.Name) and right.id not in names | changed
                if part is not None and known and isinstance(node, ast.expr):
                    yield node, left, part, right
        given = stored(line)
        same = isinstance(line, ast.Assign) and _kept(line.value, call, names, place) is not None
        names = names | given if same else names - given
        changed |= given
        if not names:
            return


def _equated(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
        return []
    left, right = node.left, node.comparators[0]
    return [(left, right), (right, left)]


def _kept(node: ast.expr, call: ast.Call, names: set[str], place: Place) -> ast.expr | None:
    # The predictions in an expression that has their shape, number by number: what takes an axis away is no more.
    if node is call or (isinstance(node, ast.Name) and node.id in names):
        return node
    if isinstance(node, ast.UnaryOp):
        return _kept(node.operand, call, names, place)
    if isinstance(node, ast.BinOp):
        sides = (node.left, node.right), (node.right, node.left)
        kept = (_kept(one, call, names, place) for one, other in sides if _is_number(other, place))
        return next((one for one in kept if one is not None), None)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and _is_number(node.comparators[0], place):
        return _kept(node.left, call, names, place)
    if isinstance(node, ast.Call) and called(node) in _KEEPS:
        inner = [*node.args[:1], *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        return node if any(_kept(one, call, names, place) is not None for one in inner) else None
    return None


def _is_number(node: ast.expr, place: Place) -> bool:
    if isinstance(node, ast.Constant):
        return True
    parts = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
    if isinstance(node, ast.Subscript | ast.Call) or not parts:
        return False
    return all(np.ndim(place.value(one)) == 0 and place.value(one) is not None for one in parts)
