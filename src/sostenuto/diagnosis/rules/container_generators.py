"""Generators that end before the training does, or never."""

from __future__ import annotations

import ast
import inspect
import linecache
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import End, Failure, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.container_calls import call_with, written
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_ours
from sostenuto.diagnosis.wording import count

SO260 = rule(
    "SO260",
    "A generator ends before the training does",
    """A Python generator gives each batch once. When it has come to its end, Keras goes on without it: it has kept the
    first two batches, and the epochs that are left see these again and again.""",
    """Put while True around the loop of the generator, and say with steps_per_epoch how many batches make an epoch; or
    use a keras.utils.PyDataset, which can be read any number of times.""",
    example="""
import numpy as np, keras
def batches():
    for _ in range(5):
        yield np.zeros((4, 5, 2)), np.zeros((4, 1))
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(batches(), epochs=3, verbose=0)
""",
    repaired="""
import numpy as np, keras
def batches():
    while True:
        for _ in range(5):
            yield np.zeros((4, 5, 2)), np.zeros((4, 1))
model = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
model.fit(batches(), epochs=3, steps_per_epoch=5, verbose=0)
""",
)

SO269 = rule(
    "SO269",
    "A generator never ends, and nothing says how long an epoch is",
    """A generator with while True gives batches for ever. Without steps_per_epoch an epoch lasts until the generator
    ends, and so does evaluate or predict without steps.""",
    "Say how many batches make an epoch: steps_per_epoch=..., or steps=... for evaluate and predict.",
    needs="a training that somebody interrupts",
)

# Keras keeps so many batches, to see what they are like, and gives them again in each epoch.
_KEPT = 2


@SO260.on(ModelCalled)
def ended_early(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a generator at its end that gave fewer batches than the epochs wanted."""
    if event.verb != "fit" or not inspect.isgenerator(event.x) or is_ours(event.model):
        return None
    epochs = event.options.get("epochs", 1)
    first = event.options.get("initial_epoch") or 0
    steps = event.options.get("steps_per_epoch")
    ended = event.x.gi_frame is None
    if not isinstance(epochs, int) or not ended or getattr(event.model, "stop_training", False):
        return None
    epochs -= first
    given = event.batches
    if isinstance(steps, int):
        if given >= steps * epochs or given == 0:
            return None
        wanted = f"{steps * epochs} batches: steps_per_epoch={steps}, epochs={epochs}"
        epoch = given // steps + 1
    else:
        if epochs < 2 or given <= _KEPT:
            return None
        wanted = f"batches for {epochs} epochs: {given} in each"
        epoch = 2
    source = written(event, "x")
    length = steps if isinstance(steps, int) else given
    return Evidence(
        got=f"{source} gave {count(given, 'batch', 'batches')}, and came to its end in epoch {min(epoch, epochs)} "
        f"of {epochs}",
        wanted=wanted,
        cause="A generator gives each batch once. Keras goes on without it, and what is left of the training sees "
        f"only\nthe first {min(_KEPT, given)} batches again, which Keras had kept.",
        fix="while True:      # around the loop in the generator, so that it begins anew\n"
        + call_with(event, steps_per_epoch=str(length)),
        boundary=(source[:40], "the model"),
    )


@SO269.on(ModelCall)
def begins(event: ModelCall, seen: Seen) -> None:
    """Remembers a call that reads a generator without an end, and has no number of steps."""
    if event.verb not in ("fit", "evaluate", "predict") or not inspect.isgenerator(event.x) or event.place is None:
        return
    steps = event.options.get("steps_per_epoch" if event.verb == "fit" else "steps")
    if steps is None and not is_ours(event.model) and _for_ever(event.x):
        name = "steps_per_epoch" if event.verb == "fit" else "steps"
        seen.notes["endless generators"][event.place.bare()] = {
            "source": written(event, "x"),
            "verb": event.verb,
            "name": event.name,
            "argument": name,
            "fix": call_with(event, **{name: "100"}),
        }


@SO269.on(ModelCalled, Failure)
def has_ended(event: ModelCalled | Failure, seen: Seen) -> None:
    """Forgets a call that came to its end after all."""
    place = event.place if isinstance(event, ModelCalled) else (event.verb.place if event.verb else None)
    if place is not None:
        seen.notes["endless generators"].pop(place.bare(), None)


@SO269.on(End)
def never_ended(event: End, seen: Seen) -> list[Evidence]:
    """Looks for calls that were still under way when the program was interrupted."""
    return [_endless(place, known) for place, known in seen.notes["endless generators"].items()]


def _endless(place: Place, known: dict[str, Any]) -> Evidence:
    return Evidence(
        title=f"{known['name']} reads a generator that never ends, and was told no number of steps.",
        got=f"{known['source']}: a generator with while True; {known['argument']} is not given",
        wanted=f"{known['argument']}=the number of batches in an epoch",
        cause="An epoch lasts until the generator ends, and this one gives batches for ever: the first epoch would\n"
        "not come to its end.",
        fix=f"{known['fix']}      # 100: as many batches as make one pass over the data",
        unsure="whether a callback would have stopped it",
        place=place,
    )


def _for_ever(generator: Any) -> bool:
    code = generator.gi_code
    text = "".join(linecache.getlines(code.co_filename))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name and _begins(node) == code.co_firstlineno:
            loops = [one for one in node.body if isinstance(one, ast.While)]
            return any(_is_true(loop.test) and not _leaves(loop) for loop in loops)
    return False


def _begins(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(one.lineno for one in node.decorator_list)])


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _leaves(loop: ast.While) -> bool:
    # next() in a generator ends it with an error, and so may anything that raises.
    return any(
        isinstance(node, ast.Break | ast.Return | ast.Raise)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next")
        for node in ast.walk(loop)
    )
