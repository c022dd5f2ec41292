"""Compiles a model of layers that are known to a native program, which runs steps without the backend."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from sostenuto.kernels import Declined, native_module
from sostenuto.models.native_calls import NoStep
from sostenuto.models.native_layers import Steps
from sostenuto.models.weight_copies import WeightCopies

_MOST_NAMED = 8


@dataclass(frozen=True, eq=False)
class NativeProgram:
    """A model as native code.

    Attributes:
        description: its layers in words.
        unchanged: tells whether the weights are still those that it was made of.
        bind: takes values (B, F) or (B, 1), states, outputs and new states, all of them arrays that stay; returns an
            object whose ``run()`` makes one step of all rows between them.
        step: takes the same and makes the step.
    """

    description: str
    unchanged: Callable[[], bool]
    bind: Callable[..., Any]
    step: Callable[..., None]
    _program: Any
    _module: Any

    def run(
        self, values: np.ndarray, states: list[np.ndarray], steps: int | None = None, offsets: np.ndarray | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Runs some steps of some sequences, each from its own states, as they lie one after the other.

        Args:
            values: (N, F) float32, or (N, 1) int32 for token ids.
            states: (B, U) float32 each.
            steps: T, where every sequence has as many steps.
            offsets: (B + 1,) int64, where it has not: those of row b are ``offsets[b]`` to ``offsets[b + 1] - 1``.

        Returns:
            The outputs, (N, width) per step or (B, width) per sequence, and the states after the last step.

        Raises:
            ValueError: arrays that do not fit.
            IndexError: a token id that the Embedding has not got.
        """
        program = self._program
        if offsets is None:
            assert steps is not None
            rows = len(states[0]) if states else len(values) // max(1, steps)
        else:
            rows, steps = len(offsets) - 1, 0
        outputs = np.empty((len(values) if program.per_step else rows, program.width), np.float32)
        before = [np.ascontiguousarray(state) for state in states]
        after = [np.empty_like(state) for state in before]
        program.run(rows, steps, offsets, np.ascontiguousarray(values), before, outputs, after)
        return outputs, after

    def how(self) -> str:
        """What runs, in words, for ``explain()``."""
        threads = self._module.threads()
        where = f"{self._module.target()}, {threads} thread{'s' * (threads != 1)}"
        return f"native step program: {self.description}; {where}"


def compile_program(model: Any) -> NativeProgram | Declined:
    """A model as a native program, or why it cannot be one.

    Args:
        model: a built SequenceModel.

    Example:
        >>> import keras, sostenuto as so
        >>> model = so.SequenceModel([so.LSTM(4), keras.layers.Reshape((2, 2))])
        >>> model.build(3)
        >>> program = compile_program(model)
        >>> program.reason == native_module.why_not() or program.reason.endswith("has no native step")
        True
    """
    if native_module.load() is None:
        return Declined(native_module.why_not() or "there is no native module")
    adapter = importlib.import_module(f"sostenuto.kernels.adapters.{keras.backend.backend()}")
    reason = adapter.native_reason()
    if reason is not None:
        return Declined(reason)
    # The threads are those of torch in a process of torch: its adapter knows.
    module = getattr(adapter, "native", native_module.load)()
    if not hasattr(module, "Program"):
        return Declined("the native module was built without step programs")
    copies = WeightCopies(module.addresses)
    steps = Steps(module.Program(), copies.read)
    try:
        program = steps.of_model(model)
    except NoStep as no:
        return Declined(str(no))
    names = steps.names
    if len(names) > _MOST_NAMED:
        names = [*names[: _MOST_NAMED - 1], f"... ({len(names)} layers)"]
    description = " -> ".join(names) or "nothing to compute"
    return NativeProgram(description, copies.unchanged, program.bind, program.step, program, module)
