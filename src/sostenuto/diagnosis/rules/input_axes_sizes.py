"""Lengths that do not fit a layer: a kernel longer than the sequence, a shared layer on another number of features."""

from __future__ import annotations

from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.input_axes_views import maker_words, origin_of, refused_call, shape_of_call
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword
from sostenuto.diagnosis.views import is_recurrent, kinds, source_of, title
from sostenuto.diagnosis.wording import axes, count

SO131 = rule(
    "SO131",
    "A kernel or pool is longer than the sequence",
    """Conv1D and pooling layers with padding='valid', the default, need at least as many steps as their kernel is
    long, and each of them leaves fewer steps for the next: a pool of 4 leaves a quarter.""",
    """Take a shorter kernel or pool, or padding='same', or longer sequences.""",
    example="""
import keras
layers = keras.layers
model = keras.Sequential([keras.Input((3, 5)), layers.Conv1D(8, 5), layers.LSTM(4)])
""",
    repaired="""
import keras
layers = keras.layers
model = keras.Sequential([keras.Input((3, 5)), layers.Conv1D(8, 5, padding="same"), layers.LSTM(4)])
""",
)

SO136 = rule(
    "SO136",
    "A shared layer meets another number of features than its weights were made for",
    """A layer that is called twice has one set of weights, made for the number of features of the first call. All
    that it reads later needs the same number.""",
    """Make a layer of its own for each input; or bring the inputs to one number of features before, for instance
    with a Dense layer on each.""",
    example="""
import keras
layers = keras.layers
shared = layers.Dense(4)
both = [shared(keras.Input((20, 5))), shared(keras.Input((20, 7)))]
""",
    repaired="""
import keras
layers = keras.layers
shared = layers.Dense(4)
both = [shared(keras.Input((20, 5))), shared(keras.Input((20, 5)))]
""",
)


@SO131.on(Failure)
def kernel_too_long(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a Conv1D or a pooling over time that has fewer steps than its kernel."""
    refused = refused_call(failure)
    if refused is None or len(refused[1]) != 3:
        return None
    call, got = refused
    layer = call.layer
    length, what = _kernel(layer)
    steps = got[1] if getattr(layer, "data_format", "channels_last") == "channels_last" else got[2]
    if length is None or steps is None or steps >= length or getattr(layer, "padding", "valid") != "valid":
        return None
    origin = origin_of(call.inputs, seen, call)
    before = maker_words(origin)
    named = _argument(layer)
    whole = origin.shape[1] if origin is not None and origin.shape is not None and len(origin.shape) == 3 else None
    shortened = f"; {before} has made {steps} of {whole}" if whole is not None and whole != steps else ""
    return Evidence(
        title=f"{title(layer)} needs {count(length, 'step')} at least, and gets {steps}.",
        got=f"{axes(got, 'BTF')} from {before}: {count(steps, 'step')}{shortened}",
        wanted=f"{length} steps or more: {what}",
        cause=f"With padding='valid' the kernel has to lie within the sequence, and {length} steps do not fit "
        f"into {steps}.",
        fix=f"{with_keyword(source_of(layer, seen), 'padding', repr('same'))}\n"
        f"# or a shorter one: {named}={max(steps, 1)} at most; or sequences of {length} steps or more",
        boundary=(before, title(layer)),
    )


def _kernel(layer: Any) -> tuple[int | None, str]:
    names = kinds(layer)
    if not any(name.endswith("1D") for name in names) or any("Global" in name for name in names):
        return None, ""
    size = _one(getattr(layer, _argument(layer), None))
    if size is None:
        return None, ""
    dilation = _one(getattr(layer, "dilation_rate", 1)) or 1
    length = (size - 1) * dilation + 1
    words = f"{_argument(layer)}={size}" + (f" with dilation_rate={dilation}" if dilation > 1 else "")
    return length, words


def _argument(layer: Any) -> str:
    return "pool_size" if "Pooling" in type(layer).__name__ else "kernel_size"


def _one(value: Any) -> int | None:
    if isinstance(value, list | tuple):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, int) else None


@SO136.on(Failure)
def shared_layer(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a layer of a model that was built with other features by an earlier call of its own."""
    refused = refused_call(failure)
    if refused is None or len(refused[1]) < 2 or refused[1][-1] is None:
        return None
    call, got = refused
    layer = call.layer
    built = _features(layer)
    if built is None or built == got[-1]:
        return None
    known = seen.history(layer)
    before = [
        (shape, place)
        for shape, place in zip(known.shapes, known.places, strict=False)
        if shape is not None and len(shape) == len(got) and shape[-1] == built
    ]
    if not before or not is_shared(call):
        return None
    shape, place = before[0]
    letters = {2: "BF", 3: "BTF"}.get(len(got), "")
    if not letters:
        return None
    maker = maker_words(origin_of(call.inputs, seen, call))
    return Evidence(
        title=f"{title(layer)} is shared, and its second input has another number of features.",
        got=f"{axes(got, letters)} from {maker}: {got[-1]} features",
        wanted=f"{axes((got[0], *got[1:-1], built), letters)}: {built} features, as in its first call, "
        f"{axes(shape, letters)}" + (f", {place.words}" if place is not None else ""),
        cause="One layer has one set of weights, wherever it is called. They were made for "
        f"{count(built, 'feature')} by the first\n"
        f"call, and cannot read {got[-1]}.",
        fix=f"{source_of(layer, seen)}        # a layer of its own for the input of {got[-1]} features\n"
        f"# or bring it to {built} features first: layers.Dense({built})",
        boundary=(maker, title(layer)),
    )


def is_shared(call: LayerCall) -> bool:
    """Whether a layer was called with different numbers of features while models were put together.

    Args:
        call: of the layer; counts too where it is such a call.
    """
    sizes = {(shape_of_call(call.inputs) or (None,))[-1]} if call.symbolic else set()
    for node in getattr(call.layer, "_inbound_nodes", None) or ():
        tensors = getattr(node, "input_tensors", None) or ()
        sizes |= {(shape_of_call(one) or (None,))[-1] for one in list(tensors)[:1]}
    return len(sizes) > 1


def _features(layer: Any) -> int | None:
    inner = getattr(layer, "forward_layer", None) or layer
    kernel = getattr(inner, "kernel", None)
    if kernel is None and is_recurrent(inner):
        kernel = getattr(getattr(inner, "cell", None), "kernel", None)
    shape = getattr(kernel, "shape", None)
    if shape is None or len(shape) < 2:
        return None
    return int(shape[-2])
