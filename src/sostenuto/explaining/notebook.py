"""An exception explained after it happened, and a notebook in which every one is."""

from __future__ import annotations

import sys
from typing import Any

from sostenuto.diagnosis.finding import Report
from sostenuto.explaining.tracebacks import shortened
from sostenuto.explaining.watching import Watch

_shells: dict[int, Watch] = {}


def explain(error: BaseException | None = None) -> Report:
    """Explains an exception; by default the last one, also in the ``except`` block that caught it.

    What led to it was not watched, so there is less to go by than in ``with so.watch():`` or after
    ``%load_ext sostenuto``; where that leaves doubt, the finding says so.

    Args:
        error: the exception, with its traceback.

    Returns:
        The findings; printed in a notebook. Empty where there was no exception, or where it concerns no sequences.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> try:
        ...     x = np.array([[4, 8, 1], [7, 2]])
        ... except ValueError:
        ...     report = so.explain()
        >>> len(report)
        1
    """
    error = error or sys.exc_info()[1] or getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if error is None:
        return Report()
    watch = next(iter(_shells.values()), None) or Watch()
    return Report(watch.failed(error), failures=watch.seen.failures)


def load(shell: Any) -> None:
    """Watches a notebook from here on, and explains each of its exceptions below the traceback.

    Args:
        shell: of IPython.
    """
    if id(shell) in _shells:
        return
    watch = _shells[id(shell)] = Watch()
    watch.start()

    def explained(
        shell: Any, kind: type[BaseException], error: BaseException, traceback: Any, tb_offset: Any = None
    ) -> None:
        found = explain(error)
        if watch.shortens:
            shortened(error)
        shell.showtraceback((kind, error, error.__traceback__), tb_offset=tb_offset)
        if found:
            print(f"\n{found}")

    def silent(result: Any) -> None:
        new = watch.seen.findings[watch.told :]
        watch.told = len(watch.seen.findings)
        for finding in new:
            if finding.kind == "silent":
                print(f"\n{finding}")

    shell.set_custom_exc((Exception,), explained)
    shell.events.register("post_run_cell", silent)
    watch.forget = lambda: shell.events.unregister("post_run_cell", silent)


def unload(shell: Any) -> None:
    """Leaves a notebook alone again.

    Args:
        shell: of IPython.
    """
    watch = _shells.pop(id(shell), None)
    if watch is not None:
        watch.stop()
        watch.forget()
        shell.set_custom_exc((), None)
