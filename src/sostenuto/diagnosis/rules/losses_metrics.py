"""Metrics that mean nothing for the targets: accuracy of values."""

from __future__ import annotations

import numpy as np

from sostenuto.diagnosis.arrays import some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.rules.losses_activations import VALUES
from sostenuto.diagnosis.rules.output_pages import SO422
from sostenuto.diagnosis.rules.output_views import numbers
from sostenuto.diagnosis.rules.outputs_compared import Compared, on_targets
from sostenuto.diagnosis.seen import Seen

_ACCURACY = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy")


@on_targets(SO422)
def accuracy_of_values(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for accuracy among what fit measured, beside targets that are no classes."""
    history = getattr(getattr(pair.call, "result", None), "history", None)
    if pair.loss not in VALUES or not isinstance(history, dict) or pair.raised:
        return None
    metric = next((name for name in _ACCURACY if name in history), None)
    array = numbers(pair.y)
    if metric is None or array is None or array.dtype.kind != "f" or not array.size:
        return None
    some = some_rows(array)
    some = some[np.isfinite(some)]
    fractions = int((some != np.round(some)).sum())
    if fractions < 0.5 * some.size or len(np.unique(some)) < 10:
        return None
    last = history[metric][-1]
    return Evidence(
        title=f"{metric} is measured of a regression, where it means nothing.",
        got=f"metrics with {metric!r}, {last:.3g} in the last epoch; targets {pair.target} are measured values, "
        f"{fractions:,} of {some.size:,} with a fraction; loss={pair.loss!r}",
        wanted="metrics=['mae'] for values",
        cause="accuracy counts predictions that are equal to their target, as classes are. Measured values never are, "
        "so it says\nnothing about how good the model is.",
        fix="model.compile(..., metrics=['mae'])        # how far predictions are off, on average",
        boundary=("targets", "metrics"),
    )
