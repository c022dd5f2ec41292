"""reshape where transpose was meant: the shape is right, and every number stands in the wrong place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import LayerCall, ModelCalled
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.input_axes_views import data_at, shape_of_call
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import is_keras, is_ours, kinds, source_of, title

SO133 = rule(
    "SO133",
    "reshape is used where the axes should be transposed",
    """reshape keeps the order of the numbers in memory and only counts them off anew; it never moves an axis.
    (samples, features, time) reshaped to (samples, time, features) has the right shape, and each step holds numbers
    of one feature at several times. Nothing raises, and the model learns from a jumble.""",
    """Move the axes: x.transpose(0, 2, 1), np.swapaxes(x, 1, 2), or layers.Permute((2, 1)) in a model.""",
    example="""
import numpy as np, keras
channels_first = np.random.default_rng(0).random((12, 4, 50))
x = channels_first.reshape(12, 50, 4)
model = keras.Sequential([keras.Input((50, 4)), keras.layers.LSTM(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, np.ones((12, 1)), verbose=0)
""",
    repaired="""
import numpy as np, keras
channels_first = np.random.default_rng(0).random((12, 4, 50))
x = channels_first.transpose(0, 2, 1)
model = keras.Sequential([keras.Input((50, 4)), keras.layers.LSTM(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, np.ones((12, 1)), verbose=0)
""",
)

# Numbers that are compared at the beginning of two arrays.
_COMPARED = 4096


@dataclass(frozen=True)
class Mixed:
    """An array whose axes were exchanged by counting off anew.

    Attributes:
        before: its shape before, of one sample where the number of samples differs.
        order: the axes that transpose would take.
        source: the array it was made of, in the user's words; "" where it has no name.
        line: where, as (line, source) of the reshape; None where it was not found.
    """

    before: tuple[int, ...]
    order: tuple[int, ...]
    source: str = ""
    line: tuple[int, str] | None = None


@SO133.on(ModelCalled)
def axes_mixed(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks at what a model was given for arrays that are a reshape of others with the axes exchanged."""
    if event.within is not None or is_ours(event.model) or event.place is None:
        return
    parts = event.x if isinstance(event.x, list | tuple) else [event.x]
    if isinstance(event.x, dict):
        parts = list(event.x.values())
    for value in parts:
        shape = shape_of_call(value)
        if shape is None or len(shape) != 3 or None in shape:
            continue
        # A loop over batches gives the like of it again and again.
        known = seen.notes["axes compared"].setdefault(event.place.bare(), set())
        if shape[1:] in known:
            continue
        known.add(shape[1:])
        mixed = _mixed(value, event.place)
        if mixed is not None:
            names = event.place.names_of(value)
            sizes = tuple(int(size) for size in value.shape)
            yield _evidence(mixed, sizes, names[0] if names else written(event, "x"), event.place)


def _mixed(value: Any, place: Place) -> Mixed | None:
    shape = tuple(int(size) for size in value.shape)
    found = _by_memory(value, shape) or _by_names(value, shape, place)
    if found is not None:
        node = _reshape_of(found, value, place)
        line = (node.lineno, place.source(node)) if node is not None else None
        return Mixed(found.before, found.order, found.source or (_parts(node)[0] if node is not None else ""), line)
    return _by_source(place, shape)


def _by_memory(value: Any, shape: tuple[int, ...]) -> Mixed | None:
    # An array that views another: NumPy keeps the one that owns the memory.
    base = getattr(value, "base", None)
    if not isinstance(value, np.ndarray) or not isinstance(base, np.ndarray):
        return None
    inner = tuple(stride // value.itemsize for stride in value.strides[1:])
    if inner != (shape[2], 1) or not base.flags.c_contiguous or base.dtype != value.dtype:
        return None
    exchanged = _exchanged(tuple(base.shape), shape)
    return Mixed(tuple(base.shape), exchanged) if exchanged is not None else None


def _by_names(value: Any, shape: tuple[int, ...], place: Place) -> Mixed | None:
    # A copy of another array of the user's: the same numbers in the same order, axes exchanged.
    array = as_array(value)
    if array is None:
        return None
    first = np.ravel(array[: max(1, _COMPARED // max(1, array[0].size))])[:_COMPARED]
    if first.size < 8 or (first == first[0]).all():
        return None
    for name, other in data_at(place, (2, 3)):
        order = _exchanged(tuple(int(size) for size in other.shape), shape)
        if order is None or other is value:
            continue
        candidate = as_array(other)
        if candidate is None:
            continue
        rows = candidate[: max(1, -(-first.size // max(1, candidate[0].size)))]
        begin = np.ravel(rows)[: first.size]
        if begin.shape == first.shape and np.allclose(begin, first, rtol=1e-5, atol=0, equal_nan=True):
            return Mixed(tuple(int(size) for size in other.shape), order, name)
    return None


def _exchanged(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...] | None:
    """The order of axes that transpose would need to get from one shape to another, where reshape can do so too."""
    if len(before) == 2 and after[2] == 1 and before == (after[1], after[0]) and before[0] != before[1]:
        return (1, 0) if min(before) > 1 else None
    if len(before) != 3 or min(before) < 2:
        return None
    # The number of samples may differ, where a part of the array was taken.
    if before[1:] == (after[2], after[1]) and after[1] != after[2] and after[0] <= before[0]:
        return (0, 2, 1)
    if before == (after[1], after[0], after[2]) and after[0] != after[1]:
        return (1, 0, 2)
    return None


def _by_source(place: Place, shape: tuple[int, ...]) -> Mixed | None:
    # x = x.reshape(x.shape[0], x.shape[2], x.shape[1]): the exchange stands in the line itself.
    source = place.argument("x", 0, "fit", "evaluate", "predict", "train_on_batch", "predict_on_batch", "test_on_batch")
    for node in _reshapes(place):
        name, sizes = _parts(node)
        if name != source or len(sizes) != 3 or node.lineno > place.line:
            continue
        axes = [_axis_of(size, name) for size in sizes]
        if axes[1:] == [2, 1] and shape[1] != shape[2]:
            before = (shape[0], shape[2], shape[1])
            return Mixed(before, (0, 2, 1), name, (node.lineno, place.source(node)))
    return None


def _reshapes(place: Place) -> Iterator[ast.Call]:
    tree = place.module()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and called(node) == "reshape":
            yield node


def _parts(node: ast.Call) -> tuple[str, list[ast.expr]]:
    # What is reshaped, and the sizes: x.reshape(a, b, c), x.reshape((a, b, c)), np.reshape(x, (a, b, c)).
    function = node.func
    arguments = list(node.args)
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
    if owner in ("np", "numpy", "tf", "torch", "jnp", "ops", "keras.ops", "K") or not owner:
        owner = ast.unparse(arguments.pop(0)) if arguments else ""
    if len(arguments) == 1 and isinstance(arguments[0], ast.Tuple | ast.List):
        arguments = list(arguments[0].elts)
    return owner, arguments


def _axis_of(size: ast.expr, name: str) -> int | None:
    # x.shape[2] is axis 2 of x; len(x) is axis 0.
    text = ast.unparse(size)
    for axis in range(3):
        if text in (f"{name}.shape[{axis}]", f"{name}.shape[{axis - 3}]"):
            return axis
    return 0 if text == f"len({name})" else None


def _reshape_of(mixed: Mixed, value: Any, place: Place) -> ast.Call | None:
    # The reshape in the program that this array came out of, as far as the names tell.
    names = place.names_of(value)
    calls = [node for node in _reshapes(place) if len(_parts(node)[1]) == 3 and node.lineno <= place.line]
    for node in calls:
        owner = _parts(node)[0]
        shape = shape_of_call(place.value(owner)) if owner.isidentifier() else None
        if owner == mixed.source or shape == mixed.before or owner in names:
            return node
    return None


def _evidence(mixed: Mixed, shape: tuple[int, ...], name: str, place: Place) -> Evidence:
    before = mixed.source if mixed.source != name else ""
    move = f"{mixed.source or name}.transpose({', '.join(map(str, mixed.order))})"
    if len(mixed.order) == 2:
        move = f"{mixed.source or name}.T[..., None]"
    written_line = f", line {mixed.line[0]}: {mixed.line[1].splitlines()[0][:80]}" if mixed.line is not None else ""
    a, b = (1, 2) if mixed.order == (0, 2, 1) else (0, 1)
    return Evidence(
        title=f"reshape has mixed the axes of {name}: transpose would have exchanged them.",
        got=f"{name} {shape} counts off anew the numbers of {before or 'an array'} {mixed.before}{written_line}",
        wanted=f"axes {a} and {b} exchanged, {mixed.before[a]} and {mixed.before[b]}: each number keeps its "
        "step and its feature",
        cause="reshape keeps the order of the numbers in memory, and fills the new axes with them; it moves no "
        f"axis. The shape\nis right, but time and {'features' if a else 'batch'} are mixed: one step of {name} now "
        f"holds {'several times of one feature' if a else 'steps of several sequences'}.",
        fix=f"{name} = {move}        # instead of reshape"
        if name.isidentifier()
        else f"{move}        # instead of reshape",
        boundary=(name[:40], "the model"),
    )


@SO133.on(LayerCall)
def reshape_layer(event: LayerCall, seen: Seen) -> Evidence | None:
    """Looks for a Reshape layer that exchanges the two axes of a sample."""
    if event.number or not is_keras(event.layer) or "Reshape" not in kinds(event.layer):
        return None
    got, made = shape_of_call(event.inputs), shape_of_call(event.output)
    if got is None or made is None or len(got) != 3 or len(made) != 3 or None in got[1:] or None in made[1:]:
        return None
    first, second = got[1], got[2]
    if first == second or min(first or 0, second or 0) < 2 or made[1:] != (second, first):
        return None
    known = seen.history(event.layer)
    return Evidence(
        title=f"{title(event.layer)} mixes two axes: Permute would exchange them.",
        got=f"{source_of(event.layer, seen)}: {got} becomes {made}, counted off anew",
        wanted=f"the axes of {first} and {second} exchanged: each number keeps its step and its feature",
        cause="Reshape keeps the order of the numbers, and fills the new axes with them; it moves no axis. The "
        "shape is right,\nbut time and features are mixed.",
        fix="layers.Permute((2, 1))        # instead of Reshape",
        place=known.made,
        boundary=(title(event.layer),),
    )
