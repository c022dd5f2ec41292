"""Answers as lines, CSV or JSON, written as they come; and a file of such lines that is gone on with."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from sostenuto.cli.recipe import Recipe
from sostenuto.cli.replay import Answered
from sostenuto.diagnosis import some
from sostenuto.errors import DataError, ModelError

_BLOCK = 4096
ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def columns_of(recipe: Recipe) -> tuple[str, ...]:
    """The names of what a line holds: id, time, step, answer, and the probability of each class.

    Example:
        >>> columns_of(Recipe(("unit",), "cycle", (), ("x",), (), (0.0,), (1.0,), (0.0,), (1.0,), "left"))
        ('unit', 'cycle', 'step', 'predicted')
    """
    given = (*recipe.id, *((recipe.time,) if recipe.time else ()))
    step = "step_number" if "step" in given else "step"
    return (*given, step, "predicted", *(f"p_{label}" for label in recipe.labels))


class Lines:
    """Writes answers, a line for each, and lets nothing rest in a buffer.

    Args:
        recipe: that of the model.
        format: ``"csv"`` or ``"jsonl"``.
        stream: where to write.
        header: whether CSV begins with the names of the columns.

    Attributes:
        written: how many lines were written.
    """

    def __init__(self, recipe: Recipe, format: str, stream: TextIO, header: bool = True) -> None:
        self._recipe = recipe
        self._json = format == "jsonl"
        self._stream = stream
        self._columns = columns_of(recipe)
        self.written = 0
        if header and not self._json:
            self._put(self._csv([self._columns]))

    def write(self, answered: Sequence[Answered]) -> None:
        """Writes some answers in the order of their rows."""
        if not answered:
            return
        answers = self._recipe.answers(np.stack([one.output for one in answered]))
        rows = []
        for one, answer in zip(answered, answers, strict=True):
            said = [self._recipe.labels[int(answer.argmax())], *answer.tolist()] if self._recipe.labels else [answer]
            rows.append((*one.row.shown, one.step, *map(_rounded, said)))
        if self._json:
            self._put(
                "".join(
                    f"{json.dumps(dict(zip(self._columns, row, strict=True)), ensure_ascii=False)}\n" for row in rows
                )
            )
        else:
            self._put(self._csv(rows))
        self.written += len(rows)

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    @staticmethod
    def _csv(rows: Sequence[Sequence[Any]]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_csv_text(value) for value in row] for row in rows)
        return text.getvalue()


def _rounded(value: Any) -> Any:
    """A number of the model with nine digits, which tell all float32 apart; anything else as it is."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _csv_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


class LinesFile(Lines):
    """A file of lines, new or gone on with. A last line that a crash cut off is taken away.

    Each row gets one line, however often the stream is stopped: a recorded answer that is there is not written again.

    Args:
        recipe: that of the model.
        path: the file; its ending says what it holds, unless ``format`` does.
        format: ``"csv"``, ``"jsonl"`` or None.

    Raises:
        DataError: SO213, the ending says neither.
        ModelError: SO802, the file holds something else, or cannot be written.
    """

    def __init__(self, recipe: Recipe, path: Path, format: str | None) -> None:
        format = format or ENDINGS.get(path.suffix.lower())
        if format is None:
            raise DataError(
                "This is no kind of file that can be written here.",
                code="SO213",
                where=repr(str(path)),
                got=f"a name that ends with {path.suffix!r}",
                wanted=f"a name that ends with {' or '.join(ENDINGS)}",
                fix=f"call it {path.stem}.csv, or say --format csv",
            )
        self._path = path
        self._names = len(recipe.id)
        self._last_steps: dict[tuple[str, ...], int] = {}
        try:
            whole = self._read_back(format, columns_of(recipe)) if path.exists() else 0
            self._file = path.open("a", encoding="utf-8", newline="")
            self._file.truncate(whole)
        except OSError as error:
            raise self._refused(error.strerror or str(error), "check the path") from None
        super().__init__(recipe, format, self._file, header=not whole)

    def write(self, answered: Sequence[Answered]) -> None:
        """Writes answers, but no recorded one that is in the file."""
        super().write([one for one in answered if not self._is_there(one)])

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _is_there(self, one: Answered) -> bool:
        there = self._last_steps.get(self._key(one.row.shown), -1)
        return there in one.recorded and one.step <= there

    def _key(self, row: Sequence[Any]) -> tuple[str, ...]:
        return tuple(str(part) for part in row[: self._names])

    def _read_back(self, format: str, columns: Sequence[str]) -> int:
        """Notes the last step of each id in the file; returns the size of its whole lines.

        Nothing is changed before all of them are known to be lines of this stream.
        """
        step = columns.index("predicted") - 1
        with self._path.open("rb") as file:
            whole, tail = _whole_lines(file)
            begin = json.dumps({columns[0]: 0})[:-2] if format == "jsonl" else ",".join(columns)
            if not whole and not (begin.startswith(tail) or (format == "jsonl" and tail.startswith(begin))):
                raise self._not_ours(columns)
            file.seek(0)
            text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
            lines = _until(text, whole)
            try:
                if format == "csv":
                    rows: Iterator[Any] = csv.reader(lines)
                    if whole and next(rows) != list(columns):
                        raise ValueError
                else:
                    rows = (_json_values(line, columns) for line in lines)
                for row in rows:
                    if len(row) != len(columns):
                        raise ValueError
                    self._last_steps[self._key(row)] = int(row[step])
            except (ValueError, csv.Error):
                raise self._not_ours(columns) from None
        return whole

    def _not_ours(self, columns: Sequence[str]) -> ModelError:
        got = f"a file with something else than lines of {some(columns, 6)}"
        return self._refused(got, "choose another file with --out")

    def _refused(self, got: str, fix: str) -> ModelError:
        return ModelError(
            "The answers cannot be written here.",
            code="SO802",
            where=repr(str(self._path)),
            got=got,
            wanted="a new file, or one that this stream began",
            fix=fix,
        )


def _json_values(line: str, columns: Sequence[str]) -> list[Any]:
    row = json.loads(line)
    if not isinstance(row, dict) or list(row) != list(columns):
        raise ValueError
    return list(row.values())


def _whole_lines(file: BinaryIO) -> tuple[int, str]:
    """The size of a file up to its last line end, and the beginning of what follows."""
    end = size = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    file.seek(end)
    return end, file.read(min(size - end, _BLOCK)).decode(errors="replace")


def _until(text: TextIO, size: int) -> Iterator[str]:
    """The lines of the first ``size`` bytes."""
    done = 0
    while done < size:
        if not (line := text.readline()):
            return
        done += len(line.encode())
        yield line
