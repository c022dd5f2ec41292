"""What recurrent and linear modules of torch refuse to read: features, axes, dtypes."""

from __future__ import annotations

from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, TorchCall
from sostenuto.diagnosis.rules.torch_facts import axes, facts_of, once
from sostenuto.diagnosis.rules.torch_input_pages import SO027, SO043, SO044, SO045, SO046
from sostenuto.diagnosis.rules.torch_modules import (
    argument_source,
    is_cell,
    is_rnn,
    is_tensor,
    made_at,
    name_of,
    shape_of,
    state_given,
    written,
)
from sostenuto.diagnosis.rules.torch_source import with_argument
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import kinds
from sostenuto.diagnosis.wording import count

_FLOATS = {"float64": "double", "float32": "float", "float16": "half", "bfloat16": "bfloat16"}


def _call(failure: Failure, *classes: str) -> tuple[TorchCall, Any, str] | None:
    # The innermost call, where it is of a recurrent module, a cell or one of some classes: call, inputs, their name.
    call = failure.calls[0] if failure.calls else None
    if not isinstance(call, TorchCall) or not call.inputs:
        return None
    module = call.module
    if not (is_rnn(module) or is_cell(module) or kinds(module) & set(classes)):
        return None
    return call, call.inputs[0], argument_source(call.place, module, 0, "input") or "x"


def _dtype(thing: Any) -> str:
    return str(getattr(thing, "dtype", "")).rpartition(".")[2]


def _weight(module: Any) -> Any:
    for name in ("weight_ih_l0", "weight_ih", "weight"):
        found = (getattr(module, "_parameters", None) or {}).get(name)
        if found is not None:
            return found
    return None


def _reads(module: Any, rank: int) -> str:
    if is_cell(module) or not is_rnn(module):
        return "BF" if rank == 2 else "?" * (rank - 1) + "F"
    return {3: "BTF" if getattr(module, "batch_first", False) else "TBF", 2: "TF"}.get(rank, "?" * (rank - 1) + "F")


@SO043.on(Failure)
def features(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a last axis of another length than input_size."""
    found = _call(failure)
    if found is None:
        return None
    call, inputs, x = found
    module, shape = call.module, shape_of(inputs.data if hasattr(inputs, "batch_sizes") else inputs)
    size = getattr(module, "input_size", None)
    if not isinstance(size, int) or not shape or shape[-1] == size or len(shape) > 3 or not is_float(inputs):
        return None
    if is_cell(module) and len(shape) > 2:
        return None
    kind, source, features = type(module).__name__, written(module, seen), shape[-1]
    got = (
        f"{x} {axes(shape, _reads(module, len(shape)))}"
        if not hasattr(inputs, "batch_sizes")
        else f"{features} features"
    )
    wanted = f"{count(size, 'feature')} on the last axis: input_size={size} of {source}{made_at(module, seen)}"
    changed = with_argument(source, 0, "input_size", str(features))
    known = facts_of(inputs, seen)
    cause = f"The last axis of what nn.{kind} reads is the features of a step, and input_size says how many there are."
    fix, unsure = f"{changed}        # input_size = {features} features", ""
    at = [axis for axis, length in enumerate(shape[:-1]) if length == size]
    if known is not None and known.run is not None and known.role in ("output", "h"):
        run = known.run
        both = f" x 2 directions = {features}" if run.directions == 2 else ""
        cause = f"{x} is what {run.source} returned: hidden_size={run.hidden}{both}.\nThe module that reads it needs"
        cause += f" input_size={features}" + (", because bidirectional=True doubles the units." if both else ".")
    elif len(shape) == 2 and is_rnn(module) and size == 1:
        cause = (
            f"{x} has two axes: nn.{kind} reads them as (time, features) of one sequence without a batch. A series of\n"
        )
        cause += "one feature needs an axis of its own for it, of length 1, at the end: (batch, time, 1)."
        fix = f"{name_of(call)}({x}.unsqueeze(-1))        # {(*shape, 1)}"
    elif len(at) == 1 and len(shape) == 3 and size != 1:
        cause = f"The axis of length {size} stands at place {at[0]}: the axes are in another order than"
        cause += f" nn.{kind} reads them."
        fix = f"{name_of(call)}({x}.transpose({at[0]}, 2))        # {_moved(shape, at[0])}"
        unsure = f"whether {size} are the features of {x}; if it is {features}: {changed}"
    return Evidence(got=got, wanted=wanted, cause=cause, fix=fix, unsure=unsure, boundary=(x, name_of(call)))


def _moved(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    sizes = list(shape)
    sizes[axis], sizes[2] = sizes[2], sizes[axis]
    return tuple(sizes)


def is_float(tensor: Any) -> bool:
    """Whether a tensor, or packed sequences, hold floats."""
    return _dtype(getattr(tensor, "data", tensor)) in _FLOATS


@SO044.on(Failure)
def number_of_axes(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for inputs with one axis too many, or too few."""
    found = _call(failure)
    if found is None or not is_tensor(found[1]):
        return None
    call, inputs, x = found
    module, shape = call.module, shape_of(inputs)
    kind, name, rank = type(module).__name__, name_of(call), len(shape)
    first = bool(getattr(module, "batch_first", False))
    order = "(batch, time, features)" if first else "(time, batch, features)"
    if is_cell(module):
        if rank != 3:
            return None
        return Evidence(
            got=f"{x} {shape}: three axes, a whole sequence",
            wanted="(batch, features): one step of every sequence",
            cause=f"nn.{kind} computes one step. nn.{kind.removesuffix('Cell')} reads whole sequences; with the cell, "
            f"the loop over\nthe steps is yours.",
            fix=f"for step in {x}.unbind(1):        # {x} is (batch, time, features)\n    state = {name}(step, state)",
        )
    ones = [axis for axis, length in enumerate(shape) if length == 1]
    if rank > 3:
        unsure = ""
        if ones:
            fix = f"{name}({x}.squeeze({ones[-1]}))        # {tuple(s for a, s in enumerate(shape) if a != ones[-1])}"
        else:
            flat = 1
            for length in shape[2:]:
                flat *= length
            fix = f"{name}({x}.flatten(2))        # {(*shape[:2], flat)}: needs input_size={flat}"
            unsure = "which of the axes are the features of a step"
        return Evidence(
            got=f"{x} {shape}: {rank} axes",
            wanted=f"3 axes, {order}",
            cause=f"nn.{kind} reads {order}. What a step has must stand on one axis, and extra axes of length 1 must "
            f"go.",
            fix=fix,
            unsure=unsure,
        )
    if rank == 1:
        return Evidence(
            got=f"{x} {shape}: 1 axis",
            wanted=f"3 axes, {order}",
            cause=f"nn.{kind} reads {order}. One series of {shape[0]} steps is a batch of 1 with 1 feature.",
            fix=f"{name}({x}.reshape({'1, -1, 1' if first else '-1, 1, 1'}))",
        )
    states = [shape_of(one) for one in state_given(call) if is_tensor(one)]
    size = getattr(module, "input_size", None)
    if rank == 2 and shape[1] == size and any(len(one) == 3 for one in states):
        series = size == 1 and shape[1] != 1
        return Evidence(
            got=f"{x} {shape}, and a state {states[0]}",
            wanted=f"3 axes, {order}, beside a state (layers x directions, batch, units)",
            cause=f"With two axes nn.{kind} reads {x} as one sequence without a batch, (time, features), and wants a "
            f"state\nwithout a batch too. An axis of {x} is missing.",
            fix=f"{name}({x}.unsqueeze({-1 if series else 0 if first else 1}), ...)",
            unsure="" if series else f"which axis is missing: time, batch or features of {x}",
        )
    return None


@SO045.on(Failure)
def dtypes(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for numbers of another dtype than the weights, ids without an Embedding, and arrays of NumPy."""
    found = _call(failure, "Linear")
    if found is None:
        return None
    call, inputs, x = found
    module = call.module
    weight, name, kind = _dtype(_weight(module)), name_of(call), type(module).__name__
    given = getattr(inputs, "data", inputs) if hasattr(inputs, "batch_sizes") else inputs
    if not weight:
        return None
    if not is_tensor(given):
        if type(given).__module__.partition(".")[0] not in ("numpy", "pandas") or not shape_of(given):
            return None
        values = f"{x}.to_numpy()" if type(given).__module__.startswith("pandas") else x
        return Evidence(
            got=f"{x}: {type(given).__name__} {shape_of(given)} {_dtype(given)}".strip(),
            wanted=f"a tensor of torch, {weight}",
            cause="Modules of torch read tensors of torch. An array of NumPy has to become one first; it holds "
            "float64\nmost of the time, and the weights are float32.",
            fix=f"{name}(torch.as_tensor({values}, dtype=torch.{weight}))",
        )
    dtype, rank = _dtype(given), len(shape_of(given))
    wrong = x if dtype != weight else ""
    if not wrong:
        for which, state in enumerate(state_given(call)):
            if is_tensor(state) and _dtype(state) != weight:
                given_as = argument_source(call.place, module, 1, "hx")
                wrong, dtype = f"state {which} of {given_as}" if given_as else f"state {which}", _dtype(state)
    if not wrong:
        return None
    if dtype in ("int64", "int32", "int16", "uint8", "bool") and wrong == x:
        ids = rank == 2 and is_rnn(module)
        return Evidence(
            title=f"nn.{kind} is given whole numbers, without an nn.Embedding before it." if ids else "",
            got=f"{x} {shape_of(given)} {dtype}" + (": ids, one for each step" if ids else ""),
            wanted=f"{weight}"
            + (": a vector for each step, (batch, time, features)" if ids else ", as the weights are"),
            cause=f"nn.{kind} computes with numbers of a step. "
            + (
                "Token ids are names, not amounts: nn.Embedding turns each into\na vector, and nn.LSTM reads those."
                if ids
                else "Whole numbers have to be turned into floats first."
            ),
            fix=f"embed = nn.Embedding({'number_of_ids'}, {getattr(module, 'input_size', 'input_size')})\n"
            f"{name}(embed({x}))"
            if ids
            else f"{name}({x}.{_FLOATS.get(weight, 'float')}())",
        )
    cast = _FLOATS.get(weight, f"to(torch.{weight})")
    return Evidence(
        got=f"{wrong} {dtype} ({_FLOATS.get(dtype, dtype)})",
        wanted=f"{weight} ({_FLOATS.get(weight, weight)}), as the weights of {written(module, seen)}",
        cause=f"torch does not convert by itself. Tensors made from NumPy arrays are {dtype}, because NumPy computes in"
        f" float64;\nthe weights of a module are float32."
        if dtype == "float64"
        else f"torch does not convert by itself, and {dtype} and {weight} can't be multiplied.",
        fix=f"{name}({x}.{cast}())        # or where it is made: torch.tensor(data, dtype=torch.{weight})"
        if wrong == x
        else f"torch.zeros(..., dtype=torch.{weight})        # for the states",
    )


@SO046.on(Failure)
def linear(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a linear layer that reads another number of features than it is given."""
    call = failure.calls[0] if failure.calls else None
    if not isinstance(call, TorchCall) or "Linear" not in kinds(call.module) or not call.inputs:
        return None
    inputs, module = call.inputs[0], call.module
    shape, wanted = shape_of(inputs), getattr(module, "in_features", None)
    if not shape or not isinstance(wanted, int) or shape[-1] == wanted or not is_float(inputs):
        return None
    x, source, got = argument_source(call.place, module, 0, "input") or "x", written(module, seen), shape[-1]
    known = facts_of(inputs, seen)
    run = known.run if known is not None and known.role in ("output", "h", "c") else None
    changed = with_argument(source, 0, "in_features", str(got))
    cause, fix = f"The last axis of {x} has {got} numbers, and {source} multiplies {wanted}.", changed
    if run is not None and run.directions == 2 and wanted == run.hidden and got == 2 * run.hidden:
        cause = f"{run.source} has bidirectional=True: its output is forward and backward side by side,\n"
        cause += f"2 x hidden_size = 2 x {run.hidden} = {got} units."
        fix = f"{with_argument(source, 0, 'in_features', '{} * 2')}        # 2 x hidden_size = {got}"
    elif run is not None and run.directions == 2 and wanted == 2 * run.hidden and got == run.hidden:
        cause = f"{x} is one direction of {run.source}, hidden_size={run.hidden} units. The linear layer is\n"
        cause += "made for both, forward and backward."
        state = x.partition("[")[0] if x.endswith("]") else "h_n"
        fix = f"torch.cat(({state}[-2], {state}[-1]), dim=1)        # {wanted} units, instead of {x}"
    elif run is not None and known is not None and (views := [one for one in known.taken if one.what == "viewed"]):
        view = views[0]
        cause = f"{view.source} counts {axes(view.shape, view.letters)} out as {view.after}: {got} numbers in a row,\n"
        cause += f"and {source} reads {wanted}, hidden_size={run.hidden} of {run.source}."
        last = "out[:, -1]" if run.batch_first else "out[-1]"
        fix = (
            f"{last}        # the last step alone, {run.hidden * run.directions} units\n{changed}        # or all steps"
        )
    elif run is not None:
        cause = f"{x} comes from {run.source}: hidden_size={run.hidden}"
        cause += (
            f" x 2 directions = {got} units."
            if run.directions == 2
            else f", and so many units it has; in_features={wanted}."
        )
    return Evidence(
        got=f"{x} {axes(shape, '?' * (len(shape) - 1) + ('U' if run is not None else 'F'))}",
        wanted=f"{wanted} on the last axis: in_features of {source}{made_at(module, seen)}",
        cause=cause,
        fix=fix,
        boundary=(x, name_of(call)),
    )


# --- one sequence where a table was meant ----------------------------------------------------------------------------


@SO027.on(TorchCall)
def table_as_a_sequence(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for two axes whose rows are known to be rows of a shuffled batch."""
    if not is_rnn(event.module) or not event.inputs or not is_tensor(event.inputs[0]):
        return None
    shape = shape_of(event.inputs[0])
    known = facts_of(event.inputs[0], seen)
    if len(shape) != 2 or known is None or known.origin is None or not known.letters.startswith("B"):
        return None
    if not known.origin.loader.shuffle or shape[0] < 2 or not once(seen, "torch table", id(event.module)):
        return None
    x, name = argument_source(event.place, event.module, 0, "input") or "x", name_of(event)
    source, kind = written(event.module, seen), type(event.module).__name__
    first = with_keyword(source, "batch_first", "True")
    series = with_argument(first, 0, "input_size", "1")
    return Evidence(
        got=f"{x} {shape}, read as one sequence without a batch: (time {shape[0]}, features {shape[1]});\n"
        "its rows come from a DataLoader that shuffles",
        wanted="three axes, (batch, time, features)",
        cause=f"With two axes nn.{kind} reads a single sequence, and the recurrence runs from row to row: here from "
        f"one\nsample to the next, in random order. Each result depends on the samples before it in the batch.",
        fix=f"{name}({x}.unsqueeze(-1))        # a row is a series of {shape[1]} steps: {series}\n"
        f"{name}({x}.unsqueeze(1))        # a row is one step of {shape[1]} features: {first}",
    )
