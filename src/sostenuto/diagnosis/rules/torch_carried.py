"""States carried from call to call on torch: with their graph, in the wrong order, to rows that don't follow."""

from __future__ import annotations

import ast

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_carried_pages import SO036, SO037, SO038, SO039, SO040
from sostenuto.diagnosis.rules.torch_facts import Facts, Run, facts_of, first_time
from sostenuto.diagnosis.rules.torch_modules import (
    argument,
    argument_source,
    is_cell,
    is_lstm,
    is_rnn,
    name_of,
    state_given,
    value_of,
    written,
)
from sostenuto.diagnosis.rules.torch_source import loops_around, names_carried, parts_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword

_C_NAMES = {"c", "cn", "c_n", "ct", "c_t", "cell", "cell_state", "c0", "c_0", "cx", "hc"}
_H_NAMES = {"h", "hn", "h_n", "ht", "h_t", "hidden", "hidden_state", "h0", "h_0", "hx"}

_SECOND = "backward through the graph a second time"
_IN_PLACE = "modified by an inplace operation"


# --- order of h and c ------------------------------------------------------------------------------------------------


@SO036.on(TorchCall)
def given_in_another_order(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for a cell state where the hidden state belongs, and the other way round."""
    if not is_lstm(event.module) or not (is_rnn(event.module) or is_cell(event.module)):
        return None
    known = [facts_of(one, seen) for one in state_given(event)]
    if [one.role if one else "" for one in known] != ["c", "h"]:
        return None
    if not first_time(event, seen, "SO036", id(event.module)):
        return None
    source = argument_source(event.place, event.module, 1, "hx")
    node = argument(event.place, event.module, 1, "hx")
    right = "(h, c)"
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and event.place is not None:
        right = f"({event.place.source(node.elts[1])}, {event.place.source(node.elts[0])})"
    x = argument_source(event.place, event.module, 0, "input") or "x"
    return Evidence(
        got=f"{source or 'the initial state'}: first the cell state c, then the hidden state h, as they were returned "
        f"before",
        wanted="(h_0, c_0): first the hidden state h, then the cell state c",
        cause=f"nn.{type(event.module).__name__} returns and takes its states in the order (h, c). Both have the same"
        " shape,\nso the cell state goes into the gates as if it were the output, and nothing is said.",
        fix=f"{name_of(event)}({x}, {right})",
    )


@SO036.on(TorchCall)
def named_in_another_order(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for the two states of an LSTM unpacked into names in the order c, h."""
    place = event.place
    if event.number > 1 or place is None or not is_lstm(event.module):
        return None
    if not (is_rnn(event.module) or is_cell(event.module)):
        return None
    statement = place.statement()
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
        return None
    if value_of(statement.value.func, place) is not event.module or not isinstance(statement.targets[0], ast.Tuple):
        return None
    targets = statement.targets[0].elts
    if is_rnn(event.module):
        inner = targets[1] if len(targets) == 2 else None
        targets = inner.elts if isinstance(inner, ast.Tuple) else []
    names = [ast.unparse(one) for one in targets]
    if len(names) != 2 or not (_ends(names[0], _C_NAMES) and _ends(names[1], _H_NAMES)):
        return None
    if not first_time(event, seen, "SO036", id(event.module)):
        return None
    pair = f"{names[1]}, {names[0]}"
    left = f"out, ({pair})" if is_rnn(event.module) else pair
    return Evidence(
        got=f"{names[0]} is the hidden state h, and {names[1]} is the cell state c: they are unpacked in the order c, "
        f"h",
        wanted="(h_n, c_n): first the hidden state, then the cell state",
        cause=f"nn.{type(event.module).__name__} returns its states in the order (h, c), of one shape. What bears the "
        f"name {names[1]} here\nis the cell state, which is not what the module says at its last step.",
        fix=f"{left} = {place.source(statement.value)}",
    )


def _ends(name: str, names: set[str]) -> bool:
    return name.rpartition(".")[2].lower() in names


# --- rows that don't follow one another ------------------------------------------------------------------------------


def _carried(event: TorchCall, seen: Seen) -> tuple[Run, Facts, Run] | None:
    # This call, the state it was given, and the call of the same module that the state comes from.
    if not is_rnn(event.module) and not is_cell(event.module):
        return None
    run: Run | None = seen.notes["torch runs"].get(id(event.module))
    for state in state_given(event):
        known = facts_of(state, seen)
        if known is None or known.run is None or run is None or run.number != event.number:
            continue
        if known.run.module == run.module and known.role in ("h", "c"):
            return run, known, known.run
    return None


@SO037.on(TorchCall)
def shuffled(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for a state that goes from one batch of a shuffling DataLoader to the next."""
    found = _carried(event, seen)
    if found is None:
        return None
    run, _, before = found
    if run.origin is None or before.origin is None or not run.origin.loader.shuffle:
        return None
    if not before.origin.loader.like(run.origin.loader) or (before.origin.epoch, before.origin.batch) == (
        run.origin.epoch,
        run.origin.batch,
    ):
        return None
    if not first_time(event, seen, "SO037", run.module):
        return None
    state = argument_source(event.place, event.module, 1, "hx") or "the state"
    x = argument_source(event.place, event.module, 0, "input") or "x"
    loader = run.origin.loader
    return Evidence(
        got=f"{state} comes from batch {before.origin.batch} of a DataLoader with shuffle=True, and goes into batch"
        f" {run.origin.batch}",
        wanted="batches in which row 0 goes on where row 0 of the batch before ended: shuffle=False; or no state "
        "carried",
        cause="A state belongs to its sequence. shuffle=True draws the rows of every batch at random, so each sequence"
        "\nbegins with the state of some other one, carried from batch to batch.",
        fix=f"{with_keyword(loader.source or 'DataLoader(...)', 'shuffle', 'False')}        # where batches follow in "
        f"time\n{run.name}({x})        # where rows are sequences of their own: begins with zeros",
    )


@SO038.on(TorchCall)
def from_epoch_to_epoch(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for the state of the end of the data on its way into the data's beginning."""
    found = _carried(event, seen)
    regions = seen.notes["torch regions read"].setdefault(id(event.module), set()) if is_rnn(event.module) else set()
    run: Run | None = seen.notes["torch runs"].get(id(event.module)) if is_rnn(event.module) else None
    again = run is not None and run.region in regions
    if run is not None and run.region is not None and len(regions) < 5000:
        regions.add(run.region)
    if found is None:
        return None
    run, _, before = found
    place = ""
    if run.origin is not None and before.origin is not None:
        again = run.origin.epoch > before.origin.epoch or run.origin.loader.number > before.origin.loader.number
        if (
            run.origin.loader.shuffle
            or not run.origin.loader.like(before.origin.loader)
            or run.origin.batch
            or not again
        ):
            return None
        place = f"batch {before.origin.batch} of one epoch and goes into batch 0 of the next"
    else:
        # The same data again, right after its end, with training in between.
        if not again or before.number != run.number - 1 or run.region is None or before.region is None:
            return None
        if run.backwards == before.backwards or run.region[1] > before.region[1] or run.steps < 2:
            return None
        if run.region[0] != before.region[0]:
            return None
        place = "the end of the data and goes into its beginning, which was read before"
    if not run.training or not first_time(event, seen, "SO038", run.module):
        return None
    state = argument_source(event.place, event.module, 1, "hx") or "hidden"
    name = state if state.isidentifier() else "hidden"
    return Evidence(
        got=f"{state} comes from {place}",
        wanted="a state of zeros at the beginning of every epoch",
        cause="The state at the end of the data says how the sequence ended. The next epoch begins at its first step\n"
        "again, and nothing resets the state between them: it is carried from epoch to epoch.",
        fix=f"for epoch in range(...):\n    {name} = None        # begins with zeros",
    )


@SO039.on(TorchCall)
def from_validation(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for a state that comes back from calls in evaluation mode into training."""
    found = _carried(event, seen)
    if found is None:
        return None
    run, _, before = found
    if not run.training or before.training or before.grad:
        return None
    loaders = run.origin is not None and before.origin is not None and not run.origin.loader.like(before.origin.loader)
    if not (before.after_training or loaders) or not first_time(event, seen, "SO039", run.module):
        return None
    state = argument_source(event.place, event.module, 1, "hx") or "hidden"
    at = f", line {before.place.line}" if before.place is not None else ""
    name = state if state.isidentifier() else "hidden"
    return Evidence(
        got=f"{state} was last changed in evaluation mode{at}, and goes into training",
        wanted="the state that training itself ended with",
        cause="Validation ran on with the state of training and left its own in the same variable. The next batch of\n"
        "training does not follow the last batch of validation.",
        fix=f"{name}_of_validation = None        # a variable of its own for validation, before its loop",
    )


# --- the graph that comes with a state -------------------------------------------------------------------------------


@SO040.on(TorchFunction)
def count_backwards(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Counts calls of backward(), and looks for graphs that grow from chunk to chunk."""
    if event.name != "backward":
        return None
    notes = seen.notes["torch backward"]
    notes["count"] = notes.get("count", 0) + 1
    stale = seen.notes["torch stale"]
    if not event.options.get("retain_graph") or stale.get("backward") != notes["count"] - 1:
        return None
    stale["kept"] = stale.get("kept", 0) + 1
    if stale["kept"] < 3 or not first_time(event, seen, "SO040", "kept"):
        return None
    return _graph(
        stale, f"backward(retain_graph=True) ran {stale['kept']} times, each time through all calls before it", True
    )


@SO040.on(TorchCall)
def carried_with_graph(event: TorchCall, seen: Seen) -> None:
    """Remembers a state that goes into a call with the graph of a call that backward() has been through."""
    found = _carried(event, seen)
    if found is None:
        return
    run, known, before = found
    if known.detached or not before.grad or before.backwards >= run.backwards or event.place is None:
        return
    if any(getattr(one, "grad_fn", None) is not None for one in state_given(event)):
        seen.notes["torch stale"].update(
            place=event.place.bare(),
            name=argument_source(event.place, event.module, 1, "hx"),
            node=argument(event.place, event.module, 1, "hx"),
            lstm=is_lstm(event.module),
            module=written(event.module, seen),
            backward=run.backwards,
        )


@SO040.on(Failure)
def through_the_graph_again(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for backward() that reaches the graph of an earlier call through a state."""
    message = failure.message
    if _SECOND not in message and _IN_PLACE not in message:
        return None
    stale = seen.notes["torch stale"]
    if stale.get("place") is None:
        stale = _from_source(failure)
    if not stale:
        return None
    said = (
        "the graph is gone after the first backward()"
        if _SECOND in message
        else "the optimizer has changed its weights"
    )
    return _graph(stale, f"backward() of this step runs on into the graph of the step before, and {said}", False)


def _graph(stale: dict[str, object], got: str, unsure: bool) -> Evidence:
    name, node, place = str(stale.get("name") or "hidden"), stale.get("node"), stale.get("place")
    line = f", line {place.line}" if isinstance(place, Place) else ""
    pair = bool(stale.get("lstm"))
    if isinstance(node, ast.Tuple) and len(node.elts) > 1:
        names = [ast.unparse(one) for one in node.elts]
        fix = f"{', '.join(names)} = {', '.join(f'{one}.detach()' for one in names)}"
    elif pair:
        fix = f"{name} = tuple(s.detach() for s in {name})"
    else:
        fix = f"{name} = {name}.detach()"
    return Evidence(
        got=f"{name} is carried from call to call with its graph{line}:\n{got}",
        wanted="the numbers of the hidden state alone: detach() before it is used again",
        cause="A state that a module returns hangs on the autograd graph of all calls that made it. Passed on as it "
        "is,\nit brings that graph into the next call, and backward() goes through it a second time.",
        fix=f"{fix}        # {_behind(place, node if isinstance(node, ast.expr) else ast.Name(name))}",
        unsure="whether gradients through all earlier chunks are wanted; they make every step slower than the last"
        if unsure
        else "",
    )


def _behind(place: object, state: ast.expr) -> str:
    # Behind the call, if that sets the state: in front of the first call there may be no state yet.
    statement = place.statement() if isinstance(place, Place) else None
    if isinstance(statement, ast.Assign):
        names = {ast.unparse(one) for target in statement.targets for one in ast.walk(target)}
        if all(ast.unparse(one) in names for one in (state.elts if isinstance(state, ast.Tuple) else [state])):
            return f"after line {statement.end_lineno or statement.lineno}, in front of the next call"
    return "where the state is set, in front of the next call"


def _from_source(failure: Failure) -> dict[str, object]:
    # Nobody saw the call: a name that goes in and comes out of a call, in the loop around backward().
    for place in reversed(failure.places):
        for loop in loops_around(place)[:1]:
            for name, statement, call in names_carried(loop):
                value = value_of(ast.parse(name, mode="eval").body, place)
                pair = isinstance(value, tuple | list)
                first = value[0] if pair and value else value
                if getattr(first, "grad_fn", None) is None or _set_anew(loop, name, statement):
                    continue
                return {"name": name, "lstm": pair, "place": Place(place.file, call.lineno, place.function)}
    return {}


def _set_anew(loop: ast.AST, name: str, statement: ast.Assign) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and node is not statement
        and any(ast.unparse(one) == name for target in node.targets for one in parts_of(target))
        for node in ast.walk(loop)
    )
