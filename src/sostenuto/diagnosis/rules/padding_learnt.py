"""Padding that a model reads as if it were data, and padding that differs from call to call."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import Padding, as_array, padding_in
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, ModelCall, Padded
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.container_views import last_value
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, with_keyword
from sostenuto.diagnosis.views import first_layers, is_ours, kinds, makes_mask, recurrent_layers, source_of, title
from sostenuto.diagnosis.wording import count

SO221 = rule(
    "SO221",
    "Padding is read as data: nothing masks it",
    """Padded steps are steps like any other for a recurrent layer, unless a mask says which are real. The state runs on
    through the padding, and the last output, which mostly is the answer, is that of a padded step. It trains, and its
    results depend on how much was padded.""",
    """keras.layers.Masking(0.0) in front of the first recurrent layer, or Embedding(..., mask_zero=True) for token ids.
    SequenceModel needs neither.""",
    example="""
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)) + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
""",
    repaired="""
import numpy as np, keras
rows = [np.random.default_rng(n).random((n, 2)) + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
layers = [keras.layers.Masking(0.0), keras.layers.LSTM(4), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((None, 2)), *layers])
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
""",
)

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


@dataclass(frozen=True)
class Filling:
    """How sequences were padded.

    Attributes:
        value: that fills.
        side: "post" or "pre".
        shape: of the rectangle.
        steps: padded steps in all.
        rows: sequences with padding.
        place: where, without its variables.
    """

    value: float
    side: str
    shape: tuple[int, ...]
    steps: int
    rows: int
    place: Place | None


@SO221.on(Padded)
def remembered(event: Padded, seen: Seen) -> None:
    """Remembers what was padded, and how."""
    if event.function != "pad_sequences" or not isinstance(event.result, np.ndarray) or event.result.ndim < 2:
        return
    longest = event.result.shape[1]
    lengths = [min(len(one), longest) for one in event.sequences if hasattr(one, "__len__")]
    missing = [longest - one for one in lengths]
    # Another fill than one number is nobody's padding.
    try:
        value = float(event.options.get("value") or 0.0)
    except (TypeError, ValueError):
        return
    found = Filling(
        value,
        str(event.options.get("padding") or "pre"),
        event.result.shape,
        sum(missing),
        sum(one > 0 for one in missing),
        event.place.bare() if event.place is not None else None,
    )
    seen.mark(event.result, padded=found)
    seen.notes["padded"][len(seen.notes["padded"])] = found


def filling_of(array: Any, seen: Seen) -> Filling | None:
    """How an array was padded, if that was seen; of parts and copies too, by their shape and what is in them."""
    found = seen.marks(array).get("padded")
    if isinstance(found, Filling):
        return found
    shape = getattr(array, "shape", None)
    if shape is None or len(shape) < 2:
        return None
    for one in seen.notes["padded"].values():
        if one.steps and tuple(one.shape[1:]) == tuple(shape[1:]):
            inside = padding_in(as_array(array), one.value) if as_array(array) is not None else None
            if inside is not None and inside.side == one.side:
                return one
    return None


@SO221.on(ModelCall, Batch)
def nothing_masks(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for padded data that reaches a recurrent layer without a mask."""
    call = event.call if isinstance(event, Batch) else event
    layers = recurrent_layers(call.model)
    if not layers or call.within is not None or any(is_ours(one) for one in layers) or _masked(call.model, seen):
        return None
    parts = list(event.x) if isinstance(event.x, list | tuple) else [event.x]
    parts = list(event.x.values()) if isinstance(event.x, dict) else parts
    for value in parts:
        array = as_array(value)
        if array is None or array.ndim not in (2, 3) or array.shape[1] < 2:
            continue
        filling = filling_of(value, seen)
        inside = padding_in(array, filling.value if filling is not None else None)
        by_hand = None if filling is not None else _by_hand(call, value)
        # In front, padding is over before the sequence begins; many programs mean it so.
        if inside is None or inside.side == "pre" or (filling is None and by_hand is None):
            continue
        if id(call.model) in seen.notes["unmasked"]:
            return None
        seen.notes["unmasked"][id(call.model)] = True
        return _unmasked(call, layers[0], array, inside, filling, by_hand, seen)
    return None


def _masked(model: Any, seen: Seen) -> bool:
    if any(makes_mask(layer) for layer in _all_layers(model)):
        return True
    # A mask of the program's own: as an argument, or as an input of the model.
    if any(any(seen.history(layer).masked) for layer in recurrent_layers(model)):
        return True
    inputs = getattr(model, "inputs", None) or ()
    return any("bool" in str(getattr(one, "dtype", "")) for one in inputs)


def _all_layers(model: Any) -> list[Any]:
    found = []
    for layer in getattr(model, "layers", ()):
        found.append(layer)
        found += _all_layers(layer)
    return found


def _unmasked(
    call: ModelCall,
    layer: Any,
    array: np.ndarray,
    inside: Padding,
    filling: Filling | None,
    by_hand: str | None,
    seen: Seen,
) -> Evidence:
    filled = array == inside.value if array.ndim == 2 else (array == inside.value).all(axis=-1)
    ends = filled[:, ::-1] if inside.side == "post" else filled
    steps = int(np.cumprod(ends, axis=1).sum())
    first = first_layers(call.model)
    tokens = bool(first) and "Embedding" in kinds(first[0])
    source = written(call, "x")
    where = (
        f"padded by pad_sequences, {filling.place.words.split(':')[0]}"
        if filling is not None and filling.place is not None
        else f"padded by hand, {by_hand}"
    )
    if tokens:
        fix = with_keyword(source_of(first[0], seen), "mask_zero", "True")
        fix += "" if inside.value == 0 else "        # and pad with value=0"
    else:
        fix = f"keras.layers.Masking(mask_value={inside.value:g}),        # in front of {title(layer)}"
    return Evidence(
        title=f"{title(layer)} reads {count(steps, 'padded step')} as data: nothing masks them.",
        got=f"{steps:,} of {filled.size:,} steps of {source} are padding ({inside.value:g}, {inside.side}), in "
        f"{inside.rows:,} of {inside.of:,} rows; {where}",
        wanted="a mask: a Masking layer, or an Embedding with mask_zero=True, before the first recurrent layer",
        cause="Without a mask the padding counts as time steps like any other. "
        f"A sequence of {inside.example[1]} steps goes on through\n{array.shape[1] - inside.example[1]} steps of "
        "padding, "
        "and the last output is that of a padded step.",
        fix=fix,
        boundary=(source, title(layer)),
    )


def _by_hand(call: ModelCall, value: Any) -> str | None:
    # zeros that are filled row by row up to a length; np.pad; a list that is filled up.
    place = call.place
    if place is None:
        return None
    for name in place.names_of(value)[:3]:
        made = last_value(place, name)
        words = f"line {made.lineno}" if made is not None else ""
        for one in ast.walk(made) if made is not None else ():
            if isinstance(one, ast.Call) and called(one) in ("pad", "pad_sequence", "to_tensor", "zip_longest"):
                return words
        zeros = isinstance(made, ast.Call) and called(made) in ("zeros", "full", "zeros_like")
        if zeros and _filled_in_part(place, name):
            return words
    return None


def _filled_in_part(place: Place, name: str) -> bool:
    for node in ast.walk(place.module() or ast.Module([], [])):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
            continue
        target = node.targets[0]
        slices = [one for one in ast.walk(target.slice) if isinstance(one, ast.Slice) and (one.upper or one.lower)]
        if isinstance(target.value, ast.Name) and target.value.id == name and slices:
            return True
    return False


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
        "their "
        f"first steps are cut off, {lost:,} steps in all",
        wanted="truncating='post' to keep the beginning, or a larger maxlen to keep everything",
        cause="pad_sequences cuts at the beginning unless told otherwise (truncating='pre'), while padding='post' "
        "fills the "
        "end: what\nis left of a long sequence is its end, aligned with the beginning of the short ones.",
        fix=with_keyword(source or "keras.utils.pad_sequences(...)", "truncating", "'post'")
        + f"        # or maxlen={max(cut)}",
        unsure="whether the end of long sequences is what matters",
    )


@SO224.on(ModelCall)
def padded_otherwise(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for another side or value of padding in prediction than in training."""
    found = filling_of(event.x, seen)
    known = seen.notes["fitted padding"]
    if found is None or event.within is not None:
        return None
    if event.verb in ("fit", "train_on_batch"):
        known.setdefault(id(event.model), found)
        return None
    before = known.get(id(event.model))
    if before is None or (before.side == found.side and before.value == found.value):
        return None
    source = found.place.expression if found.place is not None else ""
    differs = [
        f"{name}={then!r} in training, {now!r} here"
        for name, then, now in (("padding", before.side, found.side), ("value", before.value, found.value))
        if then != now
    ]
    fix = with_keyword(source or "keras.utils.pad_sequences(...)", "padding", repr(before.side))
    if before.value != found.value:
        fix = with_keyword(fix, "value", f"{before.value:g}")
    return Evidence(
        title=f"{event.name} gets data that is padded otherwise than that of the training.",
        got="; ".join(differs),
        wanted=f"padding='{before.side}', value={before.value:g}, as in training"
        + (f", {before.place.words.split(':')[0]}" if before.place is not None else ""),
        cause="The model learnt where padding stands and what it looks like. Padded otherwise, steps that it should "
        "ignore "
        "look like\ndata, and real steps stand where it never saw any.",
        fix=fix,
        boundary=("x", "model"),
    )
