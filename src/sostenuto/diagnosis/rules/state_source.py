"""What the source says about states: names that are unpacked, names that nobody reads, and loops over steps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from sostenuto.diagnosis.source import Place

Loop = ast.For | ast.While | ast.ListComp | ast.GeneratorExp
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def unpacking(place: Place | None) -> tuple[ast.Assign, ast.Tuple | ast.List] | None:
    """The assignment to several names around a place, and its names; None where it is no such statement."""
    statement = place.statement() if place is not None else None
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    return (statement, target) if isinstance(target, ast.Tuple | ast.List) else None


def names_in(target: ast.Tuple | ast.List) -> list[str]:
    """What is assigned to, as it is written: "h", "(h, c)"."""
    return [one.id if isinstance(one, ast.Name) else ast.unparse(one) for one in target.elts]


def whole_line(place: Place | None) -> Place | None:
    """The same place, shown as the line it stands in; an unpacking that fails is only its left side to Python."""
    return replace(place, span=None) if place is not None else None


def value_under_way(place: Place | None) -> tuple[ast.Assign, ast.Tuple | ast.List] | None:
    """The unpacking at a place whose right side is the call under way itself, nothing around it."""
    found = unpacking(place)
    return found if found is not None and place is not None and found[0].value is place.node() else None


# --- where things are ------------------------------------------------------------------------------------------------


def scope(place: Place | None) -> ast.AST | None:
    """The innermost function around a place, or the module."""
    module = place.module() if place is not None else None
    found: ast.AST | None = module
    for node in ast.walk(module) if module is not None else ():
        if isinstance(node, _Function) and place is not None and _holds(node, place):
            found = node
    return found


def loops(place: Place | None) -> list[Loop]:
    """The loops around a place within its function, outermost first."""
    within = scope(place)
    if within is None or place is None:
        return []
    found = [node for node in ast.walk(within) if isinstance(node, Loop) and _holds(node, place)]
    return sorted(found, key=lambda loop: (loop.lineno, loop.col_offset))


def _holds(node: ast.AST, place: Place) -> bool:
    begin, end = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0
    return begin <= place.line <= end


def loaded(node: ast.AST | None) -> set[str]:
    """The names that an expression reads."""
    return {one.id for one in ast.walk(node or ast.Module([], [])) if isinstance(one, ast.Name) and _is_load(one)}


def _is_load(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def stored(node: ast.AST | None) -> set[str]:
    """The names that a statement or a target assigns to."""
    return {
        one.id
        for one in ast.walk(node or ast.Module([], []))
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    }


def unread(place: Place | None, names: list[str], since: int = 0) -> bool:
    """Whether none of some names is read in their function, nor anything that is made of them alone.

    Args:
        place: in the function, or in the module.
        names: variables.
        since: a line; what is read before it is read of other values.
    """
    within = scope(place)
    if within is None:
        return False
    dead = set(names)
    # Names that are made of dead ones only, and read by nobody, are dead too: states = [h, c].
    while True:
        reading, more = False, set()
        for statement, hidden in _statements(within):
            made = _made(statement)
            if statement.lineno < since or not (_own_loads(statement) - hidden) & dead:
                continue
            if made and made <= dead:
                continue
            if made and isinstance(statement, ast.Assign | ast.AnnAssign):
                more |= made
            else:
                reading = True
        if reading:
            return False
        if not more - dead:
            return True
        dead |= more


def _made(statement: ast.stmt) -> set[str]:
    # What a plain assignment makes of names, and of nothing that anybody else could see.
    if isinstance(statement, ast.Assign) and all(isinstance(one, ast.Name) for one in statement.targets):
        return stored(statement) if not _calls(statement.value) else set()
    return set()


def _calls(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Call) for one in ast.walk(node))


def _statements(within: ast.AST, hidden: frozenset[str] = frozenset()) -> Iterator[tuple[ast.stmt, frozenset[str]]]:
    # All statements, with the names that mean something else there: those of a function within.
    for child in ast.iter_child_nodes(within):
        inside = hidden
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            every = ast.walk(child.args)
            inside = hidden | {one.arg for one in every if isinstance(one, ast.arg)} | stored(child)
        if isinstance(child, ast.stmt):
            yield child, inside
        yield from _statements(child, inside)


def _own_loads(statement: ast.stmt) -> set[str]:
    # Of the statement itself: what stands in its body belongs to statements of their own.
    found: set[str] = set()
    waiting: list[ast.AST] = [one for one in ast.iter_child_nodes(statement) if not isinstance(one, ast.stmt)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and _is_load(node):
            found.add(node.id)
        waiting += [one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.stmt)]
    return found


# --- steps -----------------------------------------------------------------------------------------------------------


def walks_through_time(place: Place | None, source: ast.AST | None) -> bool:
    """Whether an expression takes the step of a loop out of a sequence: x[:, t], x[:, t:t+1], directly or by a name.

    Args:
        place: in the loop.
        source: the expression.
    """
    for loop in loops(place):
        counters = stored(loop.target) if isinstance(loop, ast.For) else stored(loop)
        for node in [source, *_definitions(loop, loaded(source))]:
            for one in ast.walk(node or ast.Module([], [])):
                if isinstance(one, ast.Subscript) and isinstance(one.slice, ast.Tuple) and len(one.slice.elts) >= 2:
                    first, second = one.slice.elts[:2]
                    if (
                        isinstance(first, ast.Slice)
                        and first.lower is first.upper is None
                        and loaded(second) & counters
                    ):
                        return True
    return False


def feeds_back(place: Place | None, source: ast.AST | None) -> bool:
    """Whether what a call returns in one turn of a loop is what it reads in the next: token = argmax(decoder(token)).

    Args:
        place: of the call.
        source: its input.
    """
    around = loops(place)
    statement = place.statement() if place is not None else None
    if not around or statement is None:
        return False
    inner, inputs = around[-1], loaded(source)
    made = stored(statement)
    # Follows assignments from what the call returned, as far as they lead.
    for _ in range(20):
        more = set(made)
        for one in ast.walk(inner):
            if isinstance(one, ast.Assign | ast.AugAssign | ast.AnnAssign) and loaded(one.value) & made:
                more |= stored(one) | _changed(one)
        if more == made:
            break
        made = more
    return bool(made & inputs)


def _changed(statement: ast.Assign | ast.AugAssign | ast.AnnAssign) -> set[str]:
    # token[0, 0] = word: the array that is written into.
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {one.value.id for one in targets if isinstance(one, ast.Subscript) and isinstance(one.value, ast.Name)}


def _definitions(loop: Loop, names: set[str]) -> list[ast.AST]:
    return [
        one.value
        for one in ast.walk(loop)
        if isinstance(one, ast.Assign) and stored(one) & names and one.value is not None
    ]
