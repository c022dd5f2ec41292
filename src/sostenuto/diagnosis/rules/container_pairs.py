"""Inputs and targets that reach fit in the wrong wrapping: as one tuple, from a generator of lists, as a function."""

from __future__ import annotations

import inspect
import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, Failure, ModelCall
from sostenuto.diagnosis.rules.container_calls import call_with, given_to, is_pair, outer_call, own_verb, written
from sostenuto.diagnosis.rules.container_views import count_words, is_array, is_number, shape_in
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_ours, kinds

SO258 = rule(
    "SO258",
    "Inputs and targets are given as one",
    """fit takes inputs and targets as two arguments, fit(x, y). A tuple (x, y) in place of x is taken for two inputs of
    the model, and there are no targets left. Datasets and generators give both together, (inputs, targets), in each
    batch; one that gives inputs alone has no targets either.""",
    "model.fit(x, y), or a dataset whose batches are pairs (inputs, targets).",
    example="""
import numpy as np, keras
data = (np.zeros((8, 5, 2)), np.zeros(8))
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(data, verbose=0)
""",
    repaired="""
import numpy as np, keras
data = (np.zeros((8, 5, 2)), np.zeros(8))
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(*data, verbose=0)
""",
)

SO259 = rule(
    "SO259",
    "Keras cannot read what gives the batches",
    """Keras reads arrays, tf.data, a torch DataLoader, a keras.utils.PyDataset, and generators whose batches are
    tuples, (inputs, targets): a list [inputs, targets] is refused, and so are the function that makes a generator,
    and iterators of other kinds such as zip.""",
    "yield inputs, targets (a tuple); several inputs as a tuple of their own; and call the function: fit(batches()).",
    example="""
import numpy as np, keras
def batches():
    while True:
        yield [np.zeros((4, 5, 2)), np.zeros((4, 1))]
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(batches(), steps_per_epoch=2, verbose=0)
""",
    repaired="""
import numpy as np, keras
def batches():
    while True:
        yield np.zeros((4, 5, 2)), np.zeros((4, 1))
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(batches(), steps_per_epoch=2, verbose=0)
""",
)

# Where targets are missing, Keras makes an array of None.
_NO_TARGETS = re.compile("None is not a valid value|None values not supported|Invalid dtype: object")

_LEARNS = ("fit", "evaluate")


@SO258.on(Failure)
def given_as_one(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a pair in place of x."""
    given = given_to(failure)
    if given is None or given.verb is None or is_ours(given.model) or not is_pair(given):
        return None
    x, source = given.x, given.source
    parts = ("x", "y", "sample_weight")[: len(x)]
    elements = re.fullmatch(r"[\[(]\s*([\w.]+),\s*([\w.]+)\s*[\])]", source)
    changes = {"x": elements[1], "y": elements[2]} if elements and len(x) == 2 else {}
    fix = call_with(given.verb, **changes) if changes else call_with(given.verb, x=f"{source}[0]", y=f"{source}[1]")
    return Evidence(
        title=f"{given.name} was given inputs and targets as one {type(x).__name__}.",
        got=f"x={source}: a {type(x).__name__} of {len(x)}, {count_words([str(shape_in(one)) for one in x])}, and y "
        "is missing",
        wanted=f"{count_words([f'{name}' for name in parts])} as arguments of their own",
        cause=f"Keras takes a {type(x).__name__} in place of x for several inputs of the model, so the second part "
        "is not\nread as targets, and there are none.",
        fix=fix,
        place=given.place,
        boundary=(source[:40], "the model"),
    )


@SO258.on(Failure)
def no_targets_in_batches(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a dataset or generator whose batches are inputs alone, given to fit."""
    verb = own_verb(failure)
    if verb is None or verb.verb not in _LEARNS or verb.y is not None or is_ours(verb.model):
        return None
    what = _source_of_batches(verb.x)
    if not what or not _NO_TARGETS.search(str(failure.error)) or _gives_targets(verb, seen) is not False:
        return None
    source = written(verb, "x")
    return Evidence(
        title=f"{verb.name} was given batches without targets.",
        got=f"{source}: a {what} whose batches hold inputs alone",
        wanted="batches that are pairs: (inputs, targets)",
        cause=f"{verb.verb} compares outputs with targets, and takes them from the batches of a {what}. There are "
        "none\nin these, so the loss meets None.",
        fix={
            "generator": "yield inputs, targets",
            "tf.data dataset": "tf.data.Dataset.from_tensor_slices((x, y)).batch(32)",
            "DataLoader": "DataLoader(TensorDataset(x, y), batch_size=32)",
        }.get(what, "return inputs, targets"),
        place=verb.place,
        boundary=(source[:40], "the model"),
    )


def _source_of_batches(x: Any) -> str:
    found = kinds(x)
    if inspect.isgenerator(x):
        return "generator"
    for name, words in (("DatasetV2", "tf.data dataset"), ("DataLoader", "DataLoader"), ("PyDataset", "PyDataset")):
        if name in found:
            return words
    return ""


def _gives_targets(verb: ModelCall, seen: Seen) -> bool | None:
    # Whether batches hold targets, where that can be told without taking one.
    spec = getattr(verb.x, "element_spec", None)
    if spec is not None:
        return isinstance(spec, tuple) and len(spec) > 1
    if "DataLoader" in kinds(verb.x):
        tensors = getattr(getattr(verb.x, "dataset", None), "tensors", None)
        if isinstance(tensors, tuple | list):
            return len(tensors) > 1
        return False if is_array(getattr(verb.x, "dataset", None)) else None
    known = first_batch(verb, seen)
    return known["parts"] > 1 if known and known["kind"] == "tuple" else None


# --- generators ------------------------------------------------------------------------------------------------------


@SO259.on(Batch)
def remember(event: Batch, seen: Seen) -> None:
    """Remembers the form of a generator's first batch."""
    x, y = event.x, event.y
    # A batch that is no pair arrives whole.
    pair = y is not None
    kind = "tuple" if pair or isinstance(x, tuple) else type(x).__name__
    seen.notes["forms of batches"][id(event.call)] = {
        "kind": kind,
        "parts": 2 if pair else (len(x) if isinstance(x, tuple | list) else 1),
        "x": type(x).__name__,
        "shapes": [shape_in(x), shape_in(y)] if pair else [shape_in(one) for one in x] if isinstance(x, list) else [],
        "y": type(y).__name__ if not (isinstance(y, list) and y and is_number(y[0])) else "list of numbers",
        "rows": shape_in(y),
    }


def first_batch(verb: ModelCall, seen: Seen) -> dict[str, Any] | None:
    """The form of the first batch of a generator, or None.

    Args:
        verb: the call that asked for it.
        seen: the memory.
    """
    known: dict[str, Any] | None = seen.notes["forms of batches"].get(id(verb))
    return known


@SO259.on(Failure)
def not_readable(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for generators of lists, functions, and iterators that Keras refuses."""
    verb = own_verb(failure)
    if verb is None or is_ours(verb.model):
        return None
    message = str(failure.error)
    source = written(verb, "x")
    known = first_batch(verb, seen)
    if known and known["kind"] != "tuple" and "must return a tuple" in message:
        return _no_tuple(verb, source, known)
    if known and known["x"] == "list" and "output_signature" in message:
        return Evidence(
            title="A generator gives its inputs in a list.",
            got=f"batches of {source}: ([...], targets), the inputs in a list",
            wanted="((...), targets): the inputs in a tuple",
            cause="On TensorFlow, Keras makes a tf.data dataset of the generator, and that reads tuples, not lists.",
            fix="yield (first, second), targets      # round brackets around the inputs",
            place=verb.place,
        )
    if known and known["y"] == "list of numbers":
        return Evidence(
            title="A generator gives its targets in a Python list.",
            got=f"batches of {source}: targets in a list of {(known['rows'] or ['?'])[0]} numbers",
            wanted="targets in one array, with the batch as its first axis",
            cause="Keras takes a list of targets for those of several outputs, one array each, and makes no array "
            "of it.",
            fix="yield inputs, np.array(targets)",
            place=verb.place,
        )
    if "Unrecognized data type" not in message:
        return None
    return _no_data(verb, source)


def _no_tuple(verb: ModelCall, source: str, known: dict[str, Any]) -> Evidence:
    rows = {shape[0] for shape in known["shapes"] if shape}
    alone = known["kind"] != "list" or known["parts"] < 2
    pair = not alone and len(rows) == 1
    learns = verb.verb in _LEARNS
    form = "inputs, targets" if learns else "inputs,"
    what = f"a list of {known['parts']}" if known["kind"] == "list" else f"a single {known['kind']}"
    return Evidence(
        title=f"The batches of a generator are {'lists' if known['kind'] == 'list' else 'no tuples'}.",
        got=f"{source} gives {what} as a batch"
        + (f": shapes {count_words([str(shape) for shape in known['shapes']])}" if pair else ""),
        wanted=f"a tuple: ({form})",
        cause="Keras tells inputs from targets by the tuple around them. A list would be one input for each of its\n"
        "elements."
        if known["kind"] == "list"
        else "Keras tells inputs from targets by the tuple around them"
        + (", and this generator gives inputs without targets." if learns else "."),
        fix=f"yield {form}      # a tuple, no square brackets" if known["kind"] == "list" else f"yield {form}",
        place=verb.place,
        boundary=(source[:40], "the model"),
    )


def _no_data(verb: ModelCall, source: str) -> Evidence | None:
    x = verb.x
    found = kinds(x)
    if inspect.isfunction(x) or inspect.ismethod(x):
        made = f"{source}()"
        if not inspect.isgeneratorfunction(x):
            return Evidence(
                title=f"{verb.name} was given a function.",
                got=f"x={source}: a function",
                wanted="arrays, a dataset, or a generator",
                cause="Keras does not call functions; it reads what they return.",
                fix=call_with(verb, x=made),
                place=verb.place,
            )
        return Evidence(
            title=f"{verb.name} was given the function that makes a generator, not the generator.",
            got=f"x={source}: a function",
            wanted=f"{made}: the generator that it returns",
            cause="A function with yield gives its generator when it is called; Keras does not call it.",
            fix=call_with(verb, x=made),
            place=verb.place,
        )
    if found & {"zip", "map", "enumerate", "filter", "chain"}:
        name = type(x).__name__
        pair = re.fullmatch(r"zip\(\s*([\w.]+)\s*,\s*([\w.]+)\s*\)", source)
        return Evidence(
            title=f"{verb.name} was given a {name}.",
            got=f"x={source}: a {name} object, which gives one sample after the other",
            wanted="arrays of all samples, x and y, or a dataset of batches",
            cause="Keras reads arrays, datasets and generators. It does not read other iterators, and would not put\n"
            "their samples together to batches.",
            fix=call_with(verb, x=pair[1], y=pair[2]) if pair and outer_call(verb) else "model.fit(x, y)",
            place=verb.place,
        )
    if (
        not is_array(x)
        and hasattr(type(x), "__getitem__")
        and hasattr(type(x), "__len__")
        and not isinstance(x, list | tuple | dict | str | range)
    ):
        name = type(x).__name__
        return Evidence(
            title=f"{verb.name} was given an object that is no PyDataset.",
            got=f"x={source}: a {name} with __len__ and __getitem__",
            wanted="a subclass of keras.utils.PyDataset",
            cause=f"Keras asks a PyDataset for its batches by number. {name} has the methods, but is not made a\n"
            "PyDataset, so Keras does not know what it is.",
            fix=f"class {name}(keras.utils.PyDataset):      # and super().__init__() in its __init__",
            place=verb.place,
        )
    return None
