"""Data whose axes are not those a model reads: swapped, missing, one too many, or of another length."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Batch, Failure, LayerCall, ModelCall
from sostenuto.diagnosis.rules.axes import SO102, SO103
from sostenuto.diagnosis.rules.container_calls import Given, givens, written
from sostenuto.diagnosis.rules.container_views import (
    Input,
    batch_words,
    holds_numbers,
    inputs_of,
    is_array,
    is_container,
    last_value,
    numpy_name,
    shape_in,
)
from sostenuto.diagnosis.rules.data_axes_pages import SO115, SO116, SO118, SO126
from sostenuto.diagnosis.rules.input_axes_sizes import is_shared
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import first_layers, is_keras, is_recurrent, kinds, recurrent_layers, title
from sostenuto.diagnosis.wording import count


def features_of(layer: Any) -> int | None:
    """The number of features that a recurrent layer's weights were built for, or None."""
    layer = getattr(layer, "forward_layer", None) or layer
    weights = getattr(layer, "weights", None) or ()
    shape = getattr(weights[0], "shape", None) if weights and is_recurrent(layer) else None
    return int(shape[0]) if shape is not None and len(shape) == 2 else None


def reads(model: Any) -> list[Input]:
    """What a model or layer reads; of a recurrent layer, and of a model that Keras knows no inputs of, the features."""
    known = inputs_of(model) if "Model" in kinds(model) else []
    if known or not is_keras(model):
        return known
    layers = [model] if is_recurrent(model) else recurrent_layers(model)[:1] if "Model" in kinds(model) else []
    features = features_of(layers[0]) if layers else None
    return [Input("", (None, None, features))] if features is not None else []


def pairs(given: Given) -> Iterator[tuple[Input, tuple[int | None, ...], str, Any]]:
    """Each input of a model beside the shape of what it was given, its source and itself."""
    known = reads(given.model)
    if len(known) == 1 and (is_array(given.x) or not isinstance(given.x, list | tuple | dict)):
        shape = shape_in(given.x)
        # Text and objects have rules of their own.
        if shape is not None and (not is_array(given.x) or holds_numbers(given.x)):
            yield known[0], shape, given.source, given.x
    elif isinstance(given.x, dict):
        for one in known:
            if one.name in given.x and (shape := shape_in(given.x[one.name])) is not None:
                yield one, shape, f"{given.source}[{one.name!r}]", given.x[one.name]
    elif isinstance(given.x, list | tuple) and len(given.x) == len(known) > 1:
        for number, (one, value) in enumerate(zip(known, given.x, strict=True)):
            if is_array(value) and (shape := shape_in(value)) is not None:
                names = given.place.names_of(value) if given.place is not None else []
                yield one, shape, names[0] if names else f"{given.source}[{number}]", value


def is_swapped(wanted: Input, got: tuple[int | None, ...]) -> bool:
    """Whether time and features of a batch stand in each other's place."""
    if len(got) != 3 or len(wanted.shape) != 3 or wanted.fits(got) or got[1] == got[2]:
        return False
    return wanted.fits((got[0], got[2], got[1]))


def is_one_sample(wanted: Input, got: tuple[int | None, ...]) -> bool:
    """Whether it is a sample of its own, without a batch around it."""
    return len(got) == len(wanted.shape) - 1 and len(got) > 0 and wanted.fits((1, *got))


def _window(given: Given, wanted: Input, got: tuple[int | None, ...], source: str) -> Evidence:
    whole = batch_words((1, *got), wanted.tokens)
    return Evidence(
        title=f"{given.name} reads batches, and {source} is one sequence without a batch axis.",
        got=f"{source} of shape {got}: no batch axis",
        wanted=f"{whole}: the same sequence as a batch of one",
        cause=f"Keras reads the first axis as the batch. Here it is the time axis of one sequence of {got[0]} steps,\n"
        "so an axis is missing: the batch dimension in front.",
        fix=_rewritten(given, source, f"{source}[None]"),
        boundary=(source, _reader(given)),
    )


def _reader(given: Given) -> str:
    first = first_layers(given.model) if "Model" in kinds(given.model) else [given.model]
    return title(first[0]) if first else title(given.model)


def _rewritten(given: Given, source: str, new: str) -> str:
    return given.call(x=new) if source == given.source else f"{source} = {new}"


@SO102.on(Failure)
def swapped(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for (batch, features, time) where (batch, time, features) is read."""
    for given in givens(failure):
        for wanted, got, source, _ in pairs(given):
            if not is_swapped(wanted, got):
                continue
            there = f"(batch {got[0]}, {got[1]}, {got[2]})"
            steps, features = wanted.shape[1], wanted.shape[2]
            declared = f"({'None' if steps is None else steps}, {features})"
            yield Evidence(
                title=f"Time and features are swapped between {source} and the model.",
                got=f"{source} is {there}: {got[1]} and then {got[2]}",
                wanted=f"(batch, time {'?' if steps is None else steps}, features {features}): what "
                f"Input(shape={declared}) says",
                cause="The last two axes are in the other order than the model declares. Keras reads time first, then "
                f"the features\nof a step. If {source} has {got[1]} timesteps of {got[2]} features, the Input's order "
                f"is wrong; if it has\nfeatures first, the data's.",
                fix=f"keras.Input(shape=({got[1]}, {got[2]}))        # {got[1]} timesteps of {got[2]} features\n"
                f"# or, if {got[1]} counts the features: {source}.transpose(0, 2, 1)",
                boundary=(source, _reader(given)),
            )


@SO103.on(Failure)
def other_features(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for another number of features than the layers were built for."""
    found = False
    for given in givens(failure):
        for wanted, got, source, _ in pairs(given):
            last, built = got[-1] if got else None, wanted.shape[-1] if wanted.shape else None
            if wanted.tokens or len(got) != len(wanted.shape) or len(got) < 2 or is_swapped(wanted, got):
                continue
            if last is None or built is None or last == built:
                continue
            found = True
            yield _features(given.name, source, got, built, _reader(given), given.place)
    if not found:
        call = next((one for one in failure.calls if isinstance(one, LayerCall) and is_recurrent(one.layer)), None)
        shape = shape_in(call.inputs) if call is not None else None
        built = features_of(call.layer) if call is not None else None
        if call is None or is_shared(call):
            return
        if shape is not None and len(shape) == 3 and built not in (None, shape[-1], shape[1]):
            assert built is not None
            yield _features(title(call.layer), "its input", shape, built, title(call.layer), call.place)


def _features(
    who: str, source: str, got: tuple[int | None, ...], built: int, reader: str, place: Place | None
) -> Evidence:
    more = got[-1] is not None and got[-1] > built
    fix = f"{source}[..., :{built}]        # the {built} features it was built for, in the same order" if more else ""
    steps = got[1] if len(got) == 3 else None
    declared = f"keras.Input(shape=({steps}, {got[-1]}))" if len(got) == 3 else f"keras.Input(shape=({got[-1]},))"
    return Evidence(
        title=f"{who} was built for {count(built, 'feature')} per step and gets {got[-1]}.",
        got=f"{got[-1]} features per step: {source} {batch_words(got)}",
        wanted=f"{batch_words((*got[:-1], built))}: the weights of {reader} have {count(built, 'row')}, one per "
        "feature",
        cause="The number of features per step, the last axis, belongs to a layer's weights: fixed when it was "
        f"built,\nhere to {built}. Data with {got[-1]} does not fit them, in training or in prediction.",
        fix=(fix + "\n# or " if fix else "")
        + f"{declared}        # a model for {got[-1]} features"
        + ("" if more else f"\n# or give all {built} features that it was trained with"),
        boundary=(source, reader),
    )


@SO115.on(Failure)
def other_steps(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for another number of steps than the Input declares."""
    for given in givens(failure):
        for wanted, got, source, _ in pairs(given):
            if len(got) != len(wanted.shape) or len(got) < 2 or wanted.fits(got) or is_swapped(wanted, got):
                continue
            axis = 1
            if len(got) == 2 and not wanted.tokens:
                continue
            if wanted.shape[axis] in (None, got[axis]) or (len(got) == 3 and wanted.shape[2] not in (None, got[2])):
                continue
            rest = ", ".join(str(one) for one in wanted.shape[2:])
            free = f"keras.Input(shape=(None, {rest}))" if rest else "keras.Input(shape=(None,))"
            yield Evidence(
                title=f"The model was declared for {wanted.shape[axis]} steps, and {source} has {got[axis]}.",
                got=f"{source} {batch_words(got, wanted.tokens)}",
                wanted=f"{batch_words(wanted.shape, wanted.tokens)}, as its Input says",
                cause="The number of steps stands in the Input, so only sequences of that length fit. Recurrent layers "
                "themselves\ntake any length: time may stay open.",
                fix=f"{free}        # any number of steps\n# or sequences of {wanted.shape[axis]} steps: cut, or "
                "padded and masked",
                boundary=(source, _reader(given)),
            )


@SO116.on(Failure)
def no_batch_axis(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for one sequence where a batch is read, and Keras refused it."""
    for given in givens(failure):
        for wanted, got, source, _ in pairs(given):
            # As many targets as rows: a table, whose rows are meant as samples.
            rows = shape_in(given.y)
            table = bool(rows and got) and got[:1] not in ((None,), (1,)) and rows is not None and rows[0] == got[0]
            if is_one_sample(wanted, got) and not (wanted.tokens and len(got) != 1) and not table:
                yield _window(given, wanted, got, source)


@SO116.on(ModelCall)
def window_read_as_batch(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for one sequence whose steps Keras takes for a batch of sequences, without a word."""
    if not is_container(event.x) or event.within is not None:
        return None
    given = Given(event.model, event.x, event.y, event.place, written(event, "x"), event)
    for wanted, got, source, _ in pairs(given):
        if _is_window(wanted, got):
            rows = shape_in(event.y)
            if rows and rows[:1] == got[:1] and event.verb in ("fit", "evaluate"):
                return None
            return _silent_window(
                f"{given.name} takes one sequence of {got[0]} steps for {got[0]} sequences of one step.",
                source,
                got,
                _rewritten(given, source, f"{source}[None]"),
                _reader(given),
                "" if wanted.shape[1] is not None else "whether these are sequences of one step each",
            )
    return None


@SO116.on(Batch)
def generator_without_batch(event: Batch, seen: Seen) -> Evidence | None:
    """Looks for generators that yield samples, not batches."""
    known = reads(event.call.model)
    got = shape_in(event.x)
    if len(known) != 1 or got is None or not _is_window(known[0], got):
        return None
    names = event.place.argument("x", 0, event.call.verb) if event.place is not None else ""
    return _silent_window(
        f"The generator yields one sequence at a time, and {event.call.name} reads {got[0]} of one step.",
        f"what {names or 'the generator'} yields",
        got,
        _batch_of_one(event),
        title((first_layers(event.call.model) or [event.call.model])[0]),
        "",
        "generator ",
    )


def _batch_of_one(event: Batch) -> str:
    # What the user yields, with a batch axis in front.
    place = event.place
    remark = f"        # one sequence as a batch of one; better several, by {numpy_name(place)}.stack"
    node = _yielded(place, place.argument("x", 0, event.call.verb)) if place is not None else None
    if node is None or place is None:
        return f"yield x[None], y[None]{remark}"
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    values = (event.x, event.y, None)
    return f"yield {', '.join(_with_axis(place, *one) for one in zip(parts, values, strict=False))}{remark}"


def _with_axis(place: Place, node: ast.expr, value: Any) -> str:
    source = place.source(node)
    if value is not None and not is_array(value):
        return f"{numpy_name(place)}.array([{source}])"
    plain = isinstance(node, ast.Name | ast.Subscript | ast.Attribute | ast.Call)
    return f"{source}[None]" if plain else f"({source})[None]"


def _yielded(place: Place, source: str) -> ast.expr | None:
    # The one thing that a generator of the user's yields; None where that is not one function with one yield.
    node: ast.expr | None = ast.parse(source, mode="eval").body if source else None
    if isinstance(node, ast.Name):
        node = last_value(place, node.id)
    name = called(node) if isinstance(node, ast.Call) else ""
    tree = place.module()
    made = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == name] if tree else []
    found = [one.value for function in made for one in ast.walk(function) if isinstance(one, ast.Yield)]
    return found[0] if len(made) == len(found) == 1 else None


def _is_window(wanted: Input, got: tuple[int | None, ...]) -> bool:
    # One feature: only then does Keras add the missing axis at the end.
    if len(wanted.shape) != 3 or wanted.shape[2] != 1 or len(got) != 2 or got[1] != 1 or got[0] in (None, 1):
        return False
    return wanted.shape[1] is None or wanted.shape[1] == got[0]


def _silent_window(
    headline: str, source: str, got: tuple[int | None, ...], fix: str, reader: str, unsure: str, kind: str = ""
) -> Evidence:
    steps = got[0]
    return Evidence(
        title=headline,
        got=f"{source} of shape {got}, read as (batch {steps}, time 1, features 1): {steps} sequences of one step each",
        wanted=f"(batch 1, time {steps}, features 1): one sequence, with the batch axis in front, {(1, *got)}",
        cause=f"The {kind}data has no batch axis. With one feature Keras 3 adds the missing axis at the end without a "
        f"word,\nso every step counts as a sequence of its own, and there are {steps} results where one was meant.",
        fix=fix,
        unsure=unsure,
        boundary=(source, reader),
    )


@SO118.on(Failure)
def too_many_axes(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for data with an axis more than the model reads."""
    for given in givens(failure):
        for wanted, got, source, _ in pairs(given):
            if len(got) != len(wanted.shape) + 1 or len(wanted.shape) not in (2, 3):
                continue
            ones = [axis for axis, size in enumerate(got) if size == 1]
            fitting = [axis for axis in ones if wanted.fits(got[:axis] + got[axis + 1 :])]
            shorter = got[: fitting[0]] + got[fitting[0] + 1 :] if fitting else None
            fix = f"{source}.squeeze({fitting[0]})" if fitting else f"{source}.reshape(-1, *{source}.shape[2:])"
            inner = got[1:]
            if not fitting and not wanted.fits(inner):
                fix = f"{source}.reshape(len({source}), {got[1]}, -1)        # the last axes as features of a step"
            yield Evidence(
                title=f"{given.name} reads {len(wanted.shape)} axes, and {source} has {len(got)}.",
                got=f"{source} of shape {got}",
                wanted=batch_words(wanted.shape, wanted.tokens)
                + (f"; without axis {fitting[0]}, of length 1, it is {shorter}" if fitting else ""),
                cause="There is one axis too many in front of, or behind, those the model reads: a batch of batches, "
                "or steps\nwith an axis of their own.",
                fix=_rewritten(given, source, fix.partition("        #")[0]),
                unsure="" if fitting else "which of the axes is the batch, and which is time",
                boundary=(source, _reader(given)),
            )


@SO126.on(Failure)
def time_first(failure: Failure, seen: Seen) -> Iterator[Evidence]:
    """Looks for (time, batch, features) beside targets that count the batch."""
    for given in givens(failure):
        rows = shape_in(given.y)
        got = shape_in(given.x) if is_array(given.x) else None
        # A batch of one is a sequence of its own, beside targets for its steps.
        if not rows or got is None or len(got) != 3 or got[0] in (1, rows[0]) or got[1] != rows[0]:
            continue
        yield Evidence(
            title=f"{given.source} has time in front, and Keras reads the batch there.",
            got=f"{given.source} {got}: {got[0]} in front, beside {rows[0]} targets",
            wanted=f"(batch {got[1]}, time {got[0]}, features {got[2]}): as many sequences in front as targets",
            cause=f"Keras takes the first axis for the batch, so it counts {got[0]} sequences and {rows[0]} targets. "
            f"The second axis\nhas the {rows[0]}: the data is time-major, (time, batch, features), as PyTorch has it "
            "without batch_first.",
            fix=_rewritten(given, given.source, f"{given.source}.swapaxes(0, 1)"),
            boundary=(given.source, _reader(given)),
        )
