"""Targets and weights: per sequence or per step, decided by a rule and never by a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from sostenuto.diagnosis import count, nearest, shape_of, some
from sostenuto.errors import TargetError
from sostenuto.sequences.checks import check_option, common_dtype, missing_rows, numbers, to_numpy

Per = Literal["step", "sequence"]
CODES = {"targets": "SO401", "weights": "SO404"}


class Aligned(NamedTuple):
    """Targets or weights in the order of the steps (N, ...) or of the sequences (S, ...)."""

    array: np.ndarray
    per: Per


def align_targets(
    targets: Any, per: Per | None, lengths: np.ndarray, ids: np.ndarray, missing: str = "error"
) -> Aligned | None:
    """Targets as one array, per step or per sequence.

    Entries that are single numbers are per sequence. Entries whose lengths are those of the sequences are per step,
    if the sequences differ in length. Where all have one length, an entry of that length could be a vector for the
    sequence as well as one number per step, and ``per`` must say which.

    Raises:
        TargetError: targets do not fit or could be read in two ways (SO401), are no numbers (SO204), or are missing
            or infinite (SO205).
    """
    found = _align(targets, per, lengths, ids, "targets")
    if found is not None and missing == "error":
        number, first = missing_rows(found.array)
        if number:
            raise TargetError(
                "The targets have missing or infinite values.",
                code="SO205",
                where=_place(found.per, first[0][0], lengths, ids),
                got=f"{count(number, 'missing or infinite value')} of {found.array.size:,}",
                wanted="a finite number for every target",
                fix="fill or drop them first, or say missing='keep'",
            )
    return found


def align_weights(weights: Any, per: Per | None, lengths: np.ndarray, ids: np.ndarray) -> Aligned | None:
    """Weights as one array (N,) or (S,).

    Raises:
        TargetError: weights do not fit, or one is negative or not finite (SO404).
    """
    found = _align(weights, per, lengths, ids, "weights")
    if found is None:
        return None
    if found.array.ndim != 1:
        raise _misfit("weights", lengths, f"{shape_of(found.array)} per {found.per}")
    bad = np.flatnonzero(~(np.isfinite(found.array) & (found.array >= 0)))
    if len(bad):
        raise TargetError(
            "A weight is negative or not finite.",
            code="SO404",
            where=_place(found.per, int(bad[0]), lengths, ids),
            got=f"{count(len(bad), 'such weight')} of {len(found.array):,}",
            wanted="finite weights, none below zero",
            fix="use 0 for what should not count",
        )
    # A weight multiplies a loss, so whole numbers are made floats here, once.
    return found if found.array.dtype.kind == "f" else Aligned(found.array.astype(np.float32), found.per)


def _place(per: Per, row: int, lengths: np.ndarray, ids: np.ndarray) -> str:
    if per == "sequence":
        return f"sequences[{ids[row : row + 1].tolist()[0]!r}]"
    ends = np.cumsum(lengths)
    sequence = int(np.searchsorted(ends, row, side="right"))
    step = row - int(ends[sequence] - lengths[sequence])
    return f"sequences[{ids[sequence : sequence + 1].tolist()[0]!r}], step {step}"


def _align(data: Any, per: Per | None, lengths: np.ndarray, ids: np.ndarray, noun: str) -> Aligned | None:
    if per is not None:
        check_option(f"{noun}_per", per, ("step", "sequence"))
    if data is None:
        return None
    if isinstance(data, Mapping):
        data = _by_id(data, ids, noun)
    data = to_numpy(data)
    if not isinstance(data, np.ndarray | list | tuple):
        raise _misfit(noun, lengths, shape_of(data))
    try:
        whole = np.asarray(data)
    except ValueError:  # entries of different lengths
        return _from_entries(list(data), per, lengths, ids, noun)
    if whole.dtype.kind == "O" and whole.ndim == 1 and all(np.ndim(entry) for entry in whole):
        return _from_entries(list(whole), per, lengths, ids, noun)
    whole = numbers(whole, noun, TargetError)
    return _from_array(whole.astype(common_dtype([whole.dtype])), per, lengths, noun)


def _by_id(data: Mapping[Any, Any], ids: np.ndarray, noun: str) -> list[Any]:
    known = ids.tolist()
    lacking = [name for name in known if name not in data]
    if lacking:
        near = nearest(str(lacking[0]), data)
        raise TargetError(
            f"Some sequences have no {noun}.",
            code=CODES[noun],
            where=f"{noun} -> sequences",
            got=f"{noun} for {count(len(data), 'id')}, none for {some(lacking)}",
            wanted=f"{noun} for all {count(len(known), 'id')}",
            fix=f"near ones: {', '.join(near)}" if near else f"add {noun} under these ids",
        )
    if len(data) > len(known):
        present = set(known)
        extra = [name for name in data if name not in present]
        raise TargetError(
            f"Some {noun} belong to no sequence.",
            code=CODES[noun],
            where=f"{noun} -> sequences",
            got=f"{noun} for {some(extra)}",
            wanted=f"{noun} for the {count(len(known), 'id')} of the sequences alone",
            fix="drop them, or check how the ids are written: 7 is not '7'",
        )
    return [data[name] for name in known]


def _from_array(array: np.ndarray, per: Per | None, lengths: np.ndarray, noun: str) -> Aligned:
    sequences, steps = len(lengths), int(lengths.sum())
    if array.ndim == 0:
        raise _misfit(noun, lengths, "a single number")
    per_sequence = len(array) == sequences
    stacked = per_sequence and array.ndim > 1 and bool(np.all(lengths == array.shape[1]))
    if noun == "weights" and array.ndim > 1:
        per_sequence = False
    if per is None and stacked and per_sequence:
        raise TargetError(
            f"These {noun} could be meant per step or per sequence.",
            code=CODES[noun],
            where=f"{noun} -> sequences",
            got=f"{shape_of(array)} for {count(sequences, 'sequence')} of {count(int(array.shape[1]), 'step')} each",
            wanted="one reading",
            fix=f"say {noun}_per='step' or {noun}_per='sequence'",
        )
    if per != "step" and per_sequence:
        return Aligned(array, "sequence")
    if per != "sequence" and stacked:
        return Aligned(array.reshape(-1, *array.shape[2:]), "step")
    if per == "step" and len(array) == steps:
        return Aligned(array, "step")
    raise _misfit(noun, lengths, shape_of(array), per)


def _from_entries(entries: list[Any], per: Per | None, lengths: np.ndarray, ids: np.ndarray, noun: str) -> Aligned:
    if len(entries) != len(lengths):
        raise _misfit(noun, lengths, count(len(entries), "entry", "entries"), per)
    arrays = [
        numbers(entry, f"{noun} of sequences[{name!r}]", TargetError)
        for entry, name in zip(entries, ids.tolist(), strict=True)
    ]
    for array, length, name in zip(arrays, lengths.tolist(), ids.tolist(), strict=True):
        if per == "sequence" or array.ndim == 0 or len(array) != length:
            wanted = "one shape for all" if per == "sequence" else f"{length:,}, one for each step"
            raise TargetError(
                f"The {noun} do not fit their sequences.",
                code=CODES[noun],
                where=f"sequences[{name!r}]",
                got="a single number" if array.ndim == 0 else f"{noun} {shape_of(array)}",
                wanted=wanted,
                fix="cut targets to the lengths of the sequences, or give one number per sequence",
            )
    filled = [array for array in arrays if len(array)]
    trailing = {array.shape[1:] for array in filled}
    if len(trailing) > 1:
        raise TargetError(
            f"The {noun} of a step differ in shape.",
            code=CODES[noun],
            where=f"{noun} -> sequences",
            fix=f"give the {noun} of every step one shape",
            got=f"shapes {some(sorted(trailing))}",
            wanted="one shape for every step",
        )
    if not filled:
        return Aligned(np.zeros(0, common_dtype([array.dtype for array in arrays])), "step")
    dtype = common_dtype([array.dtype for array in filled])
    return Aligned(np.concatenate(filled).astype(dtype, copy=False), "step")


def _misfit(noun: str, lengths: np.ndarray, got: str, per: Per | None = None) -> TargetError:
    choices = {
        "sequence": f"{len(lengths):,} entries, one per sequence",
        "step": f"one entry per sequence with one number per step of it ({int(lengths.sum()):,} steps in all)",
    }
    return TargetError(
        f"The {noun} do not fit the sequences.",
        code=CODES[noun],
        where=f"{noun} -> sequences",
        got=got,
        wanted=choices[per] if per else "\nor ".join(choices.values()),
        fix="give them in the order of the sequences, or as a dict by id",
    )
