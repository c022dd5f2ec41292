"""JAX compiles at every call of a layer outside jit; compiling less thoroughly makes these tests faster."""

from __future__ import annotations

import keras

if keras.backend.backend() == "jax":
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
