"""Padding found in data: seen as it was made, followed into parts and copies, or read off the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, padding_in, some_rows
from sostenuto.diagnosis.events import Batch, ModelCall, Padded
from sostenuto.diagnosis.rules.padding_given import Given
from sostenuto.diagnosis.rules.padding_source import padding_line
from sostenuto.diagnosis.rules.token_views import lookups
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place

# Steps that a copy may have less than what was padded: inputs and targets shifted against each other.
_SHIFT = 2

# Rows that are compared one with the other.
_ROWS = 3000


@dataclass(frozen=True)
class Filling:
    """How sequences were padded.

    Attributes:
        function: that did it.
        value: that fills.
        side: "post" or "pre".
        shape: of the rectangle.
        missing: how many sequences lack how many steps.
        collisions: real steps that have the value.
        real: real steps in all.
        place: where, without its variables.
    """

    function: str
    value: float
    side: str
    shape: tuple[int, ...]
    missing: Mapping[int, int] = field(default_factory=dict)
    collisions: int = 0
    real: int = 0
    place: Place | None = None

    @property
    def steps(self) -> int:
        """Padded steps in all."""
        return sum(lack * rows for lack, rows in self.missing.items())

    @property
    def rows(self) -> int:
        """Sequences with padding."""
        return sum(rows for lack, rows in self.missing.items() if lack)

    @property
    def words(self) -> str:
        """What padded, and where."""
        line = f", {self.place.words.split(':')[0]}" if self.place is not None else ""
        return f"padded by {self.function}{line}"


@dataclass(frozen=True)
class Found:
    """Padding in one input of a model; numbers only.

    Attributes:
        index: of the input.
        source: in the user's words.
        length: the steps of every row.
        side: "post" or "pre".
        value: that fills now; None where it is a vector of several values.
        padded: padded steps.
        rows: rows with padding.
        of: all rows that were looked at.
        example: the length of one padded row.
        lengths: of all rows that were looked at.
        how: in words: what padded, and where.
        filling: as it was made, where that was seen.
        moved: whether the value is another than the one that filled.
        between: whether it is what another model made of padded data.
    """

    index: int
    source: str
    length: int
    side: str
    value: float | None
    padded: int
    rows: int
    of: int
    example: int
    lengths: np.ndarray
    how: str
    filling: Filling | None = None
    moved: bool = False
    between: bool = False

    @property
    def steps(self) -> int:
        """All steps that were looked at."""
        return self.of * self.length

    @property
    def words(self) -> str:
        """What was found, in one line."""
        value = "one vector of numbers" if self.value is None else f"{self.value:.4g}"
        value = "outputs for padded steps" if self.between else value
        return (
            f"{self.padded:,} of {self.steps:,} steps of {self.source} are padding ({value}, padding='{self.side}'), "
            f"in {self.rows:,} of {self.of:,} rows; {self.how}"
        )


def looked_up_below_zero(event: ModelCall | Batch, found: Found, seen: Seen) -> bool:
    """Whether padding of ids is looked up in an Embedding from the end of its table: SO512 tells that.

    Args:
        event: a call of fit, evaluate or predict, or its first batch.
        found: the padding.
        seen: what happened so far.
    """
    if found.value is None or found.value >= 0 or found.moved:
        return False
    place = event.place.bare() if event.place is not None else None
    if any(code == "SO512" for code, _ in seen.notes["ids of batches"].get(place, ())):
        return True
    given = lookups(event.call, seen, event.x) if isinstance(event, Batch) else lookups(event, seen)
    ids = [one.ids for one in given if one.ids.ndim == 2 and one.ids.shape[1] == found.length]
    return any(bool((one == found.value).any()) for one in ids)


def remember(event: Padded, seen: Seen) -> None:
    """Remembers what was padded, and how: with the result, and in ``seen.notes["padded"]``."""
    result = as_array(event.result)
    if result is None or result.ndim < 2 or (event.function == "pad_sequence" and not _batch_first(event)):
        return
    longest = result.shape[1]
    lengths = np.array([min(len(one), longest) for one in event.sequences if hasattr(one, "__len__")], dtype=np.int64)
    torchs = event.function == "pad_sequence"
    value = event.options.get("padding_value" if torchs else "value", 0.0)
    # Another fill than one number is nobody's padding.
    if not isinstance(value, int | float) or len(lengths) != len(result):
        return
    side = str(event.options.get("padding_side", "right") if torchs else event.options.get("padding", "pre"))
    side = {"right": "post", "left": "pre"}.get(side, side)
    filled = _filled(result, float(value))
    steps = np.arange(longest)
    real = steps < lengths[:, None] if side == "post" else steps >= longest - lengths[:, None]
    found = Filling(
        event.function,
        float(value),
        side,
        result.shape,
        dict(Counter((longest - lengths).tolist())),
        int((filled & real).sum()),
        int(lengths.sum()),
        event.place.bare() if event.place is not None else None,
    )
    seen.mark(event.result, padded=found)
    seen.notes["padded"][len(seen.notes["padded"])] = found


def _batch_first(event: Padded) -> bool:
    return bool(event.options.get("batch_first", False))


def filling_of(array: Any, seen: Seen) -> Filling | None:
    """How an array was padded, if that was seen; of parts and copies too, by their shape and what is in them."""
    found = seen.marks(array).get("padded")
    if isinstance(found, Filling):
        return found
    numbers = as_array(array)
    if numbers is None or numbers.ndim not in (2, 3):
        return None
    rows = some_rows(numbers)
    for one in reversed(list(seen.notes["padded"].values())):
        if one.steps and _same_features(one.shape, numbers.shape) and _agrees(rows, one, one.value):
            return one
    return None


def _same_features(padded: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    if not 0 <= padded[1] - shape[1] <= _SHIFT:
        return False
    # x[..., None] gives numbers a features axis.
    return tuple(padded[2:]) == tuple(shape[2:]) or (len(padded) == 2 and tuple(shape[2:]) == (1,))


def _agrees(rows: np.ndarray, filling: Filling, value: float | np.ndarray) -> bool:
    # The runs at the ends are as long as what was missing, but for a real step or two of the same value.
    runs = _runs(_filled(rows, value), filling.side)
    shift = filling.shape[1] - rows.shape[1]
    known = np.array(sorted(filling.missing))
    # A shift takes a step away at either end.
    fits = np.isin(runs, known) | np.isin(runs, known - shift)
    return bool(runs.any()) and len(np.unique(runs)) > 1 and float(fits.mean()) >= 0.9


def _filled(array: np.ndarray, value: float | np.ndarray) -> np.ndarray:
    same = array == value
    return same if same.ndim == 2 else same.all(axis=tuple(range(2, same.ndim)))


def _runs(filled: np.ndarray, side: str) -> np.ndarray:
    return np.cumprod(filled[:, ::-1] if side == "post" else filled, axis=1).sum(axis=1)


def find(given: Given, place: Place | None, seen: Seen) -> Found | None:
    """Looks for padding in one input of a model.

    Args:
        given: the input.
        place: of the call.
        seen: what was padded.
    """
    array = given.array
    if array.ndim not in (2, 3) or array.shape[1] < 2 or len(array) < 2:
        return None
    made = seen.marks(given.value).get("found")
    if isinstance(made, Found):
        return replace(made, index=given.index, source=given.source)
    rows = some_rows(array)
    filling = filling_of(given.value, seen)
    if filling is not None:
        return _found(given, rows, filling.side, filling.value, filling.words, filling=filling)
    moved = _moved(rows, seen)
    if moved is not None:
        filling, vector = moved
        how = f"{filling.words}, and changed after that"
        return _found(given, rows, filling.side, vector, how, filling=filling, moved=True)
    inside = padding_in(rows)
    if inside is None:
        return None
    line = padding_line(place, given.source.removeprefix("the first batch of "))
    if not line:
        return None
    return _found(given, rows, inside.side, inside.value, f"padded by hand, line {line}")


def _found(
    given: Given,
    rows: np.ndarray,
    side: str,
    value: float | np.ndarray,
    how: str,
    *,
    filling: Filling | None = None,
    moved: bool = False,
) -> Found | None:
    runs = _runs(_filled(rows, value), side)
    length = rows.shape[1]
    if not runs.any() or len(np.unique(runs)) < 2:
        return None
    number: float | None = float(np.ravel(value)[0])
    if np.size(value) > 1 and len(np.unique(value)) > 1:
        number = None
    first = int(np.flatnonzero(runs)[0])
    return Found(
        given.index,
        given.source,
        length,
        side,
        number,
        int(runs.sum()),
        int((runs > 0).sum()),
        len(runs),
        length - int(runs[first]),
        length - runs,
        how,
        filling,
        moved,
    )


def _moved(rows: np.ndarray, seen: Seen) -> tuple[Filling, np.ndarray] | None:
    # Scaled, encoded or shifted after padding: rows end with one and the same vector, as often as steps were missing.
    part = rows[:: -(-len(rows) // _ROWS)]
    for one in reversed(list(seen.notes["padded"].values())):
        # Numbers may have become vectors, and columns may have been added or left out.
        if not one.steps or one.rows < 2 or one.shape[1] != rows.shape[1]:
            continue
        ends = part[:, -1] if one.side == "post" else part[:, 0]
        vectors, counts = np.unique(ends.reshape(len(ends), -1), axis=0, return_counts=True)
        common = vectors[counts.argmax()]
        vector = common if rows.ndim == 3 else common[:1]
        if counts.max() < 2 or not np.isfinite(common).all() or _filled(part, one.value).any():
            continue
        if _agrees(part, one, vector) and _as_many(part, one, vector):
            return one, vector
    return None


def _as_many(rows: np.ndarray, filling: Filling, vector: np.ndarray) -> bool:
    # As many rows with a run as sequences that were padded, and runs of many lengths: no chance.
    runs = _runs(_filled(rows, vector), filling.side)
    share = float((runs > 0).mean())
    known = filling.rows / max(sum(filling.missing.values()), 1)
    return abs(share - known) <= 0.25 and int(runs.max()) > 1
