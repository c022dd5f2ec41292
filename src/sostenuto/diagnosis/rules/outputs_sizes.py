"""Outputs and targets of different sizes: units that no target belongs to, classes, steps of a forecast."""

from __future__ import annotations

import re

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.rules.output_ends import end_of, recurrent_end
from sostenuto.diagnosis.rules.output_pages import SO419
from sostenuto.diagnosis.rules.output_views import BROADCASTING, ONE_HOT, SPARSE, steps_of
from sostenuto.diagnosis.rules.outputs import last_output_only, may_be_judged
from sostenuto.diagnosis.rules.outputs_compared import Compared, on_targets
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_recurrent, kinds, source_of, title
from sostenuto.diagnosis.wording import axes, count


@on_targets(SO419)
def sizes_differ(pair: Compared, seen: Seen) -> Evidence | None:
    """Looks for outputs of one size beside targets of another, of the same kind."""
    if not may_be_judged(pair) or pair.loss == SPARSE:
        return None
    output, target = pair.output, pair.target
    if len(output) == 2 and len(target) <= 2:
        return _units(pair, seen, output[1], target[1] if len(target) == 2 else 1)
    if len(output) != 3 or len(target) not in (2, 3):
        return None
    steps, number = steps_of(output, pair.x), target[1]
    if steps is None or number is None or number == 1:
        return None
    if number != steps:
        # (N, units) beside (N, steps, units) are targets per sequence.
        return _steps(pair, seen, steps, number) if len(target) == 3 or number != output[2] else None
    return _units(pair, seen, output[2], target[2] if len(target) == 3 else 1)


def _units(pair: Compared, seen: Seen, units: int | None, wanted: int | None) -> Evidence | None:
    # One output beside several targets, and class numbers beside one-hot units, are mistakes of another kind.
    if units is None or wanted is None or units in (wanted, 1) or (wanted == 1 and pair.loss not in BROADCASTING):
        return None
    end = end_of(pair.model, seen, pair.output)
    layer = recurrent_end(pair.model, seen, pair.output)
    per = " at every step" if len(pair.output) == 3 else ""
    silent = not pair.raised and wanted == 1
    classes = pair.loss in ONE_HOT
    what = "classes" if classes else "targets" if wanted > 1 else "target"
    name = title(end) if end is not None else "the model"
    if end is not None and is_recurrent(end):
        fix = f"keras.layers.Dense({wanted})        # behind {title(end)}, as the last layer"
        why = f"{title(end)} is the last layer, and its {units} units are its state: a Dense({wanted}) has to make"
        why += f" {count(wanted, 'number')} of them."
    else:
        source = source_of(end, seen) if end is not None and "Dense" in kinds(end) else ""
        fix = f"{with_units(source, wanted) if source else f'keras.layers.Dense({wanted})'}        # as many units as "
        fix += f"{what}" if wanted > 1 else "there are targets: 1"
        why = f"{name} has {units} units, so the model puts out {units} numbers{per}, and there "
        why += f"{'is one target' if wanted == 1 else f'are {wanted} {what}'}."
        if classes:
            why += f"\nThe one-hot rows have {wanted} columns, one per class, and every class needs a unit."
    broadcast = f"\nThe loss broadcasts the one target over all {units} units, and each of them learns it."
    return Evidence(
        title=f"{pair.name} compares {units} outputs with {wanted} {what}{per}.",
        got=f"output {axes((None, *pair.output[1:]), 'BTU' if len(pair.output) == 3 else 'BU')} beside targets "
        f"{pair.target}",
        wanted=f"as many units as targets: units {wanted}",
        cause=why + (broadcast if silent else "\nThe loss compares number with number."),
        fix=fix,
        boundary=(title(layer) if end is None and layer is not None else name, "loss"),
    )


def _steps(pair: Compared, seen: Seen, steps: int, number: int) -> Evidence | None:
    layer = recurrent_end(pair.model, seen, pair.output)
    features = pair.target[2] if len(pair.target) == 3 else 1
    units = pair.output[2]
    if layer is None or features is None:
        return None
    alone = last_output_only(source_of(layer, seen))
    size = number * features
    shaped = f"\nkeras.layers.Reshape(({number}, {features}))" if features > 1 else ""
    return Evidence(
        title=f"{pair.name} compares outputs at {steps} steps with targets at {number}.",
        got=f"output {axes((None, steps, units), 'BTU')} beside targets {pair.target}: {number} steps",
        wanted=f"as many steps on both sides: {axes((None, number, features), 'BTU')}; or targets for all {steps} "
        f"steps",
        cause=f"With return_sequences=True {title(layer)} returns an output for each of the {steps} steps that it "
        f"reads. A forecast\nof {number} steps has another length, and has to be made from its last output.",
        fix=f"{alone}        # return_sequences=False: its last output\n"
        f"keras.layers.Dense({size})        # as the last layer: all {number} steps at once{shaped}",
        boundary=(title(layer), "loss"),
    )


def with_units(source: str, number: int) -> str:
    """The source of a Dense layer with another number of units.

    Example:
        >>> with_units("layers.Dense(units=3, activation='softmax')", 5)
        "layers.Dense(units=5, activation='softmax')"
    """
    # A name stands for the number where there is none.
    found = re.sub(r"(Dense\(\s*(?:units\s*=\s*)?)[^,)\s]+", rf"\g<1>{number}", source, count=1)
    return found if found != source else f"{source}        # with units={number}"
