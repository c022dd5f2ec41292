"""What a store promises: whole records by id, written all or nothing, and a revision that shows a second owner."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

from sostenuto.diagnosis import count, some
from sostenuto.errors import ConflictError, StoreError
from sostenuto.stores.ids import Id


class Entry(NamedTuple):
    """What a store holds for an id: a record, and the revision of the write that put it there."""

    revision: int
    record: bytes


class Change(NamedTuple):
    """One id of a write.

    Args:
        id: the id.
        expected: the revision that must be there now, None for "nothing is there".
        record: what shall be there afterwards, None to delete it.
    """

    id: Id
    expected: int | None
    record: bytes | None


class Store(ABC):
    """Where the states of sequences rest between calls: a record of bytes for each id.

    A store may be used from several threads. ``sostenuto.stores.testing.StoreTests`` tests every sentence below; one
    of your own passes it or is none. Everything but ``close`` raises StoreError SO907 once the store is closed.

    Example:
        >>> from sostenuto.stores import Change, MemoryStore
        >>> with MemoryStore() as store:
        ...     revision = store.write([Change("engine-17", None, b"state")])
        ...     store.read(["engine-17", "engine-4"]) == [(revision, b"state"), None]
        True
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The store in words, for messages; never with a password."""

    @abstractmethod
    def read(self, ids: Sequence[Id]) -> list[Entry | None]:
        """The entries of ``ids``, in their order; None where an id has none.

        Raises:
            IdError: SO311, an id is neither text nor a whole number nor a tuple of these.
            StoreError: SO901, SO906 or SO908, the store cannot be read.
        """

    @abstractmethod
    def write(self, changes: Sequence[Change]) -> int:
        """Makes all changes or none; they are durable when it returns.

        Returns:
            The revision that every id written now bears: 63 random bits, new in every call, so that no sequence of
            deletions and writes ever brings back a revision that somebody may still hold.

        Raises:
            ConflictError: SO904, an id does not bear the revision expected, or is named twice; nothing was written.
            IdError: SO311, an id is neither text nor a whole number nor a tuple of these.
            StoreError: SO905 or SO908, the changes cannot be written.
        """

    @abstractmethod
    def ids(self) -> Iterator[Id]:
        """All ids, one after the other, in no promised order and never all in memory.

        Writes may go on meanwhile: an id that is there from begin to end comes exactly once.
        """

    @abstractmethod
    def __len__(self) -> int:
        """How many ids have an entry."""

    def __contains__(self, id: Id) -> bool:
        """Whether an id has an entry."""
        return self.read([id])[0] is not None

    def __bool__(self) -> bool:
        # A store is there even where it is still empty: `store or default` must not pass it by.
        return True

    @abstractmethod
    def note(self, name: str) -> str | None:
        """A small fact about the whole store, None where it was never set."""

    @abstractmethod
    def set_note(self, name: str, text: str) -> None:
        """Sets a small fact about the whole store, durably; the last one counts."""

    @abstractmethod
    def clear(self) -> None:
        """Forgets every id, all or none; notes stay."""

    @abstractmethod
    def close(self) -> None:
        """Gives back files and connections; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.name}>"


def new_revision() -> int:
    """63 random bits."""
    return secrets.randbits(63)


def refuse_twice(store: str, ids: Sequence[Id]) -> None:
    """Refuses a call that names an id twice (SO904): which of the two changes should stay?"""
    if len(set(ids)) == len(ids):
        return
    seen: set[Id] = set()
    twice = [id for id in ids if id in seen or seen.add(id)]  # type: ignore[func-returns-value]
    raise ConflictError(
        "A call names an id twice.",
        code="SO904",
        where=store,
        got=f"{some(dict.fromkeys(twice), most=3)} more than once among {count(len(ids), 'change')}",
        wanted="every id once",
        fix="merge the changes of an id into one, or make two calls",
    )


def conflict(store: str, found: Iterable[tuple[Change, int | None]]) -> ConflictError:
    """The error for changes that met another revision than they expected.

    Args:
        store: the store in words.
        found: each such change with the revision that is there now, None for none.
    """
    pairs = list(found)
    lines = [
        f"{change.id!r}: {_revision(there)}, expected {_revision(change.expected)}" for change, there in pairs[:3]
    ] + ([f"and {len(pairs) - 3:,} more"] if len(pairs) > 3 else [])
    return ConflictError(
        "Somebody else changed an id first; nothing was written.",
        code="SO904",
        where=store,
        got="\n".join(lines) or "an id that was changed and changed back meanwhile",
        wanted="the revision that was read before",
        fix="let one process own each id; read it again and repeat the call",
    )


def _revision(number: int | None) -> str:
    return "nothing" if number is None else f"revision {number:016x}"


def closed_error(store: str, got: str = "a call after close()") -> StoreError:
    """The error for a store that is used after its end (SO907)."""
    return StoreError(
        "The store is closed.",
        code="SO907",
        where=store,
        got=got,
        wanted="an open store",
        fix="open it again with sostenuto.stores.open_store(...)",
    )
