"""Writes the pages of all error codes, and the hand-written pages beside this file, into site/."""

from __future__ import annotations

import shutil
from pathlib import Path

from sostenuto.diagnosis import PAGES

DOCS = Path(__file__).resolve().parent
SITE = DOCS.parent / "site"

HEAD = """# Error codes

What `sostenuto explain CODE` prints, for every code.
"""


def error_pages() -> str:
    """All pages as one Markdown document, with a table of contents."""
    contents = [f"- [{page.code}](#{page.code.lower()}) {page.title}" for page in PAGES.values()]
    parts = [
        f"## {page.code}\n\n**{page.title}.**\n\n{page.meaning}\n\n**What to do.** {page.fix}"
        for page in PAGES.values()
    ]
    return "\n\n".join([HEAD.rstrip(), "\n".join(contents), *parts]) + "\n"


def main() -> None:
    SITE.mkdir(exist_ok=True)
    for source in sorted(DOCS.glob("*.md")):
        shutil.copy(source, SITE / source.name)
        print(f"site/{source.name}")
    (SITE / "errors.md").write_text(error_pages())
    print(f"site/errors.md: {len(PAGES)} codes")


if __name__ == "__main__":
    main()
