"""``stock_failures.md``: the tests that stock Keras fails or skips, per backend, and what Sostenuto does there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

RECORD = Path(__file__).parent / "stock_failures.md"

_HEAD = """# Tests that stock Keras fails or skips

Keras's own recurrent tests, run on stock Keras and on Sostenuto, one part per backend. Every test that is not listed
passes for stock Keras, and `python -m tests.keras_suite` requires that it passes for Sostenuto as well. Written by
`python -m tests.keras_suite --write`.
"""


class Row(NamedTuple):
    """One test that does not pass for stock Keras."""

    test: str
    stock: str
    ours: str
    reason: str

    def __str__(self) -> str:
        return f"| {self.test} | {self.stock} | {self.ours} | {self.reason.replace('|', '/')} |"


def read_section(backend: str) -> list[Row]:
    """The rows recorded for a backend; none where there is no record."""
    rows = []
    for line in _sections().get(backend, "").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and "::" in cells[0]:
            rows.append(Row(*cells))
    return rows


def write_section(backend: str, version: str, rows: list[Row]) -> None:
    """Replaces the rows recorded for a backend and leaves the others as they are."""
    table = ["| test | stock Keras | Sostenuto | reason |", "|---|---|---|---|", *map(str, rows)]
    sections = _sections()
    sections[backend] = "\n".join([f"## {backend}", "", f"Keras {version}; {len(rows)} listed.", "", *table])
    RECORD.write_text("\n".join([_HEAD, *(sections[name] + "\n" for name in sorted(sections))]))


def _sections() -> dict[str, str]:
    if not RECORD.exists():
        return {}
    parts = RECORD.read_text().split("\n## ")[1:]
    return {part.split("\n")[0].strip(): f"## {part}".strip() for part in parts}
