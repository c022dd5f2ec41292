"""``sostenuto state``: the states in a store, listed, shown, forgotten, exported and imported. No Keras."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from sostenuto.cli.console import print_rows, print_table
from sostenuto.cli.state_ids import chosen, shown
from sostenuto.cli.state_notes import NOTE, Layout, in_words, layout_of, parts, read_note
from sostenuto.diagnosis import count, nearest
from sostenuto.errors import ConflictError, DataError, StoreError
from sostenuto.stores import Change, Id, Store, open_store
from sostenuto.stores.opening import SERVERS
from sostenuto.stores.record import Record, unpack, unpack_many

_TRIES = 10
_SOME_DATE = 10**17  # whole numbers beyond are nanoseconds since 1970 for certain: March 1973


@contextlib.contextmanager
def opened(store: str, make: bool = False) -> Iterator[Store]:
    """Opens a store; never makes a new one unless told to.

    Args:
        store: a path or an address.
        make: whether a file may be made.

    Raises:
        StoreError: SO901, SO902, SO906, SO908, it cannot be opened.
    """
    path = Path(store)
    server = "://" in store and store.split("://")[0].lower() in SERVERS
    if not make and not server and not path.exists():
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir()]) if path.parent.is_dir() else []
        raise StoreError(
            "This cannot be opened or read as a store.",
            code="SO901",
            where=repr(store),
            got="nothing there",
            wanted="a file that a session has made, or valkey://host:port",
            fix=f"near ones: {', '.join(near)}" if near else "check the spelling and the current folder",
        )
    with open_store(store) as found:
        yield found


# --- ls, show ----------------------------------------------------------------------------------------------------


def ls(store: str, match: str | None, most: int, console: Console) -> None:
    """Prints ids with their steps and times, as they are read.

    Args:
        store: a path or an address.
        match: a pattern with ``*`` and ``?`` for ids as they are shown.
        most: how many to print at most.
        console: where to print.
    """
    with opened(store) as found:
        rows = {"store": found.name}
        note = read_note(found.note(NOTE))
        if note is not None:
            rows["states"] = in_words(note)
        print_rows(console, rows)
        matching = (id for id in found.ids() if match is None or fnmatchcase(shown(id), match))
        listed, widths = 0, None
        for part in parts(islice(matching, most)):
            lines = [("id", "steps", "time of its last step"), *_lines(found, part)]
            if widths is None:
                widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
                console.print()
            for id, steps, at in lines[int(listed > 0) :]:
                console.print(f"{id:<{widths[0]}}  {steps:>{widths[1]}}  {at}".rstrip(), markup=False)
            listed += len(lines) - 1
        total = len(found)
        further = sum(1 for _ in matching) if match is not None else max(0, total - listed)
    like = "" if match is None else f" like {match!r}, of {total:,} in all"
    of = f"{listed:,} of " if further else ""
    more = f"; --most {listed + further} shows all" if further else ""
    console.print(f"\n{of}{count(listed + further, 'id')}{like}{more}", markup=False)


def _lines(store: Store, ids: Sequence[Id]) -> Iterator[tuple[str, str, str]]:
    for id, entry in zip(ids, store.read(ids), strict=True):
        if entry is None:  # forgotten a moment ago
            continue
        try:
            record = unpack(entry.record)
            yield shown(id), f"{record.step:,}", _time(record.at)
        except StoreError as error:
            yield shown(id), "?", "damaged" if error.code == "SO906" else error.got


def _time(at: int | float | None) -> str:
    if isinstance(at, int) and at >= _SOME_DATE:
        return f"{at} ({datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%d %H:%M:%S})"
    return "" if at is None else str(at)


def show(store: str, text: str, values: bool, as_json: bool, keys: bool, console: Console) -> None:
    """Prints what is kept of an id.

    Args:
        store: a path or an address.
        text: the id as typed.
        values: print all numbers.
        as_json: print JSON.
        keys: whether the id is typed as JSON.
        console: where to print.
    """
    with opened(store) as found:
        (id,) = chosen(found, [text], keys)
        entry = found.read([id])[0]
        if entry is None:  # forgotten a moment ago
            raise ConflictError(
                "The id was forgotten while it was read.",
                code="SO904",
                where=found.name,
                got="nothing there now",
                wanted="its record",
                fix="list the ids again",
            )
        record = _unpacked(entry.record, id)
        layout = layout_of(read_note(found.note(NOTE)), record.states)
        layout.check(record.states, id, found)
    if as_json:
        print(json.dumps(_as_json(id, record, layout, values), ensure_ascii=False))
        return
    answer = "" if record.answer is None else f", answered with {_sizes(record.answer)}"
    calls = f"{count(record.call_steps, 'step')}{answer}" if record.call_steps else "none since it began"
    rows = {"id": shown(id), "store": found.name, "steps": f"{record.step:,}", "time": _time(record.at) or "none"}
    print_rows(console, {**rows, "last call": calls})
    lines = {}
    for name, state in zip(layout.columns, record.states, strict=True):
        low, mean, high, norm = (f"{value:.4g}" for value in _figures(state).values())
        lines[name] = [str(state.shape), state.dtype.name, low, mean, high, norm]
    print_table(console, ["state", "shape", "dtype", "min", "mean", "max", "norm"], lines)
    if values:
        for name, state in zip(layout.columns, record.states, strict=True):
            console.print(f"{name}\n{_numbers(state)}", markup=False)
        if record.answer is not None:
            console.print(f"last answer\n{_numbers(record.answer)}", markup=False)


def _unpacked(data: bytes, id: Id) -> Record:
    unpack_many([data], [id])  # names the id where the record is damaged
    return unpack(data)


def _sizes(array: np.ndarray) -> str:
    return f"{array.shape} {array.dtype.name}"


def _figures(state: np.ndarray) -> dict[str, float]:
    numbers = state.astype(np.float64)
    if not numbers.size:
        return dict.fromkeys(("min", "mean", "max", "norm"), 0.0)
    found = (numbers.min(), numbers.mean(), numbers.max(), np.linalg.norm(numbers))
    return dict(zip(("min", "mean", "max", "norm"), map(float, found), strict=True))


def _numbers(array: np.ndarray) -> str:
    return np.array2string(array.astype(np.float64), max_line_width=100, threshold=array.size + 1, precision=6)


def _as_json(id: Id, record: Record, layout: Layout, values: bool) -> dict[str, Any]:
    def described(array: np.ndarray) -> dict[str, Any]:
        found = {"shape": list(array.shape), "dtype": array.dtype.name, **_figures(array)}
        return {**found, "values": array.astype(np.float64).tolist()} if values else found

    answer = None if record.answer is None else described(record.answer)
    states = layout.by_layer([described(state) for state in record.states])
    return {
        "id": id,
        "step": record.step,
        "at": record.at,
        "last_call": {"steps": record.call_steps, "answer": answer},
        "states": states,
    }


# --- reset -------------------------------------------------------------------------------------------------------


def reset(store: str, texts: Sequence[str], all: bool, yes: bool, keys: bool, console: Console) -> None:
    """Forgets ids, all of them or none.

    Args:
        store: a path or an address.
        texts: the ids as typed.
        all: forget every id of the store.
        yes: with ``all``: do so.
        keys: whether ids are typed as JSON.
        console: where to print.
    """
    if all == bool(texts):
        raise _option("ids" if all else "arguments", "--all and ids" if all else "no ids", "ids, or --all")
    with opened(store) as found:
        number = len(found)
        if all:
            if not yes:
                raise _option("--all", "--all without --yes", f"--all --yes, which forgets {count(number, 'id')}")
            found.clear()
            console.print(f"forgot all {count(number, 'id')} of {found.name}", markup=False)
            return
        ids = chosen(found, texts, keys)
        for id, steps in tried(lambda: _forget(found, ids)):
            console.print(f"forgot {shown(id)}{steps}; its next step begins anew", markup=False)


def _forget(store: Store, ids: Sequence[Id]) -> list[tuple[Id, str]]:
    entries = [(id, entry) for id, entry in zip(ids, store.read(ids), strict=True) if entry is not None]
    store.write([Change(id, entry.revision, None) for id, entry in entries])
    return [(id, _after_steps(entry.record)) for id, entry in entries]


def _after_steps(record: bytes) -> str:
    # A damaged record is forgotten like any other: that is the way out of the damage.
    with contextlib.suppress(StoreError):
        return f" after {count(unpack(record).step, 'step')}"
    return ", whose record was damaged"


def tried(write: Callable[[], Any]) -> Any:
    """What ``write`` returns, tried again where a service wrote the same id meanwhile."""
    for number in range(_TRIES - 1):
        with contextlib.suppress(ConflictError):
            return write()
        time.sleep(0.01 * 2**number)
    return write()


def _option(where: str, got: str, wanted: str) -> DataError:
    return DataError(
        "It is not clear what to forget.",
        code="SO214",
        where=f"sostenuto state reset, {where}",
        got=got,
        wanted=wanted,
        fix="name ids, or say --all --yes",
    )
