"""Initial states that a recurrent module of torch refuses: batch, layers, order of axes, units, h without c."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, TorchCall
from sostenuto.diagnosis.rules.torch_facts import Run, axes, facts_of
from sostenuto.diagnosis.rules.torch_modules import (
    argument,
    argument_source,
    batch_of,
    directions,
    is_cell,
    is_lstm,
    is_rnn,
    is_tensor,
    name_of,
    shape_of,
    written,
)
from sostenuto.diagnosis.rules.torch_source import assigned, with_number
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.wording import count

_EXAMPLE = """
import torch
from torch import nn
lstm = nn.LSTM(3, 4, {options}batch_first=True)
x = torch.randn(6, 10, 3)
h0, c0 = torch.zeros({shape}), torch.zeros({shape})
out, _ = lstm(x, {given})
"""


def _example(shape: str, options: str = "", given: str = "(h0, c0)") -> str:
    return _EXAMPLE.format(options=options, shape=shape, given=given)


SO031 = rule(
    "SO031",
    "The initial state is made for another batch size",
    """A state has one row for each sequence of the batch: (layers x directions, batch, units). A state of a constant
    batch size fits until a batch comes that has fewer rows: the last batch of a DataLoader holds what is left over. The
    same happens where the state of the batch before is passed on.""",
    """Make the state from the batch, torch.zeros(layers, x.size(0), units), or leave it out: torch begins with zeros by
    itself. DataLoader(..., drop_last=True) leaves the short batch out.""",
    example="""
import torch
from torch import nn
gru = nn.GRU(3, 4, batch_first=True)
x = torch.randn(20, 10, 3)
h0 = torch.zeros(1, 8, 4)
for batch in x.split(8):
    out, h = gru(batch, h0)
""",
    repaired="""
import torch
from torch import nn
gru = nn.GRU(3, 4, batch_first=True)
x = torch.randn(20, 10, 3)
for batch in x.split(8):
    h0 = torch.zeros(1, batch.size(0), 4)
    out, h = gru(batch, h0)
""",
    backend="torch",
)

SO032 = rule(
    "SO032",
    "The initial state has another number of layers or directions",
    """The first axis of a state of torch counts layers times directions: 4 for num_layers=2, bidirectional=True. Each
    layer, and each of its two directions, begins with a state of its own.""",
    """torch.zeros(num_layers * 2, batch, hidden_size) where bidirectional=True, torch.zeros(num_layers, batch,
    hidden_size) otherwise.""",
    example=_example("1, 6, 4", "num_layers=2, "),
    repaired=_example("2, 6, 4", "num_layers=2, "),
    backend="torch",
)

SO033 = rule(
    "SO033",
    "The axes of the initial state stand in another order, or one is missing",
    """States of torch are (layers x directions, batch, units) always. batch_first=True changes the order of input and
    output only: it doesn't apply to h_0, c_0, h_n and c_n.""",
    """torch.zeros(layers x directions, batch, units); h0.transpose(0, 1) where the batch stands in front,
    h0.unsqueeze(0) where the first axis is missing.""",
    example=_example("6, 1, 4"),
    repaired=_example("1, 6, 4"),
    backend="torch",
)

SO034 = rule(
    "SO034",
    "The initial state has another number of units",
    """A state has hidden_size numbers for each sequence, whatever module it comes from: the state of an encoder fits a
    decoder only where both have the same hidden_size.""",
    """Give both the same hidden_size, or put nn.Linear(one, other) between them.""",
    example=_example("1, 6, 3"),
    repaired=_example("1, 6, 4"),
    backend="torch",
)

SO035 = rule(
    "SO035",
    "The kind of initial state does not fit: an LSTM takes (h, c), a GRU takes h",
    """nn.LSTM and nn.LSTMCell have two states, the hidden state h and the cell state c, and take them as a tuple
    (h_0, c_0). nn.GRU, nn.RNN and their cells have one, and take a tensor.""",
    """lstm(x, (h0, c0)); gru(x, h0).""",
    example=_example("1, 6, 4", given="h0"),
    repaired=_example("1, 6, 4"),
    backend="torch",
)


def _refused(failure: Failure) -> tuple[TorchCall, Any, Any] | None:
    # The innermost call of a recurrent module or cell that was given a state: call, inputs, states.
    for call in failure.calls[:1]:
        if isinstance(call, TorchCall) and (is_rnn(call.module) or is_cell(call.module)) and len(call.inputs) > 1:
            return call, call.inputs[0], call.inputs[1]
    return None


def _wanted(call: TorchCall, inputs: Any, which: int) -> tuple[int, ...] | None:
    module = call.module
    batch = batch_of(inputs, module)
    if batch is None:
        return None
    units = int(getattr(module, "proj_size", 0) or 0) if which == 0 else 0
    units = units or int(getattr(module, "hidden_size", 0))
    if is_cell(module):
        return batch, units
    return int(getattr(module, "num_layers", 1)) * directions(module), batch, units


def misfit(failure: Failure) -> tuple[TorchCall, Any, Any, int, tuple[int, ...], tuple[int, ...]] | None:
    """The first state that does not fit: call, inputs, the state, its number, its shape, the shape wanted; or None."""
    found = _refused(failure)
    if found is None:
        return None
    call, inputs, given = found
    if isinstance(given, list | tuple) != is_lstm(call.module):
        return None
    for which, state in enumerate(given if isinstance(given, list | tuple) else (given,)):
        wanted, got = _wanted(call, inputs, which), shape_of(state)
        if wanted and is_tensor(state) and got != wanted:
            return call, inputs, state, which, got, wanted
    return None


def _name(call: TorchCall, which: int) -> str:
    node = argument(call.place, call.module, 1, "hx")
    if call.place is None or node is None:
        return ("h0", "c0")[which] if is_lstm(call.module) else "h0"
    if isinstance(node, ast.Tuple | ast.List) and which < len(node.elts):
        return call.place.source(node.elts[which])
    return call.place.source(node) + (f"[{which}]" if is_lstm(call.module) else "")


def _zeros(name: str, shape: tuple[object, ...]) -> str:
    # What makes the state right; an expression in the call itself has no name to be given it.
    zeros = f"torch.zeros({', '.join(map(str, shape))})"
    return f"{name} = {zeros}" if all(one.isidentifier() for one in name.split(".")) else f"{zeros}        # for {name}"


def _letters(shape: tuple[int, ...]) -> str:
    return "SBU" if len(shape) == 3 else "BU"


@SO031.on(Failure)
def another_batch(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a state with as many layers and units as wanted, and another number of rows."""
    found = misfit(failure)
    if found is None:
        return None
    call, inputs, state, which, got, wanted = found
    axis = len(wanted) - 2
    if len(got) != len(wanted) or got[:axis] != wanted[:axis] or got[-1] != wanted[-1]:
        return None
    module, has, rows = call.module, got[axis], wanted[axis]
    first = bool(getattr(module, "batch_first", False)) or is_cell(module)
    shape = shape_of(inputs)
    if not first and len(shape) == 3 and has == shape[0] and has not in rows_before(module, seen):
        # The batch stands in front, and batch_first is missing: SO021.
        return None
    x, name = argument_source(call.place, module, 0, "input") or "x", _name(call, which)
    size = f"{x}.size({0 if first else 1})" if x.isidentifier() else f"x.size({0 if first else 1})"
    carried = facts_of(state, seen)
    known = facts_of(inputs, seen)
    loader = known.origin.loader if known is not None and known.origin is not None else None
    last = rows < has and has in rows_before(module, seen)
    why = f"The state {name} is made for a batch size of {has}"
    if carried is not None and carried.run is not None:
        why = f"The state {name} is that of the batch before, which had {has} rows"
    left = ""
    if loader is not None and loader.size and loader.batch_size == has and loader.size % has == rows:
        left = f": {loader.size} rows in batches of {has} leave a last batch of {rows}"
        last = True
    fix = []
    line = assigned(call.place, name)
    if line and (changed := with_number(line, has, size, call.place)):
        fix.append(changed)
    elif carried is None or carried.run is None:
        fix.append(_zeros(name, (*got[:axis], size, got[-1])))
    other = assigned(call.place, _name(call, 1)) if is_lstm(module) and which == 0 else ""
    if other and other != line and (changed := with_number(other, has, size, call.place)):
        fix.append(changed)
    if last and loader is not None:
        source = with_keyword(loader.source or "DataLoader(...)", "drop_last", "True")
        fix.append(source + ("        # or" if fix else ""))
    if not fix:
        fix.append(f"{name_of(call)}({x})        # begins with zeros")
    return Evidence(
        title="The last batch is smaller than the state that is kept for it." if last else "",
        got=f"{name} {axes(got, _letters(got))}",
        wanted=f"{axes(wanted, _letters(wanted))}: {x} has {count(rows, 'row')} in this batch{left}",
        cause=f"{why},\nand this batch has {rows}"
        + (" rows, because it is the last one, with what was left over." if last else " rows.")
        + " A state has one row for every sequence of its batch.",
        fix="\n".join(fix),
    )


def rows_before(module: Any, seen: Seen) -> set[int | None]:
    """The batch sizes that a recurrent module or cell was called with before, and took.

    Args:
        module: the module.
        seen: the memory.
    """
    axis = 0 if getattr(module, "batch_first", False) or is_cell(module) else 1
    return {shape[axis] for shape in seen.history(module).shapes if shape is not None and len(shape) > axis}


@SO032.on(Failure)
def another_depth(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a state whose first axis is not layers times directions."""
    found = misfit(failure)
    if found is None:
        return None
    call, _, state, which, got, wanted = found
    if len(got) != 3 or len(wanted) != 3 or got[1:] != wanted[1:]:
        return None
    carried = facts_of(state, seen)
    run = carried.run if carried is not None else None
    module, name = call.module, _name(call, which)
    layers, both = int(getattr(module, "num_layers", 1)), directions(module)
    parts = [f"num_layers={layers}"] + (["bidirectional=True, which means 2 directions"] if both == 2 else [])
    line = assigned(call.place, name)
    changed = with_number(line, got[0], str(wanted[0]), call.place) if line else ""
    return Evidence(
        got=f"{name} {axes(got, 'SBU')}",
        wanted=f"{axes(wanted, 'SBU')}: {layers} layer{'s' * (layers > 1)} x {both} direction{'s' * (both > 1)}",
        cause=f"{written(module, seen)} has {' and '.join(parts)}. Every layer and direction begins with\n"
        f"a state of its own, so the first axis of the state is num_layers{' * 2' * (both == 2)} = {wanted[0]}, and it "
        f"is {got[0]}."
        + (
            f" This one comes from {run.source}:\n{run.layers} x {run.directions} = {got[0]}."
            if run is not None
            else ""
        ),
        fix=_bridge(name, run, wanted)
        or changed
        or f"{_zeros(name, wanted)}        # (layers x directions, batch, units)",
    )


def _bridge(name: str, run: Run | None, wanted: tuple[int, ...]) -> str:
    # What an encoder ended with, for a decoder of another depth.
    if run is None:
        return ""
    if run.directions == 2 and wanted[0] == 1:
        return (
            f"bridge = nn.Linear({2 * run.hidden}, {wanted[2]})\n"
            f"{name} = torch.tanh(bridge(torch.cat(({name}[-2], {name}[-1]), dim=1))).unsqueeze(0)"
        )
    if run.directions == 1 and wanted[0] < run.layers:
        return f"{name} = {name}[-{wanted[0]}:]        # of the last layer{'s' * (wanted[0] > 1)}"
    return ""


@SO033.on(Failure)
def another_order(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a state with the batch in front, or without its first axis."""
    found = misfit(failure)
    if found is None:
        return None
    call, _, _, which, got, wanted = found
    name = _name(call, which)
    if len(wanted) == 3 and len(got) == 3 and got == (wanted[1], wanted[0], wanted[2]):
        return Evidence(
            got=f"{name} {tuple(got)}: the batch of {got[0]} in front",
            wanted=axes(wanted, "SBU"),
            cause="batch_first=True is about input and output; it doesn't apply to the states. h_0, c_0, h_n and c_n "
            "are\n(layers x directions, batch, units) always.",
            fix=f"{_zeros(name, wanted)}\n"
            f"{name} = {name}.transpose(0, 1).contiguous()        # where it is made elsewhere",
        )
    if len(wanted) == 3 and len(got) == 2 and got == wanted[1:]:
        return Evidence(
            got=f"{name} {axes(got, 'BU')}",
            wanted=axes(wanted, "SBU"),
            cause="The first axis of a state, which counts layers times directions, is missing. It is there also where"
            "\nit is 1.",
            fix=f"{name} = {name}.unsqueeze(0)"
            if wanted[0] == 1
            else f"{name} = {name}.expand({wanted[0]}, -1, -1).contiguous()        # the same for every layer",
        )
    if len(wanted) == 2 and len(got) == 3 and got[1:] == wanted:
        return Evidence(
            got=f"{name} {axes(got, 'SBU')}",
            wanted=axes(wanted, "BU"),
            cause=f"nn.{type(call.module).__name__} is one layer and one step: its state is (batch, units), without an "
            f"axis for layers.",
            fix=f"{name} = {name}[-1]",
        )
    return None


@SO034.on(Failure)
def another_size(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a state of another number of units."""
    found = misfit(failure)
    if found is None:
        return None
    call, _, state, which, got, wanted = found
    if len(got) != len(wanted) or got[:-1] != wanted[:-1]:
        return None
    name, source = _name(call, which), written(call.module, seen)
    carried = facts_of(state, seen)
    run = carried.run if carried is not None else None
    other = f"It comes from {run.source}, whose states have {run.hidden} units. " if run is not None else ""
    line = assigned(call.place, name)
    changed = with_number(line, got[-1], str(wanted[-1]), call.place) if line and run is None else ""
    return Evidence(
        got=f"{name} {axes(got, _letters(got))}",
        wanted=f"{axes(wanted, _letters(wanted))}: hidden_size of {source}",
        cause=f"{other}{source} computes with {wanted[-1]} units, and a state has one number for each of them.",
        fix=changed
        or (
            f"{with_keyword(source, 'hidden_size', str(got[-1])) if 'hidden_size' in source else source}"
            f"        # with hidden_size={got[-1]}, as {run.source}\n"
            f"bridge = nn.Linear({got[-1]}, {wanted[-1]})        # or: {name} = bridge({name})"
            if run is not None
            else _zeros(name, wanted)
        ),
    )


@SO035.on(Failure)
def another_kind(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for one tensor where h and c are wanted, and for a tuple where h alone is."""
    found = _refused(failure)
    if found is None:
        return None
    call, inputs, given = found
    pair, kind = is_lstm(call.module), type(call.module).__name__
    if isinstance(given, list | tuple) == pair and not (pair and len(given) != 2):
        return None
    if not isinstance(given, list | tuple) and not is_tensor(given):
        return None
    name = argument_source(call.place, call.module, 1, "hx") or "h0"
    x = argument_source(call.place, call.module, 0, "input") or "x"
    wanted = _wanted(call, inputs, 0) or ()
    shape = axes(wanted, _letters(wanted)) if wanted else "(layers x directions, batch, units)"
    if pair:
        got = f"{name}: one tensor {shape_of(given)}" if is_tensor(given) else f"{name}: {len(given)} tensors"
        return Evidence(
            got=got,
            wanted=f"a tuple (h_0, c_0) of two tensors {shape}",
            cause=f"nn.{kind} has two states, the hidden state h and the cell state c, and takes both as a tuple.",
            fix=f"{name_of(call)}({x}, ({name}, torch.zeros_like({name})))        # (h_0, c_0)",
        )
    return Evidence(
        got=f"{name}: a tuple of {len(given)}",
        wanted=f"one tensor {shape}",
        cause=f"nn.{kind} has one state, the hidden state h. The cell state c, and the tuple (h, c), belong to "
        f"nn.LSTM.",
        fix=f"{name_of(call)}({x}, {_name_of_first(call, name)})",
    )


def _name_of_first(call: TorchCall, name: str) -> str:
    node = argument(call.place, call.module, 1, "hx")
    if isinstance(node, ast.Tuple) and node.elts and call.place is not None:
        return call.place.source(node.elts[0])
    return f"{name}[0]"
