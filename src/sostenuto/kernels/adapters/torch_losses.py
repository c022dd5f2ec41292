"""PyTorch: the cross-entropy of many classes with a third of the passes through memory."""

from __future__ import annotations

from typing import Any

import torch

from sostenuto.kernels import native_module
from sostenuto.kernels.adapters.torch import kept_memory, native, native_reason


def cross_entropy(logits: Any, classes: Any) -> Any | None:
    """The cross-entropy of each row, as ``torch.nn.functional.cross_entropy(..., reduction="none")`` has it.

    For 10,000 classes that one takes as long as the layer's products: it fills, reads and writes arrays of the logits'
    size ten times, this one reads them twice and writes one.

    Args:
        logits: (B, V) float32, on a CPU.
        classes: (B,) whole numbers, of any dtype.

    Returns:
        (B,); None where PyTorch's own function has to do it, as for class -100, which it leaves out, and for classes
        that there are not.
    """
    plain = logits.ndim == 2 and logits.dtype is torch.float32 and logits.is_cpu and classes.is_cpu
    if not plain or classes.shape != logits.shape[:1] or not logits.numel():
        return None
    if torch.compiler.is_compiling() or native_module.load() is None or native_reason() is not None:
        return None
    logits, classes = logits.contiguous(), classes.long().contiguous()
    # Two more floats for each row are what the gradient needs.
    results = logits.new_empty(3 * len(classes)).split([len(classes), 2 * len(classes)])
    addresses = [tensor.data_ptr() for tensor in (logits, classes, *results)]
    found = native().cross_entropy(*logits.shape, *addresses)
    return _CrossEntropy.apply(logits, classes, *results) if found else None


class _CrossEntropy(torch.autograd.Function):
    """Losses that are there already, and their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Any, classes: Any, losses: Any, kept: Any) -> Any:
        ctx.save_for_backward(logits, classes, kept)
        return losses.clone()

    @staticmethod
    def backward(ctx: Any, d_losses: Any) -> Any:
        logits, classes, kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody will differentiate this once more
            ones = torch.nn.functional.one_hot(classes, logits.shape[1])
            return (torch.softmax(logits, 1) - ones) * d_losses[:, None], None, None, None
        d_losses = d_losses.contiguous()
        d_logits = kept_memory(logits.numel()).view(logits.shape)
        addresses = [tensor.data_ptr() for tensor in (logits, classes, kept, d_losses, d_logits)]
        native().cross_entropy_gradient(*logits.shape, *addresses)
        return d_logits, None, None, None
