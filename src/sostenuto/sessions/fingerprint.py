"""Which model wrote a store: its states, its features, its weights. Noted in the store, compared when it is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from sostenuto.diagnosis import some
from sostenuto.errors import StoreError
from sostenuto.models.checks import title
from sostenuto.stores import Store

NOTE = "model"
FORMAT = 1


def fingerprint(model: Any) -> dict[str, Any]:
    """What of a model decides whether it can go on from stored states.

    Args:
        model: the built SequenceModel.

    Returns:
        ``states`` (layer, state, size and dtype of each), ``output_per``, ``output_axes``, ``feature_count``,
        ``feature_names``, and ``weights``: the SHA-256 of all weights with their names and shapes, in order. Names of
        layers are left out of it: a model that is built again has the same weights in "lstm_3" as in "lstm".

    Example:
        >>> import sostenuto as so
        >>> model = so.SequenceModel([so.GRU(4, name="gru")])
        >>> model.build(3)
        >>> fingerprint(model)["states"]
        [['gru', 'h', 4, 'float32']]
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        array = np.ascontiguousarray(ops.convert_to_numpy(weight.value))
        digest.update(f"{weight.name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return {
        "format": FORMAT,
        "states": [[spec.layer, spec.state, spec.size, spec.dtype] for spec in model.carried.specs],
        "output_per": model.output_per,
        "output_axes": list(model.output_axes),
        "feature_count": model.feature_count,
        "feature_names": list(model.feature_names),
        "weights": digest.hexdigest(),
    }


def agree(model: Any, store: Store, other_model: str) -> None:
    """Notes the model in a new store, and refuses the store of another model unless told otherwise.

    Args:
        model: the built SequenceModel.
        store: the store.
        other_model: ``"refuse"``; ``"fresh"`` forgets what another model left; ``"migrate"`` goes on from the states
            that other weights left.

    Raises:
        StoreError: SO903, another model wrote the store.
    """
    mine, theirs = fingerprint(model), _read(store.note(NOTE))
    differences = _differences(theirs, mine)
    if theirs is not None and not differences and theirs["weights"] == mine["weights"]:
        return  # at most names of layers are others
    if next(store.ids(), None) is not None:
        if other_model == "fresh":
            store.clear()
        elif differences or other_model != "migrate":
            raise _refused(model, store, differences, other_model)
    store.set_note(NOTE, json.dumps(mine))


def _read(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text or "")
        return found if found["format"] == FORMAT and found.keys() >= {"weights", *_WORDED} else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _differences(theirs: dict[str, Any] | None, mine: dict[str, Any]) -> list[str]:
    """What of two models does not let one go on from the other's states, in words: store first."""
    if theirs is None:
        return ["no note that says which model wrote its states"]
    return [
        f"{name.replace('_', ' ')}: {worded(theirs[name])} in the store, {worded(mine[name])} in the model"
        for name, worded in _WORDED.items()
        if not _same(name, theirs[name], mine[name])
    ]


def _same(name: str, was: Any, now: Any) -> bool:
    if name == "states":
        return [state[1:] for state in was] == [state[1:] for state in now]
    # A model that has seen no data knows no names yet.
    return was == now or (name == "feature_names" and not (was and now))


def _states(states: list[list[Any]]) -> str:
    return ", ".join(f"{layer} {state} ({size},) {dtype}" for layer, state, size, dtype in states) or "none"


_WORDED: dict[str, Callable[[Any], str]] = {
    "states": _states,
    "output_per": str,
    "output_axes": lambda axes: f"({', '.join(map(str, axes))})",
    "feature_count": str,
    "feature_names": lambda names: some(names, 5),
}


def _refused(model: Any, store: Store, differences: list[str], other_model: str) -> StoreError:
    fix = "open it with the model that wrote it; or other_model='fresh' to forget its states and begin anew"
    if not differences:
        fix += ",\nor other_model='migrate' to go on from them with these weights"
    elif other_model == "migrate":
        fix += ";\nother_model='migrate' is for other weights in the same layers"
    return StoreError(
        "The store was written by another model.",
        code="SO903",
        where=f"{title(model)} -> {store.name}",
        got="\n".join(differences) or "weights: other numbers in layers of the same sizes",
        wanted="the states of this model",
        fix=fix,
    )
