"""Token ids that an Embedding has no row for: too large, or below zero."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, Failure, LayerCall, ModelCalled, TorchCall
from sostenuto.diagnosis.rules.container_calls import own_verbs, with_argument
from sostenuto.diagnosis.rules.container_views import numpy_name
from sostenuto.diagnosis.rules.token_fixes import rows_needed, source_of_embedding, with_rows
from sostenuto.diagnosis.rules.token_views import (
    Lookup,
    argument_of,
    is_embedding,
    lookups,
    note_reader,
    range_words,
    share,
    size_of,
    where_is,
    within_verb,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import backend, is_keras, is_ours, makes_mask, recurrent_layers, title

SO511 = rule(
    "SO511",
    "A token id is too large for its Embedding",
    """Embedding(input_dim=n) is a table of n rows, numbered 0 to n - 1. A vocabulary that numbers its words from 1 to
    n, because 0 pads, needs n + 1 rows. TensorFlow and PyTorch raise in the middle of training, when the first such
    id comes; JAX does not: it gives NaN for it, and the loss becomes NaN.""",
    """input_dim is the largest id + 1: len(vocabulary) + 1 where ids begin at 1, vectorizer.vocabulary_size() with a
    TextVectorization or StringLookup. Map rare tokens to one id for unknown words.""",
    example="""
import numpy as np, keras
vocabulary = {"a": 1, "b": 2, "c": 3}
x = np.array([[1, 2, 3], [3, 1, 0]])
model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(len(vocabulary), 2)])
model.predict(x, verbose=0)
""",
    repaired="""
import numpy as np, keras
vocabulary = {"a": 1, "b": 2, "c": 3}
x = np.array([[1, 2, 3], [3, 1, 0]])
model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(len(vocabulary) + 1, 2)])
model.predict(x, verbose=0)
""",
)

SO512 = rule(
    "SO512",
    "Token ids below zero are looked up from the end of the table",
    """An id of -1, often put in as padding, counts from the end: Keras looks up the last row of the Embedding, which
    belongs to a real token, without a word. torch.nn.Embedding refuses it.""",
    """Pad with 0 and keep 0 free: let ids begin at 1, make input_dim one larger, and set mask_zero=True, so that the
    padding is not read as data.""",
    example="""
import numpy as np, keras
x = np.array([[4, 2, 3], [1, 5, -1]])
model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(6, 2), keras.layers.LSTM(1)])
model.predict(x, verbose=0)
""",
    repaired="""
import numpy as np, keras
x = np.array([[4, 2, 3], [1, 5, -1]]) + 1
embedding = keras.layers.Embedding(7, 2, mask_zero=True)
model = keras.Sequential([keras.Input((3,), dtype="int32"), embedding, keras.layers.LSTM(1)])
model.predict(x, verbose=0)
""",
)

_NOT_IN = re.compile(r"indices\[([\d,]*)\] = (-?\d+) is not in \[0, (\d+)\)")
_OUT = re.compile("index out of range in self|is not in \\[0, |device-side assert|out of bounds")

# So many times the rows of the table: these are no positions in a vocabulary.
_FAR = 20


# --- where they are seen ---------------------------------------------------------------------------------------------


@SO511.on(LayerCall)
def remember_reader(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks at ids that an Embedding got outside of fit, and remembers which input of a model it reads."""
    found = _direct(event, seen)
    # TensorFlow and torch raise, if not at once: they make the shapes of a new model with calls that look nothing up.
    return _too_large(found, seen) if found is not None and backend() == "jax" else None


@SO512.on(LayerCall)
def below_zero_direct(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks at ids that an Embedding got outside of fit."""
    found = _direct(event, seen)
    return _below_zero(found, seen) if found is not None and not event.masked else None


def _direct(event: LayerCall, seen: Seen) -> Lookup | None:
    if not is_embedding(event.layer):
        return None
    if event.outer is not None:
        note_reader(event, seen)
    ids = None if event.symbolic or within_verb(event, seen) else as_array(event.inputs)
    if ids is None or not ids.size:
        return None
    return Lookup(event.layer, ids, event.place, event.inputs, lambda: _name(event))


def _name(event: LayerCall | TorchCall) -> str:
    value = event.inputs if isinstance(event, LayerCall) else (event.inputs[0] if event.inputs else None)
    names = event.place.names_of(value) if event.place is not None else []
    return names[0] if names else "the ids"


@SO511.on(Batch)
def remember_batch(event: Batch, seen: Seen) -> None:
    """Remembers what is wrong with the ids of a generator's first batch, until it is known that nothing raised."""
    found: list[tuple[str, Evidence]] = []
    for one in lookups(event.call, seen, event.x):
        for code, evidence in (("SO511", _too_large(one, seen)), ("SO512", _below_zero(one, seen))):
            found += [(code, evidence)] if evidence is not None else []
    if found and event.place is not None:
        seen.notes["ids of batches"][event.place.bare()] = found


@SO511.on(ModelCalled)
def too_large(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for ids that are too large in data that went through without an exception."""
    yield from _noted(event, seen, "SO511")
    for one in lookups(event, seen):
        evidence = _too_large(one, seen)
        if evidence is not None:
            yield evidence


@SO512.on(ModelCalled)
def below_zero(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for ids below zero in data that went through without an exception."""
    if _masked_otherwise(event, seen):
        return
    yield from _noted(event, seen, "SO512")
    for one in lookups(event, seen):
        evidence = _below_zero(one, seen)
        if evidence is not None:
            yield evidence


def _noted(event: ModelCalled, seen: Seen, code: str) -> list[Evidence]:
    known = seen.notes["ids of batches"].get(event.place.bare(), []) if event.place is not None else []
    return [evidence for one, evidence in known if one == code]


def _masked_otherwise(event: ModelCalled, seen: Seen) -> bool:
    # A mask that the program made itself skips the steps of these ids, whatever was looked up.
    layers = recurrent_layers(event.model) if not is_ours(event.model) else []
    if any(makes_mask(layer) for layer in getattr(event.model, "layers", ())):
        return False
    return any(any(seen.history(layer).masked) for layer in layers)


@SO511.on(Failure)
def too_large_raised(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an Embedding that was asked for a row it does not have."""
    if not _OUT.search(failure.message):
        return None
    for one in _failing(failure, seen):
        evidence = _too_large(one, seen)
        if evidence is not None:
            return evidence
    return _by_message(failure, seen)


@SO512.on(Failure)
def below_zero_raised(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an Embedding that was asked for a row below zero."""
    if not _OUT.search(failure.message):
        return None
    for one in _failing(failure, seen):
        if one.ids.max() < one.size:
            return _below_zero(one, seen)
    return None


def _failing(failure: Failure, seen: Seen) -> Iterator[Lookup]:
    for verb in own_verbs(failure):
        yield from lookups(verb, seen)
    call = failure.calls[0] if failure.calls else None
    layer = call.layer if isinstance(call, LayerCall) else getattr(call, "module", None)
    if call is None or not is_embedding(layer):
        return
    value = call.inputs if isinstance(call, LayerCall) else (call.inputs[0] if call.inputs else None)
    ids = as_array(value)
    if ids is not None and ids.size:
        yield Lookup(layer, ids, failure.place, value, lambda: _name(call))


def _by_message(failure: Failure, seen: Seen) -> Evidence | None:
    # TensorFlow names the id and the size of the table; whose table it is follows where only one has this size.
    found = _NOT_IN.search(failure.message)
    if found is None:
        return None
    layers = [history.layer for history in seen.histories.values()]
    layers = [layer for layer in layers if is_embedding(layer) and size_of(layer) == int(found[3])]
    if not layers:
        return None
    index = tuple(int(one) for one in found[1].split(",") if one)
    ids = np.zeros(tuple(one + 1 for one in index) or (1,), "int64")
    ids[index or (0,)] = int(found[2])
    one = Lookup(layers[0], ids, failure.place, None, lambda: "the batch")
    return _too_large(one, seen, of_message=True)


# --- what is said ----------------------------------------------------------------------------------------------------


def _too_large(one: Lookup, seen: Seen, of_message: bool = False) -> Evidence | None:
    # Missing values have a code of their own.
    if one.ids.dtype.kind not in "iuf" or not np.isfinite(one.ids).all():
        return None
    over = one.ids >= one.size
    if not over.any():
        return None
    largest, name = int(one.ids.max()), argument_of(one.layer)
    place = one.place
    found = f"the largest id is {largest}, at {where_is(one.ids, one.ids == one.ids.max())}"
    got = f"{one.source}: {range_words(one.ids)}; {found}; {share(over)} too large"
    if of_message:
        got = f"id {largest} at {where_is(one.ids, over)} of {one.source}"
    far = largest >= max(_FAR * one.size, 1000)
    silent = " JAX raises nothing:\nit gives NaN for such an id, and the loss becomes NaN." if _is_silent(one) else ""
    return Evidence(
        title=f"A token id is out of range for {title(one.layer)}: the largest is {largest}, and {name} is {one.size}.",
        got=got,
        wanted=f"ids from 0 to {one.size - 1}: {name}={one.size} makes {one.size} rows"
        + (f"; id {largest} needs {name}={largest + 1}" if not far else ""),
        cause=_cause(one, largest, far) + silent,
        fix=_fix(one, seen, largest, far),
        place=place,
        boundary=(one.source[:40], title(one.layer)),
    )


def _is_silent(one: Lookup) -> bool:
    return is_keras(one.layer) and backend() == "jax"


def _cause(one: Lookup, largest: int, far: bool) -> str:
    name = argument_of(one.layer)
    if far:
        return (
            f"An Embedding has one row for each id, counted from 0. Numbers as large as {largest} are no positions "
            "in a\nvocabulary: they are hashes, or numbers of customers or articles, and have to be numbered anew."
        )
    if largest == one.size:
        return (
            f"{name} is the number of rows, which are counted from 0: it has to be the largest id + 1. Where a "
            "vocabulary\ncounts its words from 1, because 0 pads, that is the size of the vocabulary + 1."
        )
    return (
        f"{name} is the number of rows, which are counted from 0: it has to be the largest id + 1. The vocabulary "
        f"that\nmade these ids is larger than {one.size}."
    )


def _fix(one: Lookup, seen: Seen, largest: int, far: bool) -> str:
    if far:
        np_name, source = numpy_name(one.place), one.source
        made = source_of_embedding(one.layer, seen)
        rows = with_argument(made, argument_of(one.layer), 0, "len(known)")
        return (
            f"known, x = {np_name}.unique({source}, return_inverse=True)      # ids from 0 to len(known) - 1\n{rows}\n"
            f"or keras.layers.Hashing(num_bins={one.size})({source}) for numbers that are not all known"
        )
    new = with_rows(one.layer, one.place, seen, largest)
    rows = rows_needed(one.layer, one.place, source_of_embedding(one.layer, seen), largest)
    note = (
        f"      # {rows} = {largest + 1}, the largest id + 1"
        if rows != str(largest + 1)
        else "      # the largest id + 1"
    )
    if "vocabulary_size" in rows:
        note = "      # all ids that the layer can give"
    text = new + note
    if largest > one.size:
        np_name = numpy_name(one.place)
        text += (
            f"\nor keep {one.size} rows, and give one id to all rare words: "
            f"{np_name}.where({one.source} < {one.size}, {one.source}, 1)"
        )
    return text


def _below_zero(one: Lookup, seen: Seen) -> Evidence | None:
    if one.ids.dtype.kind not in "if" or not np.isfinite(one.ids).all() or _has_fractions(one.ids):
        return None
    under = one.ids < 0
    if not under.any() or one.ids.max() >= one.size + 1:
        return None
    lowest, name = int(one.ids.min()), argument_of(one.layer)
    keras = is_keras(one.layer)
    pads = lowest == -1 and one.ids.ndim == 2 and bool((under[:, -1] | under[:, 0]).any())
    row = one.size + lowest
    made = source_of_embedding(one.layer, seen)
    new = with_argument(made, name, 0, str(one.size + 1))
    new = with_keyword(new, "mask_zero", "True") if keras else with_keyword(new, "padding_idx", "0")
    return Evidence(
        title=f"Token ids below zero reach {title(one.layer)}" + (": -1 is used as padding." if pads else "."),
        got=f"{one.source}: {range_words(one.ids)}; {share(under)} below 0, the first at {where_is(one.ids, under)}",
        wanted=f"ids from 0 to {one.size - 1}: {name}={one.size}" + (", with 0 kept for padding" if pads else ""),
        cause=(
            f"A negative id counts from the end: {lowest} looks up row {row}, which belongs to another token, and "
            "nothing\n"
            + ("is raised. So the padding is read as data, as if it were that token." if pads else "is raised.")
            if keras
            else f"torch.nn.Embedding looks up rows by number, from 0; there is no row {lowest}."
        ),
        fix=f"{one.source} + {-lowest}      # ids from {-lowest}, and padding is 0\n{new}"
        if lowest == -1
        else f"{one.source} - {one.source}.min()      # ids from "
        f"0\n{with_argument(made, name, 0, str(one.size - lowest))}",
        place=one.place,
        boundary=(one.source[:40], title(one.layer)),
    )


def _has_fractions(ids: np.ndarray) -> bool:
    return ids.dtype.kind == "f" and bool((ids != np.trunc(ids)).any())
