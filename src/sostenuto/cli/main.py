"""The commands and their options; what they do is in the files beside."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sostenuto.cli import live
from sostenuto.cli.console import console, explained

# Keras looks at TensorFlow where it is installed, also with another backend; TensorFlow then talks on stderr.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

app = typer.Typer(
    name="sostenuto",
    help="Train recurrent networks on tables of sequences, and use them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


class Per(StrEnum):
    """What has a target."""

    auto = "auto"
    step = "step"
    sequence = "sequence"


class Task(StrEnum):
    """What kind of target it is."""

    auto = "auto"
    regression = "regression"
    classification = "classification"


class Cell(StrEnum):
    """The recurrent layers on offer."""

    lstm = "lstm"
    gru = "gru"


class At(StrEnum):
    """Which steps of a sequence."""

    all = "all"
    last = "last"


_DATA, _NETWORK, _TRAINING, _RESULT = "Data", "Network", "Training", "Result"

Table = Annotated[Path, typer.Argument(metavar="TABLE", help="Parquet, CSV, Arrow or Feather; text with --columns.")]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="The folder that 'sostenuto fit' wrote.")]
Id = Annotated[
    str, typer.Option("--id", help="Column that names a sequence, or several with commas.", rich_help_panel=_DATA)
]
Time = Annotated[str | None, typer.Option(help="Column that orders the steps.", rich_help_panel=_DATA)]
Columns = Annotated[
    str | None,
    typer.Option(help="Names of all columns of a file without a header: unit,cycle,s1..s21", rich_help_panel=_DATA),
]
Features = Annotated[
    str | None,
    typer.Option(help="Columns, ranges and patterns: a,b,s1..s5,'t*'. All numbers by default.", rich_help_panel=_DATA),
]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show where an error was raised.")]

_FIT = """Train on a table: one row per step, a column that says which sequence a row belongs to.

[bold]Remaining useful life[/], with tables as NASA's C-MAPSS has them (text without a header, no column of targets):

  sostenuto fit train_FD001.txt --columns unit,cycle,op1..op3,s1..s21 --id unit --time cycle
  --features 's*' --target steps-left --cap 125 --out turbofan

  sostenuto evaluate turbofan test_FD001.txt --truth RUL_FD001.txt

[bold]Classes of whole sequences[/], with labels in a column:

  sostenuto fit gait.parquet --id walk --time t --target diagnosis --out gait
"""


@app.command(help=_FIT)
def fit(
    table: Table,
    id: Id,
    target: Annotated[
        str,
        typer.Option(
            help="Column to learn; 'steps-left' counts the steps that follow in the sequence.", rich_help_panel=_DATA
        ),
    ],
    time: Time = None,
    features: Features = None,
    columns: Columns = None,
    target_per: Annotated[
        Per, typer.Option(help="auto: per sequence if the target is constant in each.", rich_help_panel=_DATA)
    ] = Per.auto,
    task: Annotated[
        Task,
        typer.Option(help="auto: words, booleans and at most 20 whole numbers are classes.", rich_help_panel=_DATA),
    ] = Task.auto,
    cap: Annotated[
        float | None, typer.Option(help="Learn greater targets as this number.", rich_help_panel=_DATA)
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="A table of its own to validate on.", rich_help_panel=_TRAINING)
    ] = None,
    validation_share: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.9, help="Else: share of sequences held out; 0 for none.", rich_help_panel=_TRAINING
        ),
    ] = 0.2,
    folds: Annotated[
        int,
        typer.Option(
            min=0,
            help="Train so many networks, each holding out another share, and average them.",
            rich_help_panel=_TRAINING,
        ),
    ] = 0,
    units: Annotated[int, typer.Option(min=1, help="Units of each layer.", rich_help_panel=_NETWORK)] = 64,
    layers: Annotated[int, typer.Option(min=1, help="Recurrent layers.", rich_help_panel=_NETWORK)] = 2,
    cell: Annotated[Cell, typer.Option(help="Kind of layer.", rich_help_panel=_NETWORK)] = Cell.lstm,
    dropout: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="After each recurrent layer.", rich_help_panel=_NETWORK)
    ] = 0.2,
    epochs: Annotated[int, typer.Option(min=1, help="At most.", rich_help_panel=_TRAINING)] = 60,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences in a batch.", rich_help_panel=_TRAINING)] = 8,
    learning_rate: Annotated[
        float, typer.Option(min=0.0, help="Of Adam; falls along a cosine.", rich_help_panel=_TRAINING)
    ] = 0.003,
    chunk: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Truncated backpropagation: so many steps at a time, with the state of each sequence carried on.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better validation loss.", rich_help_panel=_TRAINING)
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, split, shuffling.", rich_help_panel=_TRAINING)] = 0,
    out: Annotated[Path, typer.Option(help="Folder to write the model to.", rich_help_panel=_RESULT)] = Path("model"),
    traceback: Traceback = False,
) -> None:
    """Reads a table, trains on it and writes a model folder."""
    from sostenuto.cli import fitting
    from sostenuto.cli.request import Request
    from sostenuto.cli.tables import names_in
    from sostenuto.cli.training import Settings

    request = Request(
        names_in(id), time, names_in(columns), names_in(features), target, target_per.value, task.value, cap
    )
    settings = Settings(units, layers, cell.value, dropout, epochs, batch_size, learning_rate, patience, seed, chunk)
    with explained(traceback):
        fitting.fit(table, request, settings, out, validation, validation_share, folds, console())


@app.command()
def predict(
    model: ModelFolder,
    table: Table,
    at: Annotated[At, typer.Option(help="Every step, or the last of each sequence.")] = At.all,
    columns: Columns = None,
    out: Annotated[Path | None, typer.Option(help="File to write, .csv or .parquet; else CSV is printed.")] = None,
    traceback: Traceback = False,
) -> None:
    """Answer for a new table: a row per step, or per sequence where the model was trained so."""
    from sostenuto.cli import asking
    from sostenuto.cli.tables import names_in

    with explained(traceback):
        asking.predict(model, table, names_in(columns), at.value, out, console())


@app.command()
def evaluate(
    model: ModelFolder,
    table: Table,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="One true answer per sequence, where the table does not hold it (sequences cut off early): text with "
            "one on each line in ascending order of the ids, or a table with the columns of id and target."
        ),
    ] = None,
    at: Annotated[
        At | None, typer.Option(help="Compare every step, or the last of each sequence (default with --truth).")
    ] = None,
    columns: Columns = None,
    report: Annotated[Path | None, typer.Option(help="Page to write, .html.")] = None,
    traceback: Traceback = False,
) -> None:
    """Compare a model's answers with the truth."""
    from sostenuto.cli import asking
    from sostenuto.cli.tables import names_in

    with explained(traceback):
        asking.evaluate(model, table, names_in(columns), truth, at.value if at else None, report, console())


@app.command()
def describe(
    table: Table,
    id: Id,
    time: Time = None,
    features: Features = None,
    columns: Columns = None,
    target: Annotated[str | None, typer.Option(help="Column of targets.", rich_help_panel=_DATA)] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw lengths and padding, .png or .svg.")] = None,
    traceback: Traceback = False,
) -> None:
    """Say what a table holds: lengths, padding, ranges of features, missing values."""
    from sostenuto.cli import describing
    from sostenuto.cli.tables import names_in

    with explained(traceback):
        describing.describe(
            table, names_in(id), time, names_in(features), names_in(columns), target, picture, console()
        )


app.command(help=live.STREAM)(live.stream)
app.add_typer(live.state)


_EXPLAIN = """Say what went wrong in a script, or print the page of a code.

  sostenuto explain train.py --epochs 3      runs the script, unchanged, as python would

  sostenuto explain train.py --html why.html also writes a page with pictures

  sostenuto explain train.py -- --html x     everything behind -- is the script's, --html too

  sostenuto explain SO103                    what this code means, and what to do
"""


# What is no option of ours belongs to the script, and everything behind "--".
@app.command(help=_EXPLAIN, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def explain(
    context: typer.Context,
    script: Annotated[str, typer.Argument(metavar="SCRIPT|CODE", help="A Python file, or a code: SO103.")],
    json: Annotated[Path | None, typer.Option(help="File to write findings to, for tools.")] = None,
    html: Annotated[Path | None, typer.Option(help="Page to write, with pictures.")] = None,
) -> None:
    """Runs a script and explains it, or prints a page."""
    from sostenuto.cli import explaining

    with explained():
        raise typer.Exit(explaining.explain(script, context.args, json, html, console()))
