"""The mask that Keras carries along with a tensor."""

from __future__ import annotations

from typing import Any

from keras.src import backend as keras_backend


def attached_mask(tensor: Any) -> Any:
    """The mask (B, T) that Keras has attached to a tensor, or None."""
    return keras_backend.get_keras_mask(tensor)


def attach_mask(tensor: Any, mask: Any) -> Any:
    """Attaches a mask (B, T) where Keras's layers, losses and metrics look for it; returns the tensor."""
    keras_backend.set_keras_mask(tensor, mask)
    return tensor
