"""What the three backends of Keras share: layers with the problem's weights, a model of one step, sessions of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import ours
from offers import Offer, Ready
from workloads import CHECKED_STEPS, Problem, Workload

Step = Callable[[np.ndarray], Any]


def stock_layer(cell: str, units: int) -> Any:
    """Keras's own layer, unbuilt, with return_sequences."""
    layers = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}
    return layers[cell](units, return_sequences=True)


def built(layer: Any, problem: Problem) -> Any:
    """A layer with the problem's weights."""
    layer.build(problem.x.shape)
    layer.set_weights(problem.weights)
    return layer


def as_numpy(value: Any) -> np.ndarray:
    """An array of the backend as one of NumPy."""
    return np.asarray(keras.ops.convert_to_numpy(value))


def stepping(problem: Problem, step: Step, reset: Callable[[], None], x: Any) -> Ready:
    """A contender that does one step per call.

    Args:
        problem: a workload of one step.
        step: takes x (B, F), in whatever array it wants, carries the state on, and returns the output, (B, U).
        reset: puts the state back to zeros.
        x: the problem's ``x[:, 0]`` as ``step`` wants it.
    """

    def answer() -> dict[str, np.ndarray]:
        reset()
        outputs = [as_numpy(step(x)).reshape(problem.workload.rows, -1).copy() for _ in range(CHECKED_STEPS)]
        return {"outputs": np.stack(outputs)}

    return Ready(lambda: step(x), answer)


def predict_on_batch(problem: Problem) -> Ready:
    """A Keras model whose states go in and come out, by predict_on_batch."""
    units, zeros = problem.workload.units, _zeros(problem)
    inputs = [keras.Input(shape) for shape in ((1, problem.workload.features), (units,), (units,))]
    layer = keras.layers.LSTM(units, return_state=True)
    model = keras.Model(inputs, layer(inputs[0], initial_state=inputs[1:]))
    layer.set_weights(problem.weights)
    states = zeros

    def step(x: np.ndarray) -> np.ndarray:
        nonlocal states
        output, *states = model.predict_on_batch([x, *states])
        return output

    def reset() -> None:
        nonlocal states
        states = zeros

    return stepping(problem, step, reset, problem.x)


def carried(problem: Problem, run: Callable[[Any, list[Any]], tuple[Any, list[Any]]], convert: Step) -> Ready:
    """A function (x, states) -> (output, states) in a loop that hands its states on.

    Args:
        problem: a workload of one step.
        run: one step.
        convert: from NumPy to what ``run`` takes.
    """
    zeros = [convert(state) for state in _zeros(problem)]
    states = zeros

    def step(x: Any) -> Any:
        nonlocal states
        output, states = run(x, states)
        return output

    def reset() -> None:
        nonlocal states
        states = zeros

    return stepping(problem, step, reset, convert(problem.x[:, 0]))


def _zeros(problem: Problem) -> list[np.ndarray]:
    shape = problem.workload.rows, problem.workload.units
    return [np.zeros(shape, "float32"), np.zeros(shape, "float32")]


def step_offers(backend: str, problem: Problem) -> Iterator[Offer]:
    """What every backend has for one step.

    Args:
        backend: its name for people.
        problem: a workload of one step.
    """
    x = problem.x[:, 0].copy()
    yield Offer(f"Keras {backend}, predict_on_batch", "stock", lambda: predict_on_batch(problem))
    yield Offer(f"session.hold, {backend}", "ours", lambda: stepping(problem, *ours.held_step(problem), x))
    yield Offer(f"session.step, {backend}", "ours", lambda: stepping(problem, *ours.session_step(problem), x))
    yield Offer(f"step function, {backend}", "bound ours", lambda: stepping(problem, *ours.step_function(problem), x))


def dense_twin(workload: Workload) -> Workload:
    """A dense batch of as many rows, and about as many real steps, as a ragged one."""
    steps = round(workload.real_steps / workload.rows)
    return Workload(workload.name, workload.cell, workload.rows, steps, workload.features, workload.units)
