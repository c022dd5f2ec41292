"""`sostenuto explain`: the page of a code, or a script run under a watch."""

from __future__ import annotations

import json as json_files
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sostenuto._backend import leave_the_choice
from sostenuto.cli.console import ERROR_STATUS
from sostenuto.diagnosis import nearest, page, rules
from sostenuto.errors import DataFileError, ModelError

# The letters O and I for the digits too: who types one means a code, and is told the near ones.
_CODE = re.compile(r"so(?=.*\d)[\doil]+", re.IGNORECASE)


def explain(script: str, arguments: Sequence[str], json: Path | None, html: Path | None, console: Console) -> int:
    """Explains a script, or prints a page.

    Args:
        script: path of a script, or a code.
        arguments: of the script.
        json: file to write the findings to, or None.
        html: page to write, or None.
        console: where the diagnosis goes.

    Returns:
        The exit status: the script's own.

    Raises:
        DataFileError: SO209, there is no such script.
        ModelError: SO802, a result cannot be written.
    """
    if _CODE.fullmatch(script) and not Path(script).exists():
        return _print_page(script, console)
    if not Path(script).is_file():
        raise DataFileError(
            "There is no such script.",
            code="SO209",
            where="sostenuto explain",
            got=script,
            wanted="a Python file, or a code such as SO103",
            fix="check the spelling and the current folder",
        )
    for wanted in (json, html):
        _check_writable(wanted)
    from sostenuto.explaining.running import run_script
    from sostenuto.explaining.showing import show

    leave_the_choice()
    report = run_script(script, arguments)
    show(report, console)
    if json is not None:
        json.write_text(json_files.dumps(report.to_dict(), indent=1) + "\n")
    if html is not None:
        from sostenuto.explaining.html import write

        write(report, html, title=Path(script).name)
        console.print(f"\nwritten: {html}", style="dim")
    if os.environ.get("SOSTENUTO_RULE_FAILURES"):
        for code, error in report.failures:
            print(f"{code}: {type(error).__name__}: {error}", file=sys.stderr)
    return report.exit or 0


def _print_page(code: str, console: Console) -> int:
    try:
        found = page(code)
    except KeyError:
        digits = code.upper()[:2] + code.upper()[2:].translate(str.maketrans("OIL", "011"))
        near = [digits] if digits in rules() else nearest(code, rules()) or sorted(rules())
        sys.stderr.write(f"There is no code {code!r}; near ones:\n")
        sys.stderr.writelines(f"  {name}  {rules()[name].title}\n" for name in near)
        return ERROR_STATUS
    print(found)
    return 0


def _check_writable(path: Path | None) -> None:
    # Before the script runs, which may take hours.
    if path is None:
        return
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ModelError(
            "The result of 'sostenuto explain' cannot be written.",
            code="SO802",
            where=str(path),
            got="a folder" if path.is_dir() else "a folder that is not there, or that allows no writing",
            wanted="a new file, or one to write over",
            fix="name another place",
        )
