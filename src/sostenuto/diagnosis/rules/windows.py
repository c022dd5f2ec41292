"""Windows of a series whose targets lie inside of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall, Windows
from sostenuto.diagnosis.rules.container_calls import with_argument
from sostenuto.diagnosis.rules.output_views import output_shape
from sostenuto.diagnosis.rules.padding_given import Given, inputs_given, targets_given
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place

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

# Windows and places in them that are compared; a match at all of them is no accident.
_POINTS, _DEEP, _COLUMNS = 500, 600, 64


# --- windows that Keras cut ------------------------------------------------------------------------------------------


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
        column = _same(data, targets, shift, last + rate)
        if column is None:
            continue
        place = shift // rate
        where = (
            "its first value" if not place else "its last value" if place == length - 1 else f"step {place + 1} of it"
        )
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
            fix=f"{_shifted(event.place, ahead, ahead - shift, length)}        # shifted by {ahead - shift}",
            boundary=("targets", "window"),
        )
    return None


def _same(data: np.ndarray, targets: np.ndarray, shift: int, behind: int) -> int | None:
    # The column of data that targets are, shifted; None where there is none, or where those behind fit as well.
    points = _points(min(len(targets), len(data) - behind))
    if len(points) < 8:
        return None
    goal = targets[points, 0].astype("float64")
    for column in range(min(data.shape[1], _COLUMNS)):
        value = data[:, column]
        if _are(goal, value[points + shift], value[points + behind]):
            return column
    return None


def _points(number: int) -> np.ndarray:
    return np.unique(np.linspace(0, max(number - 1, 0), _POINTS).astype(int))


def _are(goal: np.ndarray, value: np.ndarray, behind: np.ndarray) -> bool:
    # Scaled targets are the same targets. A series that moves slowly is like itself a step later: the nearer counts.
    if not np.isfinite(goal).all() or len(np.unique(goal)) <= 4:
        return False
    distance = _distance(goal, value)
    return distance < 1e-3 and distance * 10 < _distance(goal, behind)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype("float64"), other.astype("float64")
    if not one.std() or not np.isfinite(other).all() or not other.std():
        return np.inf
    return float(np.abs((one - one.mean()) / one.std() - (other - other.mean()) / other.std()).max())


def _shifted(place: Place | None, ahead: int, by: int, length: int) -> str:
    # The user's own call: batch_size, shuffle, seed and all else stay as they are.
    data = place.argument("data", 0) if place is not None else ""
    targets = place.argument("targets", 1) if place is not None else ""
    if place is not None and data and targets and isinstance(place.node(), ast.Call):
        call = with_argument(place.expression, "data", 0, _sliced(data, None, -ahead))
        return with_argument(call, "targets", 1, _sliced(targets, by, None))
    data, targets = _sliced(data or "data", None, -ahead), _sliced(targets or "targets", by, None)
    return f"keras.utils.timeseries_dataset_from_array({data}, {targets}, sequence_length={length})"


def _sliced(source: str, first: int | None, end: int | None) -> str:
    # series[:, None] -> series[:-6, None]; series -> series[6:]
    node = ast.parse(f"({source})", mode="eval").body
    lower, upper = (None if one is None else ast.parse(str(one), mode="eval").body for one in (first, end))
    rows = ast.Slice(lower, upper)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        head = node.slice.elts[0] if node.slice.elts else None
        if isinstance(head, ast.Slice) and head.lower is head.upper is head.step is None:
            node.slice.elts[0] = rows
            return ast.unparse(node)
    return ast.unparse(ast.Subscript(node, rows, ast.Load()))


# --- windows that a program cut itself -------------------------------------------------------------------------------


@SO231.on(ModelCall)
def target_in_own_window(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for the same in windows that the program cut itself: those that overlap, one step apart."""
    if event.verb not in ("fit", "train_on_batch") or event.within is not None:
        return None
    targets, output = targets_given(event), output_shape(event.model)
    if targets is None or targets.array.ndim not in (1, 2, 3) or (output is not None and len(output) == 3):
        return None
    y = targets.array.reshape(len(targets.array), -1) if len(targets.array) else targets.array
    for given in inputs_given(event):
        x = given.array if given.array.ndim == 3 else given.array[..., None]
        if x.ndim != 3 or len(x) < 16 or len(y) != len(x) or not slides(x, 1):
            continue
        # As many targets as steps: what is read is to be given back, or every step has its own.
        if y.shape[1] > 1 and y.shape[1] >= x.shape[1]:
            continue
        for place, column in _places(x, y[:, 0].astype("float64")):
            return _inside(given, targets, x, y, place, column)
    return None


def slides(x: np.ndarray, stride: int) -> bool:
    """Whether windows (N, T, F) overlap all along: each is the one before, so many steps later."""
    if not 0 < stride < x.shape[1] or len(x) < 2:
        return False
    some = np.unique(np.linspace(0, len(x) - 2, 20).astype(int))
    if not np.array_equal(x[some, stride:], x[some + 1, :-stride]):
        return False
    return np.array_equal(x[:-1, stride:], x[1:, :-stride])


def _places(x: np.ndarray, goal: np.ndarray) -> Iterator[tuple[int, int]]:
    # The value behind a window is the last one of the window a step later.
    points = _points(len(x) - 1)
    for place in range(x.shape[1] - 1, max(x.shape[1] - 1 - _DEEP, -1), -1):
        for column in range(min(x.shape[2], _COLUMNS)):
            if _are(goal[points], x[points, place, column], x[points + 1, -1, column]):
                yield place, column


def _inside(given: Given, targets: Given, x: np.ndarray, y: np.ndarray, place: int, column: int) -> Evidence:
    steps = x.shape[1]
    where = "the last step" if place == steps - 1 else f"step {place + 1} of {steps}"
    ahead = steps - place
    first = "[i]" if y.shape[1] == 1 else "[i, 0]"
    several = f"y[i] = series[i + {steps} : i + {steps + y.shape[1]}]"
    equals = "equals" if np.allclose(y[:, 0], x[:, place, column], rtol=1e-4) else "is, but for its scale,"
    index = f"[i, {place}, {column}]" if given.array.ndim == 3 else f"[i, {place}]"
    goal, source, whole = targets.source, given.source, ""
    if goal.startswith("the targets in "):
        goal, source, whole = "y", "x", f"in {given.source}, "
    return Evidence(
        title="The target of every window lies inside of the window.",
        got=f"{whole}{goal}{first} {equals} {source}{index}, {where} of its own window, in all {len(x):,} windows",
        wanted="the value behind the window",
        cause="The windows move on by one step, and each contains its own target: the index of the target "
        f"is off by {ahead if ahead > 1 else 'one'}.\nThe model learns to copy it; the leak makes every "
        f"test look perfect, and nothing is forecast.",
        fix=f"x[i] = series[i : i + {steps}]\n"
        + (f"y[i] = series[i + {steps}]" if y.shape[1] == 1 else several)
        + f"        # not from series[i + {place}] on: the first value after the window",
        boundary=("targets", "window"),
    )
