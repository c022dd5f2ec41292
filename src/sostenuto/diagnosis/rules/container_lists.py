"""Python lists given to Keras, which takes a list for several inputs (or targets), never for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall, ModelCall
from sostenuto.diagnosis.rules.container_views import (
    Given,
    batch_words,
    call_with,
    count_of_inputs,
    count_words,
    given_to,
    inputs_of,
    is_array,
    is_number,
    is_pair,
    kind_words,
    lengths_of,
    numpy_name,
    outer_call,
    own_verb,
    sample_words,
    shape_in,
    stack_name,
    wanted_words,
    written,
)
from sostenuto.diagnosis.rules.ragged_fixes import lengths_words, padded, ragged_fix
from sostenuto.diagnosis.rules.ragged_lengths import measure
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_model, is_ours, is_recurrent, kinds
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
    """A Sequential model has one input. Given a list of arrays, it reads the first one and leaves the others out, without
    a word: predict answers for one batch, fit learns from one.""",
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

SO253 = rule(
    "SO253",
    "Targets stand in a Python list",
    """Keras takes a list of targets for those of several outputs, one array each, and does not read lists of numbers
    (Unrecognized data type). The same holds for sample_weight.""",
    "np.array(y): one array, with the batch as its first axis.",
    example="""
import numpy as np, keras
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(np.zeros((3, 5, 2)), [0.0, 1.0, 0.0], verbose=0)
""",
    repaired="""
import numpy as np, keras
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(np.zeros((3, 5, 2)), np.array([0.0, 1.0, 0.0]), verbose=0)
""",
)

SO262 = rule(
    "SO262",
    "Sequences of different lengths are given to Keras unpadded",
    """Keras reads rectangles: a batch in which all sequences have the same number of steps. A list of arrays of different
    lengths is taken for several inputs, an array of objects (dtype=object) is refused, and no layer pads by itself,
    whatever its Input says: shape=(None, 2) means any length, the same for a whole batch.""",
    """Pad the shorter ones: keras.utils.pad_sequences(x, padding='post', dtype='float32'), with a Masking layer. Or keep
    the lengths: sostenuto.Sequences.from_list(x) and a SequenceModel.""",
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


@SO251.on(Failure)
def list_of_samples(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a list of arrays, or of numbers, given to a model of one input."""
    given = given_to(failure)
    items = _samples(given, failure)
    if given is None or items is None:
        return None
    first = shape_in(items[0])
    if first is None or _unequal(items):
        return None
    number = len(items)
    known = inputs_of(given.model)
    tokens = bool(known) and known[0].tokens
    arrays = is_array(items[0])
    whole = arrays and len(first) > 1 and (known[0].fits(first) if known else first[0] == 1)
    shape = (number * first[0], *first[1:]) if whole else (number, *first)
    if arrays:
        made = f"{stack_name(given.place, items, 'concatenate' if whole else 'stack')}({given.source})"
        what = f"{kind_words(items)}, each {batch_words(first) if whole else sample_words(first, tokens)}"
        cause = (
            f"Keras takes a list for the inputs of a model, one array each: {number} separate inputs, not a batch of\n"
            f"{number} samples. {_one_input(given)} has one input, and wants one array with the batch in front."
        )
    else:
        made = f"{numpy_name(given.place)}.array({given.source}{_dtype(items)})"
        what = f"{'numbers' if is_number(items[0]) else kind_words(items)}, which would make {batch_words(shape, tokens)}"
        cause = (
            "Keras does not make an array of nested lists: it takes a list for several inputs, and here every number\n"
            f"in the {number} lists would be one. {_one_input(given)} wants one array."
            if not is_number(items[0])
            else f"Keras does not make an array of a list: it takes it for several inputs, {number} of them, and numbers\n"
            f"are none. {_one_input(given)} wants one array."
        )
    changes = {"x": made}
    if given.verb is not None and targets_in_list(given.verb, given.x):
        changes["y"] = f"{numpy_name(given.place)}.array({written(given.verb, 'y')})"
    rest = "" if not known or known[0].fits(shape) else f"\n# {batch_words(shape, tokens)}; the model reads {wanted_words(known[0])}"
    return Evidence(
        title=f"{given.name} was given a list of {number}, and takes it for {number} inputs.",
        got=f"{given.source} is a {type(given.x).__name__} of {number} {what}",
        wanted=f"a single array: {batch_words(shape, tokens)}",
        cause=cause,
        fix=f"{given.call(**changes)}{rest}",
        place=given.place,
        boundary=(given.source[:40], _one_input(given)),
    )


@SO262.on(Failure)
def unpadded(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a list, or an array of objects, that holds sequences of different lengths."""
    given = given_to(failure)
    if given is None or is_ours(given.model):
        return None
    value = given.x
    column = _is_objects(value)
    if column:
        value = value.ravel() if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 1 else value
    elif _samples(given, failure) is None:
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
            got=f"{source} is {_objects(value)} of dtype=object, each row a sequence of {count(lengths.longest, 'step')}",
            wanted=f"one array of numbers of shape {lengths.shape}, dtype='float32'",
            cause="A column of lists is an array of objects, and Keras reads numbers (Invalid dtype: object). The lengths\n"
            "are equal, so one array can be made of them.",
            fix=given.call(x=made),
            place=given.place,
        )
    made = padded(given.place, source, lengths)
    why = (
        "An array of objects (dtype=object) holds whole sequences as its elements, and Keras reads numbers.\n"
        if column
        else f"Keras takes a list for several inputs of the model, here {lengths.count}; and sequences of different lengths\n"
    )
    return Evidence(
        title=f"{given.name} was given sequences of different lengths, unpadded.",
        got=f"{source} is {_objects(value) + ' of dtype=object' if column else 'a list'}: {lengths_words(lengths)}",
        wanted=f"one array {batch_words(lengths.shape)}, the shorter sequences padded to {lengths.longest} steps",
        cause=why
        + (
            "They have different lengths, so no array of numbers can be made of them before the shorter ones are padded."
            if column
            else "do not make one array either: the shorter ones have to be padded first."
        ),
        fix=ragged_fix(given.place, source, lengths, given.call(x=made)),
        place=given.place,
        boundary=(source[:40], _one_input(given)),
    )


def _is_objects(value: Any) -> bool:
    return is_array(value) and str(getattr(value, "dtype", "")) == "object"


def _objects(value: Any) -> str:
    return f"a {type(value).__name__} of {len(value)}" if not isinstance(value, np.ndarray) else f"an array of {len(value)}"


def _one_input(given: Given) -> str:
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


def _samples(given: Given | None, failure: Failure) -> Sequence[Any] | None:
    # The list, where it is one of samples: the model has one input.
    if given is None or is_ours(given.model) or not isinstance(given.x, list | tuple) or len(given.x) < 2:
        return None
    items = given.x
    if isinstance(items[0], str | bytes | dict) or is_pair(given):
        return None
    number = count_of_inputs(given.model)
    if number is not None:
        return items if number == 1 else None
    # Of a model with a call of its own, and of a layer, only what failed tells that one array was wanted.
    if given.verb is not None and "ambiguous" in str(failure.error) and _rows(given.y) == len(items):
        return items
    if given.verb is not None and "Unrecognized data type" in str(failure.error):
        return items if not is_array(items[0]) and (given.y is None or _rows(given.y) == len(items)) else None
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


def _rows(value: Any) -> int | None:
    shape = shape_in(value)
    return shape[0] if shape else None


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
    if event.y is not None and _rows(event.y) not in (None, rows[0]):
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
        got=f"{source} is a list of {len(rows)} {kind_words(event.x)} with {count_words(rows)} rows each"
        if len(set(rows)) == 1
        else f"{source} is a list of {len(rows)} {kind_words(event.x)} with {count_words(rows)} rows",
        wanted=wanted,
        cause=f"Keras takes a list for the inputs of a model, one array each. This model has one input: it reads\n"
        f"{source}[0], {count(rows[0] or 0, 'row')}, and never sees the other {len(rows) - 1}. Nothing is raised.",
        fix=fix,
        boundary=(source[:40], "the model"),
    )


def _takes_the_first(event: ModelCall) -> bool:
    from sostenuto.diagnosis.views import backend

    if "Sequential" in kinds(event.model):
        return True
    return "Functional" in kinds(event.model) and event.verb == "predict" and backend() == "jax"


# --- targets ---------------------------------------------------------------------------------------------------------


@SO253.on(Failure)
def list_of_targets(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for targets, or weights, in a plain list."""
    verb = own_verb(failure)
    if verb is None or is_ours(verb.model):
        return None
    name = "y" if targets_in_list(verb, verb.x) else ""
    weights = verb.options.get("sample_weight")
    if not name and isinstance(weights, list | tuple) and weights and is_number(weights[0]):
        name = "sample_weight"
    # The same list in x has its own rule, which puts both right.
    if not name or isinstance(verb.x, list | tuple):
        return None
    value = verb.y if name == "y" else weights
    source = written(verb, name)
    items = list(value) if isinstance(value, range) else value
    shape = shape_in(items)
    lengths = lengths_of(items) if items and not is_number(items[0]) else None
    if shape is None or (lengths and len(set(lengths)) > 1):
        return None
    made = f"{numpy_name(verb.place)}.array({source})"
    if is_array(items[0]) and shape != (len(items),):
        made = f"{stack_name(verb.place, items)}({source})"
    kind = "numbers" if is_number(items[0]) or shape == (len(items),) else kind_words(items)
    return Evidence(
        title=f"{verb.name} was given its {'targets' if name == 'y' else 'weights'} in a Python list.",
        got=f"{source} is a {type(value).__name__} of {len(items)} {kind}",
        wanted=f"one array of shape {shape}" + (f", beside {shape_in(verb.x)} of x" if shape_in(verb.x) else ""),
        cause=f"Keras takes a list of targets for those of {len(items)} outputs of the model, one array each; it does not\n"
        "make an array of a list. This model has one output."
        if name == "y"
        else "Keras does not make an array of a list of weights.",
        fix=call_with(verb, **{name: made}) if outer_call(verb) else made,
        place=verb.place,
        boundary=(source[:40], "the model"),
    )


def targets_in_list(verb: ModelCall, x: Any) -> bool:
    """Whether targets stand in a plain list, one entry a sample, and not in one array per output.

    Args:
        verb: the call.
        x: its inputs.
    """
    y = list(verb.y) if isinstance(verb.y, range) else verb.y
    if not isinstance(y, list | tuple) or not y or isinstance(y[0], str | bytes | dict):
        return False
    try:
        outputs = len(verb.model.outputs or ())
    except Exception:
        outputs = 0
    if outputs > 1 or (len(y) == 1 and is_array(y[0])):
        return False
    rows = _rows(x)
    if isinstance(x, list | tuple) and len(x) != len(y):
        rows = _rows(x[0]) if x else None
    if is_number(y[0]) or isinstance(y[0], list | tuple):
        return True
    return rows == len(y) or shape_in(y[0]) == ()
