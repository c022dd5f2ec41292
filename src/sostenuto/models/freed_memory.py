"""Freed memory stays with the process while a model trains, where glibc would give it back after every batch.

Each batch frees what the next one asks for, and fresh pages are dear: design/0017.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Parameters of mallopt(3).
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
MEBIBYTE = 2**20
# What glibc itself arrives at once large blocks were freed; it does not say what its numbers were.
AFTERWARDS = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 * MEBIBYTE, TRIM_THRESHOLD: 64 * MEBIBYTE}
# Who says how memory is to be managed has had reasons.
SETTINGS = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")

_lock = threading.Lock()
_inside = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within it, memory that is freed is not given back to the system; at its end all of it is.

    Does nothing without glibc, and where the environment sets up malloc (``MALLOC_...``, ``GLIBC_TUNABLES``) or another
    library in its place (``LD_PRELOAD``).

    Example:
        >>> with freed_memory_kept():
        ...     blocks = [bytes(2**25) for _ in range(3)]
    """
    global _inside
    glibc = None if any(name.startswith(SETTINGS) for name in os.environ) else _glibc()
    if glibc is None:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            # Blocks from mmap would go back one by one.
            glibc.mallopt(MMAP_MAX, 0)
            glibc.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for parameter, value in AFTERWARDS.items():
                    glibc.mallopt(parameter, value)
                glibc.malloc_trim(0)


@cache
def _glibc() -> Any:
    process = ctypes.CDLL(None) if os.name == "posix" else None
    return process if hasattr(process, "gnu_get_libc_version") else None
