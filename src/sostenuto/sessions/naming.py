"""Which ids a call names, and what is said of those that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from sostenuto.diagnosis import count, nearest, shape_of, some
from sostenuto.errors import SessionError, UnknownIdError
from sostenuto.sequences.checks import to_numpy
from sostenuto.stores import Id, Store, plain_id
from sostenuto.stores.ids import plain_ids

# So many ids are looked through for a near one; never the million of a large store.
_FEW = 1000


def id_list(ids: Any) -> list[Any]:
    """Several ids as a list: of a list, an array, a column of a table or any iterable."""
    ids = to_numpy(ids)
    if hasattr(ids, "tolist"):
        return list(ids.tolist())
    if isinstance(ids, Iterable):
        return list(ids)
    raise SessionError(
        "These are no ids.",
        code="SO315",
        where="argument 'ids'",
        got=shape_of(ids),
        wanted="a list or array of ids",
        fix="write [id] for one",
    )


def one_or_several(ids: Any) -> list[Id]:
    """One id (text, a whole number, a tuple) or several (a list, an array, any iterable of them), each once.

    Raises:
        IdError: SO311.
        SessionError: SO312, an id comes twice.
    """
    if isinstance(ids, str | int | float | tuple | bytes) or ids is None:
        return [plain_id(ids)]
    return unique_ids(id_list(ids) if getattr(ids, "ndim", 1) else [ids])


def unique_ids(ids: list[Any]) -> list[Id]:
    """Plain ids, each once.

    Raises:
        IdError: SO311.
        SessionError: SO312, an id comes twice.

    Example:
        >>> import numpy as np
        >>> unique_ids(["a", np.int64(7), ("b", 1)])
        ['a', 7, ('b', 1)]
    """
    plain = plain_ids(ids)
    if len(set(plain)) == len(plain):
        return plain
    seen: set[Id] = set()
    twice = dict.fromkeys(id for id in plain if id in seen or seen.add(id))  # type: ignore[func-returns-value]
    raise SessionError(
        "An id comes twice in one call.",
        code="SO312",
        where="argument 'ids'",
        got=f"{some(twice, 3)} more than once among {count(len(plain), 'id')}",
        wanted="every id once: which of its steps would be first?",
        fix="join the steps of an id into one array (T, F), or make two calls",
    )


def unknown(ids: list[Id], store: Store, hot: Iterable[Id]) -> UnknownIdError:
    """The error for ids that the session does not know (SO212)."""
    candidates = list(islice(store.ids(), _FEW + 1))
    if len(candidates) > _FEW:
        candidates = list(islice(hot, _FEW))
    near = nearest(str(ids[0]), candidates)
    likely = [id for id in candidates if str(id) in near]
    return UnknownIdError(
        f"There is no state for {ids[0]!r}.",
        code="SO212",
        where=f"the session on {store.name}",
        got=f"{some(ids, 3)} ({type(ids[0]).__name__})",
        wanted="ids that were stepped or reset before",
        fix=f"near ones: {some(likely, 3)}"
        if likely
        else "session.ids() lists those known; session.reset(id) makes one known",
    )
