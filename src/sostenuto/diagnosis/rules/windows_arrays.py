"""Windows that run from one sequence of a NumPy table into the next."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import ModelCall, Windows
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.padding_given import inputs_given
from sostenuto.diagnosis.rules.windows_borders import SO233, crossings, standard, stride_of
from sostenuto.diagnosis.rules.windows_tables import Cut, Table, is_cut_from, tables_at
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.wording import count

# Points of a column that are compared, and steps that targets are looked for ahead.
_POINTS, _AHEAD = 500, 50


@SO233.on(Windows)
def over_a_border_of_an_array(event: Windows, seen: Seen) -> Evidence | None:
    """Looks for windows that Keras cut over a whole array with several sequences in it."""
    data, stride = as_array(event.data), int(event.options.get("sequence_stride") or 1)
    length = (int(event.options.get("sequence_length") or 1) - 1) * int(event.options.get("sampling_rate") or 1) + 1
    if data is None or event.place is None or data.ndim not in (1, 2):
        return None
    first, last = event.options.get("start_index") or 0, event.options.get("end_index") or len(data)
    starts = np.arange(first, last - length + 1, stride)
    series = data.reshape(len(data), -1)
    cut = Cut("timeseries_dataset_from_array", series, starts, 1, length, as_array(event.targets))
    for table in tables_at(event.place):
        if is_cut_from(table, cut, event.place):
            return _crossing(table, cut, _by_keras(table, event.place))
    return None


@SO233.on(ModelCall)
def windows_over_a_border_of_an_array(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for windows that a program cut itself over a whole array with several sequences in it."""
    if event.verb != "fit" or event.within is not None or event.place is None:
        return None
    tables = list(tables_at(event.place))
    for given in inputs_given(event) if tables else ():
        if given.array.ndim not in (2, 3) or len(given.array) < 16:
            continue
        x, source = given.array, given.source
        ordered, whole = bool(stride_of(_windows(x))), _taken_from(x, event.place)
        if not ordered and whole is not None:
            source, x = whole
        stride = stride_of(_windows(x))
        if not stride:
            continue
        starts, targets = np.arange(len(x)) * stride, as_array(event.y)
        series, goal = _windows(x)[:, 0], written(event, "y")
        cut = Cut(
            source, series, starts, stride, x.shape[1], targets, goal, ordered, whole[0] if whole is not None else ""
        )
        for table in tables:
            if is_cut_from(table, cut, event.place):
                return _crossing(table, cut, _by_hand(table, cut, x.ndim))
    return None


def _windows(x: np.ndarray) -> np.ndarray:
    return x if x.ndim == 3 else x[..., None]


def _taken_from(x: np.ndarray, place: Place) -> tuple[str, np.ndarray] | None:
    # train_test_split and permutations take windows out of their order: the array they were taken from may be there.
    found = [
        (name, value)
        for name, value in place.names.items()
        if isinstance(value, np.ndarray) and value.shape[1:] == x.shape[1:] and len(value) > len(x) > 0
        if stride_of(_windows(value)) and all(_among(value, x[one]) for one in (0, len(x) // 2, -1))
    ]
    return max(found, key=lambda one: len(one[1]), default=None)


def _among(windows: np.ndarray, one: np.ndarray) -> bool:
    begin = np.flatnonzero(windows.reshape(len(windows), -1)[:, 0] == one.reshape(-1)[0])
    return any(np.array_equal(windows[number], one) for number in begin[:20])


# --- what is said ----------------------------------------------------------------------------------------------------


def _crossing(table: Table, cut: Cut, fix: str) -> Evidence | None:
    crossing = crossings(table.borders, cut.starts, cut.length)
    if not len(crossing):
        return None
    column, number, ids = f"column {table.column} of {table.name}", len(crossing), table.ids
    first = int(cut.starts[crossing[0]])
    end = first + cut.length - 1
    place = f"{cut.source}[{crossing[0]}]" if cut.goal and cut.source.isidentifier() else f"window {crossing[0]}"
    return Evidence(
        title=f"{count(number, 'window')} of {cut.source} {'begins' if number == 1 else 'begin'} in one sequence and "
        f"{'ends' if number == 1 else 'end'} in another, by {column}.",
        got=f"windows of {cut.length} steps over all {len(table.array):,} rows of {table.name}, which hold "
        f"{len(table.borders) + 1} sequences by {column}:\n{number:,} of {len(cut.starts):,} windows cross a border, "
        f"the first is {place}, rows {first} to {end}: it begins in {ids[first]:g} and ends in {ids[end]:g}",
        wanted=f"windows within one sequence each: {count(len(table.borders), 'border')} that no window crosses",
        cause=f"The rows of several sequences stand one below the other, {column} says which, and they are read as "
        "one series. At\neach border, windows begin in one sequence and end in another: steps that never followed one "
        "another.",
        fix=fix,
        unsure=f"whether {column} says which sequence a row belongs to",
        boundary=(column, "window"),
    )


def _parts(table: Table) -> str:
    ids = f"{table.name}[:, {table.column}]"
    return f"parts = [{table.name}[{ids} == one] for one in np.unique({ids})]        # each sequence alone"


def _by_keras(table: Table, place: Place) -> str:
    # The user's own call, of a part instead of the table.
    node: Any = ast.parse(place.expression, mode="eval") if isinstance(place.node(), ast.Call) else ast.Module([], [])
    found = [one for one in ast.walk(node) if isinstance(one, ast.Name) and one.id == table.name]
    if not found:
        return f"{_parts(table)}\nfor part in parts:        # windows of each one, and its targets\n    ..."
    for one in found:
        one.id = "part"
    return f"{_parts(table)}\nwindows = [{ast.unparse(node)} for part in parts]        # joined by concatenate"


def _by_hand(table: Table, cut: Cut, rank: int) -> str:
    columns = _columns(table, cut)
    name = cut.whole or _name(cut.source)
    if not columns or not name:
        return f"{_parts(table)}\nfor part in parts:        # windows of each one, and its targets\n    ..."
    numbers = [column for column, _ in columns]
    index = str(numbers[0]) if rank == 2 else _index(numbers, table.array.shape[1])
    target = _target(table, cut)
    last = max(cut.length - 1, target[0] if target is not None else 0)
    steps = f"range(0, len(part) - {last}, {cut.stride})" if cut.stride > 1 else f"range(len(part) - {last})"
    loops = f"for part in parts for i in {steps}])"
    fix = f"{_parts(table)}\n{name} = np.array([part[i : i + {cut.length}, {index}] {loops}"
    if not all(same for _, same in columns):
        fix += "        # and scaled as they were"
    # Targets of a part of the windows have a name of their own: that of all of them is not known.
    goal = _name(cut.goal) if not cut.whole or "[" in cut.goal else ""
    if target is None or not goal:
        return f"{fix}\n# and the targets in the same way, of each part alone"
    return f"{fix}\n{goal} = np.array([part[i + {target[0]}, {target[1]}] {loops}"


def _name(source: str) -> str:
    # x[:80] -> x
    found = re.match(r"([A-Za-z_]\w*)(\[|$)", source)
    return found[1] if found is not None else ""


def _columns(table: Table, cut: Cut) -> list[tuple[int, bool]]:
    # The columns that the features are, and whether as they stand or scaled; none where one is something else.
    points = np.unique(np.linspace(0, min(len(cut.series), len(cut.starts)) - 1, _POINTS).astype(int))
    rows = table.array[points * cut.stride]
    found = []
    for one in range(cut.series.shape[1]):
        feature = cut.series[points, one]
        same = [(k, True) for k in range(rows.shape[1]) if np.allclose(rows[:, k], feature, rtol=1e-5)]
        scaled = standard(feature)
        for k in range(rows.shape[1]) if scaled is not None and not same else ():
            column = standard(rows[:, k])
            if column is not None and np.abs(column - scaled).max() < 1e-4:
                same.append((k, False))
        found += same[:1]
    return found if len(found) == cut.series.shape[1] else []


def _index(columns: list[int], width: int) -> str:
    first, last = columns[0], columns[-1]
    if columns != list(range(first, last + 1)):
        return str(columns)
    return f"{first}:" if last == width - 1 else f"{first}:{last + 1}"


def _target(table: Table, cut: Cut) -> tuple[int, int] | None:
    # How far behind the beginning of its window a target stands in the table, and in which column.
    if cut.targets is None or cut.targets.size != len(cut.starts):
        return None
    goal = cut.targets.reshape(-1)
    for ahead in range(cut.length - 1, cut.length + _AHEAD):
        if cut.starts[-1] + ahead >= len(table.array):
            return None
        rows = table.array[cut.starts + ahead]
        for column in range(rows.shape[1]):
            if np.allclose(rows[:, column], goal, rtol=1e-5):
                return ahead, column
    return None
