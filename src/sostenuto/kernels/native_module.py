"""The native module (C++): whether it is there, why not, and what the environment asks of it.

SOSTENUTO_NATIVE=0 switches it off; SOSTENUTO_THREADS sets the number of its threads, SOSTENUTO_TARGET its instruction
set.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from sostenuto.errors import BackendError

# Raise it with every change of what Python and the module say to each other. The build takes it from this line, so a
# module that was built before the change is told from one that was built after it.
INTERFACE = 4

NAME = "sostenuto._native"
TARGETS = ("avx512", "avx2", "generic")

_MOST_THREADS = 1024


def load() -> Any:
    """The native module, set up as the environment asks; the first call warns if it is wanted and missing.

    Returns:
        The module ``sostenuto._native``, or None; ``why_not`` then tells the reason.

    Raises:
        BackendError: SOSTENUTO_NATIVE, SOSTENUTO_THREADS or SOSTENUTO_TARGET asks for what cannot be meant.

    Example:
        >>> module = load()
        >>> module is None or module.target() in TARGETS
        True
    """
    return _outcome()[0]


def why_not() -> str | None:
    """Why there is no native module, or None if there is one.

    Example:
        >>> (why_not() is None) == (load() is not None)
        True
    """
    return _outcome()[1]


@cache
def _outcome() -> tuple[Any, str | None]:
    wanted, threads, target = _wanted(), _threads(), _target()
    if not wanted:
        return None, "SOSTENUTO_NATIVE=0 is set"
    module, reason = _find()
    if reason is not None:
        warnings.warn(
            f"Sostenuto does without its native kernels, which is slower: {reason}. To have them: {_rebuild()}. "
            "To do without them in silence: SOSTENUTO_NATIVE=0.",
            RuntimeWarning,
            stacklevel=3,
        )
        return None, reason
    if threads is not None:
        module.set_threads(threads)
    if target is not None and not module.set_target(target):
        before = module.target()
        here = [name for name in TARGETS if module.set_target(name)]
        module.set_target(before)
        raise _cannot("SOSTENUTO_TARGET", target, f"what this processor and this build have: {', '.join(here)}")
    return module, None


def _find() -> tuple[Any, str | None]:
    if importlib.util.find_spec(NAME) is None:
        return None, "the native module was not built (no C++ compiler when Sostenuto was installed?)"
    try:
        module = importlib.import_module(NAME)
    except Exception as error:  # whatever stops it, the portable kernels run
        return None, f"its import failed: {error}"
    built = getattr(module, "interface", None)
    if built != INTERFACE:
        return None, f"the native module was built from other sources (its interface is {built}, wanted is {INTERFACE})"
    return module, None


def _rebuild() -> str:
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "native" / "CMakeLists.txt").is_file():
        return f"run 'make native' in {checkout}"
    return "pip install --force-reinstall --no-cache-dir --no-deps sostenuto, with a C++ compiler (GCC or Clang)"


def _wanted() -> bool:
    value = os.environ.get("SOSTENUTO_NATIVE") or "1"
    if value not in ("0", "1"):
        raise _cannot("SOSTENUTO_NATIVE", value, "0 (off) or 1 (on)")
    return value == "1"


def _threads() -> int | None:
    value = os.environ.get("SOSTENUTO_THREADS")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and 0 < int(value) <= _MOST_THREADS):
        raise _cannot("SOSTENUTO_THREADS", value, f"a whole number from 1 to {_MOST_THREADS}")
    return int(value)


def _target() -> str | None:
    value = os.environ.get("SOSTENUTO_TARGET")
    if not value:
        return None
    if value not in TARGETS:
        raise _cannot("SOSTENUTO_TARGET", value, f"one of {', '.join(TARGETS)}")
    return value


def _cannot(name: str, value: str, wanted: str) -> BackendError:
    return BackendError(
        "The native kernels cannot run as the environment asks.",
        code="SO704",
        where=f"environment variable {name}",
        got=repr(value),
        wanted=wanted,
        fix=f"set {name} so, or unset it",
    )
