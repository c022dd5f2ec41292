"""A model as a pure function: (values, states) in, (outputs, states) out. What sessions run."""

from __future__ import annotations

import importlib
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from sostenuto.kernels import masks
from sostenuto.layers import BatchContext
from sostenuto.models.carrying import FirstStates


class StepFunction:
    """Runs a built ``SequenceModel`` from given states, compiled once per shape of batch; nothing of the model changes.

    Args:
        model: a built SequenceModel.

    Attributes:
        specs: the states, in the order in which they are passed.

    Example:
        >>> import keras, numpy as np, sostenuto as so
        >>> model = so.SequenceModel([so.GRU(4, return_sequences=True), keras.layers.Dense(1)])
        >>> model.build(3)
        >>> run = StepFunction(model)
        >>> run.specs[0].layer.startswith("gru"), run.specs[0].state, run.specs[0].size
        (True, 'h', 4)
        >>> outputs, states = run(np.ones((2, 1, 3)), None, run.initial(2))
        >>> outputs.shape, states[0].shape
        ((2, 1, 1), (2, 4))
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.specs = model.carried.specs
        # An attribute past Keras's tracking would do; the layer is ours alone.
        adapter = importlib.import_module(f"sostenuto.kernels.adapters.{keras.backend.backend()}")
        self._run = adapter.compiled_call(Step(model))
        self._start = adapter.compiled_call(Start(model))

    def initial(self, rows: int) -> list[np.ndarray]:
        """The states (B, U) that new sequences start from, one array per spec."""
        one = self._start(np.zeros((1,), "float32"))
        return [np.repeat(state, rows, axis=0) for state in one]

    def __call__(
        self, values: np.ndarray, lengths: np.ndarray | None, states: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Runs some steps of some sequences.

        Args:
            values: (B, T, F).
            lengths: (B,) the real steps of each row; None where all T are.
            states: (B, U) each, in the order of ``specs``.

        Returns:
            The outputs, (B, T, ...) per step or (B, ...) per sequence, and the states after the last real step.
        """
        batch = self._model.feed(values, lengths)
        outputs, after = self._run({**batch, "states": list(states)})
        return outputs, list(after)


class Step(keras.layers.Layer):
    """The model with its states as inputs and outputs."""

    def __init__(self, model: Any) -> None:
        super().__init__(autocast=False)
        self.model = model
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        values, lengths = inputs["values"], inputs.get("lengths")
        mask = None if lengths is None else masks.from_lengths(lengths, ops.shape(values)[1])
        context = BatchContext(mask, self.model.declared_steps, FirstStates(inputs["states"]), carries=True)
        return self.model.run_layers(values, context, training=training), tree.flatten(context.states)


class Start(keras.layers.Layer):
    """The states that the recurrent layers start from, one row each."""

    def __init__(self, model: Any) -> None:
        super().__init__(autocast=False)
        self.model = model
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        states: list[Any] = []
        for layer in self.model.carried.layers:
            own = layer.get_initial_state(batch_size=1)
            states += tree.flatten(own if self.model.start is None else self.model.start.begin(own, len(states)))
        return states
