"""What a check compared, in one line for each side: inputs, lengths, mask, output, targets, loss, states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sostenuto.diagnosis import axes, count, shape_of
from sostenuto.diagnosis.views import is_recurrent, layers_of, recurrent_layers, stateful_layers, title
from sostenuto.explaining.flow import Flow


def looked_at(model: Any, x: Any, y: Any, options: Mapping[str, Any], flow: Flow) -> dict[str, str]:
    """Words what was compared.

    Args:
        model: a Keras model that ran on a few rows, or tried to.
        x: its inputs, as for ``fit``.
        y: the targets, or None.
        options: other arguments of ``fit``.
        flow: what was seen while it ran.
    """
    lines: dict[str, Any] = {"inputs": _inputs(x)}
    if (lengths := _lengths(x)) is not None and len(lengths):
        lines["lengths"] = f"{lengths.min()} to {lengths.max()} steps, {count(len(lengths), 'sequence')}"
    if recurrent_layers(model):
        lines["mask"] = _mask(model, flow)
    if (output := _output(model)) is not None:
        lines["output"] = output
    if y is not None:
        lines["targets"] = shape_of(y)
    if (loss := getattr(model, "loss", None)) is not None:
        lines["loss"] = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    if recurrent_layers(model):
        lines["states"] = _states(model, options)
    return {name: line for name, line in lines.items() if line}


def _inputs(x: Any) -> str:
    if isinstance(x, dict) and all(hasattr(one, "shape") for one in x.values()) and len(x) <= 5:
        return ", ".join(f"{name} {_one(value)}" for name, value in x.items())
    if isinstance(x, list | tuple) and len(x) <= 5 and all(hasattr(one, "shape") for one in x):
        return ", ".join(map(_one, x))
    return str(x) if type(x).__module__.startswith("sostenuto") else _one(x)


def _one(x: Any) -> str:
    shape = getattr(x, "shape", None)
    if shape is None or len(shape) != 3:
        return shape_of(x)
    return f"{axes(tuple(shape), 'BTF')} {shape_of(x).rpartition(' ')[2]}"


def _lengths(x: Any) -> np.ndarray | None:
    lengths = getattr(x, "lengths", None)
    if lengths is None and isinstance(x, dict) and all(hasattr(one, "shape") for one in x.values()):
        return None
    return np.asarray(lengths) if isinstance(lengths, np.ndarray) else None


def _mask(model: Any, flow: Flow) -> str:
    if type(model).__module__.startswith("sostenuto"):
        return "made from the lengths: padding is never read"
    names = {title(layer) for layer in recurrent_layers(model)}
    used = [one.layer for one in flow.passages if one.layer in names and one.mask != "none"]
    return f"read by {', '.join(used)}" if used else "none: every step is read"


def _output(model: Any) -> str | None:
    # A subclass with a call of its own does not know.
    try:
        shape = model.output_shape
    except Exception:
        return None
    if (
        not isinstance(shape, tuple)
        or len(shape) not in (2, 3)
        or not all(isinstance(one, int | None) for one in shape)
    ):
        return None
    last = next((layer for layer in reversed(list(layers_of(model)))), None)
    words = axes(shape, "BU" if len(shape) == 2 else "BTU")
    per = "one per sequence" if len(shape) == 2 else "one per step"
    return f"{words}: {per}" if last is not None else words


def _states(model: Any, options: Mapping[str, Any]) -> str:
    if options.get("chunk"):
        return f"carried by id over chunks of {count(options['chunk'], 'step')}"
    stateful = [title(layer) for layer in stateful_layers(model) if is_recurrent(layer)]
    if stateful:
        return f"carried by {', '.join(stateful)} from row to row of the next batch, until reset_state()"
    return "begin at zero for every sequence"
