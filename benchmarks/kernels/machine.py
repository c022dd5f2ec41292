"""What the figures were measured on: without it they say little."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

PACKAGES = ("keras", "torch", "jax", "tensorflow-cpu", "onnxruntime", "numpy")


def machine() -> str:
    """The processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def versions() -> dict[str, str]:
    """The version of each package that takes part."""
    known = {}
    for package in PACKAGES:
        try:
            known[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            known[package] = "not installed"
    return known
