"""``sostenuto describe``: what a table of sequences holds."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from sostenuto.cli.console import print_rows
from sostenuto.cli.tables import choose_features, read_table
from sostenuto.errors import DataError
from sostenuto.sequences import Sequences


def describe(
    path: Path, id: tuple[str, ...], time: str | None, features: tuple[str, ...], columns: tuple[str, ...],
    target: str | None, picture: Path | None, console: Console,
) -> None:  # fmt: skip
    """Prints the description of a table's sequences, missing values counted, and draws it if asked.

    Args:
        path: the table.
        id: columns that name a sequence.
        time: the column that orders the steps.
        features: names and patterns; none for all columns of numbers.
        columns: the names of all columns, for files without a header.
        target: the column of targets.
        picture: the file to draw.
        console: where to print.
    """
    table = read_table(path, columns)
    chosen = choose_features(table, features, {*id, time or "", target or ""}) if features else None
    sequences = Sequences.from_table(table, id=id, time=time, features=chosen, target=target, missing="keep")
    found = sequences.describe()
    console.print(str(found), markup=False)
    if picture is not None:
        try:
            found.save(picture)
        except (OSError, ValueError) as error:
            raise DataError(
                "The picture cannot be written.",
                code="SO213",
                where=repr(str(picture)),
                got=str(error).splitlines()[0][:160],
                wanted="a file of a kind that matplotlib draws (.png, .svg, .pdf), in a folder that is there",
                fix="check the path and its ending",
            ) from None
        console.print()
        print_rows(console, {"written": str(picture)})
