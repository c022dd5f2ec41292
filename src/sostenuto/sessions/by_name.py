"""The states of one id by layer and state name, for people who look at them or set them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sostenuto.diagnosis import nearest, shape_of, some
from sostenuto.errors import DataError, StateError
from sostenuto.models.carrying import StateSpec
from sostenuto.sequences.checks import numbers
from sostenuto.stores import Id

States = dict[str, dict[str, np.ndarray]]


def named(specs: Sequence[StateSpec], states: Sequence[np.ndarray]) -> States:
    """States (U,) in the order of ``specs`` as a dict by layer and state name."""
    found: States = {}
    for spec, state in zip(specs, states, strict=True):
        found.setdefault(spec.layer, {})[spec.state] = state
    return found


def replaced(specs: Sequence[StateSpec], states: Sequence[np.ndarray], given: Any, id: Id) -> list[np.ndarray]:
    """States with some of them replaced.

    Args:
        specs: the states of the model.
        states: (U,) each, in the order of ``specs``.
        given: ``{layer: {state: (U,)}}``; those not named stay.
        id: whose states they are, for messages.

    Raises:
        StateError: SO304, there is no such layer or state; SO302, a state has another shape.
        DataError: SO204, SO205, a state holds no finite numbers.
    """
    layers = named(specs, range(len(specs)))  # type: ignore[arg-type]
    after = list(states)
    _check_names(given, layers, "layer", id)
    for layer, of_layer in given.items():
        _check_names(of_layer, layers[layer], f"state of '{layer}'", id)
        for state, value in of_layer.items():
            position: Any = layers[layer][state]
            after[position] = _checked(value, states[position], f"set_state, id {id!r}, state '{state}' of '{layer}'")
    return after


def _check_names(given: Any, known: Mapping[str, Any], what: str, id: Id) -> None:
    unknown = [name for name in given if name not in known] if isinstance(given, Mapping) else None
    if unknown == []:
        return
    near = nearest(str(unknown[0]), known) if unknown else []
    raise StateError(
        f"There is no such {what}." if unknown else "These are no states by name.",
        code="SO304",
        where=f"set_state, id {id!r}",
        got=some(unknown, 3) if unknown else shape_of(given),
        wanted=f"{'names among' if unknown else 'a dict by'} {some(known)}",
        fix=f"write {near[0]!r}" if near else "session.get_state(id) shows the layers and their states",
    )


def _checked(value: Any, now: np.ndarray, where: str) -> np.ndarray:
    array = numbers(value, where)
    if array.shape != now.shape:
        raise StateError(
            "A state has another shape.",
            code="SO302",
            where=where,
            got=shape_of(array),
            wanted=f"{now.shape}, one number per unit; nothing is broadcast",
            fix="pass a state as session.get_state(id) returns it",
        )
    with np.errstate(over="ignore"):
        array = array.astype(now.dtype)
    if not np.isfinite(array).all():
        raise DataError(
            "A state would be missing or infinite.",
            code="SO205",
            where=where,
            got=f"{np.count_nonzero(~np.isfinite(array))} such values (as {now.dtype.name})",
            wanted="finite numbers",
            fix="look where the state comes from",
        )
    return array
