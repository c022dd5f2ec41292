"""Padded rectangles with lengths or a mask to ``Sequences``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sostenuto.diagnosis import shape_of, some
from sostenuto.errors import DataError, TargetError
from sostenuto.sequences.batching import mask_of
from sostenuto.sequences.checks import (
    check_not_empty,
    check_option,
    common_dtype,
    id_array,
    numbers,
    offsets_of,
    to_numpy,
)
from sostenuto.sequences.from_list import LAYOUTS
from sostenuto.sequences.targets import CODES, Per

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


def from_padded(
    cls: type[Sequences],
    values: Any,
    lengths: Any = None,
    mask: Any = None,
    ids: Any = None,
    targets: Any = None,
    weights: Any = None,
    *,
    features: Any = None,
    targets_per: Per | None = None,
    weights_per: Per | None = None,
    layout: str = "channels_last",
    missing: str = "error",
) -> Sequences:
    """Sequences from a padded array; padding is left behind.

    What is padding is said by ``lengths`` or by ``mask``. With neither, the steps at the end of a row whose features
    are all NaN are padding, as tslearn and others write it; NaN elsewhere is missing data.

    Args:
        values: (B, T, F); or (B, T) for one feature.
        lengths: (B,) whole numbers, the real steps of each row, padded on the right.
        mask: (B, T), true where a step is real, in any pattern; the real steps are kept in order.
        ids: one hashable value per row, by default 0 .. B-1.
        targets: per sequence (B, ...), or per step and padded like the values (B, T, ...).
        weights: per sequence (B,), or per step and padded like the values (B, T).
        features: the names of the features, by default ``feature_0`` and so on.
        targets_per: ``"step"`` or ``"sequence"``; needed where targets begin with (B, T), so that both could be meant.
        weights_per: as ``targets_per``; seldom needed, as weights of two axes are per step.
        layout: ``"channels_last"`` (default): (batch, time, features); ``"channels_first"``: (batch, features, time).
        missing: ``"error"`` (default) refuses NaN and infinity in real steps, ``"keep"`` takes them.

    Raises:
        DataError: axes (SO202), lengths or mask (SO211) do not fit, values are missing (SO205), or there is no
            sequence (SO210).
        TargetError: targets (SO401) or weights (SO404) do not fit.

    Example:
        >>> import numpy as np
        >>> from sostenuto.sequences import Sequences
        >>> Sequences.from_padded(np.array([[1, 2, 0], [3, 0, 0]]), lengths=[2, 1])
        Sequences(2 sequences, 3 steps, 1 feature, int64)
    """
    check_option("layout", layout, LAYOUTS)
    check_option("missing", missing, ("error", "keep"))
    array = numbers(values, "values")
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim != 3:
        raise DataError(
            "A padded array has three axes.",
            code="SO202",
            where="argument 'values'",
            got=shape_of(values),
            wanted="(batch, time, features), or (batch, time) for one feature",
            fix="reshape it; one sequence alone needs no padding: Sequences.from_list([values])",
        )
    elif layout == "channels_first":
        array = array.swapaxes(1, 2)
    check_not_empty(len(array), shape_of(values))
    real = _real_steps(array, lengths, mask)
    return cls(
        array[real].astype(common_dtype([array.dtype]), copy=False),
        offsets_of(real.sum(axis=1)),
        id_array(ids, len(array), "row"),
        features=features,
        missing=missing,
        **_unpadded(targets, targets_per, real, "targets"),
        **_unpadded(weights, weights_per, real, "weights"),
    )


def _real_steps(array: np.ndarray, lengths: Any, mask: Any) -> np.ndarray:
    rows, steps = array.shape[:2]
    if lengths is not None and mask is not None:
        raise DataError(
            "Lengths and a mask say the same thing twice.",
            code="SO211",
            where="arguments 'lengths' and 'mask'",
            got="lengths= and mask=",
            wanted="one of the two",
            fix="leave lengths= out if the mask has holes, otherwise the mask",
        )
    if mask is not None:
        real = np.asarray(to_numpy(mask))
        if real.shape != (rows, steps) or not (real.dtype == bool or np.isin(real, (0, 1)).all()):
            raise DataError(
                "This mask does not fit the values.",
                code="SO211",
                where="argument 'mask'",
                got=shape_of(mask),
                wanted=f"({rows}, {steps}) of true and false, one for each step",
                fix="a mask has one entry per row and step, none per feature",
            )
        return real.astype(bool)
    if lengths is not None:
        found = np.asarray(to_numpy(lengths))
        if found.shape != (rows,) or found.dtype.kind not in "iu":
            got = shape_of(lengths)
        else:
            outside = np.flatnonzero((found < 0) | (found > steps))
            if not len(outside):
                return mask_of(found.astype(np.int64), steps)
            got = f"{some(found[outside].tolist(), 3)} in row {some(outside.tolist(), 3)}"
        raise DataError(
            "These lengths do not fit the values.",
            code="SO211",
            where="argument 'lengths'",
            got=got,
            wanted=f"{rows:,} whole numbers from 0 to {steps}, one per row",
            fix="give the number of real steps of each row",
        )
    if array.dtype.kind != "f" or array.shape[2] == 0:
        return np.ones((rows, steps), bool)
    written = ~np.isnan(array).all(axis=2)
    return mask_of((written * np.arange(1, steps + 1)).max(axis=1, initial=0), steps)


def _unpadded(data: Any, per: Per | None, real: np.ndarray, noun: str) -> dict[str, Any]:
    """Targets or weights as arguments of ``Sequences``, the padding of those per step left behind."""
    array = to_numpy(data)
    padded = isinstance(array, np.ndarray | list | tuple)
    if padded:
        try:
            array = np.asarray(array)
        except ValueError:  # a list of real steps alone
            padded = False
    if not padded or array.shape[:2] != real.shape or per == "sequence":
        return {noun: data, f"{noun}_per": per}
    if per is None and noun == "targets":
        raise TargetError(
            "These targets could be meant per step or per sequence.",
            code=CODES[noun],
            where="argument 'targets'",
            got=f"{shape_of(array)} for values of {real.shape[0]:,} rows and {real.shape[1]:,} steps",
            wanted="one reading",
            fix="say targets_per='step' or targets_per='sequence'",
        )
    return {noun: numbers(array, noun, TargetError)[real], f"{noun}_per": "step"}
