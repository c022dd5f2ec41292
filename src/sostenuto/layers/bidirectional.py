"""Bidirectional: one layer reads forwards, one backwards, each within the real steps of every row."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sostenuto.kernels import masks
from sostenuto.layers import checks
from sostenuto.layers.context import outputs_in_time_order
from sostenuto.layers.convert import convert_layer
from sostenuto.layers.recurrent import Recurrent


@keras.saving.register_keras_serializable(package="sostenuto")
class Bidirectional(keras.layers.Bidirectional):
    """Runs a recurrent layer over sequences in both directions: ``keras.layers.Bidirectional`` without its traps.

    Both directions read the real steps of each row only, so the result does not depend on the padding. Layers of Keras
    are turned into Sostenuto's. Initial states are those of the forward layer, then those of the backward layer.

    Args:
        layer: the recurrent layer, ours or Keras's.
        merge_mode: how both outputs are joined: "concat", "sum", "mul", "ave", or None for a pair.
        weights: initial weights, those of the forward layer first.
        backward_layer: a layer with ``go_backwards=True``; by default one like ``layer``.
        kwargs: ``name``, ``dtype`` and the like.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> layer = so.Bidirectional(so.LSTM(4, return_sequences=True))
        >>> tuple(layer(np.ones((2, 5, 3), "float32"), lengths=[5, 2]).shape)
        (2, 5, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(convert_layer(layer), merge_mode, weights, convert_layer(backward_layer), **kwargs)
        self.input_spec = None
        self.supports_jit = self.forward_layer.supports_jit and self.backward_layer.supports_jit

    @property
    def state_names(self) -> list[str]:
        """The names of the states in order: those of the forward layer, then those of the backward layer."""
        names = [("forward", self.forward_layer), ("backward", self.backward_layer)]
        return [f"{direction}.{name}" for direction, layer in names for name in _names(layer)]

    def __call__(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, *, lengths: Any = None, **options: Any
    ) -> Any:
        """Checks what comes in, then goes Keras's way; arguments as in ``LSTM``.

        Raises:
            ShapeError: SO101 to SO105.
            StateError: SO301, SO302.
        """
        forward = self.forward_layer
        kernel = forward._input_kernel() if isinstance(forward, Recurrent) else None
        checks.check_sequences(self, sequences, exact_rank=getattr(forward, "_exact_rank", False), kernel=kernel)
        if initial_state is not None:
            sizes = [*getattr(forward, "state_size", []), *getattr(self.backward_layer, "state_size", [])]
            options["initial_state"] = checks.check_initial_state(
                self, initial_state, sizes, self.state_names, sequences.shape[0]
            )
        if mask is not None:
            checks.check_mask(self, mask, sequences)
        if lengths is not None:
            checks.check_lengths(self, lengths, sequences, mask)
            mask = masks.of_lengths(lengths, sequences)
        if mask is not None:
            options["mask"] = mask
        return super().__call__(sequences, **options)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        """Runs both directions; see ``__call__``."""
        forward_options: dict[str, Any] = {"training": training}
        if mask is not None:
            forward_options["mask"] = mask
        backward_options = dict(forward_options)
        if initial_state is not None:
            half = len(self.forward_layer.state_size)
            forward_options["initial_state"] = list(initial_state[:half])
            backward_options["initial_state"] = list(initial_state[half:])
        forwards = self.forward_layer(sequences, **forward_options)
        with outputs_in_time_order():
            backwards = self.backward_layer(sequences, **backward_options)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*forwards[1:], *backwards[1:])
            forwards, backwards = forwards[0], backwards[0]
        if self.return_sequences and not isinstance(self.backward_layer, Recurrent):
            backwards = ops.flip(backwards, axis=1)
        # The inner layers follow their own dtype policy.
        output = self._merge(ops.cast(forwards, self.compute_dtype), ops.cast(backwards, self.compute_dtype))
        if not states:
            return output
        return (*output, *states) if self.merge_mode is None else (output, *states)

    def _merge(self, forwards: Any, backwards: Any) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([forwards, backwards], axis=-1)
        if self.merge_mode == "sum":
            return forwards + backwards
        if self.merge_mode == "ave":
            return (forwards + backwards) / 2
        if self.merge_mode == "mul":
            return forwards * backwards
        return forwards, backwards


def _names(layer: Any) -> list[str]:
    sizes = getattr(layer, "state_size", [])
    return layer.state_names if isinstance(layer, Recurrent) else [f"state_{number}" for number in range(len(sizes))]
