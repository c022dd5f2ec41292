"""Where the source of a program pads sequences by hand: np.pad, rows filled up to a length, zeros put behind."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sostenuto.diagnosis.source import Place, called

# Functions that pad, whatever package they are of.
_PADS = ("pad", "zip_longest", "padded_batch", "pad_sequence", "pad_sequences", "to_padded_tensor", "to_tensor")

_FILLED = ("zeros", "full", "zeros_like", "full_like", "empty", "ones")

# Steps from name to name; programs are read, never run.
_MOST = 400


def padding_line(place: Place | None, source: str) -> int:
    """Looks for the line that pads what an expression stands for.

    Args:
        place: in the program.
        source: of the expression, as the user wrote it.

    Returns:
        Its number; 0 where no line is found that pads, and that names lead to.
    """
    tree = place.module() if place is not None else None
    if tree is None:
        return 0
    filled = set(_filled_in_part(tree))
    return next((line for node in reached(tree, source) if (line := _pads(node, filled))), 0)


def _pads(node: ast.AST, filled: set[str]) -> int:
    if isinstance(node, ast.Call) and called(node) in _PADS:
        return node.lineno
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and called(node.value) in _FILLED:
        names = {one.id for one in node.targets if isinstance(one, ast.Name)}
        return node.lineno if names & filled else 0
    # [0] * (longest - len(row)), np.zeros((longest - len(row), 3)): as much as is missing.
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        sides = (node.left, node.right)
        lists = any(isinstance(one, ast.List) for one in sides)
        return node.lineno if lists and any(_difference(one) for one in sides) else 0
    if isinstance(node, ast.Call) and called(node) in _FILLED and node.args:
        size = node.args[0]
        first = size.elts[0] if isinstance(size, ast.Tuple | ast.List) and size.elts else size
        return node.lineno if _difference(first) else 0
    if isinstance(node, ast.While) and _measures(node.test):
        grown = [one for one in ast.walk(node) if isinstance(one, ast.Call) and called(one) in ("append", "insert")]
        return node.lineno if any(isinstance(call.args[-1], ast.Constant) for call in grown if call.args) else 0
    return 0


def _difference(node: ast.expr) -> bool:
    # Of lengths: one side is measured, or a name.
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and not isinstance(node.right, ast.Constant)


def _measures(test: ast.expr) -> bool:
    return any(isinstance(one, ast.Call) and called(one) == "len" for one in ast.walk(test))


def _filled_in_part(tree: ast.Module) -> Iterator[str]:
    # x[i, :n] = row, x[i, -n:] = row, x[i][:n] = row: the rest of the row stays as it was.
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
            continue
        target = node.targets[0]
        index, owner = target.slice, target.value
        parts = index.elts[1:] if isinstance(index, ast.Tuple) else []
        if isinstance(owner, ast.Subscript):
            parts, owner = [index], owner.value
        if isinstance(owner, ast.Name) and any(_bounded(one) for one in parts):
            yield owner.id


def _bounded(part: ast.expr) -> bool:
    if not isinstance(part, ast.Slice):
        return False
    bounds = [one for one in (part.lower, part.upper) if one is not None]
    # A number that stands there is the same for every row.
    return any(not isinstance(one, ast.Constant) for one in bounds)


def reached(tree: ast.Module, source: str) -> Iterator[ast.AST]:
    """All nodes that the value of an expression may come from, following names and functions of the file."""
    try:
        start = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        return
    values = _assigned(tree)
    waiting: list[ast.AST] = [start]
    known: set[int] = set()
    names: set[str] = set()
    while waiting and len(known) < _MOST:
        top = waiting.pop(0)
        if id(top) in known:
            continue
        known.add(id(top))
        for node in ast.walk(top):
            yield node
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if name and name not in names:
                names.add(name)
                waiting += values.get(name, [])


def _assigned(tree: ast.Module) -> dict[str, list[ast.AST]]:
    found: dict[str, list[ast.AST]] = {}
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
        if isinstance(node, ast.Call) and called(node) in functions:
            for parameter, argument in _bound(functions[called(node)], node):
                found.setdefault(parameter, []).append(argument)
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr):
            targets = [node.target]
        elif isinstance(node, ast.For):
            # What a loop runs over, not all that it does.
            for name in _names_in(node.target):
                found.setdefault(name, []).append(node.iter)
        elif isinstance(node, ast.Call) and called(node) in ("append", "extend", "insert"):
            # rows.append(...) makes rows.
            for name in _names_in(node.func.value) if isinstance(node.func, ast.Attribute) else ():
                found.setdefault(name, []).append(node)
        for target in targets:
            for name in _names_in(target):
                found.setdefault(name, []).append(node)
    return found


def _bound(function: ast.FunctionDef, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    names = [one.arg for one in function.args.args if one.arg != "self"]
    yield from zip(names, call.args, strict=False)
    yield from ((one.arg, one.value) for one in call.keywords if one.arg)


def _names_in(target: ast.expr) -> list[str]:
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, ast.Tuple | ast.List):
        return [name for one in target.elts for name in _names_in(one)]
    # x[i] = ..., self.x = ...: the name that stands in front.
    if isinstance(target, ast.Subscript | ast.Starred):
        return _names_in(target.value)
    return [target.attr] if isinstance(target, ast.Attribute) else []
