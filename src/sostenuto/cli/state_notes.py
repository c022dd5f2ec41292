"""What a store says of the model that wrote it: the names of its states, and its fingerprint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from sostenuto.stores import Id, Store
from sostenuto.stores.damage import corrupt

# As sostenuto.sessions.fingerprint writes it, which is not imported: it brings Keras along.
NOTE = "model"
FORMAT = 1
MOST_AT_ONCE = 1000


def parts(ids: Iterator[Id], size: int = MOST_AT_ONCE) -> Iterator[list[Id]]:
    """Lists of at most ``size`` ids.

    Example:
        >>> list(parts(iter("abc"), 2))
        [['a', 'b'], ['c']]
    """
    while part := list(islice(ids, size)):
        yield part


def read_note(text: str | None) -> dict[str, Any] | None:
    """The fingerprint of a model; None where there is none that this version knows.

    Args:
        text: the note of a store.
    """
    try:
        note = json.loads(text or "")
        known = note["format"] == FORMAT and isinstance(note["weights"], str)
        return note if known and all(len(state) == 4 for state in note["states"]) else None
    except (ValueError, KeyError, TypeError):
        return None


def in_words(note: dict[str, Any]) -> str:
    """The states that a note tells of."""
    return ", ".join(f"{layer} {state} ({size},) {dtype}" for layer, state, size, dtype in note["states"])


@dataclass(frozen=True)
class Layout:
    """The states of every record of a store, in their order.

    Args:
        names: layer and state of each.
        kinds: dtype and shape of each.

    Example:
        >>> layout = Layout((("lstm", "h"), ("lstm", "c")), (("float32", (4,)), ("float32", (4,))))
        >>> layout.columns
        ('lstm.h', 'lstm.c')
    """

    names: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Each name in one word."""
        return tuple(f"{layer}.{state}" for layer, state in self.names)

    def by_layer(self, values: Sequence[Any]) -> dict[str, dict[str, Any]]:
        """Something for each state, by layer and name."""
        found: dict[str, dict[str, Any]] = {}
        for (layer, state), value in zip(self.names, values, strict=True):
            found.setdefault(layer, {})[state] = value
        return found

    def check(self, states: Sequence[np.ndarray], id: Id, store: Store) -> None:
        """Refuses a record with other states (SO906)."""
        if kinds_of(states) != self.kinds:
            kinds = zip(self.columns, self.kinds, strict=True)
            wanted = ", ".join(f"{name} {shape} {dtype}" for name, (dtype, shape) in kinds)
            raise corrupt(f"the record of {id!r} in {store.name}", "other states than the store's model has", wanted)


def kinds_of(states: Sequence[np.ndarray]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Dtype and shape of each state of one record."""
    return tuple((state.dtype.name, tuple(state.shape)) for state in states)


def layout_of(note: dict[str, Any] | None, states: Sequence[np.ndarray]) -> Layout:
    """The layout that the note of a store tells; without a note that of a record, whose states are numbered.

    Args:
        note: what ``read_note`` gave.
        states: those of a record.
    """
    if note is None:
        return Layout(tuple(("states", str(number)) for number in range(len(states))), kinds_of(states))
    names = tuple((str(layer), str(state)) for layer, state, _, _ in note["states"])
    return Layout(names, tuple((str(dtype), (int(size),)) for _, _, size, dtype in note["states"]))
