"""A model as a pure function: (values, states) in, (outputs, states) out. What sessions run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from sostenuto.kernels import Declined, masks
from sostenuto.layers import BatchContext
from sostenuto.models.carrying import FirstStates
from sostenuto.models.native_program import NativeProgram, compile_program
from sostenuto.models.weight_copies import check_at_hand, settle


class StepFunction:
    """Runs a built ``SequenceModel`` from given states; nothing of the model changes.

    A model of layers that have a native step runs as a native program, at any number of rows and steps; any other on
    the backend, compiled once per shape of batch. Either way the weights are those of the time of the call.

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
        self._per_step = model.output_per == "step"
        self.specs = model.carried.specs
        # An attribute past Keras's tracking would do; the layer is ours alone.
        adapter = importlib.import_module(f"sostenuto.kernels.adapters.{keras.backend.backend()}")
        self._run = adapter.compiled_call(Step(model))
        self._start = adapter.compiled_call(Start(model))
        self._weights = list(model.inner.variables)
        settle(model)
        self._program = compile_program(model)

    def native(self) -> NativeProgram | None:
        """The native program with the weights of now, or None where there is none; ``how`` then tells why."""
        settle(self._model)
        if isinstance(self._program, Declined):
            return None
        if not self._program.unchanged():
            self._program = compile_program(self._model)
        return None if isinstance(self._program, Declined) else self._program

    def how(self) -> str:
        """What does the sums, in words: the native program, or the backend and why there is no native program."""
        program = self.native()
        if program is not None:
            return program.how()
        assert isinstance(self._program, Declined)
        backend = keras.backend.backend()
        does = {
            "jax": "compiled by JAX, once per shape",
            "tensorflow": "traced by TensorFlow, once per shape",
            "torch": "eager on PyTorch",
        }.get(backend, backend)
        return f"{does}; no native step program: {self._program.reason}"

    def initial(self, rows: int) -> list[np.ndarray]:
        """The states (B, U) that new sequences start from, one array per spec."""
        settle(self._model)
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
        program = self.native()
        if program is not None:
            return self._natively(program, values, lengths, states)
        check_at_hand(self._weights)
        batch = self._model.feed(values, lengths)
        outputs, after = self._run({**batch, "states": list(states)})
        return outputs, list(after)

    def step_arrays(
        self, x: np.ndarray, states: list[np.ndarray], out: np.ndarray, new_states: list[np.ndarray]
    ) -> None:
        """One step of B rows between arrays of the caller's, all C-contiguous; for models with a native program only.

        The weights are those of the last other call of this function; whoever makes the same step again and again
        gets rid of all other costs with ``bind``.

        Args:
            x: (B, F) float32, or (B,) int32 for token ids.
            states: (B, U) float32 each.
            out: (B, ...) float32, which the outputs are written to.
            new_states: (B, U) float32 each, other arrays than ``states``.

        Raises:
            AttributeError: the model has no native program.
            ValueError, BufferError, IndexError: an array that does not fit; a token id that the Embedding has not got.
        """
        self._program.step(x, states, out, new_states)  # type: ignore[union-attr]

    def bind(
        self, x: np.ndarray, states: list[np.ndarray], out: np.ndarray, new_states: list[np.ndarray]
    ) -> Callable[[], None] | None:
        """One step between arrays that stay, as a function of nothing: their sizes are looked at once.

        Args:
            x: as for ``step_arrays``, as all others.

        Returns:
            A function that makes the step, with the weights of the time of this call; None where the model has no
            native program.
        """
        program = self.native()
        return None if program is None else program.bind(x, states, out, new_states).run

    def _natively(
        self, program: NativeProgram, values: np.ndarray, lengths: np.ndarray | None, states: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        rows, steps = values.shape[:2]
        dtype = "int32" if self._model.embedding is not None else "float32"
        if lengths is None:
            outputs, after = program.run(
                values.reshape(-1, values.shape[2]).astype(dtype, copy=False), states, steps=steps
            )
            return (outputs.reshape(rows, steps, outputs.shape[1]) if self._per_step else outputs), after
        real = np.arange(steps) < np.asarray(lengths)[:, None]
        offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
        outputs, after = program.run(values[real].astype(dtype, copy=False), states, offsets=offsets)
        if not self._per_step:
            return outputs, after
        padded = np.zeros((rows, steps, outputs.shape[1]), outputs.dtype)
        padded[real] = outputs
        return padded, after


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
