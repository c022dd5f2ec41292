"""softmax over a single unit, which is 1 always: at the end of a model, and inside of it, in attention for instance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import End, LayerCall, ModelCalled
from sostenuto.diagnosis.rules.output_ends import end_of
from sostenuto.diagnosis.rules.output_pages import SO413
from sostenuto.diagnosis.rules.output_views import Shape, activation_of, head_kinds, numbers, sizes_in
from sostenuto.diagnosis.rules.outputs_compared import Compared, on_targets
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword
from sostenuto.diagnosis.views import input_tensors, is_keras, is_model, kinds, source_of, title
from sostenuto.diagnosis.wording import count


@SO413.on(LayerCall)
def softmax_inside(event: LayerCall, seen: Seen) -> None:
    """Remembers layers that are softmax over one unit, for the end: a model's last layer is told with its loss."""
    layer, by = event.layer, event.outer.layer if event.outer is not None else None
    # Layers of Keras call others in them: TimeDistributed a Dense, MultiHeadAttention a Softmax.
    if by is not None and not is_model(by) and is_keras(by) and type(by).__module__.startswith("keras"):
        return
    names, shape = head_kinds(layer), sizes_in(event.inputs)
    if "Dense" in names and getattr(getattr(layer, "layer", layer), "units", None) == 1:
        seen.mark(event.output, one_unit=True)
    elif not names & {"Activation", "Softmax"} or not _over_one_unit(layer, shape, event.inputs, seen):
        return
    if activation_of(layer) == "softmax":
        kept = seen.history(layer).reference, shape, event.place
        seen.notes["softmax of one"].setdefault(id(layer), kept)


def _over_one_unit(softmax: Any, shape: Shape | None, inputs: Any, seen: Seen) -> bool:
    # Scores of steps that a Dense(1) made. Scores of a single key, or of a single step, are no mistake.
    axis = getattr(softmax, "axis", -1)
    return (
        shape is not None
        and len(shape) == 3
        and shape[2] == 1
        and shape[1] != 1
        and axis in (-1, 2)
        and bool(seen.marks(inputs).get("one_unit"))
    )


@SO413.on(End)
def softmax_of_one_inside(event: End, seen: Seen) -> Iterator[Evidence]:
    """Looks for those that are not the end of a model that was trained."""
    for number, (reference, shape, place) in seen.notes["softmax of one"].items():
        layer = reference()
        if layer is None or number in seen.notes["softmax of one told"]:
            continue
        source = source_of(layer, seen)
        over_time = shape is not None and len(shape) == 3
        steps = f"{shape[1]} steps" if over_time and shape[1] is not None else "all steps"
        if not over_time:
            fix = with_keyword(source, "activation", "'sigmoid'")
        elif "Dense" in head_kinds(layer):
            fix = f"{without_keyword(source, 'activation')}        # then keras.layers.Softmax(axis=1) on its output\n"
            fix += f"# weights of steps have to add up to 1 over {steps}, which is axis 1"
        else:
            fix = f"keras.layers.Softmax(axis=1)        # weights of steps add up to 1 over {steps}, which is axis 1"
        yield Evidence(
            title=f"{title(layer)} is softmax over 1 unit, which is 1.0 for every input.",
            got=f"{source}: 1 unit" + (f", on an input of shape {shape}" if shape else ""),
            wanted="softmax over several units"
            + (f", or over {steps}: axis=1" if over_time else ", or sigmoid for one unit"),
            cause=_CAUSE + (": every step gets the same weight." if over_time else ": nothing is learnt."),
            fix=fix,
            place=seen.history(layer).made or place,
            boundary=(title(layer),),
        )


_CAUSE = (
    "softmax divides by the sum over the last axis, the units; over a single unit that is the unit itself, so the "
    "output\nis always 1.0 and its gradient zero"
)


@SO413.on(ModelCalled)
def softmax_as_a_function(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for keras.ops.softmax over one unit in the graph of a model."""
    for one in getattr(event.model, "operations", None) or ():
        if "Layer" in kinds(one) or type(one).__name__ != "Softmax":
            continue
        given = next(iter(input_tensors(one)), None)
        shape = sizes_in(given) if given is not None else None
        if shape is None or not _over_one_unit(one, shape, given, seen):
            continue
        if seen.marks(event.model).get("softmax as a function"):
            return None
        seen.mark(event.model, **{"softmax as a function": True})
        steps = f"{shape[1]} steps" if shape[1] is not None else "all steps"
        return Evidence(
            title="softmax over 1 unit is 1.0 for every input.",
            got=f"a function softmax over the last axis of {shape}, the output of a layer with 1 unit",
            wanted=f"softmax over {steps}: axis=1",
            cause=f"{_CAUSE}: every step gets the same weight.",
            fix=f"keras.ops.softmax(scores, axis=1)        # weights of steps add up to 1 over {steps}",
            boundary=("softmax",),
        )
    return None


@on_targets(SO413)
def softmax_of_one(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for softmax over one unit at the end of a model, in training."""
    layer = end_of(pair.model, seen, pair.output)
    if layer is None or pair.output[-1] != 1 or activation_of(layer) != "softmax" or pair.raised:
        return None
    if not head_kinds(layer):
        return None
    # Softmax over another axis, of weights for steps, is right.
    if getattr(layer, "axis", -1) not in (-1, len(pair.output) - 1):
        return None
    seen.notes["softmax of one told"][id(layer)] = True
    classes = numbers(pair.y)
    some = np.unique(some_rows(classes)) if classes is not None else np.array([])
    whole = bool(len(some)) and bool((some == np.round(some)).all())
    source = source_of(layer, seen)
    many = max(len(some), int(some.max()) + 1, 2) if whole else 2
    if not whole and len(some):
        fix = f"{without_keyword(source, 'activation')}        # no activation: measured values"
    elif len(some) <= 2:
        fix = with_keyword(source, "activation", "'sigmoid'") + "        # loss='binary_crossentropy'"
    else:
        fix = f"keras.layers.Dense({many}, activation='softmax')        # loss='sparse_categorical_crossentropy'"
    return Evidence(
        title=f"{title(layer)} is softmax over 1 unit, which is 1.0 for every input.",
        got=f"{source}: 1 unit" + (f", for {count(len(some), 'class', 'classes')}" if whole else ""),
        wanted="sigmoid for one unit, or softmax over one unit per class",
        cause="softmax divides by the sum over all units; over a single unit that is the unit itself, so the output is "
        "always 1.0,\nthe gradient is zero, and nothing is learnt.",
        fix=fix,
        boundary=(title(layer), "loss"),
    )
