"""Which ids reach which embedding, and what is in them. Of Keras and of torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.events import LayerCall, ModelCall
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.container_inputs import parts_of
from sostenuto.diagnosis.rules.container_views import inputs_of, is_array
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import first_layers, is_keras, is_model, is_ours, kinds
from sostenuto.diagnosis.wording import count


@dataclass(frozen=True)
class Lookup:
    """Ids on their way to an embedding.

    Attributes:
        layer: the Embedding, of Keras or torch.
        ids: the numbers.
        source: what the user calls them.
        place: of the call.
        value: the user's own object.
    """

    layer: Any
    ids: np.ndarray
    source: str
    place: Place | None
    value: Any = None

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
    value = call.x if x is None else x
    known, readers = inputs_of(call.model), read_first(call.model)
    source = written(call, "x")
    if readers and (len(readers) == len(known) or (len(readers) == 1 and not known)):
        names = [one.name for one in known] or [""]
        for layer, (part, words) in zip(readers, parts_of(value, source, names), strict=False):
            yield from _lookup(layer, part, words, call.place)
        return
    for path, layer in _noted(call.model, seen):
        if path is None:
            part, words = value, source
        else:
            # A list by number, a dict by name.
            try:
                part, words = value[path], f"{source}[{path!r}]"
            except Exception:
                continue
        yield from _lookup(layer, part, words, call.place)


def _lookup(layer: Any, value: Any, source: str, place: Place | None) -> Iterator[Lookup]:
    if not is_embedding(layer) or not is_array(value):
        return
    ids = as_array(value)
    if ids is not None and ids.size:
        yield Lookup(layer, some_rows(ids), source, place, value)


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
