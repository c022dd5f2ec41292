"""Random ragged data for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

DTYPES = ("float16", "float32", "float64", "int8", "int32", "int64", "uint16")


@st.composite
def ragged(draw: st.DrawFn, least: int = 0, longest: int = 6, dtypes: tuple[str, ...] = DTYPES) -> list[np.ndarray]:
    """A list of 1 to 6 arrays (T, F) of one dtype and F, lengths from ``least`` on."""
    lengths = draw(st.lists(st.integers(least, longest), min_size=1, max_size=6))
    width = draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(dtypes))
    return [random.integers(0, 100, (length, width)).astype(dtype) for length in lengths]
