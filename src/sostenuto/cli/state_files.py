"""``sostenuto state export`` and ``import``: all states of a store as one file, and back into a store."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from sostenuto.cli.state_ids import shown
from sostenuto.cli.state_notes import NOTE, in_words, layout_of, parts, read_note
from sostenuto.cli.state_rows import FORMATS, FileOfStates, Header, Saved, unreadable
from sostenuto.cli.states import opened, tried
from sostenuto.diagnosis import count
from sostenuto.errors import DataError, ModelError, StoreError
from sostenuto.sequences.table_source import check_file
from sostenuto.stores import Change, Id, Store
from sostenuto.stores.record import Record, unpack_many


def export(store: str, path: Path, console: Console) -> None:
    """Writes the states of all ids to a file, whole or not at all. A service may go on writing to the store meanwhile.

    Args:
        store: a path or an address.
        path: the file, ``.parquet`` or ``.jsonl``; one that is there is replaced.
        console: where to say what was written.

    Raises:
        DataError: SO213, the file's name ends otherwise.
        ModelError: SO802, the file cannot be written.
        StoreError: the store cannot be read, SO906; or SO805, its answers are of several dtypes.
    """
    kind = _kind(path, "written")
    with opened(store) as found, _written_whole(path) as new:
        header = _header(found)
        written = kind.write(new, header, _saved(found, header))
    console.print(f"written  {path}, {count(written, 'id')} of {found.name}", markup=False)


def _header(store: Store) -> Header:
    text = store.note(NOTE)
    note = read_note(text)
    layout, answer = layout_of(note, ()), None
    for part in _records(store):
        if note is None:
            layout = layout_of(None, part[0][1].states)
        answer = next((record.answer.dtype.name for _, record in part if record.answer is not None), None)
        if answer is not None:
            break
    return Header(text, layout, answer)


def _records(store: Store) -> Iterator[list[tuple[Id, Record]]]:
    for part in parts(store.ids()):
        there = [(id, entry.record) for id, entry in zip(part, store.read(part), strict=True) if entry is not None]
        ids = [id for id, _ in there]
        found = unpack_many([data for _, data in there], ids)
        rows = zip(found.step.tolist(), found.at, found.call_steps.tolist(), found.input_crc.tolist(), strict=True)
        records = [
            Record(*row, [state[place] for state in found.states], found.answers[place])
            for place, row in enumerate(rows)
        ]
        if ids:
            yield list(zip(ids, records, strict=True))


def _saved(store: Store, header: Header) -> Iterator[list[Saved]]:
    for part in _records(store):
        for id, record in part:
            header.layout.check(record.states, id, store)
            if record.answer is not None and record.answer.dtype.name != header.answer:
                raise StoreError(
                    "These states cannot be exported into one file.",
                    code="SO805",
                    where=f"{store.name}, id {id!r}",
                    got=f"answers of {header.answer} and of {record.answer.dtype.name}",
                    wanted="answers of one dtype, as one model gives them",
                    fix="forget the ids that another model left",
                )
        yield part


@contextlib.contextmanager
def _written_whole(path: Path) -> Iterator[Path]:
    """A new file beside ``path`` that takes its place at the end, or vanishes if something goes wrong (SO802)."""
    new = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.absolute().parent)
        new = Path(name)
        os.close(handle)
        yield new
        new.chmod(0o666 & ~_umask())
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(path)
        new = None
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise ModelError(
            "The file cannot be written.",
            code="SO802",
            where=repr(str(path)),
            got=error.strerror or str(error),
            wanted="a file in a folder that is there and may be written",
            fix="check the path",
        ) from None
    finally:
        if new is not None:
            new.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- import ------------------------------------------------------------------------------------------------------


def import_(store: str, path: Path, replace: bool, console: Console) -> None:
    """Reads the states of a file into a store. The file is read and checked to its end before anything is written.

    Args:
        store: a path, of a new file too, or an address.
        path: what ``export`` wrote.
        replace: whether ids that are there already are replaced.
        console: where to say what was done.

    Raises:
        DataFileError, DataError: SO209, SO213, SO805, there is no such file, or it holds no states.
        StoreError: SO903, another model wrote the store; SO805, ids are there already; or it cannot be written.
    """
    if not path.is_file():
        check_file(path)
    kind = _kind(path, "read")
    header = kind.header(path)
    ids = _checked(kind, path, header)
    with opened(store, make=True) as found:
        _check_model(found, path, header)
        there = sum(_count_there(found, part, path, replace) for part in parts(iter(ids)))
        if header.note is not None and found.note(NOTE) is None:
            found.set_note(NOTE, header.note)
        for part in kind.read(path, header):
            tried(partial(_put, found, part, header.packed(part), replace))
    replaced = f", {there:,} of them replaced" if there else ""
    console.print(f"imported {count(len(ids), 'id')} from {path} into {found.name}{replaced}", markup=False)


def _checked(kind: FileOfStates, path: Path, header: Header) -> dict[Id, None]:
    """The ids of a file whose every row can be read."""
    ids: dict[Id, None] = {}
    for part in kind.read(path, header):
        try:
            header.packed(part)
        except StoreError as error:  # a number that no record holds
            raise unreadable(path, f"{error.where}: {error.got}") from None
        for id, _ in part:
            if id in ids:
                raise unreadable(path, f"the id {id!r} twice")
            ids[id] = None
    return ids


def _check_model(store: Store, path: Path, header: Header) -> None:
    mine, theirs = store.note(NOTE), header.note
    if mine == theirs or (mine is None and next(store.ids(), None) is None):
        return
    note, other = read_note(mine), read_note(theirs)
    # Layers may have other names in a model that was loaded again; its weights and sizes are the same.
    if note is not None and other is not None and _without_names(note) == _without_names(other):
        return
    sizes = note is not None and other is not None and note["states"] == other["states"]
    raise StoreError(
        "The store was written by another model.",
        code="SO903",
        where=f"{str(path)!r} -> {store.name}",
        got="weights: other numbers in layers of the same sizes" if sizes else _states(note),
        wanted="the model that made the states of the file" if sizes else f"as in the file, {_states(other)}",
        fix="import them into a new store",
    )


def _without_names(note: dict[str, Any]) -> tuple[Any, ...]:
    return note["weights"], [state[1:] for state in note["states"]]


def _states(note: dict[str, Any] | None) -> str:
    return "states without a note that says which model made them" if note is None else f"states {in_words(note)}"


def _count_there(store: Store, ids: Sequence[Id], path: Path, replace: bool) -> int:
    there = [id for id, entry in zip(ids, store.read(ids), strict=True) if entry is not None]
    if there and not replace:
        raise StoreError(
            "Some of these ids are in the store already; nothing was imported.",
            code="SO805",
            where=f"{str(path)!r} -> {store.name}",
            got=", ".join(map(shown, there[:5])) + (" and more" if len(there) > 5 else ""),
            wanted="ids that are not there",
            fix="pass --replace to put the file's states in their place; or import into a new store",
        )
    return len(there)


def _put(store: Store, part: Sequence[Saved], records: Sequence[bytes], replace: bool) -> None:
    ids = [id for id, _ in part]
    revisions = [entry.revision if entry else None for entry in store.read(ids)] if replace else [None] * len(ids)
    store.write(list(map(Change, ids, revisions, records)))


def _kind(path: Path, what: str) -> FileOfStates:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise DataError(
            f"This is no kind of file that can be {what} here.",
            code="SO213",
            where=repr(str(path)),
            got=f"a name that ends with {path.suffix!r}",
            wanted=f"a name that ends with {' or '.join(FORMATS)}",
            fix=f"call it {path.stem}.parquet",
        )
    return found
