"""torch: which public entry points are wrapped, and which event each of them becomes."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from sostenuto.diagnosis.events import LayerMade, TorchCall, TorchFunction
from sostenuto.diagnosis.source import is_users, place_now
from sostenuto.explaining.patches import Patches

if TYPE_CHECKING:
    from sostenuto.explaining.watching import Watch

MODULES = (
    *("RNNBase", "RNNCellBase", "Linear", "Embedding", "BatchNorm1d", "Conv1d"),
    *("Dropout", "LayerNorm", "Flatten", "Softmax", "LogSoftmax", "Sigmoid"),
    *("ReLU", "LeakyReLU", "Tanh", "GELU", "ELU", "SiLU", "Identity"),
)
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

# What a tensor's facts go through (rules/torch_following.py). Seen only for tensors that a rule has marked.
METHODS = (
    *("transpose", "swapaxes", "swapdims", "permute", "movedim", "t", "view", "reshape", "flatten", "squeeze"),
    *("unsqueeze", "contiguous", "clone", "detach", "detach_", "float", "double", "long", "to", "cpu", "cuda"),
    *("mean", "sum", "max", "amax", "softmax", "log_softmax", "sigmoid", "tanh", "relu", "index_select"),
)
FUNCTIONS = (
    *("transpose", "swapaxes", "swapdims", "permute", "movedim", "reshape", "flatten", "squeeze", "unsqueeze"),
    *("mean", "sum", "max", "amax", "softmax", "log_softmax", "sigmoid", "tanh", "relu", "cat", "index_select"),
)
FUNCTIONALS = ("softmax", "log_softmax", "sigmoid", "tanh", "relu", "leaky_relu", "gelu", "elu", "silu", "dropout")

_MOST = 200


def wrap(watch: Watch, patches: Patches) -> None:
    """Wraps torch, which is imported."""
    # Adapters alone import a backend; this one is there, or nobody would call.
    torch = sys.modules["torch"]
    entries = _Entries(watch)
    _wrap(torch, entries, entries.patches)
    patches.later(entries.patches.undo)
    # Compilers read the source of what they find under a name, and have to find torch's own.
    patches.name(torch, "compile", entries.compiled)
    patches.name(torch.export, "export", entries.compiled)
    patches.name(torch.jit, "script", entries.scripted)


def _wrap(torch: Any, entries: _Entries, patches: Patches) -> None:
    for name in MODULES:
        module = getattr(torch.nn, name, None) or getattr(torch.nn.modules.rnn, name, None)
        if module is not None:
            patches.method(module, "__init__", entries.made)
            patches.method(module, "__call__", entries.called)
    for name in LOSSES:
        patches.function(("torch",), getattr(torch.nn.functional, name, None), entries.function(name))
    for name in PADDING:
        patches.function(("torch",), getattr(torch.nn.utils.rnn, name, None), entries.function(name))
    patches.place()
    patches.method(torch.Tensor, "__getitem__", entries.index)
    patches.method(torch.utils.data.DataLoader, "__init__", entries.loader)
    patches.method(torch.utils.data.DataLoader, "__iter__", entries.iteration)
    iterator = getattr(torch.utils.data.dataloader, "_BaseDataLoaderIter", None)
    if iterator is not None:
        patches.method(iterator, "__next__", entries.batch)
    for name in METHODS:
        patches.name(torch.Tensor, name, entries.followed(name))
    for name in FUNCTIONS:
        patches.name(torch, name, entries.followed(name))
    for name in FUNCTIONALS:
        patches.name(torch.nn.functional, name, entries.followed(name))
    patches.method(torch.Tensor, "backward", entries.backward)
    patches.method(torch.optim.Optimizer, "__init__", entries.optimizer)
    patches.method(torch.optim.Optimizer, "zero_grad", entries.zero_grad)
    patches.method(torch.nn.Module, "zero_grad", entries.zero_grad)
    patches.method(torch.nn.Module, "load_state_dict", entries.loaded)
    # Steps are seen through the hooks that torch offers for all optimizers.
    register = getattr(sys.modules.get("torch.optim.optimizer"), "register_optimizer_step_post_hook", None)
    if register is not None:
        patches.later(register(entries.stepped).remove)


class _Entries:
    """What is called around the functions of torch."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.patches = Patches()
        self.scripting = False

    def compiled(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        # It compiles when it is called, at any time from now on: nothing of torch is looked at any more.
        self.patches.undo()
        return original(*args, **kwargs)

    def scripted(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        # It looks for names in the frame that called it, two below ours.
        if "_frames_up" in inspect.signature(original).parameters:
            kwargs["_frames_up"] = kwargs.get("_frames_up", 0) + 2
        # Compiling a function compiles those it calls, through the same door.
        outermost, self.scripting = not self.scripting, True
        self.patches.undo()
        try:
            return original(*args, **kwargs)
        finally:
            self.scripting = not outermost
            if self.watch.active and outermost:
                _wrap(sys.modules["torch"], self, self.patches)

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
        event.gradients = sys.modules["torch"].is_grad_enabled()
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

    def iteration(self, original: Any, loader: Any) -> Any:
        iterator = original(loader)
        self._see("DataLoader.__iter__", (loader,), {}, iterator)
        return iterator

    def batch(self, original: Any, iterator: Any) -> Any:
        batch = original(iterator)
        self._see("DataLoader.__next__", (iterator,), {}, batch)
        return batch

    def followed(self, name: str) -> Any:
        watch = self.watch

        def around(original: Any, *args: Any, **kwargs: Any) -> Any:
            output = original(*args, **kwargs)
            if not watch.active or _compiling():
                return output
            marked = watch.seen.marks(args[0]) if args else {}
            if args and not marked and type(args[0]) in (list, tuple):
                marked = next((one for one in map(watch.seen.marks, args[0]) if one), {})
            # torch calls these too, for reasons of its own.
            if marked and is_users(sys._getframe(2).f_code.co_filename):
                self._see(name, args, kwargs, output)
            return output

        return around

    def backward(self, original: Any, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        self._see("before backward", (tensor, *args), kwargs)
        original(tensor, *args, **kwargs)
        self._see("backward", (tensor, *args), kwargs)

    def optimizer(self, original: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        original(optimizer, *args, **kwargs)
        self._see("Optimizer", (optimizer,), {})

    def zero_grad(self, original: Any, owner: Any, *args: Any, **kwargs: Any) -> None:
        original(owner, *args, **kwargs)
        self._see("zero_grad", (owner, *args), kwargs)

    def stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._see("step", (optimizer,), {})

    def loaded(self, original: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        output = original(module, *args, **kwargs)
        self._see("load_state_dict", (module,), {})
        return output

    def _see(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any = None) -> None:
        if self.watch.active and not self.watch.busy and not _compiling() and self._few(name):
            place = place_now()
            if place is not None:
                self.watch.saw(TorchFunction(place, name, args, kwargs, output))

    def _few(self, name: str) -> bool:
        counts = self.watch.seen.notes["torch functions"]
        counts[name] = counts.get(name, 0) + 1
        return counts[name] <= 2 * _MOST


def _compiling() -> bool:
    # torch.compile runs through our functions as if they were the user's, and must find nothing there.
    compiler = getattr(sys.modules.get("torch"), "compiler", None)
    return compiler is not None and bool(compiler.is_compiling())
