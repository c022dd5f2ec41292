"""The shape of what a model puts out beside the shape of its targets: broadcasts, and steps too many or missing."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Batch, Failure, ModelCall
from sostenuto.diagnosis.rules.container_views import shape_in
from sostenuto.diagnosis.rules.output_pages import SO411, SO412
from sostenuto.diagnosis.rules.output_views import (
    ELEMENTWISE,
    TRAINS,
    asked,
    last_layer,
    last_recurrent,
    loss_name,
    output_shape,
    returns_sequences,
    steps_of,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword
from sostenuto.diagnosis.views import is_recurrent, source_of, title

Shape = tuple[int | None, ...]


@SO411.on(ModelCall, Batch)
def one_target_for_all_steps(event: ModelCall | Batch, seen: Seen) -> Evidence | None:
    """Looks for outputs at every step beside one target per sequence: the loss broadcasts."""
    found = asked(event)
    if found is None:
        return None
    call, x, y = found
    output, target = output_shape(call.model), shape_in(y)
    if output is None or not target or len(output) != 3 or loss_name(call.model) not in ELEMENTWISE:
        return None
    steps = steps_of(output, x)
    if steps in (None, 1) or not _per_sequence(target, steps, output[2]):
        return None
    return _every_step(call, seen, output, steps, target, raised=False)


@SO411.on(Failure)
def one_target_refused(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for the same, where the loss or a metric refused it."""
    call = failure.verb
    if call is None or call.verb not in TRAINS or call.y is None or _on_the_way_in(failure):
        return None
    output, target = output_shape(call.model), shape_in(call.y)
    if output is None or not target or len(output) != 3:
        return None
    steps = steps_of(output, call.x)
    if steps in (None, 1) or not _per_sequence(target, steps, output[2]):
        return None
    return _every_step(call, seen, output, steps, target, raised=True)


def _per_sequence(target: Shape, steps: int | None, units: int | None) -> bool:
    # (N,), (N, 1), (N, units): one per sequence; (N, steps) is one per step.
    if len(target) == 1:
        return True
    return len(target) == 2 and target[1] != steps and (target[1] == 1 or target[1] == units)


def _on_the_way_in(failure: Failure) -> bool:
    # An exception that came through a recurrent layer is not about targets.
    return any(is_recurrent(getattr(one, "layer", None)) for one in failure.calls)


def _every_step(call: ModelCall, seen: Seen, output: Shape, steps: int | None, target: Shape, raised: bool) -> Evidence:
    layer = last_recurrent(call.model)
    name, unit = title(layer) if layer is not None else "the model", output[2]
    if layer is not None and returns_sequences(layer):
        source = source_of(layer, seen)
        fix = f"{without_keyword(source, 'return_sequences')}        # one output per sequence"
        why = f"With return_sequences=True {name} returns an output at every timestep"
    else:
        fix = "keras.layers.LSTM(...)        # the last one without return_sequences=True"
        why = "The model has an output at every timestep"
    happens = (
        "A loss compares one target with one output."
        if raised
        else f"The loss broadcasts the one target over all {steps} steps, so every step is asked\nfor the answer of "
        "the "
        "whole sequence, also the first, which has seen next to nothing."
    )
    return Evidence(
        title=f"{call.name} compares one target per sequence with outputs at all {steps} steps.",
        got=f"output (batch ?, time {steps}, units {unit}) beside targets {target}: one per sequence",
        wanted=f"output (batch ?, units {unit}); or a target for every step, ({target[0]}, {steps}, {unit})",
        cause=f"{why}. {happens}",
        fix=fix,
        boundary=(name, "loss"),
    )


@SO412.on(ModelCall, Batch, Failure)
def one_output_for_all_steps(event: ModelCall | Batch | Failure, seen: Seen) -> Evidence | None:
    """Looks for targets at every step beside one output per sequence."""
    if isinstance(event, Failure):
        call = event.verb
        if call is None or call.verb not in TRAINS or call.y is None or _on_the_way_in(event):
            return None
        x, y = call.x, call.y
    else:
        found = asked(event)
        if found is None or loss_name(found[0].model) not in ELEMENTWISE:
            return None
        call, x, y = found
    output, target = output_shape(call.model), shape_in(y)
    if output is None or target is None or len(output) != 2 or output[1] is None:
        return None
    layer = last_recurrent(call.model)
    if layer is None or len(target) not in (2, 3) or target[1] in (None, 1, output[1]):
        return None
    given = shape_in(x)
    same = given is not None and len(given) > 1 and given[1] == target[1]
    if len(target) == 3 and target[2] not in (1, output[1]):
        return None
    # (N, steps) beside one number: several numbers were meant, or a sequence.
    if len(target) == 2 and output[1] != 1:
        return None
    steps, source = target[1], source_of(layer, seen)
    per_step = with_keyword(source, "return_sequences", "True")
    many = f"keras.layers.Dense({steps})"
    head = last_layer(call.model)
    silent = not isinstance(event, Failure)
    return Evidence(
        title=f"{call.name} compares {steps} targets per sequence with one output.",
        got=f"output (batch ?, units {output[1]}) beside targets {target}: {steps} per sequence",
        wanted=f"as many outputs as targets: (batch ?, time {steps}, units {output[1]}), or (batch ?, units {steps})",
        cause=f"{title(layer)} returns its last output only, so the model has one output per sequence"
        + (
            f". The loss broadcasts it over\nall {steps} targets: the model learns their mean."
            if silent
            else f", and the targets have {steps}."
        ),
        fix=f"{per_step}        # an output at every step\n# or {many} at the end: all {steps} numbers at once"
        if same
        else f"{many}        # at the end, instead of {title(head)}: all {steps} numbers at once",
        boundary=(title(layer), "loss"),
    )
