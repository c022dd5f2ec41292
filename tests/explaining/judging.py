"""Judges a diagnosis by what a case says has to be in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import keras

from sostenuto.diagnosis import Report


def cases(folder: Path) -> dict[Path, dict[str, Any]]:
    """The cases of a folder, with the truth about each."""
    return {path.parent: json.loads(path.read_text()) for path in sorted(folder.glob("*/case.json"))}


def on_this_backend(truths: dict[Path, dict[str, Any]]) -> list[Path]:
    """The cases that are to be run on the backend of this process."""
    return [folder for folder, truth in truths.items() if keras.backend.backend() in truth["backend"]]


def said(report: Report) -> str:
    """All that a diagnosis says, in one text."""
    return "\n".join(" ".join(str(value) for value in finding.values()) for finding in report.to_dict()["findings"])


def judge(report: Report, truth: dict[str, Any], errors: str) -> None:
    """Asserts that a diagnosis names what it must, nothing it must not, and is complete."""
    text = said(report)
    assert report.exit == (1 if truth["symptom"] == "raises" else 0), errors
    if truth["symptom"] == "clean":
        assert text == ""
        return
    assert report.findings, errors
    lower = text.lower()
    missing = [entry for entry in truth["must_mention"] if not any(one.lower() in lower for one in entry.split("|"))]
    wrong = [entry for entry in truth["must_not_say"] if any(one.lower() in lower for one in entry.split("|"))]
    assert (missing, wrong) == ([], []), text
    assert ("error" if truth["symptom"] == "raises" else "silent") in {finding.kind for finding in report}
    for finding in report:
        assert finding.got
        assert finding.wanted
        assert finding.fix
        assert re.search(r"line \d+", finding.where)
