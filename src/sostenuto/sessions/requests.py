"""What a caller hands to a session: ids, and for each some steps. Read and checked before anything else happens."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import DataError, DataTypeError, SessionError, ShapeError, TokenError
from sostenuto.models import checks
from sostenuto.sequences import Sequences
from sostenuto.sequences.checks import numbers, offsets_of, to_numpy
from sostenuto.sessions.naming import id_list, unique_ids
from sostenuto.stores import Id

_PLAIN = {np.ndarray, list, tuple, float, int, bool}


@dataclass(frozen=True, eq=False)
class Request:
    """Some steps for each of B ids.

    Attributes:
        ids: the ids, each once.
        flat: the steps (N, F) of all ids, one after the other, in the dtype that the model computes in.
        lengths: (B,) how many of them belong to each id.
        steps: how many belong to each, where they are as many for all, otherwise None.
        single: (B,) which ids came with one step and no axis of time.
        by_id: whether the answer is wanted as a dict.
    """

    ids: list[Id]
    flat: np.ndarray
    lengths: np.ndarray
    steps: int | None
    single: np.ndarray
    by_id: bool

    @cached_property
    def offsets(self) -> np.ndarray:
        """(B + 1,) where the steps of each id begin and end."""
        return offsets_of(self.lengths)

    @cached_property
    def checksums(self) -> np.ndarray:
        """(B,) the CRC-32 of each id's steps, as bytes of the dtype that the model computes in."""
        data = self.flat.view(np.uint8).reshape(-1).data
        width = self.flat.shape[1] * self.flat.itemsize
        if self.steps:
            bounds: Any = range(0, len(data) + 1, width * self.steps)
        else:
            bounds = (self.offsets * width).tolist()
        sums = [zlib.crc32(data[start:stop]) for start, stop in pairwise(bounds)]
        return np.array(sums, np.uint32)

    def take(self, rows: np.ndarray) -> Request:
        """The part of some of the ids."""
        parts = [self.flat[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        flat = np.concatenate(parts) if parts else self.flat[:0]
        ids = [self.ids[row] for row in rows]
        return Request(ids, flat, self.lengths[rows], self.steps, self.single[rows], self.by_id)

    def formed(self, answers: Any, per_step: bool) -> Any:
        """Answers, one for each id with its axis of time, in the form in which the steps came."""
        alike = isinstance(answers, np.ndarray)
        if per_step and self.single.any():
            if alike and self.single.all():
                answers = answers[:, 0]
            else:
                pairs = zip(answers, self.single, strict=True)
                answers, alike = [answer[0] if single else answer for answer, single in pairs], False
        if self.by_id:
            return dict(zip(self.ids, answers, strict=True))
        shapes = {answer.shape for answer in answers} if not alike else set()
        return np.stack(answers) if len(shapes) == 1 else answers


class Reader:
    """Reads what callers pass to a model's session.

    Args:
        model: the built SequenceModel.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._features = model.feature_count
        self._embedding = model.embedding
        self._declared = model.declared_steps
        probe = model.feed(np.zeros((1, 1, self._features), "float32"), None)["values"]
        self._tokens = probe.ndim == 2
        self.dtype = probe.dtype

    def read(self, ids: Any, x: Any) -> Request:
        """The request that ``step(ids, x)`` or ``step({id: x})`` makes.

        Raises:
            SessionError: SO312, an id comes twice; SO315, ids and x do not belong together.
            IdError: SO311, something is no id.
            DataTypeError, DataError, ShapeError, TokenError, ModelError: SO202, SO204, SO205; SO103; SO501, SO502;
                SO605, a step does not fit the model.
        """
        by_id = x is None
        if by_id:
            if not isinstance(ids, Mapping | Sequences):
                raise _misfit(shape_of(ids), "a dict of arrays by id, or ids and x", "session.step({id: x})")
            pairs = list(ids.items())
            names, values = [id for id, _ in pairs], [steps for _, steps in pairs]
        else:
            if isinstance(ids, Mapping | Sequences | str | tuple):
                raise _misfit(
                    f"ids={shape_of(ids)} beside x", "a list or array of ids", "pass a list of ids; a tuple is one id"
                )
            names, values = id_list(ids), to_numpy(x)
        plain = unique_ids(names)
        if not isinstance(values, np.ndarray):
            values = list(values) if isinstance(values, Sequence) and not isinstance(values, str) else [values]
        found = len(values) if isinstance(values, list) or values.ndim else 1
        if found != len(plain):
            raise _misfit(
                f"{count(len(plain), 'id')} and x for {found:,}",
                "an entry of x for each id",
                "give x[i] for ids[i]: (B, F) for one step each, (B, T, F) for several, or a list of (T, F)",
            )
        flat, lengths, steps, single = self._steps(plain, values)
        request = Request(plain, flat, lengths, steps, single, by_id)
        self._check_values(request)
        checks.check_steps(self._model, lengths, plain, self._declared)
        return request

    def _steps(self, ids: list[Id], values: Any) -> tuple[np.ndarray, np.ndarray, int | None, np.ndarray]:
        """Flat steps (N, F), lengths (B,), the length of all or None, single (B,)."""
        if not ids:
            return np.zeros((0, self._features), self.dtype), np.zeros(0, np.int64), None, np.zeros(0, bool)
        array = _stacked(values)
        if array is not None and (array.dtype.kind in "iu" or not self._tokens):
            steps, single = self._axes(array.shape[1:], array, ids[0])
            flat = self._cast(array.reshape(-1, self._features), ids, steps)
            return flat, np.full(len(ids), steps), steps, np.full(len(ids), single)
        parts, lengths, singles = [], [], []
        for id, value in zip(ids, values, strict=True):
            part = numbers(value, _where(id))
            steps, single = self._axes(part.shape, part, id)
            parts.append(self._cast(part.reshape(-1, self._features), [id], steps))
            lengths.append(steps)
            singles.append(single)
        alike = lengths[0] if len(set(lengths)) == 1 else None
        return np.concatenate(parts), np.array(lengths, np.int64), alike, np.array(singles)

    def _axes(self, shape: tuple[int, ...], array: np.ndarray, id: Id) -> tuple[int, bool]:
        """How many steps an array of one id holds, and whether it is one without an axis of time."""
        if self._tokens:
            if len(shape) > 1:
                raise self._no_steps(array, id, "one token id, or (time,) token ids")
            return (shape[0], False) if shape else (1, True)
        if not shape and self._features == 1:
            return 1, True
        if len(shape) not in (1, 2):
            raise self._no_steps(array, id, "(features,) for one step or (time, features) for several")
        if shape[-1] != self._features:
            fix = f"pass {count(self._features, 'feature')} per step, or build a new model for {shape[-1]}"
            if self._features == 1 and len(shape) == 1:
                fix = "give several steps of one feature as (time, 1): x[:, None]"
            names = self._model.feature_names
            raise ShapeError(
                f"{checks.title(self._model)} cannot read these steps.",
                code="SO103",
                where=_where(id),
                got=f"{count(shape[-1], 'feature')} per step   x {shape_of(array)}",
                wanted=f"{count(self._features, 'feature')} per step, as it was built"
                + (f": {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else ""),
                fix=fix,
            )
        return (1, True) if len(shape) == 1 else (shape[0], False)

    def _no_steps(self, array: np.ndarray, id: Id, wanted: str) -> DataTypeError:
        return DataTypeError(
            f"{checks.title(self._model)} cannot read this as steps of a sequence.",
            code="SO202",
            where=_where(id),
            got=f"x {shape_of(array)}",
            wanted=wanted,
            fix="reshape it; several ids at once go by id, {id: x}, or as step(ids, x) with one entry of x for each",
        )

    def _cast(self, flat: np.ndarray, ids: list[Id], steps: int) -> np.ndarray:
        if self._tokens:
            self._check_tokens(flat, ids, steps)
        with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused
            return np.ascontiguousarray(flat, self.dtype)

    def _check_tokens(self, flat: np.ndarray, ids: list[Id], steps: int) -> None:
        name = f"Embedding '{self._embedding.name}'"
        if flat.dtype.kind not in "iu":
            raise TokenError(
                f"{name} cannot look these values up.",
                code="SO501",
                where=_where(ids[0]),
                got=f"x {shape_of(flat[:, 0])}",
                wanted="whole numbers (token ids)",
                fix="keep token ids as integers",
            )
        size = int(self._embedding.input_dim)
        outside = np.flatnonzero((flat < 0) | (flat >= size))
        if len(outside):
            first = int(outside[0])
            raise TokenError(
                f"{name} cannot look these token ids up.",
                code="SO502",
                where=f"{_where(ids[first // steps])}, step {first % steps}",
                got=f"token id {flat[first, 0]}",
                wanted=f"ids from 0 to {size - 1} (input_dim={size})",
                fix="map unknown tokens to one id of the vocabulary",
            )

    def _check_values(self, request: Request) -> None:
        if self._tokens or np.isfinite(request.flat).all():
            return
        position, feature = np.argwhere(~np.isfinite(request.flat))[0].tolist()
        row = int(np.searchsorted(request.offsets, position, side="right")) - 1
        names = self._model.feature_names
        raise DataError(
            f"{checks.title(self._model)} cannot go on from missing or infinite values.",
            code="SO205",
            where=f"{_where(request.ids[row])}, step {position - request.offsets[row]}, "
            + (f"feature '{names[feature]}'" if names else f"feature {feature}"),
            got=f"{request.flat[position, feature]} (as {self.dtype.name})",
            wanted="finite numbers: one NaN would stay in the state for good",
            fix="fill them, or leave the step out; nothing of this call was counted",
        )


def _stacked(values: Any) -> np.ndarray | None:
    """The values of all ids as one array of numbers; None where each has to be looked at."""
    if not isinstance(values, np.ndarray):
        if not set(map(type, values)) <= _PLAIN:
            return None
        try:
            values = np.asarray(values)
        except ValueError:
            return None
    return values if values.dtype.kind in "biuf" and not isinstance(values, np.ma.MaskedArray) else None


def _where(id: Id) -> str:
    return f"step -> session, id {id!r}"


def _misfit(got: str, wanted: str, fix: str) -> SessionError:
    return SessionError(
        "The session cannot tell which steps belong to which id.",
        code="SO315",
        where="arguments ids and x",
        got=got,
        wanted=wanted,
        fix=fix,
    )
