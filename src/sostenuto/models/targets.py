"""Targets brought to sequences, and sequences held out."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.errors import TargetError
from sostenuto.sequences import Sequences
from sostenuto.sequences.targets import Per


def with_targets(sequences: Sequences, y: Any, per: Per) -> Sequences:
    """Sequences with the targets ``y``, read as ``per`` says if they can be read so, else as the other kind.

    Raises:
        TargetError: they can be read as neither.
    """
    try:
        return sequences.with_targets(y, targets_per=per)
    except TargetError:
        try:  # targets of the other kind are better told apart from the model's output than from the sequences
            return sequences.with_targets(y, targets_per="sequence" if per == "step" else "step")
        except TargetError:
            pass
        raise


def held_out(sequences: Any, share: float) -> tuple[Sequences, Sequences]:
    """Two parts of sequences, the second with the last ``share`` of them.

    Raises:
        TargetError: SO401, a stream cannot be split.

    Example:
        >>> [part.ids for part in held_out(Sequences.from_list([[1], [2], [3], [4]]), 0.25)]
        [(0, 1, 2), (3,)]
    """
    if not isinstance(sequences, Sequences):
        raise TargetError(
            "A stream cannot be split for validation.",
            code="SO401",
            where="argument validation_split",
            got="a SequenceStream",
            wanted="sequences in memory",
            fix="keep a file of its own for validation and pass it as validation_data=",
        )
    kept = int(len(sequences) * (1 - share))
    positions = np.arange(len(sequences))
    return sequences.take(positions[:kept]), sequences.take(positions[kept:])
