"""From ragged steps through the model and back: as they lie, or in a few shapes of batches that a backend compiles."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from sostenuto.models.native_program import NativeProgram
from sostenuto.sessions.requests import Request

MOST_ROWS = 1024


def bucket(number: int) -> int:
    """The power of two that holds so many rows or steps.

    Example:
        >>> [bucket(number) for number in (0, 1, 2, 3, 1000)]
        [1, 1, 2, 4, 1024]
    """
    return 1 << max(0, number - 1).bit_length()


class Runner:
    """Runs the steps of a request, each id from its own states.

    A native program runs the steps as they lie. For a backend ids are grouped by their number of steps, rounded up to a
    power of two (one step alone needs no lengths), and rows are filled up to a power of two, at most 1024; so few
    shapes are ever compiled, each once.

    Args:
        model: the built SequenceModel.

    Attributes:
        per_step: whether the model gives an output per step.
        axes: the axes of one output.
        specs: the states, in their order.
        first: the states (1, U) that new ids start from.
        shapes: the (rows, steps, whether all steps are real) that were run on the backend.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._run = model.step_function
        self.per_step = model.output_per == "step"
        self._declared = model.declared_steps
        self.axes = model.output_axes
        self.specs = self._run.specs
        self.first = self._run.initial(1)
        self.shapes: set[tuple[int, int, bool]] = set()

    def nothing(self) -> np.ndarray:
        """The answers to no ids."""
        return np.zeros((0, *(size or 0 for size in self.axes)), "float32")

    def __call__(self, request: Request, states: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
        """Answers and states after the steps of a request.

        Args:
            request: B ids and their steps.
            states: (B, U) each.

        Returns:
            The answers: (T, ...) for each id where the model gives an output per step, else (...), as one array where
            all ids have as many steps, otherwise as a list. And the states (B, U) after the last step of each id.
        """
        program = self._run.native()
        if program is not None:
            return self._natively(program, request, states)
        rows, longest = len(request.ids), request.steps
        if longest is None or rows > MOST_ROWS:
            return self._in_parts(request, states)
        outputs, ended = self._batch(*self._filled_up(request, longest), states)
        outputs = outputs[:rows, :longest] if self.per_step else outputs[:rows]
        return outputs.copy(), [end[:rows] for end in ended]

    def _natively(
        self, program: NativeProgram, request: Request, states: list[np.ndarray]
    ) -> tuple[Any, list[np.ndarray]]:
        rows, steps = len(request.ids), request.steps
        if steps is not None:
            outputs, after = program.run(request.flat, states, steps=steps)
            return (outputs.reshape(rows, steps, outputs.shape[1]) if self.per_step else outputs), after
        offsets = request.offsets
        outputs, after = program.run(request.flat, states, offsets=offsets)
        if not self.per_step:
            return outputs, after
        return [outputs[start:stop].copy() for start, stop in pairwise(offsets.tolist())], after

    def _in_parts(self, request: Request, states: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
        lengths = request.lengths
        after = [state.copy() for state in states]
        answers: list[Any] = [None] * len(lengths)
        sizes = np.array([self._steps(length) for length in lengths.tolist()])
        for steps in np.unique(sizes).tolist():
            members = np.flatnonzero(sizes == steps)
            for begin in range(0, len(members), MOST_ROWS):
                part = members[begin : begin + MOST_ROWS]
                outputs, ended = self._batch(*self._gathered(request, part, steps), [state[part] for state in states])
                for state, end in zip(after, ended, strict=True):
                    state[part] = end[: len(part)]
                for row, output in zip(part.tolist(), outputs, strict=False):
                    answers[row] = (output[: lengths[row]] if self.per_step else output).copy()
        return (np.stack(answers) if request.steps is not None or not self.per_step else answers), after

    def _steps(self, length: int) -> int:
        return bucket(length) if self._declared is None else self._declared

    def _filled_up(self, request: Request, length: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Values (B, T, F) and lengths of all ids, which have as many steps."""
        rows, steps = len(request.ids), self._steps(length)
        values = request.flat.reshape(rows, length, request.flat.shape[1])
        if (bucket(rows), steps) != (rows, length):
            given, values = values, np.zeros((bucket(rows), steps, values.shape[2]), values.dtype)
            values[:rows, :length] = given
        return values, None if steps == length == 1 else self._lengths(request.lengths, len(values))

    def _gathered(self, request: Request, part: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Values (B, T, F) and lengths of some of the ids."""
        real, starts = request.lengths[part], request.offsets[part]
        values = np.zeros((bucket(len(part)), steps, request.flat.shape[1]), request.flat.dtype)
        places = np.arange(steps)
        inside = places < real[:, None]
        values[: len(part)][inside] = request.flat[(starts[:, None] + places)[inside]]
        return values, None if steps == 1 and real.all() else self._lengths(real, len(values))

    @staticmethod
    def _lengths(real: np.ndarray, rows: int) -> np.ndarray:
        lengths = np.zeros(rows, "int32")
        lengths[: len(real)] = real
        return lengths

    def _batch(
        self, values: np.ndarray, lengths: np.ndarray | None, states: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        shape = (*values.shape[:2], lengths is None)
        if shape not in self.shapes:
            self.shapes.add(shape)
        return self._run(values, lengths, [_filled(state, len(values)) for state in states])

    def how(self) -> str:
        """What does the sums, in words."""
        return self._run.how()

    def batches(self) -> str:
        """The shapes in which steps are run, in words."""
        if self._run.native() is not None:
            return "of any size, nothing padded"
        shapes = ", ".join(f"{rows} x {steps}" for rows, steps in sorted({shape[:2] for shape in self.shapes}))
        return f"{shapes} (rows x steps)" if shapes else "none so far"


def _filled(state: np.ndarray, size: int) -> np.ndarray:
    if len(state) == size:
        return state
    filled = np.zeros((size, *state.shape[1:]), state.dtype)
    filled[: len(state)] = state
    return filled
