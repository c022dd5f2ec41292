"""Stateful layers of Keras where nothing raises: resets too many or too few, and state moved by calls in between."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import End, ModelCalled, StateReset
from sostenuto.diagnosis.rules.stateful_examples import PREPARED
from sostenuto.diagnosis.rules.stateful_rows import goes_on, lies_behind
from sostenuto.diagnosis.rules.stateful_runs import (
    TRAINS,
    Log,
    Nested,
    Run,
    carries,
    is_zero,
    last_run,
    layer_name,
    line_of,
    log_of,
    logs,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword, without_keyword
from sostenuto.diagnosis.views import is_ours, is_recurrent, source_of, title
from sostenuto.diagnosis.wording import count

SO349 = rule(
    "SO349",
    "State is reset so often that it is never used",
    """State that is reset before every batch is zero at the beginning of every batch, which is what a layer without
    stateful=True does. The fixed batch size is then paid for nothing, and no batch knows of the one before.""",
    """Reset where a new sequence begins, and nowhere else; or leave stateful=True out.""",
    example=PREPARED
    + """
every = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: lstm.reset_state())
model.fit(x, y, batch_size=4, shuffle=False, callbacks=[every], verbose=0)
""",
    repaired=PREPARED
    + """
every = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: lstm.reset_state())
model.fit(x, y, batch_size=4, shuffle=False, callbacks=[every], verbose=0)
""",
    backend="tensorflow",
)

SO350 = rule(
    "SO350",
    "The state of training is disturbed by validation or prediction in between",
    """A stateful layer has one state, and every call moves it: evaluation of the validation data after an epoch, or
    predict in a callback. Training then goes on with the state that the other data left.""",
    """Reset the state where training goes on with a new sequence (on_epoch_begin), or give validation a model of its
    own with the same weights. Validation never disturbs the state of a so.SequenceModel.""",
    example=PREPARED
    + "model.fit(x, y, batch_size=4, epochs=2, shuffle=False, validation_data=(x[:4] + 1, y[:4]), verbose=0)\n",
    repaired=PREPARED
    + """
every = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: lstm.reset_state())
valid = (x[:4] + 1, y[:4])
model.fit(x, y, batch_size=4, epochs=2, shuffle=False, validation_data=valid, callbacks=[every], verbose=0)
""",
    backend="tensorflow",
)

SO353 = rule(
    "SO353",
    "One stateful layer of a model is reset, and another is not",
    """Every stateful layer keeps a state of its own. A program that resets one of them begins a new sequence in that
    layer, while the others go on with the last one.""",
    """Reset all of them: for layer in model.layers: if getattr(layer, "stateful", False): layer.reset_state().""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 4, 3)).astype("float32")
below = keras.layers.LSTM(4, stateful=True, return_sequences=True)
above = keras.layers.LSTM(4, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(2, 2, 3)), below, above])
for number in range(3):
    model(x[:, :2] + number)
    model(x[:, 2:] + number)
    below.reset_state()
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 4, 3)).astype("float32")
below = keras.layers.LSTM(4, stateful=True, return_sequences=True)
above = keras.layers.LSTM(4, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(2, 2, 3)), below, above])
for number in range(3):
    model(x[:, :2] + number)
    model(x[:, 2:] + number)
    below.reset_state()
    above.reset_state()
""",
)

SO355 = rule(
    "SO355",
    "reset_state() is called of a layer that keeps no state",
    """Without stateful=True a recurrent layer begins every batch at zero. reset_state() then does nothing, and no
    state goes from batch to batch.""",
    """Make the layer with stateful=True where state is to be carried; else leave the reset out.""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 9, 3)).astype("float32")
lstm = keras.layers.LSTM(4)
for sequence in (x, x + 1):
    for step in range(0, 9, 3):
        last = lstm(sequence[:, step : step + 3])
    lstm.reset_state()
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((2, 9, 3)).astype("float32")
lstm = keras.layers.LSTM(4, stateful=True)
for sequence in (x, x + 1):
    for step in range(0, 9, 3):
        last = lstm(sequence[:, step : step + 3])
    lstm.reset_state()
""",
)


# --- never used ------------------------------------------------------------------------------------------------------


@SO349.on(ModelCalled)
def reset_in_every_batch(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a callback that resets the state in every batch."""
    found = last_run(event, seen)
    if found is None or event.verb not in TRAINS:
        return None
    log, run = found
    batches = (run.plan.batches or 0) * run.epochs
    if (run.plan.batches or 0) < 2 or run.resets < batches:
        return None
    return Evidence(
        got=f"{run.resets} resets of {title(log.layer)} in {batches} batches of {run.name}",
        wanted="a reset where a new sequence begins, and state that goes on from batch to batch otherwise",
        cause="The state is set to zero in every batch, so no batch ever begins with what the one before left: "
        "stateful=True\nhas no effect, and the batch size is fixed for nothing.",
        fix="def on_epoch_begin(self, epoch, logs=None):        # instead of every batch\n"
        f"    {layer_name(log, event.place)}.reset_state()\n"
        f"# or {without_keyword(source_of(log.layer, seen), 'stateful')}",
        boundary=(title(log.layer),),
    )


@SO349.on(End)
def reset_before_every_call(event: End, seen: Seen) -> Iterator[Evidence]:
    """Looks back for layers whose state was reset before every call, so that it was never used."""
    for log in logs(seen):
        runs = log.runs
        if len(runs) < 3 or log.full or any(run.carried or run.epochs > 1 for run in runs):
            continue
        if not all(run.after_reset or run.zero[0] for run in runs) or log.resets < len(runs) - 1:
            continue
        # State that was never moved is another fault: JAX.
        if any(run.zero[1] is not False for run in runs):
            continue
        why, unsure = _meant_to_go_on(runs)
        if not why:
            continue
        calls = f"{count(len(runs), 'call')} of {', '.join(dict.fromkeys(run.name for run in runs))}"
        yield Evidence(
            place=log.reset_place or runs[-1].place,
            got=f"{count(log.resets, 'reset')} of {title(log.layer)} for {calls}, one batch each;\n{why}",
            wanted="a reset where a new sequence begins, and nowhere else",
            cause="The state is zero at the beginning of every batch, so nothing is ever carried from batch to batch:\n"
            "stateful=True has no effect in this run.",
            fix=f"move {log.reset_place.expression if log.reset_place else 'reset_state()'} out of the loop, in "
            f"front of it\n# or leave stateful=True out: {without_keyword(source_of(log.layer, seen), 'stateful')}",
            unsure=unsure,
            boundary=(title(log.layer),),
        )


def _meant_to_go_on(runs: list[Run]) -> tuple[str, str]:
    # What shows that state was to be carried, and what is not sure about it.
    pieces = [run.piece for run in runs if run.piece is not None]
    pairs = list(itertools.pairwise(pieces))
    if len(pieces) < len(runs):
        return "", ""
    if all(lies_behind(one, other) for one, other in pairs):
        return "each call reads on where the one before ended", ""
    if all(goes_on(one, other) for one, other in pairs):
        return "each call begins where the one before ended", ""
    if all(piece.shape[1] == 1 for piece in pieces):
        return "each call is one step, so the layer never sees more than one", ""
    one_shape = len({piece.shape for piece in pieces}) == 1 and len({piece.print for piece in pieces}) > 1
    if one_shape and pieces[0].shape[0] > 1:
        unsure = "whether the batches go on from one another, or each holds whole sequences"
        return f"all calls have the same shape {pieces[0].shape}", unsure
    return "", ""


# --- too few ---------------------------------------------------------------------------------------------------------


@SO353.on(End)
def one_of_several(event: End, seen: Seen) -> Iterator[Evidence]:
    """Looks back for models where one stateful layer was reset again and again, and another never."""
    for log in logs(seen):
        parts = [log, *(log_of(layer, seen) for layer in log.siblings())]
        reset = [one for one in parts if one.all_resets >= 2]
        others = [one for one in parts if not one.all_resets and is_zero(one.layer) is False]
        if not log.runs or not reset or not others:
            continue
        names = ", ".join(title(one.layer) for one in others)
        yield Evidence(
            title=f"{title(reset[0].layer)} is reset, and {names} of the same model is not.",
            place=reset[0].reset_place or log.runs[-1].place,
            got=f"{count(reset[0].all_resets, 'reset')} of {title(reset[0].layer)}, none of {names}",
            wanted="a reset of every stateful layer where a new sequence begins",
            cause=f"Every stateful layer keeps a state of its own. {title(reset[0].layer)} begins anew, and {names} "
            "goes on with the\nstate of the sequence before.",
            fix="for layer in model.layers:\n    if getattr(layer, 'stateful', False):\n        layer.reset_state()",
            boundary=(title(reset[0].layer), title(others[0].layer)),
        )


@SO355.on(StateReset)
def resets_nothing(event: StateReset, seen: Seen) -> None:
    """Remembers resets of layers that keep no state."""
    layer = event.layer
    inner = getattr(layer, "forward_layer", layer)
    if is_ours(layer) or not is_recurrent(layer) or getattr(inner, "stateful", False) or event.place is None:
        return
    known = seen.notes["resets of nothing"].setdefault(
        id(layer), [layer, event.place.bare(), 0, _is_named(event.place)]
    )
    known[2] += 1


@SO355.on(End)
def kept_nothing(event: End, seen: Seen) -> Iterator[Evidence]:
    """Looks back for programs that reset again and again, and have no layer that keeps a state."""
    found = list(seen.notes["resets of nothing"].values())
    if not found or any(log.runs for log in logs(seen)):
        return
    layer, place, times, named = max(found, key=lambda one: one[2])
    if times < 2 or not named or max(seen.history(layer).count, len(seen.verbs)) < 3:
        return
    made = source_of(layer, seen)
    yield Evidence(
        place=place,
        got=f"{count(times, 'reset')} of {title(layer)}, which is not stateful",
        wanted="stateful=True where state is to be carried from call to call, or no reset",
        cause="A layer without stateful=True begins every batch at zero and forgets its state behind it, so "
        "reset_state() does\nnothing, and nothing goes from one call to the next.",
        fix=f"{with_keyword(made, 'stateful', 'True')}        # with a fixed batch size: keras.Input(batch_shape=...)",
        boundary=(title(layer),),
    )


def _is_named(place: Place) -> bool:
    # lstm.reset_state(), and not a loop over all layers that resets whatever can be reset.
    node = place.node()
    value = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    if not isinstance(value, ast.Name):
        return isinstance(value, ast.Attribute | ast.Subscript)
    loops = [one for one in ast.walk(place.module() or ast.Module([], [])) if isinstance(one, ast.For)]
    targets = {name.id for one in loops for name in ast.walk(one.target) if isinstance(name, ast.Name)}
    return value.id not in targets


# --- disturbed -------------------------------------------------------------------------------------------------------


@SO350.on(ModelCalled)
def disturbed_within_fit(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for evaluation and prediction within fit that training then goes on from."""
    found = last_run(event, seen)
    if found is None or event.verb != "fit" or not found[1].disturbed or not carries():
        return None
    log, run = found
    nested = run.disturbed[0]
    name = "validation" if nested.own else nested.name
    times = f"{count(len(run.disturbed), 'time')} in {count(run.epochs, 'epoch')}"
    return Evidence(
        title=f"The state of training is disturbed by {name} in between.",
        got=f"{_what(nested)}, and the next batch of training goes on with\nthe state that this left, {times}",
        wanted="training that goes on with its own state, or from zero: a reset after validation",
        cause=f"{title(log.layer)} has one state for training and validation, and every call moves it. After {name} "
        "the\nstate belongs to other data, and nothing resets it before training goes on.",
        fix=_resetting(layer_name(log, event.place), event.place),
        boundary=(title(log.layer),),
    )


def _what(nested: Nested) -> str:
    if nested.own:
        return "the validation data is evaluated after an epoch"
    return f"{nested.name} is called within fit ({line_of(nested.place)})"


def _resetting(layer: str, place: Place | None) -> str:
    lines = [
        "class ResetState(keras.callbacks.Callback):",
        "    def on_epoch_begin(self, epoch, logs=None):",
        f"        {layer}.reset_state()",
        "    def on_test_begin(self, logs=None):",
        f"        {layer}.reset_state()",
    ]
    node = place.call("fit") if place is not None else None
    if place is not None and node is not None:
        written = place.argument("callbacks", None, "fit")
        lines.append(
            with_keyword(
                place.source(node), "callbacks", f"[*{written}, ResetState()]" if written else "[ResetState()]"
            )
        )
    return "\n".join(lines)


@SO350.on(ModelCalled)
def disturbed_between_batches(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for evaluation and prediction between two calls that train."""
    found = last_run(event, seen)
    if found is None or event.verb not in TRAINS or not carries():
        return None
    log, run = found
    other = _moved_between(log, run)
    if other is None:
        return None
    layer = layer_name(log, event.place)
    node = event.place.call(event.verb) if event.place is not None else None
    line = event.place.source(node) if event.place is not None and node is not None else f"{run.name}(...)"
    return Evidence(
        title=f"The state of training is disturbed by {other.name} in between.",
        got=f"{other.name} ({line_of(other)}) between two calls of {run.name}, without a reset:\n"
        f"{run.name} goes on with the state that {other.name} left",
        wanted="training that goes on with its own state, or from zero",
        cause=f"{title(log.layer)} has one state for training, evaluation and prediction, and every call moves it. "
        f"After\n{other.name} it belongs to other data.",
        fix=f"kept = [state.numpy() for state in {layer}.states]        # before {other.name}\n"
        f"for state, value in zip({layer}.states, kept):        # behind it\n    state.assign(value)\n"
        f"# or, where training begins anew: {layer}.reset_state() in front of {line}",
        boundary=(title(log.layer),),
    )


def _moved_between(log: Log, run: Run) -> Run | None:
    # The last call that moved the state between two that train, with no reset from the first to the last of them.
    if run.after_reset:
        return None
    between: list[Run] = []
    for one in reversed(log.runs[:-1]):
        if one.verb in TRAINS:
            moved = [other for other in between if other.verb == "call" or other.ended != other.began]
            return moved[0] if moved and moved[0].ended == run.began else None
        if one.after_reset:
            return None
        between.append(one)
    return None
