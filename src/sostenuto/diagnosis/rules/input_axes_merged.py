"""Layers that put several tensors together: sequences of different lengths, or a sequence beside one vector per row."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.input_axes_views import (
    Origin,
    Shape,
    maker_words,
    origin_of,
    shape_of_call,
    with_sequences,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_recurrent, kinds, source_of, title
from sostenuto.diagnosis.wording import axes

SO132 = rule(
    "SO132",
    "A layer puts tensors together whose axes do not fit",
    """Concatenate joins tensors along one axis, and all others have to be equal; Add and its kind need equal
    shapes. An encoder of 20 steps and a decoder of 10 do not lie beside each other step by step, and a sequence,
    (batch, time, units), and one vector per row, (batch, units), do not either.""",
    """Let an Attention layer bring one sequence to the length of the other: Attention()([query, value]) has the
    steps of the query. Repeat one vector with RepeatVector(steps), or return sequences from both layers.""",
    example="""
import keras
layers = keras.layers
encoder = layers.LSTM(4, return_sequences=True)(keras.Input((20, 5)))
decoder = layers.LSTM(4, return_sequences=True)(keras.Input((10, 3)))
both = layers.Concatenate()([encoder, decoder])
""",
    repaired="""
import keras
layers = keras.layers
encoder = layers.LSTM(4, return_sequences=True)(keras.Input((20, 5)))
decoder = layers.LSTM(4, return_sequences=True)(keras.Input((10, 3)))
both = layers.Concatenate()([decoder, layers.Attention()([decoder, encoder])])
""",
)

_ELEMENTWISE = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"}


@SO132.on(Failure)
def does_not_fit(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a merging layer whose inputs differ in rank, in steps or in units."""
    call = failure.calls[0] if failure.calls else None
    if not isinstance(call, LayerCall) or not isinstance(call.inputs, list | tuple) or len(call.inputs) < 2:
        return None
    name = type(call.layer).__name__
    if name not in _ELEMENTWISE | {"Concatenate", "Dot"}:
        return None
    shapes = [shape_of_call(one) for one in call.inputs]
    if any(shape is None or len(shape) not in (2, 3) for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    origins = [origin_of(one, seen, None) for one in call.inputs]
    first, other = _pair(known)
    if first is None or other is None:
        return None
    return _evidence(call, name, known, origins, first, other, seen)


@SO132.on(Failure)
def sum_does_not_fit(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a + b, or another operator, between tensors of a model that differ in steps or units."""
    place = failure.place
    node = place.node() if place is not None and not failure.calls else None
    if place is None or not isinstance(node, ast.BinOp):
        return None
    tensors = [place.value(one) for one in (node.left, node.right)]
    shapes = [shape_of_call(one) if hasattr(one, "_keras_history") else None for one in tensors]
    known = [shape for shape in shapes if shape is not None and len(shape) == 3]
    if len(known) != 2 or known[0] == known[1]:
        return None
    one, two = known
    axis = next((axis for axis in (1, 2) if one[axis] != two[axis] and 1 not in (one[axis], two[axis])), None)
    if axis is None or None in (one[axis], two[axis]):
        return None
    makers = [maker_words(origin_of(tensor, seen, None)) for tensor in tensors]
    what = ("steps", "step by step") if axis == 1 else ("units", "unit by unit")
    return Evidence(
        title=f"{makers[0]} and {makers[1]} differ in {what[0]}, and cannot be put together.",
        got=f"{_words(one)} from {makers[0]}; {_words(two)} from {makers[1]}",
        wanted=f"the same number of {what[0]} in both, such as {one[axis]} or {two[axis]}",
        cause=f"An operator works {what[1]}, and the {'time axes' if axis == 1 else 'last axes'} are "
        f"{one[axis]} and {two[axis]}.",
        fix=f"layers.Attention()([{place.source(node.left)}, {place.source(node.right)}])        # as many "
        "steps as the first"
        if axis == 1
        else f"layers.Dense({one[axis]})({place.source(node.right)})        # brings it to {one[axis]} units first",
        boundary=(makers[0], makers[1]),
    )


def _pair(shapes: list[Shape]) -> tuple[int | None, int | None]:
    # The first two that differ.
    for number, shape in enumerate(shapes):
        if len(shape) != len(shapes[0]):
            return 0, number
    for number, shape in enumerate(shapes):
        if any(None not in pair and pair[0] != pair[1] for pair in zip(shape[1:], shapes[0][1:], strict=True)):
            return 0, number
    return None, None


def _evidence(
    call: LayerCall,
    name: str,
    shapes: list[Shape],
    origins: list[Origin | None],
    first: int,
    other: int,
    seen: Seen,
) -> Evidence | None:
    one, two = shapes[first], shapes[other]
    parts = [f"{_words(shape)} from {maker_words(origin)}" for shape, origin in zip(shapes, origins, strict=True)]
    makers = maker_words(origins[first]), maker_words(origins[other])
    if len(one) != len(two):
        short, long = (first, other) if len(one) == 2 else (other, first)
        steps = shapes[long][1]
        wanted = (
            f"two sequences, or two vectors per row: {_words(shapes[long])} beside "
            f"{_words((None, steps, shapes[short][1]))}"
        )
        cause = (
            f"{maker_words(origins[long])} gives a vector for every step (three axes), "
            f"{maker_words(origins[short])} one vector "
            f"per row (two axes).\n{name} has no step to put it to."
        )
        fix = _for_rank(origins[short], origins[long], steps, seen)
    elif len(one) == 3 and one[1] != two[1] and None not in (one[1], two[1]) and _time_counts(call.layer, name):
        wanted = f"the same number of steps in all of them, such as {one[1]} or {two[1]}"
        cause = (
            f"{name} works step by step, and the sequences differ in length: {one[1]} steps from {makers[0]}, "
            f"{two[1]} steps\nfrom {makers[1]}. The time axis of both has to be equal."
        )
        fix = _for_length(call, shapes, origins, first, other, seen)
    elif one[-1] != two[-1] and name in _ELEMENTWISE | {"Dot"}:
        wanted = f"the same number of units in all of them, such as {one[-1]} or {two[-1]}"
        cause = (
            f"{name} needs vectors of one size, and the last axes are {one[-1]} and {two[-1]}: the units "
            "of both differ."
        )
        fix = _for_units(origins, shapes, first, other, seen)
    else:
        return None
    return Evidence(
        title=f"{title(call.layer)} cannot put {makers[0]} and {makers[1]} together.",
        got="; ".join(parts),
        wanted=wanted,
        cause=cause,
        fix=fix,
        boundary=(makers[0], title(call.layer)),
    )


def _words(shape: Shape) -> str:
    return axes(shape, "BTU" if len(shape) == 3 else "BU")


def _time_counts(layer: Any, name: str) -> bool:
    # Concatenate along time joins sequences of any lengths.
    if name == "Concatenate":
        return getattr(layer, "axis", -1) not in (1, -2)
    return name != "Dot"


def _for_rank(short: Origin | None, long: Origin | None, steps: int | None, seen: Seen) -> str:
    fixes = []
    if short is not None and short.is_last_output:
        source = with_sequences(source_of(short.layer, seen), "True")
        fixes.append(f"{source}        # {title(short.layer)}: its output of every step")
    fixes.append(f"layers.RepeatVector({steps or 'steps'})        # repeats the one vector for every step")
    if long is not None and is_recurrent(long.layer):
        source = with_sequences(source_of(long.layer, seen), "False")
        fixes.append(f"{source}        # {title(long.layer)}: one vector per row, as the other")
    return "\n# or ".join(fixes)


def _for_length(
    call: LayerCall, shapes: list[Shape], origins: list[Origin | None], first: int, other: int, seen: Seen
) -> str:
    # Attention gives its query's steps; with query and value exchanged it gives the other's.
    for number, beside in ((first, other), (other, first)):
        origin = origins[number]
        if origin is not None and "Attention" in type(origin.layer).__name__:
            return (
                f"the output of {title(origin.layer)} has the {shapes[number][1]} steps of its query, the "
                f"first of its inputs; the query\nhas to be {maker_words(origins[beside])}: Attention()([query, "
                f"value]), {shapes[beside][1]} steps first, {shapes[number][1]} second"
            )
    if "Concatenate" in kinds(call.layer) and shapes[first][2] == shapes[other][2]:
        joined = f"{shapes[first][1]} + {shapes[other][1]} steps"
        along = f"\n# or one behind the other in time: layers.Concatenate(axis=1), {joined}"
    else:
        along = ""
    return (
        "context = layers.Attention()([decoder, encoder])        # as many steps as the first of them, the query\n"
        f"layers.{type(call.layer).__name__}()([decoder, context])" + along
    )


def _for_units(origins: list[Origin | None], shapes: list[Shape], first: int, other: int, seen: Seen) -> str:
    origin = origins[other]
    size = shapes[first][-1]
    if origin is not None and is_recurrent(origin.layer):
        return f"give {title(origin.layer)} {size} units, as the other has: {type(origin.layer).__name__}({size}, ...)"
    return (
        f"layers.Dense({size})        # brings {maker_words(origin)} to {size} units before "
        f"{maker_words(origins[first])} is added"
    )
