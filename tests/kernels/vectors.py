"""Numbers that others published with their LSTMs, brought into one form; test_vectors.py uses them.

The files lie beside the repository, in ``shared/vectors``; its README says where each comes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "vectors"


@dataclass(frozen=True)
class Case:
    """One run of an LSTM in one direction, in Keras's layout.

    Attributes:
        name: the source's name for it.
        inputs: (B, T, F).
        weights: kernel (F, 4U), recurrent kernel (U, 4U), bias (4U,); gates i, f, c, o.
        atol: how exact the source is: it computed in float32, and PyTorch's test prints four digits.
        mask: (B, T).
        reverse: whether the steps run from the last to the first.
        states: initial h and c, (B, U) each.
        activations: of the gates, of the candidate, of the cell state.
        calls: how often the batch is run, each time from the states of the time before; published are the last results.
        outputs: published outputs (B, T, U) in the order of time, right at real steps.
        last: published last outputs (B, U).
        c: published final c (B, U).
    """

    name: str
    inputs: np.ndarray
    weights: list[np.ndarray]
    atol: float
    mask: np.ndarray
    reverse: bool = False
    states: list[np.ndarray] | None = None
    activations: tuple[str, str, str] = ("sigmoid", "tanh", "tanh")
    calls: int = 1
    outputs: np.ndarray | None = None
    last: np.ndarray | None = None
    c: np.ndarray | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def units(self) -> int:
        return self.weights[1].shape[0]


def keras_cases() -> Iterator[Case]:
    """Keras's own tests: every weight of a matrix alike, inputs counted up."""
    for case in _read("keras_lstm.json")["cases"]:
        inputs, units = _counted(case["input"]), case["units"]
        expected = np.array(case["expected"])
        mask = np.array(case["mask"], bool) if "mask" in case else np.ones(inputs.shape[:2], bool)
        initial = _counted(case["initial_h_and_c"]) if "initial_h_and_c" in case else None
        yield Case(
            f"keras {case['name']}",
            inputs,
            [
                np.full((inputs.shape[2], 4 * units), case["kernel"]),
                np.full((units, 4 * units), case["recurrent_kernel"]),
                np.repeat(np.array(case["bias_ifco"], float), units),
            ],
            atol=1e-6,
            mask=mask,
            reverse=case.get("go_backwards", False),
            states=None if initial is None else [initial, initial],
            calls=2 if case["name"] == "stateful_second_call" else 1,
            outputs=expected if case.get("return_sequences") else None,
            last=None if case.get("return_sequences") else expected,
        )


def onnx_cases() -> Iterator[Case]:
    """ONNX Runtime's tests, one case per direction: X is (T, B, F), gates are i, o, f, c, biases come in two parts."""
    for case in _read("onnxruntime_lstm.json")["cases"]:
        steps, rows, units = case["seq_length"], case["batch"], case["hidden_size"]
        directions = {"forward": ["forward"], "reverse": ["reverse"]}.get(case["direction"], ["forward", "reverse"])
        lengths = np.array(case["sequence_lens"] or [steps] * rows)
        y = np.array(case["Y"]).reshape(steps, len(directions), rows, units)
        if case["name"] == "ShorterSeqInMiddle":
            # Misprinted at the source, within its tolerance: Y_h and Y_c of the same step are right.
            assert y[1, 1, 0, 0] == -0.04350187
            y[1, 1, 0, 0] = -0.04356322
        for k, direction in enumerate(directions):

            def of(name: str, *shape: int, k: int = k, case: Any = case, count: int = len(directions)) -> np.ndarray:
                return np.array(case[name] or np.zeros(count * int(np.prod(shape))), float).reshape(count, *shape)[k]

            bias = of("B", 2, 4 * units).sum(axis=0)
            yield Case(
                f"onnx {case['name']}" + (f" {direction}" if len(directions) == 2 else ""),
                np.array(case["X"], float).reshape(steps, rows, case["input_size"]).swapaxes(0, 1),
                [
                    _from_iofc(of("W", 4 * units, case["input_size"])).T,
                    _from_iofc(of("R", 4 * units, units)).T,
                    _from_iofc(bias),
                ],
                atol=5e-7,
                mask=np.arange(steps) < lengths[:, None],
                reverse=direction == "reverse",
                states=[of("initial_h", rows, units), of("initial_c", rows, units)],
                activations=tuple(case["activations"]),
                outputs=y[:, k].swapaxes(0, 1),
                last=of("Y_h", rows, units),
                c=of("Y_c", rows, units),
            )


def pytorch_cases() -> Iterator[Case]:
    """PyTorch's C++ test: every parameter counted up, four digits printed; (T, B, F), gates i, f, g, o."""
    known = _read("pytorch_cpp_lstm.json")

    def parameter(*shape: int) -> np.ndarray:
        return (np.arange(np.prod(shape)) / np.prod(shape)).reshape(shape)

    yield Case(
        "pytorch CheckOutputValuesMatchPyTorch",
        ((24 - np.arange(24)) / 24).reshape(3, 4, 2).swapaxes(0, 1),
        [parameter(8, 2).T, parameter(8, 2).T, parameter(8) + parameter(8)],
        atol=6e-5,
        mask=np.ones((4, 3), bool),
        outputs=np.array(known["output"]).reshape(3, 4, 2).swapaxes(0, 1),
        last=np.array(known["h_n"]).reshape(4, 2),
        c=np.array(known["c_n"]).reshape(4, 2),
    )


def all_cases() -> list[Case]:
    """All cases; none where the files are absent."""
    return [*keras_cases(), *onnx_cases(), *pytorch_cases()] if FOLDER.is_dir() else []


def _read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def _counted(text: str) -> np.ndarray:
    """``arange(24).reshape(2,4,3)`` without running text from a file."""
    count, shape = text.removeprefix("arange(").removesuffix(")").split(").reshape(")
    return np.arange(float(count)).reshape([int(size) for size in shape.split(",")])


def _from_iofc(stacked: np.ndarray) -> np.ndarray:
    i, o, f, c = np.split(stacked, 4)
    return np.concatenate([i, f, c, o])
