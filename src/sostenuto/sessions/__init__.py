"""Sequences that arrive over time: state by id, kept between calls."""

from sostenuto.sessions.session import Session

__all__ = ["Session"]
