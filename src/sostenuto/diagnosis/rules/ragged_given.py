"""Sequences of different lengths that reach Keras as a list, or as an array of objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.container_calls import Given, givens
from sostenuto.diagnosis.rules.container_lists import reader_words, samples_in
from sostenuto.diagnosis.rules.container_views import (
    batch_words,
    is_array,
    is_number,
    numpy_name,
)
from sostenuto.diagnosis.rules.ragged_fixes import lengths_words, padded, ragged_fix
from sostenuto.diagnosis.rules.ragged_lengths import measure
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_ours
from sostenuto.diagnosis.wording import count

SO262 = rule(
    "SO262",
    "Sequences of different lengths are given to Keras unpadded",
    """Keras reads rectangles: a batch in which all sequences have the same number of steps. A list of arrays of
    different lengths is taken for several inputs, an array of objects (dtype=object) is refused, and no layer pads by
    itself, whatever its Input says: shape=(None, 2) means any length, the same for a whole batch.""",
    """Pad the shorter ones: keras.utils.pad_sequences(x, padding='post', dtype='float32'), with a Masking layer. Or
    keep the lengths: sostenuto.Sequences.from_list(x) and a SequenceModel.""",
    example="""
import numpy as np, keras
sequences = [np.ones((length, 2)) for length in (3, 5, 4)]
model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(np.array(sequences, dtype=object), np.zeros((3, 1)), verbose=0)
""",
    repaired="""
import numpy as np, keras
sequences = [np.ones((length, 2)) for length in (3, 5, 4)]
model = keras.Sequential([keras.Input((None, 2)), keras.layers.Masking(), keras.layers.LSTM(1)])
model.compile("adam", "mse")
x = keras.utils.pad_sequences(sequences, padding="post", dtype="float32")
model.fit(x, np.zeros((3, 1)), verbose=0)
""",
)


@SO262.on(Failure)
def unpadded(failure: Failure, seen: Seen) -> list[Evidence]:
    """Looks for a list, or an array of objects, that holds sequences of different lengths."""
    found = [_unpadded(given, failure) for given in givens(failure)]
    return [one for one in found if one is not None][:1]


def _unpadded(given: Given, failure: Failure) -> Evidence | None:
    if is_ours(given.model):
        return None
    value = given.x
    column = _is_objects(value)
    if column:
        value = value.ravel() if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 1 else value
    elif samples_in(given, failure) is None:
        return None
    lengths = measure(value)
    if lengths is None or is_number(value[0] if isinstance(value, list | tuple | np.ndarray) else None):
        return None
    source = given.source
    if not lengths.unequal:
        if not column or len(lengths.widths) > 1:
            return None
        made = f"{numpy_name(given.place)}.stack({source}).astype('float32')"
        if not is_array(value.iloc[0] if hasattr(value, "iloc") else value[0]):
            made = f"{numpy_name(given.place)}.array(list({source}), dtype='float32')"
        return Evidence(
            title="The data is an array of objects, each of them a sequence.",
            got=f"{source} is {_objects(value)} of dtype=object, each row a sequence of "
            f"{count(lengths.longest, 'step')}",
            wanted=f"one array of numbers of shape {lengths.shape}, dtype='float32'",
            cause="A column of lists is an array of objects, and Keras reads numbers (Invalid dtype: object). The "
            "lengths\nare equal, so one array can be made of them.",
            fix=given.call(x=made),
            place=given.place,
        )
    made = padded(given.place, source, lengths)
    why = (
        "An array of objects (dtype=object) holds whole sequences as its elements, and Keras reads numbers.\n"
        if column
        else f"Keras takes a list for several inputs of the model, here {lengths.count}; and sequences of different "
        "lengths\n"
    )
    return Evidence(
        title=f"{given.name} was given sequences of different lengths, unpadded.",
        got=f"{source} is {_objects(value) + ' of dtype=object' if column else 'a list'}: {lengths_words(lengths)}",
        wanted=f"one array {batch_words(lengths.shape)}, the shorter sequences padded to {lengths.longest} steps",
        cause=why
        + (
            "They have different lengths, so no array of numbers can be made of them before the shorter ones are "
            "padded."
            if column
            else "do not make one array either: the shorter ones have to be padded first."
        ),
        fix=ragged_fix(given.place, source, lengths, given.call(x=made)),
        place=given.place,
        boundary=(source[:40], reader_words(given)),
    )


def _is_objects(value: Any) -> bool:
    return is_array(value) and str(getattr(value, "dtype", "")) == "object"


def _objects(value: Any) -> str:
    return (
        f"a {type(value).__name__} of {len(value)}"
        if not isinstance(value, np.ndarray)
        else f"an array of {len(value)}"
    )
