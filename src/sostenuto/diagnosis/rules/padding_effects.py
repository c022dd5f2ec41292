"""What padding does to a model that reads it, and whether the program deals with it in a way of its own."""

from __future__ import annotations

import ast
import linecache
from typing import Any

import numpy as np

from sostenuto.diagnosis.events import Batch, ModelCall
from sostenuto.diagnosis.rules.masks_graph import all_layers, functions_in
from sostenuto.diagnosis.rules.output_views import output_shape, returns_sequences
from sostenuto.diagnosis.rules.padding_found import Found, find
from sostenuto.diagnosis.rules.padding_given import has_weights, inputs_given, targets_given
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_recurrent, kinds, recurrent_layers, title

# Calls of one model that are looked through; a loop of train_on_batch makes thousands.
_CALLS = 20

# Words in the source of a class that deals with padding by itself.
_WORDS = ("mask", "length", "not_equal", "pack_padded")


def look_through(event: ModelCall | Batch, seen: Seen) -> None:
    """Looks for padding in the inputs of a model, and remembers it with the model.

    Args:
        event: the call, or its first batch.
        seen: keeps what was found, as numbers: ``padding_known``.
    """
    call = event.call if isinstance(event, Batch) else event
    if "padded_inputs" not in seen.marks(call.model):
        seen.mark(call.model, padded_inputs={"calls": 0, "found": {}})
    known = seen.marks(call.model).get("padded_inputs")
    if known is None or known["calls"] >= _CALLS:
        return
    known["calls"] += 1
    given = inputs_given(event)
    for one in given:
        if one.index in known["found"]:
            continue
        found = find(one, call.place, seen)
        if found is not None:
            known["found"][one.index] = found


def padding_known(model: Any, seen: Seen) -> list[Found]:
    """The padding that was found in the inputs of a model so far, by the number of the input."""
    known = seen.marks(model).get("padded_inputs")
    return [known["found"][index] for index in sorted(known["found"])] if known is not None else []


def _beside(array: np.ndarray, found: Found) -> bool:
    # Lengths, or a mask, that come as an input of their own.
    if len(array) != found.of:
        return False
    flat = array.reshape(len(array), -1)
    if flat.shape[1] == 1:
        return bool((flat[:, 0] == found.lengths).mean() > 0.9 or (flat[:, 0] + 1 == found.lengths).mean() > 0.9)
    if flat.shape[1] != found.length or not bool(np.isin(flat, (0, 1)).all()):
        return False
    steps = np.arange(found.length)
    lengths = found.lengths[:, None]
    real = steps < lengths if found.side == "post" else steps >= found.length - lengths
    return bool(((flat != 0) == real).mean() > 0.9)


def lengths_given(call: ModelCall, found: Found) -> bool:
    """Whether another input of the call holds the lengths of the sequences, or a mask."""
    given = [one for one in inputs_given(call) if one.index != found.index]
    return any(_beside(one.array, found) for one in given)


def inputs_of_model(model: Any) -> list[Any]:
    """The symbolic inputs of a model, where Keras knows them."""
    return list(getattr(model, "inputs", None) or ())


def speaks_of_masks(model: Any) -> bool:
    """Whether the model, or a layer of the program's own in it, has code that deals with masks or lengths."""
    for one in [model, *all_layers(model)]:
        if type(one).__module__.startswith("keras."):
            if "Lambda" in kinds(one) and _speaks(getattr(one, "function", None)):
                return True
            continue
        if any(_speaks(vars(kind).get("call")) for kind in type(one).__mro__ if kind.__module__[:6] != "keras."):
            return True
    names = {type(one).__name__ for one in functions_in(model)}
    return bool(names & {"NotEqual", "Equal", "TakeAlongAxis", "Where", "SegmentSum"})


def source_tree(function: Any) -> ast.AST | None:
    """The syntax tree of a function of the program's own, without running or importing anything; or None."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        decorators = getattr(node, "decorator_list", None) or [node]
        if isinstance(node, ast.FunctionDef | ast.Lambda) and code.co_firstlineno in (
            node.lineno,
            getattr(decorators[0], "lineno", 0),
        ):
            return node
    return None


def source_text(function: Any) -> str:
    """The source of a function of the program's own; "" where there is none."""
    tree = source_tree(function)
    return ast.unparse(tree) if tree is not None else ""


def _speaks(function: Any) -> bool:
    text = source_text(function).lower()
    return any(word in text for word in _WORDS)


def effect(call: ModelCall, layer: Any, found: Found, seen: Seen) -> str:
    """What unmasked padding does to a model, in words; "" where it does no harm.

    Args:
        call: of fit, evaluate or predict.
        layer: the first recurrent layer that reads it.
        found: the padding.
        seen: what happened so far.
    """
    if found.side == "pre":
        # In front, padding is over before the sequence begins; many programs mean it so.
        return ""
    behind = found.length - found.example
    runs_on = f"a sequence of {found.example} steps goes on through\n{behind} steps of padding"
    if any(_gives_last(one) for one in recurrent_layers(call.model)):
        return f"{runs_on}, and the last output is that of a padded step."
    if any(_goes_back(one) for one in recurrent_layers(call.model)):
        return f"going backwards, {title(layer)} reads {behind} steps of padding before\na sequence of {found.example}."
    mixing = mixer(call.model)
    if mixing:
        return f"{runs_on}, and {mixing} takes the outputs\nof these steps for answers like the others."
    if "return_state" in _options(layer):
        return f"{runs_on}, and the state it returns is that after the padding."
    return "" if call.verb.startswith("predict") else _in_the_loss(call, found, seen)


def _options(layer: Any) -> set[str]:
    inner = getattr(layer, "forward_layer", layer)
    return {name for name in ("return_state",) if getattr(inner, name, False)}


def _gives_last(layer: Any) -> bool:
    return not returns_sequences(layer)


def _goes_back(layer: Any) -> bool:
    return "Bidirectional" in kinds(layer) or bool(getattr(layer, "go_backwards", False))


def mixer(model: Any) -> str:
    """What joins the steps of a sequence behind its recurrent layers, in words; "" where nothing does."""
    seen_one = False
    for one in all_layers(model):
        seen_one |= is_recurrent(one)
        if seen_one and kinds(one) & {"Flatten", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Attention", "Dot"}:
            return title(one)
        if seen_one and kinds(one) & {"MultiHeadAttention", "AdditiveAttention"}:
            return title(one)
        if seen_one and "Lambda" in kinds(one) and "-1" in source_text(getattr(one, "function", None)):
            return f"{title(one)}, which takes the last output,"
    names = {type(one).__name__ for one in functions_in(model)}
    if "GetItem" in names:
        return "x[:, -1]"
    joined = sorted(names & {"Mean", "Sum", "Max", "Reshape"})
    return f"keras.ops.{joined[0].lower()}" if joined else ""


def _in_the_loss(call: ModelCall, found: Found, seen: Seen) -> str:
    counted = padded_targets(call, found, seen)
    if not counted:
        return ""
    return (
        f"the loss counts {counted:,} padded steps\nlike real ones, and the model learns to answer the padding, which "
        "is easy: the numbers look better than they are."
    )


def padded_targets(call: ModelCall, found: Found, seen: Seen) -> int:
    """How many padded steps the loss counts: targets at every step, no weights, and a loss that leaves nothing out."""
    output = output_shape(call.model)
    targets = targets_given(call)
    if targets is None or has_weights(call) or (output is not None and len(output) != 3):
        return 0
    shape = targets.array.shape
    if len(shape) < 2 or shape[0] != found.of or shape[1] != found.length or not _counts_all(call.model):
        return 0
    steps = np.arange(found.length)
    lengths = found.lengths[:, None]
    padding = steps >= lengths if found.side == "post" else steps < found.length - lengths
    # Targets that go on through the padding, with numbers of their own, were meant.
    behind = targets.array[padding]
    return int(padding.sum()) if len(behind) and bool((behind == behind.ravel()[0]).all()) else 0


def compares_steps(call: ModelCall) -> bool:
    """Whether the loss compares every step with a target, and weighs all of them alike."""
    output, targets = output_shape(call.model), targets_given(call)
    if call.verb.startswith("predict") or has_weights(call) or not _counts_all(call.model):
        return False
    return targets is not None and len(targets.array.shape) >= 2 and (output is None or len(output) == 3)


def _counts_all(model: Any) -> bool:
    loss = getattr(model, "loss", None)
    if loss is None or isinstance(loss, dict | list | tuple) or getattr(loss, "ignore_class", None) is not None:
        return False
    # A loss, or a step of training, of the program's own may leave padding out by itself.
    if any("train_step" in vars(kind) for kind in type(model).__mro__ if kind.__module__[:6] != "keras."):
        return False
    module = type(loss).__module__ if not hasattr(loss, "__module__") else str(loss.__module__)
    return isinstance(loss, str) or module.startswith(("keras", "sostenuto"))
