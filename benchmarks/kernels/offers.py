"""What a framework's file offers: contenders, and what a contender is once it is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# The parts contenders play:
# peer        somebody else's work: takes an array, gives a new one
# stock       Keras's own layer or model: a peer, and what our layer of the same backend is set beside
# bound peer  one that writes into memory given beforehand: set beside ours that does, not beside "ours"
# ours        our kernel, array in and new array out; for one step, the array form of a session
# bound ours  ours into memory given beforehand: the bare step function, no ids
# layer       our layer, called as Keras's is
# dense       our kernel on a dense batch of about as many steps as the ragged one has: what ragged costs
ROLES = ("peer", "stock", "bound peer", "ours", "bound ours", "layer", "dense")


class Absent(Exception):
    """This contender is not there yet, or not on this machine; the text says why."""


@dataclass(frozen=True)
class Ready:
    """A contender that may run.

    Args:
        call: does the work once, and returns when it is done.
        answer: does the work once and returns it as ``Problem.answer`` has it.
        steps: real steps of one call where these are not the workload's.
    """

    call: Callable[[], Any]
    answer: Callable[[], dict[str, np.ndarray]]
    steps: int | None = None


@dataclass(frozen=True)
class Offer:
    """A contender by name; nothing is built until it is asked for.

    Args:
        name: unique among all frameworks.
        role: one of ``ROLES``.
        build: makes it ready; raises ``Absent``.
    """

    name: str
    role: str
    build: Callable[[], Ready]

    def __post_init__(self) -> None:
        assert self.role in ROLES, self.role
