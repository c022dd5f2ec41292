"""Drives a step function over time on any backend: the only loop over steps there is.

Where graphs are compiled (TensorFlow, JAX) the loop is Keras's own driver of recurrent layers, a scan or while loop. On
torch, which runs eagerly, and for ``unroll=True`` it is a Python loop over unstacked steps: indexing one tensor step
by step makes torch's backward pass quadratic in the number of steps, unstacking it once does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras.src import backend as keras_backend

Step = Callable[[list[Any], list[Any]], tuple[Any, list[Any]]]


def runs_eagerly_by_step(unroll: bool) -> bool:
    """Whether steps are run by a Python loop, which makes work per step dear and work on all steps at once cheap."""
    return unroll or keras.backend.backend() == "torch"


@dataclass(frozen=True)
class Ahead:
    """What a Python loop does for several steps at once, before it goes through them one by one.

    Attributes:
        of_steps: from the first input of some steps (N, B, ...) to what ``step`` takes in its place (N, B, ...).
        steps: N at most.
    """

    of_steps: Callable[[Any], Any]
    steps: int


def over_time(
    step: Step,
    inputs: list[Any],
    states: list[Any],
    *,
    unroll: bool,
    all_outputs: bool,
    reverse: bool = False,
    ahead: Ahead | None = None,
) -> tuple[Any, list[Any]]:
    """Runs ``step`` from the first time step to the last, or from the last to the first.

    Args:
        step: takes the inputs of one step, (B, ...) each, and the states; returns the output and the new states.
        inputs: tensors (B, T, ...), at least one step long.
        states: tensors, or a nested list of them, in the structure that ``step`` takes and returns.
        unroll: run a Python loop also where a compiled one is possible; T must be known.
        all_outputs: keep the output of every step.
        reverse: run backwards.
        ahead: what to do before the steps, where ``runs_eagerly_by_step``.

    Returns:
        (B, T, ...) outputs in the order of time, or None; and the final states.
    """
    if runs_eagerly_by_step(unroll):
        first = _in_turn(inputs[0], reverse, ahead)
        others = (_in_turn(tensor, reverse) for tensor in inputs[1:])
        outputs = []
        for step_inputs in zip(first, *others, strict=True):
            output, states = step(list(step_inputs), states)
            if all_outputs:
                outputs.append(output)
        outputs = outputs[::-1] if reverse else outputs
        # Stacked along the first axis and turned, which is a view on torch: ten times faster than along the second.
        return (ops.swapaxes(ops.stack(outputs, axis=0), 0, 1) if all_outputs else None), states

    def driven(step_inputs: Any, now: Any) -> tuple[Any, list[Any]]:
        output, new = step(list(step_inputs), _as_lists(now))
        return output, _as_lists(new)

    _, stacked, states = keras_backend.rnn(
        driven,
        tuple(inputs),
        _as_lists(states),
        # A list, because TensorFlow's driver asks whether the length is truthy, which a tensor does not answer.
        input_length=[ops.shape(inputs[0])[1]],
        return_all_outputs=all_outputs,
        go_backwards=reverse,
    )
    if not all_outputs:
        return None, _as_lists(states)
    return (ops.flip(stacked, axis=1) if reverse else stacked), _as_lists(states)


def _in_turn(tensor: Any, reverse: bool, ahead: Ahead | None = None) -> Iterator[Any]:
    """The steps (B, ...) of a tensor (B, T, ...), one by one."""
    if ahead is None:
        steps = ops.unstack(tensor, axis=1)
        yield from reversed(steps) if reverse else steps
        return
    # Step by step in memory, cut once: a slice for each block would make torch's backward pass quadratic again.
    by_time = ops.swapaxes(tensor, 0, 1)
    cuts = list(range(ahead.steps, by_time.shape[0], ahead.steps))
    blocks = ops.split(by_time, cuts, axis=0) if cuts else [by_time]
    for block in reversed(blocks) if reverse else blocks:
        steps = ops.unstack(ahead.of_steps(block), axis=0)
        yield from reversed(steps) if reverse else steps


def _as_lists(states: Any) -> list[Any]:
    # Keras's drivers hand states back as tuples on some backends and cells return either; a scan wants one structure.
    return [_as_lists(state) if isinstance(state, list | tuple) else state for state in states]
