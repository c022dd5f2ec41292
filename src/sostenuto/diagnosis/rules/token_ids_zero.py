"""Id 0 as a token and as padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCalled, Padded
from sostenuto.diagnosis.rules.container_calls import with_argument
from sostenuto.diagnosis.rules.token_fixes import source_of_embedding
from sostenuto.diagnosis.rules.token_views import Lookup, lookups
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_keras, title
from sostenuto.diagnosis.wording import count

SO515 = rule(
    "SO515",
    "Id 0 is a token and padding at once",
    """With mask_zero=True an Embedding takes every 0 for padding, wherever it stands, and the layers behind it skip
    that step. Where 0 is the id of a word too, this word is left out of every sequence.""",
    """Let the ids of words begin at 1: add 1 to all of them before padding, and make input_dim one larger.""",
    example="""
import numpy as np, keras
ids = np.random.default_rng(0).integers(0, 5, (20, 8))
embedding = keras.layers.Embedding(5, 2, mask_zero=True)
model = keras.Sequential([keras.Input((8,), dtype="int32"), embedding, keras.layers.LSTM(1)])
model.predict(ids, verbose=0)
""",
    repaired="""
import numpy as np, keras
ids = np.random.default_rng(0).integers(0, 5, (20, 8)) + 1
embedding = keras.layers.Embedding(6, 2, mask_zero=True)
model = keras.Sequential([keras.Input((8,), dtype="int32"), embedding, keras.layers.LSTM(1)])
model.predict(ids, verbose=0)
""",
)

# Rows of ids that were joined after padding have zeros at a seam or two; zeros of a token stand anywhere.
_COLUMNS = 3


@SO515.on(Padded)
def remember_zeros(event: Padded, seen: Seen) -> None:
    """Remembers how many zeros were among sequences before 0 filled them up."""
    if event.options.get("value", 0) != 0 and event.options.get("padding_value", 0) != 0:
        return
    zeros = total = 0
    for sequence in list(event.sequences)[:5000]:
        ids = np.asarray(sequence)
        if ids.dtype.kind not in "iu" or ids.ndim != 1:
            return
        zeros, total = zeros + int((ids == 0).sum()), total + ids.size
    if zeros:
        seen.mark(event.result, zero_tokens=(zeros, total))


@SO515.on(ModelCalled)
def zero_is_a_token(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for zeros between other ids where an Embedding masks zeros."""
    for one in lookups(event, seen):
        if is_keras(one.layer) and getattr(one.layer, "mask_zero", False) and one.ids.ndim == 2:
            evidence = _zeros(one, seen)
            if evidence is not None:
                yield evidence


def _zeros(one: Lookup, seen: Seen) -> Evidence | None:
    zero = one.ids == 0
    known = seen.marks(one.value).get("zero_tokens")
    alone = zero[:, 1:-1] & ~zero[:, :-2] & ~zero[:, 2:]
    columns = np.flatnonzero(alone.any(axis=0))
    if known is None and len(columns) < _COLUMNS:
        return None
    row = int(np.flatnonzero(alone.any(axis=1))[0]) if alone.any() else int(np.flatnonzero(zero.any(axis=1))[0])
    real = np.cumsum(~zero, axis=1) > 0
    after = np.cumsum(~zero[:, ::-1], axis=1)[:, ::-1] > 0
    inside = int((zero & real & after).sum())
    if known is not None:
        found = f"{known[0]:,} of {known[1]:,} ids were 0 before pad_sequences filled up with 0"
    else:
        step = int(np.flatnonzero(alone[row])[0]) + 1
        found = f"{count(inside, 'zero')} between other ids, the first in row {row}, step {step}"
    source = one.source
    embedding = with_argument(source_of_embedding(one.layer, seen), "input_dim", 0, str(one.size + 1))
    return Evidence(
        title=f"{title(one.layer)} masks id 0, and 0 is a token of this data too.",
        got=f"{source}: {found}; mask_zero=True",
        wanted="0 for padding alone, at an end of the rows; tokens from 1 on",
        cause="mask_zero=True takes every 0 for padding, wherever it stands. Here 0 is a token and padding at once, "
        "so\nthis token is masked: the layers behind the Embedding skip it in every sequence.",
        fix=f"add 1 to all ids before padding, so that they begin at 1:\n{embedding}      # one row more"
        if known is not None
        else f"{source} + 1      # before padding, so that 0 is free\n{embedding}      # one row more",
        boundary=(source[:40], title(one.layer)),
    )
