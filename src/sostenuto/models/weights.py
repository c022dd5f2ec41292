"""Class weights, for targets per sequence and per step."""

from __future__ import annotations

import numpy as np

from sostenuto.diagnosis import shape_of, some
from sostenuto.errors import TargetError


def class_weights(targets: np.ndarray, of_class: dict[int, float]) -> np.ndarray:
    """The weight of each target's class; 1 for a class that is not named.

    Args:
        targets: whole-numbered classes (...) or (..., 1), or one-hot (..., K) floats.
        of_class: weight by class.

    Returns:
        (...) float32.

    Raises:
        TargetError: SO404, targets that are no classes, or weights that are no numbers.

    Example:
        >>> class_weights(np.array([[0, 2], [1, 1]]), {0: 0.5, 2: 3.0}).tolist()
        [[0.5, 3.0], [1.0, 1.0]]
    """
    try:
        table = {int(label): float(weight) for label, weight in of_class.items()}
    except (AttributeError, TypeError, ValueError):
        raise _no_class_weights(shape_of(of_class), "a dict from class numbers to weights") from None
    if targets.ndim > 1 and targets.shape[-1] > 1 and targets.dtype.kind == "f":
        targets = targets.argmax(axis=-1)
    elif targets.ndim > 1 and targets.shape[-1] == 1:
        targets = targets[..., 0]
    if targets.dtype.kind not in "iub" and not np.array_equal(targets, np.round(targets)):
        raise _no_class_weights(f"targets {shape_of(targets)}", "whole-numbered classes")
    if any(weight < 0 or not np.isfinite(weight) for weight in table.values()):
        raise _no_class_weights(f"weights {some(table.values())}", "numbers of at least 0")
    highest = max([int(targets.max(initial=0)), *table, 0])
    weights = np.ones(highest + 1, "float32")
    for label, weight in table.items():
        if label >= 0:
            weights[label] = weight
    return weights[targets.astype(np.int64)]


def _no_class_weights(got: str, wanted: str) -> TargetError:
    return TargetError(
        "These class weights cannot be used.",
        code="SO404",
        where="argument 'class_weight'",
        got=got,
        wanted=wanted,
        fix="class_weight={0: 1.0, 1: 5.0}, with targets numbered 0, 1, ...",
    )
