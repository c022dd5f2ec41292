"""What an expression of the user's stands for, as far as that can be told without running any of it."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.source import Place, called

# They give back as many sequences, of the same lengths, as they are given.
_SAME = (
    "array",
    "asarray",
    "asanyarray",
    "tensor",
    "as_tensor",
    "Tensor",
    "FloatTensor",
    "LongTensor",
    "from_numpy",
    "constant",
    "convert_to_tensor",
    "list",
    "tuple",
)
_METHODS = ("tolist", "to_list", "to_numpy", "copy", "astype", "float", "long", "to")

# Elements of a list that are looked up one by one.
_MOST = 1000


def value_of(place: Place, node: ast.AST | None, depth: int = 6) -> Any:
    """What an expression holds, or something that has its lengths; None where that is not known.

    Args:
        place: where it stands.
        node: the expression.
        depth: of calls and brackets that are gone into.
    """
    if node is None or depth < 0:
        return None
    if isinstance(node, ast.Name | ast.Constant):
        return place.value(node)
    if isinstance(node, ast.List | ast.Tuple):
        return _list(place, node, depth)
    if isinstance(node, ast.Attribute):
        base = value_of(place, node.value, depth - 1)
        # Of pandas these are properties that run no code of the user's.
        return base if node.attr == "values" and _is_pandas(base) else place.value(node)
    if isinstance(node, ast.Subscript):
        return _item(value_of(place, node.value, depth - 1), node.slice)
    if isinstance(node, ast.Call):
        return _call(place, node, depth)
    if isinstance(node, ast.ListComp):
        return _comprehension(place, node, depth)
    return None


def _list(place: Place, node: ast.List | ast.Tuple, depth: int) -> Any:
    if len(node.elts) > _MOST:
        return None
    found = []
    for element in node.elts:
        value = value_of(place, element, depth - 1)
        if value is None:
            return None
        found.append(value)
    return found


def _item(base: Any, key: ast.expr) -> Any:
    if base is None or not isinstance(key, ast.Constant):
        return None
    if type(base) in (dict, list, tuple) or _is_pandas(base):
        try:
            return base[key.value]
        # Not there, or a key of another kind.
        except Exception:
            return None
    return None


def _call(place: Place, node: ast.Call, depth: int) -> Any:
    name = called(node)
    if isinstance(node.func, ast.Attribute) and name in _METHODS:
        return value_of(place, node.func.value, depth - 1)
    if name in _SAME and node.args and not isinstance(node.args[0], ast.Starred):
        return value_of(place, node.args[0], depth - 1)
    return None


def _comprehension(place: Place, node: ast.ListComp, depth: int) -> Any:
    # [np.array(one) for one in sequences] has the lengths of the sequences.
    if len(node.generators) != 1 or node.generators[0].ifs:
        return None
    target, element = node.generators[0].target, node.elt
    while isinstance(element, ast.Call) and element.args and called(element) in _SAME:
        element = element.args[0]
    if isinstance(target, ast.Name) and isinstance(element, ast.Name) and element.id == target.id:
        return value_of(place, node.generators[0].iter, depth - 1)
    return None


def _is_pandas(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas"
