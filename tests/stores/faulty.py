"""What test_faults.py runs with the shim of faults.c before libc: every k-th call fails once, or for good.

python faulty.py write FOLDER SHARDS      failures while ids are written
python faulty.py make FOLDER SHARDS       failures while a store is made
python faulty.py order FOLDER SHARDS      the order of writes and syncs before each acknowledgement
python faulty.py limit FOLDER SHARDS      a limit on the size of files, as a full disk
"""

from __future__ import annotations

import ctypes
import errno
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    from children import without_keras

    without_keras()

from sostenuto.errors import StoreError
from sostenuto.stores import Change, SQLiteStore, sqlite_file

IDS = [f"engine-{number}" for number in range(12)]


def shim():
    library = ctypes.CDLL(None)
    library.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    library.fault_calls.restype = ctypes.c_char_p
    return library


def failures(shards: int):
    """Which errors, once or for good: fewer where several files make many calls."""
    return ((errno.EIO, (0,)), (errno.ENOSPC, (1,))) if shards > 1 else ((errno.EIO, (0, 1)), (errno.ENOSPC, (0, 1)))


def attempt(call) -> str:
    try:
        call()
    except StoreError as error:
        return error.code if error.where and error.got and error.wanted and error.fix else "a field is empty"
    return "done"


def same(store: SQLiteStore, wanted: dict, also: dict | None = None) -> str:
    """Which of two states the store is in; a part of each is neither."""
    found = {id: entry and entry.record for id, entry in zip(IDS, store.read(IDS), strict=True)}
    assert len(store) == sum(record is not None for record in found.values())
    if found == wanted:
        return "before"
    assert also
    assert all(record in (wanted[id], also[id]) for id, record in found.items())
    return "after" if found == also else "neither"


def write(folder: Path, shards: int) -> None:
    """The k-th call fails while two ids change, one is deleted and nine are new; checkpoints happen at every commit."""
    sqlite_file._PRAGMAS = (*sqlite_file._PRAGMAS, "wal_autocheckpoint = 1")
    library = shim()
    outcomes: dict[str, int] = {}
    before = {id: (b"before" * 900 if place < 3 else None) for place, id in enumerate(IDS)}
    after = {id: (b"after" * 900 if place else None) for place, id in enumerate(IDS)}
    for number, stickies in failures(shards):
        for sticky in stickies:
            k = fired = 1
            while fired:
                path = folder / f"{number}-{sticky}-{k}.db"
                with SQLiteStore(path, shards) as store:
                    first = store.write([Change(id, None, record) for id, record in before.items() if record])
                    changes = [Change(id, first if before[id] else None, record) for id, record in after.items()]
                    library.fault_arm(path.name.encode(), k, number, sticky)
                    outcome = attempt(lambda store=store, changes=changes: store.write(changes))
                    fired = library.fault_fired()
                    there = same(store, before, after) if not sticky or outcome == "done" else "later"
                    library.fault_disarm()
                    now = same(store, before, after)
                    assert there in (now, "later"), (there, now)
                    assert now == "after" if outcome == "done" else now in ("before", "neither" if shards > 1 else "")
                    # The store goes on: the next write works, on what is there now.
                    there_now = [entry and entry.revision for entry in store.read(IDS)]
                    store.write([Change(id, old, b"next") for id, old in zip(IDS, there_now, strict=True)])
                with SQLiteStore(path) as store:
                    assert same(store, dict.fromkeys(IDS, b"next")) == "before"
                outcomes[f"{outcome}, {now}"] = outcomes.get(f"{outcome}, {now}", 0) + 1
                k += shards
    print(json.dumps(outcomes))


def make(folder: Path, shards: int) -> None:
    """The k-th call fails while a store is made: afterwards there is none, or an empty one that works."""
    library = shim()
    outcomes: dict[str, int] = {}
    for number, stickies in failures(shards):
        for sticky in stickies:
            k = fired = 1
            while fired:
                home = folder / f"{number}-{sticky}-{k}"
                home.mkdir()
                path = home / "states.db"
                library.fault_arm(home.name.encode(), k, number, sticky)
                outcome = attempt(lambda path=path: SQLiteStore(path, shards).close())
                fired = library.fault_fired()
                library.fault_disarm()
                left = sorted(file.name for file in home.iterdir() if ".new" in file.name)
                assert left == [], left
                with SQLiteStore(path, shards) as store:
                    store.write([Change(id, None, b"1") for id in IDS])
                    assert len(store) == len(IDS)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
                k += shards
    print(json.dumps(outcomes))


def order(folder: Path, shards: int) -> None:
    """Every acknowledgement comes after a sync of all that was written to the log before it."""
    library = shim()
    with SQLiteStore(folder / "states.db", shards) as store:
        revision = None
        library.fault_arm(b"states.db", 0, 0, 0)
        for turn in range(30):
            revision = store.write([Change(id, revision, b"%d" % turn * 900) for id in IDS])
            library.fault_mark()
        print(library.fault_calls().decode())


def limit(folder: Path, shards: int) -> None:
    """A file may not grow beyond a size: as on a full disk, nothing is half there; with room again, all goes on."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    known: dict = dict.fromkeys(IDS)
    revisions: dict = dict.fromkeys(IDS)
    failed = 0
    with SQLiteStore(folder / "states.db", shards) as store:
        for turn in range(40):
            if turn == 10:
                resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
            if turn == 30:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            records = dict.fromkeys(IDS, b"%d " % turn * 2000)
            changes = [Change(id, revisions[id], record) for id, record in records.items()]
            outcome = attempt(lambda changes=changes: revisions.update(dict.fromkeys(IDS, store.write(changes))))
            if outcome == "done":
                known = records
            else:
                assert outcome == "SO905"
                failed += 1
            assert same(store, known) == "before"
        assert outcome == "done"
    with SQLiteStore(folder / "states.db") as store:
        assert same(store, known) == "before"
    print(json.dumps(failed))


if __name__ == "__main__":
    {"write": write, "make": make, "order": order, "limit": limit}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
