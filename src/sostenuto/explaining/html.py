"""Pages that need no other file: what was found, layers with named axes between them, the batch as rows and steps."""

from __future__ import annotations

import itertools
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sostenuto.diagnosis import Finding, Report, rules
from sostenuto.explaining.flow import MASKED, PADDED, REAL, ROWS, STEPS, Raster
from sostenuto.explaining.passages import Passage, worded

if TYPE_CHECKING:
    from sostenuto.explaining.tracing import Trace

_STYLE = """
:root { --paper: #ffffff; --ink: #1b2430; --soft: #64707d; --line: #d9dee4; --back: #f5f6f8; --real: #2f6f9f;
  --padded: #e2a23b; --masked: #d4dae1; --bad: #c2372e; --good: #27794b; --code: #eef1f4; }
@media (prefers-color-scheme: dark) { :root { --paper: #1c222a; --ink: #e6eaef; --soft: #98a4b1; --line: #39434e;
  --back: #14191f; --real: #6cb0e0; --padded: #e2a23b; --masked: #3d4853; --bad: #f0766c; --good: #6cc492;
  --code: #28313b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 32px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 34px 0 12px; }
.lead { color: var(--soft); margin: 0 0 22px; }
.card { background: var(--paper); border: 1px solid var(--line); border-left: 5px solid var(--bad); border-radius: 8px;
  padding: 18px 22px; margin: 0 0 18px; }
.card.silent { border-left-color: var(--padded); } .card h3 { margin: 0 0 4px; font-size: 18px; }
.where { font: 14px/1.5 ui-monospace, Menlo, Consolas, monospace; color: var(--soft); overflow-wrap: anywhere; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; margin: 14px 0; }
.side { background: var(--code); border-radius: 6px; padding: 10px 14px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.side b { display: block; font-size: 13px; } .got b { color: var(--bad); } .wanted b { color: var(--good); }
.cause { margin: 0 0 12px; } .unsure { color: var(--soft); }
pre { background: var(--code); border-radius: 6px; padding: 12px 14px; margin: 0; overflow-x: auto;
  font: 14px/1.5 ui-monospace, Menlo, Consolas, monospace; }
details { margin-top: 12px; color: var(--soft); } summary { cursor: pointer; } details p { white-space: pre-line; }
.flow { display: flex; gap: 36px; flex-wrap: wrap; align-items: flex-start; }
.column { min-width: 330px; flex: 0 1 440px; }
.axes { font: 13px/1.4 ui-monospace, Menlo, Consolas, monospace; color: var(--soft); padding: 5px 0 5px 26px;
  border-left: 3px solid var(--line); margin-left: 22px; }
.axes.bad { border-left-color: var(--bad); color: var(--bad); font-weight: 600; }
.layer { background: var(--paper); border: 1px solid var(--line); border-radius: 7px; padding: 8px 14px; display: flex;
  justify-content: space-between; gap: 14px; align-items: baseline; }
.layer.bad { border: 2px solid var(--bad); } .layer small { color: var(--soft); text-align: right; }
.fixed { margin: 6px 0 6px 48px; } .fixed b { color: var(--good); font-size: 13px; }
.raster { flex: 1 1 420px; min-width: 300px; } .raster svg { width: 100%; height: auto; display: block; }
.legend { display: flex; gap: 18px; flex-wrap: wrap; font-size: 14px; color: var(--soft); margin-top: 8px; }
.legend i { display: inline-block; width: 13px; height: 13px; border-radius: 3px; margin-right: 6px;
  vertical-align: -2px; }
@media (max-width: 640px) { .sides { grid-template-columns: 1fr; } }
"""


def write(report: Report, path: str | os.PathLike[str], title: str) -> None:
    """Writes the page of a report.

    Args:
        report: what was found.
        path: of the page.
        title: what was looked at, for instance the script's name.
    """
    flow = report.flow
    body = [f"<h1>{escape(title)}, explained</h1>", f'<p class="lead">{_lead(report)}</p>']
    body += [_card(one) for one in report]
    if flow is not None and flow.passages:
        column = _column(flow.passages, report, flow.broken)
        body.append(f'<h2>How a batch flows</h2><div class="flow">{column}{_raster(flow.raster)}</div>')
    Path(path).write_text(_page(f"{title}, explained", body), encoding="utf-8")


def write_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Writes the page of a trace.

    Args:
        trace: what flowed.
        path: of the page.
    """
    body = [f"<h1>How a batch flows through {escape(trace.model)}</h1>", _flow_of(trace)]
    Path(path).write_text(_page(trace.model, body), encoding="utf-8")


def trace_picture(trace: Trace) -> str:
    """The picture of a trace for a notebook."""
    return f"<style>{_STYLE}</style>{_flow_of(trace)}"


def _flow_of(trace: Trace) -> str:
    raster = None
    if trace.real is not None:
        cells = np.where(trace.real, REAL, MASKED).astype(np.uint8)[:ROWS, :STEPS]
        raster = Raster(cells, len(cells), any("kept from" in one.states for one in trace), "the batch")
    return f'<div class="flow">{_column(trace.passages, Report(), "")}{_raster(raster)}</div>'


def _page(title: str, body: list[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _lead(report: Report) -> str:
    if not report:
        return "Nothing was found that looks wrong."
    errors = sum(one.kind == "error" for one in report)
    silent = len(report) - errors
    parts: list[str] = []
    if errors:
        parts.append(
            "It stopped with an error, and this is why." if errors == 1 else f"{errors} readings of its error."
        )
    if silent:
        parts.append(f"It ran, and {silent} thing{'s' * (silent > 1)} went wrong without a word.")
    return " ".join(parts)


def _card(finding: Finding) -> str:
    known = rules().get(finding.code)
    page = ""
    if known is not None:
        page = (
            f"<details><summary>{finding.code}: {escape(known.title)}</summary>"
            f"<p>{escape(known.meaning)}\n\n{escape(known.fix)}</p></details>"
        )
    unsure = f'<p class="unsure">Not sure: {escape(finding.unsure)}</p>' if finding.unsure else ""
    return (
        f'<section class="card {finding.kind}"><h3>{escape(finding.title)}</h3>'
        f'<div class="where">{escape(finding.where)}</div>'
        f'<div class="sides"><div class="side got"><b>got</b>{escape(finding.got)}</div>'
        f'<div class="side wanted"><b>wanted</b>{escape(finding.wanted)}</div></div>'
        f'<p class="cause">{escape(finding.cause)}</p>{unsure}<pre>{escape(finding.fix)}</pre>{page}</section>'
    )


# --- the layers as a column ------------------------------------------------------------------------------------------


def _column(passages: Any, report: Report, broken: str) -> str:
    names = {name: one for one in report for name in one.boundary[-1:]}
    parts: list[str] = []
    last = above = ""
    for passage in passages:
        finding = names.get(passage.layer)
        bad = finding is not None or passage.layer == broken
        text = worded(passage.reads, passage.axes)
        # A layer mostly reads what the one before returned: said once.
        if text != last or bad:
            if last and text == last:
                parts.pop()
            for line in _read(passage, text, above):
                parts.append(f'<div class="axes{" bad" * bad}">{escape(line)}</div>')
        if bad:
            fix = finding or next((one for one in report if one.kind == "error"), None)
            if fix is not None:
                parts.append(f'<div class="fixed"><b>wanted</b> {escape(fix.wanted)}<pre>{escape(fix.fix)}</pre></div>')
        parts.append(_layer(passage, bad))
        last, above = worded(passage.returns, passage.axes_returned), passage.layer
        if last:
            parts.append(f'<div class="axes">{escape(last)}</div>')
    return f'<div class="column">{"".join(parts)}</div>'


def _read(passage: Passage, text: str, above: str) -> list[str]:
    # Layers stand in one column, also where the flow branches: what does not come from above says where from.
    if not passage.sources or set(passage.sources) <= {above} or not above:
        return [text]
    return [
        f"{worded([shape], [axes])}  from {source}"
        for shape, axes, source in zip(passage.reads, passage.axes, passage.sources, strict=True)
    ]


def _layer(passage: Passage, bad: bool) -> str:
    notes = [passage.states, "" if passage.mask == "none" else f"mask: {passage.mask}"]
    if passage.real is not None:
        notes.append(f"{passage.real} of {passage.steps} steps real")
    note = "<br>".join(escape(one) for one in notes if one)
    return f'<div class="layer{" bad" * bad}"><span>{escape(passage.layer)}</span><small>{note}</small></div>'


# --- the batch as rows and steps -------------------------------------------------------------------------------------

_COLOURS = {REAL: "var(--real)", PADDED: "var(--padded)", MASKED: "var(--masked)"}
_WORDS = {REAL: "real steps", PADDED: "padding, read as if it were real", MASKED: "masked: not read"}


def _raster(raster: Raster | None) -> str:
    if raster is None:
        return ""
    rows, steps = raster.cells.shape
    width, left, top = 640.0, 34.0, 20.0
    cell = min(18.0, (width - left) / max(steps, 1))
    height = min(cell, 14.0)
    parts: list[str] = []
    for row in range(rows):
        # A gap between batches; in a stateful one the state of a row goes on below it.
        y = top + row * height + (row // raster.batch) * 6
        for begin, end, kind in _runs(raster.cells[row]):
            parts.append(
                f'<rect x="{left + begin * cell:.1f}" y="{y:.1f}" width="{(end - begin) * cell - 0.6:.1f}" '
                f'height="{height - 1:.1f}" rx="1.5" fill="{_COLOURS[kind]}"/>'
            )
        carried = raster.stateful and row >= raster.batch
        mark = "→" if carried else "0"
        parts.append(
            f'<text x="{left - 8}" y="{y + height - 2.5:.1f}" text-anchor="end" font-size="{min(height, 11):.0f}" '
            f'fill="var(--soft)">{mark}</text>'
        )
    full = top + rows * height + (rows - 1) // raster.batch * 6 + 6
    legend = "".join(
        f'<span><i style="background:{_COLOURS[kind]}"></i>{_WORDS[kind]}</span>'
        for kind in (REAL, PADDED, MASKED)
        if (raster.cells == kind).any()
    )
    states = (
        "<span>0 state begins at zero</span>" + "<span>→ state carried from the batch before</span>" * raster.stateful
    )
    return (
        f'<div class="raster"><svg viewBox="0 0 {max(left + steps * cell, width / 2):.0f} {full:.0f}" role="img" '
        f'style="max-width:{left + steps * cell:.0f}px">'
        f'<text x="{left}" y="12" font-size="12" fill="var(--soft)">{escape(raster.name)}: '
        f"{rows} rows, {steps} steps →</text>{''.join(parts)}</svg>"
        f'<div class="legend">{legend}{states}</div></div>'
    )


def _runs(row: np.ndarray) -> list[tuple[int, int, int]]:
    # (first step, step behind the last, kind)
    edges = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
    return [(begin, end, int(row[begin])) for begin, end in itertools.pairwise(edges) if end > begin]
