"""Steps that are joined behind a mask, by something that knows nothing of masks."""

from __future__ import annotations

import ast
import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall, ModelCalled
from sostenuto.diagnosis.rules.masks_counts import counted
from sostenuto.diagnosis.rules.masks_flow import Beginning, tensors_in
from sostenuto.diagnosis.rules.masks_graph import READERS, all_layers, attribute, functions_in
from sostenuto.diagnosis.rules.padding_effects import source_text, source_tree
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import called
from sostenuto.diagnosis.views import is_keras, is_model, is_ours, is_recurrent, kinds, makes_mask, title

_JOINED = """
import numpy as np, keras
from keras import layers, ops
rows = [np.random.default_rng(n).random((n, 2)) + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
inputs = keras.Input((11, 2))
steps = layers.LSTM(4, return_sequences=True)(layers.Masking(0.0)(inputs))
model = keras.Model(inputs, layers.Dense(1)({}))
model.compile("adam", "mse")
model.fit(x, np.arange(10.0), verbose=0)
"""

SO277 = rule(
    "SO277",
    "Steps are joined without regard to the mask",
    """A mask came this far, and the next thing joins all steps of a sequence, padded ones too: a mean over time,
    attention of the program's own, or Flatten. Recurrent layers repeat their last output at masked steps, so a short
    sequence counts its last output as often as it was padded.""",
    """GlobalAveragePooling1D and Keras's attention layers leave masked steps out. A layer of yours gets the mask as
    call(self, x, mask=None).""",
    example=_JOINED.format("ops.mean(steps, axis=1)"),
    repaired=_JOINED.format("layers.GlobalAveragePooling1D()(steps)"),
)

# Functions that give every step its share. The largest step is the same with the last one repeated.
_SHARES = re.compile(r"\b(mean|reduce_mean|sum|reduce_sum|softmax|average|matmul|einsum|dot)\b")


@SO277.on(LayerCall)
def joins(event: LayerCall, seen: Seen) -> None:
    """Remembers layers that a mask came to, and that give up the steps without looking at it."""
    layer = event.layer
    if not event.masked or event.returned_mask or not is_keras(layer) or is_model(layer) or kinds(layer) & READERS:
        return
    inputs, outputs = tensors_in(event.inputs), tensors_in(event.output)
    if not inputs or not outputs or len(inputs[0].shape) != 3 or len(outputs[0].shape) != 2:
        return
    begins = next((facts["mask_begins"] for one in inputs if "mask_begins" in (facts := seen.marks(one))), None)
    if isinstance(begins, Beginning) and _shares(layer):
        seen.mark(layer, joins=begins)


def _shares(layer: Any) -> bool:
    if "Flatten" in kinds(layer):
        return True
    own = not type(layer).__module__.startswith("keras.")
    function = getattr(layer, "function", None) if "Lambda" in kinds(layer) else vars(type(layer)).get("call")
    if not own and "Lambda" not in kinds(layer):
        return False
    text = source_text(function)
    return "mask" not in text and bool(_SHARES.search(text))


@SO277.on(ModelCalled)
def joined(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for such a layer or function behind a recurrent layer, in a model whose data is masked in part."""
    model = event.model
    layers = all_layers(model)
    if event.within is not None or seen.marks(model).get("joined") or any(map(is_ours, layers)):
        return None
    if not any(map(is_recurrent, layers)) or not any(map(makes_mask, layers)):
        return None
    for one in layers:
        begins = seen.marks(one).get("joins")
        if isinstance(begins, Beginning):
            return _evidence(event, one, title(one), begins, seen)
    for one in functions_in(model):
        begins = _read_by(one, seen)
        if begins is not None:
            return _evidence(event, one, f"keras.ops.{type(one).__name__.lower()}", begins, seen)
    begins, name = seen.marks(model).get("mask_begun"), _in_its_call(model, seen)
    return _evidence(event, None, name, begins, seen) if name and isinstance(begins, Beginning) else None


def _in_its_call(model: Any, seen: Seen) -> str:
    # A model's own call: a mean of what a recurrent layer returned with a mask, in code that never speaks of masks.
    tree = source_tree(vars(type(model)).get("call"))
    if tree is None or "mask" in ast.unparse(tree):
        return ""
    values = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or called(node) not in ("mean", "reduce_mean", "average", "sum"):
            continue
        first, axis = next(iter(node.args), None), next((one.value for one in node.keywords if one.arg == "axis"), None)
        read = values.get(first.id) if isinstance(first, ast.Name) else first
        name = read.func.attr if isinstance(read, ast.Call) and isinstance(read.func, ast.Attribute) else ""
        layer = attribute(model, name)
        masked = layer is not None and is_recurrent(layer) and seen.marks(layer).get("returned_mask")
        if masked and isinstance(axis, ast.Constant) and axis.value == 1:
            return ast.unparse(node.func)
    return ""


def _read_by(function: Any, seen: Seen) -> Beginning | None:
    # Weights of steps add up to one over all of them; sums and means join them.
    weighs = type(function).__name__ == "Softmax" and getattr(function, "axis", -1) in (1, -2)
    if not weighs and type(function).__name__ not in ("Mean", "Sum", "Average"):
        return None
    for node in getattr(function, "_inbound_nodes", None) or ():
        made = [tuple(one.shape) for one in getattr(node, "outputs", ())]
        for tensor in getattr(node, "input_tensors", ()):
            # A mask that was multiplied in by hand is another tensor, without a mask.
            begins, shape = seen.marks(tensor).get("mask_begins"), tuple(tensor.shape)
            if not isinstance(begins, Beginning) or len(shape) != 3:
                continue
            # Steps that are joined are gone; a mean of features leaves them.
            if weighs or made == [(shape[0], shape[2])]:
                return begins
    return None


def _evidence(event: ModelCalled, one: Any, name: str, begins: Beginning, seen: Seen) -> Evidence | None:
    known = counted(event.model, begins.number, seen)
    if known is None or not known.masked:
        return None
    seen.mark(event.model, joined=True)
    flat = "Flatten" in kinds(one)
    return Evidence(
        title=f"{name} joins all steps, masked ones too.",
        got=f"{known.masked:,} of {known.steps:,} steps of {known.source} are masked by {begins.name}; {name} takes no "
        f"mask",
        wanted="masked steps left out",
        cause=f"The mask is dropped at {name}, which reads all steps of a sequence: at padded ones a recurrent layer "
        "repeats its last\noutput, so what comes out depends on how much was padded.",
        fix=_fix(one, begins),
        unsure="whether the last output, repeated over the padding, does no harm here" if flat else "",
        boundary=(begins.name, name),
        place=seen.history(one).made if "Layer" in kinds(one) else None,
    )


def _fix(one: Any, begins: Beginning) -> str:
    if "Flatten" in kinds(one):
        return (
            "# the last recurrent layer without return_sequences=True, and no Flatten: its last output is that of the "
            "last real step\n# or keras.layers.GlobalAveragePooling1D() instead of Flatten"
        )
    if type(one).__name__ == "Softmax":
        return f"{begins.by_hand}\nscores = keras.ops.where(mask[..., None], scores, -1e9)        # before the softmax"
    if "Layer" in kinds(one) and "Lambda" not in kinds(one):
        return (
            f"class {type(one).__name__}(keras.layers.Layer):\n"
            "    def call(self, x, mask=None):        # (batch, time), True where a step is real\n"
            "        scores = keras.ops.where(mask[..., None], scores, -1e9)        # before the softmax; in a mean: * "
            "mask"
        )
    return "keras.layers.GlobalAveragePooling1D()        # instead: it leaves masked steps out"
