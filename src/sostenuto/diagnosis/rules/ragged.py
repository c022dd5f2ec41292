"""Sequences of different lengths that are to become one array, of NumPy or of a framework, before Keras is reached."""

from __future__ import annotations

import ast
import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.container_views import count_words, kind_words, module_name, package_of
from sostenuto.diagnosis.rules.ragged_fixes import lengths_words, mask, only_torch, padded, ragged_fix
from sostenuto.diagnosis.rules.ragged_lengths import Lengths, measure
from sostenuto.diagnosis.rules.ragged_source import value_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, with_keyword

SO261 = rule(
    "SO261",
    "Sequences of different lengths do not make one array",
    """An array is a rectangle: every sequence in it has as many steps as the others. Lists of different lengths cannot
    become one, whichever function is asked for it: np.array, np.stack, torch.tensor, tf.constant. Keras is not
    involved yet, and an LSTM that takes any number of steps (None) still reads batches that are rectangles.""",
    """Pad the shorter ones first: keras.utils.pad_sequences(x, padding='post', dtype='float32'), and a Masking layer,
    or mask_zero=True of an Embedding, so that the padding is not read as data. Or keep the lengths:
    sostenuto.Sequences.from_list(x).""",
    example="""
import numpy as np, keras
x = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]])
""",
    repaired="""
import numpy as np, keras
x = keras.utils.pad_sequences([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]], padding="post", dtype="float32")
model = keras.Sequential([keras.Input((None, 2)), keras.layers.Masking(), keras.layers.LSTM(3)])
""",
)

SO263 = rule(
    "SO263",
    "A batch cannot be put together from samples of different lengths",
    """A dataset gives single samples, and batch() or a DataLoader puts them together to one array. That needs samples
    of one shape; sequences of different lengths have to be padded as the batch is made.""",
    """tf.data: padded_batch(n) in place of batch(n). torch: DataLoader(..., collate_fn=...) with pad_sequence. And a
    mask, so that the padding is not read as data.""",
    example="""
import numpy as np, keras, tensorflow as tf
data = tf.data.Dataset.from_generator(
    lambda: (np.ones((length, 2)) for length in (3, 5)), output_signature=tf.TensorSpec((None, 2))
)
for x in data.batch(2):
    print(x.shape)
""",
    repaired="""
import numpy as np, keras, tensorflow as tf
data = tf.data.Dataset.from_generator(
    lambda: (np.ones((length, 2)) for length in (3, 5)), output_signature=tf.TensorSpec((None, 2))
)
for x in data.padded_batch(2):
    print(x.shape)
""",
)

# What NumPy, TensorFlow, torch and JAX say where nested lists are no rectangle, or arrays not of one shape.
_NO_RECTANGLE = re.compile(
    "inhomogeneous|setting an array element with a sequence|all input arrays must have the same shape"
    "|array dimensions .*must match exactly|non-rectangular|expected sequence of length"
    "|stack expects each tensor to be equal size|Sizes of tensors must match|Shapes of all inputs must match"
    "|All (input )?arrays must have the same shape|Cannot concatenate arrays with shapes that differ"
    "|Dimension \\d+ in both shapes must be equal|numpy.object_|Unsupported object type"
)

# Functions that make one array of many.
_MAKERS = (
    *("array", "asarray", "asanyarray", "stack", "vstack", "hstack", "dstack", "column_stack", "row_stack"),
    *("concatenate", "concat", "cat", "tensor", "as_tensor", "constant", "convert_to_tensor", "from_numpy"),
    *("from_tensor_slices", "from_tensors", "astype", "TensorDataset", "Tensor", "FloatTensor", "LongTensor"),
)
# Of these the first argument may hold inputs and targets together.
_TUPLES = ("from_tensor_slices", "from_tensors")

# They give back a tensor of a framework, not an array of NumPy.
_FRAMEWORK = ("tensor", "as_tensor", "constant", "convert_to_tensor", *_TUPLES)

_BATCH = re.compile(
    r"Cannot batch tensors with different shapes in component (\d+)\.\s*"
    r"First element had shape \[([\d,]*)\] and element (\d+) had shape \[([\d,]*)\]"
)
_ENTRIES = re.compile(
    r"stack expects each tensor to be equal size, but got \[([\d, ]*)\] at entry (\d+) and \[([\d, ]*)\] at entry (\d+)"
)
_DETECTED = re.compile(r"detected shape was (\([\d, ]*\)) \+ inhomogeneous")


@SO261.on(Failure)
def no_rectangle(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a function that makes arrays, called in the user's own line with sequences of different lengths."""
    place = failure.place
    if place is None or not _NO_RECTANGLE.search(str(failure.error)) or _collates(failure):
        return None
    call = place.node()
    if not isinstance(call, ast.Call):
        call = place.call(*_MAKERS)
    if call is None or called(call) not in _MAKERS:
        return None
    node = _many(place, call)
    if node is None:
        return None
    source = place.source(node)
    value = value_of(place, node)
    lengths, first = _measured(value)
    if first:
        source = f"[one[0] for one in {source}]"
    if lengths is None:
        return _unmeasured(failure, place, call, source)
    if lengths.unequal and len(lengths.widths) < 2:
        return _unequal(place, call, source, value, lengths)
    if len(lengths.widths) > 1:
        return _steps_differ(place, call, source, lengths)
    return None


def _many(place: Place, call: ast.Call) -> ast.expr | None:
    # The argument that holds the sequences; of several in one tuple the one whose lengths differ.
    if called(call) == "astype" and isinstance(call.func, ast.Attribute):
        return call.func.value
    if not call.args or isinstance(call.args[0], ast.Starred):
        return None
    first = call.args[0]
    if called(call) not in _TUPLES or not isinstance(first, ast.Tuple | ast.Dict):
        return first
    for one in first.elts if isinstance(first, ast.Tuple) else first.values:
        lengths = measure(value_of(place, one))
        if lengths is not None and (lengths.unequal or len(lengths.widths) > 1):
            return one
    return first


def _measured(value: Any) -> tuple[Lengths | None, bool]:
    # And whether each of them brings a batch axis of one row.
    lengths = measure(value)
    if lengths is None or lengths.unequal or not isinstance(value, list | tuple):
        return lengths, False
    if set(lengths.lengths) == {1} and all(len(width) in (1, 2) for width in lengths.widths):
        inner = measure([one[0] for one in value])
        if inner is not None and inner.unequal:
            return inner, True
    return lengths, False


def _unequal(place: Place, call: ast.Call, source: str, value: Any, lengths: Lengths) -> Evidence:
    name = ast.unparse(call.func)
    what = f"{source} holds" if len(source) < 40 else "it got"
    return Evidence(
        title=f"{name} cannot make one array of sequences of different lengths.",
        got=f"{what} {lengths_words(lengths)}, {kind_words(_items(value))} inside",
        wanted=f"one length for all, for instance {lengths.longest}: a rectangle of shape {lengths.shape}",
        cause="An array is a rectangle, and these sequences have different lengths, so it would be ragged\n"
        f"(inhomogeneous). {_library(call, value)} refuses that in your own line, before any layer has seen the data;\n"
        "the shorter sequences have to be padded first.",
        fix=ragged_fix(place, source, lengths, _assigned(place, call, source, lengths)),
        boundary=(source[:40], name),
    )


def _steps_differ(place: Place, call: ast.Call, source: str, lengths: Lengths) -> Evidence:
    name = ast.unparse(call.func)
    sizes = [width[0] if width else 1 for width in lengths.widths]
    odd = lengths.odd
    return Evidence(
        title=f"{name} cannot make one array of steps with different numbers of features.",
        got=f"{lengths.count} sequences, whose steps have {count_words(sizes)} features"
        + (f"; the first that differs is in {source}[{odd}]" if odd is not None else ""),
        wanted=f"the same number of features in every step, {sizes[0]} as in {source}[0]",
        cause="An array is a rectangle (it would be inhomogeneous). Here it is not the lengths alone that differ: a "
        "step\nhas more or fewer features than the others. Padding does not help, because a feature is missing.",
        fix=f"[step for step in {source}[{odd or 0}] if len(step) != {sizes[0]}]      # the steps to put right",
        boundary=(source[:40], name),
    )


def _unmeasured(failure: Failure, place: Place, call: ast.Call, source: str) -> Evidence | None:
    # The list is made within the call: only the message knows it.
    message = str(failure.error)
    detected, name = _DETECTED.search(message), ast.unparse(call.func)
    if called(call) == "astype" or not re.search(
        "inhomog|non-rect|expected sequence|stack expects|same shape", message
    ):
        return None
    shape = detected[1] if detected else ""
    features = shape.count(",") > 1 or (bool(shape) and not shape.rstrip(")").endswith(","))
    axis = "have different lengths" if not features else "hold steps with different numbers of features"
    return Evidence(
        title=f"{name} cannot make one array: its elements {axis}.",
        got="elements of different lengths "
        f"(inhomogeneous){f', of which a shape of {shape} is common to all' if shape else ''}",
        wanted="a rectangle: one length for all",
        cause=f"An array is a rectangle, and the elements of this list {axis}. That is refused in your own\n"
        "line, before any layer has seen the data; the shorter ones have to be padded first.",
        fix=ragged_fix(place, source, None),
        unsure="" if not features else "whether steps or features are missing",
    )


def _assigned(place: Place, call: ast.Call, source: str, lengths: Lengths) -> str:
    # The user's own line, "x = np.array(sentences)" or "model.fit(np.array(sentences), y)", with the padding in it.
    new, old = padded(place, source, lengths), place.source(call)
    if called(call) in _FRAMEWORK and source in old and not only_torch(place):
        new = old.replace(source, new, 1)
    statement = place.statement()
    line = place.source(statement) if isinstance(statement, ast.Assign | ast.Expr) else ""
    return line.replace(old, new, 1) if old and old in line and "\n" not in line else new


def _items(value: Any) -> list[Any]:
    return list(value[:1])


def _library(call: ast.Call, value: Any) -> str:
    module = ast.unparse(call.func).split(".")[0]
    known = {"np": "NumPy", "numpy": "NumPy", "tf": "TensorFlow", "torch": "torch", "jnp": "JAX", "keras": "Keras"}
    return known.get(module) or ("torch" if package_of(value) == "torch" else "NumPy")


# --- batches of datasets ---------------------------------------------------------------------------------------------


@SO263.on(Failure)
def no_batch(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a dataset, or a DataLoader, that cannot put samples of different shapes together."""
    found = _BATCH.search(failure.message)
    if found:
        first, second, where = found[2], found[4], f"element {found[3]} of the first batch"
        tensorflow = True
    else:
        entries = _ENTRIES.search(failure.message) if _collates(failure) else None
        if entries is None:
            return None
        first, second, where, tensorflow = entries[1], entries[3], f"entry {entries[4]} of the batch", False
    one, other = _shape(first), _shape(second)
    if len(one) != len(other) or not one or one[1:] != other[1:]:
        return None
    place = failure.place
    return Evidence(
        title="Samples of different lengths do not make a batch.",
        got=f"a sample of {_sample(one)} and, at {where}, one of {_sample(other)}",
        wanted="samples of one shape in a batch: a rectangle (batch, time, ...)",
        cause=f"{'batch()' if tensorflow else 'The DataLoader'} stacks samples to one array, and these sequences have "
        f"different lengths: {one[0]} and {other[0]}\nsteps. They have to be padded as the batch is made, each to the "
        "longest of its batch.",
        fix=_padded_batch(place) if tensorflow else _collate(place, _samples_are_pairs(failure)),
    )


def _collates(failure: Failure) -> bool:
    return any("collate" in function for _, function, _ in failure.frames) or "collate" in str(failure.error)


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(",") if one.strip())


def _sample(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} steps" + (f" of {shape[1]} features" if len(shape) == 2 else "")


def _padded_batch(place: Place | None) -> str:
    call = _made(place, "batch")
    source = place.source(call) if place is not None and call is not None else "dataset.batch(n)"
    return f"{re.sub(r'[.]batch[(]', '.padded_batch(', source, count=1)}\n{mask(place, None)}".strip()


def _samples_are_pairs(failure: Failure) -> bool:
    # The samples stand in the frame that was to make a batch of them.
    for _, function, variables in failure.frames:
        batch = variables.get("batch") if "collate" in function else None
        if isinstance(batch, list) and batch:
            return isinstance(batch[0], tuple | list)
    return True


def _collate(place: Place | None, pairs: bool) -> str:
    call = _made(place, "DataLoader")
    source = place.source(call) if place is not None and call is not None else "DataLoader(data, batch_size=n)"
    torch = module_name(place, "torch", "torch")
    pad = f"{torch}.nn.utils.rnn.pad_sequence([{torch}.as_tensor(one) for one in {{}}], batch_first=True)"
    if pairs:
        body = f"    x, y = zip(*samples)\n    return {pad.format('x')}, {torch}.as_tensor(y)\n"
    else:
        body = f"    return {pad.format('samples')}\n"
    return f"def padded(samples):\n{body}{with_keyword(source, 'collate_fn', 'padded')}"


def _made(place: Place | None, name: str) -> ast.Call | None:
    tree = place.module() if place is not None else None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and called(node) == name:
            return node
    return None
