"""Padding that cuts beginnings off, and padding that differs between training and prediction."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall, Padded
from sostenuto.diagnosis.rules.masks_graph import all_layers
from sostenuto.diagnosis.rules.padding_found import Filling, filling_of
from sostenuto.diagnosis.rules.padding_given import Given, inputs_given
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import is_recurrent
from sostenuto.diagnosis.wording import count

SO223 = rule(
    "SO223",
    "pad_sequences cuts the beginning of sequences off",
    """With maxlen, keras.utils.pad_sequences cuts longer sequences down, and unless told otherwise it cuts their
    beginning (truncating='pre').""",
    """truncating='post' keeps the beginning; a larger maxlen, or none, keeps everything.""",
    example="""
import keras
x = keras.utils.pad_sequences([[1, 2, 3, 4, 5], [6, 7]], maxlen=3, padding="post")
""",
    repaired="""
import keras
x = keras.utils.pad_sequences([[1, 2, 3, 4, 5], [6, 7]], maxlen=3, padding="post", truncating="post")
""",
)

SO224 = rule(
    "SO224",
    "Data is padded otherwise for prediction than it was for training",
    """A model that learnt with padding in front, and gets it behind, or filled with another value, meets something it
    has never seen.""",
    """Pad in one function for both: the same padding=, value= and maxlen=.""",
    example="""
import numpy as np, keras
rows = [[1, 2, 3], [4, 5], [6], [7, 8, 9, 1]]
model = keras.Sequential([keras.layers.Embedding(10, 3, mask_zero=True), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(keras.utils.pad_sequences(rows, value=0, padding="post"), np.arange(4.0), verbose=0)
model.predict(keras.utils.pad_sequences(rows, value=9, padding="post"), verbose=0)
""",
    repaired="""
import numpy as np, keras
rows = [[1, 2, 3], [4, 5], [6], [7, 8, 9, 1]]
model = keras.Sequential([keras.layers.Embedding(10, 3, mask_zero=True), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(keras.utils.pad_sequences(rows, value=0, padding="post"), np.arange(4.0), verbose=0)
model.predict(keras.utils.pad_sequences(rows, value=0, padding="post"), verbose=0)
""",
)


@SO223.on(Padded)
def beginning_cut(event: Padded, seen: Seen) -> Evidence | None:
    """Looks for sequences whose beginning was cut off where the padding is behind."""
    longest = event.options.get("maxlen")
    if event.function != "pad_sequences" or not longest or event.options.get("truncating") != "pre":
        return None
    lengths = [len(one) for one in event.sequences if hasattr(one, "__len__")]
    cut = [one for one in lengths if one > longest]
    # In front on both sides is how texts are read for their end; behind says that the beginning counts.
    asked = event.place is not None and "truncating" in event.place.expression
    if not cut or event.options.get("padding") != "post" or asked:
        return None
    lost, source = sum(cut) - longest * len(cut), event.place.expression if event.place is not None else ""
    return Evidence(
        title=f"pad_sequences cuts the beginning of {count(len(cut), 'sequence')} off.",
        got=f"{len(cut):,} of {len(lengths):,} sequences are longer than maxlen={longest}, the longest {max(cut)}: "
        f"their first steps are cut off, {lost:,} steps in all",
        wanted="truncating='post' to keep the beginning, or a larger maxlen to keep everything",
        cause="pad_sequences cuts at the beginning unless told otherwise (truncating='pre'), while padding='post' "
        "fills the end: what\nis left of a long sequence is its end, aligned with the beginning of the short ones.",
        fix=with_keyword(source or "keras.utils.pad_sequences(...)", "truncating", "'post'")
        + f"        # or maxlen={max(cut)}",
        unsure="whether the end of long sequences is what matters",
    )


@SO224.on(ModelCall)
def padded_otherwise(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for another side or value of padding in prediction than in training."""
    if event.within is not None or not any(map(is_recurrent, all_layers(event.model))):
        return None
    known = seen.marks(event.model).get("fitted_padding", {})
    for given in inputs_given(event):
        found = filling_of(given.value, seen)
        if found is None or not found.rows:
            continue
        if event.verb in ("fit", "train_on_batch"):
            known.setdefault(given.index, found)
            seen.mark(event.model, fitted_padding=known)
            continue
        before = known.get(given.index)
        if before is not None and (before.side != found.side or before.value != found.value):
            return _otherwise(event, given, before, found)
    return None


def _otherwise(event: ModelCall, given: Given, before: Filling, found: Filling) -> Evidence:
    source = found.place.expression if found.place is not None else ""
    differs = [
        f"{name}={then!r} in training, {now!r} in {given.source}"
        for name, then, now in (("padding", before.side, found.side), ("value", before.value, found.value))
        if then != now
    ]
    fix = with_keyword(source or "keras.utils.pad_sequences(...)", "padding", repr(before.side))
    if before.value != found.value:
        fix = with_keyword(fix, "value", f"{before.value:g}")
    line = f", {before.place.words.split(':')[0]}" if before.place is not None else ""
    return Evidence(
        title=f"{event.name} gets data that is padded otherwise than that of the training.",
        got="; ".join(differs),
        wanted=f"padding='{before.side}', value={before.value:g}, as in training{line}",
        cause="The model learnt where padding stands and what it looks like. Padded otherwise, padding that it should\n"
        "ignore is read as data, or stands where the model never saw any.",
        fix=fix,
        boundary=(given.source, "model"),
    )
