"""NumPy tables that hold several sequences one below the other: which of their columns counts them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sostenuto.diagnosis.rules.padding_source import reached
from sostenuto.diagnosis.rules.windows_borders import IDS, NOT_IDS, begins_with, standard
from sostenuto.diagnosis.source import Place, called

# Words of columns that say what a row is, and not whose.
_LABELS = re.compile(r"label|class|target|state|mode|regime|activity|fault|alarm|flag", re.IGNORECASE)

# Days of hours, hours of minutes, years of months: blocks of these lengths, numbered on, are a calendar.
_CALENDAR = {7, 12, 24, 28, 30, 31, 48, 52, 60, 96, 144, 168, 288, 365, 366, 1440}

# Columns that a table has at most, and points of a column that are looked at.
_COLUMNS, _POINTS = 64, 500

_STACKS = ("column_stack", "hstack", "concatenate", "stack", "c_")


@dataclass(frozen=True)
class Table:
    """A table of numbers, one column of which says which rows belong together.

    Attributes:
        name: in the program.
        array: all of it.
        column: the number of the column.
        borders: the rows where the next sequence begins.
    """

    name: str
    array: np.ndarray
    column: int
    borders: np.ndarray

    @property
    def ids(self) -> np.ndarray:
        """The column."""
        return self.array[:, self.column]

    @property
    def others(self) -> list[np.ndarray]:
        """The other columns."""
        return [self.array[:, one] for one in range(self.array.shape[1]) if one != self.column]

    @property
    def heads(self) -> np.ndarray:
        """The value of each block."""
        return self.ids[np.concatenate([[0], self.borders])]

    @property
    def lengths(self) -> np.ndarray:
        """Of the blocks."""
        return np.diff(np.concatenate([[0], self.borders, [len(self.array)]]))


@dataclass(frozen=True)
class Cut:
    """Windows of a series.

    Attributes:
        source: in the user's words.
        series: the first step of each.
        starts: the rows where they begin.
        stride: how far apart.
        length: of each, in rows.
        targets: of each; None where there are none.
        goal: the source of the targets; "" where Keras cut the windows.
        ordered: whether the targets are in the order of the windows.
        whole: the name of an array of more windows, which these were taken from; "" where there is none.
    """

    source: str
    series: np.ndarray
    starts: np.ndarray
    stride: int
    length: int
    targets: np.ndarray | None
    goal: str = ""
    ordered: bool = True
    whole: str = ""


# --- whether a column counts sequences -------------------------------------------------------------------------------


def tables_at(place: Place) -> Iterator[Table]:
    """The arrays of the program's that have a column of whole numbers, each of them in one block of rows."""
    names = dict(place.names)
    # A table with names for its columns knows better.
    frames = {len(one) for one in names.values() if type(one).__name__ == "DataFrame"}
    for name, value in names.items():
        if not isinstance(value, np.ndarray) or value.ndim != 2 or name.startswith("_") or len(value) in frames:
            continue
        rows, columns = value.shape
        if rows < 20 or not 2 <= columns <= _COLUMNS or value.dtype.kind not in "iuf":
            continue
        found = [Table(name, value, one, borders) for one, borders in _blocks(value)]
        # Where time runs on from the first row to the last, it is one sequence.
        if found and not any((value[1:, one] > value[:-1, one]).all() for one in range(columns)):
            yield from found


def _blocks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    # Columns of whole numbers that stay for long, each number in one block: what comes and goes is a feature.
    rows = len(array)
    for column in range(array.shape[1]):
        ids = array[:, column]
        some = ids[:: max(1, rows // _POINTS)]
        if not np.isfinite(some).all() or (some != np.trunc(some)).any() or (ids != np.trunc(ids)).any():
            continue
        borders = np.flatnonzero(ids[1:] != ids[:-1]) + 1
        if 1 <= len(borders) <= rows // 8 and len(np.unique(ids)) == len(borders) + 1:
            yield column, borders


def is_cut_from(table: Table, cut: Cut, place: Place) -> bool:
    """Whether windows are features of a table, and its column says which sequence a row belongs to.

    Args:
        table: with its column.
        cut: the windows.
        place: in the program, whose names tell more.
    """
    if table.lengths.min() <= cut.length or not begins_with(table.others, len(table.array), cut.series, cut.stride):
        return False
    named = _named(table, place)
    if named is not None:
        return named
    # As a feature it may be a state that the model is to see, as the target it is what is to be found.
    if _is_feature(table, cut) or _is_target(table, cut):
        return False
    heads = table.heads
    numbered = bool((np.diff(heads) == 1).all())
    if numbered and len(heads) > 3 and len(set(table.lengths[1:-1])) == 1 and int(table.lengths[1]) in _CALENDAR:
        return False
    jumps = _jumps(table)
    # On and off.
    if set(heads) == {0, 1} and not (jumps and table.column == 0):
        return False
    if jumps is not None:
        return jumps
    return numbered and heads[0] in (0, 1) and int(table.lengths.min()) >= 2 * cut.length


def _jumps(table: Table) -> bool | None:
    # Whether what moves slowly jumps at the borders; None where nothing moves slowly. One series runs on across them.
    found = None
    for values in table.others:
        if not np.isfinite(values).all() or (values == np.trunc(values)).all():
            continue
        steps = np.abs(np.diff(values.astype("float64")))
        at = steps[table.borders - 1]
        inside = np.delete(steps, table.borders - 1)
        if np.median(inside) > values.std() / 4:
            continue
        found = bool(found) or float((at > 1.5 * np.quantile(inside, 0.99)).mean()) >= 0.5
    return found


def _is_feature(table: Table, cut: Cut) -> bool:
    number = min(len(cut.series), -(-len(table.array) // cut.stride))
    ids = standard(table.ids[: number * cut.stride : cut.stride], 2)
    features = [standard(cut.series[:number, one], 2) for one in range(min(cut.series.shape[1], _COLUMNS))]
    return ids is not None and any(one is not None and np.abs(one - ids).max() < 1e-4 for one in features)


def _is_target(table: Table, cut: Cut) -> bool:
    targets = cut.targets
    if targets is None or not len(targets):
        return False
    flat = targets.reshape(len(targets), -1)
    goal = flat.argmax(axis=1) if flat.shape[1] > 1 and set(np.unique(flat)) <= {0, 1} else flat[:, 0]
    often = cut.ordered and int((goal[1:] != goal[:-1]).sum()) > len(table.borders)
    return not often and set(np.unique(goal)) <= set(table.heads)


def _named(table: Table, place: Place) -> bool | None:
    # Whether the program calls the column by a name of sequences, or by one of time or labels; None without a name.
    words = set(_column_words(table, place))
    # np.full(n_hours, machine): whose rows they are, and how many.
    if any(IDS.search(one) and not NOT_IDS.search(one) and not _LABELS.search(one) for one in words):
        return True
    return False if any(NOT_IDS.search(one) or _LABELS.search(one) for one in words) else None


def _column_words(table: Table, place: Place) -> Iterator[str]:
    width = table.array.shape[1]
    # columns = ["machine", "speed", "heat"] beside a table of three.
    for value in list(place.names.values()):
        if isinstance(value, list | tuple) and len(value) == width and all(isinstance(one, str) for one in value):
            yield value[table.column]
    tree = place.module()
    if tree is None:
        return
    for node in ast.walk(tree):
        # machine = table[:, 0], for machine in np.unique(table[:, 0]), table[a:b, 0] = machine
        if isinstance(node, ast.Assign):
            sides = (node.targets[0], node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            sides = (node.target, node.iter)
        else:
            continue
        for one, other in (sides, sides[::-1]):
            if any(_is_column(part, table) for part in ast.walk(one)) and not isinstance(other, ast.ListComp):
                yield from _words(other)
    for node in reached(tree, table.name):
        # np.column_stack([machine, speed, heat]), rows.append([machine, speed, heat]), np.c_[machine, values]
        whole = isinstance(node, ast.Call) and called(node) in _STACKS and bool(node.args)
        inner = node.args[0] if isinstance(node, ast.Call) and whole else node
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr in _STACKS:
            inner, whole = node.slice, True
        elements = inner.elts if isinstance(inner, ast.List | ast.Tuple) else []
        if len(elements) == width:
            yield from _words(elements[table.column])
        elif whole and 2 <= len(elements) < width and table.column in (0, width - 1):
            yield from _words(elements[-1 if table.column else 0])


def _is_column(node: ast.AST, table: Table) -> bool:
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple) or len(node.slice.elts) != 2:
        return False
    number = ast.unparse(node.slice.elts[1])
    return ast.unparse(node.value) == table.name and number in (
        str(table.column),
        str(table.column - table.array.shape[1]),
    )


def _words(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr
