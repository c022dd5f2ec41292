"""The stores with many ids: opening, listing, and what a call of 1, 32 or 1000 ids costs when it must be on the disk.

Ids are taken at random from all of them, so that pages and checkpoints are those of a service, not of a fresh file.
Records have 600 bytes: two float32 states of 64 units, and their head.

    python benchmarks/stores.py                        10^6 ids in one file
    python benchmarks/stores.py --ids 100000           fewer
    python benchmarks/stores.py --shards 4             in four files
    python benchmarks/stores.py --store valkey://127.0.0.1:6379/0 --ids 100000      a server, which is cleared first
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from sostenuto.stores import Change, SQLiteStore, Store, open_store
from sostenuto.stores.record import pack_many, unpack_many

UNITS = 64
AT_ONCE = 10_000


def records(number: int, step: int) -> list[bytes]:
    """As many records, as a session packs them."""
    states = [np.random.default_rng(step + place).normal(size=(number, UNITS)).astype("float32") for place in range(2)]
    answers = np.zeros((number, 4), "float32")
    ones = np.ones(number, int)
    return pack_many(ones * step, [float(step)] * number, ones, ones, states, answers)


def seconds(call: Callable[[], Any]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fill(store: Store, number: int) -> None:
    """Writes as many ids, some thousands in a call."""
    store.clear()
    for begin in range(0, number, AT_ONCE):
        ids = range(begin, min(begin + AT_ONCE, number))
        packed = records(len(ids), 1)
        store.write([Change(f"engine-{id:07}", None, record) for id, record in zip(ids, packed, strict=True)])


def typical(times: Sequence[float]) -> str:
    """Median and slowest, in milliseconds."""
    return f"{statistics.median(times) * 1000:.3g} ms (slowest {max(times) * 1000:.3g})"


def calls(store: Store, number: int, size: int, turns: int) -> tuple[list[float], list[float]]:
    """The times of reading, and of writing, as many ids in a call."""
    rng = np.random.default_rng(size)
    reading, writing = [], []
    for turn in range(turns):
        ids = [f"engine-{id:07}" for id in rng.choice(number, size, replace=False)]
        packed = records(size, turn)
        start = time.perf_counter()
        entries = store.read(ids)
        unpack_many([entry.record for entry in entries if entry is not None], ids)
        reading.append(time.perf_counter() - start)
        changes = [
            Change(id, entry and entry.revision, record) for id, entry, record in zip(ids, entries, packed, strict=True)
        ]
        writing.append(seconds(lambda changes=changes: store.write(changes)))  # type: ignore[misc]
    return reading, writing


def resident() -> float:
    """This process's memory in MiB; 0 where the system does not tell as Linux does."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def overview(store: str) -> list[tuple[str, str]]:
    """What it takes to open a store, count its ids and list them."""
    held: list[Store] = []
    before = resident()
    rows = [("opening", typical([seconds(lambda: held.append(open_store(store)))]))]
    rows.append(("counting, len(store)", typical([seconds(lambda: len(held[0])) for _ in range(3)])))
    rows.append(("listing, ids()", typical([seconds(lambda: sum(1 for _ in held[0].ids()))])))
    rows.append(("memory that these three took", f"{resident() - before:.0f} MiB"))
    held[0].close()
    return rows


def main(
    ids: int = typer.Option(1_000_000, help="How many ids the store holds."),
    turns: int = typer.Option(100, help="Calls of each size."),
    shards: int = typer.Option(1, help="Files of the SQLite store."),
    store: str = typer.Option("", help="The address of a server, which is cleared first; by default a SQLite file."),
    folder: str = typer.Option("", help="Where the file is made for as long as this runs."),
) -> None:
    """Measures and prints a table."""
    home = Path(tempfile.mkdtemp(dir=folder or None))
    path = home / "states.db"

    def opened() -> Store:
        return open_store(store) if store else SQLiteStore(path, shards)

    try:
        with opened() as first:
            table = Table("what", "time", title=f"{first.name.split()[0]}, {ids:,} ids of 600 bytes, {shards} file(s)")
            table.add_row(f"filling, {AT_ONCE:,} ids in a call", f"{seconds(lambda: fill(first, ids)):.3g} s")
        if not store:
            size = sum(file.stat().st_size for file in home.iterdir())
            table.add_row("size of the files", f"{size / ids:.0f} bytes for each id")
        # In a process of its own: this one's memory has been higher already.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            for what, shown in pool.apply(overview, (store or str(path),)):
                table.add_row(what, shown)
        states = [np.zeros((1000, UNITS), "float32")] * 2
        ones = [1] * 1000
        answers = np.zeros((1000, 4), "float32")
        packing = [seconds(lambda: pack_many(ones, ones, ones, ones, states, answers)) for _ in range(turns)]
        table.add_row("packing 1,000", typical(packing))
        with opened() as held:
            for size in (1, 32, 1000):
                reading, writing = calls(held, ids, size, turns)
                table.add_row(f"reading and unpacking {size:,}", typical(reading))
                table.add_row(f"writing {size:,}, on the disk", typical(writing))
        Console(width=100).print(table)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    typer.run(main)
