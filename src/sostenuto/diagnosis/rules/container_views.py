"""What rules about containers ask: what holds the data, what a model reads, and how the user's call is written anew."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import rows_of
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import first_layers, kinds
from sostenuto.diagnosis.wording import axes

# Items of a list that are looked at; more would make the diagnosis felt.
_MOST = 20_000


@dataclass(frozen=True)
class Input:
    """One input of a model.

    Attributes:
        name: that Keras knows it by.
        shape: with the batch axis, None for what is free.
        tokens: whether an Embedding reads it.
    """

    name: str
    shape: tuple[int | None, ...]
    tokens: bool = False

    def fits(self, shape: Sequence[int | None]) -> bool:
        """Whether an array of this shape, the batch axis included, can be this input."""
        return len(shape) == len(self.shape) and all(
            one is None or other is None or one == other for one, other in zip(self.shape[1:], shape[1:], strict=True)
        )

    def fits_sample(self, shape: Sequence[int | None]) -> bool:
        """Whether an array of this shape can be one sample of this input."""
        return self.fits((None, *shape))


def inputs_of(model: Any) -> list[Input]:
    """The inputs of a model in their order; empty where Keras does not know them (yet)."""
    # Keras raises where a model is not built, and knows nothing of a subclass.
    try:
        tensors = list(model.inputs or ())
    except Exception:
        return []
    found = []
    readers = first_layers(model)
    for number, tensor in enumerate(tensors):
        shape = getattr(tensor, "shape", None)
        if shape is None:
            return []
        reader = readers[number] if len(readers) == len(tensors) else None
        name = getattr(tensor, "name", "")
        tokens = reader is not None and "Embedding" in kinds(reader)
        found.append(Input(name if isinstance(name, str) else "", tuple(shape), tokens))
    return found


def is_array(value: Any) -> bool:
    """Whether it is an array or tensor with a shape, of whatever library; not a list."""
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple | list) or (shape is not None and hasattr(shape, "__len__") and not callable(shape))


def shape_in(value: Any) -> tuple[int | None, ...] | None:
    """The shape of an array, tensor, or of nested lists as far as they are rectangular; None where it has none."""
    if is_array(value):
        # A ragged tensor, or a shape that is not known.
        try:
            return tuple(value.shape)
        except Exception:
            return None
    if isinstance(value, list | tuple):
        first = shape_in(value[0]) if value else None
        if value and first is None and not isinstance(value[0], int | float | np.number):
            return None
        return (len(value), *(first or ()))
    return None


def rows_in(value: Any) -> int | None:
    """The length of the first axis of an array or of nested lists, or None."""
    shape = shape_in(value)
    return shape[0] if shape else None


def holds_numbers(value: Any) -> bool:
    """Whether an array or table is made of numbers, as far as its dtypes say: not of text, dates or objects."""
    dtypes = list(value.dtypes) if type(value).__name__ == "DataFrame" else [getattr(value, "dtype", "")]
    return not any(re.search("object|str|<U|datetime", str(one)) for one in dtypes)


def is_number(value: Any) -> bool:
    """Whether it is one number, of Python or NumPy."""
    return isinstance(value, int | float | np.number)


def lengths_of(items: Any) -> list[int] | None:
    """The length of every item, where all of them have one; of very many the first ones."""
    found = []
    for item in items[:_MOST] if isinstance(items, list | tuple) else list(items)[:_MOST]:
        length = rows_of(item)
        if not isinstance(length, int):
            return None
        found.append(length)
    return found


def count_words(numbers: Sequence[Any], most: int = 4) -> str:
    """Words a few numbers, and the range of many.

    Example:
        >>> count_words([3, 5, 2])
        '3, 5 and 2'
        >>> count_words([3, 5, 2, 7, 9, 4])
        '3, 5, 2, 7, ... (2 to 9)'
    """
    if len(numbers) <= most:
        words = [str(one) for one in numbers]
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    first = ", ".join(map(str, numbers[:most]))
    return f"{first}, ... ({min(numbers)} to {max(numbers)})" if all(map(is_number, numbers)) else f"{first}, ..."


def kind_words(items: Sequence[Any]) -> str:
    """What the items of a list are, in one word: "arrays", "tensors", "lists"."""
    first = items[0] if items else None
    if isinstance(first, np.ndarray):
        return "arrays"
    if is_array(first):
        return "tensors" if package_of(first) in ("torch", "tensorflow") else "arrays"
    return "lists" if isinstance(first, list | tuple) else "values"


def package_of(value: Any) -> str:
    """The package that a value's class comes from: "numpy", "torch", ..."""
    return type(value).__module__.partition(".")[0]


def letters(rank: int, tokens: bool = False) -> str:
    """The axes of a batch of this rank, by the letters of the legend; "" where they have no names."""
    return {1: "B", 2: "BT" if tokens else "BF", 3: "BTF"}.get(rank, "")


def batch_words(shape: Sequence[int | None], tokens: bool = False) -> str:
    """Words the shape of a batch: "(batch 32, time 10, features 3)"."""
    known = letters(len(shape), tokens)
    return axes(shape, known) if known else str(tuple(shape))


def sample_words(shape: Sequence[int | None], tokens: bool = False) -> str:
    """Words the shape of one sample: "(time 10, features 3)"."""
    known = letters(len(shape) + 1, tokens)[1:]
    return axes(shape, known) if known else str(tuple(shape))


def wanted_words(one: Input) -> str:
    """Words the shape an input has: "(batch ?, time 10, features 3)"."""
    return batch_words(one.shape, one.tokens)


def module_name(place: Place | None, module: str, default: str) -> str:
    """The user's name for a module: "np" for numpy.

    Args:
        place: somewhere in the program.
        module: its own name.
        default: where the program has none.
    """
    wanted = sys.modules.get(module)
    for name, value in place.names.items() if place is not None and wanted is not None else ():
        if value is wanted and not name.startswith("_"):
            return name
    return default


def numpy_name(place: Place | None) -> str:
    """The user's name for NumPy."""
    return module_name(place, "numpy", "np")


def pad_sequences_name(place: Place | None) -> str:
    """How this program can write ``keras.utils.pad_sequences``."""
    names = place.names if place is not None else {}
    if callable(names.get("pad_sequences")):
        return "pad_sequences"
    for name in ("keras", "tf_keras"):
        if hasattr(names.get(name), "utils"):
            return f"{name}.utils.pad_sequences"
    tensorflow = module_name(place, "tensorflow", "")
    return f"{tensorflow}.keras.utils.pad_sequences" if tensorflow else "keras.utils.pad_sequences"


def masking_line(value: str = "0.0", remark: str = "") -> str:
    """The entry of a Sequential that keeps padding from being read.

    Args:
        value: of the padding.
        remark: more for the comment behind it.

    Example:
        >>> masking_line()
        'keras.layers.Masking(mask_value=0.0),        # in front of the recurrent layer: padding is not read as data'
    """
    layer = f"keras.layers.Masking(mask_value={value}),"
    return f"{layer}        # in front of the recurrent layer: padding is not read as data{remark}"


def stack_name(place: Place | None, items: Sequence[Any], function: str = "stack") -> str:
    """How this program can write ``np.stack`` (or ``concatenate``) for items of this kind."""
    package = package_of(items[0]) if items else ""
    if package == "torch":
        return f"{module_name(place, 'torch', 'torch')}.{'cat' if function == 'concatenate' else function}"
    if package == "tensorflow":
        return f"{module_name(place, 'tensorflow', 'tf')}.{'concat' if function == 'concatenate' else function}"
    return f"{numpy_name(place)}.{function}"


def is_container(value: Any) -> bool:
    """Whether it holds data itself: an array, a table, a list or a dict; not a dataset or a generator."""
    return isinstance(value, list | tuple | dict) or is_array(value)


def count_of_inputs(model: Any) -> int | None:
    """How many inputs a model or layer has; None where only its own ``call`` knows."""
    found = inputs_of(model)
    if found:
        return len(found)
    if "Sequential" in kinds(model):
        return 1
    return None


def last_value(place: Place, name: str) -> ast.expr | None:
    """What was last assigned to a name before a line, by the order of lines; None where that is not known."""
    tree, found = place.module(), None
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.Assign) or node.lineno >= place.line:
            continue
        if any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            found = node.value
    return found


def uses_layer(place: Place | None, *names: str) -> bool:
    """Whether the program makes a layer of one of these classes somewhere."""
    tree = place.module() if place is not None else None
    return any(isinstance(node, ast.Call) and called(node) in names for node in ast.walk(tree)) if tree else False


def masks_padding(place: Place | None) -> bool:
    """Whether the program has a Masking layer or mask_zero=True somewhere."""
    tree = place.module() if place is not None else None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.keyword) and node.arg == "mask_zero":
            return not (isinstance(node.value, ast.Constant) and node.value.value is False)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Masking":
            return True
    return False
