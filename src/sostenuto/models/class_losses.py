"""Keras's cross-entropy of classes, in fewer passes over the logits; the same in every other respect."""

from __future__ import annotations

import importlib
from typing import Any

import keras

FASTER_ON = ("torch", "jax", "tensorflow")
# In a plain name: torch.compile traces imports at every call, and warns of it.
_adapter = (
    importlib.import_module(f"sostenuto.kernels.adapters.{keras.backend.backend()}_losses")
    if keras.backend.backend() in FASTER_ON
    else None
)


@keras.saving.register_keras_serializable(package="sostenuto")
class SparseCategoricalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """``keras.losses.SparseCategoricalCrossentropy`` whose sums over logits pass through them once each way.

    Args:
        args: see ``keras.losses.SparseCategoricalCrossentropy``.
        kwargs: see there.

    Example:
        >>> import numpy as np
        >>> loss = SparseCategoricalCrossentropy(from_logits=True)
        >>> round(float(loss(np.array([1]), np.array([[0.0, 0.0]], "float32"))), 4)
        0.6931
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The losses of rows, (B, ...) for classes (B, ...) or (B, ..., 1) and logits (B, ..., V)."""
        found = self._natively(y_true, y_pred) if _is_plain(self) else None
        return super().call(y_true, y_pred) if found is None else found

    def _natively(self, y_true: Any, y_pred: Any) -> Any:
        shape = y_pred.shape
        if _adapter is None or len(shape) < 2 or isinstance(y_pred, keras.KerasTensor):
            return None
        if tuple(y_true.shape) not in (tuple(shape[:-1]), (*shape[:-1], 1)):
            return None  # Keras has words for that
        # Graphs of TensorFlow may leave sizes open: one, the batch, is found again.
        if shape[-1] is None or tuple(shape).count(None) > 1 or _from_softmax(y_pred):
            return None
        axes = [-1 if size is None else size for size in shape[:-1]]
        rows = y_pred if len(shape) == 2 else keras.ops.reshape(y_pred, (-1, shape[-1]))
        found = _adapter.cross_entropy(rows, keras.ops.reshape(y_true, (-1,)))
        return found if found is None or len(shape) == 2 else keras.ops.reshape(found, axes)


def faster(loss: Any) -> Any:
    """The loss, or one that does the same in less time."""
    if _adapter is None or type(loss) is not keras.losses.SparseCategoricalCrossentropy:
        return loss
    return SparseCategoricalCrossentropy.from_config(loss.get_config()) if _is_plain(loss) else loss


def _from_softmax(outputs: Any) -> bool:
    # On TensorFlow Keras sees these, warns, and takes what the softmax was made of.
    made_by = getattr(getattr(outputs, "op", None), "type", None)
    return hasattr(outputs, "_keras_logits") or made_by == "Softmax"


def _is_plain(loss: Any) -> bool:
    # Its public configuration leaves the axis out.
    last = getattr(loss, "_fn_kwargs", {}).get("axis") == -1
    return last and bool(loss.from_logits) and loss.ignore_class is None
