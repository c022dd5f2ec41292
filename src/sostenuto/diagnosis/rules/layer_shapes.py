"""Shapes that a layer of Keras refuses, or meets in its products: which axis is which, and where it went astray."""

from __future__ import annotations

import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.views import is_recurrent, source_of, title
from sostenuto.diagnosis.wording import axes

SO111 = rule(
    "SO111",
    "A recurrent layer reads the last output of the one below, not its sequence",
    """An LSTM or GRU returns only its last output, (batch, units), unless return_sequences=True. The next recurrent
    layer reads (batch, time, features), and there is no time left.""",
    """Set return_sequences=True on every recurrent layer that another one reads. Leave it out on the last one, unless
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
    """Input(shape=...) describes one sample: (time, features). Keras puts the axis of the batch in front by itself, so a
    shape with the number of samples in it makes four axes, and a recurrent layer reads three.""",
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


def refused(failure: Failure) -> LayerCall | None:
    """The innermost call of a recurrent layer that an exception came through, where its input has a shape."""
    for call in failure.calls:
        if isinstance(call, LayerCall) and is_recurrent(call.layer) and getattr(call.inputs, "shape", None) is not None:
            return call
    return None


@SO111.on(Failure)
def no_sequence_to_read(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a recurrent layer that is given (batch, units) by another one."""
    call = refused(failure)
    if call is None or len(call.inputs.shape) != 2 or "ndim" not in failure.message:
        return None
    below = _made_by(call.inputs)
    if below is None:
        return None
    source = source_of(below, seen)
    made = seen.history(below).made
    got, wanted = tuple(call.inputs.shape), (*call.inputs.shape[:1], None, call.inputs.shape[-1])
    return Evidence(
        title=f"{title(call.layer)} needs a sequence, and {title(below)} before it returns only its last output.",
        got=f"{axes(got, 'BU')}: the last output of {title(below)}" + (f", {made.words}" if made else ""),
        wanted=f"{axes(wanted, 'BTF')}: its output at every step",
        cause=f"{type(below).__name__} returns one vector for a whole sequence unless return_sequences=True; "
        f"{title(call.layer)}\nreads step by step, so the previous layer has to return the sequence.",
        fix=with_keyword(source, "return_sequences", "True"),
        boundary=(title(below), title(call.layer)),
    )


@SO112.on(Failure)
def samples_in_input(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for four axes, of which one too many was written into the Input."""
    call = refused(failure)
    if call is None or len(call.inputs.shape) != 4 or "ndim" not in failure.message:
        return None
    shape = tuple(call.inputs.shape)[1:]
    if None in shape:
        return None
    # Data of exactly this shape proves it: its first axis counts samples.
    names = [name for name, value in arrays_at(failure.place) if tuple(value.shape) == shape]
    samples = f"{shape[0]}, the number of samples of {names[0]}," if names else f"{shape[0]}"
    return Evidence(
        title=f"{title(call.layer)} reads three axes, and the Input's shape has the batch axis in it.",
        got=f"Input(shape={shape}), which makes (batch, {', '.join(map(str, shape))})",
        wanted=f"Input(shape={shape[1:]}): (time {shape[1]}, features {shape[2]}) of one sample",
        cause=f"Input(shape=...) describes one sample, and Keras adds the batch axis in front. {samples}\n"
        f"stands there as if it were an axis of the sample.",
        fix=f"keras.Input(shape={shape[1:]})" + (f"        # or {names[0]}.shape[1:]" if names else ""),
        unsure="" if names else f"whether {shape[0]} counts samples; images over time need ConvLSTM2D or TimeDistributed",
        boundary=("Input", title(call.layer)),
    )


def arrays_at(place: Place | None) -> list[tuple[str, Any]]:
    """The variables at a place that hold arrays or tensors, with their names."""
    if place is None:
        return []
    return [
        (name, value)
        for name, value in place.names.items()
        if hasattr(value, "dtype") and isinstance(getattr(value, "shape", None), tuple)
    ]


def _made_by(tensor: Any) -> Any:
    # The recurrent layer a symbolic tensor comes from, through layers that keep its shape.
    history = getattr(tensor, "_keras_history", None)
    for _ in range(20):
        layer = getattr(history, "operation", None)
        if layer is None:
            return None
        if is_recurrent(layer):
            return layer
        if not re.search("Dropout|Normalization|Activation|Masking|LeakyReLU|ReLU", type(layer).__name__):
            return None
        before = getattr(layer, "input", None)
        history = getattr(before, "_keras_history", None)
    return None
