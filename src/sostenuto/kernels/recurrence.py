"""What the native kernels of all backends are asked, in one hashable form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sostenuto.errors import ShapeError
from sostenuto.kernels import native_module

# A cell's place is its number in native/include/sostenuto/recurrence.h.
CELLS = ("lstm", "gru_reset_after", "gru_reset_before", "simple_rnn")

_GATES = {"lstm": 4, "gru_reset_after": 3, "gru_reset_before": 3, "simple_rnn": 1}

Shape = Sequence[int]


@dataclass(frozen=True)
class Recurrence:
    """Which recurrence a native kernel runs: hashable, so that it may be a static argument of compiled functions.

    Attributes:
        cell: one of ``CELLS``.
        units: U.
        reverse: run every row from its last real step to its first; outputs stay at the place of their step.
        all_outputs: whether the caller needs the output of every step; False: the last states only.

    Example:
        >>> lstm = Recurrence("lstm", units=8)
        >>> lstm.number, lstm.gates, lstm.states, lstm.bias_shape
        (0, 4, 2, (32,))
    """

    cell: str
    units: int
    reverse: bool = False
    all_outputs: bool = True

    @property
    def number(self) -> int:
        """The cell's number in C++."""
        return CELLS.index(self.cell)

    @property
    def gates(self) -> int:
        """G: the kernel is (F, G * U), the recurrent kernel (U, G * U)."""
        return _GATES[self.cell]

    @property
    def states(self) -> int:
        """The number of states: 2 (h, c) for an LSTM, else 1 (h)."""
        return 2 if self.cell == "lstm" else 1

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias: (G * U,), and (2, G * U) for a GRU with the reset gate after the product."""
        size = self.gates * self.units
        return (2, size) if self.cell == "gru_reset_after" else (size,)

    def saved_size(self, steps_in_memory: int) -> int:
        """How many floats the forward run saves for the backward run.

        Args:
            steps_in_memory: N, which is B * T for a padded batch and the sum of the lengths for flat values.
        """
        module = native_module.load()
        assert module is not None  # nobody asks where the kernel declined
        return int(module.saved_size(self.number, steps_in_memory, self.units))

    def check_shapes(
        self,
        inputs: Shape,
        weights: Sequence[Shape | None],
        states: Sequence[Shape],
        mask: Shape | None = None,
        offsets: Shape | None = None,
        recurrent_dropout: Shape | None = None,
        input_dropout: Shape | None = None,
    ) -> tuple[int, int, int]:
        """Looks at the shapes of a call before the native kernel sees the memory behind them.

        Args:
            inputs: (B, T, F), or (N, F) with offsets.
            weights: of kernel, recurrent kernel and bias; None for no bias.
            states: (B, U) each.
            mask: (B, T), of a padded batch only; None for none, as with the next two.
            offsets: (B + 1,).
            recurrent_dropout: (B, U), or (B, G * U) where gates have dropout of their own.
            input_dropout: (B, G * F), only where gates have dropout of their own.

        Returns:
            B; T, or N with offsets; and F.

        Raises:
            ShapeError: SO107, a shape that does not fit the others.

        Example:
            >>> Recurrence("simple_rnn", units=2).check_shapes((5, 9, 3), [(3, 2), (2, 2), None], [(5, 2)])
            (5, 9, 3)
        """
        if len(inputs) == 3 and offsets is None:
            rows, steps, features = inputs
        elif len(inputs) == 2 and offsets is not None and len(offsets) == 1:
            rows, (steps, features) = offsets[0] - 1, inputs
        else:
            rows = steps = features = -1
        size, state, bias = self.gates * self.units, (rows, self.units), weights[2]
        # Dropout of the inputs comes by gate only, and then so does that of the states.
        of_dropout = ((rows, size),) if input_dropout is not None else (state, (rows, size))
        if (
            rows < 0
            or tuple(weights[0] or ()) != (features, size)
            or tuple(weights[1] or ()) != (self.units, size)
            or (bias is not None and tuple(bias) != self.bias_shape)
            or len(states) != self.states
            or any(tuple(each) != state for each in states)
            or (mask is not None and (offsets is not None or tuple(mask) != (rows, steps)))
            or (recurrent_dropout is not None and tuple(recurrent_dropout) not in of_dropout)
            or (input_dropout is not None and tuple(input_dropout) != (rows, self.gates * features))
        ):
            others = {"mask": mask, "offsets": offsets, "dropout": recurrent_dropout, "input dropout": input_dropout}
            raise self._misfit(inputs, *weights, *states, **others)
        return rows, steps, features

    def _misfit(self, *shapes: Shape | None, **named: Shape | None) -> ShapeError:
        listed = ("inputs", "kernel", "recurrent_kernel", "bias", *"hc"[: self.states], *["one more"] * len(shapes))
        got = [*zip(listed, shapes, strict=False), *named.items()]
        units, size = self.units, self.gates * self.units
        batch = "inputs (B, T, F), mask (B, T)" if named["offsets"] is None else "inputs (N, F), offsets (B + 1,)"
        return ShapeError(
            f"The native {self.cell} of {units} units cannot run arrays of these shapes.",
            code="SO107",
            where="a call of the native kernel",
            got=", ".join(f"{name} {tuple(shape)}" for name, shape in got if shape is not None),
            wanted=f"{batch}, kernel (F, {size}), recurrent_kernel ({units}, {size}), bias {self.bias_shape}, "
            f"{' and '.join('hc'[: self.states])} (B, {units}), dropout (B, {units}) or (B, {size}), "
            f"input dropout (B, {self.gates} * F)",
            fix="pass arrays that agree on rows, steps, features and units",
        )
