"""What rules about outputs ask: the loss, the shape of the output, the last layers, and the targets beside them."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.events import Batch, ModelCall
from sostenuto.diagnosis.rules.container_views import inputs_of, is_array, shape_in
from sostenuto.diagnosis.views import is_recurrent, kinds, layers_of

Shape = tuple[int | None, ...]

TRAINS = ("fit", "evaluate", "train_on_batch", "test_on_batch")

# Losses that compare number with number, and broadcast without a word.
BROADCASTING = {
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "log_cosh",
    "huber",
    "poisson",
    "hinge",
    "squared_hinge",
}
SPARSE = "sparse_categorical_crossentropy"
ONE_HOT = ("categorical_crossentropy", "categorical_focal_crossentropy")
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
# Losses of classes, which compare shapes before.
CLASSES = {*BINARY, *ONE_HOT, SPARSE}
_SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "logcosh": "log_cosh",
    "bce": "binary_crossentropy",
}


def sizes_in(value: Any) -> Shape | None:
    """``shape_in`` with None for sizes that are no numbers: JAX has symbols for them that cannot be compared."""
    shape = shape_in(value)
    return None if shape is None else tuple(one if isinstance(one, int) else None for one in shape)


def assigned(source: str, name: str) -> tuple[str, str]:
    """What stands left and right of ``=`` where a value is to be changed: its own name, or a new one.

    Example:
        >>> assigned("y_train", "y"), assigned("2 * labels", "y")
        (('y_train', 'y_train'), ('y', '(2 * labels)'))
    """
    try:
        node = ast.parse(source, mode="eval").body
    except SyntaxError:
        return name, name
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        return source, source
    return name, source if isinstance(node, ast.Call) else f"({source})"


def loss_name(model: Any) -> str:
    """The name of a model's loss as Keras spells functions; "" where there are several, or one of the user's own."""
    return name_of_loss(getattr(model, "loss", None))


def name_of_loss(loss: Any) -> str:
    """The name of a loss as Keras spells functions; "" where it is none of Keras's.

    Args:
        loss: a name, a function or an object.

    Example:
        >>> name_of_loss("mse"), name_of_loss("my_loss"), name_of_loss(None)
        ('mean_squared_error', '', '')
    """
    if isinstance(loss, str):
        found = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", loss).lower()
    else:
        # Keras puts an object of its own around a function.
        loss = getattr(loss, "fn", loss) if type(loss).__name__ == "LossFunctionWrapper" else loss
        named = loss if hasattr(loss, "__name__") else type(loss)
        if str(getattr(named, "__module__", "")).partition(".")[0] not in ("keras", "sostenuto"):
            return ""
        found = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", named.__name__).lower()
    found = _SHORT.get(found, found)
    return found if found in BROADCASTING | CLASSES else ""


def output_shape(model: Any) -> Shape | None:
    """The shape of a model's only output; None where it has several, or is not built."""
    # Keras raises where nothing is built yet.
    try:
        found = model.output_shape
    except Exception:
        return None
    if not isinstance(found, tuple) or not all(one is None or isinstance(one, int) for one in found):
        return None
    return found


def outputs_by_name(model: Any, y: Any, weights: Any = None) -> list[tuple[Shape, Any, Any, Any]]:
    """The outputs of a model that has several: of each its shape, targets, loss and weights; empty for one output.

    Args:
        model: a model of Keras.
        y: targets as ``fit`` got them: a list in the order of the outputs, or a dict by their names.
        weights: of samples, in the same form.
    """
    # Keras raises where nothing is built yet.
    try:
        shapes, names = model.output_shape, list(model.output_names)
    except Exception:
        return []
    if isinstance(shapes, dict):
        names, shapes = list(shapes), list(shapes.values())
    if not isinstance(shapes, list) or len(shapes) != len(names) or len(shapes) < 2:
        return []
    losses, found = getattr(model, "loss", None), []
    for number, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        target, loss = _of_output(y, name, number), losses
        if isinstance(losses, dict | list | tuple):
            loss = _of_output(losses, name, number)
        if target is not None and loss is not None and isinstance(shape, tuple):
            found.append((shape, target, loss, _of_output(weights, name, number)))
    return found


def _of_output(values: Any, name: str, number: int) -> Any:
    if isinstance(values, dict):
        return values.get(name)
    return values[number] if isinstance(values, list | tuple) and number < len(values) else None


def steps_of(output: Shape, x: Any) -> int | None:
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


def last_layer(model: Any, output: Shape | None = None) -> Any:
    """The layer that makes a model's output; None where that is not known.

    Args:
        model: a model of Keras.
        output: the shape of the output, where there are several.
    """
    layers = [layer for layer in layers_of(model) if "InputLayer" not in kinds(layer)]
    if layers and "Sequential" in kinds(model):
        return layers[-1]
    # Keras raises where nothing is built yet.
    try:
        outputs = list(model.outputs or ())
    except Exception:
        return None
    if len(outputs) > 1 and output is not None:
        outputs = [one for one in outputs if tuple(getattr(one, "shape", ()))[1:] == output[1:]]
    history = getattr(outputs[0], "_keras_history", None) if len(outputs) == 1 else None
    return getattr(history, "operation", None)


def activation_of(layer: Any) -> str:
    """The name of a layer's activation; of an Activation or Softmax layer too; "" where it has none."""
    if "Softmax" in kinds(layer):
        return "softmax"
    found = getattr(getattr(layer, "layer", layer), "activation", None)
    if found is None:
        return ""
    # A layer may be an activation too.
    return str(getattr(found, "__name__", "")) or type(found).__name__.replace("Softmax", "softmax")


def head_kinds(layer: Any) -> set[str]:
    """The kinds of a layer and of one inside it; empty where a class of the user's does what it does in its own way."""
    found: set[str] = set()
    for one in (layer, getattr(layer, "layer", None)):
        own = [kind for kind in type(one).__mro__ if kind.__module__.partition(".")[0] not in ("keras", "builtins")]
        if any("call" in vars(kind) for kind in own):
            return set()
        found |= kinds(one)
    return found


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
