"""Windows that run from one series of a table into the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall, Windows
from sostenuto.diagnosis.rules.padding_given import inputs_given
from sostenuto.diagnosis.rules.windows import slides
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.wording import count

SO233 = rule(
    "SO233",
    "Windows run from one sequence of a table into the next",
    """A table that holds several machines, patients or stations one below the other is several sequences. Windows cut
    over the whole of it begin in one and end in another: steps that never followed one another.""",
    """Cut windows of each sequence alone: table.groupby("machine"), or table[table[:, 0] == one] of an array, for each
    value of the column. Sequences.from_table(table, id="machine", ...) keeps them apart by itself.""",
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

IDS = re.compile(
    r"(?:^|_)(?:id|unit|machine|station|engine|user|patient|customer|device|sensor|series|subject|sequence|group|store|"
    r"item|trip|session|ticker|symbol|site|pump|house|vehicle|name|case|run|batch|player|country|city)s?(?:_|$|\d)|id$",
    re.IGNORECASE,
)

# Words of columns that say when, or what for, and not whose a row is.
NOT_IDS = re.compile(r"month|season|day|year|quarter|date|time|week|hour|split|fold|phase", re.IGNORECASE)

# Columns that are looked at, and the points of a column that are compared.
_COLUMNS, _POINTS = 64, 500


@dataclass(frozen=True)
class _Blocks:
    """A column that says which rows of a table belong together.

    Attributes:
        table: its name in the program.
        column: the name of the column.
        borders: the rows where the next sequence begins.
        rows: of the table.
        grouping: the name of the method that takes a table apart.
        named: whether the name of the column says that it is an id.
        numbers: the columns that may be features, some of their rows.
    """

    table: str
    column: str
    borders: np.ndarray
    rows: int
    grouping: str
    named: bool
    numbers: tuple[np.ndarray, ...]


@SO233.on(Windows)
def over_the_border(event: Windows, seen: Seen) -> Evidence | None:
    """Looks for windows over a whole table that holds several sequences."""
    length = (int(event.options.get("sequence_length") or 1) - 1) * int(event.options.get("sampling_rate") or 1) + 1
    stride = int(event.options.get("sequence_stride") or 1)
    data = as_array(event.data)
    if data is None or event.place is None or data.ndim not in (1, 2):
        return None
    first, last = event.options.get("start_index") or 0, event.options.get("end_index") or len(data)
    for blocks in _blocks(event.place.names):
        same = begins_with(blocks.numbers, blocks.rows, data.reshape(len(data), -1), 1)
        if same or 0 <= blocks.rows - len(data) <= length:
            starts = np.arange(first, last - length + 1, stride)
            return _crossing(blocks, starts, length, "timeseries_dataset_from_array", same)
    return None


@SO233.on(ModelCall)
def windows_over_the_border(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for windows that a program cut itself, over a whole table that holds several sequences."""
    if event.verb != "fit" or event.within is not None or event.place is None:
        return None
    for given in inputs_given(event):
        x, length = given.array, given.array.shape[1] if given.array.ndim == 3 else 0
        stride = stride_of(x) if length else 0
        if not stride:
            continue
        for blocks in _blocks(event.place.names):
            same = begins_with(blocks.numbers, blocks.rows, x[:, 0], stride)
            if same or (stride == 1 and 0 <= blocks.rows - len(x) <= length + 1):
                return _crossing(blocks, np.arange(len(x)) * stride, length, given.source, same)
    return None


def stride_of(x: np.ndarray) -> int:
    """How many steps windows (N, T, F) that overlap move on; 0 where they were cut of each sequence alone, or mixed."""
    # Windows of each sequence alone do not slide from one to the next.
    return next((one for one in range(1, min(x.shape[1], _POINTS)) if slides(x, one)), 0)


def begins_with(numbers: Sequence[np.ndarray], rows: int, series: np.ndarray, stride: int) -> bool:
    """Whether features are a column of a table, from its first row on, as it stands or scaled.

    Args:
        numbers: the columns of the table.
        rows: of the table.
        series: the features, of every so many rows.
        stride: so many.
    """
    number = min(len(series), -(-rows // stride))
    if number < 16 or len(series) * stride > rows + stride:
        return False
    points = np.unique(np.linspace(0, number - 1, _POINTS).astype(int))
    features = [standard(series[points, one]) for one in range(min(series.shape[1], _COLUMNS))]
    columns = [standard(one[points * stride]) for one in numbers]
    return any(
        one is not None and other is not None and bool(np.abs(one - other).max() < 1e-4)
        for one in features
        for other in columns
    )


def standard(values: np.ndarray, least: int = 8) -> np.ndarray | None:
    """Numbers without their scale; None where there are few different ones, or some that are none.

    Args:
        values: the numbers.
        least: how many different ones there are to be.
    """
    values = values.astype("float64")
    spread = values.std()
    # Few values, as those of a switch, are alike in many columns.
    if not np.isfinite(values).all() or not spread or len(np.unique(values)) < least:
        return None
    return (values - values.mean()) / spread


def crossings(borders: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The numbers of the windows that cross a border: a sequence begins behind their first step.

    Args:
        borders: rows where sequences begin.
        starts: rows where windows begin.
        length: of a window, in rows.
    """
    before = np.searchsorted(borders, starts, side="right")
    after = np.searchsorted(borders, starts + length - 1, side="right")
    return np.flatnonzero(after > before)


def _crossing(blocks: _Blocks, starts: np.ndarray, length: int, source: str, same: bool) -> Evidence | None:
    crossing = len(crossings(blocks.borders, starts, length))
    if not crossing:
        return None
    borders = len(blocks.borders)
    unsure = "" if blocks.named else f"whether {blocks.column!r} says which sequence a row belongs to"
    return Evidence(
        title=f"{count(crossing, 'window')} of {source} {'runs' if crossing == 1 else 'run'} from one {blocks.column} "
        f"into the next.",
        got=f"windows of {length} steps over the rows of {blocks.table} ({blocks.rows:,}), which hold "
        f"{borders + 1} sequences by column {blocks.column!r}",
        wanted=f"windows within one {blocks.column} each: {count(borders, 'border')} that no window crosses",
        cause=f"The rows of several sequences ({blocks.column}) stand one below the other and are read as one "
        "series. At each border,\nwindows begin in one and end in the other: steps that never followed one another.",
        fix=f"for name, part in {blocks.table}.{blocks.grouping}({blocks.column!r}):        # windows of each "
        f"{blocks.column} alone\n    ...\n# or so.Sequences.from_table({blocks.table}, id={blocks.column!r}, ...)",
        unsure=unsure if same else f"whether the windows were cut from {blocks.table}, which has as many rows",
        boundary=(blocks.column, "window"),
    )


# --- tables with several sequences in them ---------------------------------------------------------------------------


def _blocks(names: Mapping[str, Any]) -> Iterator[_Blocks]:
    for name, value in names.items():
        if name.startswith("_") or type(value).__name__ != "DataFrame" or not hasattr(value, "columns"):
            continue
        # A table of any library, with columns of any kind, some of which cannot be compared.
        try:
            found = list(_blocks_of(name, value))
        except Exception:
            continue
        # A name that says so comes first.
        yield from sorted(found, key=lambda one: not one.named)


def _blocks_of(name: str, table: Any) -> Iterator[_Blocks]:
    columns = {one: np.asarray(table[one]) for one in list(table.columns)[:_COLUMNS] if isinstance(one, str)}
    numbers = tuple(one for one in columns.values() if one.ndim == 1 and one.dtype.kind in "iuf")
    index = np.asarray(getattr(table, "index", ()))
    for column, values in columns.items():
        named, texts = bool(IDS.search(column)), values.dtype.kind in "OUST"
        if values.ndim != 1 or len(values) < 20 or values.dtype.kind == "f" or not (named or texts):
            continue
        borders = np.flatnonzero(np.asarray(values[1:] != values[:-1], dtype=bool)) + 1
        if not 1 <= len(borders) <= len(values) // 8 or (NOT_IDS.search(column) and not named):
            continue
        # Each id in one block: a column that comes and goes is a feature. Where time runs on, it is one sequence.
        heads = values[np.concatenate([[0], borders])].tolist()
        if len(set(heads)) != len(heads) or any(map(_runs_on, (index, *columns.values()))):
            continue
        grouping = "groupby" if hasattr(table, "groupby") else "group_by"
        yield _Blocks(name, column, borders, len(values), grouping, named, numbers)


def _runs_on(values: np.ndarray) -> bool:
    return values.dtype.kind == "M" and len(values) > 1 and bool((values[1:] > values[:-1]).all())
