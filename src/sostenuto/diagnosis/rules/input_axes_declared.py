"""Shapes declared with an axis too few, Input((20,)) or input_shape=20; and token ids that no Embedding reads."""

from __future__ import annotations

import linecache
import re
from typing import Any

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.container_calls import given_to, with_argument
from sostenuto.diagnosis.rules.input_axes_views import (
    Declared,
    Origin,
    Shape,
    axes_read,
    data_at,
    declared,
    origin_of,
    refused_call,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword, without_keyword
from sostenuto.diagnosis.views import source_of, title
from sostenuto.diagnosis.wording import axes

SO129 = rule(
    "SO129",
    "A layer of sequences is given two axes: time or features are missing",
    """A recurrent layer reads three axes: (batch, time, features). A series of one number per step still has a
    feature: the axis has length 1. A table of one row per step still needs sequences: windows of consecutive
    rows.""",
    """One number per step: Input(shape=(20, 1)) and x[..., None]. A table: cut windows, for instance with
    keras.utils.timeseries_dataset_from_array, and declare Input(shape=(steps, features)).""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((30, 20))
model = keras.Sequential([keras.Input(shape=(20,)), keras.layers.LSTM(4), keras.layers.Dense(1)])
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((30, 20))
model = keras.Sequential([keras.Input(shape=(20, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x[..., None], np.ones((30, 1)), verbose=0)
""",
)

SO130 = rule(
    "SO130",
    "The shape of an Input is a number, not a tuple",
    """Input(shape=...) and input_shape=... are tuples, one length for every axis of a sample: (time, features). In
    Python (20) is the number 20; only the comma makes a tuple.""",
    """Write both axes: shape=(20, 1) for 20 steps of one feature. An open number of steps is None: (None, 1).""",
    example="""
import keras
model = keras.Sequential([keras.Input(shape=(20)), keras.layers.LSTM(4)])
""",
    repaired="""
import keras
model = keras.Sequential([keras.Input(shape=(20, 1)), keras.layers.LSTM(4)])
""",
)

SO137 = rule(
    "SO137",
    "Token ids go into a layer of sequences without an Embedding",
    """A recurrent layer or Conv1D reads a vector for every step, (batch, time, features). Token ids are one whole
    number per step, (batch, time), and stand for words; an Embedding gives a vector for each.""",
    """Put Embedding(number of ids, units) first, and declare Input(shape=(time,)).""",
    example="""
import keras
ids = keras.utils.pad_sequences([[4, 2, 7], [5, 1]], padding="post")
model = keras.Sequential([keras.Input(shape=(3,)), keras.layers.LSTM(4)])
""",
    repaired="""
import keras
ids = keras.utils.pad_sequences([[4, 2, 7], [5, 1]], padding="post")
model = keras.Sequential([keras.Input(shape=(3,)), keras.layers.Embedding(8, 4, mask_zero=True), keras.layers.LSTM(4)])
""",
)

_TIME = re.compile(r"step|time|window|look_?back|seq|length|maxlen|lag|past|history|hour|day|frames?\b", re.I)
_FEATURES = re.compile(r"feature|channel|dim|input_size|sensor|column|n_vars|variables|n_in\b|attributes", re.I)
_IDS = re.compile(r"\bids?\b|_ids?\b|token|word|vocab|text|sentence|review|char|encoded|padded", re.I)


def reads_two(failure: Failure, seen: Seen) -> tuple[LayerCall, Shape, Origin | None] | None:
    """A layer of sequences that was given two axes from an Input or from data, with where they came from.

    Args:
        failure: the exception.
        seen: what was seen.
    """
    refused = refused_call(failure)
    if refused is None:
        return None
    call, got = refused
    if len(got) != 2 or (axes_read(call.layer) or 0) != 3:
        return None
    origin = origin_of(call.inputs, seen, call)
    return (call, got, origin) if origin is None or origin.is_input else None


@SO129.on(Failure)
def axis_missing_in_input(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an Input with one axis only in front of a layer of sequences."""
    found = reads_two(failure, seen)
    if found is None:
        return None
    call, got, origin = found
    if origin is None:
        return None
    size = got[1]
    # A model without a declared Input has one that was made for the data: then it is the data that lacks an axis.
    written = declared(origin.layer, call.layer, seen)
    if not written.source or ids_for(size, failure.place, seen, written) is not None:
        return None
    shape, unsure, cause = _whole(size, failure.place, written)
    source = f"{written.with_shape(shape)}        # {axes(shape, 'TF')[1:-1]} of one sample"
    if unsure:
        source += f"\n# or {written.with_shape((None, size))}, where {size} counts the features of a step"
    data = next((name for name, value in data_at(failure.place, (2,)) if value.shape[1] == size), "")
    if data and shape[1] == 1:
        source += f"\n{data} = {data}[..., None]        # the data with its axis of features"
    return Evidence(
        title=f"{title(call.layer)} reads (batch, time, features), and the Input declares one axis.",
        got=f"{written.words((size,))}, which makes {got}: two axes (ndim=2) with the batch",
        wanted=f"{axes((None, *shape), 'BTF')}: three axes (ndim=3), {written.words(shape)}",
        cause=cause,
        fix=source,
        unsure=unsure,
        boundary=("Input", title(call.layer)),
    )


def _whole(size: int | None, place: Place | None, written: Declared) -> tuple[Shape, str, str]:
    # The shape that was meant, by the data, or by what the number is called.
    missing = "The shape of an Input describes one sample without the batch axis: time and features. "
    for name, value in data_at(place, (3,)):
        steps, features = int(value.shape[1]), int(value.shape[2])
        if size in (steps, features):
            lacks = "The axis of features is missing" if size == steps else "The axis of time is missing"
            return (
                (steps, features),
                "",
                f"{missing}\n{lacks}: {name} has {steps} steps of {features} features per sample.",
            )
    named = written.argument
    if _TIME.search(named) and not _FEATURES.search(named):
        return (
            (size, 1),
            "",
            f"{missing}\nThe axis of features is missing: one number per step is a feature of length 1.",
        )
    if _FEATURES.search(named) and not _TIME.search(named):
        return (None, size), "", f"{missing}\nThe axis of time is missing: {size} features of how many steps?"
    return (
        (size, 1),
        f"whether {size} counts the steps of one number each, or the features of a step",
        f"{missing}\nOne of them is missing: if {size} counts timesteps, the features (one number per step is "
        "one feature).",
    )


@SO129.on(Failure)
def axis_missing_in_data(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a table that goes straight into a layer of sequences."""
    found = reads_two(failure, seen)
    given = given_to(failure)
    if found is None or given is None:
        return None
    call, got, origin = found
    if origin is not None and declared(origin.layer, call.layer, seen).source:
        return None
    data = tuple(getattr(given.x, "shape", None) or ())
    rows, size = (data[0], data[1]) if len(data) == 2 else got
    if size != got[1] or ids_for(size, given.place, seen, None, given.x) is not None:
        return None
    # A model that has read sequences before is given one of them now: a rule about the batch axis knows this.
    kernel = _features_built(call.layer)
    if kernel == size or (kernel == 1 and any(len(one or ()) == 3 for one in seen.history(given.model).shapes)):
        return None
    source = given.source
    window = "steps"
    return Evidence(
        title=f"{title(call.layer)} reads (batch, time, features), and {source} has two axes.",
        got=f"{source} ({rows}, {size}): {rows} rows of {size} numbers, two axes (ndim=2)",
        wanted=f"three axes (ndim=3): (batch, time, features), such as ({rows}, {size}, 1) or (windows, time, {size})",
        cause="A recurrent layer steps through time and reads a vector of features at every step. A table has no such\n"
        f"axis: either its {size} columns are timesteps of one number each, and the features are missing, or its rows\n"
        f"are timesteps of {size} features, and windows of consecutive rows have to be cut.",
        fix=f"{given.call(x=f'{source}[..., None]')}        # ({rows}, {size}, 1): {size} steps of one feature\n"
        f"# or windows of {window} rows, (windows, {window}, {size}), for {size} features per step:\n"
        f"# x = np.stack([{source}[i:i + {window}] for i in range(len({source}) - {window})])",
        unsure=f"whether the {size} columns of {source} are timesteps or features",
        boundary=(source, title(call.layer)),
    )


def _features_built(layer: Any) -> int | None:
    inner = getattr(layer, "forward_layer", None) or layer
    weights = getattr(inner, "weights", None) or ()
    shape = getattr(weights[0], "shape", None) if weights else None
    return int(shape[0]) if shape is not None and len(shape) == 2 else None


# --- token ids -------------------------------------------------------------------------------------------------------


def ids_for(
    size: int | None, place: Place | None, seen: Seen, written: Declared | None, data: Any = None
) -> tuple[str, int] | None:
    """The name and the largest of the token ids that a layer of sequences was to read; None where they are measured
    values. Args: size: of the only axis beside the batch. place: where it failed. seen: what was seen. written: how
    the Input was declared, or None where there is data only. data: what the model was given."""
    arrays = [("", data)] if data is not None else data_at(place, (2,))
    for name, value in arrays:
        array = as_array(value)
        if array is None or array.ndim != 2 or array.shape[1] != size or array.dtype.kind not in "iu" or not array.size:
            continue
        names = [name] if name else (place.names_of(value) if place is not None else [])
        whole = some_rows(array)
        padded = bool(seen.marks(value))
        named = any(_IDS.search(one) for one in names) or "int" in (written.source if written is not None else "")
        if int(whole.min()) >= 0 and int(whole.max()) > 1 and (padded or named or _uses_text(place)):
            return (names[0] if names else "x"), int(array.max())
    return None


def _uses_text(place: Place | None) -> bool:
    text = place.names if place is not None else {}
    return any(name in ("Tokenizer", "tokenizer", "TextVectorization", "vectorize", "pad_sequences") for name in text)


@SO137.on(Failure)
def ids_without_embedding(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for whole numbers that stand for words in front of a layer of sequences."""
    found = reads_two(failure, seen)
    if found is None:
        return None
    call, got, origin = found
    written = declared(origin.layer, call.layer, seen) if origin is not None else Declared()
    data = failure.verb.x if failure.verb is not None and not written.source else None
    ids = ids_for(got[1], failure.place, seen, written, data)
    if ids is None:
        return None
    name, largest = ids
    embedding = f"layers.Embedding({largest + 1}, 32)"
    layer = source_of(call.layer, seen)
    if written.keyword == "input_shape" and written.source:
        layer = without_keyword(layer, "input_shape")
    return Evidence(
        title=f"{title(call.layer)} reads a vector for every step, and is given token ids without an Embedding.",
        got=f"{name}: whole numbers up to {largest}, {axes(got, 'BT')}: two axes (ndim=2), one id per step",
        wanted=f"{axes((*got, None), 'BTF')}: three axes (ndim=3), a vector of features for every step",
        cause="The ids only number words; a number twice as large means nothing twice as much. An Embedding "
        f"looks up a\nvector for each id, and gives {title(call.layer)} its axis of features.",
        fix=f"{embedding},        # ids 0 to {largest}; reads (batch, time), gives (batch, time, 32)\n{layer}",
        boundary=(name, title(call.layer)),
    )


# --- a number for a shape --------------------------------------------------------------------------------------------


@SO130.on(Failure)
def shape_is_a_number(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for shape=20, or (20) without a comma."""
    number = re.search(r"Cannot convert '(\d+)' to a shape", failure.message)
    place = failure.place
    if number is None or place is None:
        return None
    size = int(number[1])
    node = place.call("Input", "InputLayer")
    keyword = "shape"
    if node is None or not place.argument("shape", 0, "Input", "InputLayer"):
        keyword = "input_shape"
        node = next((one for one in place.calls() if any(word.arg == keyword for word in one.keywords)), None)
    if node is None:
        return None
    source = place.source(node)
    written = Declared(place, source, "", keyword)
    shape: Shape = (size, 1)
    for _, value in data_at(place, (3,)):
        if size in (value.shape[1], value.shape[2]):
            shape = (int(value.shape[1]), int(value.shape[2]))
    fix = (
        with_keyword(source, keyword, str(shape))
        if keyword != "shape"
        else with_argument(source, "shape", 0, str(shape))
    )
    sequence = not _feeds_dense(source, place)
    return Evidence(
        title=f"The shape of an Input is the number {size}, and has to be a tuple.",
        got=f"{keyword}={size}: an integer"
        + (f"; ({size}) without a comma is the number {size}" if "(" in source else ""),
        wanted=f"a tuple with one length for each axis of a sample: {keyword}={shape}, (time {shape[0]}, "
        f"features {shape[1]})"
        if sequence
        else f"a tuple: {keyword}=({size},)",
        cause=f"A shape lists the axes of one sample without the batch axis. {written.words((size,))} is a "
        "tuple of one axis,\nby its comma; a recurrent layer reads two, time and features.",
        fix=f"{fix}        # {axes(shape, 'TF')[1:-1]}",
        boundary=("Input", ""),
    )


def _feeds_dense(source: str, place: Place) -> bool:
    return not re.search(r"LSTM|GRU|RNN|Conv1D|Bidirectional", "".join([source, *_program(place)]))


def _program(place: Place) -> list[str]:
    return linecache.getlines(place.file)
