"""What the crash and fault tests run in processes of their own: quick to start, because Keras is left out.

python children.py write PATH SHARDS SEED     writes steps for ever, and reports each before and after it
python children.py count PATH NAME TURNS      adds to a counter that another process adds to as well
python children.py hold PATH SECONDS          holds the lock of a store file
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import time
import types
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "sostenuto"


def without_keras() -> None:
    """Lets ``sostenuto.stores`` be imported without the package around it, which would import Keras."""
    package = types.ModuleType("sostenuto")
    package.__path__ = [str(SOURCE)]
    sys.modules["sostenuto"] = package


IDS = [f"engine-{number}" if number % 2 else number for number in range(40)]


def record_of(id, step: int, size: int) -> bytes:
    """A record whose every part says which step of which id it is."""
    import numpy as np

    from sostenuto.stores.record import Record, pack

    state = np.full(size, step * 1000 + IDS.index(id), "int64")
    return pack(Record(step, None, 1, step, [state, state[::-1] + 1]))


def step_of(id, data: bytes) -> int:
    """The step in a record; an AssertionError if its parts disagree."""
    from sostenuto.stores.record import unpack

    record = unpack(data)
    wanted = record.step * 1000 + IDS.index(id)
    assert set(record.states[0].tolist()) <= {wanted}
    assert set(record.states[1].tolist()) <= {wanted + 1}
    return record.step


def say(*parts) -> None:
    os.write(1, (json.dumps(parts) + "\n").encode())


def write(path: str, shards: str, seed: str) -> None:
    from sostenuto.stores import Change, SQLiteStore

    rng = random.Random(int(seed))
    store = SQLiteStore(path, int(shards))
    known = {}
    for id, entry in zip(IDS, store.read(IDS), strict=True):
        known[id] = (None, 0) if entry is None else (entry.revision, step_of(id, entry.record))
    turn = max(step for _, step in known.values())
    say("ready")
    while True:
        turn += 1
        ids = rng.sample(IDS, rng.choice([1, 3, 40]))
        steps = {id: 0 if rng.random() < 0.1 else turn for id in ids}
        say("begin", [[id, step] for id, step in steps.items()])
        revision = store.write(
            [
                Change(id, known[id][0], record_of(id, step, rng.choice([0, 8, 300, 900])) if step else None)
                for id, step in steps.items()
            ]
        )
        say("done")
        known.update({id: (revision if step else None, step) for id, step in steps.items()})


def count(path: str, name: str, turns: str) -> None:
    from sostenuto.errors import ConflictError
    from sostenuto.stores import Change, open_store

    store = open_store(path)
    say("ready")
    sys.stdin.readline()
    conflicts = done = 0
    while done < int(turns):
        (entry,) = store.read(["counter"])
        changes = [Change("counter", entry.revision, b"%d" % (int(entry.record) + 1))]
        changes.append(Change(f"{name}-{done}", None, b"own"))
        try:
            store.write(changes)
            done += 1
        except ConflictError:
            conflicts += 1
    say("counted", done, conflicts)
    store.close()


def hold(path: str, seconds: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    say("held")
    time.sleep(float(seconds))


if __name__ == "__main__":
    without_keras()
    {"write": write, "count": count, "hold": hold}[sys.argv[1]](*sys.argv[2:])
