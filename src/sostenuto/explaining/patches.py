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
        # Packages, wrapper and original, by the wrapper's id.
        self._functions: dict[int, tuple[tuple[str, ...], Any, Any]] = {}

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

    def function(self, packages: tuple[str, ...], original: Callable[..., Any] | None, around: Around) -> None:
        """Wraps a function under all names that modules have for it, from ``place`` on.

        Args:
            packages: whose modules are looked at: what their names begin with.
            original: the function. Nothing happens with None.
            around: called as ``around(original, *args, **kwargs)``.
        """
        if original is None:
            return

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        _same_signature(wrapped, original)
        self._functions[id(wrapped)] = packages, wrapped, original

    def place(self) -> None:
        """Puts the wrapped functions in the place of their originals, all of them in one look at the modules."""
        wrappers = {id(original): wrapped for _, wrapped, original in self._functions.values()}
        for module, name, wrapped in self._found(wrappers):
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
        # Modules that were imported in the meantime have the wrapper from the one they took it from.
        originals = {number: original for number, (_, _, original) in self._functions.items()}
        for module, name, original in self._found(originals):
            setattr(module, name, original)
        self._functions.clear()

    def _found(self, others: dict[int, Any]) -> list[tuple[ModuleType, str, Any]]:
        # Where the packages' modules have one of these functions, and what is to stand there. Nothing is made on the
        # way: some hundred thousand names would have Python collect its garbage, which takes longer than all this.
        packages = tuple({one for packages, _, _ in self._functions.values() for one in packages})
        found = []
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and module.__name__.startswith(packages):
                # vars, because looking up names of a lazy module would import what nobody asked for.
                names = vars(module)
                found += [(module, name, others[id(names[name])]) for name in list(names) if id(names[name]) in others]
        return found

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
