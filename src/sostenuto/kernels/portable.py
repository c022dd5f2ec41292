"""The portable kernel: LSTM, GRU and SimpleRNN in keras.ops, one implementation for all backends."""

from __future__ import annotations

from typing import Any

from keras import ops

from sostenuto.cells import Equations, Weights, dropout_masks, equations_of, weights_of
from sostenuto.kernels import masks
from sostenuto.kernels.contract import Declined, Request, Result
from sostenuto.kernels.loop import Ahead, over_time, runs_eagerly_by_step

name = "portable"

# What a Python loop projects at once. It is read again step by step, from the cache of a core where it fits.
PROJECTED_BYTES = 3 << 20


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

    # Projecting many steps at once saves a call per step where calls are dear (eager torch), as long as the result
    # stays in the cache; inside a compiled loop it only adds memory traffic (XLA: up to 3.4 times slower): design/0003.
    ahead = _projecting(equations, cell, weights, input_masks, states) if runs_eagerly_by_step(request.unroll) else None
    if mask is not None and ahead is not None:
        sequences = masks.keep_real(sequences, mask)

    def step(step_inputs: list[Any], now: list[Any]) -> tuple[Any, list[Any]]:
        x, real = step_inputs if mask is not None else (step_inputs[0], None)
        if ahead is None:
            x = equations.project(cell, weights, x if real is None else masks.keep_real_rows(x, real), input_masks)
        new = equations.advance(cell, weights, x, now, state_masks)
        if real is None:
            return new[0], new
        kept = [masks.choose(real, after, before) for after, before in zip(new, now, strict=True)]
        return (ops.where(real, new[0], now[0]) if chosen_apart else kept[0]), kept

    # TensorFlow's executor begins the next step sooner where the output is made for itself, though it equals the state:
    # 5 % of a layer's inference. In training the gradient of that costs more than it saves. design/0003
    chosen_apart = request.backend == "tensorflow" and all_outputs and ahead is None and not request.training
    timed = [sequences] if mask is None else [sequences, ops.expand_dims(mask, -1)]
    outputs, states = over_time(
        step, timed, states,
        unroll=request.unroll, all_outputs=all_outputs, reverse=request.reverse, ahead=ahead,
    )  # fmt: skip
    return Result(outputs, states[0], states)


def _projecting(equations: Equations, cell: Any, weights: Weights, dropout_masks: Any, states: list[Any]) -> Ahead:
    rows = states[0].shape[0] or 1
    bytes_of_step = rows * weights.kernel.shape[-1] * 4
    steps = max(1, PROJECTED_BYTES // bytes_of_step)
    return Ahead(lambda block: equations.project(cell, weights, block, dropout_masks), steps)
