"""Builds the site: hand-written pages, one page for every code of the catalogue, the reference from docstrings.

    python docs/build.py             into site/; open site/index.html
    python docs/build.py --out DIR   elsewhere

Pages and pictures that are made come to build/docs first, beside copies of the hand-written ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import pictures

from sostenuto.diagnosis import Rule, rules

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SOURCE = ROOT / "build" / "docs"

FAMILIES = {
    "SO0": "Any program, and PyTorch's modules",
    "SO1": "Shapes and axes",
    "SO2": "Data, padding and masks",
    "SO3": "States and sessions",
    "SO4": "Targets, outputs and losses",
    "SO5": "Token ids",
    "SO6": "Models and kernels",
    "SO7": "What is installed, and older versions of Keras",
    "SO8": "The command line",
    "SO9": "Stores",
}


def rule_page(rule: Rule) -> str:
    """A code's page as Markdown."""
    parts = [f"# {rule.code}: {rule.title}", _unwrapped(rule.meaning), f"## What to do\n\n{_unwrapped(rule.fix)}"]
    if rule.example:
        parts.append(f"## Example\n\n```python\n{rule.example}\n```")
    if rule.repaired:
        parts.append(f"## Put right\n\n```python\n{rule.repaired}\n```")
    found = "in programs that use Keras or PyTorch" if rule.looks else "by Sostenuto itself, which refuses it"
    parts.append(f"*Found {found}. On a terminal: `sostenuto explain {rule.code}`.*")
    return "\n\n".join(parts) + "\n"


def _unwrapped(text: str) -> str:
    # A line that happens to begin with "- " would be a list.
    return "\n\n".join(" ".join(one.splitlines()) for one in text.split("\n\n"))


def errors_index(catalogue: dict[str, Rule]) -> str:
    """The list of all codes by family."""
    parts = ["# All codes\n\nWhat an error's code means, and what to do about it."]
    for family, title in FAMILIES.items():
        own = [rule for code, rule in catalogue.items() if code.startswith(family)]
        if own:
            rows = "\n".join(f"| [{rule.code}]({rule.code}.md) | {rule.title} |" for rule in own)
            parts.append(f"## {title}\n\n| code | what went wrong |\n|---|---|\n{rows}")
    hidden = "\n".join(catalogue)
    return "\n\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{hidden}\n```"]) + "\n"


def write_sources() -> None:
    """Puts everything Sphinx reads into build/docs."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(DOCS / "pages", SOURCE)
    shutil.copy(DOCS / "conf.py", SOURCE)
    for name, draw in pictures.ALL.items():
        (SOURCE / "pictures").mkdir(exist_ok=True)
        (SOURCE / "pictures" / f"{name}.html").write_text(draw())
    errors = SOURCE / "errors"
    errors.mkdir()
    catalogue = rules()
    for code, rule in catalogue.items():
        (errors / f"{code}.md").write_text(rule_page(rule))
    (errors / "index.md").write_text(errors_index(catalogue))


def main() -> int:
    """Builds it; warnings are errors, so that no link leads nowhere."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    out = parser.parse_args().out
    # Before Sphinx imports the package for its docstrings.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from sphinx.cmd.build import build_main

    write_sources()
    status = build_main(["-q", "-W", "--keep-going", "-d", str(ROOT / "build" / "doctrees"), str(SOURCE), str(out)])
    if status == 0:
        print(f"{out}/index.html: {len(rules())} codes")
    return status


if __name__ == "__main__":
    sys.exit(main())
