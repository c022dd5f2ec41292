"""Masks that a program makes itself: turned round, for one row only, or for a layer that takes another kind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall, ModelCall
from sostenuto.diagnosis.rules.masks_counts import covered
from sostenuto.diagnosis.rules.masks_graph import attribute, producer
from sostenuto.diagnosis.rules.padding_effects import padding_known, source_tree
from sostenuto.diagnosis.rules.padding_given import inputs_given
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import called
from sostenuto.diagnosis.views import is_recurrent, kinds, source_of, title

SO274 = rule(
    "SO274",
    "A mask is turned round: it says True where padding is",
    """In Keras a mask is True where a step is real, and False where it is padding. PyTorch's key_padding_mask is the
    other way round. A mask turned round makes a recurrent layer read the padding and skip the sequence.""",
    "mask = keras.ops.not_equal(x, 0), or ~mask: True where a step is real.",
    example="""
import numpy as np, keras
from keras import layers, ops
ids = keras.utils.pad_sequences([[1, 2, 3], [4, 5], [6], [7, 8, 9, 1]], padding="post")
inputs = keras.Input((4,), dtype="int32")
steps = layers.Embedding(10, 3)(inputs)
model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(4)(steps, mask=ops.equal(inputs, 0))))
model.compile("adam", "mse")
model.fit(ids, np.arange(4.0), verbose=0)
""",
    repaired="""
import numpy as np, keras
from keras import layers, ops
ids = keras.utils.pad_sequences([[1, 2, 3], [4, 5], [6], [7, 8, 9, 1]], padding="post")
inputs = keras.Input((4,), dtype="int32")
steps = layers.Embedding(10, 3)(inputs)
model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(4)(steps, mask=ops.not_equal(inputs, 0))))
model.compile("adam", "mse")
model.fit(ids, np.arange(4.0), verbose=0)
""",
)

SO278 = rule(
    "SO278",
    "The mask of one row is used for all rows",
    """A mask has one entry for every step of every row: (batch, time). One row alone is broadcast without a word: all
    sequences of the batch are cut to the length of that one.""",
    "A mask of shape (batch, time).",
    example="""
import numpy as np, keras
x = np.random.default_rng(0).random((4, 5, 2)).astype("float32")
mask = np.array([[True, True, True, False, False]])
keras.layers.LSTM(3)(x, mask=mask)
""",
    repaired="""
import numpy as np, keras
x = np.random.default_rng(0).random((4, 5, 2)).astype("float32")
mask = np.arange(5) < np.array([[5], [3], [2], [4]])
keras.layers.LSTM(3)(x, mask=mask)
""",
)

_SOFTMAX = """
import numpy as np, keras
from keras import layers
ids = keras.utils.pad_sequences([[1, 2, 3], [4, 5], [6], [7, 8, 9, 1]], padding="post")
steps = [layers.Embedding(10, 3, mask_zero=True), layers.LSTM(4, return_sequences=True), layers.Dense(5)]
model = keras.Sequential([keras.Input((4,), dtype="int32"), *steps, {}])
model.predict(ids, verbose=0)
"""

SO279 = rule(
    "SO279",
    "A Softmax layer takes the mask of the steps for one of its own",
    """keras.layers.Softmax uses the mask that comes with a tensor to leave entries of its axis out, and wants it in the
    shape of the tensor. The mask of a sequence says something else: which steps are real, (batch, time).""",
    """Activation("softmax") instead, or Dense(..., activation="softmax"): they pass the mask on to the loss. For
    weights of steps, Softmax(axis=1)(scores, mask=mask[..., None]).""",
    example=_SOFTMAX.format("layers.Softmax()"),
    repaired=_SOFTMAX.format('layers.Activation("softmax")'),
)

_TURNED = (
    "A mask of Keras is True where a step is real (the key_padding_mask of PyTorch is the other way round). This one "
    "is\nTrue where padding is: the layer reads the padding and skips the real steps."
)

# What Keras, or a backend, says of shapes that do not go together.
_FITS = re.compile(r"mask|broadcast|shape|size", re.IGNORECASE)

# Functions that a mask goes through unchanged.
_THROUGH = {"All", "Any", "Squeeze", "Cast", "Reshape", "ExpandDims", "GetItem", "Lambda"}


def _mask_in(event: LayerCall) -> Any:
    return event.options.get("mask") if is_recurrent(event.layer) else None


def _once(layer: Any, seen: Seen) -> bool:
    if seen.marks(layer).get("mask_turned"):
        return False
    seen.mark(layer, mask_turned=True)
    return True


@SO274.on(LayerCall)
def turned_round(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a mask that is True where steps equal the value of the padding."""
    mask = _mask_in(event)
    if mask is None or _in_wrapper(event):
        return None
    numbers, array = as_array(mask), as_array(event.inputs)
    if numbers is not None and array is not None:
        return _numbers_turned(event, numbers, array, seen)
    if event.symbolic:
        for operation in _made_by(mask):
            # An input of the model: its numbers come with fit.
            if "InputLayer" in kinds(operation):
                seen.mark(event.layer, mask_input=id(operation))
        return _turned(event, "keras.ops.equal(..., 0)", seen) if _compares_equal(mask) else None
    return _source_turned(event, seen)


def _in_wrapper(event: LayerCall) -> bool:
    return event.outer is not None and bool(kinds(event.outer.layer) & {"Wrapper", "RNN"})


def _numbers_turned(event: LayerCall, mask: np.ndarray, array: np.ndarray, seen: Seen) -> Evidence | None:
    if array.ndim != 3 or mask.shape[:2] != array.shape[:2] or mask.ndim > 3:
        return None
    real = mask.reshape(*mask.shape[:2], -1).any(axis=-1)
    padded = covered(array, 0.0)
    if not padded.any() or padded.all() or float((real == padded).mean()) < 0.95 or not _once(event.layer, seen):
        return None
    return Evidence(
        got=f"a mask that is True for {int((real & padded).sum()):,} of {int(padded.sum()):,} padded steps (all 0), "
        f"and for {int((real & ~padded).sum()):,} of {int((~padded).sum()):,} real ones",
        wanted="True where a step is real, False where it is padding",
        cause=_TURNED,
        fix=f"{_name_of_layer(event)}(x, mask=~mask)        # or keras.ops.logical_not(mask)",
        boundary=("mask", title(event.layer)),
    )


def _name_of_layer(event: LayerCall) -> str:
    names = event.place.names_of(event.layer) if event.place is not None else []
    return names[0] if names else f"{type(event.layer).__name__}(...)"


def _turned(event: LayerCall, words: str, seen: Seen) -> Evidence | None:
    if not _once(event.layer, seen):
        return None
    right = words.replace("keras.ops.equal", "keras.ops.not_equal").replace("==", "!=")
    return Evidence(
        got=f"mask={words}: True where a step is padding",
        wanted="True where a step is real, False where it is padding",
        cause=_TURNED,
        fix=f"mask = {right}        # True where a step is real",
        boundary=("mask", title(event.layer)),
    )


def _made_by(tensor: Any) -> Iterator[Any]:
    waiting, known = [tensor], 0
    while waiting and known < 20:
        known += 1
        made = producer(waiting.pop(0))
        if made is None:
            continue
        yield made[0]
        if type(made[0]).__name__ in _THROUGH:
            waiting += made[1]


def _compares_equal(tensor: Any) -> bool:
    for _ in range(20):
        made = producer(tensor)
        if made is None:
            return False
        if type(made[0]).__name__ == "Equal":
            return len(made[1]) == 1 and _with_zero(tensor)
        if type(made[0]).__name__ not in _THROUGH - {"Lambda"} or not made[1]:
            return False
        tensor = made[1][0]
    return False


def _with_zero(tensor: Any) -> bool:
    # A mask of the program's own, 0 and 1, is compared with 1; padding is 0, or below.
    try:
        operation, number, _ = tensor._keras_history
        arguments = operation._inbound_nodes[number].arguments
        numbers = [one for one in [*arguments.args, *arguments.kwargs.values()] if isinstance(one, int | float)]
    except (AttributeError, TypeError, IndexError):
        return False
    return len(numbers) == 1 and numbers[0] <= 0 and not isinstance(numbers[0], bool)


def _source_turned(event: LayerCall, seen: Seen) -> Evidence | None:
    # Inside of a model's own call only its source says how a mask was made.
    outer = event.outer
    function = vars(type(outer.layer)).get("call") if outer is not None else None
    tree = source_tree(function)
    if tree is None:
        return None
    values = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not _names_layer(call, event.layer, outer):
            continue
        given = next((one.value for one in call.keywords if one.arg == "mask"), None)
        for _ in range(5):
            given = values.get(given.id) if isinstance(given, ast.Name) else given
        if given is not None and _equal_in_source(given):
            return _turned(event, ast.unparse(given), seen)
    return None


def _names_layer(call: ast.Call, layer: Any, outer: LayerCall | None) -> bool:
    # self.lstm(...), where self.lstm is the layer.
    owner = outer.layer if outer is not None else None
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return bool(name) and attribute(owner, name) is layer


def _equal_in_source(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and called(node) in ("all", "any", "cast", "squeeze") and node.args:
        return _equal_in_source(node.args[0])
    if isinstance(node, ast.Compare):
        zero = node.comparators[0]
        return isinstance(node.ops[0], ast.Eq) and _is_zero(zero)
    return isinstance(node, ast.Call) and called(node) == "equal" and len(node.args) == 2 and _is_zero(node.args[1])


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, bool) and node.value == 0


@SO274.on(ModelCall)
def turned_input(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks for a mask among the inputs of a model that is True where another input is padded."""
    layers = [one for one in getattr(event.model, "layers", ()) if "mask_input" in seen.marks(one)]
    if not layers or event.within is not None:
        return None
    made = [producer(one) for one in getattr(event.model, "inputs", None) or ()]
    numbers = [id(one[0]) if one is not None else 0 for one in made]
    given = {one.index: one for one in inputs_given(event)}
    for layer in layers:
        number = seen.marks(layer)["mask_input"]
        mask = given.get(numbers.index(number)) if number in numbers else None
        if mask is None or mask.array.ndim != 2:
            continue
        for found in padding_known(event.model, seen):
            steps = np.arange(found.length)
            lengths = found.lengths[:, None]
            padding = steps >= lengths if found.side == "post" else steps < found.length - lengths
            same = mask.array.shape == padding.shape and float(((mask.array != 0) == padding).mean()) > 0.95
            if same and _once(layer, seen):
                return Evidence(
                    got=f"{mask.source} is True for {int(padding.sum()):,} padded steps of {found.source}, and False "
                    f"for {int((~padding).sum()):,} real ones",
                    wanted="True where a step is real, False where it is padding",
                    cause=_TURNED,
                    fix=f"~{mask.source}        # instead of {mask.source}, in training and in prediction",
                    boundary=(mask.source, title(layer)),
                )
    return None


@SO278.on(LayerCall)
def one_row_for_all(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a mask of one row beside a batch of several."""
    mask = _mask_in(event)
    shape, given = getattr(mask, "shape", None), getattr(event.inputs, "shape", None)
    if shape is None or given is None or len(shape) < 2 or len(given) != 3 or _in_wrapper(event):
        return None
    if shape[0] != 1 or not isinstance(given[0], int) or given[0] < 2:
        return None
    return Evidence(
        got=f"mask {tuple(shape)} beside a batch of {given[0]} rows, (batch {given[0]}, time {given[1]}, features "
        f"{given[2]})",
        wanted=f"a mask for every row: (batch {given[0]}, time {given[1]})",
        cause="The mask of the one row is broadcast over the batch: every sequence is read as if its real steps were "
        "those\nof that row, and nothing says so.",
        fix=f"mask = keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)        # ({given[0]}, {given[1]}), one row for "
        f"each sequence",
        boundary=("mask", title(event.layer)),
    )


@SO279.on(Failure)
def softmax_refuses(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a Softmax layer that got the mask of a sequence."""
    call = next((one for one in failure.calls if isinstance(one, LayerCall) and "Softmax" in kinds(one.layer)), None)
    if call is None or not call.masked or not _FITS.search(failure.message):
        return None
    shape, mask = tuple(getattr(call.inputs, "shape", ())), call.options.get("mask")
    # A mask that was handed on by hand, in another shape, is another matter.
    if len(shape) != 3 or (mask is not None and len(getattr(mask, "shape", ())) != 2):
        return None
    source = source_of(call.layer, seen)
    over_steps = getattr(call.layer, "axis", -1) in (1, -2)
    return Evidence(
        got=f"steps (batch {_size(shape[0])}, time {_size(shape[1])}, units {_size(shape[2])}) with a mask (batch, "
        f"time)",
        wanted="a mask in the shape of the steps, or none",
        cause="Softmax uses a mask to leave out entries of its own axis. The one that comes along here says which time "
        "steps\nare padding, and has no axis for the units.",
        fix=f"{source}(scores, mask=mask[..., None])        # mask (batch, time), True where a step is real"
        if over_steps
        else f'keras.layers.Activation("softmax")        # instead of {source}: it passes the mask on',
        boundary=(title(call.layer), "mask"),
    )


def _size(number: Any) -> str:
    return "?" if number is None else str(number)
