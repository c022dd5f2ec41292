"""Which kernel runs a request, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sostenuto.kernels import cellwise, native, portable
from sostenuto.kernels.contract import Kernel, Request

# Fastest first; the last one takes everything.
KERNELS: list[Kernel] = [cast(Kernel, native), cast(Kernel, portable), cast(Kernel, cellwise)]


@dataclass(frozen=True, repr=False)
class Selection:
    """The kernel that will run a request, and the reasons of those before it.

    Prints as ``layer.explain()`` shows it.
    """

    kernel: Kernel
    declined: tuple[tuple[str, str], ...]
    request: Request

    def __str__(self) -> str:
        where = f"{self.request.backend}, {self.request.dtype}"
        if self.kernel is native:
            where += f"; {native.description(self.request)}"
        lines = [f"runs on kernel '{self.kernel.name}' ({where})"]
        lines += [f"  '{kernel}' declined: {reason}" for kernel, reason in self.declined]
        return "\n".join(lines)

    __repr__ = __str__


def select(request: Request) -> Selection:
    """The first kernel that does not decline, with every reason of those that did.

    Example:
        >>> import keras
        >>> cell = keras.layers.SimpleRNNCell(4, activation="relu")
        >>> print(select(Request(cell, backend="jax", dtype="float32")))
        runs on kernel 'portable' (jax, float32)
          'native' declined: its activation is tanh, not relu
        >>> print(select(Request(keras.layers.StackedRNNCells([cell]), backend="jax", dtype="float32")))
        runs on kernel 'cellwise' (jax, float32)
          'native' declined: StackedRNNCells has a call() of its own
          'portable' declined: StackedRNNCells has a call() of its own
    """
    declined: list[tuple[str, str]] = []
    for kernel in KERNELS:
        no = kernel.declines(request)
        if no is None:
            return Selection(kernel, tuple(declined), request)
        declined.append((kernel.name, no.reason))
    raise AssertionError("the last kernel takes everything")
