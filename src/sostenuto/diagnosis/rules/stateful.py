"""Stateful layers of Keras that raise: a state for so many rows, and batches of others."""

from __future__ import annotations

import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Batch, Failure, LayerCall, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.stateful_fixes import (
    batch_in_input,
    cut_to_batches,
    declared,
    fitted_batch,
    other_batch,
)
from sostenuto.diagnosis.rules.stateful_plans import Plan, first_of, plan_of
from sostenuto.diagnosis.rules.stateful_runs import layer_words, rows_of_state, stock_stateful
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import backend, is_model, kinds, source_of, title
from sostenuto.diagnosis.wording import count

SO341 = rule(
    "SO341",
    "The last batch is short, and a stateful layer keeps state for a full one",
    """A stateful layer keeps one row of state for each row of the batch, so every batch must have the same number of
    rows. Data whose number of rows is no multiple of the batch size leaves a smaller batch at the end. Most
    backends refuse it; TensorFlow broadcasts a last batch of one row without a word, and predict then returns too
    many rows.""",
    """Use a multiple of the batch size (x[:len(x) // 16 * 16]), or a dataset with batch(16, drop_remainder=True).
    Layers of Sostenuto take batches of any size.""",
    example="""
import numpy as np, keras
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), keras.layers.LSTM(3, stateful=True)])
model.predict(np.random.rand(10, 5, 2), batch_size=4, verbose=0)
""",
    repaired="""
import numpy as np, keras
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), keras.layers.LSTM(3, stateful=True)])
model.predict(np.random.rand(8, 5, 2), batch_size=4, verbose=0)
""",
)

SO342 = rule(
    "SO342",
    "A stateful layer gets batches of another size than its state was made for",
    """stateful=True ties the state of a layer to the rows of its batch: built for batches of 32, it takes batches of
    32 only, in predict as in fit. predict takes batches of 32 unless batch_size says otherwise. Resetting the state
    does not change its size.""",
    """Pass the batch size the model was built with, or build the same layers with another batch_shape and copy the
    weights. Layers of Sostenuto take batches of any size at every call.""",
    example="""
import numpy as np, keras
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), keras.layers.LSTM(3, stateful=True)])
model.predict(np.random.rand(1, 5, 2), verbose=0)
""",
    repaired="""
import numpy as np, keras
model = keras.Sequential([keras.Input(batch_shape=(1, 5, 2)), keras.layers.LSTM(3, stateful=True)])
model.predict(np.random.rand(1, 5, 2), verbose=0)
""",
)

SO343 = rule(
    "SO343",
    "A stateful layer does not know its batch size",
    """A stateful layer makes its state when it is built: one row for each row of the batch. Input(shape=...) leaves
    the batch size open, and so does a model without an Input, so there is no telling how many rows.""",
    """Declare the batch size: keras.Input(batch_shape=(batch, time, features)). so.LSTM(..., stateful=True) needs
    none.""",
    example="""
import keras
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(3, stateful=True)])
""",
    repaired="""
import keras
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), keras.layers.LSTM(3, stateful=True)])
""",
)

SO346 = rule(
    "SO346",
    "fit of a stateful layer fails on the torch backend",
    """After every batch a stateful layer writes its new state over the old one. On the torch backend this happens
    before the gradients are computed, which still need the old state, and torch refuses: "modified by an inplace
    operation". It is a defect of Keras 3 and not of the program.""",
    """Train with KERAS_BACKEND=tensorflow; or use so.convert(model), whose layers carry state on every backend; or
    pass the state yourself with initial_state= and return_state=True.""",
    example="""
import numpy as np, keras
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), keras.layers.LSTM(3, stateful=True)])
model.compile("adam", "mse")
model.fit(np.random.rand(8, 5, 2), np.random.rand(8, 3), batch_size=4, shuffle=False, verbose=0)
""",
    repaired="""
import numpy as np, keras
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), keras.layers.LSTM(3)])
model.compile("adam", "mse")
model.fit(np.random.rand(8, 5, 2), np.random.rand(8, 3), batch_size=4, shuffle=False, verbose=0)
""",
    backend="torch",
)

SO352 = rule(
    "SO352",
    "The state of stacked cells cannot be reset",
    """keras.layers.RNN([cell, cell], stateful=True) keeps the states of its cells in nested lists, and reset_state()
    looks for plain variables. It is a defect of Keras 3.""",
    """Set the variables to zero one by one, or stack layers instead of cells: LSTM(..., return_sequences=True) below
    LSTM(...).""",
    example="""
import numpy as np, keras
cells = [keras.layers.LSTMCell(4), keras.layers.LSTMCell(3)]
rnn = keras.layers.RNN(cells, stateful=True)
rnn(np.ones((2, 5, 3)))
rnn.reset_state()
""",
    repaired="""
import numpy as np, keras
cells = [keras.layers.LSTMCell(4), keras.layers.LSTMCell(3)]
rnn = keras.layers.RNN(cells, stateful=True)
rnn(np.ones((2, 5, 3)))
for state in keras.tree.flatten(rnn.states):
    state.assign(keras.ops.zeros(state.shape))
""",
)

_SAID = re.compile(r"Expected batch size: (\d+)\D+?Received batch size: (\d+)")
_SHAPES = re.compile(r"Incompatible shapes: \[([\d,]+)\] vs\. \[([\d,]+)\]")
_EQUAL = re.compile(r"Dimensions must be equal, but are (\d+) and (\d+)")
_CUDNN = re.compile(r"Invalid input_[hc] shape: \[\d+,(\d+),\d+\] \[\d+,(\d+),\d+\]")


def _refused(failure: Failure) -> tuple[Any, int, int] | None:
    # The layer, the rows of its state, and the rows of the batch it got.
    text = failure.message
    model = failure.verb.model if failure.verb is not None else None
    layers = stock_stateful(model) if model is not None else []
    if found := _SAID.search(text):
        of_calls = [call.layer for call in failure.calls if isinstance(call, LayerCall)]
        layer = next((one for one in [*of_calls, *layers] if getattr(one, "stateful", False)), None)
        return (layer, int(found.group(1)), int(found.group(2))) if layer is not None else None
    rows = next((known for layer in layers if (known := rows_of_state(layer))), None)
    if rows is None:
        return None
    if found := _SHAPES.search(text):
        one, other = ([int(size) for size in group.split(",")] for group in found.groups())
        if one[1:] != other[1:]:
            return None
        pair = {one[0], other[0]}
    elif found := _CUDNN.search(text) or _EQUAL.search(text):
        pair = {int(found.group(1)), int(found.group(2))}
    else:
        return None
    if rows not in pair or len(pair) != 2:
        return None
    return layers[0], rows, next(size for size in pair if size != rows)


@SO341.on(Batch)
def first_batch(event: Batch, seen: Seen) -> None:
    """Remembers the size of the first batch of a generator."""
    shape = getattr(first_of(event.x), "shape", None)
    seen.notes["first batch"]["rows"] = shape[0] if shape else None


def _is_rest(call: ModelCall, plan: Plan, rows: int, got: int, seen: Seen) -> tuple[bool, str]:
    # Whether the refused batch is the short one at the end; and what is not sure about it.
    if plan.kind == "array":
        validation = call.within is not None and call.within.verb == "fit" and plan.rows == got < rows
        return validation or (plan.batch == rows and plan.rest == got and (plan.rows or 0) > rows), ""
    if got >= rows:
        return False, ""
    if plan.batch is not None:
        return plan.batch == rows, ""
    if plan.kind == "generator":
        return seen.notes["first batch"].get("rows") in (rows, None), ""
    return True, "whether only the last batch is short"


@SO341.on(Failure)
def short_last_batch(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for the rest of the rows, refused by a layer that keeps state for a full batch."""
    refused, call = _refused(failure), failure.verb
    if refused is None or call is None:
        return None
    layer, rows, got = refused
    plan = plan_of(call)
    rest, unsure = _is_rest(call, plan, rows, got, seen)
    return _short(call, layer, plan, rows, got, unsure) if rest else None


@SO341.on(ModelCalled)
def broadcast_last_batch(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a last batch of one row that TensorFlow spread over the state; in a check, for any short one."""
    if event.verb not in ("fit", "evaluate", "predict"):
        return None
    layer = next(iter(stock_stateful(event.model)), None)
    plan = plan_of(event)
    rows = rows_of_state(layer) if layer is not None else None
    if rows is None or rows < 2 or plan.kind != "array" or plan.batch != rows or not plan.rest or plan.batches == 1:
        return None
    if event.options.get("steps") or event.options.get("steps_per_epoch"):
        return None
    evidence = _short(event, layer, plan, rows, plan.rest, "")
    if plan.rest != 1 or backend() != "tensorflow":
        # Nobody ran it: so.check looks at a batch, and knows the rest by arithmetic.
        return evidence
    returned = getattr(event.result, "shape", None)
    more = f"; predict returned {returned[0]} rows for {plan.rows}" if returned and event.verb == "predict" else ""
    return Evidence(
        title=f"The last batch has 1 row, and TensorFlow spread it over the {rows} rows of the state without a word.",
        got=evidence.got + more,
        wanted=evidence.wanted,
        cause=f"{title(layer)} keeps state for {rows} rows. One row and {rows} states are broadcast to {rows} rows, "
        f"so the last row of\nthe data is read {rows} times, each time behind another sequence"
        + ("." if event.verb == "predict" else ", and loss and metrics count what does not exist."),
        fix=evidence.fix,
        boundary=evidence.boundary,
    )


def _short(call: ModelCall, layer: Any, plan: Plan, rows: int, got: int, unsure: str) -> Evidence:
    outer = call.within if call.within is not None and call.within.verb == "fit" else None
    share = (
        call.options.get("validation_split")
        if call.verb == "fit"
        else (outer.options.get("validation_split") if outer else None)
    )
    what = "validation data" if outer is not None else "training data" if share else _name_of(call)
    if plan.rows:
        full = plan.rows // rows
        found = (
            f"{plan.rows} rows of {what} in batches of {rows}: {count(full, 'full batch', 'full batches')}, and "
            f"a last batch of {count(got, 'row')}"
        )
        if share:
            found += f"\n(validation_split={share} cuts the data first)"
        wanted = f"a multiple of {rows} rows, for instance {max(full, 1) * rows}"
    else:
        found = f"a last batch of {count(got, 'row')} from {what}"
        wanted = f"{rows} rows in every batch"
    return Evidence(
        title=f"The last batch has {count(got, 'row')}, and {title(layer)} keeps state for {rows}.",
        got=found,
        wanted=f"{wanted}: the state of {title(layer)} has {rows} rows, {declared(call.model, rows)}",
        cause=f"With stateful=True there is one row of state for each row of the batch, so all batches need {rows} "
        "rows. "
        + (
            f"{plan.rows} is not\ndivisible by {rows}; the remainder of {got} makes"
            if plan.rows
            else "What is left\nat the end makes"
        )
        + " a partial batch that does not fit the state.",
        fix=cut_to_batches(call, plan, rows, got),
        unsure=unsure,
        boundary=(_name_of(call), title(layer)),
    )


def _name_of(call: ModelCall) -> str:
    first = first_of(call.x)
    names = [*call.place.names_of(call.x), *call.place.names_of(first)] if call.place else []
    return names[0] if names else (call.place.argument("x", 0, call.verb) if call.place else "") or "x"


@SO342.on(Failure)
def other_batch_size(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a batch of another size than the state of a layer."""
    refused, call = _refused(failure), failure.verb
    if refused is None:
        return None
    layer, rows, got = refused
    plan = plan_of(call) if call is not None else Plan(got, got)
    if call is not None and _is_rest(call, plan, rows, got, seen)[0]:
        return None
    name = call.name if call is not None else "the call"
    default = call is not None and plan.kind == "array" and not plan.given and got == 32
    resets = seen.history(layer).resets
    models = [one.layer for one in failure.calls if isinstance(one, LayerCall) and is_model(one.layer)]
    model = call.model if call is not None else next(iter(models), None)
    also = "\nResetting the state does not change its size." if resets else ""
    how = f"{call.verb} takes batches of 32 unless batch_size= says otherwise. " if default and call is not None else ""
    return Evidence(
        title=f"{title(layer)} keeps state for batches of {rows}, and {name} gives it "
        f"{'one' if got == 1 else 'batches'} of {got}."
        if call is not None
        else f"{title(layer)} keeps state for batches of {rows}, and gets a batch of {got}.",
        got=f"a batch of {count(got, 'row')}"
        + (f", of {_name_of(call)} with {count(plan.rows, 'row')}" if call is not None and plan.rows else "")
        + (", the default batch_size=32" if default else ""),
        wanted=f"{rows} rows in every batch: the state has {rows} rows, {declared(model, rows)}",
        cause=f"{how}With stateful=True a layer keeps one row of state for each row of the batch, so the batch size "
        f"is fixed\nfrom the moment it is built, for fit, evaluate and predict alike: {rows} here, not {got}.{also}",
        fix=other_batch(failure, call, plan, rows, got),
        boundary=(_name_of(call) if call is not None else "x", title(layer)),
    )


@SO343.on(Failure)
def no_batch_size(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a stateful layer that is built without knowing how many rows a batch has."""
    text = failure.message
    call = failure.verb
    layer = next(
        (
            one.layer
            for one in failure.calls
            if isinstance(one, LayerCall) and getattr(one.layer, "stateful", False) is True
        ),
        None,
    ) or next(iter(stock_stateful(call.model)) if call is not None else iter(()), None)
    found = re.search(r"Found dynamic batch size: sequence\.shape=\((None), ([^)]*)\)", text)
    unbuilt = "create a variable while in a stateless scope" in text and layer is not None and not rows_of_state(layer)
    if layer is None or (found is None and not unbuilt):
        return None
    plan = plan_of(call) if call is not None else None
    shape = _shape_of(failure, found.group(2) if found else "")
    rows = plan.batch if plan is not None and plan.batch else fitted_batch(failure)
    words = ", ".join(str(size) for size in (rows or "batch", *shape))
    rest = ""
    if found is not None and plan is not None and plan.rest:
        rest = (
            f"\n{plan.rows} rows in batches of {plan.batch} leave {plan.rest} over, so not even the batches are "
            "all of one size."
        )
    return Evidence(
        title=f"{title(layer)} is stateful, and does not know its batch size.",
        got=f"an input of ({', '.join(str(size) for size in ('batch ?', *shape))}): the batch size is open",
        wanted=f"a fixed one: batch_shape=({words})",
        cause="A stateful layer keeps one row of state for each row of the batch, and makes room for them when it "
        "is built.\n"
        + (
            "The model has no Input, so it is built within fit, where "
            if unbuilt
            else "Input(shape=...) leaves the batch size open, so "
        )
        + f"nothing says how many.{rest}",
        fix=batch_in_input(failure, source_of(layer, seen), words, unbuilt),
        boundary=("Input", title(layer)),
    )


def _shape_of(failure: Failure, said: str) -> list[Any]:
    # Time and features, as far as they are known.
    shape = [int(size) if size.strip().isdigit() else None for size in said.split(",") if size.strip()]
    if not shape and failure.verb is not None:
        shape = list(getattr(first_of(failure.verb.x), "shape", ()) or ())[1:]
    return shape or ["time", "features"]


@SO346.on(Failure)
def in_place(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for the state that torch finds overwritten."""
    if "modified by an inplace operation" not in failure.message or backend() != "torch":
        return None
    model = failure.verb.model if failure.verb is not None else None
    layers = stock_stateful(model) if model is not None else []
    if not layers:
        layers = [one.layer for one in seen.histories.values() if _stock(one.layer)]
    if not layers:
        return None
    layer = layers[0]
    names = failure.place.names_of(model) if failure.place and model is not None else []
    return Evidence(
        title=f"{failure.verb.name if failure.verb else 'backward()'} fails on the torch backend, because "
        f"{title(layer)} is stateful.",
        got=f"{title(layer)} with stateful=True, trained on the torch backend",
        wanted="a layer that does not write over the state that the gradients still need",
        cause="After each batch a stateful layer writes its new state over the old one. Keras does that before "
        "torch computes the\ngradients, which need the old state: hence 'modified by an inplace operation'. A defect "
        "of Keras 3 on this backend, not of\n"
        "your shapes; predict works.",
        fix="KERAS_BACKEND=tensorflow, which carries state in fit\n"
        f"# or {names[0] if names else 'model'} = so.convert({names[0] if names else 'model'})        # layers that "
        "carry state on every backend",
        boundary=(title(layer),),
    )


def _stock(layer: Any) -> bool:
    return layer is not None and getattr(layer, "stateful", False) is True and "RNN" in kinds(layer)


@SO352.on(Failure)
def stacked_reset(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for reset_state() of a layer with stacked cells."""
    if not isinstance(failure.error, AttributeError) or "has no attribute 'assign'" not in str(failure.error):
        return None
    layer = next(
        (frame["self"] for _, name, frame in failure.frames if name == "reset_state" and "self" in frame), None
    )
    if layer is None or "StackedRNNCells" not in kinds(getattr(layer, "cell", None)):
        return None
    name = layer_words(layer, failure.place.names if failure.place else None)
    cells = getattr(layer.cell, "cells", ())
    return Evidence(
        title=f"reset_state() of {title(layer)} fails, because its cells are stacked.",
        got=f"{count(len(cells), 'cell')} in one RNN, whose states are lists in a list",
        wanted="one list of state variables, which reset_state() goes through",
        cause="Keras keeps the states of stacked cells in nested lists, and its reset_state() calls assign on each "
        "list: a defect of\nKeras 3, not of your program.",
        fix=f"for state in keras.tree.flatten({name}.states):\n    state.assign(keras.ops.zeros(state.shape))",
        boundary=(title(layer),),
    )
