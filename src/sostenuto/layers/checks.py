"""What a recurrent layer can be given, checked before any backend sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import tree

from sostenuto.diagnosis import axes, count, shape_of
from sostenuto.errors import ModelError, ShapeError, StateError

CALL = "the layer's first argument (batch -> layer)"


def title(layer: Any) -> str:
    """A layer's class and name, for the first line of an error.

    Example:
        >>> import keras
        >>> title(keras.layers.LSTM(4, name="encoder"))
        "LSTM 'encoder'"
    """
    return f"{type(layer).__name__} '{layer.name}'"


def check_sequences(layer: Any, sequences: Any, *, exact_rank: bool, kernel: Any) -> None:
    """Refuses anything but one tensor of numbers (B, T, F) with the features that the layer was built for.

    Args:
        layer: the layer that is called.
        sequences: what it is called with.
        exact_rank: False for RNN over a cell of one's own, whose steps may have several axes.
        kernel: the built input kernel (F, ...), or None.

    Raises:
        ShapeError: SO101 to SO104.
    """
    if isinstance(sequences, list | tuple):
        raise _not_one_tensor(layer, sequences)
    shape = getattr(sequences, "shape", None)
    dtype = str(getattr(sequences, "dtype", "float"))
    if shape is None or not any(kind in dtype for kind in ("float", "int", "bool")):
        raise ShapeError(
            f"{title(layer)} cannot read this batch.",
            code="SO104",
            where=CALL,
            got=shape_of(sequences),
            wanted="numbers in one tensor (batch, time, features)",
            fix="turn text into token ids and put an Embedding first; pad ragged data with\n"
            "so.Sequences.from_list(data).to_padded(), or hand it to so.SequenceModel as it is",
        )
    shape = tuple(shape)
    if len(shape) != 3 and (exact_rank or len(shape) < 3):
        raise _wrong_rank(layer, shape, shape_of(sequences))
    if shape[-1] is None:
        raise _unknown_features(layer, shape_of(sequences), kernel)
    if kernel is not None and len(shape) == 3 and shape[-1] != kernel.shape[0]:
        raise _wrong_features(layer, shape, shape_of(sequences), int(kernel.shape[0]), tuple(kernel.shape))


def _not_one_tensor(layer: Any, sequences: Any) -> ShapeError:
    lengths = {len(item) for item in sequences if hasattr(item, "__len__")}
    if len(lengths) > 1:
        got = f"a {type(sequences).__name__} of {len(sequences)} sequences, {min(lengths)} to {max(lengths)} steps long"
        fix = "hand the list to so.SequenceModel as it is, or pad it:\n"
        fix += "padded = so.Sequences.from_list(data).to_padded(); layer(padded.values, mask=padded.mask)"
    else:
        got = f"a {shape_of(sequences)}"
        fix = "make one tensor of it: numpy.stack(data)"
    return ShapeError(
        f"{title(layer)} cannot read this batch.",
        code="SO101",
        where=CALL,
        got=got,
        wanted="one tensor (batch, time, features)",
        fix=fix,
    )


def _wrong_rank(layer: Any, shape: tuple[int | None, ...], got: str) -> ShapeError:
    if len(shape) == 2:
        fix = "one sequence alone: x[None]; one number per step: x[..., None]; an LSTM before this one:\n"
        fix += "give that one return_sequences=True"
    elif len(shape) == 1:
        fix = "one series of numbers: x[None, :, None]"
    elif not shape:
        fix = "pass whole sequences, not a single number"
    else:
        fix = "flatten the axes behind time into features: x.reshape(batch, time, -1),\n"
        fix += "or put a keras.layers.TimeDistributed layer that does so in front"
    return ShapeError(
        f"{title(layer)} cannot read this batch.",
        code="SO101",
        where=CALL,
        got=f"{count(len(shape), 'axis', 'axes')}: {got}",
        wanted="3 axes: (batch, time, features)",
        fix=fix,
    )


def _unknown_features(layer: Any, got: str, kernel: Any) -> ShapeError:
    wanted = "a number of features that is known when the model is built"
    fix = "declare it: keras.Input((None, features))"
    if kernel is not None:
        # TensorFlow traces a function anew with unknown lengths when two calls differ in them.
        wanted = f"{count(int(kernel.shape[0]), 'feature')} per step   kernel {tuple(kernel.shape)}"
        fix = "pass these features in every batch; a tf.data.Dataset that does not know its shapes must declare them"
    return ShapeError(
        f"{title(layer)} cannot {'be built' if kernel is None else 'read this batch'}.",
        code="SO103",
        where=CALL,
        got=f"an unknown number of features   {got}",
        wanted=wanted,
        fix=fix,
    )


def _wrong_features(
    layer: Any, shape: tuple[int | None, ...], got: str, features: int, kernel: tuple[int, ...]
) -> ShapeError:
    swapped = shape[1] == features
    if swapped:
        fix = "swap the axes: x.swapaxes(1, 2), or read the data with layout='channels_first'"
    else:
        fix = f"pass {count(features, 'feature')} per step, or build a new model for {shape[-1]}"
    return ShapeError(
        f"{title(layer)} cannot read this batch" + (": time and features look swapped." if swapped else "."),
        code="SO102" if swapped else "SO103",
        where=CALL,
        got=f"{count(shape[-1] or 0, 'feature')} per step   {got}",
        wanted=f"{count(features, 'feature')} per step   kernel {kernel}",
        fix=fix,
    )


def check_mask(layer: Any, mask: Any, sequences: Any) -> None:
    """Refuses a mask that is not one tensor (B, T), or (B, T, 1).

    Raises:
        ShapeError: SO105.
    """
    shape, wanted = tuple(getattr(mask, "shape", ())), tuple(sequences.shape[:2])
    shape = shape[:2] if shape[2:] == (1,) else shape
    fits = len(shape) == 2 and all(a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True))
    if not fits:
        raise ShapeError(
            f"{title(layer)} cannot use this mask.",
            code="SO105",
            where="argument 'mask' (batch -> layer)",
            got=shape_of(mask),
            wanted=f"{axes(wanted, 'BT')}, True for a real step",
            fix="one array with one True or False per row and step; so.Sequences.to_padded() returns a mask that fits",
        )


def check_declared_rows(layer: Any, sequences: Any, declared: int | None) -> None:
    """Refuses another batch size than the one that a stateful model's Input declares.

    Raises:
        ShapeError: SO106.
    """
    rows = sequences.shape[0]
    if declared is None or rows is None or rows == declared:
        return
    raise ShapeError(
        f"{title(layer)} was declared for another batch size.",
        code="SO106",
        where=CALL,
        got=f"{count(rows, 'row')}   {shape_of(sequences)}",
        wanted=f"{count(declared, 'row')}, the batch size in the model's keras.Input",
        fix="leave the batch size out: keras.Input((None, features)); the layer then takes any",
    )


def check_lengths(layer: Any, lengths: Any, sequences: Any, mask: Any = None) -> None:
    """Refuses lengths beside a mask, that are not (B,), or that lie outside 0 .. T as far as their values are known.

    Raises:
        ShapeError: SO105.
    """
    rows, steps = sequences.shape[0], sequences.shape[1]
    shape = tuple(getattr(lengths, "shape", np.shape(lengths)))
    problem = ""
    if mask is not None:
        problem = "lengths and a mask"
    elif len(shape) != 1 or (rows is not None and shape[0] is not None and shape[0] != rows):
        problem = f"shape {shape}"
    elif "int" not in str(getattr(lengths, "dtype", np.asarray(lengths).dtype if shape[0] else "int")):
        problem = shape_of(lengths if hasattr(lengths, "dtype") else np.asarray(lengths))
    elif isinstance(lengths, np.ndarray | list | tuple) and shape[0]:
        known = np.asarray(lengths)
        if known.min() < 0 or (steps is not None and known.max() > steps):
            problem = f"lengths from {known.min()} to {known.max()}"
    if problem:
        raise ShapeError(
            f"{title(layer)} cannot use these lengths.",
            code="SO105",
            where="argument 'lengths' (batch -> layer)",
            got=problem,
            wanted=f"one whole number per row, shape ({'?' if rows is None else rows},), "
            f"each from 0 to {'the number of steps' if steps is None else steps}",
            fix="so.Sequences.to_padded() returns lengths that fit",
        )


def check_initial_state(
    layer: Any,
    initial_state: Any,
    state_size: Any,
    names: list[str],
    rows: int | None,
    argument: str = "initial_state",
) -> Any:
    """Brings initial states into the structure of ``state_size`` and refuses what does not fit it.

    Args:
        layer: the layer that is called.
        initial_state: one state, a list in the order of ``names`` (nested like ``state_size``), or a dict by name.
        state_size: list of the sizes of the states, nested for stacked cells.
        names: the names of the flat states.
        rows: B, or None where it is not known yet.
        argument: what the caller calls the states.

    Returns:
        The states as a list nested like ``state_size``.

    Raises:
        StateError: SO301 for a wrong number or name, SO302 for a wrong shape.
    """
    sizes = tree.flatten(state_size)
    if isinstance(initial_state, dict):
        if set(initial_state) != set(names):
            raise _wrong_states(layer, f"the names {sorted(map(str, initial_state))}", names, sizes, rows, argument)
        flat = [initial_state[name] for name in names]
    else:
        flat = tree.flatten(initial_state)
    if len(flat) != len(sizes):
        raise _wrong_states(layer, count(len(flat), "state"), names, sizes, rows, argument)
    shapes = [tuple(getattr(state, "shape", np.shape(state))) for state in flat]
    for position, (shape, size) in enumerate(zip(shapes, sizes, strict=True)):
        if len(shape) != 2 or shape[1] not in (size, None) or _differ(shape[0], rows):
            raise _wrong_state_shape(layer, names, position, shapes, sizes, rows, argument)
    return tree.pack_sequence_as(state_size, flat)


def _differ(size: int | None, wanted: int | None) -> bool:
    return size is not None and wanted is not None and size != wanted


def _wrong_states(
    layer: Any, got: str, names: list[str], sizes: list[int], rows: int | None, argument: str
) -> StateError:
    wanted = ", ".join(f"{name} {axes((rows, size), 'BU')}" for name, size in zip(names, sizes, strict=True))
    return StateError(
        f"{title(layer)} cannot start from these states.",
        code="SO301",
        where=f"argument '{argument}' (state -> layer)",
        got=got,
        wanted=f"{count(len(names), 'state')}: {wanted}",
        fix=f"pass a list in the order {names}, or a dict by these names",
    )


def _wrong_state_shape(
    layer: Any, names: list[str], position: int, shapes: list[Any], sizes: list[int], rows: int | None, argument: str
) -> StateError:
    shape = shapes[position]
    fix = "make one row of state for each row of the batch"
    if len(shape) == 2 and shape[0] == 1 and _differ(1, rows):
        fix = f"one state for all rows is never meant silently; say it: numpy.repeat(state, {rows}, axis=0)"
    elif len(shape) == 2 and _differ(shape[0], rows):
        fix = "make the states for this batch; where the batch changes from call to call, keep state by id"
    elif len(shape) == 2 and sorted(map(str, (s[-1] for s in shapes if s))) == sorted(map(str, sizes)):
        fix = f"the states are in another order; pass them as {names}"
    return StateError(
        f"{title(layer)} cannot start from these states.",
        code="SO302",
        where=f"{argument} '{names[position]}' (state -> layer)",
        got=f"shape {shape}",
        wanted=axes((rows, sizes[position]), "BU"),
        fix=fix,
    )


def check_step(cell: Any, inputs: Any) -> None:
    """Refuses anything but the features of one step, (B, F).

    Raises:
        ShapeError: SO101 or SO103.
    """
    shape, kernel = tuple(inputs.shape), tuple(cell.kernel.shape)
    if len(shape) != 2 or shape[1] not in (kernel[0], None):
        raise ShapeError(
            f"{title(cell)} cannot read this step.",
            code="SO103" if len(shape) == 2 else "SO101",
            where="the cell's first argument (step -> cell)",
            got=shape_of(inputs),
            wanted=f"{axes((None, kernel[0]), 'BF')}   kernel {kernel}",
            fix=f"pass one step of {count(kernel[0], 'feature')}; so.RNN(cell) runs a cell over whole sequences",
        )


def check_unroll(layer: Any, steps: int | None) -> None:
    """Refuses to unroll a loop of unknown length.

    Raises:
        ModelError: SO604.
    """
    if steps is None:
        raise ModelError(
            f"{title(layer)} cannot unroll its loop.",
            code="SO604",
            where="argument 'unroll' of the layer",
            got="an unknown number of steps",
            wanted="a number of steps that is known when the model is built",
            fix="leave unroll=False, or declare the steps: keras.Input((steps, features))",
        )


def check_cudnn(layer: Any) -> None:
    """Refuses a layer that insists on cuDNN.

    Raises:
        ModelError: SO604.
    """
    if getattr(layer, "use_cudnn", "auto") is True:
        raise ModelError(
            f"{title(layer)} cannot run on cuDNN.",
            code="SO604",
            where="argument 'use_cudnn' of the layer",
            got="use_cudnn=True",
            wanted="'auto' or False",
            fix="leave use_cudnn at 'auto'",
        )
