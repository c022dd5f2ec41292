"""States that a program fits to its batch by hand."""

from __future__ import annotations

import ast
import re

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.state_pages import SO328
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called

_NEGATIVE = re.compile(r"(?:[Nn]egative dimension|must be >= 0|non-?negative|negative|less than zero)")
_NUMBER = re.compile(r"-\d+")
_STATES = re.compile(r"(?:^|_)(?:h|c|hx|cx|hc|state|states|hidden|cell|carry|memory)(?:_|$|\d)", re.IGNORECASE)


@SO328.on(Failure)
def negative_padding(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for zeros of a negative number of rows, put behind a state."""
    place = failure.place
    found = _zeros(place) if place is not None and _NEGATIVE.search(failure.message) else None
    if place is None or found is None:
        return None
    call, difference = found
    state = _state_in(difference.right)
    number = _NUMBER.search(str(failure.error))
    wanted, rows = place.source(difference.left), _rows(place, state)
    left = _number(place, difference.left)
    counted = f"{left - rows}" if left is not None and rows is not None and left < rows else ""
    missing = counted or (number[0] if number else "a negative number")
    asked = f"{missing} rows" if missing.startswith("-") else missing
    many = f"{rows} rows" if rows is not None else "more rows"
    return Evidence(
        title=f"The batch is smaller than the state, and {called(call)} is asked for {asked}.",
        got=f"{place.source(call)}: {place.source(difference)} is {missing}",
        wanted=f"0 or more: the state {state} has {many}, the batch is smaller",
        cause=f"The zeros fill the state up to the batch, which works only while the batch grows. When it shrinks, the "
        f"number of\nmissing rows is negative{f' ({missing})' * (missing[:1] == '-')}, and there is no such array.",
        fix=_cut(place, call, difference, state, wanted) + "\n"
        "# rows are still matched by position; so.LSTM(..., stateful=True) or a session keeps one state per sequence",
        boundary=(state,),
    )


def _zeros(place: Place) -> tuple[ast.Call, ast.BinOp] | None:
    # zeros((batch - h.shape[0], units)), in the statement that failed
    for call in place.calls():
        for one in ast.walk(call):
            if isinstance(one, ast.Call) and called(one) in ("zeros", "ones", "full", "fill", "new_zeros", "pad"):
                for part in ast.walk(one):
                    if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub) and _state_in(part.right):
                        return one, part
    return None


def _cut(place: Place, call: ast.Call, difference: ast.BinOp, state: str, wanted: str) -> str:
    # All states that are filled up here, cut in front of the question whether they have to be.
    states, line = [state], 0
    left = ast.dump(difference.left)
    for statement in _branches(place):
        found = [
            name
            for one in ast.walk(statement)
            if isinstance(one, ast.BinOp) and isinstance(one.op, ast.Sub) and ast.dump(one.left) == left
            if (name := _state_in(one.right))
        ]
        states += [name for name in dict.fromkeys(found) if name not in states]
        line = statement.lineno
    cut = f"{', '.join(states)} = {', '.join(f'{one}[:{wanted}]' for one in states)}"
    where = f"in front of line {line}: " if line else ""
    return f"{cut}        # {where}no change where the batch is as large, or larger"


def _branches(place: Place) -> list[ast.stmt]:
    # The statement that failed and the ifs around it, up to the function, innermost first.
    tree, found = place.module(), []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.stmt) and node.lineno <= place.line <= (node.end_lineno or node.lineno):
            found.append(node)
    found.sort(key=lambda one: one.lineno, reverse=True)
    kept = []
    for node in found:
        if hasattr(node, "body") and not isinstance(node, ast.If):
            break
        kept.append(node)
    return kept


def _state_in(node: ast.AST) -> str:
    # The name of a state whose number of rows is subtracted: h.shape[0], len(h).
    shaped = any(isinstance(one, ast.Attribute) and one.attr == "shape" for one in ast.walk(node))
    counted = isinstance(node, ast.Call) and called(node) in ("len", "shape")
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and _STATES.search(one.id) and (shaped or counted):
            return one.id
    return ""


def _number(place: Place, node: ast.AST) -> int | None:
    # What a name or a shape stands for now.
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        return _rows(place, place.source(node.value.value)) if ast.unparse(node.slice) == "0" else None
    found = place.value(node)
    return found if isinstance(found, int) else None


def _rows(place: Place, name: str) -> int | None:
    shape = getattr(place.names.get(name), "shape", None)
    try:
        return int(shape[0]) if shape is not None else None
    except (TypeError, ValueError, IndexError):
        return None
