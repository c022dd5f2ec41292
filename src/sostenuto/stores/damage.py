"""The errors that every store raises alike: damaged, newer."""

from __future__ import annotations

from sostenuto.errors import StoreError


def corrupt(where: str, got: str, wanted: str = "a whole record as it was written") -> StoreError:
    """The error for a damaged record (SO906)."""
    return StoreError(
        "A record of a store is damaged.",
        code="SO906",
        where=where,
        got=got,
        wanted=wanted,
        fix="put back a copy of the store from before the damage, or forget the id and feed its history again",
    )


def newer(where: str, version: int, known: int) -> StoreError:
    """The error for a newer format (SO902)."""
    return StoreError(
        "This was written by a newer Sostenuto.",
        code="SO902",
        where=where,
        got=f"format {version}",
        wanted=f"format {known}" if known == 1 else f"format 1 to {known}",
        fix="pip install --upgrade sostenuto",
    )
