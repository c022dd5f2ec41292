"""What a recurrent module of torch returns is a tuple: passed on whole, or unpacked into the wrong parts."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, TorchCall
from sostenuto.diagnosis.rules.torch_facts import facts_of
from sostenuto.diagnosis.rules.torch_modules import (
    directions,
    is_cell,
    is_lstm,
    is_rnn,
    is_tensor,
    shape_of,
    value_of,
    written,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import kinds

SO041 = rule(
    "SO041",
    "The tuple that a recurrent module of torch returns is used as if it were a tensor",
    """nn.LSTM returns (output, (h_n, c_n)), nn.GRU and nn.RNN return (output, h_n), cells of LSTM return (h, c).
    nn.Linear and everything else read a tensor. nn.Sequential passes on what it gets, so the tuple lands in the next
    layer.""",
    """out, _ = lstm(x), then out or out[:, -1]. In place of nn.Sequential write a small nn.Module whose forward does
    so.""",
    example="""
import torch
from torch import nn
model = nn.Sequential(nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1))
model(torch.randn(6, 10, 3))
""",
    repaired="""
import torch
from torch import nn
lstm, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)
out, _ = lstm(torch.randn(6, 10, 3))
head(out[:, -1])
""",
    backend="torch",
)

SO042 = rule(
    "SO042",
    "What a recurrent module of torch returns is unpacked into other parts than it has",
    """nn.LSTM returns two things, (output, (h_n, c_n)). nn.GRU and nn.RNN return (output, h_n): they have no cell
    state. Unpacking h_n into two names takes its first axis apart, the layers and directions; with two of them nothing
    is said.""",
    """out, (h, c) = lstm(x); out, h = gru(x); h, c = lstm_cell(x); h = gru_cell(x).""",
    example="""
import torch
from torch import nn
gru = nn.GRU(3, 4, num_layers=2)
out, (h, c) = gru(torch.randn(5, 6, 3))
""",
    repaired="""
import torch
from torch import nn
gru = nn.GRU(3, 4, num_layers=2)
out, h = gru(torch.randn(5, 6, 3))
""",
    backend="torch",
)

_RETURNS = {
    "LSTM": "(output, (h_n, c_n))",
    "GRU": "(output, h_n)",
    "RNN": "(output, h_n)",
    "LSTMCell": "(h, c)",
    "GRUCell": "h",
    "RNNCell": "h",
}
_UNPACK = {
    "LSTM": "out, (h, c)",
    "GRU": "out, h",
    "RNN": "out, h",
    "LSTMCell": "h, c",
    "GRUCell": "h",
    "RNNCell": "h",
}


def _kind(module: Any) -> str:
    return next((kind for kind in _RETURNS if kind in kinds(module)), "LSTM")


def _result(value: Any) -> bool:
    # (output, states) of a recurrent module, or (h, c).
    if not isinstance(value, tuple) or len(value) != 2 or hasattr(value, "batch_sizes"):
        return False
    first, second = value
    if not (is_tensor(first) or hasattr(first, "batch_sizes")):
        return False
    states = second if isinstance(second, tuple) else (second,)
    return all(is_tensor(one) for one in states)


@SO041.on(Failure)
def tuple_for_a_tensor(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a result of a recurrent module on its way into something that reads a tensor."""
    if "tuple" not in failure.message or not isinstance(failure.error, TypeError | AttributeError):
        return None
    chain = _chain(failure)
    if chain is not None:
        return _in_sequential(failure, *chain, seen)
    place = failure.place
    found = _in_line(place, seen) if place is not None else None
    if found is None or place is None:
        return None
    source, value, module = found
    kind = _kind(module) if module is not None else ("LSTM" if isinstance(value[1], tuple) else "GRU")
    states = value is not None and is_tensor(value[0]) and _role(value[0], seen) == "h"
    returns = "(h_n, c_n)" if states else _RETURNS[kind]
    first = "the hidden state h_n" if states else "the output at every step"
    shape = f" {shape_of(value[0])}" if value is not None and is_tensor(value[0]) else ""
    index = f"{source}[0]" if module is None else ""
    statement = place.text
    return Evidence(
        got=f"{source}: the tuple {returns}",
        wanted=f"a tensor: {first},{shape} its first part",
        cause=f"{'nn.' + kind if module is not None or not states else 'A recurrent module'} returns a tuple,"
        f" {_RETURNS[kind]}. It has to be unpacked before it is used.",
        fix=f"{_UNPACK[kind]} = {source}        # then: {statement.replace(source, 'out')}"
        if module is not None
        else f"{statement.replace(source, index, 1)}        # or unpack it: {_UNPACK[kind]} = ...",
    )


def _role(tensor: Any, seen: Seen) -> str:
    known = facts_of(tensor.data if hasattr(tensor, "batch_sizes") else tensor, seen)
    return known.role if known is not None else ""


def _chain(failure: Failure) -> tuple[Any, Any] | None:
    # nn.Sequential, and the tuple that it handed on.
    for _, function, names in reversed(failure.frames):
        owner = names.get("self")
        if function == "forward" and "Sequential" in kinds(owner) and _result(names.get("input")):
            return owner, names["input"]
    return None


def _in_sequential(failure: Failure, chain: Any, value: Any, seen: Seen) -> Evidence:
    modules = list(getattr(chain, "_modules", {}).values())
    failed = next((one for one in modules if any(_is_call_of(call, one) for call in failure.calls)), None)
    rnn = next((one for one in modules if is_rnn(one) or is_cell(one)), None)
    if failed is None and rnn in modules:
        at = modules.index(rnn) + 1
        failed = modules[at] if at < len(modules) else None
    kind, reader = _kind(rnn), f"nn.{type(failed).__name__}" if failed is not None else "the next layer"
    shape = shape_of(value[0])
    first = "batch_first" if getattr(rnn, "batch_first", False) else ""
    last = "out[:, -1]" if first else "out[-1]"
    return Evidence(
        title=f"nn.Sequential hands the tuple of nn.{kind} to {reader}, which reads a tensor.",
        got=f"{reader} gets the tuple {_RETURNS[kind]}",
        wanted=f"a tensor: the output {shape}, or its last step",
        cause=f"nn.{kind} returns {_RETURNS[kind]}. nn.Sequential passes on what it gets, so the whole tuple goes "
        f"into\n{reader}.",
        fix=f"class Model(nn.Module):\n"
        f"    def __init__(self):\n        super().__init__()\n"
        f"        self.rnn, self.head = {_written(rnn, seen)}, {_written(failed, seen)}\n"
        f"    def forward(self, x):\n        out, _ = self.rnn(x)\n"
        f"        return self.head({last})        # or self.head(out), for every step",
    )


def _is_call_of(call: Any, module: Any) -> bool:
    return isinstance(call, TorchCall) and call.module is module


def _written(module: Any, seen: Seen) -> str:
    return written(module, seen) if module is not None else "nn.Linear(...)"


def _in_line(place: Place, seen: Seen) -> tuple[str, Any, Any] | None:
    # What in the line is the tuple: its source, its value, and the module where the call itself stands there.
    node: ast.AST | None = place.node() or place.statement()
    for one in ast.walk(node) if node is not None else ():
        if isinstance(one, ast.Name | ast.Attribute):
            value = value_of(one, place)
            if _result(value) and (_role(value[0], seen) in ("output", "h") or not seen.histories):
                return place.source(one), value, None
        elif isinstance(one, ast.Call) and one is not node:
            module = value_of(one.func, place)
            if is_rnn(module) or (is_cell(module) and is_lstm(module)):
                return place.source(one), None, module
    return None


def _targets(place: Place | None) -> tuple[ast.Assign, list[ast.expr], Any] | None:
    # An assignment of a recurrent module's result to several names: the statement, the targets, the module.
    statement = place.statement() if place is not None else None
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
        return None
    module = value_of(statement.value.func, place)
    target = statement.targets[0]
    if not (is_rnn(module) or is_cell(module)) or not isinstance(target, ast.Tuple):
        return None
    return statement, target.elts, module


def _wrongly_unpacked(place: Place | None) -> Evidence | None:
    found = _targets(place)
    if found is None or place is None:
        return None
    statement, targets, module = found
    kind = _kind(module)
    nested = [one for one in targets if isinstance(one, ast.Tuple)]
    if any(isinstance(one, ast.Starred) for one in targets):
        return None
    right = {
        "LSTM": len(targets) == 2 and all(len(one.elts) == 2 for one in nested),
        "GRU": len(targets) == 2 and not nested,
        "RNN": len(targets) == 2 and not nested,
        "LSTMCell": len(targets) == 2 and not nested,
    }.get(kind, False)
    if right:
        return None
    parts = ", ".join(ast.unparse(one) for one in targets)
    call = place.source(statement.value)
    if kind in ("GRU", "RNN") and nested and len(targets) == 2:
        states = int(getattr(module, "num_layers", 1)) * directions(module)
        cause = (
            f"nn.{kind} has no cell state: it returns (output, h_n). Unpacking h_n takes its first axis apart, and that"
            f"\nis layers x directions, here {states}"
            + (": two layers or directions, which now bear the names of h and c." if states == 2 else ".")
        )
    elif kind == "LSTM":
        cause = "nn.LSTM returns two things: the output, and the pair of its states: (output, (h_n, c_n))."
    elif kind == "LSTMCell":
        cause = "nn.LSTMCell returns its two states, (h, c), and no output of its own: h is the output."
    else:
        cause = f"nn.{kind} returns {_RETURNS[kind]}: " + (
            "one tensor (batch, units). Unpacking it takes the batch apart." if is_cell(module) else "two things."
        )
    names = [
        ast.unparse(one) for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])
    ]
    left = _UNPACK[kind]
    if kind in ("GRU", "RNN") and len(names) >= 2:
        left = f"{names[0]}, {names[1]}"
    elif kind == "LSTM" and len(names) == 3:
        left = f"{names[0]}, ({names[1]}, {names[2]})"
    return Evidence(
        title=f"nn.{kind} returns {_RETURNS[kind]}, and is unpacked as ({parts}).",
        got=f"{parts} = {call}",
        wanted=f"{_RETURNS[kind]}",
        cause=cause,
        fix=f"{left} = {call}",
    )


@SO042.on(Failure)
def unpacked_wrongly(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an assignment that failed because the parts are others."""
    if isinstance(failure.error, ValueError | TypeError) and "unpack" in str(failure.error):
        return _wrongly_unpacked(failure.place)
    return None


@SO042.on(TorchCall)
def unpacked_in_silence(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for a state of two layers, or of a batch of two rows, that is taken apart as if it were h and c."""
    module = event.module
    if event.number > 1 or event.place is None or not (is_rnn(module) or is_cell(module)):
        return None
    found = _targets(event.place)
    if found is None or found[2] is not module:
        return None
    state = event.output[-1] if isinstance(event.output, tuple) else event.output
    # Any other number raises by itself.
    return _wrongly_unpacked(event.place) if shape_of(state)[:1] == (2,) else None
