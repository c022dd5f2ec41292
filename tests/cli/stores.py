"""Small stores of states on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sostenuto.cli.state_notes import NOTE
from sostenuto.stores import Change, Id, SQLiteStore
from sostenuto.stores.record import Record, pack

STATES = [["lstm", "h", 2, "float32"], ["lstm", "c", 2, "float32"]]


def note(weights: str = "a1b2", **other: Any) -> str:
    """The note of a model with these weights."""
    fields = {
        "format": 1, "states": STATES, "output_per": "step", "output_axes": [1], "feature_count": 3,
        "feature_names": [], "weights": weights,
    }  # fmt: skip
    return json.dumps({**fields, **other})


def record(step: int, at: Any = None, answer: Any = (0.75,), dtype: Any = "float32") -> bytes:
    """A record whose numbers tell its step."""
    states = [np.array([step / 3, -0.25]).astype(dtype), np.array([1.0, -(step**2)]).astype(dtype)]
    kept = None if answer is None else np.array([answer]).astype("float32")
    return pack(Record(step, at, 1, 7 * step, states, kept))


def fill(path: Path, records: dict[Any, bytes], text: str | None = None) -> None:
    """Makes a store with a note and records."""
    with SQLiteStore(path) as store:
        store.set_note(NOTE, note() if text is None else text)
        store.write([Change(id, None, data) for id, data in records.items()])


def held(path: Path) -> dict[Id, bytes]:
    """The records in a store."""
    with SQLiteStore(path) as store:
        ids = list(store.ids())
        return {id: entry.record for id, entry in zip(ids, store.read(ids), strict=True) if entry is not None}


def five(path: Path) -> Path:
    """A store of five ids: texts, a number, both under one name, a tuple."""
    records = {
        "engine-4": record(3, 41.5), 17: record(12, 2**62), "17": record(1), ("lyon", 3): record(1204, None, None),
        8: record(5, 1_700_000_000_123_456_789),
    }  # fmt: skip
    fill(path, records)
    return path
