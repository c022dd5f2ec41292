"""How one batch flows through a model: axes by name, real shapes, masks, and where each state goes."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from sostenuto.diagnosis import count
from sostenuto.diagnosis.views import is_model, is_recurrent, kinds, layers_of, state_names, title
from sostenuto.explaining.passages import Passage, axes_after, worded
from sostenuto.explaining.patches import Patches
from sostenuto.layers.attached_mask import attached_mask

_NO_INPUTS = ("mask", "training", "initial_state")

# A batch of more rows says nothing that these don't.
ROWS = 32


class Trace(Sequence[Passage]):
    """The flow of one batch, layer by layer; prints as a table, and as a picture in a notebook.

    Attributes:
        passages: the layers in the order they ran.
        model: name of the model.
        real: which steps of the batch are real, (B, T) booleans, as the first recurrent layer saw it; None without one.
    """

    def __init__(self, passages: Sequence[Passage], model: str, real: np.ndarray | None) -> None:
        self.passages = tuple(passages)
        self.model = model
        self.real = real

    def __getitem__(self, index: Any) -> Any:
        """A passage by number, or by the end of its layer's name."""
        if isinstance(index, str):
            found = [one for one in self.passages if one.layer.endswith((f"'{index}'", index))]
            if not found:
                raise KeyError(f"no layer {index!r}; there are {', '.join(one.layer for one in self.passages)}")
            return found[0]
        return self.passages[index]

    def __len__(self) -> int:
        return len(self.passages)

    def __iter__(self) -> Iterator[Passage]:
        return iter(self.passages)

    def __str__(self) -> str:
        head = ("layer", "reads", "returns", "mask", "states")
        rows = [
            (
                one.layer,
                worded(one.reads, one.axes),
                worded(one.returns, one.axes_returned),
                one.mask + (f", {one.real} of {one.steps} steps real" if one.real is not None else ""),
                one.states,
            )
            for one in self.passages
        ]
        columns = [column for column in range(5) if column < 3 or any(row[column] not in ("", "none") for row in rows)]
        widths = {column: max(len(row[column]) for row in [head, *rows]) for column in columns}

        def line(row: Sequence[str]) -> str:
            return "  ".join(f"{row[column]:<{widths[column]}}" for column in columns).rstrip()

        return "\n".join([line(head), line(["-" * widths.get(column, 0) for column in range(5)]), *map(line, rows)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from sostenuto.explaining.html import trace_picture

        return trace_picture(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a page that needs no other file.

        Args:
            path: of the page, ``.html``.
        """
        from sostenuto.explaining.html import write_trace

        write_trace(self, path)


def trace(model: Any, x: Any) -> Trace:
    """Runs one batch through a model and says how it flows; nothing is trained, and no state of the model changes.

    Args:
        model: a Keras model or layer, or a SequenceModel.
        x: what the model reads: arrays (B, T, F), a list of them for several inputs, or for a SequenceModel
            Sequences or what makes them. Of many rows the first 32.

    Returns:
        A ``Trace``: a table when printed, a picture in a notebook, ``save("trace.html")`` for others.

    Raises:
        Exception: what the model raises on this batch; ``so.check`` explains it.

    Example:
        >>> import keras, numpy as np, sostenuto as so
        >>> layers = [keras.Input((5, 2)), keras.layers.LSTM(4, name="reader"), keras.layers.Dense(1, name="head")]
        >>> print(so.trace(keras.Sequential(layers), np.ones((3, 5, 2), "float32")))
        layer          reads                          returns             states
        -------------  -----------------------------  ------------------  ------------------
        LSTM 'reader'  (batch 3, time 5, features 2)  (batch 3, units 4)  h, c begin at zero
        Dense 'head'   (batch 3, units 4)             (batch 3, units 1)
    """
    recorder = _Recorder(model)
    patches = Patches()
    patches.method(keras.layers.Layer, "__call__", recorder.called)
    kept = [(variable, keras.ops.copy(variable.value)) for variable in states_of(model)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model(_first_rows(x), **_training(model))
    finally:
        patches.undo()
        for variable, value in kept:
            variable.assign(value)
    name = getattr(model, "name", type(model).__name__)
    return Trace(recorder.passages, name, recorder.real)


class _Recorder:
    """Writes down the calls of a model's layers."""

    def __init__(self, model: Any) -> None:
        self.passages: list[Passage] = []
        self.real: np.ndarray | None = None
        self._layers = {id(layer) for layer in layers_of(model)} or {id(model)}
        self._inside: list[str] = []
        # The tensors, so that none is freed and another gets its number.
        self._known: dict[int, tuple[Any, str, str]] = {}
        self._deep = 0

    def called(self, original: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
        watched = id(layer) in self._layers and not self._deep
        if not watched:
            named = is_model(layer) and not self._deep
            self._inside += [layer.name] if named else []
            try:
                return original(layer, *args, **kwargs)
            finally:
                if named:
                    self._inside.pop()
        given = [*args, *(value for name, value in kwargs.items() if name not in _NO_INPUTS)]
        reads = [one for one in keras.tree.flatten(given) if hasattr(one, "shape")]
        came = _mask(reads, kwargs)
        self._deep += 1
        try:
            output = original(layer, *args, **kwargs)
        finally:
            self._deep -= 1
        self._write(layer, reads, kwargs, came, output)
        return output

    def _write(self, layer: Any, reads: list[Any], kwargs: dict[str, Any], came: Any, output: Any) -> None:
        returned = [one for one in keras.tree.flatten(output) if hasattr(one, "shape")]
        states = ""
        if is_recurrent(layer):
            states = self._states(layer, kwargs, reads)
            reads = reads[:1]
        axes = tuple(self._axes(one, layer) for one in reads)
        axes_out = tuple(axes_after(layer, axes[0] if axes else "", one) for one in returned)
        for one, letters in zip(returned, axes_out, strict=True):
            self._known.setdefault(id(one), (one, letters, title(layer)))
        went = _mask(returned, {})
        real = steps = None
        if came is not None or went is not None:
            mask = _numpy(came if came is not None else went)
            if mask is not None and mask.ndim == 2:
                real, steps = int(mask.sum()), int(mask.size)
        if is_recurrent(layer) and self.real is None and reads and len(reads[0].shape) >= 3:
            mask = _numpy(came)
            self.real = mask if mask is not None else np.ones(tuple(reads[0].shape)[:2], bool)
        where = list(self._inside[1:])
        self.passages.append(
            Passage(
                " / ".join([*where, title(layer)]),
                tuple(tuple(one.shape) for one in reads),
                axes,
                tuple(tuple(one.shape) for one in returned),
                axes_out,
                _fate(layer, came, went, returned),
                real,
                steps,
                states,
                tuple(self._known[id(one)][2] if id(one) in self._known else "the inputs" for one in reads),
            )
        )

    def _axes(self, tensor: Any, layer: Any) -> str:
        known = self._known.get(id(tensor))
        if known is not None:
            return known[1]
        rank = len(tensor.shape)
        if "Embedding" in kinds(layer):
            return "BT"[:rank] if rank <= 2 else "?" * rank
        return {0: "", 1: "B", 2: "BF", 3: "BTF"}.get(rank, "B" + "?" * (rank - 2) + "F")

    def _states(self, layer: Any, kwargs: dict[str, Any], reads: list[Any]) -> str:
        short = ", ".join(_short(name) for name in state_names(layer))
        first = kwargs.get("initial_state")
        given = keras.tree.flatten(first) if first is not None else reads[1:]
        if given:
            sources = sorted({self._known[id(one)][2] for one in given if id(one) in self._known})
            words = f"{short} from {' and '.join(sources)}" if sources else f"{short} given"
        elif getattr(layer, "stateful", False):
            words = f"{short} kept from the call before"
        else:
            words = f"{short} begin at zero"
        if getattr(layer, "return_state", False):
            words += f"; {count(len(state_names(layer)), 'state')} returned"
        return words


def _short(name: str) -> str:
    # "forward hidden state h" -> "forward h"
    words = name.split()
    return " ".join([*([words[0]] if words[0] in ("forward", "backward") else []), words[-1]])


def _mask(tensors: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    given = kwargs.get("mask")
    if given is not None:
        return next((one for one in keras.tree.flatten(given) if one is not None), None)
    return next((found for one in tensors if (found := attached_mask(one)) is not None), None)


def _fate(layer: Any, came: Any, went: Any, returned: list[Any]) -> str:
    if came is None:
        return "begins here" if went is not None else "none"
    uses = is_recurrent(layer) or any("Attention" in kind for kind in kinds(layer))
    if went is not None:
        return "used, passed on" if uses else "passed on"
    if uses and not is_recurrent(layer):
        return "used"
    if is_recurrent(layer) or (returned and len(returned[0].shape) < 3):
        return "used, ends here" if getattr(layer, "supports_masking", False) else "lost here"
    return "lost here"


def _numpy(mask: Any) -> np.ndarray | None:
    return None if mask is None else np.asarray(keras.ops.convert_to_numpy(mask)).astype(bool)


def _first_rows(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return x[:ROWS]
    if isinstance(x, list | tuple) and x and all(isinstance(one, np.ndarray) for one in x):
        return [one[:ROWS] for one in x]
    if isinstance(x, dict) and all(isinstance(one, np.ndarray) for one in x.values()) and x:
        return {name: one[:ROWS] for name, one in x.items()}
    return x


def _training(model: Any) -> dict[str, Any]:
    return {"training": False} if "training" in inspect.signature(model.call).parameters else {}


def states_of(model: Any) -> list[Any]:
    """The variables in which a model's stateful layers keep their states."""
    found = []
    for layer in layers_of(model):
        if getattr(layer, "stateful", False):
            found += [one for one in keras.tree.flatten(getattr(layer, "states", None)) if hasattr(one, "assign")]
    return found
