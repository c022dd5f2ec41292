"""What an Embedding reads as ids and that are none: fractions, one-hot vectors, measured features, words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, Failure, LayerCall, ModelCalled, TorchCall
from sostenuto.diagnosis.rules.container_calls import call_with, given_to, own_verb
from sostenuto.diagnosis.rules.container_contents import contents_of
from sostenuto.diagnosis.rules.container_views import last_value, numpy_name, pad_sequences_name
from sostenuto.diagnosis.rules.ragged_source import value_of
from sostenuto.diagnosis.rules.token_fixes import source_of_embedding
from sostenuto.diagnosis.rules.token_views import (
    Lookup,
    is_embedding,
    lookups,
    range_words,
    share,
    within_verb,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_keras, is_recurrent, title
from sostenuto.diagnosis.wording import count

SO513 = rule(
    "SO513",
    "Token ids have fractions, and an Embedding cuts them off",
    """An Embedding looks up rows by number. Keras casts whatever it gets to whole numbers: ids that were scaled to 0 ..
    1 with the other features all become 0, every token is the same, and nothing is raised. torch.nn.Embedding refuses
    floats.""",
    """Give ids to an Embedding as they are, whole numbers. Scale measured values only, and give these to the recurrent
    layer directly.""",
    example="""
import numpy as np, keras
ids = np.array([[1, 2, 3], [3, 1, 2]])
x = ids / 4
model = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(4, 2), keras.layers.LSTM(1)])
model.predict(x, verbose=0)
""",
    repaired="""
import numpy as np, keras
ids = np.array([[1, 2, 3], [3, 1, 2]])
model = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(4, 2), keras.layers.LSTM(1)])
model.predict(ids, verbose=0)
""",
)

SO514 = rule(
    "SO514",
    "An Embedding is given vectors, not ids",
    """An Embedding reads one id per step, (batch, time), and gives a vector for it: (batch, time, features). One-hot
    vectors and measured features are vectors already, and would get a fourth axis, which no recurrent layer reads.""",
    """One-hot vectors become ids with x.argmax(axis=-1). Measured features need no Embedding: the recurrent layer reads
    (batch, time, features) directly.""",
    example="""
import numpy as np, keras
x = np.eye(4)[np.array([[1, 2, 3], [3, 1, 2]])]
model = keras.Sequential([keras.layers.Embedding(4, 2), keras.layers.LSTM(1)])
model.predict(x, verbose=0)
""",
    repaired="""
import numpy as np, keras
x = np.eye(4)[np.array([[1, 2, 3], [3, 1, 2]])]
model = keras.Sequential([keras.layers.Embedding(4, 2), keras.layers.LSTM(1)])
model.predict(x.argmax(axis=-1), verbose=0)
""",
)

SO516 = rule(
    "SO516",
    "Words are padded, not their ids",
    """pad_sequences fills up sequences of numbers. Words have to be turned into ids before: every word of the
    vocabulary gets a number, from 1 on, because 0 pads.""",
    "Number the words first, or let keras.layers.TextVectorization do both, numbering and padding.",
    example="""
import keras
x = keras.utils.pad_sequences([["so", "it", "goes"], ["so", "what"]], padding="post")
""",
    repaired="""
import keras
sentences = [["so", "it", "goes"], ["so", "what"]]
ids = {word: number for number, word in enumerate(sorted({word for one in sentences for word in one}), start=1)}
x = keras.utils.pad_sequences([[ids[word] for word in one] for one in sentences], padding="post")
""",
)


# --- fractions -------------------------------------------------------------------------------------------------------


@SO513.on(ModelCalled)
def fractions(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for fractions among the ids that fit, evaluate or predict gave to an Embedding."""
    for one in lookups(event, seen):
        evidence = _fractions(one, event)
        if evidence is not None:
            yield evidence


@SO513.on(Batch)
def fractions_in_batches(event: Batch, seen: Seen) -> Iterator[Evidence]:
    """Looks for the same in the first batch of a generator."""
    for one in lookups(event.call, seen, event.x):
        evidence = _fractions(one)
        if evidence is not None:
            yield evidence


@SO513.on(LayerCall)
def fractions_direct(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for the same where an Embedding is called outside of fit."""
    if event.symbolic or not is_embedding(event.layer) or within_verb(event, seen):
        return None
    ids = as_array(event.inputs)
    if ids is None or not ids.size:
        return None
    names = event.place.names_of(event.inputs) if event.place is not None else []
    name = names[0] if names else "the ids"
    return _fractions(Lookup(event.layer, ids, event.place, event.inputs, lambda: name))


def _fractions(one: Lookup, event: ModelCalled | None = None) -> Evidence | None:
    # Vectors have a rule of their own.
    if one.ids.dtype.kind != "f" or one.ids.ndim > 2:
        return None
    ids = one.ids[np.isfinite(one.ids)]
    parts = ids != np.trunc(ids)
    if not parts.any():
        return None
    unscaled = _unscaled(event) if event is not None else ""
    left = np.unique(np.trunc(ids))
    example = float(ids[parts][0])
    became = f"; all that the Embedding sees is {int(left[0]) + 0}" if len(left) == 1 else ""
    measured = bool(ids.min() < 0) and not unscaled
    return Evidence(
        title=f"Token ids with fractions reach {title(one.layer)}, which cuts them off.",
        got=f"{one.source}: {range_words(ids)}, {one.ids.dtype.name}; {share(parts)} have a fraction:\n"
        f"{example:.4g} becomes {int(example)}, and of {count(len(np.unique(ids)), 'different number')} "
        f"{count(len(left), 'id')} {'is' if len(left) == 1 else 'are'} left",
        wanted=f"whole numbers from 0 to {one.size - 1}, as the vocabulary numbers them",
        cause="An Embedding looks up rows by number, and casts what it gets to integers (int32): fractions are cut "
        f"off\nwithout a word{became}. Ids must not be scaled or normalised; only measured values are.",
        fix=unscaled
        or (
            "give the ids as they are, whole numbers: scale and normalise measured values only\n"
            "or, where these are measured values, leave the Embedding out: "
            f"{one.source}[..., {numpy_name(one.place)}.newaxis] is what a recurrent layer reads"
        ),
        unsure="whether these numbers are ids that were scaled or measured values" if measured else "",
        place=one.place,
        boundary=(one.source[:40], title(one.layer)),
    )


def _unscaled(event: ModelCalled) -> str:
    # "x = ids / 500" some lines before: the user's call with ids.
    place = event.place
    source = place.argument("x", 0, event.verb) if place is not None else ""
    if place is None or not source:
        return ""
    node: ast.expr | None = ast.parse(f"({source})", mode="eval").body if source.isidentifier() else None
    node = last_value(place, source) if node is not None else place_expression(source)
    for _ in range(4):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "astype":
            node = node.func.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Sub | ast.Mult):
            node = node.left
    if not isinstance(node, ast.Name) or node.id == source:
        return ""
    ids = as_array(place.names.get(node.id))
    if ids is None or not (ids == np.trunc(ids)).all():
        return ""
    return call_with(event, x=node.id) + "      # the ids as they are, not scaled"


def place_expression(source: str) -> ast.expr | None:
    """The syntax of an expression, or None."""
    try:
        return ast.parse(f"({source})", mode="eval").body
    except SyntaxError:
        return None


@SO513.on(Failure)
def floats_refused(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an Embedding of torch that was given floats, or whole numbers of a kind it does not read."""
    call = failure.calls[0] if failure.calls else None
    if not isinstance(call, TorchCall) or not is_embedding(call.module) or is_keras(call.module):
        return None
    if "scalar types: Long, Int" not in str(failure.error) or not call.inputs:
        return None
    value: Any = call.inputs[0]
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    ids = as_array(value)
    place = failure.place
    names = place.names_of(value) if place is not None else []
    node = place.node() if place is not None else None
    source = place.source(node.args[0]) if place and isinstance(node, ast.Call) and node.args else ""
    source = source or (names[0] if names else "x")
    whole = ids is None or not ids.size or bool((ids == np.trunc(ids)).all())
    call_source = place.expression if place is not None else ""
    fixed = call_source.replace(source, f"{source}.long()", 1) if call_source and source else f"{source}.long()"
    return Evidence(
        title=f"{title(call.module)} was given {kind}, and looks up whole numbers.",
        got=f"{source}: {kind}" + (f", {range_words(ids)}" if ids is not None and ids.size else ""),
        wanted=f"whole numbers, torch.long, from 0 to {call.module.num_embeddings - 1}",
        cause="An Embedding looks up rows by number. "
        + (
            "These ids are whole numbers kept as another kind."
            if whole
            else "These numbers have fractions: ids must not\nbe scaled or normalised, or they are measured values, "
            "which need no Embedding."
        ),
        fix=fixed if whole else "give the ids as they are, before anything is scaled, as torch.long",
        place=place,
        boundary=(source[:40], title(call.module)),
    )


# --- vectors ---------------------------------------------------------------------------------------------------------


@SO514.on(Failure)
def vectors(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an Embedding before a recurrent layer that got (batch, time, features)."""
    message = failure.message
    if not re.search("ndim|incompatible|shape", message):
        return None
    layer, shape, ids, source, place = _vectors(failure, seen)
    if layer is None or shape is None or len(shape) != 3:
        return None
    width = shape[2]
    hot = ids is not None and _one_hot(ids)
    single = width == 1
    made = source_of_embedding(layer, seen)
    if hot:
        fix = f"{source}.argmax(axis=-1)      # ids 0 to {(width or 1) - 1}, and keras.Input(shape=({shape[1]},))"
        cause = (
            f"Each step is a one-hot vector of {width} numbers. An Embedding makes a vector of an id, and would "
            "look up\neach of these zeros and ones: the result has four axes, which no recurrent layer reads."
        )
    elif single:
        fix = f"{source}[..., 0]      # and keras.Input(shape=({shape[1]},))"
        cause = (
            "There is an axis of one feature behind time. An Embedding makes a vector of each number, so the result "
            "has\nfour axes, and a recurrent layer reads three."
        )
    else:
        fix = f"leave {made} out: the recurrent layer reads (batch, time, features) directly"
        if ids is not None and ids.dtype.kind in "iu":
            fix += (
                f"\nor, where each step has {width} ids, one Embedding for each: x[..., 0], x[..., 1], and concatenate"
            )
        cause = (
            f"Each step has {width} features. An Embedding makes a vector of a single id, and would look up each of "
            f"the\n{width} numbers: the result has four axes, which no recurrent layer reads."
        )
    return Evidence(
        title=f"{title(layer)} reads one id per step, and was given {'one-hot ' if hot else ''}vectors.",
        got=f"{source}: (batch {_size(shape[0])}, time {_size(shape[1])}, features {_size(width)})"
        + (", one-hot" if hot else f", {range_words(ids)}" if ids is not None else ""),
        wanted=f"(batch {_size(shape[0])}, time {_size(shape[1])}): one id per step",
        cause=cause,
        fix=fix,
        place=place,
        boundary=(source[:40], title(layer)),
    )


def _vectors(failure: Failure, seen: Seen) -> tuple[Any, Any, np.ndarray | None, str, Place | None]:
    # The Embedding, the shape it got, the numbers where they are known, their source.
    verb = own_verb(failure)
    for one in lookups(verb, seen) if verb is not None else ():
        if one.ids.ndim == 3:
            return one.layer, one.value.shape, one.ids, one.source, one.place
    call = failure.calls[0] if failure.calls else None
    if not isinstance(call, LayerCall) or not is_recurrent(call.layer):
        return None, None, None, "", None
    shape = getattr(call.inputs, "shape", None)
    history = getattr(call.inputs, "_keras_history", None)
    layer = getattr(history, "operation", None)
    if shape is None or len(shape) != 4:
        return None, None, None, "", None
    if is_embedding(layer):
        return layer, tuple(shape)[:3], None, "the Input", failure.place
    given = given_to(failure)
    ids = as_array(given.x) if given is not None else None
    embeddings = [one.layer for one in seen.histories.values() if is_embedding(one.layer)]
    if given is None or ids is None or ids.ndim != 3 or len(embeddings) != 1:
        return None, None, None, "", None
    return embeddings[0], ids.shape, ids, given.source, given.place


def _one_hot(ids: np.ndarray) -> bool:
    return ids.shape[-1] > 1 and bool(((ids == 0) | (ids == 1)).all()) and bool((ids.sum(axis=-1) == 1).all())


def _size(size: Any) -> str:
    return "?" if size is None else str(size)


# --- words -----------------------------------------------------------------------------------------------------------


@SO516.on(Failure)
def words(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for strings given to pad_sequences."""
    place, message = failure.place, str(failure.error)
    call = place.call("pad_sequences") if place is not None else None
    if place is None or call is None or not re.search("invalid literal for int|could not convert string", message):
        return None
    node = call.args[0] if call.args else next((one.value for one in call.keywords if one.arg == "sequences"), None)
    source = place.source(node) if node is not None else "sequences"
    value = value_of(place, node)
    contents = contents_of(value)
    if contents is not None and not contents.has("text"):
        return None
    texts = isinstance(value, list | tuple) and bool(value) and isinstance(value[0], str)
    vocabulary = _vocabulary(place)
    pad = pad_sequences_name(place)
    if texts:
        fix = (
            "vectorizer = keras.layers.TextVectorization()\n"
            f"vectorizer.adapt({source})\nx = {numpy_name(place)}.array(vectorizer({source}))      # ids, padded with "
            f"0 already"
        )
    elif vocabulary:
        fix = f"{pad}([[{vocabulary}[word] for word in one] for one in {source}], padding='post')"
    else:
        fix = (
            f"ids = {{word: number for number, word in enumerate(sorted({{word for one in {source} for word in one}}), "
            f"start=1)}}\nx = {pad}([[ids[word] for word in one] for one in {source}], padding='post')\n"
            "# and Embedding(len(ids) + 1, ..., mask_zero=True)"
        )
    return Evidence(
        title="pad_sequences was given words, not token ids.",
        got=f"{source}: "
        + (f"a list of {len(value)} {'texts' if texts else 'lists of words (strings)'}" if value else "strings"),
        wanted="lists of whole numbers: one token id for each word",
        cause="pad_sequences makes an array of whole numbers (dtype='int32'), and a word is none. A vocabulary "
        "gives each\nword its id, from 1 on, because 0 is the padding.",
        fix=fix,
        place=place,
    )


def _vocabulary(place: Place) -> str:
    for name, value in place.names.items():
        if name.startswith("_") or not isinstance(value, dict) or not value:
            continue
        key, one = next(iter(value.items()))
        if isinstance(key, str) and isinstance(one, int):
            return name
    return ""
