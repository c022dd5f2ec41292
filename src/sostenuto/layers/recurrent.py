"""What all recurrent layers share: Keras's layer around our checks, kernels and states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree
from keras.src.backend.common.name_scope import current_path

from sostenuto.cells import equations_of
from sostenuto.diagnosis import count, some
from sostenuto.errors import StateError
from sostenuto.kernels import Request, Result, Selection, masks, select
from sostenuto.kernels.cellwise import output_before
from sostenuto.layers import checks
from sostenuto.layers.attached_mask import attached_mask
from sostenuto.layers.context import BatchContext, batch_now, in_time_order, pass_by
from sostenuto.layers.row_states import RowStates

StackedCells = keras.layers.StackedRNNCells


class Recurrent(keras.layers.RNN):
    """Mixed in ahead of a recurrent layer of Keras; that one keeps arguments, weights and configuration.

    There is no ``__init__`` here, so that the signature people see is Keras's own.
    """

    _exact_rank = True
    input_spec: Any

    # --- states that are kept -------------------------------------------------------------------------------------

    @property
    def states(self) -> Any:
        """The variables of the kept states (stateful=True), or None."""
        kept = self.__dict__.get("_kept")
        return None if kept is None else kept.variables

    @states.setter
    def states(self, value: Any) -> None:
        # Keras's __init__ sets None; the variables themselves come with build().
        if value is not None:
            raise AttributeError("use set_state() to change the states of a layer")

    @property
    def variables(self) -> list[Any]:
        """All variables, kept states included: trainers carry them, weights and saved files do not hold them."""
        kept = self.__dict__.get("_kept")
        return super().variables + ([] if kept is None else kept.flat)

    @property
    def state_names(self) -> list[str]:
        """The names of the states in order, for instance ['h', 'c'].

        Example:
            >>> import sostenuto as so
            >>> so.LSTM(4).state_names, so.RNN([so.GRUCell(3), so.LSTMCell(4)]).state_names
            (['h', 'c'], ['0.h', '1.h', '1.c'])
        """
        return _state_names(self.cell)

    def get_state(self) -> dict[str, np.ndarray]:
        """The states kept by ``stateful=True``, by name: (R, U) each, a copy; R is the largest batch so far.

        Raises:
            StateError: SO303, the layer keeps no state or is not built.

        Example:
            >>> import numpy as np, sostenuto as so
            >>> layer = so.GRU(3, stateful=True)
            >>> _ = layer(np.ones((2, 5, 1)))
            >>> layer.get_state()["h"].shape
            (2, 3)
        """
        kept = self._kept_states("get_state")
        return {
            name: np.array(ops.convert_to_numpy(variable.value))
            for name, variable in zip(self.state_names, kept.flat, strict=True)
        }

    def set_state(self, state: dict[str, Any] | Sequence[Any]) -> None:
        """Replaces the kept states by those of ``get_state``, possibly of another layer of the same size.

        Args:
            state: by name, or in the order of ``state_names``: (R, U) each, with the same number of rows R, any number.

        Raises:
            StateError: SO303, the layer keeps no state or is not built; SO301 and SO302, states that do not fit.
        """
        kept = self._kept_states("set_state")
        arrays = tree.map_structure(np.asarray, state)
        rows = next((array.shape[0] for array in tree.flatten(arrays) if array.ndim == 2), None)
        packed = checks.check_initial_state(self, arrays, self.state_size, self.state_names, rows, "state")
        for variable, value in zip(kept.flat, tree.flatten(packed), strict=True):
            variable.assign(value)

    def reset_state(self, rows: Sequence[int] | None = None) -> None:
        """Sets the kept states to zero.

        Args:
            rows: numbers of the rows to reset; all rows by default.

        Raises:
            StateError: SO304, a row that no batch had so far.

        Example:
            >>> import numpy as np, sostenuto as so
            >>> layer = so.GRU(3, stateful=True)
            >>> _ = layer(np.ones((2, 5, 1)))
            >>> layer.reset_state(rows=[0])
            >>> layer.get_state()["h"].any(axis=1).tolist()
            [False, True]
        """
        if rows is None and self.states is None:
            return
        kept = self._kept_states("reset_state")
        known = int(ops.shape(kept.flat[0].value)[0])
        chosen = np.arange(known) if rows is None else np.atleast_1d(np.asarray(rows))
        if rows is not None and (chosen.dtype.kind not in "iu" or np.any((chosen < 0) | (chosen >= known))):
            raise StateError(
                f"{checks.title(self)} cannot reset these rows.",
                code="SO304",
                where="argument 'rows'",
                got=f"rows {some(chosen.tolist())}",
                wanted=f"numbers of the {count(known, 'row')} that had a state so far, counted from 0",
                fix="reset rows that have a state; later rows begin at zero anyway",
            )
        for variable in kept.flat:
            value = np.array(ops.convert_to_numpy(variable.value))
            value[chosen] = 0
            variable.assign(value)

    def reset_states(self) -> None:
        """Keras's older name of ``reset_state()``."""
        self.reset_state()

    def _kept_states(self, asked: str) -> RowStates:
        kept = self.__dict__.get("_kept")
        if kept is None:
            built = "it is not stateful" if not self.stateful else "it has not seen a batch yet"
            raise StateError(
                f"{checks.title(self)} keeps no state.",
                code="SO303",
                where=f"{asked}()",
                got=f"a layer without kept states: {built}",
                wanted="a built layer with stateful=True",
                fix="make it with stateful=True and call it once, or use return_state=True and initial_state=",
            )
        if any(variable._value is None for variable in kept.flat):
            raise StateError(
                f"{checks.title(self)} does not hold its states just now.",
                code="SO303",
                where=f"{asked}() while fit, evaluate or predict is running on the JAX backend",
                got="states that the running loop holds",
                wanted="states that are back in their variables",
                fix="call model.jax_state_sync() first, or do this between epochs",
            )
        return kept

    # --- building and calling -------------------------------------------------------------------------------------

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Makes the weights of the cell and, with ``stateful=True``, the kept states, for any batch size.

        Raises:
            ModelError: SO604, use_cudnn=True.
        """
        checks.check_cudnn(self)
        self.supports_masking = True
        # XLA on TensorFlow cannot change the number of rows of a variable.
        self.supports_jit = not (self.stateful and keras.backend.backend() == "tensorflow")
        step_shape = (sequences_shape[0], *sequences_shape[2:])
        if isinstance(self.cell, keras.layers.Layer) and not self.cell.built:
            self.cell.build(step_shape)
            self.cell.built = True
        if self.stateful and self.__dict__.get("_kept") is None:
            rows = sequences_shape[0] or 0
            self._kept = RowStates(self.state_size, rows, self.variable_dtype, self.name)

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states that a sequence starts from: those that the cell makes, or zeros (B, U)."""
        if hasattr(self.cell, "get_initial_state"):
            return super().get_initial_state(batch_size)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return tree.map_structure(lambda size: ops.zeros((batch_size, size), dtype=dtype), self.state_size)

    def __call__(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, *, lengths: Any = None, **options: Any
    ) -> Any:
        """Checks what comes in, then goes Keras's way.

        Args:
            sequences: (B, T, F) numbers.
            initial_state: states (B, U) each, as a list in the order of ``state_names`` or a dict by name; zeros by
                default, or the kept states with ``stateful=True``.
            mask: (B, T) boolean, True for a real step; any pattern.
            lengths: (B,) whole numbers from 0 to T, in place of a mask: the first ``lengths`` steps of a row are real.
            options: further arguments of Keras's layer, such as ``training``.

        Returns:
            (B, U), or (B, T, U) with ``return_sequences=True``; with ``return_state=True`` a tuple of that and the
            final states (B, U) each.

        Raises:
            ShapeError: SO101 to SO105.
            StateError: SO301, SO302.
            ModelError: SO604, use_cudnn=True, or unroll=True with an unknown number of steps.
        """
        if self.input_spec is not None:
            self.input_spec = None  # Keras's knows the rank only; our checks say more and come first
        checks.check_sequences(self, sequences, exact_rank=self._exact_rank, kernel=self._input_kernel())
        if initial_state is not None:
            rows = sequences.shape[0]
            initial_state = checks.check_initial_state(self, initial_state, self.state_size, self.state_names, rows)
            options["initial_state"] = initial_state
        if mask is not None:
            checks.check_mask(self, mask, sequences)
        if lengths is not None:
            checks.check_lengths(self, lengths, sequences, mask)
            mask = masks.of_lengths(lengths, sequences)
        if self.unroll:
            checks.check_unroll(self, sequences.shape[1])
        if keras.backend.is_keras_tensor(sequences):
            self._note_declared(sequences.shape)
        else:
            checks.check_declared_rows(self, sequences, self.__dict__.get("_declared_rows"))
            if mask is None:
                mask = self._mask_that_was_lost(sequences)
        if mask is not None:
            options["mask"] = mask
        return super().__call__(sequences, **options)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Runs the recurrence; see ``__call__``."""
        mask = self._plain_mask(mask, sequences)
        rows = ops.shape(sequences)[0]
        context = batch_now(self.__dict__.get("_declared_steps")) if initial_state is None else None
        if initial_state is None:
            initial_state = self._first_states(rows, context)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        states = _listed(tree.map_structure(lambda state: _rows_of(state, rows, dtype), _listed(initial_state)))
        sequences = ops.cast(sequences, dtype)

        result = self._run(sequences, states, mask, bool(training))

        if context is None:
            pass_by(self)
        else:
            context.states.append(result.states)
        if self.stateful and not (context is not None and context.carries):
            self._kept.write(result.states)
        output = self._arrange(result.outputs, mask, states) if self.return_sequences else result.last
        output = ops.cast(output, self.compute_dtype)
        if not self.return_state:
            return output
        return (output, *tree.map_structure(lambda state: ops.cast(state, self.compute_dtype), result.states))

    def _first_states(self, rows: Any, context: BatchContext | None) -> Any:
        carried = context is not None and context.carries
        kept = None if carried else self.__dict__.get("_kept")

        def own() -> list[Any]:
            return _listed(kept.read(rows) if kept is not None else self.get_initial_state(batch_size=rows))

        return own() if context is None else context.begin(self, own)

    def _run(self, sequences: Any, states: list[Any], mask: Any, training: bool) -> Result:
        if sequences.shape[1] == 0:
            last = output_before(self.cell, states)
            return Result(ops.expand_dims(last, 1)[:, :0], last, states)
        request = Request(
            cell=self.cell,
            backend=keras.backend.backend(),
            dtype=keras.backend.standardize_dtype(sequences.dtype),
            masked=mask is not None,
            training=training,
            unroll=self.unroll,
            reverse=self.go_backwards,
        )
        selection = select(request)
        self.__dict__["_selection"] = selection  # past Keras's tracking of attributes, which is slow
        draws = training and selection.kernel.name == "cellwise"
        if draws:
            # Keras's cells draw their dropout at the first step and hold it; a compiled loop is too late for that.
            self._maybe_config_dropout_masks(self.cell, sequences[:, 0], states)
        result = selection.kernel.run(request, sequences, states, mask, all_outputs=self.return_sequences)
        if draws:
            self._maybe_reset_dropout_masks(self.cell)
        return result

    def _arrange(self, outputs: Any, mask: Any, first_states: list[Any]) -> Any:
        if self.go_backwards and not in_time_order():
            if mask is None:
                outputs = ops.flip(outputs, axis=1)
            else:
                outputs = masks.reverse_real(outputs, mask, output_before(self.cell, first_states))
        if mask is not None and self.zero_output_for_mask:
            outputs = masks.keep_real(outputs, mask)
        return outputs

    def _plain_mask(self, mask: Any, sequences: Any) -> Any:
        if mask is None:
            # Keras passes the mask of an input on only where the layer got no other tensor.
            mask = attached_mask(sequences)
        if isinstance(mask, list | tuple):
            mask = tree.flatten(mask)[0] if tree.flatten(mask) else None
        if mask is None:
            return None
        mask = ops.convert_to_tensor(mask)
        if len(mask.shape) == 3 and mask.shape[-1] == 1:
            mask = ops.squeeze(mask, axis=-1)
        checks.check_mask(self, mask, sequences)
        return ops.cast(mask, "bool")

    def _note_declared(self, shape: Any) -> None:
        self.__dict__.setdefault("_declared_steps", shape[1])
        # A Sequential calls its layers inside of its own scope, and there the number of rows may be that of the first
        # batch it saw, which nobody declared: design/0009.
        if self.stateful and not current_path():
            self.__dict__.setdefault("_declared_rows", shape[0])

    def take_any_rows(self) -> None:
        """Lets a stateful layer forget the batch size that an Input declared."""
        self.__dict__["_declared_rows"] = None

    def _mask_that_was_lost(self, sequences: Any) -> Any:
        context = batch_now(self.__dict__.get("_declared_steps"))
        return None if context is None or attached_mask(sequences) is not None else context.mask

    def _input_kernel(self) -> Any:
        cell = self.cell
        if isinstance(cell, StackedCells):
            cell = cell.cells[0]
        return cell.kernel if equations_of(cell) is not None and cell.built else None

    def explain(self) -> Selection:
        """Which kernel ran the last call (or would run the next), and why not the others.

        Example:
            >>> import sostenuto as so
            >>> so.LSTM(4, activation="relu").explain().kernel.name
            'portable'
        """
        last = self.__dict__.get("_selection")
        if last is not None:
            return last
        return select(Request(self.cell, backend=keras.backend.backend(), dtype=self.compute_dtype, unroll=self.unroll))


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, list | tuple) else [states]


def _rows_of(state: Any, rows: Any, dtype: Any) -> Any:
    # A state of one row would be broadcast where the batch size is known only at run time; a reshape refuses.
    state = ops.convert_to_tensor(state, dtype=dtype)
    if isinstance(rows, int) and state.shape[0] == rows:
        return state
    return ops.reshape(state, (rows, state.shape[-1]))


def _state_names(cell: Any) -> list[str]:
    if isinstance(cell, StackedCells):
        return [f"{number}.{name}" for number, inner in enumerate(cell.cells) for name in _state_names(inner)]
    equations = equations_of(cell)
    if equations is not None:
        return list(equations.STATES)
    sizes = tree.flatten(cell.state_size)
    return ["h"] if len(sizes) == 1 else [f"state_{number}" for number in range(len(sizes))]
