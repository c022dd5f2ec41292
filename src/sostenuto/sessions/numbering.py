"""Step numbers and times from the caller: what is new, what is a repeat, what comes out of order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import SessionError
from sostenuto.sequences.checks import to_numpy
from sostenuto.sessions.hot import Kept
from sostenuto.sessions.requests import Request
from sostenuto.stores import Id

Time = int | float


def step_numbers(step: Any, ids: Sequence[Id]) -> list[int | None] | None:
    """The number of the first of each id's steps, None where it is not given.

    Args:
        step: one number for all ids, one for each in their order, or a dict by id.
        ids: the ids.

    Raises:
        SessionError: SO315, it is something else.

    Example:
        >>> step_numbers(3, ["a", "b"]), step_numbers({"b": 0, "a": None}, ["a", "b"]), step_numbers(None, ["a"])
        ([3, 3], [None, 0], None)
    """
    return None if step is None else [_number(one, id) for one, id in zip(_each("step", step, ids), ids, strict=True)]


def times(at: Any, ids: Sequence[Id]) -> list[Time | None] | None:
    """The time of the call for each id, None where it is not given; datetime64 as nanoseconds since 1970.

    Args:
        at: one time for all ids, one for each in their order, or a dict by id.
        ids: the ids.

    Raises:
        SessionError: SO315, it is something else.

    Example:
        >>> import numpy as np
        >>> times(np.datetime64("1970-01-01T00:00:01"), ["a"]), times([1, 2.5], ["a", "b"])
        ([1000000000], [1, 2.5])
    """
    return None if at is None else [_time(one, id) for one, id in zip(_each("at", at, ids), ids, strict=True)]


def _each(name: str, given: Any, ids: Sequence[Id]) -> list[Any]:
    if isinstance(given, Mapping):
        if set(given) == set(ids):
            return [given[id] for id in ids]
        odd = next(iter(set(given) ^ set(ids)))
        got = f"{name} for {odd!r}, no id of this call" if odd in given else f"no {name} for {odd!r}"
        raise _unfit(name, got, "an entry for each id of the call; None for one without")
    given = to_numpy(given)
    if isinstance(given, np.ndarray):
        if given.dtype.kind == "M":
            given = given.astype("datetime64[ns]")
        several = list(given) if given.ndim else None
    else:
        several = list(given) if isinstance(given, Sequence) and not isinstance(given, str | bytes) else None
    if several is None:
        return [given] * len(ids)
    if len(several) != len(ids):
        raise _unfit(name, f"{name} for {len(several):,}", f"one for all, or one for each of {count(len(ids), 'id')}")
    return several


def _number(given: Any, id: Id) -> int | None:
    if given is None:
        return None
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given[()]
    if isinstance(given, int | np.integer) and not isinstance(given, bool | np.timedelta64) and 0 <= given < 1 << 63:
        return int(given)
    raise _unfit("step", f"{_shown(given)} for {id!r}", "a whole number from 0 on: the first step of an id is step 0")


def _time(given: Any, id: Id) -> Time | None:
    if given is None:
        return None
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given[()]
    if isinstance(given, np.datetime64) and not np.isnat(given):
        return int(given.astype("datetime64[ns]").astype(np.int64))
    if isinstance(given, int | np.integer) and not isinstance(given, bool | np.timedelta64):
        if -(1 << 63) <= given < 1 << 63:
            return int(given)
    elif isinstance(given, float | np.floating) and math.isfinite(given):
        return float(given)
    raise _unfit(
        "at", f"{_shown(given)} for {id!r}", "a whole number of 64 bits, a finite float, or a numpy.datetime64"
    )


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, int | float | np.generic) else shape_of(value)


def _unfit(name: str, got: str, wanted: str) -> SessionError:
    fixes = {
        "step": "session.steps(id) is the number of the next step",
        "at": "turn dates into numpy.datetime64, or into seconds: date.timestamp()",
    }
    return SessionError(
        f"The session cannot read {name}=.",
        code="SO315",
        where=f"argument '{name}'",
        got=got,
        wanted=wanted,
        fix=fixes[name],
    )


def repeated(request: Request, known: Kept, steps: list[int | None] | None, at: list[Time | None] | None) -> np.ndarray:
    """Which ids of a call repeat their last one, (B,) boolean; the others' steps are the next ones.

    A step number decides by itself. Without one, a time that equals the last one is a repeat.

    Args:
        request: the call.
        known: what is known of its ids.
        steps: the step numbers.
        at: the times.

    Raises:
        SessionError: SO313, an id's step or time is neither the next nor the last one; SO314, a repeat brings other
            values.
    """
    again = np.zeros(len(request.ids), bool)
    if steps is not None and at is None and np.array_equal(np.array(steps, object), known.step):
        return again
    for row in range(len(request.ids)) if steps is not None or at is not None else ():
        number = None if steps is None else steps[row]
        time = None if at is None else at[row]
        counted, before, last = int(known.step[row]), int(known.call_steps[row]), known.at[row]
        if number is not None and number != counted:
            if before == 0 or number != counted - before:
                raise _out_of_order(request.ids[row], number, counted, before)
            again[row] = True
        elif time is not None and last is not None and time <= last:
            if number is not None or time < last or before == 0:
                raise _no_later(request.ids[row], time, last)
            again[row] = True
        if again[row] and (request.lengths[row] != before or request.checksums[row] != known.input_crc[row]):
            raise _other_values(request.ids[row], counted - before, before, int(request.lengths[row]))
    return again


def _out_of_order(id: Id, number: int, counted: int, before: int) -> SessionError:
    late = number < counted
    again = f"; step {counted - before} would repeat the last call" if before else ""
    return SessionError(
        f"A step of {id!r} {'was counted already' if late else 'is missing'}.",
        code="SO313",
        where=f"argument 'step', id {id!r}",
        got=f"step {number}",
        wanted=f"step {counted}, as {count(counted, 'step')} {'was' if counted == 1 else 'were'} counted{again}",
        fix="leave it out; session.steps(id) says where an id stands"
        if late
        else f"send the steps from {counted} on first, or session.reset(id) to begin anew",
    )


def _no_later(id: Id, time: Time, last: Time) -> SessionError:
    return SessionError(
        f"A step of {id!r} comes too late.",
        code="SO313",
        where=f"argument 'at', id {id!r}",
        got=f"at={time}",
        wanted=f"a time after {last}, that of its last call",
        fix="send the steps of an id in the order of time; repeat a call with the time it had",
    )


def _other_values(id: Id, number: int, before: int, steps: int) -> SessionError:
    differs = f"{count(steps, 'step')} from there on" if steps != before else f"other values for {count(steps, 'step')}"
    return SessionError(
        f"A repeated step of {id!r} was answered with other values.",
        code="SO314",
        where=f"step {number} -> session, id {id!r}",
        got=differs,
        wanted=f"the {count(before, 'step')} that {'was' if before == 1 else 'were'} answered, to the last bit",
        fix="repeat the call as it was; number a new step with session.steps(id)",
    )
