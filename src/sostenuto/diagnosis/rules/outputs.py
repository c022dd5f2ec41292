"""The shape of what a model puts out beside the shape of its targets: broadcasts, and steps too many or missing."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import LayerCall, LossCall, ModelCalled
from sostenuto.diagnosis.rules.container_views import shape_in
from sostenuto.diagnosis.rules.input_axes_views import with_sequences
from sostenuto.diagnosis.rules.output_ends import end_of, recurrent_end, remember_ends
from sostenuto.diagnosis.rules.output_pages import SO411, SO412
from sostenuto.diagnosis.rules.output_views import BROADCASTING, ONE_HOT, SPARSE, Shape, returns_sequences, steps_of
from sostenuto.diagnosis.rules.outputs_compared import Compared, on_targets, remember_compared
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import called, without_keyword
from sostenuto.diagnosis.views import kinds, source_of, title
from sostenuto.diagnosis.wording import axes


@SO411.on(LayerCall)
def ends(event: LayerCall, seen: Seen) -> None:
    """Remembers where outputs of models come from."""
    remember_ends(event, seen)


@SO411.on(LossCall)
def compared(event: LossCall, seen: Seen) -> None:
    """Remembers what losses compare in training whose targets are in batches."""
    remember_compared(event, seen)


def may_be_judged(pair: Compared) -> bool:
    """Whether shapes that differ are a mistake here: a loss of Keras that failed, would fail, or broadcast."""
    if not pair.loss or pair.fits:
        return False
    not_yet_run = isinstance(pair.call, ModelCalled) and pair.call.result is None
    return pair.raised or pair.loss in BROADCASTING or not_yet_run


@on_targets(SO411)
def one_target_for_all_steps(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for outputs at every step beside one target per sequence: the loss broadcasts, or fails."""
    if len(pair.output) != 3 or not may_be_judged(pair):
        return None
    steps, units = steps_of(pair.output, pair.x), pair.output[2]
    if steps in (None, 1) or not _per_sequence(pair.target, steps, units):
        return None
    layer, end = recurrent_end(pair.model, seen, pair.output), end_of(pair.model, seen, pair.output)
    name = title(layer) if layer is not None else "the model"
    if layer is not None and returns_sequences(layer):
        fix = f"{last_output_only(source_of(layer, seen))}        # return_sequences=False: one output per sequence"
        why = f"With return_sequences=True {name} returns an output at every timestep"
    elif layer is not None:
        fix = "keras.layers.GlobalAveragePooling1D()        # before the last layer: one vector per sequence"
        why = f"Behind {name} there is an axis of time again, so the model has an output at every timestep"
    else:
        fix = "keras.layers.GlobalAveragePooling1D()        # before the last layer: one vector per sequence"
        why = "No layer takes the axis of time away, so the model has an output at every timestep"
        name = title(end) if end is not None else name
    return Evidence(
        title=f"{pair.name} compares one target per sequence with outputs at all {steps} steps.",
        got=f"output {axes((None, steps, units), 'BTU')} beside targets {pair.target}: one per sequence",
        wanted=f"output {axes((None, units), 'BU')}; or a target for every step, ({_rows(pair.target)}, {steps}, "
        f"{units})",
        cause=f"{why}. {_consequence(pair, steps)}",
        fix=fix,
        boundary=(name, "loss"),
    )


def _per_sequence(target: Shape, steps: int | None, units: int | None) -> bool:
    # (N,), (N, 1), (N, units): one per sequence; (N, steps) is one per step.
    if len(target) == 1:
        return True
    if len(target) == 3:
        return target[1] == 1 and target[2] in (1, units)
    return len(target) == 2 and target[1] != steps and (target[1] == 1 or target[1] == units)


def _rows(target: Shape) -> int | str:
    return target[0] if target and target[0] is not None else "batch"


def _consequence(pair: Compared, steps: int | None) -> str:
    if pair.raised or pair.loss not in BROADCASTING:
        return f"{pair.loss} compares every output\nwith a target of its own, and there is one for {steps} steps."
    every = (
        f"The loss broadcasts the one target over all {steps} steps, so every step is asked\nfor the answer of the "
        "whole sequence, also the first, which has seen next to nothing."
    )
    if len(pair.target) == 1:
        every += "\nTargets without a trailing axis even meet the outputs of all other sequences of their batch."
    return every


def last_output_only(source: str) -> str:
    """A recurrent layer's source without return_sequences; of Bidirectional, in the layer inside of it.

    Args:
        source: of the call that makes the layer.

    Example:
        >>> last_output_only("layers.Bidirectional(layers.GRU(6, return_sequences=True))")
        'layers.Bidirectional(layers.GRU(6))'
    """
    try:
        call = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        return source
    if not isinstance(call, ast.Call) or called(call) not in ("Bidirectional", "TimeDistributed"):
        return without_keyword(source, "return_sequences")
    for inner in ast.walk(call):
        if isinstance(inner, ast.Call):
            inner.keywords = [one for one in inner.keywords if one.arg != "return_sequences"]
    return ast.unparse(call)


@on_targets(SO412)
def one_output_for_all_steps(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for several targets per sequence beside one output: targets at every step, or of a time to come."""
    if len(pair.output) != 2 or len(pair.target) not in (2, 3) or not may_be_judged(pair):
        return None
    units, number = pair.output[1], pair.target[1]
    if units is None or number in (None, 1) or not _per_step(pair, units):
        return None
    layer, end = recurrent_end(pair.model, seen), end_of(pair.model, seen)
    if layer is None and end is None:
        return None
    steps = _steps_read(layer, pair.x, seen)
    silent = not pair.raised and pair.loss in BROADCASTING
    source = source_of(layer, seen) if layer is not None else ""
    last = len(pair.target) == 2 and pair.loss != SPARSE
    at_once = f"keras.layers.Dense({number})        # at the end{_instead(end)}: all {number} numbers at once"
    per_step = f"{with_sequences(source, 'True')}        # return_sequences=True: an output at every step"
    if layer is not None and not returns_sequences(layer) and (steps == number or not last):
        fix = per_step + (f"\n# or {at_once}" if last else "")
    else:
        fix = at_once
    if not last and steps is not None and steps != number:
        fix = f"keras.layers.RepeatVector({number})        # behind {title(layer)}, which reads {steps} steps\n"
        fix += (
            f"{with_sequences(source, 'True')}        # a second one, behind it: an output for each of {number} steps"
        )
    one_each = layer is not None and not returns_sequences(layer)
    return Evidence(
        title=f"{pair.name} compares {number} targets per sequence with one output.",
        got=f"output {axes((None, units), 'BU')} beside targets {pair.target}: {number} per sequence"
        + (", one for every step" if steps == number else ""),
        wanted=f"as many outputs as targets: {axes((None, number, units), 'BTU')}"
        + (f", or {axes((None, number), 'BU')}" if last else ""),
        cause=(
            f"{title(layer)} returns its last output only, so the model has one output per sequence"
            if one_each
            else "The model has one output per sequence"
        )
        + (
            f". The loss broadcasts it over\nall {number} targets: the model learns their mean."
            if silent
            else f", and there are {number} targets."
        ),
        fix=fix,
        boundary=(title(layer or end), "loss"),
    )


def _per_step(pair: Compared, units: int) -> bool:
    # (N, numbers) beside one number, (N, steps, units) beside units; (N, classes) beside classes are one answer.
    target, loss = pair.target, pair.loss
    if len(target) == 3:
        return target[2] in (1, units)
    if loss == SPARSE:
        return target[1] != units
    return units == 1 and loss not in ONE_HOT


def _steps_read(layer: Any, x: Any, seen: Seen) -> int | None:
    # How many steps the recurrent layer reads: from the data, or as it was seen.
    given = shape_in(x)
    if given is not None and len(given) == 3:
        return given[1]
    shapes = seen.history(layer).shapes if layer is not None else []
    return next((one[1] for one in reversed(shapes) if one is not None and len(one) == 3), None)


def _instead(end: Any) -> str:
    return f", instead of {title(end)}" if end is not None and "Dense" in kinds(end) else ""
