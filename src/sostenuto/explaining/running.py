"""Runs somebody's script as Python would, with a watch around it."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from sostenuto.diagnosis.finding import Report
from sostenuto.explaining.tracebacks import print_traceback
from sostenuto.explaining.watching import Watch


def run_script(script: str | os.PathLike[str], arguments: Sequence[str] = ()) -> Report:
    """Runs a script to its end and says what was found on the way.

    Its output, its exit status and its results are those of ``python script``; a traceback is printed as Python prints
    it, without the frames of libraries between the user's line and the place that raised.

    Args:
        script: path of the file.
        arguments: what it finds in ``sys.argv[1:]``.

    Returns:
        The findings, with ``exit``, the status.

    Raises:
        OSError: the file can't be read.
    """
    path = Path(script)
    with io.open_code(str(path)) as file:
        text = file.read()
    module = ModuleType("__main__")
    module.__file__ = str(path)
    module.__dict__["__builtins__"] = __builtins__
    before = sys.argv, sys.path[:], sys.modules["__main__"]
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules["__main__"] = module
    watch = Watch()
    watch.start()
    status = 0
    try:
        status = _run(text, module, watch)
    finally:
        watch.stop()
        sys.argv, sys.path[:], sys.modules["__main__"] = before
    watch.ended(module.__dict__)
    return watch.seen.report(status, watch.flow)


def _run(text: bytes, module: ModuleType, watch: Watch) -> int:
    try:
        code = compile(text, str(module.__file__), "exec")
    except (SyntaxError, ValueError) as error:
        sys.stderr.write("".join(traceback.format_exception_only(error)))
        return 1
    try:
        exec(code, module.__dict__)
    except SystemExit as end:
        return _status_of(end)
    except KeyboardInterrupt:
        print("KeyboardInterrupt", file=sys.stderr)
        return 130
    except Exception as error:
        sys.stdout.flush()
        watch.failed(error)
        print_traceback(error)
        return 1
    return 0


def _status_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    print(end.code, file=sys.stderr)
    return 1
