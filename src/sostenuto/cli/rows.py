"""From what stands in a row to what a session takes: an id, a time, standardised features. Or why it cannot."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from sostenuto.cli.arrivals import Dated, Found, Source, Unreadable
from sostenuto.cli.recipe import Recipe
from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import DataError, IdError
from sostenuto.sequences import Sequences
from sostenuto.stores import Id, plain_id

FEATURES = "features"
_WHOLE = re.compile(r"-?[1-9]\d*|0")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d.*", re.DOTALL)
_ZONE = re.compile(r"(.*T.*|.* .*)(Z|[+-]\d\d:?\d\d)", re.IGNORECASE)
_LONGEST_SHOWN = 40


@dataclass(frozen=True, eq=False)
class Row:
    """A step of a sequence.

    Args:
        number: its place in the source.
        id: which sequence.
        at: its time as a number; None where the model knows no time.
        shown: the id and the time, column by column, as they are written again beside the answer.
        x: (F,) float32, what the model reads.
    """

    number: int
    id: Id
    at: int | float | None
    shown: tuple[Any, ...]
    x: np.ndarray


class RowReader:
    """Reads rows by the recipe of a model.

    Args:
        recipe: the recipe.
        source: where the rows come from.

    Example:
        >>> import contextlib, io
        >>> from sostenuto.cli.arrivals import JsonLines
        >>> recipe = Recipe(("id",), None, (), ("x",), (), (1.0,), (2.0,), (0.0,), (3.0,), "y")
        >>> lines = JsonLines(io.BytesIO(b'{"id": "a", "x": 5}\\n{"id": "a", "x": "5"}\\n'), contextlib.nullcontext)
        >>> good, bad = RowReader(recipe, lines).read(next(lines.groups()))
        >>> good.id, good.x.tolist(), bad.got
        ('a', [2.0], "the text '5'")
    """

    def __init__(self, recipe: Recipe, source: Source) -> None:
        self._recipe = recipe
        self._source = source

    def read(self, group: Iterable[Found]) -> Iterator[Row | DataError]:
        """The rows of a group in their order; in place of a bad one, the error that says why (SO803)."""
        found: list[Any] = []
        for number, values in group:
            try:
                found.append((number, *self._parts(self._source.fields(values))))
            except Unreadable as problem:
                found.append(self.bad(number, problem))
        values = [parts[-1] for parts in found if not isinstance(parts, DataError)]
        prepared = iter(self._prepared(values) if values else ())
        for parts in found:
            if isinstance(parts, DataError):
                yield parts
                continue
            number, id, at, shown, raw = parts
            x = next(prepared)
            if np.isfinite(x).all():
                yield Row(number, id, at, shown, x)
            else:
                feature = int(np.argmin(np.isfinite(x)))
                got = f"{raw[feature]:g}, which is infinite once it is standardised"
                yield self.bad(number, Unreadable(got, "a finite number", self._recipe.features[feature]))

    def bad(self, number: int, problem: Unreadable) -> DataError:
        """The error for a bad row (SO803).

        Args:
            number: the row.
            problem: what is wrong with it.
        """
        where = self._source.place(number)
        return DataError(
            "A row cannot be taken.",
            code="SO803",
            where=where if problem.column is None else f"{where}, {problem.column!r}",
            got=problem.got,
            wanted=problem.wanted,
            fix="all rows before it were answered: correct it and go on from there; or pass --skip-bad",
        )

    def _prepared(self, values: list[list[float]]) -> np.ndarray:
        sequences = Sequences.from_list([np.array(values)], features=self._recipe.features)
        with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused
            return sequences.standardised(self._recipe.statistics).values.astype(np.float32)

    # --- one row ---------------------------------------------------------------------------------------------------

    def _parts(self, fields: Mapping[str, Any]) -> tuple[Id, int | float | None, tuple[Any, ...], list[float]]:
        id, shown = self._id(fields)
        at = None
        if self._recipe.time is not None:
            at, text = self._time(_value(fields, self._recipe.time), self._recipe.time)
            shown += (text,)
        names = self._recipe.features
        if FEATURES in fields and FEATURES not in names and isinstance(fields[FEATURES], list):
            values = fields[FEATURES]
            if len(values) != len(names):
                raise Unreadable(count(len(values), "value"), f"{len(names)}, one for each feature", FEATURES)
        else:
            values = [_value(fields, name) for name in names]
        return id, at, shown, [self._number(value, name) for value, name in zip(values, names, strict=True)]

    def _id(self, fields: Mapping[str, Any]) -> tuple[Id, tuple[Any, ...]]:
        shown = tuple(self._whole(_value(fields, name)) for name in self._recipe.id)
        try:
            return plain_id(shown[0] if len(shown) == 1 else shown), shown
        except IdError as error:
            raise Unreadable(error.got, "text or a whole number", ", ".join(self._recipe.id)) from None

    def _whole(self, value: Any) -> Any:
        if isinstance(value, Dated):
            return value.text
        # 17 in a CSV file and 17 in JSON name one id; 017 and 1e3 are text, which they would not be again as numbers.
        return int(value) if self._source.text and len(value) < 20 and _WHOLE.fullmatch(value) else value

    def _time(self, value: Any, column: str) -> tuple[int | float, Any]:
        if isinstance(value, Dated):
            return value.nanoseconds, value.text
        if isinstance(value, str):
            if self._source.text and _NUMBER.fullmatch(value):
                number = self._number(value, column)
                whole = int(value) if re.fullmatch(r"[+-]?\d+", value) else number
                return _time_number(whole, column), whole
            return _date(value, column), value
        self._number(value, column)
        plain = float(value) if isinstance(value, Decimal) else value
        return _time_number(plain, column), plain

    def _number(self, value: Any, column: str) -> float:
        wanted = "a finite number"
        if isinstance(value, str):
            if not (self._source.text and _NUMBER.fullmatch(value.strip())):
                raise Unreadable(_text(value), wanted, column)
        elif not isinstance(value, int | float | Decimal):
            raise Unreadable("a date" if isinstance(value, Dated) else shape_of(value), wanted, column)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Unreadable("a missing value (NaN)" if math.isnan(number) else "an infinite value", wanted, column)
        return number


def _value(fields: Mapping[str, Any], column: str) -> Any:
    value = fields.get(column)
    if value is None or value == "":
        raise Unreadable("nothing" if column in fields else "no such column", "a value", column)
    return value


def _time_number(value: Any, column: str) -> int | float:
    if isinstance(value, bool) or (isinstance(value, int) and not -(1 << 63) <= value < 1 << 63):
        got = "a truth value" if isinstance(value, bool) else "a whole number of more than 64 bits"
        raise Unreadable(got, "a number of 64 bits, or a date", column)
    return value


def _date(text: str, column: str) -> int:
    """Nanoseconds since 1970 of a date such as 2024-05-01T12:00:00+02:00; without a zone, as it stands."""
    zone = _ZONE.fullmatch(text)
    base, offset = (zone[1], zone[2]) if zone else (text, "Z")
    try:
        if not _DATE.fullmatch(base):
            raise ValueError
        written = np.datetime64(base)
        found = written.astype("datetime64[ns]")
        if np.isnat(found) or found.astype(written.dtype) != written:
            raise ValueError
    except ValueError:
        raise Unreadable(_text(text), "a number, or a date such as 2024-05-01T12:00:00", column) from None
    minutes = 0
    if offset.upper() != "Z":
        minutes = int(f"{offset[0]}1") * (60 * int(offset[1:3]) + int(offset[-2:]))
    return int(found.astype(np.int64)) - minutes * 60 * 10**9


def _text(value: str) -> str:
    short = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 3] + "..."
    return f"the text {short!r}"
