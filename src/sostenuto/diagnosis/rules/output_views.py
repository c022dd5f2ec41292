"""What rules about outputs ask: the loss, the shape of the output, the last layers, and the targets beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.events import Batch, ModelCall
from sostenuto.diagnosis.rules.container_views import inputs_of, is_array, shape_in
from sostenuto.diagnosis.views import is_recurrent, kinds, layers_of

TRAINS = ("fit", "evaluate", "train_on_batch", "test_on_batch")

# Losses that compare number with number, and broadcast.
ELEMENTWISE = {
    "mse",
    "mean_squared_error",
    "mae",
    "mean_absolute_error",
    "mape",
    "mean_absolute_percentage_error",
    "msle",
    "mean_squared_logarithmic_error",
    "log_cosh",
    "huber",
    "binary_crossentropy",
    "bce",
    "binary_focal_crossentropy",
    "poisson",
}
_SHORT = {"meansquarederror": "mse", "meanabsoluteerror": "mae", "logcosh": "log_cosh"}


def loss_name(model: Any) -> str:
    """The name of a model's loss as Keras spells functions; "" where there are several, or one of the user's own."""
    loss = getattr(model, "loss", None)
    if loss is None or isinstance(loss, dict | list | tuple):
        return ""
    if isinstance(loss, str):
        found = loss
    elif type(loss).__module__.startswith("keras") or "keras" in str(getattr(loss, "__module__", "")):
        found = getattr(loss, "__name__", "") or getattr(loss, "name", "") or type(loss).__name__
    else:
        return ""
    found = found.lower()
    return _SHORT.get(found, found)


def output_shape(model: Any) -> tuple[int | None, ...] | None:
    """The shape of a model's only output; None where it has several, or is not built."""
    # Keras raises where nothing is built yet.
    try:
        found = model.output_shape
    except Exception:
        return None
    if not isinstance(found, tuple) or not all(one is None or isinstance(one, int) for one in found):
        return None
    return found


def steps_of(output: tuple[int | None, ...], x: Any) -> int | None:
    """The steps of an output (batch, time, units), from the data where the model leaves them open."""
    if output[1] is not None:
        return output[1]
    shape = shape_in(x)
    return shape[1] if shape is not None and len(shape) > 1 else None


def last_recurrent(model: Any) -> Any:
    """The last recurrent layer of a model, or None."""
    layers = [layer for layer in layers_of(model) if is_recurrent(layer)]
    return layers[-1] if layers else None


def returns_sequences(layer: Any) -> bool:
    """Whether a recurrent layer returns its output at every step."""
    return bool(getattr(getattr(layer, "forward_layer", layer), "return_sequences", False))


def last_layer(model: Any) -> Any:
    """The layer that makes the model's only output, or None."""
    layers = [layer for layer in layers_of(model) if "InputLayer" not in kinds(layer)]
    if layers and "Sequential" in kinds(model):
        return layers[-1]
    outputs = getattr(model, "outputs", None) or ()
    history = getattr(outputs[0], "_keras_history", None) if len(outputs) == 1 else None
    return getattr(history, "operation", None)


def activation_of(layer: Any) -> str:
    """The name of a layer's activation; of an Activation or Softmax layer too; "" where it has none."""
    if "Softmax" in kinds(layer):
        return "softmax"
    inner = getattr(layer, "layer", layer)
    return str(getattr(getattr(inner, "activation", None), "__name__", ""))


def asked(event: ModelCall | Batch) -> tuple[ModelCall, Any, Any] | None:
    """The call, its inputs and its targets, where targets are compared with outputs."""
    call = event.call if isinstance(event, Batch) else event
    if call.verb not in TRAINS or event.y is None or call.within is not None:
        return None
    # Where a model of several inputs got one array, what stands second may be another input.
    if is_array(event.x) and len(inputs_of(call.model)) > 1:
        return None
    return call, event.x, event.y


def numbers(value: Any) -> np.ndarray | None:
    """An array of numbers; of short lists too."""
    if isinstance(value, list | tuple) and 0 < len(value) <= 20_000:
        try:
            value = np.asarray(value)
        except ValueError:
            return None
    return as_array(value)
