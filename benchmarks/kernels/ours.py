"""What of ours is timed, and how it is called: the only file here that knows Sostenuto.

A function that raises ``Absent`` is shown as "-".
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
from offers import Absent
from workloads import Problem

# (inputs (B, T, F), kernel, recurrent_kernel, bias) -> outputs (B, T, U), arrays of the backend; differentiable.
Recurrence = Callable[[Any, Any, Any, Any], Any]

# x (B, F) -> outputs (B, U), the state carried on; and what puts all rows at their beginning.
Steps = tuple[Callable[[np.ndarray], np.ndarray], Callable[[], Any]]

CELLS = {"lstm": "lstm", "gru": "gru_reset_after", "simple_rnn": "simple_rnn"}


def recurrence(backend: str, problem: Problem, flat: bool = False) -> Recurrence:
    """The native kernel, array in and array out.

    Args:
        backend: "torch", "jax" or "tensorflow"; the function runs on its arrays, eager, jitted, in a tf.function.
        problem: cell, sizes, and what is ragged.
        flat: take (N, F) and give (N, U), rows as ``problem.offsets`` says, in place of a padded batch with a mask.

    Raises:
        Absent: there is no native kernel here.
    """
    from keras import ops

    from sostenuto.kernels import native_module
    from sostenuto.kernels.recurrence import Recurrence as What

    adapter = importlib.import_module(f"sostenuto.kernels.adapters.{backend}")
    reason = native_module.why_not() or adapter.native_reason()
    if reason is not None:
        raise Absent(f"no native kernel: {reason}")
    workload = problem.workload
    what = What(CELLS[workload.cell], workload.units)
    states = [ops.zeros((workload.rows, workload.units), "float32") for _ in range(what.states)]
    where: dict[str, Any] = {}
    if flat:
        where["offsets"] = ops.convert_to_tensor(problem.offsets)
    elif problem.mask is not None:
        where["mask"] = ops.convert_to_tensor(problem.mask)

    def run(inputs: Any, *weights: Any) -> Any:
        return adapter.recurrence(what, inputs, weights, states, **where)[0]

    return run


def layer(cell: str, units: int) -> Any:
    """Our Keras layer, unbuilt, with return_sequences."""
    import sostenuto as so

    return {"lstm": so.LSTM, "gru": so.GRU, "simple_rnn": so.SimpleRNN}[cell](units, return_sequences=True)


def session_step(problem: Problem) -> Steps:
    """``session.step(ids, x)`` with the store in memory: every step is looked at, counted and kept."""
    session, ids = _session(problem)
    return lambda x: session.step(ids, x), lambda: session.reset(ids)


def held_step(problem: Problem) -> Steps:
    """``rows.step(x)`` of ``session.hold(ids)``: the array form for loops, kept when the loop says so."""
    session, ids = _session(problem)
    rows = session.hold(ids)
    return rows.step, rows.reset


def step_function(problem: Problem) -> Steps:
    """One step of the compiled program of a model alone, between arrays that stay: no ids, no store, x as at first.

    Raises:
        Absent: the model has no such program here.
    """
    run = _model(problem).step_function
    x = problem.x[:, 0].copy()
    states = [[np.zeros((len(x), problem.workload.units), "float32") for _ in "hc"] for _ in "ab"]
    out = np.zeros_like(states[0][0])
    # There and back, so that no state is ever copied.
    bound = [run.bind(x, states[side], out, states[not side]) for side in (False, True)]
    if None in bound:
        raise Absent(run.how())
    turns = cycle(bound)

    def step(given: np.ndarray) -> np.ndarray:
        next(turns)()
        return out

    def reset() -> None:
        for side in states:
            for state in side:
                state[:] = 0

    return step, reset


def _model(problem: Problem) -> Any:
    import sostenuto as so

    model = so.SequenceModel([so.LSTM(problem.workload.units, return_sequences=True)])
    model.build(problem.workload.features)
    model.set_weights(problem.weights)
    return model


def _session(problem: Problem) -> tuple[Any, list[str]]:
    return _model(problem).session(), [f"engine-{row}" for row in range(problem.workload.rows)]
