"""Runs scripts under a watch within this process, as `sostenuto explain` does in one of its own."""

from __future__ import annotations

import contextlib
import gc
import io
import linecache
import os
import sys
import warnings
from pathlib import Path

import keras

from sostenuto.diagnosis import Report
from sostenuto.explaining.running import run_script

# Where programs run that are the same on every backend: torch compiles nothing, so small ones take a third of the time.
HOME = "torch"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases"


def run(script: Path) -> tuple[Report, str, str]:
    """The report on a script, what it printed, and what it wrote to stderr."""
    output, errors = io.StringIO(), io.StringIO()
    # Scripts of one name follow one another; lines of an earlier one must not be shown for this one.
    linecache.clearcache()
    before = Path.cwd()
    keras.utils.clear_session()
    with warnings.catch_warnings(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        warnings.simplefilter("ignore")
        os.chdir(script.parent)
        try:
            report = run_script(script.name)
        finally:
            os.chdir(before)
            plt = sys.modules.get("matplotlib.pyplot")
            if plt is not None:
                plt.close("all")
    gc.collect()
    # The frameworks' own objects, a million of them, need not be looked through after every script: a second each time.
    gc.freeze()
    if report.failures:
        raise AssertionError(f"rules failed: {report.failures}") from report.failures[0][1]
    return report, output.getvalue(), errors.getvalue()


def run_text(text: str, folder: Path) -> tuple[Report, str, str]:
    """The same for the text of a script."""
    script = folder / "script.py"
    script.write_text(text)
    return run(script)
