"""Windows of a series: targets that lie inside of their window, and windows that run from one series into the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall, Windows
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.wording import count

SO231 = rule(
    "SO231",
    "The target lies inside of its own window",
    """The number that is to be forecast is among the numbers that the model reads: it learns to copy it, looks perfect
    in every test, and can forecast nothing. keras.utils.timeseries_dataset_from_array pairs targets[i] with the window
    that starts at i, so targets=data makes the first value of each window its target.""",
    """Shift the targets behind the window: keras.utils.timeseries_dataset_from_array(data[:-L], targets[L:],
    sequence_length=L).""",
    example="""
import numpy as np, keras
series = np.random.default_rng(0).normal(size=200).astype("float32")
windows = keras.utils.timeseries_dataset_from_array(series[:, None], series, sequence_length=6)
""",
    repaired="""
import numpy as np, keras
series = np.random.default_rng(0).normal(size=200).astype("float32")
windows = keras.utils.timeseries_dataset_from_array(series[:-6, None], series[6:], sequence_length=6)
""",
)

SO233 = rule(
    "SO233",
    "Windows run from one sequence of a table into the next",
    """A table that holds several machines, patients or stations one below the other is several sequences. Windows cut
    over the whole of it begin in one and end in another: steps that never followed one another.""",
    """Cut windows of each sequence alone: table.groupby("machine"). Sequences.from_table(table, id="machine", ...)
    keeps them apart by itself.""",
    example="""
import numpy as np, pandas as pd, keras
table = pd.DataFrame({"machine": ["a"] * 60 + ["b"] * 60, "speed": np.random.default_rng(0).normal(size=120)})
windows = keras.utils.timeseries_dataset_from_array(table[["speed"]].to_numpy(), None, sequence_length=6)
""",
    repaired="""
import numpy as np, pandas as pd, keras
table = pd.DataFrame({"machine": ["a"] * 60 + ["b"] * 60, "speed": np.random.default_rng(0).normal(size=120)})
for name, part in table.groupby("machine"):
    windows = keras.utils.timeseries_dataset_from_array(part[["speed"]].to_numpy(), None, sequence_length=6)
""",
)

# Positions and places that are compared; a match at all of them is no accident.
_POINTS, _DEEP, _COLUMNS = 500, 600, 64

_IDS = re.compile(
    r"(?:^|_)(?:id|unit|machine|station|engine|user|patient|customer|device|sensor|series|subject|sequence|group|store|"
    r"item|trip|session|ticker|symbol|site|pump|house|vehicle|name|case|run|batch|player|country|city)s?(?:_|$|\d)|id$",
    re.IGNORECASE,
)


# --- targets inside of their windows ---------------------------------------------------------------------------------


@SO231.on(Windows)
def target_inside(event: Windows, seen: Seen) -> Evidence | None:
    """Looks for targets that are values of their own window, at the same place in all."""
    data, targets = as_array(event.data), as_array(event.targets)
    if data is None or targets is None or data.ndim not in (1, 2) or targets.ndim not in (1, 2) or len(targets) < 8:
        return None
    data, targets = data.reshape(len(data), -1), targets.reshape(len(targets), -1)
    length = int(event.options.get("sequence_length") or 1)
    rate = int(event.options.get("sampling_rate") or 1)
    last = (length - 1) * rate
    for shift in range(0, min(last, _DEEP) + 1, rate):
        column = _same(data, targets, shift)
        if column is None:
            continue
        place = shift // rate
        where = (
            "its first value" if not place else "its last value" if place == length - 1 else f"step {place + 1} of it"
        )
        source, goal = _source(event.place, "data", 0), _source(event.place, "targets", 1)
        ahead = last + rate
        return Evidence(
            title="The target of every window lies inside of the window.",
            got=f"window i starts at step i and has {length} steps; target i is {where}"
            + (f", column {column}" if data.shape[1] > 1 else "")
            + f", for all of {len(targets):,} targets",
            wanted=f"a target behind the window: {ahead} steps after its start (sequence_length={length}"
            + (f", sampling_rate={rate})" if rate > 1 else ")"),
            cause="timeseries_dataset_from_array pairs targets[i] with the window that starts at i. Here the window "
            "contains its own\ntarget: the model learns to copy it, and the leak makes every test look perfect.",
            fix=f"keras.utils.timeseries_dataset_from_array({_sliced(source, f':-{ahead}')}, "
            f"{_sliced(goal, f'{ahead - shift}:')}, sequence_length={length})        # shifted by {ahead - shift}",
            boundary=("targets", "window"),
        )
    return None


def _same(data: np.ndarray, targets: np.ndarray, shift: int) -> int | None:
    # The column of data that targets are, shifted; None where there is none.
    points = np.unique(np.linspace(0, min(len(targets), len(data) - shift) - 1, _POINTS).astype(int))
    if len(points) < 8:
        return None
    goal = targets[points, 0].astype("float64")
    if not np.isfinite(goal).all() or goal.std() == 0:
        return None
    for column in range(min(data.shape[1], _COLUMNS)):
        value = data[points + shift, column].astype("float64")
        # Scaled targets are the same targets.
        if value.std() and np.allclose(_standard(value), _standard(goal), atol=1e-3) and len(np.unique(goal)) > 4:
            return column
    return None


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def _source(place: Place | None, name: str, position: int) -> str:
    return (place.argument(name, position) if place is not None else "") or name


def _sliced(source: str, rows: str) -> str:
    # series[:, None] -> series[:-6, None]
    if source.endswith("]") and "[:" in source:
        return source.replace("[:,", f"[{rows},", 1)
    return f"{source}[{rows}]"


@SO231.on(ModelCall)
def target_in_own_window(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for the same in windows that the program cut itself: those that overlap, one step apart."""
    x, y = as_array(event.x), as_array(event.y)
    if event.verb != "fit" or event.within is not None or x is None or y is None or x.ndim != 3 or len(x) < 16:
        return None
    y = y.reshape(len(y), -1) if y.ndim <= 3 and y.shape[:1] == x.shape[:1] else None
    if y is None or y.shape[1] != 1 or not _slides(x):
        return None
    goal = y[:, 0].astype("float64")
    if not np.isfinite(goal).all() or len(np.unique(goal)) <= 4:
        return None
    steps = x.shape[1]
    for place in range(steps - 1, -1, -1):
        for column in range(min(x.shape[2], _COLUMNS)):
            if np.array_equal(x[:, place, column].astype("float64"), goal):
                where = "the last step" if place == steps - 1 else f"step {place + 1} of {steps}"
                source = written(event, "x")
                ahead = steps - place
                return Evidence(
                    title="The target of every window lies inside of the window.",
                    got=f"{written(event, 'y')}[i] equals {source}[i, {place}, {column}], {where} of its own window, "
                    f"in all {len(x):,} windows",
                    wanted="the value behind the window",
                    cause="The windows move on by one step, and each contains its own target: the index of the target "
                    f"is off by {ahead if ahead > 1 else 'one'}.\nThe model learns to copy it; the leak makes every "
                    f"test look perfect, and nothing is forecast.",
                    fix=f"x[i] = series[i : i + {steps}]\ny[i] = series[i + {steps}]        # not series[i + {place}]: "
                    "the first value after the window",
                    boundary=("targets", "window"),
                )
    return None


def _slides(x: np.ndarray) -> bool:
    # Each window is the one before, a step later.
    if x.shape[1] < 2 or len(x) < 2:
        return False
    rows = np.unique(np.linspace(0, len(x) - 2, 50).astype(int))
    return bool(np.mean([np.array_equal(x[row, 1:], x[row + 1, :-1]) for row in rows]) > 0.9)


# --- windows from one sequence into the next -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Blocks:
    """A column that says which rows of a table belong together."""

    table: str
    column: str
    number: int
    rows: int


@SO233.on(Windows)
def over_the_border(event: Windows, seen: Seen) -> Evidence | None:
    """Looks for windows over a whole table that holds several sequences."""
    length = int(event.options.get("sequence_length") or 1) * int(event.options.get("sampling_rate") or 1)
    data = as_array(event.data)
    if data is None or event.place is None:
        return None
    for blocks in _blocks(event.place.names):
        if abs(blocks.rows - len(data)) <= length:
            return _crossing(blocks, length, "timeseries_dataset_from_array")
    return None


@SO233.on(ModelCall)
def windows_over_the_border(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for windows that a program cut itself, over a whole table that holds several sequences."""
    x = as_array(event.x)
    if event.verb != "fit" or event.within is not None or x is None or x.ndim != 3 or event.place is None:
        return None
    if not _slides(x):
        return None
    for blocks in _blocks(event.place.names):
        # Windows of each sequence alone are fewer: the last ones of every block are missing.
        if 0 <= blocks.rows - len(x) <= x.shape[1] + 1 and blocks.number * x.shape[1] < blocks.rows:
            return _crossing(blocks, x.shape[1], written(event, "x"))
    return None


def _crossing(blocks: _Blocks, length: int, source: str) -> Evidence | None:
    borders = blocks.number - 1
    crossing = borders * (length - 1)
    if crossing < 1:
        return None
    return Evidence(
        title=f"{count(crossing, 'window')} of {source} run from one {blocks.column} into the next.",
        got=f"windows of {length} steps over all {blocks.rows:,} rows of {blocks.table}, which hold "
        f"{blocks.number} sequences by column {blocks.column!r}",
        wanted=f"windows within one {blocks.column} each: {count(borders, 'border')} that no window crosses",
        cause=f"The rows of several sequences ({blocks.column}) stand one below the other and are read as one. At each "
        f"border, windows begin\nin one and end in the other: steps that never followed one another.",
        fix=f"for name, part in {blocks.table}.groupby({blocks.column!r}):        # windows of each {blocks.column} "
        f"alone\n    ...\n# or so.Sequences.from_table({blocks.table}, id={blocks.column!r}, ...)",
        boundary=(blocks.column, "window"),
    )


def _blocks(names: Mapping[str, Any]) -> Iterator[_Blocks]:
    for name, value in names.items():
        if name.startswith("_") or type(value).__name__ != "DataFrame" or not hasattr(value, "columns"):
            continue
        for column in list(value.columns)[:_COLUMNS]:
            # A table of any library, with columns of any kind.
            try:
                values = np.asarray(value[column])
            except Exception:
                continue
            if values.ndim != 1 or len(values) < 20 or values.dtype.kind == "f" or not isinstance(column, str):
                continue
            changes = int((values[1:] != values[:-1]).sum())
            texts = values.dtype.kind in "OUS"
            if not 1 <= changes <= len(values) // 8 or not (texts or _IDS.search(column)):
                continue
            if len(set(values[:: max(len(values) // 2000, 1)].tolist())) >= 2 and _apart(values, changes):
                yield _Blocks(name, column, changes + 1, len(values))


def _apart(values: np.ndarray, changes: int) -> bool:
    # Each id in one block: a column that comes and goes is a feature.
    return len(set(values.tolist())) == changes + 1
