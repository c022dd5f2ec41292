"""Data at the door of a model, where Keras says nothing or little: one series, one table, time in front."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, LayerCall, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.container_calls import Given, givens, written
from sostenuto.diagnosis.rules.container_views import inputs_of, is_array, is_container, numpy_name
from sostenuto.diagnosis.rules.data_axes import pairs, reads
from sostenuto.diagnosis.rules.data_axes_pages import SO116, SO126
from sostenuto.diagnosis.rules.input_axes_declared import SO129
from sostenuto.diagnosis.rules.input_axes_views import Shape, shape_of_call
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import called
from sostenuto.diagnosis.views import first_layers, is_model, is_ours, is_recurrent, kinds, stateful_layers, title
from sostenuto.diagnosis.wording import axes

_VERBS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")


def _reader(model: Any) -> str:
    first = first_layers(model) if "Model" in kinds(model) else [model]
    return title(first[0]) if first else title(model)


# --- one series ------------------------------------------------------------------------------------------------------


@SO116.on(Failure)
def one_series(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for a series with one axis where batches of sequences are read."""
    for given in givens(failure):
        known = reads(given.model)
        got = shape_of_call(given.x) if is_array(given.x) else None
        if len(known) != 1 or got is None or len(got) != 1 or len(known[0].shape) != 3:
            continue
        steps, features = known[0].shape[1], known[0].shape[2]
        if features not in (1, None):
            continue
        yield _series(given, got[0], steps)


def _series(given: Given, length: int | None, steps: int | None) -> Evidence:
    yielded = given.verb is not None and not is_container(given.verb.x)
    source = f"what {written(given.verb, 'x')} yields" if yielded and given.verb is not None else given.source
    whole = steps is None or length is None or length == steps
    if whole:
        name = "x" if yielded else given.source
        fix = f"yield {name}[None, :, None], y[None]" if yielded else given.call(x=f"{name}[None, :, None]")
        wanted = axes((1, steps or length, 1), "BTF")
        cause = (
            "One axis is time. The batch axis in front is missing, and the axis of features behind: one "
            "number per step is one\nfeature."
        )
    else:
        stack = f"{numpy_name(given.place)}.stack"
        name = given.source
        fix = (
            f"x = {stack}([{name}[i:i + {steps}] for i in range(len({name}) - {steps})])[..., None]\n"
            f"{given.call(x='x')}"
        )
        wanted = f"windows: {axes((None, steps, 1), 'BTF')}"
        cause = (
            f"A series of {length} steps is one long sequence without batch and features. The model reads "
            f"windows of {steps} steps."
        )
    return Evidence(
        title=f"{given.name} reads (batch, time, features), and {source} has one axis.",
        got=f"{source} of shape ({'?' if length is None else length},): time only; no batch axis, no axis of features",
        wanted=wanted + (f", shape (1, {steps or length}, 1)" if whole and (steps or length) else ""),
        cause=cause,
        fix=fix,
        place=given.place,
        boundary=(source[:40], _reader(given.model)),
    )


# --- one window, read as many sequences of one step ------------------------------------------------------------------


@SO116.on(LayerCall)
def window_in_a_call(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for one window of one feature that a model is called with, or that a dataset gives to fit."""
    if event.outer is not None or event.symbolic or not is_model(event.layer) or is_ours(event.layer):
        return None
    got = shape_of_call(event.inputs)
    if got is None or len(got) != 2 or got[1] != 1 or got[0] == 1:
        return None
    known = inputs_of(event.layer)
    # Without a fixed number of steps, rows of one step each may be meant.
    if len(known) != 1 or len(known[0].shape) != 3 or known[0].shape[2] != 1 or known[0].shape[1] in (None, 1):
        return None
    verb = _verb_of(event, seen)
    if verb is not None and (is_container(verb.x) or hasattr(verb.x, "gi_frame")):
        return None
    # TensorFlow compiles for any length: the 1 behind says enough where many steps are declared.
    length = known[0].shape[1] if got[0] is None and verb is not None else got[0]
    return _window(event, verb, (length, 1)) if length == known[0].shape[1] else None


def _verb_of(event: LayerCall, seen: Seen) -> ModelCall | None:
    # The call of fit that this call of the model was made in: it stands at the same place.
    node = event.place.node() if event.place is not None else None
    if not isinstance(node, ast.Call) or called(node) not in _VERBS:
        return None
    return next((verb for verb in reversed(seen.verbs) if verb.place == event.place), None)


def _window(event: LayerCall, verb: ModelCall | None, got: Shape) -> Evidence:
    steps = got[0]
    place = event.place
    if verb is not None:
        source = f"what {written(verb, 'x')} gives"
        dataset = "DatasetV2" in kinds(verb.x)
        fix = (
            f"{written(verb, 'x')}.batch(32)" if dataset else "return x[None], y[None]        # in __getitem__: a batch"
        )
        if "DataLoader" in kinds(verb.x):
            fix = "DataLoader(..., batch_size=32)"
        name = verb.name
    else:
        given = Given(event.layer, event.inputs, None, place, _argument(event))
        source, name, fix = given.source, given.name, given.call(x=f"{given.source}[None]")
    return Evidence(
        title=f"{name} takes one sequence of {steps} steps for {steps} sequences of one step.",
        got=f"{source} of shape {got}, read as (batch {steps}, time 1, features 1): {steps} sequences of one step each",
        wanted=f"(batch 1, time {steps}, features 1): one sequence, with the batch axis in front, {(1, *got)}",
        cause="There is no batch axis. The model has one feature, and Keras 3 adds the missing axis at the "
        f"end without a\nword: every step counts as a sequence of its own, and there are {steps} results where one was "
        f"meant.",
        fix=fix,
        boundary=(source[:40], _reader(event.layer)),
    )


def _argument(event: LayerCall) -> str:
    place = event.place
    node = place.node() if place is not None else None
    arguments = getattr(node, "args", None)
    return place.source(arguments[0]) if place is not None and arguments else "x"


# --- time in front ---------------------------------------------------------------------------------------------------


@SO126.on(ModelCalled)
def time_first_unnoticed(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for (time, batch, features) that a model with a fixed number of steps took without a word."""
    if event.within is not None or is_ours(event.model) or not is_container(event.x):
        return
    # A recurrent layer alone runs over any number of steps, whatever the Input says.
    given = Given(event.model, event.x, event.y, event.place, written(event, "x"), event)
    for wanted, got, source, _ in pairs(given):
        if len(got) != 3 or len(wanted.shape) != 3 or wanted.fits(got) or wanted.shape[1] in (None, 1, got[1]):
            continue
        if got[0] != wanted.shape[1] or got[2] != wanted.shape[2] or stateful_layers(event.model):
            continue
        first = first_layers(event.model)
        if not first or not is_recurrent(first[0]):
            continue
        # Targets that count as many rows say that the first axis is the batch; but both may have time in front.
        targets = shape_of_call(event.y) if is_array(event.y) else None
        if targets and targets[0] == got[0] and targets[:2] != got[:2]:
            continue
        yield Evidence(
            title=f"{source} has time in front, and Keras takes it for the batch.",
            got=f"{source} {got}, read as {axes(got, 'BTF')}: {got[0]} sequences of {got[1]} steps",
            wanted=f"{axes((got[1], got[0], got[2]), 'BTF')}: the model was declared for {wanted.shape[1]} steps",
            cause=f"The first axis is the batch, always. {source} has its {got[0]} steps there: it is "
            "time-major, (time, batch,\nfeatures). A recurrent layer runs over any number of steps, so nothing raises.",
            fix=given.call(x=f"{source}.swapaxes(0, 1)"),
            boundary=(source[:40], _reader(event.model)),
        )


# --- a table ---------------------------------------------------------------------------------------------------------


@SO129.on(Failure)
def table_for_a_model(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for a table, or for one number per step, where a model of sequences wants features."""
    for given in givens(failure):
        for wanted, got, source, _ in pairs(given):
            if len(wanted.shape) != 3 or len(got) != 2 or wanted.tokens or wanted.shape[2] is None:
                continue
            steps, features = wanted.shape[1], wanted.shape[2]
            targets = shape_of_call(given.y) if is_array(given.y) else None
            if got[1] == features and features > 1 and got[0] is not None and got[0] != steps:
                # One window of another length and a table look the same but for their targets.
                if steps is None and not (targets and targets[0] == got[0]):
                    continue
                yield _table(given, source, got, steps, features)
            elif got[1] == steps and features > 1 and steps != features:
                yield _one_number(given, source, got, steps, features)


def _table(given: Given, source: str, got: Shape, steps: int | None, features: int) -> Evidence:
    rows, length = got[0], str(steps or "steps")
    stack = f"{numpy_name(given.place)}.stack"
    whose = "with their targets, " if given.y is not None else ""
    y = written(given.verb, "y") if given.verb is not None and given.y is not None else ""
    fix = (
        f"x = {stack}([{source}[i:i + {length}] for i in range(len({source}) - {length})])        # "
        f"(windows, {length}, {features})"
    )
    changes = {"x": "x"} | ({"y": f"{y}[{length}:]"} if y else {})
    return Evidence(
        title=f"{given.name} reads sequences, and {source} is a table of rows.",
        got=f"{source} {got}: {rows} rows of {features} features, two axes (ndim=2), no time axis",
        wanted=f"{axes((None, steps, features), 'BTF')}: three axes (ndim=3), sequences of "
        f"{steps if steps else 'several'} steps",
        cause=f"Each row of {source} is one step. A recurrent layer reads sequences, so windows of consecutive "
        f"rows have to be\ncut, {whose}before the model sees them.",
        fix=f"{fix}\n{given.call(**changes)}",
        place=given.place,
        boundary=(source[:40], _reader(given.model)),
    )


def _one_number(given: Given, source: str, got: Shape, steps: int | None, features: int) -> Evidence:
    return Evidence(
        title=f"{given.name} reads {features} features per step, and {source} has one number.",
        got=f"{source} {got}: (batch {got[0]}, time {got[1]}), two axes (ndim=2), no axis of features",
        wanted=f"{axes((got[0], steps, features), 'BTF')}: three axes (ndim=3)",
        cause=f"The axis of features is missing. The model was built for {features} features per step; one "
        "number per step is one.",
        fix=f"give all {features} features of each step, ({got[0]}, {steps}, {features})\n"
        f"# or build a model for one feature, keras.Input(shape=({steps}, 1)), and give it {source}[..., None]",
        place=given.place,
        boundary=(source[:40], _reader(given.model)),
    )
