"""Columns of data: those that never change, and parts that were scaled each by themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called

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

SO242 = rule(
    "SO242",
    "The test part is scaled by its own values, not by those of the training part",
    """The same reading becomes another number if training and test data are scaled each with its own mean or range. The
    model then meets numbers that mean something else than those it learnt.""",
    """Fit the scaler on the training part, and only transform the test part: scaler.transform(test). By hand: (test -
    train.mean()) / train.std().""",
    example="""
import numpy as np, keras
rng = np.random.default_rng(0)
train, test = rng.normal(3, 2, (40, 10, 1)), rng.normal(6, 4, (20, 10, 1))
x_train = (train - train.mean()) / train.std()
x_test = (test - test.mean()) / test.std()
model = keras.Sequential([keras.Input((10, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x_train, train[:, 0], verbose=0)
model.evaluate(x_test, test[:, 0], verbose=0)
""",
    repaired="""
import numpy as np, keras
rng = np.random.default_rng(0)
train, test = rng.normal(3, 2, (40, 10, 1)), rng.normal(6, 4, (20, 10, 1))
x_train = (train - train.mean()) / train.std()
x_test = (test - train.mean()) / train.std()
model = keras.Sequential([keras.Input((10, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x_train, train[:, 0], verbose=0)
model.evaluate(x_test, test[:, 0], verbose=0)
""",
)

_LATER = re.compile(
    r"(?:^|_)(?:test|val|valid|validation|holdout|new|live|future|unseen|later)(?:_|$|\d)", re.IGNORECASE
)


@SO241.on(ModelCall)
def never_changes(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for columns of one value among columns that vary."""
    x = as_array(event.x)
    if event.verb != "fit" or event.within is not None or x is None or x.ndim != 3 or x.shape[2] < 2 or len(x) < 10:
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
    source = written(event, "x")
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


@SO242.on(ModelCall)
def scaled_by_itself(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks in the source for a second fit_transform, or a second mean and deviation, for later data."""
    place = event.place
    if place is None or event.within is not None or not seen.verbs or event.verb not in ("evaluate", "predict", "fit"):
        return None
    module = place.module()
    if module is None or seen.notes["scaled"].get(place.file):
        return None
    found = list(_fitted_twice(place, module)) or list(_standardised_twice(place, module))
    if not found:
        return None
    seen.notes["scaled"][place.file] = True
    node, own, fix = found[0]
    where = Place(place.file, node.lineno, place.function)
    return Evidence(
        got=f"line {node.lineno}: {place.source(node)}\nscales {own} by its own values",
        wanted="the scale of the training data, for all data",
        cause="Scaled each by itself, training and test data have different scales: the same reading becomes another "
        "number, and\nthe model, which learnt the scale of the training data, is asked about numbers that mean "
        "something else.",
        fix=fix,
        place=where,
        boundary=(own, "model"),
    )


def _fitted_twice(place: Place, module: ast.Module) -> Iterator[tuple[ast.expr, str, str]]:
    calls = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and called(node) == "fit_transform"
        and node.args
        and isinstance(node.func, ast.Attribute)
    ]
    calls.sort(key=lambda node: node.lineno)
    if len(calls) < 2:
        return
    first = calls[0]
    for node in calls[1:]:
        own = place.source(node.args[0])
        if not _LATER.search(own) or _LATER.search(place.source(first.args[0])):
            continue
        assert isinstance(first.func, ast.Attribute)
        scaler = place.source(first.func.value)
        named = scaler if scaler.isidentifier() else "scaler"
        yield node, own, f"{named}.transform({own})        # {named} as it was fitted to {place.source(first.args[0])}"


def _standardised_twice(place: Place, module: ast.Module) -> Iterator[tuple[ast.expr, str, str]]:
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.BinOp):
            less, first = node.left, node.left.left
            if not isinstance(less.op, ast.Sub) or not isinstance(first, ast.Name):
                continue
            if _statistic_of(less.right, first.id) and _statistic_of(node.right, first.id):
                found.append((node, first.id))
    found.sort(key=lambda pair: pair[0].lineno)
    early = [pair for pair in found if not _LATER.search(pair[1])]
    for node, name in found:
        if _LATER.search(name) and early:
            train, source = early[0][1], place.source(node)
            yield (
                node,
                name,
                re.sub(rf"\b{name}(?=\.(?:mean|std|min|max|median))", train, source) + "        # of the training data",
            )


def _statistic_of(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(one, ast.Call)
        and called(one) in ("mean", "std", "min", "max", "median", "ptp")
        and any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(one))
        for one in ast.walk(node)
    )
