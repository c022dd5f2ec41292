"""Layers of sequences behind layers that leave no steps, such as Flatten; RepeatVector behind a sequence; images."""

from __future__ import annotations

from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.input_axes_views import (
    Origin,
    Shape,
    axes_read,
    data_at,
    maker_words,
    origin_of,
    refused_call,
    returns_sequences,
    shape_of_call,
    with_sequences,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_recurrent, kinds, source_of, title
from sostenuto.diagnosis.wording import axes

SO127 = rule(
    "SO127",
    "A layer reads a sequence, and the layer before it leaves no steps",
    """Recurrent layers, Conv1D, pooling over time and TimeDistributed read (batch, time, features). Flatten, global
    pooling and taking one step make (batch, features) of it: nothing is left to step through.""",
    """Put the layer of sequences before the one that takes the steps away, or leave that one out. To decode from
    one vector, put RepeatVector(steps) between.""",
    example="""
import keras
layers = keras.layers
model = keras.Sequential([keras.Input((20, 5)), layers.Conv1D(8, 3), layers.Flatten(), layers.LSTM(4)])
""",
    repaired="""
import keras
layers = keras.layers
model = keras.Sequential([keras.Input((20, 5)), layers.Conv1D(8, 3), layers.LSTM(4)])
""",
)

SO128 = rule(
    "SO128",
    "RepeatVector is given a sequence",
    """RepeatVector(n) makes a sequence of one vector, by repeating it n times: it reads (batch, features). Behind a
    layer with return_sequences=True there are steps already.""",
    """Leave return_sequences out of the encoder's last recurrent layer, so that it returns its last output only; or
    leave RepeatVector out, if the decoder is to read every step.""",
    example="""
import keras
layers = keras.layers
encoder = [keras.Input((20, 5)), layers.LSTM(8, return_sequences=True)]
model = keras.Sequential([*encoder, layers.RepeatVector(20), layers.LSTM(8, return_sequences=True)])
""",
    repaired="""
import keras
layers = keras.layers
encoder = [keras.Input((20, 5)), layers.LSTM(8)]
model = keras.Sequential([*encoder, layers.RepeatVector(20), layers.LSTM(8, return_sequences=True)])
""",
)

SO138 = rule(
    "SO138",
    "A layer of sequences is given more than steps and features",
    """A recurrent layer reads (batch, time, features). Images have rows, columns and channels, frames of a video
    have a time axis besides; an axis of length 1 is often left from a reshape. None of these has a place in it.""",
    """Join axes, Reshape((steps, features)), so that each step is one vector; run layers for images on every step with
    TimeDistributed; or use ConvLSTM2D, which reads images over time. Remove an axis of length 1 with squeeze.""",
    example="""
import keras
layers = keras.layers
model = keras.Sequential([keras.Input((16, 12, 1)), layers.Conv2D(4, 3), layers.LSTM(8)])
""",
    repaired="""
import keras
layers = keras.layers
model = keras.Sequential([keras.Input((16, 12, 1)), layers.Conv2D(4, 3), layers.Reshape((14, 40)), layers.LSTM(8)])
""",
)

# Layers that make one vector of each row.
_ENDS = ("Flatten", "Global", "GetItem", "Max", "Mean", "Sum", "Reduce", "Lambda", "Reshape", "Concatenate", "Dot")


@SO127.on(Failure)
def no_steps_left(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a layer of sequences that gets fewer axes than it reads, from a layer that took the steps away."""
    refused = refused_call(failure)
    if refused is None:
        return None
    call, got = refused
    wanted = axes_read(call.layer) or 0
    origin = origin_of(call.inputs, seen, call)
    if "TimeDistributed" in kinds(call.layer) and wanted > 3 and len(got) == 3:
        return _wrapped(call.layer, got, origin, seen)
    if wanted < 3 or origin is None or origin.is_input or origin.is_last_output:
        return None
    if len(got) != 2 or len(origin.shape or ()) < 3 or not _takes_steps(origin):
        return None
    before = maker_words(origin)
    steps = origin.shape[1] if origin.shape is not None and len(origin.shape) == 3 else None
    # One step was taken out of a sequence, or a recurrent layer's states were put together.
    fix = f"{source_of(call.layer, seen)}        # before {before}, or without {before}"
    if type(origin.layer).__name__ == "GetItem":
        fix = f"leave the indexing out: {title(call.layer)} reads all steps and returns the last output itself"
    if "Global" in type(origin.layer).__name__:
        fix = f"layers.MaxPooling1D(2)        # shortens the sequence, where {before} leaves no steps; or leave it out"
    return Evidence(
        title=f"{title(call.layer)} needs a sequence, and {before} before it leaves no time axis.",
        got=f"{axes(got, 'BF')} from {before}, which read {_shape_words(origin.shape)}",
        wanted=f"{axes((got[0], steps, origin.shape[-1] if steps and origin.shape else None), 'BTF')}: "
        f"three axes (ndim=3), a vector for every step",
        cause=f"{before} makes one vector of a whole sequence, so time is gone; {title(call.layer)} steps through\n"
        "(batch, time, features) and has nothing to step through.",
        fix=fix,
        boundary=(before, title(call.layer)),
    )


def _takes_steps(origin: Origin) -> bool:
    name = type(origin.layer).__name__
    return any(name.startswith(one) for one in _ENDS)


def _shape_words(shape: Shape | None) -> str:
    if shape is None:
        return "what is not known"
    return (
        axes(shape, "BTF")
        if len(shape) == 3
        else f"(batch {', '.join('?' if one is None else str(one) for one in shape)})"
    )


def _wrapped(layer: Any, got: Shape, origin: Origin | None, seen: Seen) -> Evidence:
    inner = layer.layer
    return Evidence(
        title=f"TimeDistributed gives {title(inner)} one step at a time, and it needs a sequence.",
        got=f"{axes(got, 'BTF')}; of each step {title(inner)} gets {axes((got[0], got[2]), 'BF')}",
        wanted=f"{axes(got, 'BTF')} for {type(inner).__name__} itself, without TimeDistributed",
        cause=f"TimeDistributed runs a layer on every step by itself. {type(inner).__name__} goes through the "
        "time axis by\nitself, and inside of TimeDistributed there is none left.",
        fix=f"{source_of(inner, seen)}        # without TimeDistributed"
        if not is_recurrent(inner)
        else f"{with_sequences(source_of(inner, seen), 'True')}        # without TimeDistributed",
        boundary=(maker_words(origin), title(layer)),
    )


@SO128.on(Failure)
def sequence_to_repeat(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a RepeatVector that gets (batch, time, features)."""
    refused = refused_call(failure)
    if refused is None or "RepeatVector" not in kinds(refused[0].layer) or len(refused[1]) != 3:
        return None
    call, got = refused
    origin = origin_of(call.inputs, seen, call)
    before = maker_words(origin)
    number = getattr(call.layer, "n", None)
    sequence = origin is not None and is_recurrent(origin.layer) and returns_sequences(origin.layer)
    if sequence and origin is not None:
        fix = with_sequences(source_of(origin.layer, seen), "False")
        fix += f"        # {title(origin.layer)}: its last output, which RepeatVector repeats"
        cause = (
            f"{title(origin.layer)} has return_sequences=True, so it returns the output of every step, not "
            "only the last\noutput. RepeatVector makes a sequence of one vector, and there is one already."
        )
    else:
        fix = "leave RepeatVector out, or put a layer before it that makes one vector of the sequence, such as an LSTM"
        cause = "RepeatVector makes a sequence of one vector, and what it gets has a time axis already."
    return Evidence(
        title=f"{title(call.layer)} repeats one vector, and is given a whole sequence.",
        got=f"{axes(got, 'BTU' if sequence else 'BTF')} from {before}: three axes (ndim=3)",
        wanted=f"{axes((got[0], got[2]), 'BU' if sequence else 'BF')}: one vector per row (ndim=2), to be repeated"
        + (f" {number} times" if isinstance(number, int) else ""),
        cause=cause,
        fix=fix,
        boundary=(before, title(call.layer)),
    )


@SO138.on(Failure)
def too_many_for_a_sequence(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for images, or for axes of length 1, in front of a layer of sequences."""
    refused = refused_call(failure)
    if refused is None:
        return None
    call, got = refused
    wanted = axes_read(call.layer)
    if wanted is None or len(got) <= wanted or "TimeDistributed" in kinds(call.layer) or wanted != 3:
        return None
    origin = origin_of(call.inputs, seen, call)
    # Ids with an axis too many get one more from an Embedding: a rule of its own knows these.
    if origin is not None and "Embedding" in kinds(origin.layer):
        return None
    before = maker_words(origin)
    ones = [axis for axis, size in enumerate(got) if size == 1 and axis]
    rest = tuple(size for axis, size in enumerate(got) if axis not in ones)
    inner = ", ".join("?" if size is None else str(size) for size in got[1:])
    from_data = origin is None or origin.is_input
    if len(rest) == 3 and ones:
        fix = _squeezed(ones, from_data, rest)
        cause = (
            f"Axis {ones[0]} has length 1 and counts nothing; with it there are {len(got)} axes, and "
            f"{title(call.layer)} reads three."
        )
    elif from_data and origin is not None and not _is_data(failure, got):
        return None
    else:
        steps, features = got[1], _product(got[2:])
        fix = f"layers.Reshape(({steps or -1}, {features or -1}))        # before {title(call.layer)}: " + (
            f"{steps} steps of {' x '.join(map(str, got[2:]))} = {features} features"
            if features
            else "one vector per step"
        )
        if len(got) == 5:
            fix += "\n# or layers.ConvLSTM2D(...), which reads images over time"
        cause = (
            f"{title(call.layer)} reads one vector per step. What it gets has {len(got) - 1} axes besides the "
            "batch, as images\nhave: rows, columns, channels. Which of them is time has to be said."
        )
    return Evidence(
        title=f"{title(call.layer)} reads three axes, and is given {len(got)}.",
        got=f"(batch {'?' if got[0] is None else got[0]}, {inner}) from {before}: {len(got)} axes (ndim={len(got)})",
        wanted="(batch, time, features): three axes (ndim=3), one vector for every step",
        cause=cause,
        fix=fix,
        boundary=(before, title(call.layer)),
    )


def _squeezed(ones: list[int], from_data: bool, rest: Shape) -> str:
    if from_data:
        axis = str(ones[0]) if len(ones) == 1 else str(tuple(ones))
        return f"x = x.squeeze({axis})        # the axis of length 1 goes: {rest}"
    return (
        f"layers.Reshape({tuple(-1 if size is None else size for size in rest[1:])})        # without the "
        "axis of length 1"
    )


def _is_data(failure: Failure, got: Shape) -> bool:
    # An Input with three axes besides the batch is right if there is data of that kind.
    given = [failure.verb.x] if failure.verb is not None else []
    given += [call.inputs for call in failure.calls if isinstance(call, LayerCall) and not call.symbolic]
    given += [value for _, value in data_at(failure.place, ranks=(len(got),))]
    return any((shape_of_call(one) or ())[1:] == got[1:] for one in given)


def _product(sizes: Shape) -> int | None:
    result = 1
    for size in sizes:
        if size is None:
            return None
        result *= size
    return result
