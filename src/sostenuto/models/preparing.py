"""From what people pass to ``fit``, ``evaluate`` and ``predict`` to sequences that fit the model, and its input."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from sostenuto.errors import ModelError, TargetError
from sostenuto.models import checks, probe
from sostenuto.models.targets import with_targets
from sostenuto.models.weight_copies import check_at_hand, settle
from sostenuto.models.weights import class_weights
from sostenuto.sequences import Batch, Sequences, SequenceStream


def ready(model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Sequences (or a stream) that fit the model, which is built if it was not.

    Raises:
        DataError, ShapeError, TargetError, TokenError, ModelError: what does not fit; SO610, another training holds the
            weights.
    """
    settle(model)
    check_at_hand(model.inner.variables)
    if isinstance(x, SequenceStream):
        if y is not None or sample_weight is not None:
            raise TargetError(
                f"{checks.title(model)} cannot join these targets with a stream.",
                code="SO401",
                where="arguments y and sample_weight",
                got="a stream of sequences and separate targets or weights",
                wanted="a stream that brings them along",
                fix="name the columns: Sequences.stream(path, ..., target='column', weight='column')",
            )
        fit_together(model, next(iter(x)))
        return x
    sequences = Sequences.of(x)
    fit_together(model, sequences)
    if y is not None:
        sequences = with_targets(sequences, y, model.output_per)
    if sample_weight is not None:
        sequences = sequences.with_weights(sample_weight)
    return sequences


def ready_to_validate(model: Any, data: Any) -> Any:
    """Sequences with targets from what people pass as ``validation_data``."""
    sequences = ready(model, *data) if isinstance(data, tuple) else ready(model, data)
    check_targets(model, sequences)
    return sequences


def fit_together(model: Any, sequences: Sequences) -> None:
    """Builds the model for the sequences if it is not built, and refuses sequences that do not fit it."""
    if not model.inner.built:
        model.build(sequences.feature_count)
    model.built = True
    checks.check_features(model, sequences, model.feature_count, model.feature_names)
    checks.check_steps(model, sequences.lengths, sequences.ids, model.declared_steps)
    embedding = model.embedding
    if embedding is not None:
        checks.check_tokens(embedding, sequences)
    if not model.probed:
        probe.check_padding(model)
        model.probed = True
        model.feature_names = model.feature_names or sequences.features


def check_targets(model: Any, sequences: Any) -> None:
    """Refuses a model that is not compiled, and targets that its output or loss has no place for."""
    if not model.compiled:
        raise ModelError(
            f"{checks.title(model)} is not compiled.",
            code="SO603",
            where="fit or evaluate",
            got="a model without loss and optimizer",
            wanted="a compiled model",
            fix="model.compile('adam', 'mse') or the like",
        )
    first = sequences if isinstance(sequences, Sequences) else next(iter(sequences))
    checks.check_targets(model, first, model.output_per, model.output_axes, model.loss)
    checks.check_classes(model, first.targets, model.output_axes, model.loss)


class Feeder:
    """Turns a ``Batch`` into what a trainer hands to the model: the batch, its targets, its weights.

    Args:
        model: the SequenceModel.
        class_weight: the weight of each class, for whole-numbered classes.
        with_targets: False where only values and lengths are wanted.
    """

    def __init__(self, model: Any, class_weight: Any = None, with_targets: bool = True) -> None:
        self._model = model
        self._class_weight = class_weight
        self._with_targets = with_targets
        self._expand = with_targets and model.output_axes == (1,)

    def __call__(self, batch: Batch) -> Any:
        model = self._model
        fed = model.feed(batch.values, batch.lengths)
        if not self._with_targets:
            return (fed,)
        targets, weights = batch.targets, batch.weights
        assert targets is not None
        if self._class_weight is not None:
            of_class = class_weights(targets, self._class_weight)
            weights = of_class if weights is None else of_class * _like(weights, of_class)
        if self._expand and targets.ndim == (2 if model.output_per == "step" else 1):
            targets = targets[..., None]
        if targets.dtype.kind == "f":
            targets = targets.astype(keras.backend.floatx())
        if weights is None:
            return fed, targets
        if model.output_per == "step" and weights.ndim == 1:
            weights = np.broadcast_to(weights[:, None], batch.values.shape[:2])
        return fed, targets, weights.astype(keras.backend.floatx())


def _like(weights: np.ndarray, other: np.ndarray) -> np.ndarray:
    return weights[:, None] if weights.ndim < other.ndim else weights
