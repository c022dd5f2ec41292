"""How many rows an Embedding needs, in the words of the program that numbered its tokens."""

from __future__ import annotations

import ast
from typing import Any

from sostenuto.diagnosis.rules.container_calls import with_argument
from sostenuto.diagnosis.rules.token_views import argument_of, size_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_keras, kinds

_VECTORIZERS = {"TextVectorization", "StringLookup", "IntegerLookup"}


def source_of_embedding(layer: Any, seen: Seen) -> str:
    """The call that made an Embedding, as the user wrote it, or as one would write it."""
    written = seen.history(layer).source
    if written:
        return written
    if is_keras(layer):
        return f"Embedding({size_of(layer)}, {getattr(layer, 'output_dim', '...')})"
    return f"nn.Embedding({size_of(layer)}, {getattr(layer, 'embedding_dim', '...')})"


def with_rows(layer: Any, place: Place | None, seen: Seen, largest: int) -> str:
    """The Embedding with as many rows as its ids need.

    Args:
        layer: the Embedding.
        place: of the program, whose variables say where ids come from.
        seen: the memory.
        largest: the largest id.
    """
    source = source_of_embedding(layer, seen)
    return with_argument(source, argument_of(layer), 0, rows_needed(layer, place, source, largest))


def rows_needed(layer: Any, place: Place | None, source: str, largest: int) -> str:
    """Source for the number of rows: "len(vocabulary) + 1", or a number."""
    size = size_of(layer) or 0
    names = dict(place.names) if place is not None else {}
    for name, value in names.items():
        if name.startswith("_"):
            continue
        if kinds(value) & _VECTORIZERS and (known := _vocabulary_size(value)) and known > largest:
            return f"{name}.vocabulary_size()"
        index = getattr(value, "__dict__", {}).get("word_index") if not isinstance(value, type) else None
        if isinstance(index, dict) and len(index) == largest:
            return f"len({name}.word_index) + 1"
    for name, value in names.items():
        if not name.startswith("_") and isinstance(value, dict) and value and _largest(value) == largest:
            return f"len({name}) + 1" if len(value) == largest else f"max({name}.values()) + 1"
    written = _written(layer, source)
    if largest == size and written and not written.isdigit():
        return f"{written} + 1"
    return str(largest + 1)


def _vocabulary_size(layer: Any) -> int | None:
    # One that was not adapted yet has none.
    try:
        return int(layer.vocabulary_size())
    except Exception:
        return None


def _largest(vocabulary: dict[Any, Any]) -> int | None:
    try:
        return max(vocabulary.values()) if all(isinstance(one, int) for one in vocabulary.values()) else None
    except Exception:
        return None


def _written(layer: Any, source: str) -> str:
    # The number of rows as the user wrote it.
    try:
        call = ast.parse(f"({source})", mode="eval").body
    except SyntaxError:
        return ""
    if not isinstance(call, ast.Call):
        return ""
    name = argument_of(layer)
    for one in call.keywords:
        if one.arg == name:
            return ast.unparse(one.value)
    return ast.unparse(call.args[0]) if call.args and not isinstance(call.args[0], ast.Starred) else ""
