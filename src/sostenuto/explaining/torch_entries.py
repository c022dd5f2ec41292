"""torch: which public entry points are wrapped, and which event each of them becomes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from sostenuto.diagnosis.events import LayerMade, TorchCall, TorchFunction
from sostenuto.diagnosis.source import place_now

if TYPE_CHECKING:
    from sostenuto.explaining.patches import Patches
    from sostenuto.explaining.watching import Watch

MODULES = ("RNNBase", "RNNCellBase", "Linear", "Embedding", "BatchNorm1d", "Conv1d")
LOSSES = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "nll_loss",
)
PADDING = ("pad_sequence", "pack_padded_sequence", "pad_packed_sequence", "pack_sequence")

_MOST = 200


def wrap(watch: Watch, patches: Patches) -> None:
    """Wraps torch, which is imported."""
    # Adapters alone import a backend; this one is there, or nobody would call.
    torch = sys.modules["torch"]
    entries = _Entries(watch)
    for name in MODULES:
        module = getattr(torch.nn, name, None) or getattr(torch.nn.modules.rnn, name, None)
        if module is not None:
            patches.method(module, "__init__", entries.made)
            patches.method(module, "__call__", entries.called)
    for name in LOSSES:
        patches.function("torch", getattr(torch.nn.functional, name, None), entries.function(name))
    for name in PADDING:
        patches.function("torch", getattr(torch.nn.utils.rnn, name, None), entries.function(name))
    patches.method(torch.Tensor, "__getitem__", entries.index)
    patches.method(torch.utils.data.DataLoader, "__init__", entries.loader)


class _Entries:
    """What is called around the functions of torch."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def made(self, original: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        original(module, *args, **kwargs)
        if self.watch.active and not self.watch.busy:
            self.watch.saw(LayerMade(place_now(), module, kwargs))

    def called(self, original: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        watch = self.watch
        if not watch.active or watch.busy:
            return original(module, *args, **kwargs)
        if watch.seen.history(module).count > _MOST:
            # No longer looked at, but for the call that fails.
            try:
                return original(module, *args, **kwargs)
            except BaseException:
                watch.failing.append(TorchCall(place_now(), module, (*args, *kwargs.values())))
                raise
        event = TorchCall(place_now(), module, (*args, *kwargs.values()))
        watch.failing.clear()
        try:
            event.output = original(module, *args, **kwargs)
        except BaseException:
            watch.failing.append(event)
            raise
        watch.saw(event)
        return event.output

    def function(self, name: str) -> Any:
        def around(original: Any, *args: Any, **kwargs: Any) -> Any:
            output = original(*args, **kwargs)
            if self.watch.active and not self.watch.busy and self._few(name):
                place = place_now()
                # Keras on torch calls these too, for reasons of its own.
                if place is not None:
                    self.watch.saw(TorchFunction(place, name, args, kwargs, output))
            return output

        return around

    def index(self, original: Any, tensor: Any, index: Any) -> Any:
        output = original(tensor, index)
        # Only of tensors that a rule has marked: programs index by the million.
        if self.watch.active and not self.watch.busy and self.watch.seen.marks(tensor) and self._few("getitem"):
            self.watch.saw(TorchFunction(place_now(), "getitem", (tensor, index), {}, output))
        return output

    def loader(self, original: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
        original(loader, *args, **kwargs)
        if self.watch.active and not self.watch.busy:
            self.watch.saw(TorchFunction(place_now(), "DataLoader", (loader, *args), kwargs))

    def _few(self, name: str) -> bool:
        counts = self.watch.seen.notes["torch functions"]
        counts[name] = counts.get(name, 0) + 1
        return counts[name] <= 20 * _MOST
