"""What only TensorFlow itself can do."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import tensorflow as tf
from keras import tree

from sostenuto.errors import ModelError
from sostenuto.kernels import native_module
from sostenuto.kernels.recurrence import CELLS, Recurrence


def growing_variable(value: Callable[[], Any], trailing_shape: tuple[int, ...], dtype: str, name: str) -> Any:
    """A tf.Variable whose first axis may change its length with every assignment.

    Args:
        value: makes the first value.
        trailing_shape: the other axes, which stay.
        dtype: dtype of the variable.
        name: name of the variable.
    """
    shape = tf.TensorShape([None, *trailing_shape])
    return tf.Variable(value, shape=shape, dtype=dtype, trainable=False, name=name)


def choose_rows(real: tf.Tensor, after: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """The rows of ``after`` (B, ...) that are ``real`` (B, 1), and those of ``before`` that are not."""
    return tf.raw_ops.Select(condition=tf.squeeze(real, 1), x=after, y=before)


def compiled_call(layer: Any) -> Callable[[Any], Any]:
    """A layer's inference as a function from NumPy arrays to NumPy arrays, traced once per shape.

    Args:
        layer: a built layer; its weights are read at every call.
    """
    run = tf.function(lambda inputs: layer(inputs, training=False), autograph=False)

    def call(inputs: Any) -> Any:
        outputs = run(tree.map_structure(tf.convert_to_tensor, inputs))
        return tree.map_structure(lambda tensor: tensor.numpy(), outputs)

    return call


# --- the native kernel --------------------------------------------------------------------------------------------
# It runs as ops of its own, which native/python/tensorflow_op.cpp registers; a graph holds them by name.


def native_reason() -> str | None:
    """Why the native kernel cannot be entered here and now, or None."""
    reason = _no_way_in()
    if reason is None and not tf.executing_eagerly() and registered_ops().in_xla(tf.compat.v1.get_default_graph()):
        return "XLA compiles this graph (jit_compile=True), and cannot call the native kernel"
    return reason


def recurrence(
    what: Recurrence,
    inputs: tf.Tensor,
    weights: Sequence[tf.Tensor | None],
    states: Sequence[tf.Tensor],
    *,
    mask: tf.Tensor | None = None,
    offsets: tf.Tensor | None = None,
    recurrent_dropout: tf.Tensor | None = None,
    input_dropout: tf.Tensor | None = None,
) -> tuple[tf.Tensor | None, list[tf.Tensor]]:
    """Runs a recurrence natively, eagerly or in a graph.

    A SavedModel made with the native kernel names its ops. TensorFlow loads it only where they are registered: after a
    call of ``native_reason()`` of this module, or of a recurrent layer. Elsewhere (TensorFlow Serving, TFLite) it says
    that "SostenutoForward" is not registered. Export with SOSTENUTO_NATIVE=0 for such places; the portable kernel is
    made of TensorFlow's own ops. A .keras file holds no graph and loads anywhere.

    XLA cannot compile the ops. ``native_reason`` says so while a graph for XLA is made, and the portable kernel takes
    its place there. But a tf.function that was traced by itself keeps its ops where a tf.function(jit_compile=True)
    calls it later, and TensorFlow refuses to compile that: give the inner function jit_compile=True too.

    Args:
        what: the kind of recurrence.
        inputs: (B, T, F), or (N, F) with offsets; float32, as all numbers.
        weights: kernel (F, G * U), recurrent kernel (U, G * U), and bias (``what.bias_shape``) or None.
        states: the first h, and c for an LSTM, (B, U) each.
        mask: (B, T) boolean, True for a real step; None where all are.
        offsets: (B + 1,) int64: row b is steps offsets[b] to offsets[b + 1] - 1 of the inputs.
        recurrent_dropout: (B, U), what h is multiplied with where it meets the recurrent kernel, or (B, G * U) that
            of each gate; it gets no gradient.
        input_dropout: (B, G * F), what the inputs are multiplied with for each gate; it gets no gradient.

    Returns:
        The outputs, (B, T, U) or (N, U), or None with ``all_outputs=False``; and the last states, (B, U) each.

    Raises:
        ShapeError: SO107, shapes that do not fit each other. Where a graph knows them only when it runs, it is
            tf.errors.InvalidArgumentError then.
        ModelError: SO609, a gradient is differentiated again; in a graph, tf.errors.UnimplementedError.
    """
    ops, (no_numbers, no_mask, no_offsets) = registered_ops(), _nothing()
    kernel, recurrent_kernel, bias = weights
    given = (
        inputs,
        kernel,
        recurrent_kernel,
        no_numbers if bias is None else bias,
        states[0],
        states[1] if len(states) == 2 else no_numbers,
        no_mask if mask is None else mask,
        no_offsets if offsets is None else offsets,
        no_numbers if recurrent_dropout is None else recurrent_dropout,
        no_numbers if input_dropout is None else input_dropout,
    )
    # Keras hands variables over as they are.
    tensors = [each if isinstance(each, tf.Tensor) else tf.convert_to_tensor(each) for each in given]
    outputs = None
    try:
        if ops.is_watched(tensors):
            outputs, h, c, _ = ops.saving(*tensors, what.number, what.reverse, what.all_outputs)
        elif what.all_outputs:
            outputs, h, c = ops.forward(*tensors, what.number, what.reverse)
        else:
            h, c = ops.last(*tensors, what.number, what.reverse)
    except tf.errors.InvalidArgumentError:
        _explain(what, inputs, weights, states, mask, offsets, recurrent_dropout, input_dropout)
        raise
    return (outputs if what.all_outputs else None), [h, c][: what.states]


def _explain(what: Recurrence, inputs: Any, weights: Any, states: Any, *others: Any) -> None:
    def shape(tensor: Any) -> Any:
        return None if tensor is None else tuple(tensor.shape)

    what.check_shapes(shape(inputs), list(map(shape, weights)), list(map(shape, states)), *map(shape, others))


# --- gradients ----------------------------------------------------------------------------------------------------
# A run under a tape saves what its gradient needs. A graph may also be differentiated from outside, after it was made
# without a tape: then the run is repeated, saving.


@tf.RegisterGradient("SostenutoForwardSaving")
def _of_saving(op: Any, d_outputs: Any, d_h: Any, d_c: Any, _: Any) -> list[Any]:
    # Where nobody can have used the outputs, TensorFlow still comes with zeros for them.
    d_outputs = d_outputs if op.get_attr("all_outputs") else None
    return _gradients(op, op.outputs[0], op.outputs[3], d_outputs, d_h, d_c)


@tf.RegisterGradient("SostenutoForward")
def _of_forward(op: Any, d_outputs: Any, d_h: Any, d_c: Any) -> list[Any]:
    outputs, _, _, saved = registered_ops().saving(*op.inputs, op.get_attr("cell"), op.get_attr("reverse"), True)
    return _gradients(op, outputs, saved, d_outputs, d_h, d_c)


@tf.RegisterGradient("SostenutoLast")
def _of_last(op: Any, d_h: Any, d_c: Any) -> list[Any]:
    return _of_forward(op, None, d_h, d_c)


def _gradients(op: Any, outputs: Any, saved: Any, *d_results: Any) -> list[Any]:
    """The gradient of each input of the op: inputs, kernel, recurrent kernel, bias, h and c; None for the others."""
    no_numbers, _, _ = _nothing()
    unneeded = getattr(op, "skip_input_indices", None) or ()  # a tape tells, the graph of a function does not
    wanted = [number for number in range(6) if number not in unneeded]
    found = registered_ops().backward(
        *op.inputs,
        outputs,
        saved,
        *(no_numbers if gradient is None else gradient for gradient in d_results),
        op.get_attr("cell"),
        op.get_attr("reverse"),
        sum(1 << number for number in wanted),
    )
    if not tf.executing_eagerly():
        for number in wanted:
            found[number].set_shape(op.inputs[number].shape)
    return [found[number] if number in wanted else None for number in range(len(op.inputs))]


@tf.RegisterGradient("SostenutoBackward")
def _of_backward(op: Any, *_: Any) -> list[Any]:
    if tf.executing_eagerly():
        raise ModelError(
            f"The gradients of the native {CELLS[op.get_attr('cell')]} cannot be differentiated again.",
            code="SO609",
            where="a tf.GradientTape that watches the gradient of another",
            got="a second derivative",
            wanted="first derivatives",
            fix="set SOSTENUTO_NATIVE=0: the portable kernel can be differentiated any number of times",
        )
    # TensorFlow differentiates the gradients of a graph without being asked, so only running the result may fail.
    return [registered_ops().refuse(tensor) if tensor.dtype == tf.float32 else None for tensor in op.inputs]


_REFUSES = "SostenutoNoSecondDerivative"
tf.no_gradient(_REFUSES)


# --- the way in ---------------------------------------------------------------------------------------------------


@cache
def _no_way_in() -> str | None:
    if native_module.load() is None:
        return native_module.why_not()
    if tf.config.list_logical_devices("GPU"):
        return "TensorFlow keeps its tensors on a GPU, not on the CPU"
    try:
        registered_ops()
    except Exception as error:  # whatever a future TensorFlow lacks, the portable kernel runs
        return f"TensorFlow {tf.__version__} does not take its ops: {error}"
    return None


@cache
def registered_ops() -> SimpleNamespace:
    """Registers the ops and makes Python functions of them.

    tf.load_op_library does the same for a library that registers its ops while it is loaded. Ours is loaded by Python,
    perhaps before there is a TensorFlow, so the step behind it is taken here: these imports are not public.
    """
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.eager import record
    from tensorflow.python.framework import _pywrap_python_op_gen, op_def_registry
    from tensorflow.python.ops import control_flow_util

    module = native_module.load()
    module.register_tensorflow(str(_framework_library()))
    _take_threads(module)
    names = ["SostenutoForward", "SostenutoLast", "SostenutoForwardSaving", "SostenutoBackward", _REFUSES]
    names += ["SostenutoCrossEntropy", "SostenutoCrossEntropyGradient"]
    definitions = op_def_pb2.OpList(op=[op_def_registry.get(name) for name in names])
    made: Any = ModuleType("sostenuto_ops")
    made._IS_TENSORFLOW_PLUGIN = True  # AutoGraph leaves it alone
    exec(_pywrap_python_op_gen.GetPythonWrappers(definitions.SerializeToString()), made.__dict__)
    return SimpleNamespace(
        forward=made.sostenuto_forward,
        last=made.sostenuto_last,
        saving=made.sostenuto_forward_saving,
        backward=made.sostenuto_backward,
        refuse=made.sostenuto_no_second_derivative,
        cross_entropy=made.sostenuto_cross_entropy,
        cross_entropy_gradient=made.sostenuto_cross_entropy_gradient,
        is_watched=record.should_record_backprop,
        in_xla=control_flow_util.GraphOrParentsInXlaContext,
    )


def _framework_library() -> Path:
    flag = next(flag for flag in tf.sysconfig.get_link_flags() if "tensorflow_framework" in flag)
    # On Linux the name of the file, on macOS the name of the library.
    name = flag.removeprefix("-l:") if flag.startswith("-l:") else f"lib{flag.removeprefix('-l')}.dylib"
    return Path(tf.sysconfig.get_lib()) / name


def _take_threads(module: Any) -> None:
    wanted = tf.config.threading.get_intra_op_parallelism_threads()
    wanted = wanted or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0)
    if wanted > 0 and not os.environ.get("SOSTENUTO_THREADS"):
        module.set_threads(wanted)


@cache
def _nothing_eager() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return tf.zeros((0,)), tf.zeros((0,), tf.bool), tf.zeros((0,), tf.int64)


def _nothing() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What stands for an input that is not given: no numbers, no mask, no offsets."""
    return _nothing_eager() if tf.executing_eagerly() else _nothing_eager.__wrapped__()
