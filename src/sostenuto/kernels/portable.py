"""The portable kernel: LSTM, GRU and SimpleRNN in keras.ops, one implementation for all backends."""

from __future__ import annotations

from typing import Any

from keras import ops

from sostenuto.cells import Equations, Weights, dropout_masks, equations_of, weights_of
from sostenuto.kernels import masks
from sostenuto.kernels.contract import Declined, Request, Result
from sostenuto.kernels.loop import over_time, runs_eagerly_by_step

name = "portable"


def declines(request: Request) -> Declined | None:
    """Declines cells whose equations it does not know."""
    if equations_of(request.cell) is None:
        return Declined(f"{type(request.cell).__name__} has a call() of its own")
    return None


def run(request: Request, sequences: Any, states: list[Any], mask: Any, *, all_outputs: bool) -> Result:
    """Runs the cell; a masked step leaves the states as they are."""
    cell = request.cell
    equations = equations_of(cell)
    assert equations is not None  # declines() said so
    weights = weights_of(cell)
    input_masks, state_masks = dropout_masks(cell, sequences, states) if request.training else (None, None)

    # Projecting all steps at once saves a call per step where calls are dear (eager torch: 1.3 to 2 times faster);
    # inside a compiled loop it only adds memory traffic (XLA: up to 3.4 times slower). design/0003 has the figures.
    ahead = runs_eagerly_by_step(request.unroll)
    by_step = mask is not None and not ahead and masks.better_by_step(sequences)
    if mask is not None and not by_step:
        sequences = masks.keep_real(sequences, mask)
    inputs = _project_all(equations, cell, weights, sequences, input_masks) if ahead else sequences

    def step(step_inputs: list[Any], now: list[Any]) -> tuple[Any, list[Any]]:
        projected = step_inputs[0]
        if not ahead:
            x = masks.keep_real_rows(projected, step_inputs[1]) if by_step else projected
            projected = equations.project(cell, weights, x, input_masks)
        new = equations.advance(cell, weights, projected, now, state_masks)
        return new[0], new

    def masked(step_inputs: list[Any], now: list[Any]) -> tuple[Any, list[Any]]:
        output, new = step(step_inputs, now)
        real = step_inputs[1]
        kept = [masks.choose(real, after, before) for after, before in zip(new, now, strict=True)]
        return (ops.where(real, output, now[0]) if chosen_apart else kept[0]), kept

    # TensorFlow's executor begins the next step sooner where the output is made for itself, though it equals the state:
    # 5 % of a layer's inference. In training the gradient of that costs more than it saves. design/0003
    chosen_apart = request.backend == "tensorflow" and all_outputs and not ahead and not request.training
    timed = [inputs] if mask is None else [inputs, ops.expand_dims(mask, -1)]
    outputs, states = over_time(
        step if mask is None else masked,
        timed,
        states,
        unroll=request.unroll,
        all_outputs=all_outputs,
        reverse=request.reverse,
    )
    return Result(outputs, states[0], states)


def _project_all(equations: Equations, cell: Any, weights: Weights, sequences: Any, dropout_masks: Any) -> Any:
    # Laid out step by step, so that each step reads memory that lies together; back to (B, T, ...) is only a view.
    return ops.swapaxes(equations.project(cell, weights, ops.swapaxes(sequences, 0, 1), dropout_masks), 0, 1)
