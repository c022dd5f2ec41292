"""Whether sequences and a model fit each other, asked before anything is computed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from sostenuto.diagnosis import count, shape_of, some
from sostenuto.errors import ModelError, ShapeError, TargetError, TokenError
from sostenuto.sequences import Sequences


def title(model: Any) -> str:
    """A model's class and name, for the first line of an error."""
    return f"{type(model).__name__} '{model.name}'"


def check_features(model: Any, sequences: Sequences, expected: int, names: tuple[str, ...]) -> None:
    """Refuses sequences with other features than the model was built with.

    Raises:
        ShapeError: SO103, or SO102 where every sequence has as many steps as the model wants features.
    """
    if sequences.feature_count == expected:
        return
    swapped = len(sequences) > 0 and bool((sequences.lengths == expected).all())
    fix = f"pass {count(expected, 'feature')} per step, or build a new model for {sequences.feature_count}"
    lacking = [name for name in names if name not in sequences.features]
    if lacking and len(lacking) < len(names):
        fix = f"add what they lack of the features it was built with: {some(lacking, 3)}"
    elif names and not lacking:
        unknown = [name for name in sequences.features if name not in names]
        fix = f"leave out what it was not built with: {some(unknown, 3)}"
    if swapped:
        fix = "read them with layout='channels_first' if they are (features, time)"
    raise ShapeError(
        f"{title(model)} cannot read these sequences" + (": time and features look swapped." if swapped else "."),
        code="SO102" if swapped else "SO103",
        where="sequences -> model",
        got=f"{count(sequences.feature_count, 'feature')} per step   values {shape_of(sequences.values)}",
        wanted=f"{count(expected, 'feature')} per step, as it was built",
        fix=fix,
    )


def check_steps(model: Any, lengths: np.ndarray, ids: Any, declared: int | None) -> None:
    """Refuses sequences longer than the number of steps that the model declares.

    Raises:
        ModelError: SO605.
    """
    if declared is None or not len(lengths) or lengths.max() <= declared:
        return
    position = int(np.argmax(lengths > declared))
    raise ModelError(
        f"{title(model)} was declared for another number of steps.",
        code="SO605",
        where=f"sequences[{ids[position]!r}]",
        got=count(int(lengths[position]), "step"),
        wanted=f"at most {declared}, the steps in its keras.Input",
        fix="declare keras.Input((None, features)), or cut the sequences with chunk or window",
    )


def check_tokens(embedding: Any, sequences: Sequences) -> None:
    """Refuses token ids that an Embedding cannot look up; some backends would clamp them and say nothing.

    Raises:
        TokenError: SO501 for fractions, SO502 for ids outside of the vocabulary.
    """
    name = f"Embedding '{embedding.name}'"
    if sequences.dtype.kind not in "iu":
        raise TokenError(
            f"{name} cannot look these values up.",
            code="SO501",
            where="sequences -> Embedding",
            got=f"values {shape_of(sequences.values)}",
            wanted="whole numbers (token ids)",
            fix="keep token ids as integers; if they are, sequences.astype('int32') says so",
        )
    size = int(embedding.input_dim)
    outside = (sequences.values < 0) | (sequences.values >= size)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        position = int(np.searchsorted(sequences.offsets, row, side="right")) - 1
        raise TokenError(
            f"{name} cannot look these token ids up.",
            code="SO502",
            where=f"sequences[{sequences.ids[position]!r}], step {row - sequences.offsets[position]}",
            got=f"token id {sequences.values[row, column]}; {count(int(outside.sum()), 'such id')} in all",
            wanted=f"ids from 0 to {size - 1} (input_dim={size})",
            fix=f"make input_dim at least {int(sequences.values.max()) + 1}"
            if sequences.values.min() >= 0
            else "number tokens from 0",
        )


def check_targets(model: Any, sequences: Any, per: str, output: tuple[int | None, ...], loss: Any) -> None:
    """Refuses targets of another kind or size than the model's output; nothing is broadcast.

    Args:
        model: the model, for its name.
        sequences: Sequences, or a stream of them, with targets.
        per: "step" or "sequence": what the model gives an output for.
        output: the axes of one output, for instance (9,).
        loss: the compiled loss; only losses of Keras have known shapes.

    Raises:
        TargetError: SO402, SO403.
    """
    if sequences.targets is None:
        raise TargetError(
            f"{title(model)} has nothing to learn from.",
            code="SO403",
            where="sequences -> model",
            got="sequences without targets",
            wanted=f"a target per {per}",
            fix="pass y=, or make the Sequences with targets= (from_table: target='column')",
        )
    if sequences.targets_per != per:
        if per == "sequence":
            fix = "give the last recurrent layer return_sequences=True for an output per step"
        else:
            fix = "leave return_sequences=True away from the last recurrent layer for an output per sequence"
        raise TargetError(
            f"{title(model)} answers another question than the targets ask.",
            code="SO402",
            where="targets -> output of the model",
            got=f"a target per {sequences.targets_per}",
            wanted=f"a target per {per}, as the model has one output per {per}",
            fix=f"{fix}; or pass a target per {per}",
        )
    known = isinstance(loss, keras.losses.Loss) and type(loss).__module__.startswith(("keras", "sostenuto"))
    if not (isinstance(loss, str) or known):
        return
    axes = sequences.targets.shape[1:]
    scalar = axes in ((), (1,))
    if not scalar and axes == output and "sparse" in _name(loss):
        raise TargetError(
            f"{title(model)} learns numbers of classes, and got a number for each class.",
            code="SO402",
            where=f"targets -> loss, per {per}",
            got=f"targets with axes {axes} {sequences.targets.dtype}, as one-hot encoding makes them",
            wanted=f"the number of the class, 0 to {axes[0] - 1}, for each {per}",
            fix="compile with loss='categorical_crossentropy' (a loss object: keras.losses.CategoricalCrossentropy "
            "with the same options), or pass targets.argmax(axis=-1)",
        )
    classes = scalar and len(output) == 1 and sequences.targets.dtype.kind in "iub" and "sparse" in _name(loss)
    if axes == output or (scalar and output in ((), (1,))) or classes:
        return
    fix = f"make the last layer Dense({axes[0] if axes else 1}), or give targets with axes {output}"
    if scalar and sequences.targets.dtype.kind in "iub" and len(output) == 1:
        fix = "for classes numbered 0, 1, 2, ... compile with loss='sparse_categorical_crossentropy'"
    raise TargetError(
        f"{title(model)} has outputs of another size than the targets.",
        code="SO402",
        where=f"targets -> output of the model, per {per}",
        got=f"targets with axes {axes} {sequences.targets.dtype}",
        wanted=f"axes {output}, as the last layer gives; nothing is broadcast",
        fix=fix,
    )


def check_classes(model: Any, targets: Any, output: tuple[int | None, ...], loss: Any) -> None:
    """Refuses class numbers that the output has no place for.

    Raises:
        TargetError: SO402.
    """
    if "sparse" not in _name(loss) or len(output) != 1 or targets.size == 0:
        return
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= (output[0] or 0):
        raise TargetError(
            f"{title(model)} has no output for some classes.",
            code="SO402",
            where="targets -> output of the model",
            got=f"classes numbered from {low} to {high}",
            wanted=f"classes from 0 to {(output[0] or 0) - 1}, as the last layer has {count(output[0] or 0, 'output')}",
            fix=f"make the last layer Dense({high + 1})" if low >= 0 else "number classes from 0",
        )


def _name(loss: Any) -> str:
    return loss.lower() if isinstance(loss, str) else type(loss).__name__.lower()


def check_initial_state_option(model: Any, initial_state: Any) -> None:
    """Refuses anything but the two ways for a sequence to begin.

    Raises:
        ModelError: SO606.
    """
    if initial_state not in ("zeros", "learned"):
        raise _no_option(model, "initial_state", initial_state, "'zeros' or 'learned'")


def check_chunk(model: Any, chunk: Any, carry: str, chunk_targets: str) -> None:
    """Refuses settings of chunked runs that mean nothing, and models that cannot be run in chunks.

    Raises:
        ModelError: SO606.
    """
    if chunk is None:
        for name, value, default in (("carry", carry, "sequence"), ("chunk_targets", chunk_targets, "every")):
            if value != default:
                raise _no_option(model, name, value, f"{default!r} where sequences are run whole", "say chunk= as well")
        return
    if isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or chunk < 1:
        raise _no_option(model, "chunk", chunk, "a number of steps, 1 or more")
    if carry not in ("sequence", "epochs"):
        raise _no_option(model, "carry", carry, "'sequence' or 'epochs'")
    if chunk_targets not in ("every", "last"):
        raise _no_option(model, "chunk_targets", chunk_targets, "'every' or 'last'")
    declared = model.declared_steps
    if declared is not None and chunk > declared:
        raise _no_option(model, "chunk", chunk, f"at most {declared}, the steps in the model's keras.Input")


def _no_option(model: Any, name: str, value: Any, wanted: str, fix: str = "") -> ModelError:
    return ModelError(
        f"{title(model)} does not know this way to carry states.",
        code="SO606",
        where=f"argument '{name}'",
        got=f"{name}={value!r}" if isinstance(value, int | float | str | None) else f"{name}={shape_of(value)}",
        wanted=wanted,
        fix=fix or f"pass {wanted}",
    )
