"""What a kernel is asked, and what it may answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sostenuto.kernels.recurrence import Recurrence


@dataclass(frozen=True)
class Request:
    """One kind of work: everything a kernel needs to know before it accepts.

    Attributes:
        cell: the cell object that holds weights and settings.
        backend: "tensorflow", "jax" or "torch".
        dtype: name of the dtype of the sums.
        masked: whether a mask comes with the batch.
        training: whether dropout is active.
        unroll: whether the user asked for an unrolled loop.
        reverse: run from the last step to the first.
    """

    cell: Any
    backend: str
    dtype: str
    masked: bool = False
    training: bool = False
    unroll: bool = False
    reverse: bool = False


@dataclass(frozen=True)
class Declined:
    """A kernel's no, with the reason that people read."""

    reason: str


class Result(NamedTuple):
    """What a kernel returns.

    Attributes:
        outputs: (B, T, U), each at its step, or None where only the last was asked for. A masked step repeats the
            output before it in the order of the run.
        last: (B, U), the output of the last real step of the run; for a row without any, the output its first
            states stand for, or zeros where they tell none.
        states: final states in the structure of the initial ones, (B, U) each.
    """

    outputs: Any
    last: Any
    states: list[Any]


class Kernel(Protocol):
    """Runs a cell over a padded batch."""

    name: str

    def declines(self, request: Request) -> Declined | None:
        """None if this kernel can do the work, else why not. It raises nothing and computes nothing."""

    def run(self, request: Request, sequences: Any, states: list[Any], mask: Any, *, all_outputs: bool) -> Result:
        """Runs the cell over ``sequences`` (B, T, F); ``mask`` (B, T) is boolean or None.

        Whatever stands at masked steps, NaN too, may reach neither the result nor a gradient.
        """


class Adapter(Protocol):
    """What each file of ``kernels/adapters`` offers: the native module in terms of one backend."""

    def native_reason(self) -> str | None:
        """Why the native kernel cannot be entered here and now, for instance while a graph is compiled, or None."""

    def recurrence(
        self,
        what: Recurrence,
        inputs: Any,
        weights: Sequence[Any],
        states: Sequence[Any],
        *,
        mask: Any = None,
        offsets: Any = None,
        recurrent_dropout: Any = None,
        input_dropout: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Runs a recurrence; all numbers are float32, gradients reach inputs, weights and states.

        Args:
            what: the kind of recurrence.
            inputs: (B, T, F), or (N, F) with offsets.
            weights: kernel (F, G * U), recurrent kernel (U, G * U), and bias (``what.bias_shape``) or None.
            states: the first h, and c for an LSTM, (B, U) each.
            mask: (B, T) boolean, True for a real step; None where all are.
            offsets: (B + 1,) int64: row b is steps offsets[b] to offsets[b + 1] - 1 of the inputs.
            recurrent_dropout: (B, U), what the state is multiplied with where it meets the recurrent kernel, or
                (B, G * U), for each gate.
            input_dropout: (B, G * F), what the inputs are multiplied with for each gate.

        Returns:
            The outputs, (B, T, U) or (N, U), or None with ``all_outputs=False``; and the last states, (B, U) each.
        """
