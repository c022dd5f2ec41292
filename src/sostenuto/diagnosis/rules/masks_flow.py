"""Where masks begin, go on and end, as the calls of layers show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sostenuto.diagnosis.events import LayerCall
from sostenuto.diagnosis.rules.masks_graph import READERS, producer
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_keras, is_model, kinds, makes_mask, source_of, title


@dataclass(frozen=True)
class Beginning:
    """A layer where a mask begins; facts only, the layer is not kept.

    Attributes:
        number: its id().
        name: class and name.
        value: the value that it masks.
        tokens: whether it is an Embedding.
        source: the call that made it.
    """

    number: int
    name: str
    value: float
    tokens: bool
    source: str

    @property
    def by_hand(self) -> str:
        """The line that makes the same mask of the inputs of a model."""
        if self.tokens:
            return "mask = keras.ops.not_equal(inputs, 0)"
        return f"mask = keras.ops.any(keras.ops.not_equal(inputs, {self.value}), axis=-1)"


@dataclass(frozen=True)
class Ending:
    """Where a mask ended although the steps go on.

    Attributes:
        begins: where it began.
        name: class and name of the layer that dropped it; a function on tensors in words.
        kind: the name of its class.
        own: whether the class is one of the program's.
        source: the call that made it, or "".
        place: where it was made or called.
    """

    begins: Beginning
    name: str
    kind: str
    own: bool
    source: str
    place: Place | None


def tensors_in(value: Any) -> list[Any]:
    """The tensors of inputs or outputs, the first level of lists and dictionaries."""
    if isinstance(value, dict):
        value = list(value.values())
    parts = value if isinstance(value, list | tuple) else [value]
    return [one for one in parts[:16] if hasattr(one, "shape")]


def _rank(tensor: Any) -> int:
    try:
        return len(tensor.shape)
    except (TypeError, ValueError):
        return 0


def follow(event: LayerCall, seen: Seen) -> None:
    """Follows masks through one call: what came with one, what went on with one, and what lost it.

    What is known goes with the tensors: ``mask_begins`` where a mask is on it, ``mask_ended`` where it was lost.
    """
    layer = event.layer
    if not is_keras(layer) or "InputLayer" in kinds(layer):
        return
    inputs, outputs = tensors_in(event.inputs), tensors_in(event.output)
    _trace(event, inputs, outputs, seen)
    if makes_mask(layer) and event.returned_mask:
        begins: Beginning | None = beginning(layer, seen)
        if event.outer is not None:
            seen.mark(event.outer.layer, mask_begun=begins)
    else:
        begins = _first(inputs, "mask_begins", seen)
    if event.returned_mask:
        if not event.symbolic:
            seen.mark(layer, returned_mask=True)
        for one in outputs:
            if begins is not None:
                seen.mark(one, mask_begins=begins)
        return
    if is_model(layer):
        # What stands inside was seen by itself; what comes out goes into the loss.
        lost = _first(outputs[:1], "mask_ended", seen)
        if lost is not None and _rank(outputs[0]) == 3:
            seen.mark(layer, output_lost=lost)
        return
    ended = _first(inputs, "mask_ended", seen)
    if event.masked and begins is not None and not kinds(layer) & READERS:
        ended = _ending(layer, begins, event, seen)
    elif not event.masked and ended is None:
        ended = _between(inputs, event, seen) or _within_a_call(inputs, event, seen)
    if ended is None:
        return
    if not event.masked and kinds(layer) & READERS and not _inside_reader(event):
        seen.mark(layer, mask_lost=ended)
    for one in outputs:
        if _rank(one) >= 3 and not kinds(layer) & {"RepeatVector"}:
            seen.mark(one, mask_ended=ended)


def _first(tensors: list[Any], name: str, seen: Seen) -> Any:
    return next((facts[name] for one in tensors if name in (facts := seen.marks(one))), None)


def _inside_reader(event: LayerCall) -> bool:
    # Bidirectional and TimeDistributed call what they hold.
    return event.outer is not None and bool(kinds(event.outer.layer) & {"Wrapper", "RNN"})


def beginning(layer: Any, seen: Seen) -> Beginning:
    """What is to be known of a layer where a mask begins."""
    tokens = "Embedding" in kinds(layer)
    value = 0.0 if tokens else float(getattr(layer, "mask_value", 0.0))
    return Beginning(id(layer), title(layer), value, tokens, source_of(layer, seen))


def _ending(layer: Any, begins: Beginning, event: LayerCall, seen: Seen) -> Ending:
    own = not type(layer).__module__.startswith("keras.")
    place = seen.history(layer).made or event.place
    source = seen.history(layer).source
    return Ending(begins, title(layer), type(layer).__name__, own, source, place.bare() if place is not None else None)


def _between(inputs: list[Any], event: LayerCall, seen: Seen) -> Ending | None:
    # A function on tensors makes a new tensor, and the mask stays with the old one.
    for operation, read in _functions(inputs):
        begins = _first(read, "mask_begins", seen)
        ended = _first(read, "mask_ended", seen)
        if ended is not None:
            return ended
        if begins is None:
            continue
        place = event.place.bare() if event.place is not None else None
        return Ending(begins, _function_words(operation), type(operation).__name__, False, "", place)
    return None


def _within_a_call(inputs: list[Any], event: LayerCall, seen: Seen) -> Ending | None:
    # In a call of the program's own, functions on tensors leave no trace: the mask was there, and did not arrive.
    outer = event.outer
    if (
        outer is None
        or not kinds(event.layer) & {"RNN", "Bidirectional"}
        or type(outer.layer).__module__[:6] == "keras."
    ):
        return None
    begins = seen.marks(outer.layer).get("mask_begun")
    given = tensors_in(outer.inputs)
    if begins is None or len(given) != 1 or not inputs or any(inputs[0] is one for one in given):
        return None
    if _steps(inputs[0]) != _steps(given[0]) or seen.marks(inputs[0]).get("traced"):
        return None
    place = event.place.bare() if event.place is not None else None
    return Ending(begins, f"a function on tensors in the call of {title(outer.layer)}", "", False, "", place)


def _trace(event: LayerCall, inputs: list[Any], outputs: list[Any], seen: Seen) -> None:
    # Tensors that came from the model's input through layers alone: no function was between.
    given = tensors_in(event.outer.inputs) if event.outer is not None else []
    if makes_mask(event.layer):
        for one in inputs:
            seen.mark(one, traced=True)
    if all(seen.marks(one).get("traced") or any(one is other for other in given) for one in inputs):
        for one in outputs:
            seen.mark(one, traced=True)


def _steps(tensor: Any) -> Any:
    shape = tuple(tensor.shape) if _rank(tensor) > 1 else ()
    return shape[:2]


def _functions(tensors: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    waiting = list(tensors[:1])
    known: set[int] = set()
    while waiting and len(known) < 50:
        one = waiting.pop(0)
        made = producer(one)
        if made is None or id(one) in known or "Layer" in kinds(made[0]):
            continue
        known.add(id(one))
        yield made
        waiting += made[1]


def _function_words(operation: Any) -> str:
    names = {
        "Multiply": "x * ...",
        "Add": "x + ...",
        "Subtract": "x - ...",
        "TrueDivide": "x / ...",
        "GetItem": "x[...]",
    }
    kind = type(operation).__name__
    return f"keras.ops ({names.get(kind, kind.lower())})"
