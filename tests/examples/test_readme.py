"""The README's programs run, and print what the README says they print."""

from __future__ import annotations

import re
from pathlib import Path

import keras

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def said_in_comments(block: str) -> list[str]:
    """What the comments behind print() say it prints."""
    return [match.strip() for match in re.findall(r"^print\(.*\) *# (.*)$", block, re.MULTILINE)]


def test_all_programs_in_order(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.backend.clear_session()
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
        printed = capsys.readouterr().out
        for said in said_in_comments(block):
            assert said.split(", over")[0] in printed
    closing = README.split("```\n")[-2]
    assert closing.strip() == printed.strip()
    assert len(BLOCKS) == 11
