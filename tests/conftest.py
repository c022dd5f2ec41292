"""Set-up of all tests: which of them need a backend, threads, hypothesis profiles, a seeded generator."""

from __future__ import annotations

import gc
import os
from pathlib import Path

# Small batches run faster on few threads, and two backends are often tested side by side. Backends read these when
# they are first imported, hence before anything else; a value set by the caller stays.
for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_name, "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

ROOT = Path(__file__).resolve().parents[1]
BACKEND_FOLDERS = [ROOT / "tests" / name for name in ("kernels", "layers", "models", "sessions", "examples", "cli")]
BACKEND_FOLDERS += [
    ROOT / "src" / "sostenuto" / name for name in ("cells", "kernels", "layers", "models", "sessions", "cli")
]
# Examples in docstrings that call it.
OF_THE_NATIVE_MODULE = {"sostenuto.kernels.adapters.jax.recurrence"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "plain: plain NumPy in a folder whose tests need a backend; runs once")
    # Keras hands NumPy its own tensors (NumPy 2 wants a copy= keyword there).
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation:DeprecationWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parents for folder in BACKEND_FOLDERS) and not item.get_closest_marker("plain"):
            item.add_marker("backend")
        if item.name in OF_THE_NATIVE_MODULE:
            from sostenuto.kernels import native_module

            absent = native_module.load() is None
            item.add_marker(pytest.mark.skipif(absent, reason=f"no native module: {native_module.why_not()}"))


def pytest_collection_finish() -> None:
    # The frameworks' own objects, a million of them, live to the end: not looked through again at every collection.
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts alike in every test."""
    return np.random.default_rng(0)
