"""``model.summary()``: the way of a batch through the layers, with its axes by name."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import keras
from rich import box
from rich.console import Console
from rich.table import Table

from sostenuto.diagnosis import count
from sostenuto.layers import Bidirectional, Recurrent


def summary(model: Any, print_fn: Callable[[str], Any] | None = None, line_length: int | None = None, **_: Any) -> None:
    """Prints a table of layers, outputs with named axes, states and parameters.

    Args:
        model: a SequenceModel.
        print_fn: called with each line; by default the table goes to the terminal.
        line_length: width of the table.
    """
    table = Table(title=f"SequenceModel '{model.name}'", box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for heading in ("layer", "output", "states"):
        table.add_column(heading)
    table.add_column("parameters", justify="right")
    per = "step" if model.inner.built and model.output_per == "step" else "sequence"
    if model.inner.built:
        table.add_row("input", axes_of(model.inner.inputs[0].shape, model, is_input=True), "", "")
    for layer in model.inner.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        output = axes_of(layer.output.shape, model) if layer.built and _has_one_output(layer) else "not built yet"
        parameters = f"{layer.count_params():,}" if layer.built else "?"
        table.add_row(f"{layer.name} ({type(layer).__name__})", output, states_of(layer), parameters)
    if model.inner.built:
        trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        closing = f"one output per {per}; {count(model.count_params(), 'parameter')}, {trainable:,} of them trainable"
    else:
        closing = "not built yet: it learns its features from the first sequences it sees"
    if print_fn is None:
        console = Console(width=line_length or max(Console().width, 100))
        console.print(table, closing, sep="")
        return
    text = io.StringIO()
    Console(file=text, width=line_length or 100).print(table, closing, sep="")
    for line in text.getvalue().rstrip().splitlines():
        print_fn(line.rstrip())


def axes_of(shape: Any, model: Any, is_input: bool = False) -> str:
    """Words a symbolic shape: batch, time where it is the model's own time axis, then features.

    Args:
        shape: the symbolic shape.
        model: the SequenceModel, whose input tells the time axis.
        is_input: whether the shape is the input's.
    """
    steps = model.inner.inputs[0].shape[1]
    names = ["batch"]
    for position, size in enumerate(shape[1:], start=1):
        if position == 1 and size == steps and (len(shape) > 2 or is_input):
            names.append("time" if steps is None else f"time {steps}")
        else:
            names.append(f"features {size}" if position == len(shape) - 1 else f"{size}")
    return f"({', '.join(names)})"


def states_of(layer: Any) -> str:
    """Words the states of a recurrent layer."""
    if isinstance(layer, Bidirectional):
        return f"forward {states_of(layer.forward_layer)}; backward {states_of(layer.backward_layer)}"
    if not isinstance(layer, Recurrent):
        return ""
    sizes = keras.tree.flatten(layer.state_size)
    if len(set(sizes)) == 1:
        return f"{', '.join(layer.state_names)}: (batch, units {sizes[0]})"
    return ", ".join(f"{name}: (batch, units {size})" for name, size in zip(layer.state_names, sizes, strict=True))


def _has_one_output(layer: Any) -> bool:
    return hasattr(layer.output, "shape")
