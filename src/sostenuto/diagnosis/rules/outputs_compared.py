"""Targets beside the output that a loss compares them with, wherever that happens: in fit, in its batches, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import padding_in, some_rows
from sostenuto.diagnosis.catalogue import Evidence, Rule
from sostenuto.diagnosis.events import Batch, Failure, LossCall, ModelCall, ModelCalled
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.container_views import inputs_of, is_array, shape_in
from sostenuto.diagnosis.rules.output_ends import last_model, output_seen
from sostenuto.diagnosis.rules.output_views import (
    SPARSE,
    TRAINS,
    Shape,
    asked,
    name_of_loss,
    numbers,
    output_shape,
    outputs_by_name,
    sizes_in,
)
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_ours, layers_of, makes_mask


@dataclass(frozen=True)
class Compared:
    """Targets beside an output, and the loss between them.

    Attributes:
        model: that made the output; None where that is not known.
        output: its shape, the batch axis first.
        target: the shape of the targets.
        loss: the name of Keras's loss; "" for one of the user's own.
        asks: the loss as the user gave it: a name, a function, an object.
        x: the inputs, where they are known.
        y: the targets, where they are known.
        weights: of samples, where they are known.
        call: the fit or evaluate; None where the loss was called by hand.
        place: of the call.
        raised: whether it failed; else it ran, or would run.
    """

    model: Any
    output: Shape
    target: Shape
    loss: str
    asks: Any = field(default=None, repr=False)
    x: Any = field(default=None, repr=False)
    y: Any = field(default=None, repr=False)
    weights: Any = field(default=None, repr=False)
    call: ModelCall | None = field(default=None, repr=False)
    place: Place | None = None
    raised: bool = False

    @property
    def name(self) -> str:
        """What compares them, in words: "model.fit"."""
        if self.call is not None:
            return self.call.name
        return self.loss or "the loss"

    @property
    def targets(self) -> str:
        """The targets in the user's words: "y_train"."""
        if self.call is not None and self.call.y is not None:
            return written(self.call, "y")
        node = self.place.call() if self.place is not None and self.call is None else None
        if node is not None and self.place is not None and len(node.args) == 2:
            return self.place.source(node.args[0])
        return "y"

    @property
    def fits(self) -> bool:
        """Whether shapes are as the loss wants them, trailing axes of 1 apart, which Keras takes care of."""
        output, target = self.output[1:], self.target[1:]
        if self.loss == SPARSE:
            output = output[:-1]
        return _same(_bare(output), _bare(target))


Judge = Callable[[Compared, Seen], Evidence | None]


def counted(pair: Compared) -> np.ndarray | None:
    """The targets that make a difference, in a row: those that have a weight and lie outside of masked padding.

    Of a loss that failed all of them: it may have looked at the others too.
    """
    array = numbers(pair.y)
    if array is None or pair.raised:
        return None if array is None else some_rows(array).ravel()
    weights = numbers(pair.weights)
    if weights is not None and weights.ndim > 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    if weights is not None and weights.shape and weights.shape == array.shape[: weights.ndim]:
        return some_rows(array[weights != 0]).ravel()
    array = some_rows(array)
    if array.size and len(pair.output) == 3 and array.ndim > 1 and any(map(makes_mask, layers_of(pair.model))):
        for value in (array.min(), array.max()):
            if padding_in(array, value) is not None:
                return array[array != value]
    return array.ravel()


def _bare(shape: Shape) -> Shape:
    # Keras squeezes or adds one trailing axis of 1.
    return shape[:-1] if shape and shape[-1] == 1 else shape


def _same(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        left is None or right is None or left == right for left, right in zip(one, other, strict=True)
    )


def on_targets(rule: Rule) -> Callable[[Judge], Judge]:
    """Makes a function look at targets beside outputs, in training that ran and in what failed in a loss.

    Args:
        rule: whose evidence it returns.
    """

    def add(judge: Judge) -> Judge:
        @rule.on(ModelCalled)
        def ran(event: ModelCalled, seen: Seen) -> Evidence | None:
            kept = seen.notes["targets of batches"].pop((rule.code, id(event.model), event.verb), None)
            found = kept[0] if kept is not None else None
            for one in _ran(event, seen) if found is None else ():
                found = found or judge(one, seen)
            # Said of fit, it need not be said of evaluate.
            if found is None or seen.marks(event.model).get(rule.code) == found.cause:
                return None
            seen.mark(event.model, **{rule.code: found.cause})
            return found

        @rule.on(Batch)
        def began(event: Batch, seen: Seen) -> None:
            # Whether it runs or fails is known later, and the batch is gone by then.
            for one in _pairs(event, seen, event.call.place):
                ran, raised = judge(one, seen), judge(replace(one, raised=True), seen)
                if ran is not None or raised is not None:
                    key = rule.code, id(event.call.model), event.call.verb
                    seen.notes["targets of batches"][key] = ran, raised

        @rule.on(LossCall)
        def by_hand(event: LossCall, seen: Seen) -> Iterator[Evidence]:
            one = _of_loss(event, seen) if event.verb is None else None
            if one is not None and (found := judge(one, seen)) is not None:
                yield found

        @rule.on(Failure)
        def failed(event: Failure, seen: Seen) -> Iterator[Evidence]:
            if not in_loss(event):
                return
            call = event.verb
            pending = seen.notes["targets of batches"]
            kept = pending.pop((rule.code, id(call.model), call.verb), None) if call is not None else None
            if kept is not None and kept[1] is not None:
                yield kept[1]
                return
            for one in _failed(event, seen):
                if (found := judge(replace(one, raised=True), seen)) is not None:
                    yield found
                    return

        return judge

    return add


def _ran(event: ModelCalled, seen: Seen) -> list[Compared]:
    if event.verb not in TRAINS or event.within is not None or is_ours(event.model):
        return []
    found = _pairs(event, seen, event.place) if event.y is not None else []
    if found:
        return found
    # Datasets, and several outputs: what the losses were seen to compare.
    known = seen.marks(event.model).get("compared") or []
    return [replace(one, model=event.model, call=event, place=event.place) for one in known]


def _pairs(event: ModelCall | Batch, seen: Seen, place: Place | None) -> list[Compared]:
    found = asked(event)
    if found is None or is_ours(found[0].model) or has_own_training(found[0].model):
        return []
    call, x, y = found
    weights = call.options.get("sample_weight")
    pairs = outputs_by_name(call.model, y, weights)
    if not pairs:
        output = output_shape(call.model) or output_seen(call.model, seen)
        pairs = [(output, y, getattr(call.model, "loss", None), weights)] if output is not None else []
    return [
        Compared(call.model, output, target, name_of_loss(loss), loss, x, one, weight, call, place)
        for output, one, loss, weight in pairs
        if (target := shape_in(one)) and len(output) >= 2
    ]


def has_own_training(model: Any) -> bool:
    """Whether a model's class compares targets with outputs in a way of its own: train_step, compute_loss."""
    return any(
        name in vars(kind)
        for kind in type(model).__mro__
        if kind.__module__.partition(".")[0] != "keras"
        for name in ("train_step", "test_step", "compute_loss")
    )


def _of_loss(event: LossCall, seen: Seen) -> Compared | None:
    output, target = sizes_in(event.y_pred), sizes_in(event.y_true)
    if output is None or not target or len(output) < 2:
        return None
    model = event.verb.model if event.verb is not None else last_model(seen)
    loss = name_of_loss(event.loss)
    return Compared(model, output, target, loss, event.loss, y=event.y_true, place=event.place)


def remember_compared(event: LossCall, seen: Seen) -> None:
    """Remembers what a loss compared in training: shapes only, batches are the user's data.

    Args:
        event: a call of a loss; by hand, or of targets that were given as arrays, it is looked at elsewhere.
        seen: what was seen.
    """
    verb = event.verb
    if verb is None or verb.within is not None or (is_array(verb.y) and not has_own_training(verb.model)):
        return
    one = _of_loss(event, seen)
    if one is None:
        return
    known = seen.marks(verb.model).get("compared") or []
    sizes = one.output[1:], one.target[1:]
    if len(known) < 8 and all(sizes != (other.output[1:], other.target[1:]) for other in known):
        bare = replace(one, model=None, y=None, place=None)
        seen.mark(verb.model, compared=[*known, bare])


def in_loss(failure: Failure) -> bool:
    """Whether an exception came out of a loss or a metric, as far as its frames and its message say."""
    for file, function, _ in reversed(failure.frames):
        path = file.replace("\\", "/")
        if "/keras/src/" in path and ("/losses/" in path or "/metrics/" in path or function == "compute_loss"):
            return True
    if "compile_loss" in failure.message or "compile_metrics" in failure.message:
        return True
    # Keras takes its own frames out of a traceback; what failed in a layer names it.
    return not any("/keras/src/" in file for file, _, _ in failure.frames) and not failure.calls


def _failed(failure: Failure, seen: Seen) -> list[Compared]:
    call = failure.verb
    if call is not None and (call.verb not in TRAINS or is_ours(call.model)):
        return []
    if call is not None and call.y is not None and call.within is None:
        several = is_array(call.x) and len(inputs_of(call.model)) > 1
        found = [] if several else _pairs(call, seen, call.place)
        if found:
            return found
    # By hand, or in batches of a dataset: what the loss has before it.
    for file, function, names in reversed(failure.frames):
        if function == "__call__" and file.replace("\\", "/").endswith("keras/src/losses/loss.py"):
            event = LossCall(failure.place, names.get("self"), names.get("y_true"), names.get("y_pred"), call)
            one = _of_loss(event, seen)
            return [replace(one, call=call)] if one is not None else []
    return []
