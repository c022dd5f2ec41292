"""Padding: what happens to sequences on their way into a rectangle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Padded
from sostenuto.diagnosis.rules.container_views import masking_line, uses_layer
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


_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional")

# Words of programs that tell a model where padding is, in a way of their own.
_DEALT_WITH = ("mask", "not_equal", "ragged", "sample_weight", "sostenuto")


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
    fix = with_keyword(source or "keras.utils.pad_sequences(...)", "dtype", "'float32'")
    # One run mends both: as floats, the padding would be found to be read as data next.
    if _read_unmasked(event):
        fix += f"\n{masking_line(str(float(event.options.get('value') or 0)))}"
    return Evidence(
        got=f"{lost:,} of {count(values, 'number')} with a fraction, padded to {dtype.name}:\n"
        f"{example:.4g} became {int(example)}; the result runs from {event.result.min()} to {event.result.max()}",
        wanted="floats: dtype='float32'",
        cause=f"pad_sequences makes integers unless told otherwise (its default is dtype='int32'), and cuts\n"
        f"every fraction off without a word{_nothing_left(event.result)}.",
        fix=fix,
    )


def _read_unmasked(event: Padded) -> bool:
    # In front, padding is over before the sequence begins; a program that speaks of masks deals with it by itself.
    tree = event.place.module() if event.place is not None else None
    if tree is None or event.options.get("padding") != "post" or not uses_layer(event.place, *_RECURRENT):
        return False
    width = event.result.shape[1] if event.result.ndim > 1 else 0
    if all(len(one) >= width for one in event.sequences if hasattr(one, "__len__")):
        return False
    return not any(word in ast.unparse(tree).lower() for word in _DEALT_WITH)


def _nothing_left(result: np.ndarray) -> str:
    return "; all that the model will see is 0" if not result.any() else ""


def _floats(sequences: Any) -> Iterator[np.ndarray]:
    for sequence in sequences:
        array = np.asarray(sequence)
        if array.dtype.kind == "f":
            yield array
