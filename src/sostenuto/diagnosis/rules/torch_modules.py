"""What rules ask of modules of torch and of calls of them: kinds, sizes, and what the user calls things."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from sostenuto.diagnosis.events import LayerCall, TorchCall
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import kinds


def is_tensor(thing: Any) -> bool:
    """Whether it is a tensor of torch."""
    return "Tensor" in kinds(thing) and hasattr(thing, "requires_grad")


def is_rnn(module: Any) -> bool:
    """Whether it is nn.LSTM, nn.GRU or nn.RNN, or of a class below."""
    return "RNNBase" in kinds(module)


def is_cell(module: Any) -> bool:
    """Whether it is nn.LSTMCell, nn.GRUCell or nn.RNNCell, or of a class below."""
    return "RNNCellBase" in kinds(module)


def is_lstm(module: Any) -> bool:
    """Whether it has two states, h and c."""
    return bool(kinds(module) & {"LSTM", "LSTMCell"})


def directions(module: Any) -> int:
    """2 where it reads both ways."""
    return 2 if getattr(module, "bidirectional", False) else 1


def written(module: Any, seen: Seen) -> str:
    """The call that made a module, as the user wrote it, or as one would write it."""
    source = seen.history(module).source
    if source:
        return source
    name = type(module).__name__
    sizes = [("in_features", "out_features"), ("input_size", "hidden_size"), ("num_embeddings", "embedding_dim")]
    found = next(
        (
            [getattr(module, one, None) for one in pair]
            for pair in sizes
            if isinstance(getattr(module, pair[0], None), int)
        ),
        [],
    )
    extra = [
        f"{name}={getattr(module, name)!r}"
        for name, plain in (("num_layers", 1), ("batch_first", False), ("bidirectional", False))
        if getattr(module, name, plain) != plain
    ]
    return f"nn.{name}({', '.join([*map(str, found), *extra])})"


def made_at(module: Any, seen: Seen) -> str:
    """Where a module was made, to be put behind its name; "" where that isn't known."""
    made = seen.history(module).made
    return f", made in line {made.line}" if made is not None else ""


def name_of(event: TorchCall | LayerCall) -> str:
    """The user's name for the module that is called: "self.lstm"; its class where it has none there."""
    module = event.module if isinstance(event, TorchCall) else event.layer
    place = event.place
    for call in place.calls() if place is not None else ():
        if value_of(call.func, place) is module and place is not None:
            return place.source(call.func)
    unnamed = _unnamed(place)
    return place.source(unnamed.func) if place is not None and unnamed is not None else type(module).__name__


def _unnamed(place: Place | None) -> ast.Call | None:
    # nn.LSTM(3, 4)(x) and layers[0](x): what is called has no name that could be looked up.
    node = place.node() if place is not None else None
    return node if isinstance(node, ast.Call) and isinstance(node.func, ast.Call | ast.Subscript) else None


def value_of(node: ast.AST, place: Place | None) -> Any:
    """What a name or attribute stands for, submodules of modules too; None where that would mean running code."""
    if place is None:
        return None
    if isinstance(node, ast.Attribute):
        owner = value_of(node.value, place)
        attributes = getattr(owner, "__dict__", {})
        for where in (attributes, attributes.get("_modules") or {}, attributes.get("_parameters") or {}):
            if node.attr in where:
                return where[node.attr]
        return None
    return place.value(node)


def argument(place: Place | None, module: Any, position: int, *names: str) -> ast.expr | None:
    """The user's expression for an argument of a module's call, or None."""
    unnamed = _unnamed(place)
    for call in place.calls() if place is not None else ():
        if value_of(call.func, place) is not module and call is not unnamed:
            continue
        for keyword in call.keywords:
            if keyword.arg in names:
                return keyword.value
        if position < len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args):
            return call.args[position]
    return None


def argument_source(place: Place | None, module: Any, position: int, *names: str) -> str:
    """The same as source, or ""."""
    node = argument(place, module, position, *names)
    return place.source(node) if node is not None and place is not None else ""


def state_given(event: TorchCall) -> tuple[Any, ...]:
    """The states a recurrent module or cell was called with; () where it begins with zeros."""
    given = event.inputs[1] if len(event.inputs) > 1 else None
    states = given if isinstance(given, list | tuple) else (given,)
    return tuple(one for one in states if one is not None)


def batch_of(inputs: Any, module: Any) -> int | None:
    """How many sequences a recurrent module or cell is given, or None where that has no meaning."""
    if hasattr(inputs, "batch_sizes"):
        return int(inputs.batch_sizes[0])
    shape = shape_of(inputs)
    if is_cell(module):
        return shape[0] if len(shape) == 2 else None
    return shape[0 if getattr(module, "batch_first", False) else 1] if len(shape) == 3 else None


def shape_of(thing: Any) -> tuple[int, ...]:
    """The shape of a tensor as plain numbers, () where it has none."""
    try:
        return tuple(int(size) for size in thing.shape)
    except (AttributeError, TypeError, ValueError):
        return ()


def tensors_in(value: Any, most: int = 12) -> Iterator[Any]:
    """The tensors in tuples, lists and dicts."""
    waiting = [value]
    while waiting and most:
        one = waiting.pop(0)
        if is_tensor(one):
            most -= 1
            yield one
        elif isinstance(one, dict):
            waiting[:0] = list(one.values())[:most]
        elif isinstance(one, list | tuple) and not hasattr(one, "batch_sizes"):
            waiting[:0] = list(one)[:most]
