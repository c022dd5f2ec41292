"""NumPy arrays as bytes: little-endian, with dtype and sizes said beside them, and nothing that could run code."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sostenuto.diagnosis import shape_of
from sostenuto.errors import BackendError, StoreError
from sostenuto.stores.damage import corrupt

BFLOAT16 = 4
CODES: dict[str, int] = {
    "float16": 1, "float32": 2, "float64": 3, "bfloat16": BFLOAT16, "bool": 5,
    "int8": 16, "int16": 17, "int32": 18, "int64": 19,
    "uint8": 32, "uint16": 33, "uint32": 34, "uint64": 35,
}  # fmt: skip
_NAMES = {code: name for name, code in CODES.items()}
MOST_AXES = 32


@dataclass(frozen=True)
class Kind:
    """The dtype and the sizes of an array, as its description says."""

    code: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many bytes the array fills."""
        width = 2 if self.code == BFLOAT16 else np.dtype(_NAMES[self.code]).itemsize
        return width * math.prod(self.shape)

    def array(self, data: np.ndarray, rows: int) -> np.ndarray:
        """``data`` (B, size), bytes, as an array (B, ...) of this machine's byte order."""
        stored = np.dtype("<u2") if self.code == BFLOAT16 else np.dtype(_NAMES[self.code]).newbyteorder("<")
        # reshape first: a view cannot widen an axis of no bytes.
        numbers = np.frombuffer(data.tobytes(), stored).reshape(rows, *self.shape).astype(stored.newbyteorder("="))
        return numbers.view(_bfloat16()) if self.code == BFLOAT16 else numbers


def array_bytes(values: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """An array and its bytes, little-endian and in C order, as a flat array of uint8.

    Args:
        values: an array of a dtype in ``CODES``.
        what: what it is, for the message.

    Raises:
        StoreError: SO905, the dtype is another one.
    """
    array = np.asarray(values)
    code = _code(array.dtype)
    if code is None:
        raise StoreError(
            "A record cannot be written.",
            code="SO905",
            where=what,
            got=shape_of(array),
            wanted=f"one of {', '.join(CODES)}",
            fix="cast it, for instance with array.astype('float32')",
        )
    plain = array.view(np.uint16) if code == BFLOAT16 else array
    little = np.ascontiguousarray(plain, plain.dtype.newbyteorder("<"))
    return array, little.reshape(-1).view(np.uint8)


@cache
def _code(dtype: np.dtype) -> int | None:
    # NumPy puts the name of a dtype together anew each time it is asked, which for one record was half of the work.
    return CODES.get(dtype.name)


@cache
def describe(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Code of the dtype, number of axes, sizes: 1 + 1 + 4 bytes per axis.

    Example:
        >>> import numpy as np
        >>> describe(np.dtype("float32"), (64,)).hex(" ")
        '02 01 40 00 00 00'
    """
    return struct.pack(f"<BB{len(shape)}I", _code(dtype), len(shape), *shape)


def read_descriptions(data: bytes, number: int, where: str) -> list[Kind]:
    """The kinds of ``number`` arrays.

    Raises:
        StoreError: SO906, the bytes describe something else.
    """
    kinds: list[Kind] = []
    begin = 0
    while len(kinds) < number and begin + 2 <= len(data):
        code, axes = data[begin], data[begin + 1]
        end = begin + 2 + 4 * axes
        if code not in _NAMES or axes > MOST_AXES or end > len(data):
            raise corrupt(where, f"an array of kind {code} with {axes} axes")
        kinds.append(Kind(code, struct.unpack_from(f"<{axes}I", data, begin + 2)))
        begin = end
    if len(kinds) != number or begin != len(data):
        raise corrupt(where, f"{len(data):,} bytes that describe something else than {number:,} arrays")
    return kinds


def _bfloat16() -> np.dtype:
    try:
        import ml_dtypes
    except ImportError:
        raise BackendError(
            "NumPy cannot read bfloat16 alone.",
            code="SO703",
            where="the states of a store",
            got="no package ml_dtypes",
            wanted="ml_dtypes, which comes with JAX and TensorFlow",
            fix="pip install ml_dtypes",
        ) from None
    return np.dtype(ml_dtypes.bfloat16)
