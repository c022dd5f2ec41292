"""What names a sequence in a store: text, a whole number or a tuple of these, and its text in the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from sostenuto.diagnosis import shape_of
from sostenuto.errors import IdError, StoreError

Id = str | int | tuple[str | int, ...]

# Python itself neither writes nor reads whole numbers with more digits than this, unless it is told to.
MOST_DIGITS = 4300
_BOUND = 10**MOST_DIGITS
_FEW_BITS = 64

_quoted = json.JSONEncoder(ensure_ascii=False).encode


def plain_id(id: Any) -> Id:
    """An id as str, int or a tuple of these; NumPy's texts and whole numbers are turned into Python's.

    Args:
        id: what is to name a sequence.

    Raises:
        IdError: SO311, it is something else (a float, None, True, bytes, a list, a tuple of tuples, text that is no
            valid Unicode, a number of more than 4,300 digits).

    Example:
        >>> import numpy as np
        >>> plain_id("engine-17"), plain_id(np.int64(17)), plain_id(("lyon", np.str_("a"), 3))
        ('engine-17', 17, ('lyon', 'a', 3))
    """
    if type(id) is tuple or isinstance(id, tuple):
        return tuple(_single(part, id) for part in id)
    return _single(id, id)


def plain_ids(ids: Sequence[Any]) -> list[Id]:
    """``plain_id`` of each; short whole numbers or ASCII texts alone are told at once, for a thousand ids per call.

    Raises:
        IdError: SO311, one is something else.

    Example:
        >>> plain_ids(["a", "b"]), plain_ids([1, ("a", 2)])
        (['a', 'b'], [1, ('a', 2)])
    """
    kinds = set(map(type, ids))
    if kinds == {str} and "".join(ids).isascii():
        return list(ids)
    if kinds == {int} and min(ids) >= -(1 << 63) and max(ids) < 1 << 63:
        return list(ids)
    return [plain_id(id) for id in ids]


def _single(part: Any, id: Any) -> str | int:
    if isinstance(part, str):
        if part.isascii() or _is_unicode(part):
            return part if type(part) is str else str.__str__(part)
        raise _error(id, "text with half a character (a lone surrogate)", "decode the text with errors='strict'")
    if isinstance(part, int | np.integer) and not isinstance(part, bool | np.bool_ | np.timedelta64):
        number = int(part)
        if number.bit_length() <= _FEW_BITS or -_BOUND < number < _BOUND:
            return number
        raise _error(id, f"a whole number of {number.bit_length():,} bits", "use a text instead")
    raise _error(id, _kind(part), _remedy(part))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(part: Any) -> str:
    if part is None or isinstance(part, bool | np.bool_):
        return str(part)
    if isinstance(part, float | np.floating):
        return f"the {type(part).__name__} {part}"
    return shape_of(part)


def _remedy(part: Any) -> str:
    if isinstance(part, float | np.floating) and float(part).is_integer():
        return f"write {int(part)}, or '{int(part)}'"
    if isinstance(part, bytes):
        return "decode it to text: id.decode()"
    if isinstance(part, list):
        return "write a tuple: tuple(id)"
    return "turn it into a text or a whole number that stays the same for good"


def _error(id: Any, got: str, fix: str) -> IdError:
    return IdError(
        "This cannot be an id.",
        code="SO311",
        where="inside a tuple" if isinstance(id, tuple) else "an id",
        got=got,
        wanted="text, a whole number, or a tuple of these",
        fix=fix,
    )


def key_text(id: Any) -> str:
    """The text of an id in a store: JSON without spaces, so that 17 and "17" differ and people can read it.

    Args:
        id: anything that ``plain_id`` takes.

    Raises:
        IdError: SO311, it cannot be an id.

    Example:
        >>> key_text("engine-17"), key_text(17), key_text(("a", 3))
        ('"engine-17"', '17', '["a",3]')
    """
    if type(id) is str and id.isascii():
        return _quoted(id)
    id = plain_id(id)
    if isinstance(id, tuple):
        return f"[{','.join(_text(part) for part in id)}]"
    return _text(id)


def _text(part: str | int) -> str:
    return str(part) if isinstance(part, int) else _quoted(part)


def id_of(key: str, store: str) -> Id:
    """The id of a text in a store.

    Args:
        key: what ``key_text`` made.
        store: the store in words, for messages.

    Raises:
        StoreError: SO906, the text was not made by ``key_text``.

    Example:
        >>> id_of('"17"', "memory"), id_of("17", "memory"), id_of('["a",3]', "memory")
        ('17', 17, ('a', 3))
    """
    try:
        id = json.loads(key)
        id = tuple(id) if isinstance(id, list) else id
        if key_text(id) == key:
            return id
    except (ValueError, IdError, RecursionError):
        pass
    raise StoreError(
        "A key of a store is no id.",
        code="SO906",
        where=store,
        got=f"a key of {len(key):,} characters that Sostenuto did not write",
        wanted="an id as JSON: text, a whole number or a list of these",
        fix="put back a copy of the store from before the damage",
    )
