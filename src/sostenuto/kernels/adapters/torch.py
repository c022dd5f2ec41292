"""What only PyTorch itself can do."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from keras import ops, tree
from keras.src.backend.torch.core import get_device
from torch.autograd import forward_ad

from sostenuto.errors import ModelError, ShapeError
from sostenuto.kernels import native_module
from sostenuto.kernels.recurrence import Recurrence


def compiled_call(layer: Any) -> Callable[[Any], Any]:
    """A layer's inference as a function from NumPy arrays to NumPy arrays; eager, without a record for gradients.

    Args:
        layer: a built layer; its weights are read at every call.
    """

    def call(inputs: Any) -> Any:
        with torch.no_grad():
            outputs = layer(tree.map_structure(ops.convert_to_tensor, inputs), training=False)
        return tree.map_structure(lambda tensor: np.array(ops.convert_to_numpy(tensor)), outputs)

    return call


# --- the native kernel ------------------------------------------------------------------------------------------------


def native_reason() -> str | None:
    """Why the native kernel cannot be entered here and now, or None.

    It takes addresses, so whoever watches or rewrites the operations of torch has to be shown ordinary ones.
    """
    if torch.compiler.is_compiling():
        return "torch.compile is tracing this call"
    if torch.jit.is_tracing():
        return "torch.jit.trace (or an ONNX export) is recording this call"
    if _torch_func_is_active():
        return "torch.func is transforming this call"
    if _dispatch_modes():
        return "a TorchDispatchMode is watching this call"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is on"
    # Keras infers shapes with tensors on 'meta', which have no memory: nothing is run for them.
    device = str(get_device()).partition(":")[0]
    return None if device in ("cpu", "meta") else f"Keras keeps its tensors on {device!r}, not on the CPU"


def recurrence(
    what: Recurrence,
    inputs: torch.Tensor,
    weights: Sequence[torch.Tensor | None],
    states: Sequence[torch.Tensor],
    *,
    mask: torch.Tensor | None = None,
    offsets: torch.Tensor | None = None,
    recurrent_dropout: torch.Tensor | None = None,
    input_dropout: torch.Tensor | None = None,
) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
    """Runs a recurrence natively, on as many threads as ``torch.get_num_threads()``.

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
        ShapeError: SO107, shapes that do not fit each other, other numbers than float32, or tensors that do not lie
            in the memory of the CPU.
        ModelError: SO609, a gradient is differentiated again.
    """
    sizes = what.check_shapes(
        inputs.shape,
        [None if weight is None else weight.shape for weight in weights],
        [state.shape for state in states],
        None if mask is None else mask.shape,
        None if offsets is None else offsets.shape,
        None if recurrent_dropout is None else recurrent_dropout.shape,
        None if input_dropout is None else input_dropout.shape,
    )
    learns, shapes_only = False, inputs.is_meta
    floats: list[Any] = [inputs, *weights, *states, *[None] * (2 - len(states))]
    for number, tensor in enumerate(floats):
        if tensor is not None:
            learns = learns or tensor.requires_grad
            floats[number] = _readable(what, tensor, torch.float32, shapes_only)
    others = (
        None if mask is None else _readable(what, mask, torch.bool, shapes_only),
        None if offsets is None else _readable(what, offsets, torch.int64, shapes_only),
        None if recurrent_dropout is None else _readable(what, recurrent_dropout, torch.float32, shapes_only),
        None if input_dropout is None else _readable(what, input_dropout, torch.float32, shapes_only),
    )
    if learns and torch.is_grad_enabled() and not shapes_only:
        outputs, *last = _Recurrence.apply(what, sizes, *others, *floats)
    else:
        outputs, *last, _ = _forward(what, sizes, *others, *floats, saving=False)
    return outputs, last[: what.states]


class _Recurrence(torch.autograd.Function):
    """The recurrence as autograd knows it; what it saves is kept by torch, which notices changes in place."""

    @staticmethod
    def forward(ctx: Any, what: Recurrence, sizes: tuple[int, int, int], *tensors: Any) -> Any:
        outputs, h, c, saved = _forward(what, sizes, *tensors, saving=True)
        ctx.what, ctx.sizes = what, sizes
        ctx.save_for_backward(*tensors, outputs, saved)
        ctx.set_materialize_grads(False)
        return outputs if what.all_outputs else None, h, c

    @staticmethod
    def backward(ctx: Any, *d_results: Any) -> Any:
        gradients = _backward(ctx.what, ctx.sizes, ctx.saved_tensors, d_results, ctx.needs_input_grad[-6:])
        if torch.is_grad_enabled():
            gradients = _Once.refuse_another(ctx.what, gradients)
        return None, None, None, None, None, None, *gradients


class _Once(torch.autograd.Function):
    """Gradients as they are, and a refusal where somebody differentiates them."""

    @staticmethod
    def refuse_another(what: Recurrence, gradients: Sequence[Any]) -> list[Any]:
        wanted = [gradient.requires_grad_() for gradient in gradients if gradient is not None]
        bound = iter(_Once.apply(what, *wanted))
        return [None if gradient is None else next(bound) for gradient in gradients]

    @staticmethod
    def forward(ctx: Any, what: Recurrence, *gradients: Any) -> Any:
        ctx.what = what
        return gradients

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise ModelError(
            f"The native {ctx.what.cell} cannot be differentiated like this.",
            code="SO609",
            where="a derivative taken by PyTorch",
            got="a second derivative: backward() or grad() through gradients that were made with create_graph=True",
            wanted="first derivatives",
            fix="set SOSTENUTO_NATIVE=0: the portable kernel can be differentiated in any way, any number of times",
        )


def _forward(
    what: Recurrence,
    sizes: tuple[int, int, int],
    mask: Any,
    offsets: Any,
    recurrent_dropout: Any,
    input_dropout: Any,
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    h: Any,
    c: Any,
    *,
    saving: bool,
) -> tuple[Any, Any, Any, Any]:
    """Outputs, last h and c, and what the backward run needs; None for what there is not."""
    shape = (*inputs.shape[:-1], what.units)
    outputs = inputs.new_empty(shape) if saving or what.all_outputs else None
    last_h, last_c = torch.empty_like(h), None if c is None else torch.empty_like(c)
    saved = kept_memory(what.saved_size(math.prod(shape[:-1]))) if saving else None
    if not inputs.is_meta:
        of_call = _addresses(offsets, mask, inputs, kernel, recurrent_kernel, bias, h, c)
        dropout = _dropout(what, recurrent_dropout, input_dropout)
        results = _addresses(outputs, last_h, last_c, saved)
        try:
            native().forward(what.number, *sizes, what.units, what.reverse, *of_call, *dropout, *results)
        except ValueError as error:
            raise ShapeError(
                f"The native {what.cell} cannot run this call.",
                code="SO107",
                where="a call of the native kernel",
                got=str(error),
                wanted="offsets that rise from 0 to the number of steps, and tensors in the memory of the CPU",
                fix="pass the offsets of the rows, or tensors that hold numbers",
            ) from None
    return outputs, last_h, last_c, saved


def _backward(
    what: Recurrence, sizes: tuple[int, int, int], kept: Sequence[Any], d_results: Sequence[Any], wanted: Sequence[bool]
) -> list[Any]:
    """The gradients of inputs, kernel, recurrent kernel, bias, h and c, each where it is wanted, else None."""
    mask, offsets, recurrent_dropout, input_dropout, *floats, outputs, saved = kept
    of_call = _addresses(offsets, mask, *floats)
    dropout = _dropout(what, recurrent_dropout, input_dropout)
    d_results = [None if gradient is None else gradient.contiguous() for gradient in d_results]
    gradients = [torch.empty_like(tensor) if asked else None for tensor, asked in zip(floats, wanted, strict=True)]
    results = _addresses(outputs, saved, *d_results, *gradients)
    native().backward(what.number, *sizes, what.units, what.reverse, *of_call, *dropout, *results)
    return gradients


def _dropout(what: Recurrence, recurrent: Any, inputs: Any) -> tuple[int, int, bool]:
    by_gate = inputs is not None or (recurrent is not None and recurrent.shape[1] != what.units)
    return *_addresses(recurrent, inputs), by_gate  # type: ignore[return-value]


# In floats: below, torch's own memory is as good, and had sooner.
_LARGE = 2**18


def kept_memory(size: int) -> Any:
    """Memory (size,) of float32 that comes back for another tensor when its own is gone."""
    return native().kept_tensor(size) if size >= _LARGE else torch.empty(size, dtype=torch.float32, device="cpu")


def _addresses(*tensors: Any) -> list[int]:
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


def _readable(what: Recurrence, tensor: Any, dtype: torch.dtype, shapes_only: bool) -> Any:
    if tensor.dtype is dtype and (tensor.is_meta if shapes_only else tensor.is_cpu):
        return tensor.contiguous()
    raise ShapeError(
        f"The native {what.cell} cannot read this tensor.",
        code="SO107",
        where="a call of the native kernel",
        got=f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)} on {str(tensor.device)!r}",
        wanted=f"{str(dtype).removeprefix('torch.')} on {'meta' if shapes_only else 'cpu'!r}",
        fix="convert it with tensor.to(...)",
    )


@functools.cache
def _module() -> Any:
    module = native_module.load()
    # Threads of its own beside torch's, which spin while they idle, cost training 1.4 to 2.4 times the time.
    module.use_openmp(True)
    return module


_threads = 0


def native() -> Any:
    """The native module, with as many threads as torch has now, where SOSTENUTO_THREADS does not say how many."""
    global _threads
    module, wanted = _module(), torch.get_num_threads()
    if wanted != _threads:
        _threads = wanted
        if not os.environ.get("SOSTENUTO_THREADS"):
            module.set_threads(wanted)
    return module


def _private(name: str, otherwise: Any) -> Callable[[], Any]:
    # Asked at every call; a torch without it is taken for one without the feature.
    return getattr(torch._C, name, lambda: otherwise)


_torch_func_is_active = _private("_are_functorch_transforms_active", False)
_dispatch_modes = _private("_len_torch_dispatch_stack", 0)
