"""Small tables on disk, and the command line run in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from typer.testing import CliRunner

from sostenuto.cli.main import app

QUICK = ["--units", "4", "--layers", "1", "--epochs", "3", "--batch-size", "8", "--seed", "1"]


def run(*arguments: Any) -> Any:
    """Runs ``sostenuto`` with these arguments; the result has exit_code, stdout, stderr."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def engines(number: int = 10, seed: int = 0) -> pa.Table:
    """Engines that wear: ``heat`` rises towards the end of each, ``fixed`` never changes."""
    random = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {"unit": [], "cycle": [], "heat": [], "noise": [], "fixed": [], "left": []}
    for unit in range(1, number + 1):
        length = int(random.integers(5, 12))
        left = np.arange(length - 1, -1, -1)
        rows["unit"] += [unit] * length
        rows["cycle"] += range(1, length + 1)
        rows["heat"] += (500 - left + random.normal(0, 0.1, length)).tolist()
        rows["noise"] += random.normal(0, 1, length).tolist()
        rows["fixed"] += [2.5] * length
        rows["left"] += (left + 0.5).tolist()
    return pa.table(rows)


def walks(number: int = 12, seed: int = 0) -> pa.Table:
    """Walks that go up or down; the word for it is constant in each."""
    random = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {"walk": [], "t": [], "x": [], "y": [], "way": []}
    for walk in range(number):
        length = int(random.integers(3, 8))
        up = walk % 2 == 0
        rows["walk"] += [f"w{walk}"] * length
        rows["t"] += range(length)
        rows["x"] += (np.arange(length) * (1.0 if up else -1.0) + random.normal(0, 0.1, length)).tolist()
        rows["y"] += random.normal(0, 1, length).tolist()
        rows["way"] += ["up" if up else "down"] * length
    return pa.table(rows)


def parquet(table: pa.Table, path: Path) -> Path:
    """Writes Parquet."""
    pa.parquet.write_table(table, path)
    return path


def csv(table: pa.Table, path: Path) -> Path:
    """Writes CSV."""
    pa.csv.write_csv(table, path)
    return path


def text(table: pa.Table, path: Path) -> Path:
    """Writes rows without a header, with blanks between and at the end, as raw measurements often come."""
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    path.write_text("".join("  ".join(map(str, row)) + "  \n" for row in rows))
    return path
