"""Ids as people read and type them: text mostly, numbers where they are numbers, JSON where that would be unclear."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from sostenuto.diagnosis import count, nearest, some
from sostenuto.errors import IdError, UnknownIdError
from sostenuto.stores import Id, Store, plain_id
from sostenuto.stores.ids import key_text

_WHOLE = re.compile(r"-?[1-9]\d*|0")
_FEW = 1000


def shown(id: Id) -> str:
    """An id as text: as it is, unless it would read as another one.

    Example:
        >>> shown("engine-17"), shown(17), shown("17"), shown(("lyon", 3))
        ('engine-17', '17', '"17"', '["lyon",3]')
    """
    plain = isinstance(id, str) and id.isprintable() and id and not _WHOLE.fullmatch(id) and id[0] not in '"['
    return str(id) if plain else key_text(id)


def chosen(store: Store, texts: Sequence[str], keys: bool) -> list[Id]:
    """The ids in a store that texts on the command line name, each once.

    Args:
        store: the store.
        texts: text ids as they are; whole numbers; JSON, where the text begins as such.
        keys: whether all are JSON.

    Raises:
        UnknownIdError: SO212, the store does not hold one.
        IdError: SO804, one may mean two ids that are both there; SO311, one is no JSON of an id.

    Example:
        >>> from sostenuto.stores import Change, MemoryStore
        >>> store = MemoryStore()
        >>> _ = store.write([Change(id, None, b"") for id in (17, "a", ("a", 3))])
        >>> chosen(store, ["17", "a", '["a",3]'], keys=False)
        [17, 'a', ('a', 3)]
    """
    found: dict[Id, None] = {}
    for text in texts:
        meanings = [_of_json(text, store)] if keys else _meanings(text)
        there = [id for id, entry in zip(meanings, store.read(meanings), strict=True) if entry is not None]
        if not there:
            raise _unknown(text, store)
        if len(there) > 1:
            raise IdError(
                f"{text} may mean two ids.",
                code="SO804",
                where=store.name,
                got=f"{' and '.join(repr(id) for id in there)}, both there",
                wanted="one id",
                fix=f"say which with --keys: {' or '.join(_quoted(key_text(id)) for id in there)}",
            )
        found[there[0]] = None
    return list(found)


def _meanings(text: str) -> list[Id]:
    found: list[Id] = []
    try:
        found.append(plain_id(text))
        if _WHOLE.fullmatch(text) or text[:1] in ('"', "["):
            id = json.loads(text)
            found.append(plain_id(tuple(id) if isinstance(id, list) else id))
    except (ValueError, RecursionError, IdError):
        pass  # then it means itself, or nothing
    return found


def _of_json(text: str, store: Store) -> Id:
    try:
        id: Any = json.loads(text)
        return plain_id(tuple(id) if isinstance(id, list) else id)
    except (ValueError, RecursionError, IdError) as error:
        raise IdError(
            "This cannot be an id.",
            code="SO311",
            where=f"{store.name}, option --keys",
            got=error.got if isinstance(error, IdError) else "text that is no JSON",
            wanted='a text such as "engine-17" with its quotes, a whole number, or a list of these',
            fix="leave --keys out to write texts without quotes",
        ) from None


def _unknown(text: str, store: Store) -> UnknownIdError:
    candidates = list(islice(store.ids(), _FEW))
    by_text = {shown(id): id for id in candidates}
    near = [by_text[name] for name in nearest(text, by_text)]
    return UnknownIdError(
        f"There is no state for {text}.",
        code="SO212",
        where=store.name,
        got=f"an id that is not among the {count(len(store), 'id')} there",
        wanted=f"ids such as {some(candidates, 5)}" if candidates else "an id; the store holds none",
        fix=f"near ones: {', '.join(shown(id) for id in near)}" if near else "'sostenuto state ls' lists the ids",
    )


def _quoted(key: str) -> str:
    return f"'{key}'" if not _WHOLE.fullmatch(key) else key
