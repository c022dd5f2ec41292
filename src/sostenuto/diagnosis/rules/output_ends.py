"""Where a model's output comes from: its last layer and its shape, also of subclasses, which are seen as they run."""

from __future__ import annotations

import weakref
from typing import Any

from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.container_views import is_array
from sostenuto.diagnosis.rules.output_views import Shape, last_layer, last_recurrent, sizes_in
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import before, is_model, is_recurrent


def remember_ends(event: LayerCall, seen: Seen) -> None:
    """Remembers which layer a model's output came from.

    Args:
        event: a call of a layer or of a model.
        seen: what was seen.
    """
    outer = event.outer.layer if event.outer is not None else None
    if outer is not None and is_model(outer):
        facts = {"inner": (seen.history(event.layer).reference, _weak(event.output))}
        if is_recurrent(event.layer):
            facts["recurrent"] = (seen.history(event.layer).reference, 0)
        seen.mark(outer, **facts)
    if not is_model(event.layer):
        return
    reference, output = seen.marks(event.layer).get("inner", (None, None))
    # Not by id(): one that is gone leaves its id to another.
    last = reference if output is not None and output() is event.output else None
    seen.mark(event.layer, last=last, output_shape=sizes_in(event.output) if is_array(event.output) else None)
    if outer is None and not event.symbolic:
        seen.notes["output ends"]["model"] = seen.history(event.layer).reference


def _weak(output: Any) -> Any:
    # A list or a tuple of outputs has no life that Python could follow.
    try:
        return weakref.ref(output)
    except TypeError:
        return None


def last_model(seen: Seen) -> Any:
    """The model that was called last, by fit or by hand; None where none was."""
    found = seen.notes["output ends"].get("model")
    return found() if found is not None else None


def output_seen(model: Any, seen: Seen) -> Shape | None:
    """The shape of the output that a model was seen to return, its batch axis open; None where it returned several."""
    shape = seen.marks(model).get("output_shape")
    return (None, *shape[1:]) if shape else None


def end_of(model: Any, seen: Seen, output: Shape | None = None) -> Any:
    """The layer that makes a model's output: by its graph, or as it was seen to run; None where neither says.

    Args:
        model: a model of Keras, or None.
        seen: what was seen.
        output: the shape of the output, where the model has several.
    """
    if model is None:
        return None
    found = last_layer(model, output)
    if found is None:
        reference = seen.marks(model).get("last")
        found = reference() if reference is not None else None
    return found


def recurrent_end(model: Any, seen: Seen, output: Shape | None = None) -> Any:
    """The recurrent layer nearest to a model's output, or None; arguments as for ``end_of``."""
    if model is None:
        return None
    last = last_layer(model, output)
    if last is not None:
        near = next((layer for layer in [last, *before(model, last)] if is_recurrent(layer)), None)
        if near is not None:
            return near
    reference, _ = seen.marks(model).get("recurrent", (None, 0))
    return (reference() if reference is not None else None) or last_recurrent(model)
