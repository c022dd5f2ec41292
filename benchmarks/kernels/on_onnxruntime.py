"""ONNX Runtime: its LSTM, GRU and RNN, inference only; and NumPy's product, which needs a quiet process too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from offers import Absent, Offer, Ready
from workloads import CHECKED_STEPS, GATES, PRODUCT, Problem, Workload

OPERATORS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}

# Keras's gates in the order of ONNX: i, o, f, c and z, r, h.
ORDER = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2), "simple_rnn": (0,)}


def offers(kind: str, workload: Workload) -> Iterator[Offer]:
    """The contenders of this process."""
    if kind == "product":
        yield Offer("NumPy", "peer", _product)
    elif kind == "step":
        yield Offer("ONNX Runtime", "peer", lambda: _one_step(Problem(workload), bound=False))
        yield Offer("ONNX Runtime, bound", "bound peer", lambda: _one_step(Problem(workload), bound=True))
    elif kind == "inference":
        yield Offer("ONNX Runtime", "peer", lambda: _whole(Problem(workload), bound=False))
        yield Offer("ONNX Runtime, bound", "bound peer", lambda: _whole(Problem(workload), bound=True))


def _session(problem: Problem, inputs: dict[str, int], outputs: list[str]) -> Any:
    # inputs: the names of the operator's inputs beside weights, and their type; outputs: in its order, "" for unwanted.
    try:
        import onnx
        import onnxruntime
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise Absent(f"{error.name} is not installed") from error

    workload = problem.workload
    kernel, recurrent_kernel, bias = (_ordered(array, workload.cell) for array in problem.weights)
    biases = bias if workload.cell == "gru" else np.stack([bias, np.zeros_like(bias)])
    weights = {"W": kernel.T[None], "R": recurrent_kernel.T[None], "B": biases.reshape(1, -1)}
    fourth = "sequence_lens" if "sequence_lens" in inputs else ""
    states = [name for name in inputs if name.startswith("initial")]
    options: dict[str, Any] = {"linear_before_reset": 1} if workload.cell == "gru" else {}
    node = helper.make_node(
        OPERATORS[workload.cell],
        ["X", "W", "R", "B", fourth, *states],
        outputs,
        hidden_size=workload.units,
        **options,
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs if name],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    threads = onnxruntime.SessionOptions()
    threads.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    threads.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), threads, providers=["CPUExecutionProvider"])


def _ordered(array: np.ndarray, cell: str) -> np.ndarray:
    gates = np.split(array, GATES[cell], axis=-1)
    return np.concatenate([gates[gate] for gate in ORDER[cell]], axis=-1)


def _whole(problem: Problem, bound: bool) -> Ready:
    workload = problem.workload
    inputs = {"X": 1}
    # Its operators read time first; the inputs are given so, and nothing is turned round while the clock runs.
    given = {"X": np.ascontiguousarray(problem.x.swapaxes(0, 1))}
    if workload.lengths is not None:
        inputs["sequence_lens"] = 6
        given["sequence_lens"] = problem.lengths.astype("int32")
    session = _session(problem, inputs, ["Y"])
    outputs = np.zeros((workload.steps, 1, workload.rows, workload.units), "float32")
    binding = _binding(session, given, {"Y": outputs})

    def call() -> np.ndarray:
        if not bound:
            return session.run(["Y"], given)[0]
        session.run_with_iobinding(binding)
        return outputs

    return Ready(call, lambda: problem.answer(call()[:, 0].swapaxes(0, 1).copy()), workload.real_steps)


def _binding(session: Any, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> Any:
    # The arrays have to outlive it.
    binding = session.io_binding()
    for bind, arrays in ((binding.bind_input, inputs), (binding.bind_output, outputs)):
        for name, array in arrays.items():
            bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    return binding


def _one_step(problem: Problem, bound: bool) -> Ready:
    session = _session(problem, {"X": 1, "initial_h": 1, "initial_c": 1}, ["", "Y_h", "Y_c"])
    shape = (1, problem.workload.rows, problem.workload.units)
    sides = [[np.zeros(shape, "float32") for _ in "hc"] for _ in "ab"]
    x = np.ascontiguousarray(problem.x.swapaxes(0, 1))
    # There and back, so that no state is ever copied.
    bindings = [
        _binding(session, {"X": x, "initial_h": old[0], "initial_c": old[1]}, {"Y_h": new[0], "Y_c": new[1]})
        for old, new in (sides, sides[::-1])
    ]
    states = sides[0]
    turn = 0

    def call() -> np.ndarray:
        nonlocal states, turn
        if bound:
            session.run_with_iobinding(bindings[turn])
            turn = 1 - turn
            return sides[turn][0]
        states = session.run(["Y_h", "Y_c"], {"X": x, "initial_h": states[0], "initial_c": states[1]})
        return states[0]

    def answer() -> dict[str, np.ndarray]:
        nonlocal states
        states = [np.zeros(shape, "float32") for _ in "hc"]
        for state in (*sides[0], *sides[1]):
            state[:] = 0
        return {"outputs": np.stack([call()[0].copy() for _ in range(CHECKED_STEPS)])}

    return Ready(call, answer)


def _product() -> Ready:
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(PRODUCT, PRODUCT)).astype("float32") for _ in range(2))
    return Ready(lambda: a @ b, lambda: {"outputs": (a @ b)[:64]})
