"""Stateful layers of Keras where nothing raises: state from call to call, lost on JAX or given to another sequence."""

from __future__ import annotations

import ast
import itertools

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall, ModelCall, ModelCalled, StateReset
from sostenuto.diagnosis.rules.stateful_examples import PREPARED
from sostenuto.diagnosis.rules.stateful_rows import goes_on, lies_behind
from sostenuto.diagnosis.rules.stateful_runs import (
    TRAINS,
    Log,
    Run,
    carries,
    followed,
    last_run,
    layer_name,
    line_of,
    order_in,
    since_reset,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, with_keyword
from sostenuto.diagnosis.views import title
from sostenuto.diagnosis.wording import count

SO345 = rule(
    "SO345",
    "A stateful layer carries no state under fit, evaluate and predict on the JAX backend",
    """On the JAX backend, fit, evaluate and predict run compiled steps that get variables and give them back, and the
    state of a stateful layer is not among them. Every batch begins with the same state, without a word:
    stateful=True does nothing. Direct calls of the model do carry state.""",
    """Call the model itself, model(x), for prediction; or use KERAS_BACKEND=tensorflow; or so.convert(model), whose
    layers carry state on every backend and in every call.""",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((4, 10, 2)).astype("float32")
lstm = keras.layers.LSTM(3, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), lstm])
first = model.predict(x[:, :5], verbose=0)
second = model.predict(x[:, 5:], verbose=0)
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((4, 10, 2)).astype("float32")
lstm = keras.layers.LSTM(3, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), lstm])
first = model(x[:, :5])
second = model(x[:, 5:])
""",
    backend="jax",
)

SO347 = rule(
    "SO347",
    "State goes on into a sequence that does not continue the last one",
    """A stateful layer never resets its state by itself: neither between epochs nor between calls. A new sequence, or
    the same one from its beginning, then starts with the state that the last one left, and its result depends on
    what was read before.""",
    """Call layer.reset_state() where a new sequence begins. so.SequenceModel keeps state by id: a new id begins at
    zero.""",
    example=PREPARED + "first = model.predict(x[:4], verbose=0)\nsecond = model.predict(x[:4], verbose=0)\n",
    repaired=PREPARED
    + "first = model.predict(x[:4], verbose=0)\nlstm.reset_state()\nsecond = model.predict(x[:4], verbose=0)\n",
    backend="tensorflow",
)

# Where one batch in sixty begins with a wrong state, nobody can tell.
_FEW = 8


@SO347.on(ModelCall, LayerCall, StateReset)
def remembered(event: ModelCall | LayerCall | StateReset, seen: Seen) -> None:
    """Keeps the log that the rules about stateful layers look at."""
    followed(event, seen)


# --- nothing carried on JAX ------------------------------------------------------------------------------------------


@SO345.on(ModelCalled)
def nothing_carried(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for programs on JAX that rely on state which was never carried."""
    found = last_run(event, seen)
    if found is None or carries():
        return None
    log, run = found
    runs = [one for one in log.runs if one.verb != "call"]
    told = seen.notes["stateful on JAX"]
    if id(log) in told or any(one.began is None or one.began != one.ended for one in runs):
        return None
    why = _relied_on(event, log, runs, run)
    if not why:
        return None
    told[id(log)] = True
    names = event.place.names_of(event.model) if event.place else []
    name = names[0] if names else "model"
    fix = f"{name} = so.convert({name})        # layers that carry state in {event.verb} too"
    node = event.place.call(event.verb) if event.place is not None else None
    if event.verb.startswith("predict") and event.place is not None and node is not None and node.args:
        data = event.place.source(node.args[0])
        fix = f"{name}({data})        # a direct call carries state, {event.verb} does not\n# or {fix}"
    return Evidence(
        got=f"the state of {title(log.layer)} before {run.name} and after it is the same"
        f"{', all zeros' * bool(run.zero[1])};\n{why}",
        wanted="a state that goes on from batch to batch, as stateful=True says",
        cause=f"On the JAX backend {event.verb} runs a compiled step that does not hand the state of a stateful "
        "layer back, so\nit is lost after every batch, and stateful=True does nothing under fit, evaluate and predict.",
        fix=f"{fix}\n# or KERAS_BACKEND=tensorflow",
        boundary=(title(log.layer),),
    )


def _relied_on(event: ModelCalled, log: Log, runs: list[Run], run: Run) -> str:
    # What shows that the program counts on state; many stateful programs do not.
    before = runs[-2] if len(runs) > 1 else None
    if before is not None and run.piece is not None and before.piece is not None:
        if lies_behind(before.piece, run.piece):
            return f"its data goes on where that of the call before ({line_of(before)}) ended"
        if goes_on(before.piece, run.piece):
            return f"its first step follows the last step of the call before ({line_of(before)})"
        same = before.piece.print == run.piece.print and run.verb == before.verb and run.verb not in TRAINS
        if same and not log.resets:
            return f"the same data was read before ({line_of(before)}), with the same result"
    reset = [one.after_reset for one in runs[1:]]
    if any(reset) and (any(one.carried for one in runs) or not all(reset)):
        return f"the program resets it ({line_of(log.reset_place)}), though there is nothing to reset"
    if event.verb == "fit" and run.carried:
        order = order_in(event)
        if order is not None and order.proof and order.apart == run.plan.batch:
            return f"the batches do go on from one another:\n{order.proof}"
        if event.place is not None and _chooses_jax(event.place):
            return f"{count(run.plan.batches or 2, 'batch', 'batches')} were read, each of them from the same state"
    return ""


def _chooses_jax(place: Place) -> bool:
    # os.environ["KERAS_BACKEND"] = "jax" in the program itself
    for node in ast.walk(place.module() or ast.Module([], [])):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value == "jax":
            return any("KERAS_BACKEND" in ast.unparse(target) for target in node.targets)
    return False


# --- a sequence that does not continue the last one ------------------------------------------------------------------


@SO347.on(ModelCalled)
def again_in_epochs(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for epochs over one and the same batch, without a reset between them."""
    found = last_run(event, seen)
    if found is None or event.verb != "fit" or not carries():
        return None
    log, run = found
    plan = run.plan
    if plan.batches != 1 or run.epochs < 2 or run.resets or run.piece is None or plan.kind != "array":
        return None
    if run.ended == run.began:
        return None
    layer = layer_name(log, event.place)
    node = event.place.call("fit") if event.place is not None else None
    source = event.place.source(node) if event.place is not None and node is not None else "model.fit(...)"
    return Evidence(
        title=f"{title(log.layer)} is never reset between the {run.epochs} epochs of {run.name}.",
        got=f"one batch of {count(plan.rows or 0, 'row')}, read in {run.epochs} epochs without a reset:\n"
        "each epoch begins with the state that the end of the same rows left",
        wanted=f"a state of zero at the beginning of every epoch: {layer}.reset_state()",
        cause="With stateful=True nothing resets the state between epochs. All rows are read in one batch, so all "
        "that is\ncarried goes from the end of a sequence into its own beginning.",
        fix=f"for epoch in range({run.epochs}):\n    {with_keyword(source, 'epochs', '1')}\n    {layer}.reset_state()\n"
        "# or leave stateful=True out: nothing has to be carried",
        boundary=(title(log.layer),),
    )


@SO347.on(ModelCalled, LayerCall)
def not_the_continuation(event: ModelCalled | LayerCall, seen: Seen) -> Evidence | None:
    """Looks for calls whose data does not go on from that of the call before, though the state does."""
    log = followed(event, seen)
    if log is None or len(log.runs) < 2:
        return None
    if isinstance(event, ModelCalled) and (event.within is not None or not carries()):
        return None
    run, before = log.runs[-1], log.runs[-2]
    if run.after_reset or run.zero[0] or run.piece is None:
        return None
    why, unsure = _breaks(event, run, since_reset(log))
    if not why:
        return None
    place = event.place
    layer = layer_name(log, place)
    node = place.call(run.verb) if place is not None else None
    line = place.source(node) if place is not None and node is not None else run.name
    left = f"the last {before.verb}" if before.verb == run.verb else f"{before.name} ({line_of(before)})"
    return Evidence(
        title=f"{title(log.layer)} begins {run.name} with the state that {left} left.",
        got=f"{why};\nno reset of {title(log.layer)} in between",
        wanted=f"a state of zero where a sequence begins: {layer}.reset_state() before it",
        cause="With stateful=True nothing resets the state by itself, neither between calls nor between epochs. "
        "What is read\nhere does not continue what was read before, so it begins with the state of another sequence, "
        "and its result\ndepends on that.",
        fix=f"{layer}.reset_state()\n{line}",
        unsure=unsure,
        boundary=(title(log.layer),),
    )


def _breaks(event: ModelCalled | LayerCall, run: Run, unreset: list[Run]) -> tuple[str, str]:
    # Why the data does not go on, and what is not sure about it.
    piece, before = run.piece, unreset[-2] if len(unreset) > 1 else None
    if piece is None or before is None or before.piece is None:
        return "", ""
    rows = count(piece.shape[0], "row")
    if same := _answered_otherwise(run, unreset):
        other, then, now = same
        return (
            f"the same {rows} that {other.name} read before ({line_of(other)}):\n{then:.4g} then, and {now:.4g} now",
            "",
        )
    if again := _trained_again(run, unreset):
        return again, ""
    if lies_behind(before.piece, piece):
        return "", ""
    pairs = [(one.piece, other.piece) for one, other in itertools.pairwise(unreset)]
    between = [goes_on(one, other) for one, other in pairs if one is not None and other is not None]
    jumps = between.count(False)
    if between and between[-1] is False and jumps >= 0.8 * len(between):
        times = f", {jumps} times of {len(between)}" if len(between) > 1 else ""
        return (
            f"its first step lies far from the last step of the call before ({line_of(before)}){times},\n"
            "while steps within a sequence lie close together"
        ), ""
    if _loop(event.place) is not None and piece.shape[1] > 1:
        lengths = {one.piece.shape[1] for one in unreset if one.piece is not None}
        if len(unreset) >= 3 and len(lengths) >= 3:
            words = (
                f"sequences of {len(lengths)} different lengths ({min(lengths)} to {max(lengths)} steps), one "
                "in each call"
            )
            return words, "whether these are pieces of one long sequence"
        if _of_a_dictionary(event):
            return "one sequence of a dictionary after the other", ""
    return "", ""


def _answered_otherwise(run: Run, unreset: list[Run]) -> tuple[Run, float, float] | None:
    # The same data, read by the same verb, nothing trained in between: only the state can have made the difference.
    if run.verb not in ("predict", "evaluate") or run.piece is None or run.answer is None or run.piece.shape[1] < 2:
        return None
    for other in reversed(unreset[:-1]):
        if other.verb in TRAINS:
            return None
        if other.verb != run.verb or other.piece is None or other.answer is None or not _few([run, other]):
            continue
        if other.piece.print == run.piece.print and other.answer.shape == run.answer.shape:
            difference = np.abs(other.answer - run.answer)
            where = int(difference.argmax())
            return (other, other.answer[where], run.answer[where]) if difference.max() > 1e-6 else None
    return None


def _trained_again(run: Run, unreset: list[Run]) -> str:
    # A loop of the program's own over its data, once more from the beginning.
    if run.verb not in TRAINS or run.piece is None:
        return ""
    for number in range(len(unreset) - 2, -1, -1):
        other = unreset[number]
        if other.verb == run.verb and other.piece is not None and other.piece.print == run.piece.print:
            passed = [one for one in unreset[number:-1] if one.verb in TRAINS]
            if not _few(passed):
                return ""
            batches = sum(one.plan.batches or 0 for one in passed)
            # Once more may be a trial in front of the training.
            if batches == 1 and number < 2:
                return ""
            return (
                f"the same data once more from its beginning ({line_of(other)}), "
                f"after {count(batches, 'batch', 'batches')} without a reset"
            )
    return ""


def _few(runs: list[Run]) -> bool:
    return all(one.plan.batches for one in runs) and sum(one.plan.batches or 0 for one in runs) <= _FEW


def _loop(place: Place | None) -> ast.For | None:
    # The innermost for loop around a place.
    found: ast.For | None = None
    for node in ast.walk(place.module() or ast.Module([], [])) if place is not None else ():
        if isinstance(node, ast.For) and place is not None and node.lineno <= place.line <= (node.end_lineno or 0):
            found = node if found is None or node.lineno >= found.lineno else found
    return found


def _of_a_dictionary(event: ModelCalled | LayerCall) -> bool:
    loop = _loop(event.place)
    around = loop.iter if loop is not None else None
    if isinstance(around, ast.Call) and called(around) in ("enumerate", "sorted", "list") and around.args:
        around = around.args[0]
    if not isinstance(around, ast.Call) or called(around) not in ("items", "values"):
        return False
    if event.place is None or loop is None:
        return False
    targets = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
    call = event.place.node()
    used = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)} if call is not None else set()
    return bool(targets & used)
