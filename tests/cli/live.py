"""Models to stream through, made once for all tests, and the answers that ``predict`` gives."""

from __future__ import annotations

import csv as csv_files
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from typer.testing import CliRunner

from sostenuto.cli.main import app
from tests.cli.tables import QUICK, csv, engines, parquet, run, walks

FIT_ENGINES = ["--id", "unit", "--time", "cycle", "--features", "heat,noise", "--target", "left"]
FIT_WALKS = ["--id", "walk", "--time", "t", "--target", "way", "--cell", "gru"]


def stream(*arguments: Any, rows: str | bytes | None = None) -> Any:
    """Runs ``sostenuto stream`` with these arguments and these rows on standard input."""
    return CliRunner().invoke(app, ["stream", *map(str, arguments)], input=rows)


def interleaved(table: pa.Table, time: str) -> pa.Table:
    """All first steps, then all second ones, and so on."""
    return table.sort_by([(time, "ascending")])


def rows_of(printed: str) -> list[dict[str, str]]:
    """The rows of CSV."""
    return list(csv_files.DictReader(io.StringIO(printed)))


def json_of(table: pa.Table) -> str:
    """A table as JSON lines."""
    return "".join(f"{json.dumps(row)}\n" for row in table.to_pylist())


def said_by_predict(model: Path, table: Path) -> dict[tuple[str, str], float]:
    """What ``predict`` answers, by unit and cycle."""
    found = run("predict", model, table)
    assert found.exit_code == 0, found.output
    return {(row["unit"], row["cycle"]): float(row["predicted"]) for row in rows_of(found.stdout)}


class Home:
    """A folder with models: of engines, with times and without, and of walks (a class per sequence).

    Attributes:
        table: rows of seven engines, interleaved.
        rows: the same as a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table = interleaved(engines(7, seed=3), "cycle")
        self.rows = parquet(self.table, path / "rows.parquet")
        parquet(engines(), path / "engines.parquet")
        csv(walks(), path / "walks.csv")
        for table, name, options in (("engines.parquet", "timed", FIT_ENGINES), ("walks.csv", "walks", FIT_WALKS)):
            found = run("fit", path / table, *options, *QUICK, "--out", path / name)
            assert found.exit_code == 0, found.output
        (path / "untimed").mkdir()
        (path / "untimed" / "model.keras").write_bytes((path / "timed" / "model.keras").read_bytes())
        notes = json.loads((path / "timed" / "sostenuto.json").read_text())
        notes["recipe"]["time"] = None
        (path / "untimed" / "sostenuto.json").write_text(json.dumps(notes))
        self._said = said_by_predict(path / "timed", self.rows)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def said(self, unit: int, cycle: int) -> float:
        """What ``predict`` answers."""
        return self._said[str(unit), str(cycle)]

    def check(self, rows: list[dict[str, Any]], expected: pa.Table) -> None:
        """Every row of a table was answered once, in its order, with what ``predict`` says."""
        units = list(zip(expected["unit"].to_pylist(), expected["cycle"].to_pylist(), strict=True))
        assert [(int(row["unit"]), int(row["cycle"])) for row in rows] == units
        assert [int(row["step"]) for row in rows] == [cycle - 1 for _, cycle in units]
        found = [float(row["predicted"]) for row in rows]
        np.testing.assert_allclose(found, [self.said(*unit) for unit in units], rtol=1e-5, atol=1e-5)
