"""Shapes that a layer of Keras refuses, or meets in its products: which axis is which, and where it went astray."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.input_axes_views import (
    Origin,
    Shape,
    axes_read,
    data_at,
    declared,
    origin_of,
    refused_call,
    remember,
    with_sequences,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import kinds, source_of, title
from sostenuto.diagnosis.wording import axes

SO111 = rule(
    "SO111",
    "A layer needs the whole sequence, and the one below returns its last output",
    """An LSTM or GRU returns only its last output, (batch, units), unless return_sequences=True. The next recurrent
    layer, a Conv1D, a pooling over time or TimeDistributed reads (batch, time, features): there is no time left.""",
    """Set return_sequences=True on every recurrent layer that such a layer reads. Leave it out on the last one, unless
    there is a target for every step.""",
    example="""
import keras
model = keras.Sequential([keras.Input((15, 6)), keras.layers.LSTM(32), keras.layers.LSTM(16)])
""",
    repaired="""
import keras
model = keras.Sequential([keras.Input((15, 6)), keras.layers.LSTM(32, return_sequences=True), keras.layers.LSTM(16)])
""",
)

SO112 = rule(
    "SO112",
    "The number of samples stands in the Input's shape",
    """Input(shape=...) describes one sample: (time, features). Keras puts the axis of the batch in front by itself,
    so a shape with the number of samples in it makes four axes, and a recurrent layer reads three.""",
    """Leave the samples out: Input(shape=x.shape[1:]).""",
    example="""
import numpy as np, keras
x = np.zeros((24, 6, 30), "float32")
model = keras.Sequential([keras.Input(shape=x.shape), keras.layers.LSTM(20)])
""",
    repaired="""
import numpy as np, keras
x = np.zeros((24, 6, 30), "float32")
model = keras.Sequential([keras.Input(shape=x.shape[1:]), keras.layers.LSTM(20)])
""",
)


@SO111.on(LayerCall)
def returned(event: LayerCall, seen: Seen) -> None:
    """Remembers which layer a tensor comes from."""
    remember(event, seen)


@SO111.on(Failure)
def no_sequence_to_read(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a layer of sequences that is given (batch, units) by a recurrent one."""
    refused = refused_call(failure)
    if refused is None:
        return None
    call, got = refused
    if len(got) != 2 or (axes_read(call.layer) or 0) < 3:
        return None
    origin = origin_of(call.inputs, seen, call)
    if origin is None or not origin.is_last_output:
        return None
    below = origin.layer
    made = seen.history(below).made
    steps = origin.shape[1] if origin.shape is not None and len(origin.shape) == 3 else None
    wanted = (got[0], steps, got[-1])
    between = f", through {' and '.join(map(title, origin.between))}" if origin.between else ""
    fix = with_sequences(source_of(below, seen), "True")
    decodes = "decod" in f"{getattr(call.layer, 'name', '')} {source_of(call.layer, seen)}".lower()
    if decodes:
        fix += (
            f"\n# or layers.RepeatVector({steps or 'steps'}) before {title(call.layer)}, to decode from the "
            "last output alone"
        )
    return Evidence(
        title=f"{title(call.layer)} needs a sequence, and {title(below)} before it returns only its last output.",
        got=f"{axes(got, 'BU')}: the last output of {title(below)}{between}" + (f", {made.words}" if made else ""),
        wanted=f"{axes(wanted, 'BTF')}: its output at every step",
        cause=f"{type(below).__name__} returns one vector for a whole sequence unless return_sequences=True; "
        f"{title(call.layer)}\nreads step by step, so the previous layer has to return the sequence.",
        fix=fix,
        boundary=(title(below), title(call.layer)),
    )


@SO112.on(Failure)
def samples_in_input(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for four axes, of which one too many was written into the Input."""
    refused = refused_call(failure)
    if refused is None:
        return None
    call, shape = refused
    origin = _input_of(call, seen)
    wanted = axes_read(call.layer)
    if origin is None or wanted is None or len(shape) != wanted + 1:
        return None
    # Layers between, an Embedding or a Conv1D, change the last axis; what was declared counts.
    given = tuple(getattr(origin.layer, "batch_shape", None) or shape)[1:]
    if len(given) not in (2, 3) or (None in given[1:] and given[0] is not None):
        return None
    proof = _first_axis(given, failure.place)
    if proof is None:
        return None
    counted, name, unsure = proof
    written = declared(origin.layer, call.layer, seen)
    sample = given[1:]
    letters = "TF" if len(sample) == 2 else "T"
    left = axes(sample, letters)
    fix = written.with_shape(sample)
    if written.argument == f"{name}.shape" or (name and not written.source):
        fix += f"        # or {name}.shape[1:]"
    return Evidence(
        title=f"{title(call.layer)} reads {_number(wanted)} axes, and the Input's shape has the batch axis in it.",
        got=f"{written.words(given)}, which makes (batch, {', '.join(map(str, given))})",
        wanted=f"{written.words(sample)}: {left} of one sample",
        cause=f"The shape of an Input describes one sample, and Keras adds the batch axis in front. {counted}\n"
        f"stands there as if it were an axis of the sample.",
        fix=fix,
        unsure=unsure,
        boundary=("Input", title(call.layer)),
    )


def _input_of(call: LayerCall, seen: Seen) -> Origin | None:
    # The Input that a layer reads, directly or behind layers that keep the batch and the steps.
    tensor = call.inputs
    for _ in range(4):
        origin = origin_of(tensor, seen, call)
        if origin is None or origin.is_input:
            return origin
        if not kinds(origin.layer) & {"Embedding", "Conv1D", "MaxPooling1D"}:
            return None
        nodes = getattr(origin.layer, "_inbound_nodes", None) or ()
        tensors = getattr(nodes[-1], "input_tensors", None) if nodes else None
        if not tensors:
            return None
        tensor = tensors[0]
    return None


def _first_axis(given: Shape, place: Place | None) -> tuple[str, str, str] | None:
    # What the first axis of an Input counts: in words, the data that proves it, and what is not sure.
    first = given[0]
    if first is None:
        return "None, the open batch size,", "", ""
    arrays = data_at(place, ranks=(len(given), len(given) + 1))
    if any(tuple(value.shape)[1:] == given for _, value in arrays):
        # Samples that have all these axes: the Input is right, and the layer behind it is not.
        return None
    for name, value in arrays:
        if tuple(value.shape) == given:
            return f"{first}, the number of samples of {name},", name, ""
    names = place.names if place is not None else {}
    sizes = [
        name for name in names if "batch" in name.lower() and isinstance(names[name], int) and names[name] == first
    ]
    if sizes:
        return f"{first}, the batch size ({sizes[0]}),", "", ""
    for name, value in arrays:
        if tuple(value.shape)[1:] == given[1:]:
            return f"{first}, a number of samples ({name} has {value.shape[0]} of {given[1:]}),", name, ""
    return f"{first}", "", f"whether {first} counts samples; images over time need ConvLSTM2D or TimeDistributed"


def _number(count: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(count, str(count))
