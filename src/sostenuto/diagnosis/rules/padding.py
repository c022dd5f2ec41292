"""Padding: what happens to sequences on their way into a rectangle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Padded
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.wording import count

SO222 = rule(
    "SO222",
    "Padding cuts floats to whole numbers",
    """keras.utils.pad_sequences makes integers (dtype='int32') unless told otherwise: everything behind the decimal
    point is cut off without a word. Readings between 0 and 1 all become 0, and the model learns from nothing.""",
    """Pass dtype='float32' to pad_sequences. Sequences.from_list keeps the dtype by itself, and needs no padding.""",
    example="""
import keras
x = keras.utils.pad_sequences([[0.2, 0.7, 0.9], [0.4]], padding="post")
""",
    repaired="""
import keras
x = keras.utils.pad_sequences([[0.2, 0.7, 0.9], [0.4]], padding="post", dtype="float32")
""",
)


@SO222.on(Padded)
def floats_cut(event: Padded, seen: Seen) -> Evidence | None:
    """Looks for fractions among what was padded to integers."""
    dtype = np.dtype(getattr(event.result, "dtype", "float32"))
    if event.function != "pad_sequences" or dtype.kind not in "iu":
        return None
    values = lost = 0
    example: Any = None
    for sequence in _floats(event.sequences):
        parts = sequence != np.trunc(sequence)
        values += sequence.size
        lost += int(parts.sum())
        if example is None and parts.any():
            example = sequence[parts][0]
    if not lost:
        return None
    source = event.place.expression if event.place else ""
    return Evidence(
        got=f"{lost:,} of {count(values, 'number')} with a fraction, padded to {dtype.name}:\n"
        f"{example:.4g} became {int(example)}; the result runs from {event.result.min()} to {event.result.max()}",
        wanted="floats: dtype='float32'",
        cause=f"pad_sequences makes integers unless told otherwise (its default is dtype='int32'), and cuts\n"
        f"every fraction off without a word{_nothing_left(event.result)}.",
        fix=with_keyword(source or "keras.utils.pad_sequences(...)", "dtype", "'float32'"),
    )


def _nothing_left(result: np.ndarray) -> str:
    return "; all that the model will see is 0" if not result.any() else ""


def _floats(sequences: Any) -> Iterator[np.ndarray]:
    for sequence in sequences:
        array = np.asarray(sequence)
        if array.dtype.kind == "f":
            yield array
