"""A report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, "Segoe UI", "Liberation Sans", sans-serif; color: #222;
  background: #f5f3ef; margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 2rem 4rem; background: white; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; color: #22577a; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .7rem; color: #22577a; }
p.lead { font-size: 1.05rem; color: #555; margin: 0 0 1.8rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 0 0 1rem; }
.figures div { flex: 1 1 9rem; background: #f5f3ef; border-left: 4px solid #e07a3f; padding: .7rem 1rem; }
.figures b { display: block; font-size: 1.6rem; font-weight: 600; line-height: 1.25; color: #22577a; }
.figures span { font-size: .9rem; color: #555; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid #e6e2da; }
thead th { border-bottom: 2px solid #22577a; font-weight: 600; }
tbody th { font-weight: 400; color: #555; width: 14rem; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: 1rem 0 1.6rem; }
img { max-width: 100%; max-height: 36rem; width: auto; height: auto; display: block; margin: 0 auto; }
figcaption { color: #555; font-size: .92rem; margin-top: .5rem; }
pre { background: #f5f3ef; padding: .9rem 1rem; overflow-x: auto; font-size: .88rem; line-height: 1.45;
  white-space: pre-wrap; }
footer { margin-top: 3rem; color: #777; font-size: .88rem; }
@media print { body { background: white; } main { padding: 0; } }
"""


class Report:
    """One page, put together from top to bottom and then written.

    Args:
        title: the heading.
        lead: one or two sentences below it.

    Example:
        >>> report = Report("Engines", "What 100 engines taught.")
        >>> report.table("Results", {"RMSE": "12.3"})
        >>> "<th>RMSE</th><td>12.3</td>" in report.html()
        True
    """

    def __init__(self, title: str, lead: str) -> None:
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1>", f'<p class="lead">{escape(lead)}</p>']

    def figures(self, figures: Mapping[str, str]) -> None:
        """Adds the main figures, large, each under a word or two."""
        boxes = (f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in figures.items())
        self._parts.append(f'<div class="figures">{"".join(boxes)}</div>')

    def text(self, heading: str, text: str) -> None:
        """Adds a paragraph."""
        self._parts.append(f"<h2>{escape(heading)}</h2><p>{escape(text)}</p>")

    def table(self, heading: str, rows: Mapping[str, str | Sequence[str]], columns: Sequence[str] = ()) -> None:
        """Adds a table.

        Args:
            heading: its heading.
            rows: one value or several for each name.
            columns: headings of the columns, that of the names first.
        """
        head = f"<thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in columns)}</tr></thead>" if columns else ""
        body = []
        for name, values in rows.items():
            cells = [values] if isinstance(values, str) else values
            body.append(f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
        table = f"<table>{head}<tbody>{''.join(body)}</tbody></table>"
        self._parts.append(f'<h2>{escape(heading)}</h2><div class="wide">{table}</div>')

    def picture(self, heading: str, path: Path, caption: str) -> None:
        """Adds a picture of PNG, held in the page itself.

        Args:
            heading: its heading.
            path: the file.
            caption: what it shows, also for those who cannot see it.
        """
        self._image(heading, path.read_bytes(), caption)

    def figure(self, heading: str, figure: Any, caption: str) -> None:
        """Adds a figure of matplotlib.

        Args:
            heading: its heading.
            figure: the figure.
            caption: what it shows, also for those who cannot see it.
        """
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=150)
        self._image(heading, image.getvalue(), caption)

    def _image(self, heading: str, png: bytes, caption: str) -> None:
        data = base64.b64encode(png).decode("ascii")
        self._parts.append(
            f'<h2>{escape(heading)}</h2><figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def code(self, heading: str, text: str) -> None:
        """Adds text as it is typed or printed."""
        self._parts.append(f"<h2>{escape(heading)}</h2><pre>{escape(text)}</pre>")

    def html(self, footer: str = "") -> str:
        """The page.

        Args:
            footer: the last line.
        """
        closing = f"<footer>{escape(footer)}</footer>" if footer else ""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self._title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
            + "\n".join([*self._parts, closing])
            + "\n</main>\n</body>\n</html>\n"
        )

    def save(self, path: Path, footer: str = "") -> None:
        """Writes the page.

        Args:
            path: the file.
            footer: the last line.
        """
        path.write_text(self.html(footer), encoding="utf-8")
