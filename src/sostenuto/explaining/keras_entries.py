"""Keras: which public entry points are wrapped, and which event each of them becomes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sostenuto.diagnosis.events import (
    Batch,
    LayerCall,
    LayerMade,
    LossCall,
    ModelCall,
    ModelCalled,
    Padded,
    StateReset,
    Windows,
)
from sostenuto.diagnosis.source import place_now

if TYPE_CHECKING:
    from sostenuto.explaining.patches import Patches
    from sostenuto.explaining.watching import Watch

VERBS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")

# Whose modules have Keras's functions: TensorFlow imports them again under names of its own.
MODULES = ("keras", "tensorflow.keras")

# Calls of a layer that are looked at; a loop on torch makes millions.
_MOST = 200


def wrap(watch: Watch, patches: Patches) -> None:
    """Wraps Keras, which is imported."""
    import keras

    entries = _Entries(watch)
    if keras.config.is_traceback_filtering_enabled():
        # Frames between the user's line and the layer say what happened; filtering drops them.
        keras.config.disable_traceback_filtering()
        watch.shortens = True
        patches.later(keras.config.enable_traceback_filtering)
    patches.method(keras.layers.Layer, "__init__", entries.made)
    patches.method(keras.layers.Layer, "__call__", entries.called)
    for verb in VERBS:
        patches.method(keras.Model, verb, entries.verb(verb))
    for owner in (keras.layers.RNN, keras.layers.Bidirectional):
        for name in ("reset_state", "reset_states"):
            patches.method(owner, name, entries.reset)
    patches.method(keras.losses.Loss, "__call__", entries.compared)
    patches.function(MODULES, keras.utils.pad_sequences, entries.padded)
    patches.function(MODULES, keras.utils.timeseries_dataset_from_array, entries.windows)
    patches.place()


def _named(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    # Every argument by name, defaults filled in; what can't be bound stays as it was given.
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return dict(kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


class _Entries:
    """What is called around the functions of Keras."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def made(self, original: Any, layer: Any, *args: Any, **kwargs: Any) -> None:
        original(layer, *args, **kwargs)
        if self.watch.active and not self.watch.busy:
            self.watch.saw(LayerMade(place_now(), layer, kwargs))

    def called(self, original: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
        watch = self.watch
        if not watch.active or watch.busy:
            return original(layer, *args, **kwargs)
        if watch.seen.history(layer).count > _MOST:
            # No longer looked at, but for the call that fails.
            try:
                return original(layer, *args, **kwargs)
            except BaseException:
                watch.failing.append(self._event(layer, args, kwargs))
                raise
        event = self._event(layer, args, kwargs)
        calls = watch.calls
        watch.failing.clear()
        calls.append(event)
        try:
            event.output = original(layer, *args, **kwargs)
        except BaseException:
            watch.failing.append(event)
            raise
        finally:
            calls.pop()
        event.returned_mask = _mask_of(event.output) is not None
        watch.saw(event)
        return event.output

    def _event(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LayerCall:
        inputs = args[0] if args else kwargs.get("inputs")
        options = {f"argument {number}": value for number, value in enumerate(args[1:], 1)} | kwargs
        masked = kwargs.get("mask") is not None or _mask_of(inputs) is not None
        calls = self.watch.calls
        return LayerCall(
            place_now() if not calls else calls[-1].place,
            layer,
            inputs,
            options,
            masked,
            symbolic=_is_symbolic(inputs),
            outer=calls[-1] if calls else None,
        )

    def verb(self, name: str) -> Any:
        def around(original: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            watch = self.watch
            if not watch.active or watch.busy:
                return original(model, *args, **kwargs)
            options = _given(original, model, args, kwargs)
            verbs = watch.verbs
            place = place_now()
            x, y = options.pop("x", None), options.pop("y", None)
            event = ModelCall(place, name, model, x, y, options, verbs[-1] if verbs else None)
            watch.saw(event)
            watch.failing_verbs.clear()
            verbs.append(event)
            if args and inspect.isgenerator(args[0]):
                args = (self._looked_into(args[0], event), *args[1:])
            elif inspect.isgenerator(kwargs.get("x")):
                kwargs = {**kwargs, "x": self._looked_into(kwargs["x"], event)}
            try:
                result = original(model, *args, **kwargs)
            except BaseException:
                watch.failing_verbs.append(event)
                raise
            finally:
                verbs.pop()
            done = ModelCalled(place, name, model, x, y, options, event.within, result, batches=event.batches)
            watch.saw(done)
            return result

        return around

    def _looked_into(self, generator: Iterator[Any], call: ModelCall) -> Iterator[Any]:
        first = True
        for batch in generator:
            call.batches += 1
            if first:
                first = False
                x, y = (batch[0], batch[1]) if isinstance(batch, tuple) and len(batch) > 1 else (batch, None)
                self.watch.saw(Batch(call.place, call, x, y))
            yield batch

    def reset(self, original: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(layer, *args, **kwargs)
        # Building a model, and Bidirectional, reset states on their own; a callback of the user's does it within fit.
        own = "/keras/src/" in sys._getframe(2).f_code.co_filename.replace("\\", "/")
        if self.watch.active and not self.watch.busy and not self.watch.calls and not own:
            self.watch.saw(StateReset(place_now(), layer))
        return result

    def compared(self, original: Any, loss: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(loss, *args, **kwargs)
        watch = self.watch
        if watch.active and not watch.busy and watch.seen.history(loss).count < _MOST:
            watch.seen.history(loss).count += 1
            given = dict(zip(("y_true", "y_pred"), args, strict=False)) | kwargs
            verb = watch.verbs[-1] if watch.verbs else None
            watch.saw(LossCall(place_now(), loss, given.get("y_true"), given.get("y_pred"), verb))
        return result

    def padded(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        options = _named(original, args, kwargs)
        sequences = options.pop("sequences", ())
        self.watch.saw(Padded(place_now(), "pad_sequences", sequences, options, result))
        return result

    def windows(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        options = _named(original, args, kwargs)
        data, targets = options.pop("data", None), options.pop("targets", None)
        self.watch.saw(Windows(place_now(), data, targets, options, result))
        return result


def _given(function: Any, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    # Only what was given: rules tell a default from a choice.
    try:
        bound = inspect.signature(function).bind(model, *args, **kwargs)
    except (TypeError, ValueError):
        return dict(kwargs)
    arguments = dict(bound.arguments)
    arguments.pop("self", None)
    arguments.update(arguments.pop("kwargs", {}))
    return arguments


def _is_symbolic(inputs: Any) -> bool:
    import keras

    return any(isinstance(one, keras.KerasTensor) for one in keras.tree.flatten(inputs))


def _mask_of(inputs: Any) -> Any:
    from sostenuto.layers.attached_mask import attached_mask

    # Layers of several inputs, and those that return states as well: any of them.
    parts = inputs if isinstance(inputs, list | tuple) else (inputs,)
    masks = (attached_mask(one) for one in parts[:8] if hasattr(one, "shape"))
    return next((mask for mask in masks if mask is not None), None)
