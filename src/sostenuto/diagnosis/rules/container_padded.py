"""What pad_sequences refuses: one sequence alone, and steps of different numbers of features."""

from __future__ import annotations

import re

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.container_calls import with_argument
from sostenuto.diagnosis.rules.container_views import count_words, is_number
from sostenuto.diagnosis.rules.ragged_lengths import measure
from sostenuto.diagnosis.rules.ragged_source import value_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.wording import shape_of

SO268 = rule(
    "SO268",
    "pad_sequences was not given a list of sequences",
    """pad_sequences reads a list of sequences, each a list or an array with time as its first axis, and the same
    features in every step. One sequence alone, a list of numbers, is not a list of sequences.""",
    "pad_sequences([sequence]) for one; for many, the same number of features in every step.",
    example="""
import keras
x = keras.utils.pad_sequences([3, 5, 8], maxlen=10)
""",
    repaired="""
import keras
x = keras.utils.pad_sequences([[3, 5, 8]], maxlen=10)
""",
)

_SHAPES = re.compile(
    r"Shape of sample (\([\d, ]*\)) of sequence at position (\d+) is different from expected shape (\([\d, ]*\))"
)


@SO268.on(Failure)
def no_list_of_sequences(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for one sequence alone, and for steps that differ in their features."""
    place, message = failure.place, str(failure.error)
    call = place.call("pad_sequences") if place is not None else None
    if place is None or call is None:
        return None
    source = place.argument("sequences", 0, "pad_sequences")
    node = call.args[0] if call.args else next((one.value for one in call.keywords if one.arg == "sequences"), None)
    value = value_of(place, node)
    if "must be a list of iterables" in message or "must be iterable" in message:
        alone = value is None or (isinstance(value, list | tuple) and bool(value) and all(map(is_number, value[:100])))
        if not alone:
            return None
        return Evidence(
            got=f"{source}: " + (f"a list of {len(value)} numbers, one sequence" if value else "a list of numbers"),
            wanted=f"a list of sequences: [{source}]",
            cause="pad_sequences takes each element of the list for a sequence, and a number has no steps.",
            fix=with_argument(place.source(call), "sequences", 0, f"[{source}]"),
        )
    shapes = _SHAPES.search(message)
    if shapes is None:
        return None
    lengths = measure(value)
    count = f"{lengths.count} sequences of lengths {count_words(lengths.lengths)}" if lengths else shape_of(value)
    return Evidence(
        title="The steps of the sequences have different numbers of features.",
        got=f"{source}[{shapes[2]}] has steps of shape {shapes[1]}, the sequences before it of {shapes[3]}"
        + (f"; {count}" if lengths else ""),
        wanted=f"steps of one shape, {shapes[3]}: the same features in every step",
        cause="pad_sequences fills up the time axis, which comes first in each sequence. The other axes, the "
        "features,\nhave to agree: a feature is missing, or time is not the first axis.",
        fix=f"{source}[{shapes[2]}]      # the sequence to put right; .T if its time axis comes last",
        unsure="whether features are missing or the axes are swapped",
    )
