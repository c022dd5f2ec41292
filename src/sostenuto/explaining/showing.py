"""A report on a terminal: colour where people look at it, plain text where a program reads it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from sostenuto.diagnosis.finding import Finding, Report
from sostenuto.diagnosis.wording import count

_COLOURS = {"got": "red", "wanted": "green", "fix": "bold cyan"}


def show(report: Report, console: Console) -> None:
    """Prints all findings.

    Args:
        report: what was found. Nothing is printed where it is empty.
        console: where to.
    """
    if not report:
        return
    silent = sum(one.kind == "silent" for one in report)
    for number, finding in enumerate(report):
        console.print()
        # Errors come first.
        if silent and number == len(report) - silent:
            also = "also " if number else ""
            console.print(Text(f"Sostenuto {also}found {count(silent, 'mistake')} that raised nothing.\n"))
        console.print(_text(finding), soft_wrap=True)


def _text(finding: Finding) -> Text:
    first, *rest = str(finding).splitlines()
    text = Text(first, style="bold red" if finding.kind == "error" else "bold yellow")
    name = ""
    for line in rest:
        name = line[2:10].strip() or name
        text.append("\n" + line[:10], style="dim")
        text.append(line[10:], style=_COLOURS.get(name, "dim" if name == "more" else ""))
    return text
