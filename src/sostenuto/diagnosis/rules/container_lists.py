"""Python lists given to Keras, which takes a list for several inputs (or targets), never for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall, ModelCall
from sostenuto.diagnosis.rules.container_calls import Given, givens, is_pair, written
from sostenuto.diagnosis.rules.container_targets import targets_in_list
from sostenuto.diagnosis.rules.container_views import (
    batch_words,
    count_of_inputs,
    count_words,
    inputs_of,
    is_array,
    is_number,
    kind_words,
    numpy_name,
    rows_in,
    sample_words,
    shape_in,
    stack_name,
    wanted_words,
)
from sostenuto.diagnosis.rules.ragged_lengths import measure
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import backend, is_model, is_ours, is_recurrent, kinds
from sostenuto.diagnosis.wording import count

SO251 = rule(
    "SO251",
    "A list of samples is taken for as many inputs",
    """Keras takes a Python list for the several inputs of a model, one array each, not for a batch of samples. With 120
    windows in a list it looks for 120 inputs, and says that the cardinality of the data is ambiguous, or that it
    expected 1 input and received 120. Nested lists of numbers are not read at all.""",
    """Make one array of the list, with the batch as its first axis: np.stack(x) for a list of arrays, np.array(x) for
    nested lists of numbers.""",
    example="""
import numpy as np, keras
windows = [np.zeros((5, 2), "float32") for _ in range(8)]
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(3)])
model.compile("adam", "mse")
model.fit(windows, np.zeros((8, 3)), verbose=0)
""",
    repaired="""
import numpy as np, keras
windows = [np.zeros((5, 2), "float32") for _ in range(8)]
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(3)])
model.compile("adam", "mse")
model.fit(np.stack(windows), np.zeros((8, 3)), verbose=0)
""",
)

SO252 = rule(
    "SO252",
    "Of a list of arrays only the first is read",
    """A Sequential model has one input. Given a list of arrays, it reads the first one and leaves the others out,
    without a word: predict answers for one batch, fit learns from one.""",
    """Join the arrays along the axis that they share: np.concatenate(x) for batches of samples, axis=-1 for features of
    the same steps. A model of several inputs is made with keras.Model(inputs=[...], outputs=...).""",
    example="""
import numpy as np, keras
windows = [np.zeros((1, 5, 2), "float32") for _ in range(8)]
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(3)])
print(model.predict(windows, verbose=0).shape)
""",
    repaired="""
import numpy as np, keras
windows = [np.zeros((1, 5, 2), "float32") for _ in range(8)]
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(3)])
print(model.predict(np.concatenate(windows), verbose=0).shape)
""",
)


@SO251.on(Failure)
def list_ofsamples_in(failure: Failure, seen: Seen) -> list[Evidence]:
    """Looks for a list of arrays, or of numbers, given to a model of one input."""
    found = [_list_of_samples(given, failure) for given in givens(failure)]
    return [one for one in found if one is not None][:1]


def _list_of_samples(given: Given, failure: Failure) -> Evidence | None:
    items = samples_in(given, failure)
    if items is None:
        return None
    first = () if is_number(items[0]) else shape_in(items[0])
    if first is None or None in first or _unequal(items):
        return None
    number = len(items)
    known = inputs_of(given.model)
    tokens = bool(known) and known[0].tokens
    arrays = is_array(items[0])
    counted = bool(first) and "ambiguous" in str(failure.error)
    whole = arrays and len(first) > 1 and (known[0].fits(first) if known else first[0] == 1)
    shape = (number * (first[0] or 1), *first[1:]) if whole else (number, *first)
    if arrays:
        made = f"{stack_name(given.place, items, 'concatenate' if whole else 'stack')}({given.source})"
        what = f"{kind_words(items)}, each {batch_words(first) if whole else sample_words(first, tokens)}"
        cause = (
            f"Keras takes a list for the inputs of a model, one array each: {number} separate inputs, not a batch of\n"
            f"{number} samples. {reader_words(given)} has one input, and wants one array with the batch in front."
            + (
                f"\n(So it also takes {first[0]}, the first axis of each, for the number of samples.)"
                if counted
                else ""
            )
        )
    else:
        made = f"{numpy_name(given.place)}.array({given.source}{_dtype(items)})"
        what = (
            f"{'numbers' if is_number(items[0]) else kind_words(items)}, which would make {batch_words(shape, tokens)}"
        )
        cause = (
            "Keras does not make an array of nested lists: it takes a list for several inputs, and here every number\n"
            f"in the {number} lists would be one. {reader_words(given)} wants one array."
            if not is_number(items[0])
            else f"Keras does not make an array of a list: it takes it for several inputs, {number} of them, and "
            f"numbers\nare none. {reader_words(given)} wants one array."
        )
    changes = {"x": made}
    if given.verb is not None and targets_in_list(given.verb, given.x):
        changes["y"] = f"{numpy_name(given.place)}.array({written(given.verb, 'y')})"
    rest = (
        ""
        if not known or known[0].fits(shape)
        else f"\n# {batch_words(shape, tokens)}; the model reads {wanted_words(known[0])}"
    )
    return Evidence(
        title=f"{given.name} was given a list of {number}, and takes it for {number} inputs.",
        got=f"{given.source} is a {type(given.x).__name__} of {number} {what}",
        wanted=f"a single array: {batch_words(shape, tokens)}",
        cause=cause,
        fix=f"{given.call(**changes)}{rest}",
        place=given.place,
        boundary=(given.source[:40], reader_words(given)),
    )


def reader_words(given: Given) -> str:
    """What was given the data, in words."""
    return "The model" if is_model(given.model) else f"The layer {type(given.model).__name__}"


def _dtype(items: Sequence[Any]) -> str:
    one: Any = items
    while isinstance(one, list | tuple) and one:
        one = one[0]
    return ", dtype='float32'" if isinstance(one, float | np.floating) else ""


def _unequal(items: Sequence[Any]) -> bool:
    if is_number(items[0]):
        return False
    lengths = measure(items)
    return lengths is None or lengths.unequal or len(lengths.widths) > 1


def samples_in(given: Given, failure: Failure) -> Sequence[Any] | None:
    """The list that was given, where it is one of samples: the model has one input; else None."""
    if is_ours(given.model) or not isinstance(given.x, list | tuple) or len(given.x) < 2:
        return None
    items = given.x
    if isinstance(items[0], str | bytes | dict) or is_pair(given):
        return None
    number = count_of_inputs(given.model)
    if number is not None:
        return items if number == 1 else None
    # Of a model with a call of its own, and of a layer, only what failed tells that one array was wanted.
    if given.verb is not None and "ambiguous" in str(failure.error) and rows_in(given.y) == len(items):
        return items
    if given.verb is not None and "Unrecognized data type" in str(failure.error):
        return items if not is_array(items[0]) and (given.y is None or rows_in(given.y) == len(items)) else None
    innermost = failure.calls[0] if failure.calls else None
    if not isinstance(innermost, LayerCall) or not isinstance(innermost.inputs, list | tuple):
        return None
    # A recurrent layer reads [x, h, c] too, and layers that merge read lists.
    several = is_recurrent(innermost.layer) and len(items) <= 3
    if len(innermost.inputs) != len(items) or several or not _reads_one(innermost.layer, failure):
        return None
    return items


def _reads_one(layer: Any, failure: Failure) -> bool:
    return is_recurrent(layer) or "expects 1 input(s)" in str(failure.error) or "Embedding" in kinds(layer)


# --- silent: all but the first are left out --------------------------------------------------------------------------


@SO252.on(ModelCall)
def only_the_first(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for a list of batches given to a model of one input, which reads the first."""
    if is_ours(event.model) or not isinstance(event.x, list | tuple) or len(event.x) < 2:
        return None
    # A Functional model refuses it, but for predict on JAX.
    if not _takes_the_first(event) or not all(is_array(one) for one in event.x):
        return None
    known = inputs_of(event.model)
    shapes = [shape_in(one) for one in event.x]
    if len(known) != 1 or any(not shape or not known[0].fits(shape) for shape in shapes):
        return None
    rows = [shape[0] for shape in shapes if shape]
    source, place = written(event, "x"), event.place
    given = Given(event.model, event.x, event.y, place, source, event)
    if event.y is not None and rows_in(event.y) not in (None, rows[0]):
        return None
    if event.y is not None or (rows[0] != 1 and len(set(rows)) == 1 and len(event.x) == 2):
        if len(set(rows)) != 1:
            return None
        axis = f"{stack_name(place, event.x, 'concatenate')}({source}, axis=-1)"
        wanted = "one array, or a model with as many inputs"
        fix = f"x = {axis}      # all features of a step together; the model reads one array\n" + (
            "keras.Model(inputs=[...], outputs=...) reads several arrays, each with an Input of its own"
        )
    else:
        made = f"{stack_name(place, event.x, 'concatenate')}({source})"
        wanted = f"one array {batch_words((sum(one or 0 for one in rows), *(shapes[0] or ())[1:]), known[0].tokens)}"
        fix = given.call(x=made)
    return Evidence(
        title=f"{event.name} reads the first array of a list, and leaves {count(len(rows) - 1, 'other')} out.",
        got=f"{source} is a list of {len(rows)} {kind_words(event.x)}, "
        + (f"each of {count(rows[0] or 0, 'row')}" if len(set(rows)) == 1 else f"of {count_words(rows)} rows"),
        wanted=wanted,
        cause="Keras takes a list for the inputs of a model, one array each. This model has one input: it reads the\n"
        f"first array, {count(rows[0] or 0, 'row')}, and never sees the other {len(rows) - 1}. Nothing is raised.",
        fix=fix,
        boundary=(source[:40], "the model"),
    )


def _takes_the_first(event: ModelCall) -> bool:
    if "Sequential" in kinds(event.model):
        return True
    return "Functional" in kinds(event.model) and event.verb == "predict" and backend() == "jax"
