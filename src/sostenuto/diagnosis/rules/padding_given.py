"""The arrays that fit, evaluate and predict were given: inputs and targets, also where they lie in a dataset."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.events import Batch, ModelCall
from sostenuto.diagnosis.rules.container_calls import outer_call, written
from sostenuto.diagnosis.rules.container_views import inputs_of
from sostenuto.diagnosis.views import kinds

# Steps of a dataset that leave its elements as they are.
_KEEPS = {
    "BatchDataset",
    "ParallelBatchDataset",
    "PrefetchDataset",
    "CacheDataset",
    "ShuffleDataset",
    "RepeatDataset",
    "TakeDataset",
    "SkipDataset",
    "OptionsDataset",
    "AssertCardinalityDataset",
    "ShardDataset",
    "UnbatchDataset",
}


@dataclass(frozen=True)
class Given:
    """One array of those that a model reads.

    Attributes:
        index: which input it is.
        array: its numbers.
        value: the object the user has.
        source: in the user's words.
    """

    index: int
    array: np.ndarray
    value: Any
    source: str


def inputs_given(event: ModelCall | Batch) -> list[Given]:
    """The inputs of a call; empty where they cannot be looked at."""
    call = event.call if isinstance(event, Batch) else event
    source = written(call, "x")
    if isinstance(event, Batch):
        return _in_order(call, event.x, list(_parts(event.x, source, f"the first batch of {source}")))
    inside = _behind(call.x)
    if inside is not None:
        return _in_order(call, inside[0], list(_parts(inside[0], source, source)))
    if isinstance(call.x, dict):
        return _in_order(call, call.x, list(_parts(call.x, source, source)))
    found = list(_parts(call.x, source, source))
    names = _written_parts(call)
    if len(found) > 1 and len(names) == _count(call.x):
        return [replace(one, source=names[one.index]) for one in found]
    return found


def _in_order(call: ModelCall, x: Any, found: list[Given]) -> list[Given]:
    # A dictionary is read by the names of the inputs.
    if not isinstance(x, dict):
        return found
    places = {one.name: number for number, one in enumerate(inputs_of(call.model))}
    keys = list(x)
    return [replace(one, index=places.get(keys[one.index], one.index)) for one in found]


def targets_given(event: ModelCall | Batch) -> Given | None:
    """The targets of a call; None where there are several, or they cannot be looked at."""
    call = event.call if isinstance(event, Batch) else event
    source = written(call, "y")
    y = event.y
    if y is None and not isinstance(event, Batch):
        inside = _behind(call.x)
        y, source = (inside[1], f"the targets in {written(call, 'x')}") if inside is not None else (None, source)
    array = as_array(y)
    return Given(0, array, y, source) if array is not None else None


def has_weights(event: ModelCall | Batch) -> bool:
    """Whether steps or rows are weighed: sample_weight, class_weight, or a third part in the batches of a dataset."""
    call = event.call if isinstance(event, Batch) else event
    if call.options.get("sample_weight") is not None:
        return True
    spec = getattr(call.x, "element_spec", None)
    return isinstance(spec, tuple) and len(spec) > 2


def _parts(value: Any, source: str, whole: str) -> Iterator[Given]:
    if isinstance(value, dict):
        items = [(f"{source}[{name!r}]", one) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        items = [(f"{source}[{number}]", one) for number, one in enumerate(value)]
        items = [(whole, items[0][1])] if len(items) == 1 else items
    else:
        items = [(whole, value)]
    # A list of thousands is one input in the wrong container; others tell about that.
    for index, (name, one) in enumerate(items[:16]):
        array = as_array(one)
        if array is not None and array.ndim:
            yield Given(index, array, one, name)


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple | dict) else 1


def _written_parts(call: ModelCall) -> list[str]:
    found = outer_call(call)
    if found is None or found[2]:
        return []
    node = next((one.value for one in found[1].keywords if one.arg == "x"), None)
    node = found[1].args[0] if node is None and found[1].args else node
    if isinstance(node, ast.List | ast.Tuple):
        return [found[0].source(one) for one in node.elts]
    return []


def _behind(dataset: Any) -> tuple[Any, Any] | None:
    """The arrays (inputs, targets) that a dataset is made of; None where something changes them on the way."""
    if "DataLoader" in kinds(dataset):
        tensors = getattr(getattr(dataset, "dataset", None), "tensors", None)
        if isinstance(tensors, tuple) and tensors and getattr(dataset, "collate_fn", None) is not None:
            return tensors[0], tensors[1] if len(tensors) > 1 else None
        return None
    if "DatasetV2" not in kinds(dataset):
        return None
    # What a dataset of TensorFlow is made of is no public matter: without it, nothing is known.
    try:
        return _split(_slices(dataset), dataset)
    except Exception:
        return None


def _split(leaves: list[Any] | None, dataset: Any) -> tuple[Any, Any] | None:
    spec = getattr(dataset, "element_spec", None)
    if leaves is None or spec is None:
        return None
    if not isinstance(spec, tuple) or len(spec) < 2:
        return _like(spec, leaves), None
    first = _like(spec[0], leaves)
    rest = leaves[_leaves(spec[0]) :]
    return first, rest[0] if _leaves(spec[1]) == 1 and rest else None


def _slices(dataset: Any) -> list[Any] | None:
    name = type(dataset).__name__.lstrip("_")
    if name == "TensorSliceDataset":
        return list(dataset._tensors)
    if name == "ZipDataset":
        parts = [_slices(one) for one in dataset._inputs()]
        return None if any(one is None for one in parts) else [leaf for one in parts for leaf in one or ()]
    inputs = list(dataset._inputs()) if name in _KEEPS else []
    return _slices(inputs[0]) if len(inputs) == 1 else None


def _leaves(spec: Any) -> int:
    if isinstance(spec, dict):
        return sum(map(_leaves, spec.values()))
    return sum(map(_leaves, spec)) if isinstance(spec, list | tuple) else 1


def _like(spec: Any, leaves: list[Any]) -> Any:
    if isinstance(spec, dict):
        # TensorFlow keeps what is in a dictionary in the order of its keys.
        keys = sorted(spec)
        return {key: leaves[number] for number, key in enumerate(keys)} if all(map(_plain, spec.values())) else None
    if isinstance(spec, list | tuple):
        return list(leaves[: len(spec)]) if all(map(_plain, spec)) else None
    return leaves[0]


def _plain(spec: Any) -> bool:
    return not isinstance(spec, dict | list | tuple)
