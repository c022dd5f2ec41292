"""The programs in the pages of the site run, and print what the pages say they print."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "pages"
WITH_PROGRAMS = sorted(path.name for path in PAGES.glob("*.md") if "```python" in path.read_text())


@pytest.mark.parametrize("name", WITH_PROGRAMS)
def test_all_programs_of_a_page_in_order(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.backend.clear_session()
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / name).read_text(), re.DOTALL)
    for number, block in enumerate(blocks):
        # In a file, because explanations quote the source.
        script = tmp_path / f"{number}.py"
        script.write_text(block)
        exec(compile(block, str(script), "exec"), names)
        printed = capsys.readouterr().out
        for said in re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE):
            assert said in printed


def test_every_page_is_in_the_contents():
    contents = (PAGES / "index.md").read_text() + (PAGES / "api" / "index.md").read_text()
    for path in PAGES.rglob("*.md"):
        if path.stem != "index":
            assert re.search(rf"^(api/)?{path.stem}$", contents, re.MULTILINE), path
