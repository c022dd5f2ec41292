"""The commands for sequences that arrive over time, and their options: ``stream`` and ``state``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sostenuto.cli.console import console, explained


class Format(StrEnum):
    """How answers are written."""

    csv = "csv"
    jsonl = "jsonl"


class OtherModel(StrEnum):
    """What to do with a store that another model wrote."""

    refuse = "refuse"
    fresh = "fresh"
    migrate = "migrate"


ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="The folder that 'sostenuto fit' wrote.")]
Store = Annotated[str, typer.Argument(metavar="STORE", help="A SQLite file, or valkey://host:port.")]
Keys = Annotated[bool, typer.Option("--keys", help="Ids are JSON, as in the store: 17 is a number, '\"17\"' is text.")]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show where an error was raised.")]

STREAM = """Answer rows as they arrive, each sequence from its own state, which is kept in a store.

Rows are taken in their order, any sequences interleaved; answers are written line by line. Stop it at any point, even \
with kill -9: the same command goes on where it was.

  sostenuto stream turbofan rows.csv --store turbofan.db --out answers.csv

  tail -f rows.jsonl | sostenuto stream turbofan --store turbofan.db

A row of JSON lines holds id, time and features by name, {"unit": 17, "cycle": 3, "s1": 0.5}, or the features in their \
order, {"unit": 17, "cycle": 3, "features": [0.5]}.

Where the model knows a column of time, rows up to the last time of their id were done before. Without one, rows are \
new unless --resume says that they come again from their beginning.
"""


def stream(
    model: ModelFolder,
    store: Annotated[
        str, typer.Option(metavar="STORE", help="A SQLite file, made if it is not there, or valkey://host:port.")
    ],
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="Parquet, CSV or Arrow; - for JSON lines on standard input.")
    ] = "-",
    out: Annotated[
        Path | None, typer.Option(help="File of answers, .csv or .jsonl, made or gone on with; else they are printed.")
    ] = None,
    format: Annotated[Format | None, typer.Option(help="How answers are written.")] = None,
    columns: Annotated[str | None, typer.Option(help="Names of all columns of a file without a header.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Without a time: skip as many rows of each id as were taken before.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out and go on.")] = False,
    other_model: Annotated[
        OtherModel,
        typer.Option(help="A store that another model wrote: forget its states, or go on from them."),
    ] = OtherModel.refuse,
    traceback: Traceback = False,
) -> None:
    """Streams rows through a model."""
    with explained(traceback):
        from sostenuto.cli import streaming
        from sostenuto.cli.tables import names_in

        path = None if table == "-" else Path(table)
        settings = streaming.Settings(
            model, path, store, out, format and format.value, names_in(columns), resume, skip_bad, other_model.value
        )
        status = streaming.stream(settings)
    if status:
        raise typer.Exit(status)


state = typer.Typer(
    name="state", help="Look at the states in a store, forget them, or take them elsewhere.", no_args_is_help=True
)


@state.command()
def ls(
    store: Store,
    match: Annotated[str | None, typer.Option(help="Only ids like this: 'engine-*'.")] = None,
    most: Annotated[int, typer.Option(min=1, help="So many at most.")] = 50,
    traceback: Traceback = False,
) -> None:
    """List ids: steps taken, time of the last one."""
    from sostenuto.cli import states

    with explained(traceback):
        states.ls(store, match, most, console())


@state.command()
def show(
    store: Store,
    id: Annotated[str, typer.Argument(metavar="ID")],
    values: Annotated[bool, typer.Option("--values", help="Print the numbers themselves.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    keys: Keys = False,
    traceback: Traceback = False,
) -> None:
    """Show the states of an id, by layer and name."""
    from sostenuto.cli import states

    with explained(traceback):
        states.show(store, id, values, json, keys, console())


@state.command()
def reset(
    store: Store,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", show_default=False)] = None,
    all: Annotated[bool, typer.Option("--all", help="Every id of the store.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Needed with --all.")] = False,
    keys: Keys = False,
    traceback: Traceback = False,
) -> None:
    """Forget ids: their next step begins anew."""
    from sostenuto.cli import states

    with explained(traceback):
        states.reset(store, ids or [], all, yes, keys, console())


@state.command(name="export")
def export_states(
    store: Store,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To write, .parquet or .jsonl.")],
    traceback: Traceback = False,
) -> None:
    """Write all states to a file."""
    from sostenuto.cli.state_files import export

    with explained(traceback):
        export(store, file, console())


@state.command(name="import")
def import_states(
    store: Store,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What 'sostenuto state export' wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Also ids that are there already.")] = False,
    traceback: Traceback = False,
) -> None:
    """Read states from a file into a store, made if it is not there."""
    from sostenuto.cli.state_files import import_

    with explained(traceback):
        import_(store, file, replace, console())
