"""The arrays that a hold steps in: inputs, states, answers, and the step from one set to the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from sostenuto.sessions.requests import Request
from sostenuto.stores import Id

if TYPE_CHECKING:
    from sostenuto.sessions.turns import Turns


class Side:
    """One of the two sets of arrays: what a step reads, the states it leaves, and its answer.

    Attributes:
        flat: (B, F), the inputs of the step.
        x: the same memory, (B,) for token ids.
        states: (B, U) each, after the step.
        answer: (B, ...), the answers of the step.
        fits: tells quickly whether the inputs are such as the model takes; where it says no, somebody must look.
        run: makes the step, from the states of the other side.
    """

    __slots__ = ("_session", "answer", "fits", "flat", "run", "states", "x")

    fits: Callable[[], bool]
    run: Callable[[], object]

    def __init__(self, session: Turns, rows: int, states: list[np.ndarray]) -> None:
        model = session.model
        self._session = session
        self.flat = np.zeros((rows, model.feature_count), session._reader.dtype)
        tokens = self.flat.dtype.kind == "i"
        self.x = self.flat[:, 0] if tokens else self.flat
        self.states = states
        self.answer = np.zeros((rows, *(size or 0 for size in model.output_axes)), "float32")
        self.fits = _check_of(self.flat.reshape(-1), int(model.embedding.input_dim) if tokens else None)

    def prepare(self, before: Side) -> None:
        """Gets the step from the states of ``before`` ready, with the weights of now."""
        native = None
        if len(self.flat):
            native = self._session.model.step_function.bind(self.flat, before.states, self.answer, self.states)
        self.run = native or partial(self._run_any, before)

    def request(self, ids: list[Id]) -> Request:
        """The step as a call of the session."""
        rows = len(self.flat)
        return Request(ids, self.flat, np.ones(rows, np.int64), 1, np.ones(rows, bool), False)

    def recorded(self) -> np.ndarray:
        """The answers as they are recorded for a repeat."""
        return self.answer[:, None] if self._session._runner.per_step else self.answer

    def _run_any(self, before: Side) -> None:
        """The step on the backend, with the weights of the time of the call."""
        if not len(self.flat):
            self.answer = self._session._runner.nothing()
            return
        answers, states = self._session._runner(self.request(list(range(len(self.flat)))), before.states)
        self.answer = answers[:, 0] if self._session._runner.per_step else answers
        for mine, new in zip(self.states, states, strict=True):
            mine[...] = new


def _check_of(flat: np.ndarray, vocabulary: int | None) -> Callable[[], bool]:
    """A quick check of what ``flat`` (N,) holds when it is called: finite numbers, or tokens of the vocabulary."""
    if vocabulary is not None:
        largest = flat.view(flat.dtype.str.replace("i", "u")).max  # what is below 0 looks very large
        return lambda: largest(initial=0) < vocabulary
    if flat.dtype not in (np.float32, np.float64):
        return lambda: bool(np.isfinite(flat).all())
    # Finite numbers have a finite mean, and one that is not makes it so. NumPy takes a product in a fifth of the time
    # of a sum, and vdot, unlike dot, never warns.
    parts, product = np.full(len(flat), 1 / max(1, len(flat)), flat.dtype), np.vdot
    return lambda: isfinite(product(flat, parts))
