"""Tracebacks as people want them: their own frames, and the one that raised."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from sostenuto.diagnosis.source import is_users


def shortened(error: BaseException) -> None:
    """Takes the frames of libraries out of an exception's traceback, but for the last; those of its causes too.

    Keras does so by itself; under a watch it does not, because rules read what those frames hold.

    Args:
        error: the exception; changed in place.
    """
    known: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in known:
        known.add(id(one))
        one.__traceback__ = _kept(one.__traceback__)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _kept(begun: TracebackType | None) -> TracebackType | None:
    steps = []
    while begun is not None:
        steps.append(begun)
        begun = begun.tb_next
    if not any(is_users(step.tb_frame.f_code.co_filename) for step in steps):
        return steps[0] if steps else None
    following: TracebackType | None = None
    for step in reversed(steps):
        if step is steps[-1] or is_users(step.tb_frame.f_code.co_filename):
            following = TracebackType(following, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return following


def print_traceback(error: BaseException) -> None:
    """Prints an exception as Python does, without frames of libraries but for the last.

    Args:
        error: with its traceback.
    """
    shortened(error)
    sys.stderr.write("".join(traceback.format_exception(error)))
    sys.stderr.flush()
