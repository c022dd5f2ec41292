"""What the command line prints: results on stdout, errors on stderr in their one form."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sostenuto.errors import SostenutoError

ERROR_STATUS = 2
INTERRUPTED_STATUS = 130


def console() -> Console:
    """A console for stdout as it is now."""
    return Console(highlight=False, soft_wrap=True)


@contextlib.contextmanager
def explained(traceback: bool = False) -> Iterator[None]:
    """Turns errors of Sostenuto into their text on stderr and exit status 2, an interruption into 130.

    Args:
        traceback: let errors pass, for their traceback.
    """
    try:
        yield
    except SostenutoError as error:
        if traceback:
            raise
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise typer.Exit(ERROR_STATUS) from None
    except KeyboardInterrupt:
        if traceback:
            raise
        sys.stderr.write("interrupted; nothing was written\n")
        raise typer.Exit(INTERRUPTED_STATUS) from None


def print_rows(to: Console, rows: Mapping[str, str]) -> None:
    """Prints names and what belongs to them, one below the other."""
    width = max(map(len, rows))
    for name, text in rows.items():
        first, *rest = text.splitlines() or [""]
        to.print(f"[bold]{name:<{width}}[/]  {escape(first)}")
        for line in rest:
            to.print(f"{'':<{width}}  {escape(line)}")


def print_table(to: Console, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Prints figures as a table; the first column names the rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
    for name, cells in rows.items():
        table.add_row(escape(name), *cells)
    to.print(table)


def worded(figures: Mapping[str, float]) -> dict[str, str]:
    """Figures as text: shares in per cent, others with four digits.

    Example:
        >>> worded({"RMSE": 12.3456, "accuracy": 0.98765})
        {'RMSE': '12.35', 'accuracy': '98.8%'}
    """
    forms = {"R²": "{:.3f}", "accuracy": "{:.1%}", "mean accuracy of classes": "{:.1%}"}
    return {name: forms.get(name, "{:.4g}").format(value) for name, value in figures.items()}
