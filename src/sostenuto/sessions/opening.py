"""Whether a model can be run live, and evicted as it is told."""

from __future__ import annotations

from typing import Any

from sostenuto.diagnosis import shape_of
from sostenuto.errors import ModelError, SessionError
from sostenuto.models import SequenceModel
from sostenuto.models.checks import title
from sostenuto.models.cutting import check_cuts


def check_model(model: Any) -> None:
    """Refuses what cannot run sequences in pieces.

    Raises:
        ModelError: SO601, it is no SequenceModel; SO608, it is not built; SO607, a layer needs what comes later.
    """
    if not isinstance(model, SequenceModel):
        raise ModelError(
            "A session runs a SequenceModel.",
            code="SO601",
            where="argument 'model'",
            got=shape_of(model),
            wanted="a so.SequenceModel",
            fix="wrap it: so.SequenceModel(model)",
        )
    if not model.inner.built:
        raise ModelError(
            f"{title(model)} is not built.",
            code="SO608",
            where="session",
            got="layers without weights: how many features a step has is not known yet",
            wanted="a model that was built, fitted or loaded",
            fix="model.build(features), or fit it first",
        )
    check_cuts(model)


def check_eviction(idle: Any, on_evict: Any) -> None:
    """Refuses what is no time and no hook.

    Raises:
        SessionError: SO315.
    """
    seconds = isinstance(idle, int | float) and not isinstance(idle, bool) and idle > 0
    if (idle is None or seconds) and (on_evict is None or callable(on_evict)):
        return
    name, value = ("on_evict", on_evict) if idle is None or seconds else ("idle", idle)
    raise SessionError(
        "The session cannot evict like this.",
        code="SO315",
        where=f"argument '{name}'",
        got=repr(value) if isinstance(value, int | float | str) else shape_of(value),
        wanted="None, or a function of a list of ids" if name == "on_evict" else "None, or seconds above 0",
        fix="pass on_evict=function" if name == "on_evict" else "pass idle=600 for ten minutes",
    )
