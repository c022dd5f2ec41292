"""Puts functions of ours in front of public ones of a framework, and takes every one of them away again."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

Around = Callable[..., Any]

_ABSENT = object()


class Patches:
    """Wrapped functions, until ``undo``."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []
        self._later: list[Callable[[], Any]] = []

    def method(self, owner: type, name: str, around: Around) -> None:
        """Wraps a method of a class, also where the class inherits it.

        Args:
            owner: the class.
            name: of the method. Nothing happens where there is none.
            around: called as ``around(original, self, *args, **kwargs)``.
        """
        original = getattr(owner, name, None)
        if original is None:
            return

        @functools.wraps(original)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            return around(original, self, *args, **kwargs)

        _same_signature(wrapped, original)
        self._set(owner, name, wrapped)

    def name(self, owner: Any, name: str, around: Around) -> None:
        """Wraps a function under one name only.

        Args:
            owner: the module or class that has it.
            name: of the function. Nothing happens where there is none.
            around: called as ``around(original, *args, **kwargs)``.
        """
        original = getattr(owner, name, None)
        if original is None:
            return

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        if isinstance(owner, ModuleType):
            # Models that hold a function are pickled with the place it is found at.
            wrapped.__module__, wrapped.__qualname__ = owner.__name__, name
        self._set(owner, name, wrapped)

    def function(self, package: str, original: Callable[..., Any] | None, around: Around) -> None:
        """Wraps a function under all names that the modules of its package have for it.

        Args:
            package: "keras" or "torch".
            original: the function. Nothing happens with None.
            around: called as ``around(original, *args, **kwargs)``.
        """
        if original is None:
            return

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        _same_signature(wrapped, original)
        for module in list(sys.modules.values()):
            if not isinstance(module, ModuleType) or not module.__name__.startswith(package):
                continue
            # vars, because looking up names of a lazy module would import what nobody asked for.
            for name in [name for name, value in vars(module).items() if value is original]:
                self._set(module, name, wrapped)

    def later(self, call: Callable[[], Any]) -> None:
        """Calls a function when all is undone."""
        self._later.append(call)

    def undo(self) -> None:
        """Takes all wrappers away."""
        while self._later:
            self._later.pop()()
        while self._undo:
            owner, name, before = self._undo.pop()
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    def _set(self, owner: Any, name: str, wrapped: Any) -> None:
        before = vars(owner).get(name, _ABSENT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            setattr(owner, name, wrapped)
        self._undo.append((owner, name, before))


def _same_signature(wrapped: Any, original: Any) -> None:
    # Keras binds a layer's arguments by getfullargspec of its __init__, which does not look behind wrappers.
    try:
        wrapped.__signature__ = inspect.signature(original)
    except (TypeError, ValueError):
        return
