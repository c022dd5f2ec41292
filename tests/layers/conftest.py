"""Tests with each of the kernels that know a cell; and less thorough compiling on JAX, which makes them faster."""

from __future__ import annotations

import keras
import pytest

from sostenuto.kernels import native, native_module

if keras.backend.backend() == "jax":
    # It compiles at every call of a layer outside jit.
    import jax

    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(params=["native", "portable"])
def kernel(request, monkeypatch):
    """The name of the kernel that runs layers of ordinary activations; a test that asks for it runs with both."""
    if request.param == "portable":
        monkeypatch.setattr(native, "_absence", ["a test does without it"])
    elif native_module.why_not() is not None:
        pytest.skip(f"no native module: {native_module.why_not()}")
    return request.param
