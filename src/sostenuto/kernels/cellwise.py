"""The kernel for any other cell: calls the cell at every step, as Keras does."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree

from sostenuto.cells import equations_of
from sostenuto.kernels import masks
from sostenuto.kernels.contract import Declined, Request, Result
from sostenuto.kernels.loop import over_time, runs_eagerly_by_step

name = "cellwise"


def declines(request: Request) -> Declined | None:
    """Takes every cell."""
    return None


def run(request: Request, sequences: Any, states: list[Any], mask: Any, *, all_outputs: bool) -> Result:
    """Runs the cell; a masked step leaves the states and the last output as they are."""
    cell = request.cell
    takes_training = isinstance(cell, keras.layers.Layer) and getattr(cell, "_call_has_training_arg", False)
    options = {"training": request.training} if takes_training else {}
    call = cell if callable(cell) else cell.call
    by_step = mask is not None and not runs_eagerly_by_step(request.unroll)
    if mask is not None and not by_step:
        sequences = masks.keep_real(sequences, mask)

    def step(step_inputs: list[Any], carried: list[Any]) -> tuple[Any, list[Any]]:
        before, last = carried
        x = masks.keep_real_rows(step_inputs[0], step_inputs[1]) if by_step else step_inputs[0]
        output, after = call(x, before, **options)
        # Cells may return tuples for lists, a lone state bare, and StackedRNNCells of one cell leaves out a level.
        after = tree.pack_sequence_as(before, tree.flatten(after))
        if mask is not None:
            real = step_inputs[1]
            output = ops.where(real, output, last)
            after = tree.map_structure(lambda new, old: ops.where(real, new, old), after, before)
        return output, [after, output]

    # The last output travels with the states: a cell's output need not be one of its states.
    timed = [sequences] if mask is None else [sequences, ops.expand_dims(mask, -1)]
    first = output_before(cell, states)
    outputs, (states, last) = over_time(
        step, timed, [states, first], unroll=request.unroll, all_outputs=all_outputs, reverse=request.reverse
    )
    return Result(outputs, last, states)


def output_before(cell: Any, states: list[Any]) -> Any:
    """The output (B, U) ahead of the first real step: the one the states stand for where they tell, else zeros."""
    top, of_top = cell, states
    while isinstance(top, keras.layers.StackedRNNCells):
        top, of_top = top.cells[-1], of_top[-1]
    if equations_of(top) is not None:
        return tree.flatten(of_top)[0]
    size = getattr(cell, "output_size", None)
    size = tree.flatten(cell.state_size)[0] if size is None else size
    some_state = tree.flatten(states)[0]
    return ops.zeros((ops.shape(some_state)[0], int(size)), dtype=some_state.dtype)
