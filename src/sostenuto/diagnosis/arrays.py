"""What rules ask of data: is there padding in it, gaps, columns that never change. Big arrays are looked at in part."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

# Numbers that are looked at in one array; more would make the diagnosis felt.
_MOST = 20_000_000


def as_array(value: Any) -> np.ndarray | None:
    """An array or tensor as one of NumPy, or None where it holds no numbers or is symbolic.

    Args:
        value: an array of NumPy, pandas, JAX, TensorFlow or torch; nothing else is converted.
    """
    if isinstance(value, np.ndarray):
        return value if value.dtype.kind in "biuf" else None
    if value is None or isinstance(value, str | bytes | list | tuple | dict):
        return None
    package = type(value).__module__.partition(".")[0]
    try:
        if package == "torch":
            return as_array(value.detach().cpu().numpy())
        if package in ("tensorflow", "pandas", "polars") and hasattr(value, "to_numpy"):
            return as_array(value.to_numpy())
        if package == "tensorflow" and hasattr(value, "numpy"):
            return as_array(value.numpy())
        if package in ("jax", "jaxlib") and not _is_traced(value):
            return as_array(np.asarray(value))
    # A tracer, a tensor of a graph or of another device: it has no numbers to look at now.
    except Exception:
        return None
    return None


def _is_traced(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def some_rows(array: np.ndarray) -> np.ndarray:
    """The array, or so many of its rows, evenly spread, that looking at them takes no time."""
    if array.size <= _MOST or not array.ndim:
        return array
    return array[:: -(-array.size // _MOST)]


def rows_of(value: Any) -> int | None:
    """The length of the first axis, or None."""
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape):
        return shape[0]
    return len(value) if isinstance(value, list | tuple) else None


@dataclass(frozen=True)
class Padding:
    """Runs of one value at an end of rows.

    Attributes:
        side: "post" or "pre".
        value: the number that fills them.
        rows: how many rows end (or begin) with a run.
        of: how many rows there are.
        longest: the longest run, in steps.
        shortest: the shortest length that is left.
        different: how many different lengths there are.
        example: a row with a run, and its length without it.
    """

    side: str
    value: float
    rows: int
    of: int
    longest: int
    shortest: int
    different: int
    example: tuple[int, int]


def padding_in(array: np.ndarray, value: float | None = None) -> Padding | None:
    """Looks for padding: rows that end, or begin, with runs of one value, of different lengths.

    Args:
        array: (B, T) or (B, T, F).
        value: that pads; by default 0, then -1, whichever runs at an end.

    Returns:
        What was found; None where rows are all of one length, or where the value is as common inside of the rows.
    """
    if array.ndim not in (2, 3) or array.shape[1] < 2 or not array.shape[0]:
        return None
    array = some_rows(array)
    for one in (0, -1) if value is None else (value,):
        filled = array == one if array.ndim == 2 else (array == one).all(axis=-1)
        for side in ("post", "pre"):
            runs = np.cumprod(filled[:, ::-1] if side == "post" else filled, axis=1).sum(axis=1)
            padded = np.flatnonzero(runs)
            lengths = filled.shape[1] - runs
            if not len(padded) or len(np.unique(lengths)) < 2:
                continue
            # Where the value turns up between real steps, a run at the end may be chance, and the value mean something.
            inside = (filled.sum() - runs.sum()) / max(lengths.sum(), 1)
            if inside > 0.2 or (inside and runs[padded].mean() < 1.5 / (1 - inside)):
                continue
            row = int(padded[0])
            return Padding(
                side,
                float(one),
                len(padded),
                len(runs),
                int(runs.max()),
                int(lengths.min()),
                len(np.unique(lengths)),
                (row, int(lengths[row])),
            )
    return None
