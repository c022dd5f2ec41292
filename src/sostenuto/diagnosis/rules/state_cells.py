"""Cells: one step at a time, states in a list; and cells of the user's own within keras.layers.RNN."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.state_arguments import misplaced
from sostenuto.diagnosis.rules.state_views import (
    flat,
    inside_of_layer,
    is_cell,
    is_keras_own,
    names_of_states,
    place_here,
    place_in,
    rank,
    raw_states,
    short_names,
    size,
    units_of,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import is_recurrent, kinds, title
from sostenuto.diagnosis.wording import count, shape_of

SO334 = rule(
    "SO334",
    "A cell is called without its states, or with states in another form",
    """A cell computes one step: output, states = cell(inputs, states). An LSTMCell takes a list of two tensors,
    [h, c], each (batch, units), and returns the new list. A tensor in its place is taken apart along its first axis:
    its first two rows become h and c, and are broadcast to the batch.""",
    """Begin with states = cell.get_initial_state(batch_size=rows), and hand on what the call returns: output, states =
    cell(inputs, states).""",
    example="""
import numpy as np, keras
cell = keras.layers.LSTMCell(4)
output, states = cell(np.ones((2, 3), "float32"), np.zeros((2, 4), "float32"))
""",
    repaired="""
import numpy as np, keras
cell = keras.layers.LSTMCell(4)
output, states = cell(np.ones((2, 3), "float32"), cell.get_initial_state(batch_size=2))
""",
)

SO336 = rule(
    "SO336",
    "A cell of one's own returns other states than its state_size says",
    """keras.layers.RNN makes the first state by the cell's state_size, and hands the states that the cell returns to
    its next step. So the cell returns a pair, (output, [states]), with as many states as state_size has numbers, and of
    these widths.""",
    """Make state_size agree with what call returns: self.state_size = [units, units], return output, [h, c].""",
    example="""
import numpy as np, keras
class Cell(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.state_size = 8
        self.dense = keras.layers.Dense(4)
    def call(self, inputs, states):
        h = self.dense(inputs) + states[0][:, :4]
        return h, [h]
output = keras.layers.RNN(Cell())(np.ones((2, 5, 3), "float32"))
""",
    repaired="""
import numpy as np, keras
class Cell(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.state_size = 4
        self.dense = keras.layers.Dense(4)
    def call(self, inputs, states):
        h = self.dense(inputs) + states[0][:, :4]
        return h, [h]
output = keras.layers.RNN(Cell())(np.ones((2, 5, 3), "float32"))
""",
)


# --- cells of Keras --------------------------------------------------------------------------------------------------


@SO334.on(LayerCall)
def rows_for_states(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a tensor whose rows were taken for states."""
    if not is_cell(event.layer) or inside_of_layer(event) or event.symbolic:
        return None
    place = place_here(event, seen)
    return _one_tensor(event, place) if misplaced(event, place, seen) is None else None


@SO334.on(Failure)
def refused(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a cell that failed over its states."""
    for call in failure.calls:
        if not isinstance(call, LayerCall) or not is_cell(call.layer) or inside_of_layer(call):
            continue
        place = place_in(failure, call, seen)
        states = raw_states(call)
        if states is None:
            return _evidence(
                call,
                place,
                f"{title(call.layer)} is called without states.",
                "inputs alone, no states",
                "A cell computes one step and keeps nothing by itself: states come in with every call,\nand go out.",
            )
        if isinstance(states, tuple | list) and len(states) == 2 and isinstance(states[1], tuple | list):
            return _evidence(
                call,
                place,
                f"{title(call.layer)} is given its whole result as states.",
                "a pair (output, [states]), as a cell returns it",
                "A cell returns two values, its output and the list of its states. The second alone is the state of "
                "the next step.",
            )
        if misplaced(call, place, seen) is None and (found := _one_tensor(call, place)) is not None:
            return found
    return None


@SO334.on(Failure)
def first_states(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for get_initial_state with arguments that it does not take."""
    place = failure.place
    node = place.node() if place is not None else None
    if place is None or not isinstance(node, ast.Call) or called(node) != "get_initial_state":
        return None
    cell = place.value(node.func.value) if isinstance(node.func, ast.Attribute) else None
    if not (is_cell(cell) or is_recurrent(cell)):
        return None
    arguments = [*map(place.source, node.args), *(one.arg or "" for one in node.keywords)]
    function = place.source(node.func)
    return Evidence(
        title=f"get_initial_state of {title(cell)} takes the number of rows, and nothing else.",
        got=f"{place.source(node)}: {', '.join(arguments) or 'no argument'}",
        wanted="batch_size, a whole number: how many rows, one for each sequence of the batch",
        cause="In Keras 3 get_initial_state takes batch_size alone; it reads neither inputs nor a dtype. The states it "
        f"makes are\nzeros of (batch_size, {units_of(cell) or 'units'}).",
        fix=f"{function}(batch_size=x.shape[0])",
        place=place,
        boundary=(title(cell),),
    )


def _one_tensor(call: LayerCall, place: Place | None) -> Evidence | None:
    states = raw_states(call)
    if len(names_of_states(call.layer)) < 2 or rank(states) != 2 or isinstance(states, list | tuple):
        return None
    # Both states one above the other, (2, units), are rows for each of them.
    return _evidence(
        call,
        place,
        f"{title(call.layer)} is given one tensor where a list of two states belongs.",
        f"states {shape_of(states)}: its first two rows are taken for h and c",
        f"An LSTMCell reads states[0] as its hidden state and states[1] as its cell state. In one tensor of "
        f"{size(states, 0)} rows\nthese are rows of the batch, broadcast to all of them: nothing is raised, and the "
        "result is wrong.",
    )


def _evidence(call: LayerCall, place: Place | None, text: str, got: str, cause: str) -> Evidence:
    names = names_of_states(call.layer)
    rows, units = size(call.inputs, 0), units_of(call.layer)
    letters = short_names(names)
    expression = place.expression if place is not None else ""
    value = f"[{', '.join(letters)}]"
    name = expression.partition("(")[0] or "cell"
    batch = rows if rows is not None else "rows"
    first = f"states = {name}.get_initial_state(batch_size={batch})        # before the first step"
    given = place.argument("inputs", 0) if place is not None else ""
    return Evidence(
        title=text,
        got=got,
        wanted=f"states={value}: {', '.join(names)}, each (batch {rows}, units {units})",
        cause=cause,
        fix=f"{first}\noutput, states = {name}({given or 'x'}, states)",
        place=place,
        boundary=(title(call.layer),),
    )


# --- cells of the user's own -----------------------------------------------------------------------------------------


@SO336.on(LayerCall)
def returned(event: LayerCall, seen: Seen) -> Evidence | None:
    """Remembers what a cell returned, and looks at it where the layer around it went through."""
    if event.outer is not None and getattr(event.outer.layer, "cell", None) is event.layer and _is_own(event.layer):
        seen.notes["cell outputs"][id(event.layer)] = _structure(event.output)
        return None
    cell = getattr(event.layer, "cell", None)
    if cell is None or not is_recurrent(event.layer) or not _is_own(cell) or event.symbolic:
        return None
    found = _disagrees(event.layer, cell, place_here(event, seen), seen)
    if found is not None:
        seen.notes["cells that disagree"][id(event.layer)] = found
    return found


@SO336.on(Failure)
def failed(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a layer that failed over what its cell returned."""
    for call in failure.calls:
        cell = getattr(call.layer, "cell", None) if isinstance(call, LayerCall) else None
        if isinstance(call, LayerCall) and is_recurrent(call.layer) and cell is not None and _is_own(cell):
            return _disagrees(call.layer, cell, place_in(failure, call, seen), seen)
    # The layer went through, with other units than the next one was built for.
    found = list(seen.notes["cells that disagree"].values())
    return replace(found[-1], place=failure.place) if found and failure.calls else None


@SO336.on(Failure)
def without_size(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a cell that does not say how wide its states are."""
    place = failure.place
    if place is None or "state_size" not in str(failure.error) or failure.calls:
        return None
    call = place.call("RNN", "StackedRNNCells")
    cell = place.source(call.args[0]) if call is not None and call.args else "the cell"
    return Evidence(
        title="A cell has no state_size, and RNN cannot make its first state.",
        got=f"{cell}: no state_size",
        wanted="state_size: a whole number, or a list of one number for each state",
        cause="keras.layers.RNN makes the state before the first step by itself, zeros of (batch, state_size).",
        fix="self.state_size = units        # in the cell's __init__; [units, units] for two states",
        place=place,
        boundary=("RNN",),
    )


def _is_own(cell: Any) -> bool:
    return not is_keras_own(cell) and not kinds(cell) & {"LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"}


def _structure(output: Any) -> tuple[int, tuple[tuple[Any, ...], ...]]:
    # How many parts, and the shapes of the states.
    if not isinstance(output, list | tuple):
        return 1, ()
    states = output[1] if len(output) == 2 else ()
    return len(output), tuple(tuple(getattr(one, "shape", ())) for one in flat(states))


def _disagrees(layer: Any, cell: Any, place: Place | None, seen: Seen) -> Evidence | None:
    found = seen.notes["cell outputs"].get(id(cell))
    size_of_state = getattr(cell, "state_size", None)
    if found is None or size_of_state is None:
        return None
    parts, shapes = found
    wide = [one for one in flat(size_of_state) if isinstance(one, int)]
    got_wide = [shape[-1] if len(shape) == 2 else None for shape in shapes]
    name = type(cell).__name__
    if parts != 2:
        got = f"{name}.call returns {'one tensor' if parts == 1 else count(parts, 'value')}"
        wanted = "a pair: output, [states]"
        cause = "RNN takes the state of the next step from the second value that the cell returns."
        fix = "return output, [h]        # at the end of the cell's call"
    elif len(wide) != len(shapes):
        got = f"state_size={size_of_state}: {count(len(wide), 'state')}; call returns {len(shapes)}"
        wanted = f"as many states from call as state_size has numbers: {len(wide)}"
        cause = "RNN makes the first states by state_size, and the next ones are those that the cell returned."
        fix = f"self.state_size = {[one for one in got_wide if one is not None] or [wide[0]] * len(shapes)}"
    else:
        wrong = [(one, other) for one, other in zip(wide, got_wide, strict=True) if other is not None and one != other]
        if not wrong:
            return None
        shape = shapes[wide.index(wrong[0][0])]
        got = f"state_size={size_of_state}, and call returns a state of {wrong[0][1]} units: {shape}"
        wanted = f"states as wide as state_size says: {wrong[0][0]}"
        cause = (
            f"RNN makes the first state {wrong[0][0]} wide, by state_size; the cell returns one of {wrong[0][1]}, and "
            "the next step\nwould have to go on from another shape."
        )
        fix = f"self.state_size = {got_wide[0] if len(got_wide) == 1 else got_wide}        # in {name}.__init__"
    return Evidence(
        title=f"{name} within {title(layer)} returns other states than its state_size says.",
        got=got,
        wanted=wanted,
        cause=cause,
        fix=fix,
        place=place,
        boundary=(name, title(layer)),
    )
