"""Finds layers that make a sequence in pieces give something else than the sequence whole.

A recurrent layer that reads forwards carries all it knows in its state. One that reads backwards needs what is yet to
come, and other layers that look at several steps (convolution, attention, pooling) would have to remember them. Layers
that are known are judged by what they are; with any other the model itself is asked, whole and in pieces.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.errors import ModelError
from sostenuto.layers import Bidirectional
from sostenuto.models import probe

_PIECES = (3, 1, 2)
_TOLERANCE = 1e-4


def check_cuts(model: Any) -> None:
    """Refuses a model that cannot be run in chunks or live.

    Args:
        model: the built SequenceModel.

    Raises:
        ModelError: SO607.
    """
    if model.cuts_checked:
        return
    for layer in probe.leaves(model.inner):
        if isinstance(layer, Bidirectional):
            raise _needs_the_future(model, layer, "it reads every sequence from both ends")
        if getattr(layer, "go_backwards", False):
            raise _needs_the_future(model, layer, "it reads every sequence from its end (go_backwards=True)")
    suspicious = [*probe.suspects(model.inner), *model.carried.passed_by]
    if suspicious and not _same_in_pieces(model):
        named = ", ".join(f"{type(layer).__name__} '{layer.name}'" for layer in suspicious)
        raise ModelError(
            f"The model '{model.name}' cannot run sequences in pieces.",
            code="SO607",
            where=f"one of: {named}",
            got="other results for a sequence in three pieces than for the same sequence whole",
            wanted="layers that work step by step, or that carry what they remember in a recurrent state",
            fix="run sequences whole (no chunk, no session), or put recurrent layers in their place",
        )
    model.cuts_checked = True


def _needs_the_future(model: Any, layer: Any, why: str) -> ModelError:
    return ModelError(
        f"The model '{model.name}' cannot run sequences in pieces.",
        code="SO607",
        where=f"{type(layer).__name__} '{layer.name}'",
        got=f"a layer that needs steps yet to come: {why}",
        wanted="layers that read forwards",
        fix="run sequences whole (no chunk, no session), or use a recurrent layer that reads forwards",
    )


def _same_in_pieces(model: Any) -> bool:
    steps = sum(_PIECES)
    declared = model.declared_steps
    values = probe.sample(model, (2, steps if declared is None else min(steps, declared), model.feature_count))
    run = model.step_function
    whole, _ = _outputs(model, run, values, run.initial(2))
    states, start, parts = run.initial(2), 0, []
    for piece in _PIECES:
        part = values[:, start : start + piece]
        if part.shape[1] == 0:
            break
        output, states = _outputs(model, run, part, states)
        parts.append(output)
        start += piece
    joined = np.concatenate(parts, axis=1) if model.output_per == "step" else parts[-1]
    return joined.shape == whole.shape and np.allclose(joined, whole, rtol=_TOLERANCE, atol=_TOLERANCE)


def _outputs(model: Any, run: Any, values: np.ndarray, states: list[np.ndarray]) -> Any:
    steps = values.shape[1]
    missing = 0 if model.declared_steps is None else model.declared_steps - steps
    padded = np.pad(values, ((0, 0), (0, missing), (0, 0)))
    outputs, states = run(padded, np.full(len(values), steps), states)
    return (outputs[:, :steps] if model.output_per == "step" else outputs), states
