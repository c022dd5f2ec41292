"""``stock_failures.md``: the tests that stock Keras fails or skips, per backend, and what Sostenuto does there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

RECORD = Path(__file__).parent / "stock_failures.md"

_HEAD = """# Tests that stock Keras fails or skips

Keras's own recurrent tests, run on stock Keras and on Sostenuto, one part per backend. Every test that is not listed
passes for stock Keras, and `python -m tests.keras_suite` requires that it passes for Sostenuto as well. Written by
`python -m tests.keras_suite --write`; `--recorded` compares with what is written here.
"""


class Row(NamedTuple):
    """One test that does not pass for stock Keras."""

    test: str
    stock: str
    ours: str
    reason: str

    def __str__(self) -> str:
        return f"| {self.test} | {self.stock} | {self.ours} | {self.reason.replace('|', '/')} |"


class Section(NamedTuple):
    """What is recorded for a backend: the version of Keras, how many tests it has, those that do not pass."""

    version: str
    tests: int
    rows: list[Row]


def read_section(backend: str) -> Section | None:
    """What is recorded for a backend, or None where there is no record."""
    text = _sections().get(backend)
    if text is None:
        return None
    head = re.search(r"^Keras (\S+): (\d+) tests", text, re.MULTILINE)
    if head is None:
        raise ValueError(
            f"{RECORD.name} does not say how many tests Keras has on {backend}; write it anew with --write"
        )
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and "::" in cells[0]:
            rows.append(Row(*cells))
    return Section(head[1], int(head[2]), rows)


def write_section(backend: str, section: Section) -> None:
    """Replaces what is recorded for a backend and leaves the others as they are."""
    head = f"Keras {section.version}: {section.tests} tests, of which {len(section.rows)} do not pass."
    table = ["| test | stock Keras | Sostenuto | reason |", "|---|---|---|---|", *map(str, section.rows)]
    sections = _sections()
    sections[backend] = "\n".join([f"## {backend}", "", head, "", *table])
    RECORD.write_text("\n".join([_HEAD, *(sections[name] + "\n" for name in sorted(sections))]))


def _sections() -> dict[str, str]:
    if not RECORD.exists():
        return {}
    parts = RECORD.read_text().split("\n## ")[1:]
    return {part.split("\n")[0].strip(): f"## {part}".strip() for part in parts}
