"""What only PyTorch itself can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops, tree


def compiled_call(layer: Any) -> Callable[[Any], Any]:
    """A layer's inference as a function from NumPy arrays to NumPy arrays; eager, without a record for gradients.

    Args:
        layer: a built layer; its weights are read at every call.
    """
    import torch

    def call(inputs: Any) -> Any:
        with torch.no_grad():
            outputs = layer(tree.map_structure(ops.convert_to_tensor, inputs), training=False)
        return tree.map_structure(lambda tensor: np.array(ops.convert_to_numpy(tensor)), outputs)

    return call
