"""Targets and weights in plain Python lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, ModelCall
from sostenuto.diagnosis.rules.container_calls import call_with, outer_call, own_verbs, written
from sostenuto.diagnosis.rules.container_views import (
    is_array,
    is_number,
    kind_words,
    lengths_of,
    numpy_name,
    rows_in,
    shape_in,
    stack_name,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_ours

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


@SO253.on(Failure)
def list_of_targets(failure: Failure, seen: Seen) -> list[Evidence]:
    """Looks for targets, or weights, in a plain list."""
    found = [_list_of_targets(verb) for verb in own_verbs(failure)]
    return [one for one in found if one is not None][:1]


def _list_of_targets(verb: ModelCall) -> Evidence | None:
    if is_ours(verb.model):
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
    items: Sequence[Any] = list(value or ())
    shape = shape_in(items)
    lengths = lengths_of(items) if items and not is_number(items[0]) else None
    if shape is None or (lengths and len(set(lengths)) > 1):
        return None
    made = f"{numpy_name(verb.place)}.array({source})"
    if is_array(items[0]) and shape != (len(items),):
        made = f"{stack_name(verb.place, items)}({source})"
    kind = "numbers" if is_number(items[0]) or shape == (len(items),) else kind_words(items)
    return Evidence(
        title=f"{(verb.within or verb).name} was given its {'targets' if name == 'y' else 'weights'} in a Python list.",
        got=f"{source} is a {type(value).__name__} of {len(items)} {kind}",
        wanted=f"one array of shape {shape}" + (f", beside {shape_in(verb.x)} of x" if shape_in(verb.x) else ""),
        cause=f"Keras takes a list of targets for those of {len(items)} outputs of the model, one array each; it "
        "does not\nmake an array of a list. This model has one output."
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
    rows = rows_in(x)
    if isinstance(x, list | tuple) and len(x) != len(y):
        rows = rows_in(x[0]) if x else None
    if is_number(y[0]) or isinstance(y[0], list | tuple):
        return True
    return rows == len(y) or shape_in(y[0]) == ()
