"""What is run: the workloads, their numbers, and the groups in which they are shown.

Legend: B rows, T steps, F features, U units, G gates, N real steps of a batch. Numbers and lengths come from fixed
seeds; every process makes its own, and all have the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}

# Steps that a one-step contender is checked over, from states of zero.
CHECKED_STEPS = 3

# Rows and columns of the large product.
PRODUCT = 2048


@dataclass(frozen=True)
class Workload:
    """One layer over one batch.

    Args:
        name: what it is called in its group.
        cell: "lstm", "gru" or "simple_rnn"; "product" for a product of two square matrices.
        rows: B.
        steps: T.
        features: F.
        units: U.
        lengths: (B,) real steps of each row, for a ragged batch.
        wanted: the least ratio of the best peer's time to ours that the project asks for.
    """

    name: str
    cell: str
    rows: int
    steps: int
    features: int
    units: int
    lengths: tuple[int, ...] | None = None
    wanted: float | None = None

    @property
    def real_steps(self) -> int:
        """N."""
        return self.rows * self.steps if self.lengths is None else sum(self.lengths)

    def useful(self, kind: str) -> float:
        """Floating-point operations that the answer needs: products only, real steps only.

        Args:
            kind: "inference", "training", "step" or "product".
        """
        if kind == "product":
            return 2.0 * PRODUCT**3
        forward = 2.0 * GATES[self.cell] * self.units * (self.features + self.units) * self.real_steps
        return forward * (3 if kind == "training" else 1)

    @property
    def sizes(self) -> str:
        """B, T, F, U and how full a ragged batch is, for people."""
        if self.cell == "product":
            return f"{PRODUCT} x {PRODUCT}"
        text = f"{self.rows}, {self.steps}, {self.features}, {self.units}"
        return text if self.lengths is None else f"{text} ({self.real_steps / (self.rows * self.steps):.0%} real)"


class Problem:
    """The numbers of a workload.

    Args:
        workload: what to make numbers for.

    Attributes:
        x: (B, T, F) inputs; zeros at padded steps.
        d: (B, T, U) gradient of the outputs; zeros at padded steps.
        weights: kernel (F, G * U), recurrent kernel (U, G * U) and bias, in the layout of Keras.
        mask: (B, T), or None for a dense batch.
        lengths: (B,).
        offsets: (B + 1,) where each row begins among the N real steps.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        rows, steps, features, units = workload.rows, workload.steps, workload.features, workload.units
        wide = GATES[workload.cell] * units
        random = np.random.default_rng(0)
        self.lengths = np.array(workload.lengths or [steps] * rows, "int64")
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.mask = None if workload.lengths is None else np.arange(steps) < self.lengths[:, None]
        self.x = random.normal(size=(rows, steps, features)).astype("float32")
        self.d = random.normal(size=(rows, steps, units)).astype("float32")
        if self.mask is not None:
            self.x[~self.mask] = 0
            self.d[~self.mask] = 0
        bias = (2, wide) if workload.cell == "gru" else (wide,)
        self.weights = [
            random.uniform(-1, 1, shape).astype("float32") / np.float32(math.sqrt(units))
            for shape in ((features, wide), (units, wide), bias)
        ]

    def flat(self, padded: np.ndarray) -> np.ndarray:
        """The real steps, (N, ...), of something (B, T, ...)."""
        return padded.reshape(-1, *padded.shape[2:]) if self.mask is None else padded[self.mask]

    @cached_property
    def flat_x(self) -> np.ndarray:
        """The inputs of the real steps, (N, F)."""
        return np.ascontiguousarray(self.flat(self.x))

    @cached_property
    def flat_d(self) -> np.ndarray:
        """The gradient of the outputs of the real steps, (N, U)."""
        return np.ascontiguousarray(self.flat(self.d))

    def answer(self, outputs: np.ndarray, gradients: list[np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """An answer in the form in which answers are compared.

        Args:
            outputs: (B, T, U), or (N, U).
            gradients: of the inputs, (B, T, F) or (N, F), and of the weights in Keras's order and layout.
        """
        named = {"outputs": outputs}
        if gradients is not None:
            named |= zip(("d_inputs", "d_kernel", "d_recurrent_kernel", "d_bias"), gradients, strict=True)
        # Of the arrays per step, the padded ones have three axes.
        return {
            name: self.flat(value) if value.ndim == 3 and name in ("outputs", "d_inputs") else value
            for name, value in named.items()
        }


@dataclass(frozen=True)
class Group:
    """Workloads that are shown together.

    Args:
        name: as ``--only`` takes it.
        title: for people.
        kind: "inference", "training", "step" or "product".
        workloads: in the order of the table.
        wanted_mean: the least geometric mean of the ratios that the project asks for.
        wanted_layers: the least ratio of Keras's layer to ours on the same backend.
    """

    name: str
    title: str
    kind: str
    workloads: list[Workload] = field(default_factory=list)
    wanted_mean: float | None = None
    wanted_layers: float | None = None


DENSE = {
    "a": (32, 10, 3, 64),
    "b": (200, 50, 100, 64),
    "c": (32, 100, 128, 256),
    "d": (20, 35, 200, 200),
    "e": (256, 200, 16, 32),
    "f": (64, 200, 256, 512),
}


def _lengths() -> dict[str, tuple[np.ndarray, int, int]]:
    # Of the first seeds, the one that leaves the least padding in ii: 20 % of its steps are real.
    random = np.random.default_rng(7)
    return {
        "i": (random.integers(20, 61, 200), 100, 64),
        "ii": (np.clip(random.lognormal(3.5, 0.8, 256), 1, 500).astype(int), 16, 128),
        "iii": (random.integers(7, 30, 270), 12, 64),
    }


def _dense(cell: str, names: str, wanted: float | None = None) -> list[Workload]:
    return [Workload(name, cell, *DENSE[name], wanted=wanted) for name in names]


def _ragged(cell: str, wanted: dict[str, float | None]) -> list[Workload]:
    known = _lengths()
    return [
        Workload(name, cell, len(known[name][0]), int(known[name][0].max()), *known[name][1:],
                 lengths=tuple(known[name][0].tolist()), wanted=least)
        for name, least in wanted.items()
    ]  # fmt: skip


def _one_step() -> list[Workload]:
    wanted = {(1, 64): 3, (1, 256): 1.2, (32, 64): 2, (32, 256): 1.4, (1000, 64): 1.4, (1000, 256): 1.1}
    return [
        Workload(f"B{rows} U{units}", "lstm", rows, 1, 16, units, wanted=least)
        for (rows, units), least in wanted.items()
    ]


def _small(batches: tuple[int, ...], wanted: float) -> list[Workload]:
    return [Workload(f"B{rows}", "lstm", rows, 100, 16, 256, wanted=wanted) for rows in batches]


def _of_cell(cell: str) -> list[Workload]:
    return [*_dense(cell, "abce"), *_ragged(cell, {"i": None})]


PEAK = Group("peak", "Large product", "product", [Workload("sgemm", "product", 1, 1, 1, 1)])

GROUPS = [
    Group("dense-inference", "LSTM, dense, inference", "inference", _dense("lstm", "abcdef", 0.97), 1.2, 1.0),
    Group("dense-training", "LSTM, dense, training", "training", _dense("lstm", "abcdef", 1.15), 1.9, 1.5),
    Group("ragged-inference", "LSTM, ragged, inference", "inference",
          _ragged("lstm", {"i": 1.7, "ii": 5, "iii": 1.8}), wanted_layers=1.5),
    Group("ragged-training", "LSTM, ragged, training", "training",
          _ragged("lstm", {"i": 3, "ii": 12, "iii": 2.6}), wanted_layers=1.5),
    Group("gru-inference", "GRU, inference", "inference", _of_cell("gru")),
    Group("gru-training", "GRU, training", "training", _of_cell("gru")),
    Group("rnn-inference", "SimpleRNN, inference", "inference", _of_cell("simple_rnn")),
    Group("rnn-training", "SimpleRNN, training", "training", _of_cell("simple_rnn")),
    Group("small-inference", "LSTM, few rows, inference", "inference", _small((1, 4, 16), 1.05)),
    Group("small-training", "LSTM, few rows, training", "training", _small((16,), 1.2)),
    Group("step", "LSTM, one step with carried state", "step", _one_step()),
]  # fmt: skip


def find(group: str, name: str) -> tuple[str, Workload]:
    """The kind and the workload that a group's name and a workload's name stand for."""
    known = {one.name: one for one in [PEAK, *GROUPS]}[group]
    return known.kind, {one.name: one for one in known.workloads}[name]
