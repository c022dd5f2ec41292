"""Columns of data that never change."""

from __future__ import annotations

import numpy as np

from sostenuto.diagnosis.arrays import some_rows
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall
from sostenuto.diagnosis.rules.padding_given import Given, inputs_given
from sostenuto.diagnosis.seen import Seen

SO241 = rule(
    "SO241",
    "A feature never changes",
    """A column with one and the same value in every step of every sequence tells nothing. Often it is the wrong column,
    a failed join, a sensor that was off, or numbers that were cut to integers on the way.""",
    """Look where the column comes from; leave it out, or read the one that was meant.""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).normal(size=(40, 10, 3)).astype("float32")
x[:, :, 1] = 21.5
model = keras.Sequential([keras.Input((10, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x[:, 0, 0], verbose=0)
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).normal(size=(40, 10, 3)).astype("float32")
model = keras.Sequential([keras.Input((10, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x[:, 0, 0], verbose=0)
""",
)


@SO241.on(ModelCall)
def never_changes(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for columns of one value among columns that vary."""
    if event.verb != "fit" or event.within is not None:
        return None
    return next((found for one in inputs_given(event) if (found := _still(one)) is not None), None)


def _still(given: Given) -> Evidence | None:
    x, source = given.array, given.source
    if x.ndim != 3 or x.shape[2] < 2 or len(x) < 10:
        return None
    rows = some_rows(x).reshape(-1, x.shape[2])
    if rows.dtype.kind != "f" or not np.isfinite(rows).all():
        return None
    spread = rows.max(axis=0) - rows.min(axis=0)
    same = np.flatnonzero(spread == 0)
    # One-hot columns of classes that do not turn up, and a bias of ones, are as they should be.
    still = [int(one) for one in same if rows[0, one] not in (0.0, 1.0)] or (
        []
        if ((rows == 0) | (rows == 1)).all(axis=0).sum() > len(same)
        else [int(one) for one in same if rows[0, one] == 0]
    )
    if not still or len(still) == x.shape[2]:
        return None
    which = f"column {still[0]}" if len(still) == 1 else f"columns {', '.join(map(str, still[:5]))}"
    value = f"{rows[0, still[0]]:.4g}"
    return Evidence(
        title=f"{which.capitalize()} of {source} never changes.",
        got=f"{source}[:, :, {still[0]}] is {value} in all {len(x):,} sequences, at every step",
        wanted="features that vary",
        cause="A constant feature tells the model nothing. Often it is a sensor that was off, the wrong column, or "
        "numbers that were\ncut to integers.",
        fix=f"{source} = np.delete({source}, {still}, axis=2)        # or look where {which} comes from",
        unsure="whether it is meant to be constant in this data",
        boundary=(source, "model"),
    )
