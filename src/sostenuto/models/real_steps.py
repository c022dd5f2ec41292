"""Losses and metrics that count real steps only, whatever the padding.

Keras weighs a loss by the mask of the predictions, but loses that mask on JAX between the forward pass and the metrics,
ignores it in metrics that are no plain means (AUC, RootMeanSquaredError, ...), divides a batch's mean by its padded
steps, and averages the losses of batches by their rows. Here metrics see every step as a row of its own, with the mask
as its weight, and the losses of batches count by their real steps.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sostenuto.kernels import masks
from sostenuto.layers import attach_mask, attached_mask
from sostenuto.models.class_losses import SparseCategoricalCrossentropy


class RealStepsLoss(keras.metrics.Mean):
    """The mean loss over batches, weighted with what ``count_noted`` says.

    Keras's trainers call ``update_state`` with the number of rows right before ``compute_metrics``; the loss waits here
    until that one knows the number of real steps.
    """

    _noted: Any = None

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Notes the loss of a batch."""
        self._noted = values

    def count_noted(self, number: Any) -> None:
        """Counts the loss noted last with the weight ``number``."""
        noted, self._noted = self._noted, None
        if noted is not None:  # Keras calls compute_metrics alone when it builds the metrics
            super().update_state(noted, sample_weight=ops.cast(number, self.dtype))


@keras.saving.register_keras_serializable(package="sostenuto")
class RealSteps(keras.metrics.Metric):
    """Gives the mask of the predictions to a metric that takes weights but no mask.

    Args:
        metric: the metric.
        name: taken from the metric.
        dtype: taken from the metric.

    Example:
        >>> import numpy as np
        >>> from sostenuto.layers import attach_mask
        >>> metric = RealSteps(keras.metrics.RootMeanSquaredError())
        >>> predicted = attach_mask(ops.convert_to_tensor([[3.0], [99.0]]), ops.convert_to_tensor([True, False]))
        >>> metric.update_state(np.array([[1.0], [0.0]]), predicted)
        >>> float(metric.result())
        2.0
    """

    def __init__(self, metric: Any, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name or metric.name, dtype=dtype or metric.dtype)
        self.metric = metric

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Passes on with weight 0 for what is masked."""
        mask = attached_mask(y_pred)
        if mask is not None:
            mask = ops.cast(mask, self.dtype)
            sample_weight = mask if sample_weight is None else mask * ops.cast(sample_weight, self.dtype)
        self.metric.update_state(y_true, y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """The metric's result."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Begins anew."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The configuration, for saving."""
        return {**super().get_config(), "metric": keras.saving.serialize_keras_object(self.metric)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RealSteps:
        """The metric of a configuration."""
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(metric, name=config.get("name"), dtype=config.get("dtype"))


def steps_as_rows(mask: Any, y: Any, y_pred: Any, sample_weight: Any, clean: bool = True) -> tuple[Any, Any, Any]:
    """Targets, predictions and weights with rows and steps as one axis, the mask attached to the predictions.

    Args:
        mask: (B, T).
        y: (B, T, ...).
        y_pred: (B, T, ...).
        sample_weight: (B, T) or None.
        clean: put zeros in the place of predictions that do not count.

    Returns:
        The same as (B * T, ...).
    """
    rows = attach_mask(_merged(masks.keep_real(y_pred, mask) if clean else y_pred), ops.reshape(mask, (-1,)))
    return _merged(y), rows, None if sample_weight is None else ops.reshape(sample_weight, (-1,))


def faster_as_rows(loss: Any) -> bool:
    """Whether a loss of outputs per step is the same for steps as rows, and faster.

    PyTorch computes the cross-entropy of classes along the second axis: for (B, T, V) it copies all logits and back,
    a tenth of the time of a language model of 10,000 words. Other losses may look at T, and are left alone.
    """
    if keras.backend.backend() != "torch":
        return False
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    if type(loss) in (keras.losses.SparseCategoricalCrossentropy, SparseCategoricalCrossentropy):
        # Its public configuration leaves the axis out.
        return getattr(loss, "_fn_kwargs", {}).get("axis") == -1
    return loss is keras.losses.sparse_categorical_crossentropy


def _merged(tensor: Any) -> Any:
    return ops.reshape(tensor, (-1, *tensor.shape[2:]))


def real_steps_metrics(metrics: Any) -> Any:
    """Wraps every metric of a nested structure that would ignore a mask."""
    if isinstance(metrics, dict):
        return {name: real_steps_metrics(metric) for name, metric in metrics.items()}
    if isinstance(metrics, list | tuple):
        return [real_steps_metrics(metric) for metric in metrics]
    if isinstance(metrics, str) and metrics.lower() not in ("accuracy", "acc", "crossentropy", "ce"):
        found = keras.metrics.get(metrics)
        return real_steps_metrics(found) if isinstance(found, keras.metrics.Metric) else metrics
    if not isinstance(metrics, keras.metrics.Metric) or isinstance(
        metrics, keras.metrics.MeanMetricWrapper | RealSteps
    ):
        return metrics
    return RealSteps(metrics)
