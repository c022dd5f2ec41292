"""Inputs and targets that do not count the same samples."""

from __future__ import annotations

import re

from sostenuto.diagnosis.arrays import rows_of
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.container_calls import Given, givens, written
from sostenuto.diagnosis.rules.container_views import is_array
from sostenuto.diagnosis.rules.input_axes_views import shape_of_call
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.wording import count, shape_of

SO134 = rule(
    "SO134",
    "Inputs and targets have different numbers of samples",
    """The first axis counts samples, in x and in y: row 7 of one belongs to row 7 of the other. Windows that were
    cut of a table are fewer than its rows; one long sequence of its own is a batch of one.""",
    """Cut the targets by the windows: window i covers rows i to i + T - 1, and what comes next is row i + T, y[T:].
    Split inputs and targets by the same rows.""",
    example="""
import numpy as np, keras
table = np.random.default_rng(0).random((100, 4))
x = np.stack([table[i:i + 10] for i in range(90)])
model = keras.Sequential([keras.Input((10, 4)), keras.layers.LSTM(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, table[:, 0], verbose=0)
""",
    repaired="""
import numpy as np, keras
table = np.random.default_rng(0).random((100, 4))
x = np.stack([table[i:i + 10] for i in range(90)])
model = keras.Sequential([keras.Input((10, 4)), keras.layers.LSTM(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, table[10:, 0], verbose=0)
""",
)


@SO134.on(Failure)
def other_rows(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for x and y of different lengths where Keras calls the cardinality ambiguous."""
    if "cardinality" not in failure.message:
        return None
    for given in givens(failure):
        x, y = shape_of_call(given.x) if is_array(given.x) else None, rows_of(given.y) if is_array(given.y) else None
        if not x or y is None or x[0] is None or x[0] == y:
            continue
        # Time in front: a rule of its own.
        if len(x) == 3 and x[0] != 1 and x[1] == y:
            return None
        return _evidence(given, x, y)
    return None


def _evidence(given: Given, x: tuple[int | None, ...], y: int) -> Evidence:
    rows = x[0] or 0
    target = _target(given)
    cause, fix, unsure = _reason(given, x, y, target)
    return Evidence(
        title=f"{given.source} has {count(rows, 'sample')}, and {target} has {y}.",
        got=f"{given.source} {shape_of(given.x)}: {count(rows, 'sample')}; {target} {shape_of(given.y)}: "
        f"{count(y, 'sample')}",
        wanted="as many rows in y as in x: the first axis of both is the batch axis, one row per sample",
        cause=cause,
        fix=fix,
        unsure=unsure,
        place=given.place,
        boundary=(given.source[:40], target[:40]),
    )


def _target(given: Given) -> str:
    return written(given.verb, "y") if given.verb is not None else "y"


def _reason(given: Given, x: tuple[int | None, ...], y: int, target: str) -> tuple[str, str, str]:
    rows, steps = x[0] or 0, x[1] if len(x) == 3 else None
    parts = {part for part in ("train", "test", "val") if re.search(part, given.source, re.I)}
    others = {part for part in ("train", "test", "val") if re.search(part, target, re.I)}
    if parts and others and parts != others:
        right = re.sub("|".join(others), next(iter(parts)), target)
        return (
            f"The names say it: {given.source} is a part for {' and '.join(parts)}, {target} one for "
            f"{' and '.join(others)}.",
            given.call(y=right),
            "",
        )
    if rows == 1 and steps == y:
        return (
            f"{given.source} is one sequence of {steps} steps: its batch axis has length 1. {target} has a "
            "target for every step,\nbut no batch axis in front.",
            f"{given.call(y=f'{target}[None]')}        # (1, {y}, ...), with return_sequences=True in the last "
            f"recurrent layer\n# or windows of the sequence, with one target each",
            "whether the model is to give a value for every step, or one for each window",
        )
    # Windows of T steps that predict h steps ahead: T + h - 1 fewer than the rows they were cut of.
    if steps is not None and max(steps - 1, 1) <= y - rows <= 4 * steps:
        cut = y - rows
        meant = (
            f"the step that follows each window of {steps}"
            if cut == steps
            else f"the last step of each window of {steps}"
            if cut == steps - 1
            else f"{cut} steps after the first of each window"
        )
        return (
            f"Windows of {steps} steps were cut of a longer series, and there are {cut} fewer of them than "
            f"rows in {target}:\neach window needs the one target that belongs to it.",
            f"{given.call(y=f'{target}[{cut}:]')}        # {meant}",
            "" if cut in (steps, steps - 1) else f"which row of {target} belongs to which window",
        )
    smaller, larger = (given.source, target) if rows < y else (target, given.source)
    return (
        f"Row i of {target} is the target of sample i of {given.source}, so both need the same rows. {larger} "
        f"has {abs(y - rows)} more.",
        f"print({given.source}.shape, {target}.shape)        # before the last split, window or filter that "
        "was done to one only",
        f"where {smaller} lost the rows that {larger} still has",
    )
