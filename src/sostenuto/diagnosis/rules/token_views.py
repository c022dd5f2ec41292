"""Which ids reach which embedding, and what is in them. Of Keras and of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.events import LayerCall, ModelCall
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.container_inputs import part_source, parts_of
from sostenuto.diagnosis.rules.container_views import inputs_of, is_array
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import first_layers, is_keras, is_model, is_ours, kinds
from sostenuto.diagnosis.wording import count

# Calls of fit and its siblings for one model that are looked at; a loop over train_on_batch makes many.
_MOST = 1000


@dataclass(frozen=True)
class Lookup:
    """Ids on their way to an embedding.

    Attributes:
        layer: the Embedding, of Keras or torch.
        ids: the numbers.
        place: of the call.
        value: the user's own object.
        named: gives what the user calls them; asked only where something is wrong.
    """

    layer: Any
    ids: np.ndarray
    place: Place | None
    value: Any
    named: Callable[[], str]

    @property
    def source(self) -> str:
        """What the user calls the ids."""
        return self.named()

    @property
    def size(self) -> int:
        """The rows of the table."""
        return size_of(self.layer) or 0


def is_embedding(layer: Any) -> bool:
    """Whether it is an Embedding of Keras or torch, with a known number of rows."""
    return "Embedding" in kinds(layer) and size_of(layer) is not None


def size_of(layer: Any) -> int | None:
    """The number of rows of an embedding: input_dim of Keras, num_embeddings of torch."""
    size = getattr(layer, "input_dim", None) if is_keras(layer) else getattr(layer, "num_embeddings", None)
    return size if isinstance(size, int) and size > 0 else None


def argument_of(layer: Any) -> str:
    """What its number of rows is called."""
    return "input_dim" if is_keras(layer) else "num_embeddings"


def read_first(model: Any) -> list[Any]:
    """The layer that reads each input of a Sequential or Functional model, looking into models inside it."""
    found = []
    for layer in first_layers(model):
        inner = layer
        for _ in range(5):
            if not is_model(inner):
                break
            below = first_layers(inner)
            if len(below) != 1:
                break
            inner = below[0]
        found.append(inner)
    return found


def lookups(call: ModelCall, seen: Seen, x: Any = None) -> Iterator[Lookup]:
    """The ids that a call of fit, evaluate or predict gives to embeddings, where both are known.

    Args:
        call: the call.
        seen: the memory, which knows what a model with a call of its own does with its inputs.
        x: one batch of a generator, instead of the data of the call.
    """
    if is_ours(call.model):
        return
    readers, noted = read_first(call.model), _noted(call.model, seen)
    if not any(map(is_embedding, readers)) and not noted:
        return
    counts = seen.notes["lookups"]
    counts[id(call.model)] = counts.get(id(call.model), 0) + 1
    if counts[id(call.model)] > _MOST:
        return
    value, known = call.x if x is None else x, inputs_of(call.model)
    if readers and (len(readers) == len(known) or (len(readers) == 1 and not known)):
        names = [one.name for one in known] or [""]
        for layer, (part, key) in zip(readers, parts_of(value, names), strict=False):
            yield from _lookup(layer, part, key, call)
        return
    for key, layer in noted:
        # A list by number, a dict by name.
        try:
            part = value if key is None else value[key]
        except Exception:
            continue
        yield from _lookup(layer, part, key, call)


def _lookup(layer: Any, value: Any, key: Any, call: ModelCall) -> Iterator[Lookup]:
    if not is_embedding(layer) or not is_array(value):
        return
    ids = as_array(value)
    if ids is not None and ids.size:
        yield Lookup(layer, some_rows(ids), call.place, value, lambda: part_source(written(call, "x"), key))


def note_reader(event: LayerCall, seen: Seen) -> None:
    """Remembers that an Embedding reads an input of a model with a call of its own, as it is.

    Args:
        event: a call of an Embedding.
        seen: the memory.
    """
    path: Any = None
    tensor, outer = event.inputs, event.outer
    while outer is not None:
        inputs = outer.inputs
        if inputs is not tensor:
            items = (
                inputs.items()
                if isinstance(inputs, dict)
                else enumerate(inputs if isinstance(inputs, list | tuple) else ())
            )
            keys = [key for key, one in items if one is tensor]
            if not keys or path is not None:
                return
            path = keys[0]
        if is_model(outer.layer) and outer.outer is None:
            found = seen.notes["embeddings of models"].setdefault(id(outer.layer), [])
            if all(known.layer is not event.layer for _, known in found):
                found.append((path, seen.history(event.layer)))
            return
        tensor, outer = inputs, outer.outer


def _noted(model: Any, seen: Seen) -> list[tuple[Any, Any]]:
    found = seen.notes["embeddings of models"].get(id(model), [])
    return [(path, history.layer) for path, history in found if history.layer is not None]


def within_verb(event: LayerCall, seen: Seen) -> bool:
    """Whether a layer was called by fit, evaluate or predict, whose data is looked at as a whole."""
    verb = seen.verbs[-1] if seen.verbs else None
    if verb is None or verb.place is None or event.place is None or event.outer is None:
        return False
    same = (verb.place.file, verb.place.line) == (event.place.file, event.place.line)
    return same and (is_array(verb.x) or isinstance(verb.x, list | tuple | dict))


def range_words(ids: np.ndarray) -> str:
    """Words the range of ids: "ids from 1 to 500"."""
    low, high = ids.min(), ids.max()
    if ids.dtype.kind == "f":
        return f"numbers from {low:.4g} to {high:.4g}"
    return f"ids from {low} to {high}"


def where_is(ids: np.ndarray, found: np.ndarray) -> str:
    """Words where the first of some ids stands: "row 3, step 7"."""
    index = np.argwhere(found)[0]
    names = ("row", "step")
    return ", ".join(f"{name} {number}" for name, number in zip(names, index, strict=False)) if ids.ndim else "one"


def share(found: np.ndarray) -> str:
    """Words how many of all ids: "1 of 480 ids"."""
    number = int(found.sum())
    return f"{number:,} of {count(found.size, 'id')}"
