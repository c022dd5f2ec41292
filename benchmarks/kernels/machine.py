"""What the figures were measured on: without it they say little."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

PACKAGES = ("keras", "torch", "jax", "tensorflow-cpu", "onnxruntime", "numpy")


def machine() -> str:
    """The processor, with its family and model: virtual machines often name no more than the brand."""
    lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    known = {name.strip(): value.strip() for name, _, value in lines}
    name = known.get("model name", platform.machine())
    if "cpu family" not in known:  # not an x86 processor
        return name
    return f"{name} (family {known['cpu family']}, model {known['model']})"


def versions() -> dict[str, str]:
    """The version of each package that takes part."""
    known = {}
    for package in PACKAGES:
        try:
            known[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            known[package] = "not installed"
    return known
