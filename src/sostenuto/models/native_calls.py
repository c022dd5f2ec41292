"""The calls between the layers of a model: what flows through them, and which of them a native program can follow."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import tree

MASK, ZEROS = "mask", "zeros"


class NoStep(Exception):
    """Why a model has no native program."""


class Value(NamedTuple):
    """What flows from one layer to the next.

    Attributes:
        node: the node of the program.
        per_step: whether there is one for each step, or for each sequence.
        masked: whether Keras attaches the mask of an Embedding(mask_zero=True) to it.
    """

    node: int
    per_step: bool
    masked: bool = False


def check_call(node: Any, given: list[Value], values: dict[int, Any]) -> None:
    """Refuses calls with arguments beside the inputs, as Dropout(0.5)(x, training=True), but for their own mask."""
    for name, value in node.arguments.kwargs.items():
        own_mask = (
            name == "mask"
            and all(each.masked for each in given)
            and all(values.get(id(mask)) is MASK for mask in tree.flatten(value))
        )
        if value is not None and value is not False and not own_mask:
            raise NoStep(f"{title(node.operation)} is called with arguments of its own")
    if len(node.outputs) != 1:
        raise NoStep(f"{title(node.operation)} has {len(node.outputs)} outputs, and no native step for them")


def part_of_mask(node: Any, values: dict[int, Any]) -> str | None:
    """MASK for what Keras computes the mask of tokens from, ZEROS for what it adds to give it an axis, else None."""
    kind, given = type(node.operation).__name__, [values[id(tensor)] for tensor in node.input_tensors]
    if kind == "ZerosLike":
        return ZEROS
    if kind == "NotEqual" and list(node.arguments.args[1:]) == [0] and isinstance(given[0], Value):
        return MASK if given[0].node == 0 else None
    if kind in ("LogicalOr", "ExpandDims", "Concatenate", "Any") and MASK in given:
        return MASK if all(each in (MASK, ZEROS) for each in given) else None
    return None


def data(value: Any) -> Value:
    """A value that a layer takes, past those that are for masks only."""
    if isinstance(value, NoStep):
        raise value
    if not isinstance(value, Value):
        raise NoStep("a mask is used as data")
    return value


def only(layer: Any, given: list[Value]) -> Value:
    """The one input of a layer that takes one."""
    if len(given) != 1:
        raise NoStep(f"{title(layer)} takes {len(given)} inputs, and has no native step for them")
    return given[0]


def title(layer: Any) -> str:
    """A layer in words."""
    return f"{type(layer).__name__} '{getattr(layer, 'name', '?')}'"
