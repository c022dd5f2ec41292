"""``sostenuto stream``: rows as they arrive, through a session on a durable store, to answers as they come."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sostenuto.cli import folder
from sostenuto.cli.arrivals import Found, JsonLines, Source, Unreadable, open_rows
from sostenuto.cli.console import INTERRUPTED_STATUS
from sostenuto.cli.lines import Lines, LinesFile
from sostenuto.cli.recipe import Recipe
from sostenuto.cli.replay import Answered, Standings
from sostenuto.cli.rows import Row, RowReader
from sostenuto.diagnosis import count
from sostenuto.errors import DataError

TERMINATED_STATUS = 143
_SKIPPED_SHOWN = 10
_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True)
class Settings:
    """What ``sostenuto stream`` was told.

    Args:
        model: the folder that ``fit`` wrote.
        table: a table; None for JSON lines on standard input.
        store: the store, a file or the address of a server.
        out: the file to write; None for standard output.
        format: ``"csv"`` or ``"jsonl"``; None for what the file's ending says, else CSV for a table and JSON lines for
            JSON lines.
        columns: the names of the table's columns, where it has no header and others than the training table.
        resume: skip as many rows of an id as steps of it were taken, where no time says which rows these are.
        skip_bad: leave bad rows out instead of stopping.
        other_model: what to do with a store that another model wrote: ``"refuse"``, ``"fresh"`` or ``"migrate"``.
    """

    model: Path
    table: Path | None
    store: str
    out: Path | None = None
    format: str | None = None
    columns: tuple[str, ...] = ()
    resume: bool = False
    skip_bad: bool = False
    other_model: str = "refuse"

    def command(self, timed: bool) -> str:
        """What to type to go on."""
        parts = ["sostenuto", "stream", str(self.model), str(self.table or "-"), "--store", self.store]
        for name in ("out", "format"):
            value = getattr(self, name)
            parts += [f"--{name}", str(value)] if value else []
        parts += ["--columns", ",".join(self.columns)] if self.columns else []
        parts += ["--resume"] if not timed else []
        parts += ["--skip-bad"] if self.skip_bad else []
        return shlex.join(parts)


def stream(settings: Settings) -> int:
    """Answers rows in their order until there are no more, or until a signal.

    Args:
        settings: what to stream, and how.

    Returns:
        The exit status: 0 at the end of the rows, 130 after SIGINT, 143 after SIGTERM.

    Raises:
        DataError: SO803, a row cannot be taken; all rows before it were answered.
        SostenutoError: the model, the store, the table or the output cannot be used; rows answered before are kept.
    """
    saved = folder.load(settings.model)
    with contextlib.ExitStack() as opened:
        session = opened.enter_context(saved.model.session(store=settings.store, other_model=settings.other_model))
        interruption = Interruption()
        source = _source(settings, saved.recipe, interruption)
        lines = _lines(settings, saved.recipe)
        if isinstance(lines, LinesFile):
            opened.callback(lines.close)
        run = Run(session, saved.recipe, source, lines, settings)
        try:
            with interruption:
                for group in source.groups():
                    run.take(group)
                    interruption.check()
        except (Stopped, KeyboardInterrupt):
            run.report()
            _say_how_to_go_on(settings, saved.recipe, lines.written, len(run.standings))
            return TERMINATED_STATUS if interruption.signal == signal.SIGTERM else INTERRUPTED_STATUS
        except BaseException:
            run.report(failed=True)
            raise
        run.report()
        if settings.out is not None:
            print(f"written  {settings.out}, {count(lines.written, 'row')}")
    return 0


def _source(settings: Settings, recipe: Recipe, interruption: Interruption) -> Source:
    if settings.table is None:
        return JsonLines(sys.stdin.buffer, interruption.waiting)
    time_column = (recipe.time,) if recipe.time else ()
    wanted = {"id": recipe.id, "time": time_column, "features": recipe.features}
    return open_rows(settings.table, settings.columns or recipe.columns, wanted)


def _lines(settings: Settings, recipe: Recipe) -> Lines:
    if settings.out is not None:
        return LinesFile(recipe, settings.out, settings.format)
    return Lines(recipe, settings.format or ("jsonl" if settings.table is None else "csv"), sys.stdout)


def _say_how_to_go_on(settings: Settings, recipe: Recipe, written: int, ids: int) -> None:
    again = ", with the same rows again or those that follow" if settings.table is None and recipe.time else ""
    again = ", with the same rows again" if settings.table is None and not recipe.time else again
    _say(f"stopped after {count(written, 'answer')} for {count(ids, 'id')}; to go on{again}:")
    _say(f"  {settings.command(timed=recipe.time is not None)}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Run:
    """One stream: what is known of its ids, and what to say of it at its end.

    Args:
        session: a session on the store.
        recipe: that of the model.
        source: where the rows come from.
        lines: where the answers go.
        settings: how to treat bad rows and those that were done before.
    """

    def __init__(self, session: Any, recipe: Recipe, source: Source, lines: Lines, settings: Settings) -> None:
        self._session = session
        self._per_step = recipe.per == "step"
        self._reader = RowReader(recipe, source)
        self._lines = lines
        self._skip_bad = settings.skip_bad
        self._bad = 0
        self.standings = Standings(session.store, session.model, settings.resume)
        self._progress = Progress(settings.out is not None)

    def take(self, group: list[Found]) -> None:
        """Answers the rows of a group that are new; those of one id go through the model together.

        Raises:
            DataError: SO803, a row is bad; those before it are answered, those after it are not touched.
        """
        found = list(self._reader.read(group))
        self.standings.meet(row.id for row in found if isinstance(row, Row))
        part = Part()
        for row in found:
            if isinstance(row, Row) and row.id in part.new and not self._per_step:
                # The model answers once for all steps of a call: the next step of an id is the next call.
                self._finish(part)
                part = Part()
            problem = row if isinstance(row, DataError) else self._sort(row, part)
            if problem is None:
                continue
            if not self._skip_bad:
                self._finish(part)
                raise problem
            self._skip(problem)
        self._finish(part)
        self._progress.show(self._lines.written)

    def _sort(self, row: Row, part: Part) -> DataError | None:
        """Puts a row where it belongs; returns why it belongs nowhere."""
        try:
            new = self.standings.judge(row)
        except Unreadable as problem:
            return self._reader.bad(row.number, problem)
        if new:
            part.new.setdefault(row.id, []).append(row)
        else:
            part.again += self.standings.recorded(row)
        return None

    def _finish(self, part: Part) -> None:
        """Takes the new rows of a part in one call, which is kept when it returns, and then writes the lines."""
        answered = list(part.again)
        if part.new:
            ids, rows = list(part.new), list(part.new.values())
            first = [self.standings[id].step for id in ids]
            timed = rows[0][0].at is not None
            outputs = self._session.step(
                ids,
                [np.stack([row.x for row in of_id]) for of_id in rows],
                step=first,
                at=[of_id[-1].at for of_id in rows] if timed else None,
            )
            for id, of_id, begin, output in zip(ids, rows, first, outputs, strict=True):
                self.standings[id].step += len(of_id)
                per_row = output if self._per_step else [output]
                answered += [Answered(row, begin + place, per_row[place]) for place, row in enumerate(of_id)]
        self._lines.write(sorted(answered, key=lambda one: one.row.number))

    def _skip(self, error: DataError) -> None:
        self._bad += 1
        if self._bad <= _SKIPPED_SHOWN:
            self._progress.clear()
            _say(f"skipped {error.where}: {error.got}, wanted {error.wanted}")

    def report(self, failed: bool = False) -> None:
        """Says on stderr what the lines do not show.

        Args:
            failed: whether an error follows.
        """
        self._progress.clear()
        standings = self.standings
        if standings.done:
            again = f"; the store had the answers of the last {standings.again:,}" if standings.again else ""
            _say(f"{count(standings.done, 'row was', 'rows were')} done before{again}")
        if self._bad:
            _say(f"{count(self._bad, 'bad row was', 'bad rows were')} skipped")
        if failed and self._lines.written:
            _say(f"{count(self._lines.written, 'answer was', 'answers were')} written before this error:")


class Part:
    """Rows that go through the model together, by id, and recorded answers among them."""

    def __init__(self) -> None:
        self.new: dict[Any, list[Row]] = {}
        self.again: list[Answered] = []


# --- signals -----------------------------------------------------------------------------------------------------


class Stopped(Exception):
    """A signal asks the stream to end."""


class Interruption:
    """Lets SIGINT and SIGTERM end a stream while it waits for rows or between two groups, never within one.

    A second signal does not wait.

    Attributes:
        signal: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # only a main thread may handle signals
                self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(self, *exception: object) -> Literal[False]:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return False

    def _came(self, number: int, _: object) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        if self._waiting:
            raise Stopped

    def check(self) -> None:
        """Ends the stream if a signal came."""
        if self.signal is not None:
            raise Stopped

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Here a signal ends the stream at once."""
        self._waiting = True
        try:
            self.check()
            yield
        finally:
            self._waiting = False


class Progress:
    """Rows so far and rows per second, on a terminal that does not show the answers themselves.

    Args:
        to_file: whether the answers go to a file.
    """

    def __init__(self, to_file: bool) -> None:
        self._shown = sys.stderr.isatty() and (to_file or not sys.stdout.isatty())
        self._begun = self._last = time.monotonic()

    def show(self, rows: int) -> None:
        """Shows how far the stream is, twice a second."""
        now = time.monotonic()
        if self._shown and now - self._last > _PROGRESS_SECONDS:
            self._last = now
            sys.stderr.write(f"\r{rows:,} rows, {rows / (now - self._begun):,.0f} rows/s\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
