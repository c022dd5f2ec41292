"""Masks that look for another value than the padding has, or for one that real steps have too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import some_rows
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.masks_counts import counted, covered, mask_value, masks_and_data
from sostenuto.diagnosis.rules.masks_graph import all_layers, late_mask, moves_zeros, way_to
from sostenuto.diagnosis.rules.padding_effects import padding_known
from sostenuto.diagnosis.rules.padding_found import Found, find, looked_up_below_zero
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import is_ours, is_recurrent, kinds, makes_mask, recurrent_layers, source_of, title
from sostenuto.diagnosis.wording import count

_DATA = """
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)).astype("float32") + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32"{})
model = keras.Sequential([keras.Input((11, 2)), {}, keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
"""

_ZEROS = """
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)).astype("float32") + 1 for n in range(4, 14)]
rows = [np.where(np.arange(len(row))[:, None] == 2, 0, row) for row in rows]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32"{})
layers = [keras.layers.Masking({}), keras.layers.LSTM(4), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((None, 2)), *layers])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
"""

SO272 = rule(
    "SO272",
    "The mask looks for another value than the padding has",
    """Masking(mask_value) masks the steps whose features all have that value, and Embedding(mask_zero=True) id 0.
    Padding of another value is not masked.""",
    """The same value in both: pad_sequences(..., value=0.0) and Masking(0.0). Scale first, pad afterwards: scaling
    moves the zeros.""",
    example=_DATA.format(", value=-1.0", "keras.layers.Masking(0.0)"),
    repaired=_DATA.format(", value=-1.0", "keras.layers.Masking(-1.0)"),
)

SO273 = rule(
    "SO273",
    "Real steps have the value that is masked",
    """Masking(0.0) masks every step whose features are all 0, also one in the middle of a sequence that really was
    measured as 0: the layer passes over it as if it had not been.""",
    """Pad with a value that no real step has, outside of the range of the data, and mask that; or hand the sequences to
    SequenceModel, which knows their lengths.""",
    example=_ZEROS.format("", "0.0"),
    repaired=_ZEROS.format(", value=-99.0", "-99.0"),
)

SO275 = rule(
    "SO275",
    "A mask covers sequences from end to end",
    """Where every step is masked a recurrent layer has nothing to read: it returns zeros, whatever the sequence was. A
    mask value that all data has does that, or sequences that were empty before padding.""",
    """Mask a value that only padding has; leave empty sequences out.""",
    example="""
import numpy as np, keras
x = np.zeros((8, 6, 2), "float32")
layers = [keras.layers.Masking(0.0), keras.layers.LSTM(4), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((6, 2)), *layers])
model.compile("adam", "mse")
model.fit(x, np.arange(8.0), verbose=0)
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((8, 6, 2)).astype("float32")
layers = [keras.layers.Masking(0.0), keras.layers.LSTM(4), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((6, 2)), *layers])
model.compile("adam", "mse")
model.fit(x, np.arange(8.0), verbose=0)
""",
)

SO276 = rule(
    "SO276",
    "Masking comes too late: another layer has moved the padding",
    """Masking compares what it reads with its mask_value. Behind a layer that adds a bias, scales or keeps a state, the
    padded steps are no longer 0, and none of them is masked.""",
    "Masking comes first, right behind the Input.",
    example=_DATA.format("", "keras.layers.LSTM(3, return_sequences=True), keras.layers.Masking(0.0)"),
    repaired=_DATA.format("", "keras.layers.Masking(0.0), keras.layers.LSTM(3, return_sequences=True)"),
)


def _asked(event: ModelCall | Batch, name: str, seen: Seen) -> ModelCall | None:
    call = event.call if isinstance(event, Batch) else event
    if call.within is not None or seen.marks(call.model).get(name) or any(map(is_ours, all_layers(call.model))):
        return None
    return call if any(map(is_recurrent, all_layers(call.model))) else None


@SO272.on(ModelCall, Batch)
def other_value(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for padding that a mask does not catch."""
    call = _asked(event, "other_value", seen)
    for layer, given in masks_and_data(event) if call is not None else ():
        found = find(given, call.place if call is not None else None, seen)
        value = mask_value(layer)
        if found is None or found.between or (found.value == value and not found.moved):
            continue
        masked = covered(some_rows(given.array), value)
        # Where the mask catches as much as is padded, it was made for this data another way.
        if call is None or (found.filling is None and masked.any()):
            continue
        if any(map(moves_zeros, way_to(call.model, layer).passed)) or looked_up_below_zero(event, found, seen):
            continue
        seen.mark(call.model, other_value=True)
        return _other(layer, found, int(masked.sum()), value, seen)
    return None


def _other(layer: Any, found: Found, masked: int, value: float, seen: Seen) -> Evidence:
    shown = "one vector of numbers" if found.value is None else f"{found.value:.4g}"
    embedding = "Embedding" in kinds(layer)
    if found.moved:
        fix = f"# scale and encode the sequences first, then pad with value={value}: the padding stays what is masked"
        why = (
            f"The padding was {found.filling.value if found.filling else value:g} when it was made. What was done "
            f"after that (scaling, encoding) has moved it"
        )
    else:
        given = f"{found.value:g}" if found.value is not None else "?"
        fix = (
            "keras.utils.pad_sequences(..., value=0)        # ids of real tokens from 1"
            if embedding
            else f"keras.layers.Masking(mask_value={float(found.value or 0)})"
        )
        why = f"The sequences are padded with {given}"
    return Evidence(
        title=f"{title(layer)} masks {value:g}, and the padding is {shown}.",
        got=f"{found.words}; {title(layer)} masks steps that are {value:g}: {masked:,}",
        wanted=f"one value for both: padding of {value:g}, or a mask for {shown}",
        cause=f"{why}, and {type(layer).__name__} masks steps\nwhose values are all {value:g}"
        + (" (mask_zero=True)" if embedding else f" (mask_value={value})")
        + ": the padded steps are not masked, and padding is read as data.",
        fix=fix,
        boundary=(found.source, title(layer)),
    )


@SO273.on(ModelCall, Batch)
def real_steps_masked(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for masked steps among real ones, in data that was padded with the same value."""
    call = _asked(event, "real_masked", seen)
    for layer, given in masks_and_data(event) if call is not None else ():
        value = mask_value(layer)
        # Ids have a rule of their own.
        if call is None or "Embedding" in kinds(layer):
            continue
        found = find(given, call.place, seen)
        if found is None or found.value != value or found.moved:
            continue
        rows = some_rows(given.array)
        steps, touched = _inside(rows, found, value)
        real = found.filling.collisions if found.filling is not None else steps
        if not max(steps, real):
            continue
        seen.mark(call.model, real_masked=True)
        return _real(layer, found, max(steps, real), touched, rows, value, seen)
    return None


def _inside(rows: np.ndarray, found: Found, value: float) -> tuple[int, int]:
    filled = covered(rows, value)
    before = np.maximum.accumulate(~filled, axis=1)
    behind = np.maximum.accumulate(~filled[:, ::-1], axis=1)[:, ::-1]
    inside = filled & before & behind
    return int(inside.sum()), int(inside.any(axis=1).sum())


def _real(layer: Any, found: Found, steps: int, touched: int, rows: np.ndarray, value: float, seen: Seen) -> Evidence:
    low = float(np.floor(rows.min()) - 1) if np.isfinite(rows).all() else -99.0
    low = min(low, -1.0)
    among = f" of {found.filling.real:,}" if found.filling is not None and found.filling.real else ""
    call = found.filling.place.expression if found.filling is not None and found.filling.place is not None else ""
    padded = with_keyword(call or "keras.utils.pad_sequences(...)", "value", f"{low}")
    return Evidence(
        title=f"{count(steps, 'real step')} of {found.source} {'has' if steps == 1 else 'have'} the value that is "
        f"masked.",
        got=f"{steps:,}{among} real steps are all {value:g}"
        + (f", in the middle of {count(touched, 'row')}" if touched else "")
        + f"; {title(layer)} masks {value:g}, the value of the padding",
        wanted=f"a value for padding that no real step has: {low}",
        cause=f"Padding and real steps share the value {value:g}, and a mask cannot tell them apart: real data is "
        f"masked,\nand the layers behind pass over these steps as if they had not been measured.",
        fix=f"{padded}\nkeras.layers.Masking(mask_value={low})",
        unsure="whether these steps are missing readings, which a mask is for",
        boundary=(found.source, title(layer)),
    )


@SO275.on(ModelCalled)
def nothing_left(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for data that is masked from end to end."""
    if _asked(event, "nothing_left", seen) is None:
        return
    for layer in all_layers(event.model):
        known = counted(event.model, id(layer), seen) if makes_mask(layer) else None
        if known is None or known.rows < 2 or known.empty < max(1, known.rows // 10):
            continue
        every = known.empty == known.rows
        seen.mark(event.model, nothing_left=True)
        value = mask_value(layer)
        yield Evidence(
            title=f"{title(layer)} masks every step of {known.empty:,} of {known.rows:,} rows.",
            got=f"{known.empty:,} of {known.rows:,} rows of {known.source} are {value:g} at every step, the value that "
            f"is masked",
            wanted="at least one real step in every sequence",
            cause="Where all steps are masked the recurrent layers have nothing to read, and return zeros: the answer "
            "is the\nsame for all of these rows. "
            + (
                "The data may have been cut to 0 before, or the value is a real one." if every else "They may be empty."
            ),
            fix=f"# look at {known.source} before fit: a step that is real must not be {value:g}"
            if every
            else f"# leave rows of length 0 out of {known.source} and of the targets before padding",
            unsure="" if every else "whether sequences of length 0 are meant to be there",
            boundary=(known.source, title(layer)),
        )
        return


@SO276.on(ModelCalled)
def too_late(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for Masking behind a layer that made something else of the padding."""
    if _asked(event, "late_mask", seen) is None or not recurrent_layers(event.model):
        return None
    for found in padding_known(event.model, seen):
        late = late_mask(event.model, found.index)
        if late is None:
            continue
        layer, moving = late
        seen.mark(event.model, late_mask=True)
        reads = "reads the padding as data itself, and " if is_recurrent(moving) else ""
        return Evidence(
            title=f"{title(layer)} stands behind {title(moving)}, and masks nothing.",
            got=f"{found.words}; {title(moving)} reads them before {title(layer)} does",
            wanted=f"{title(layer)} in front of {title(moving)}",
            cause=f"{type(moving).__name__} {reads}makes other values of the padded steps: they are no longer "
            f"{mask_value(layer):g} when\nMasking compares them. No step is masked, and padding is read as data.",
            fix=f"{source_of(layer, seen)},\n{source_of(moving, seen)},        # the mask first",
            boundary=(title(moving), title(layer)),
        )
    return None
