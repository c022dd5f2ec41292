"""Reads the lines that made a tensor of the user's, and changes a number in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sostenuto.diagnosis.source import Place, called


def assigned(place: Place | None, name: str) -> str:
    """The statement that gave a name its value, nearest before a place; "" where there is none.

    Args:
        place: where the name is used.
        name: a plain name, or an attribute as it is written.
    """
    module = place.module() if place is not None else None
    best: ast.Assign | None = None
    for node in ast.walk(module) if module is not None else ():
        if not isinstance(node, ast.Assign) or place is None or node.lineno > place.line:
            continue
        named = any(ast.unparse(one) == name for target in node.targets for one in parts_of(target))
        if named and (best is None or node.lineno > best.lineno):
            best = node
    return place.source(best) if best is not None and place is not None else ""


def parts_of(target: ast.expr) -> Iterator[ast.expr]:
    """The names in the target of an assignment, those of tuples too."""
    if isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from parts_of(one)
    else:
        yield target


def with_number(line: str, number: int, instead: str, place: Place | None) -> str:
    """A line with a number among the arguments of its calls replaced, written out or by the name of a variable.

    Args:
        line: a statement.
        number: to be replaced; the first that has this value, in every call that makes zeros or the like.
        instead: source.
        place: where names have their values.

    Returns:
        The line; "" where the number is not in it.

    Example:
        >>> with_number("h0 = torch.zeros(1, 32, 20)", 32, "x.size(0)", None)
        'h0 = torch.zeros(1, x.size(0), 20)'
    """
    try:
        tree = ast.parse(line.strip())
        new = ast.parse(instead, mode="eval").body
    except SyntaxError:
        return ""
    changed = False
    for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
        lists = [call.args, *(one.elts for one in call.args if isinstance(one, ast.Tuple | ast.List))]
        for arguments in lists:
            for at, one in enumerate(arguments):
                value = one.value if isinstance(one, ast.Constant) else place.value(one) if place is not None else None
                if type(value) is int and value == number:
                    arguments[at] = new
                    changed = True
                    break
    return ast.unparse(tree) if changed else ""


def loops_around(place: Place) -> list[ast.For | ast.While]:
    """The loops around a place, innermost first."""
    module = place.module()
    found = [
        node
        for node in (ast.walk(module) if module is not None else ())
        if isinstance(node, ast.For | ast.While) and node.lineno <= place.line <= (node.end_lineno or node.lineno)
    ]
    return sorted(found, key=lambda node: -node.lineno)


def names_carried(loop: ast.AST) -> list[tuple[str, ast.Assign, ast.Call]]:
    """Names that go into a call and come out of it: ``out, hidden = rnn(x, hidden)``.

    Args:
        loop: around.
    """
    found = []
    for node in ast.walk(loop):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            targets = {ast.unparse(one) for target in node.targets for one in parts_of(target)}
            given = {ast.unparse(one) for part in node.value.args for one in parts_of(part)}
            given |= {ast.unparse(one.value) for one in node.value.keywords}
            found += [(name, node, node.value) for name in sorted(targets & given) if called(node.value)]
    return found


def with_argument(source: str, position: int, keyword: str, new: str) -> str:
    """A call's source with one argument replaced; ``{}`` in the new one stands for the old.

    Args:
        source: of the call.
        position: of the argument.
        keyword: its name.
        new: source of the new one.

    Example:
        >>> with_argument("nn.Linear(hidden, 1)", 0, "in_features", "{} * 2")
        'nn.Linear(hidden * 2, 1)'
    """
    try:
        call = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        return source
    if not isinstance(call, ast.Call):
        return source
    for given in call.keywords:
        if given.arg == keyword:
            given.value = _expression(new, given.value)
            return ast.unparse(call)
    if position < len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args):
        call.args[position] = _expression(new, call.args[position])
        return ast.unparse(call)
    return source


def _expression(new: str, old: ast.expr) -> ast.expr:
    simple = isinstance(old, ast.Name | ast.Attribute | ast.Constant | ast.Call)
    text = ast.unparse(old) if simple else f"({ast.unparse(old)})"
    return ast.parse(new.replace("{}", text), mode="eval").body
