"""What is known of tensors of torch: their axes, the batch and padding they come from, the recurrent call that made them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sostenuto.diagnosis.events import LayerCall, TorchCall
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import kinds
from sostenuto.diagnosis.wording import AXES

# S: layers times directions, the first axis of a state in torch.
WORDS = {**AXES, "S": "layers x directions", "1": "axis", "?": "axis"}


@dataclass(frozen=True)
class Loader:
    """A DataLoader.

    Attributes:
        number: which of the program's.
        shuffle: whether it draws rows at random.
        batch_size: rows of a batch, or None.
        size: rows in all, or None.
        stacks: whether it stacks samples itself, so that axis 0 is the batch.
        drop_last: whether it leaves a short last batch out.
        source: the call that made it, or "".
    """

    number: int
    shuffle: bool
    batch_size: int | None
    size: int | None
    stacks: bool
    drop_last: bool
    source: str


@dataclass(frozen=True)
class Origin:
    """The batch of a DataLoader that a tensor comes from.

    Attributes:
        loader: which.
        epoch: how often it had been iterated over before.
        batch: number of the batch.
        scalar_targets: whether the batch has one target per row: another tensor of shape (B,) or (B, 1).
    """

    loader: Loader
    epoch: int
    batch: int
    scalar_targets: bool = False


@dataclass(frozen=True)
class Filled:
    """Padding behind the sequences of a batch.

    Attributes:
        lengths: of the sequences without it.
        steps: of the rectangle.
        value: that fills it.
        by: what filled it, in words.
    """

    lengths: tuple[int, ...]
    steps: int
    value: float
    by: str

    @property
    def short(self) -> int:
        """How many sequences are shorter than the rectangle."""
        return sum(length < self.steps for length in self.lengths)

    @property
    def words(self) -> str:
        """The lengths, in words."""
        return f"lengths {min(self.lengths)} to {max(self.lengths)} in {self.steps} steps"


@dataclass(frozen=True)
class Run:
    """A call of a recurrent module.

    Attributes:
        module: id() of the module.
        number: how many calls there were before.
        name: the user's name for the module, or its class.
        kind: its class: "LSTM".
        source: the call that made it.
        batch_first: how it reads.
        layers: of the module.
        directions: of the module.
        hidden: units.
        shape: of what it read.
        truth: letters of the axes of what it read, where they are known from elsewhere; or "".
        swapped: whether what it read is a view with its first two axes swapped.
        origin: of what it read.
        filled: padding in what it read.
        packed: whether it read packed sequences.
        training: whether it was in training mode.
        grad: whether a graph was recorded.
        backwards: how often backward() had run before.
        place: where.
    """

    module: int
    number: int
    name: str
    kind: str
    source: str
    batch_first: bool
    layers: int
    directions: int
    hidden: int
    shape: tuple[int, ...]
    truth: str = ""
    swapped: bool = False
    origin: Origin | None = None
    filled: Filled | None = None
    packed: bool = False
    training: bool = True
    grad: bool = False
    backwards: int = 0
    place: Place | None = None

    @property
    def reads(self) -> str:
        """The letters of the axes as the module reads them."""
        return {3: "BTF" if self.batch_first else "TBF", 2: "TF"}.get(len(self.shape), "")

    @property
    def batch(self) -> int:
        """Rows of the batch, as the module reads it."""
        return self.shape[0 if self.batch_first else 1] if len(self.shape) == 3 else 1

    @property
    def steps(self) -> int:
        """Steps, as the module reads it."""
        return self.shape[1 if self.batch_first and len(self.shape) == 3 else 0]


@dataclass(frozen=True)
class Taken:
    """A part of a recurrent output that was picked, and might be the wrong one.

    Attributes:
        what: "last row", "last step", "pooled over rows", "pooled over steps", "rows flattened", "state".
        place: where.
        source: as the user wrote it.
        shape: of what it was picked from.
        letters: of what it was picked from.
    """

    what: str
    place: Place | None
    source: str
    shape: tuple[int, ...]
    letters: str


@dataclass(frozen=True)
class Facts:
    """What is known of a tensor.

    Attributes:
        letters: of its axes where they are known, "?" for one that is not; "" for nothing.
        why: how they are known.
        role: "output", "h", "c", "linear", "softmax", "log_softmax", "sigmoid", or "".
        run: the recurrent call it comes from.
        origin: the batch it comes from.
        filled: padding in it.
        taken: parts that were picked on the way.
        rows: where its rows were put into another order, in words; or "".
        detached: whether it was cut off from the graph.
        layer: the call that made the linear layer it comes from, or "".
    """

    letters: str = ""
    why: str = ""
    role: str = ""
    run: Run | None = None
    origin: Origin | None = None
    filled: Filled | None = None
    taken: tuple[Taken, ...] = ()
    rows: str = ""
    detached: bool = False
    layer: str = ""


def facts_of(tensor: Any, seen: Seen) -> Facts | None:
    """What is known of a tensor, or None."""
    return seen.marks(tensor).get("torch")


def know(tensor: Any, seen: Seen, facts: Facts) -> None:
    """Remembers what is known of a tensor."""
    if is_tensor(tensor):
        seen.mark(tensor, torch=facts)


def is_tensor(thing: Any) -> bool:
    """Whether it is a tensor of torch."""
    return "Tensor" in kinds(thing) and hasattr(thing, "requires_grad")


def is_rnn(module: Any) -> bool:
    """Whether it is nn.LSTM, nn.GRU or nn.RNN, or of a class below."""
    return "RNNBase" in kinds(module)


def is_cell(module: Any) -> bool:
    """Whether it is nn.LSTMCell, nn.GRUCell or nn.RNNCell, or of a class below."""
    return "RNNCellBase" in kinds(module)


def is_lstm(module: Any) -> bool:
    """Whether it has two states, h and c."""
    return bool(kinds(module) & {"LSTM", "LSTMCell"})


def directions(module: Any) -> int:
    """2 where it reads both ways."""
    return 2 if getattr(module, "bidirectional", False) else 1


def written(module: Any, seen: Seen) -> str:
    """The call that made a module, as the user wrote it, or as one would write it."""
    source = seen.history(module).source
    if source:
        return source
    name = type(module).__name__
    sizes = [("in_features", "out_features"), ("input_size", "hidden_size"), ("num_embeddings", "embedding_dim")]
    found = next(
        (
            [getattr(module, one, None) for one in pair]
            for pair in sizes
            if isinstance(getattr(module, pair[0], None), int)
        ),
        [],
    )
    extra = [
        f"{name}={getattr(module, name)!r}"
        for name, plain in (("num_layers", 1), ("batch_first", False), ("bidirectional", False))
        if getattr(module, name, plain) != plain
    ]
    return f"nn.{name}({', '.join([*map(str, found), *extra])})"


def made_at(module: Any, seen: Seen) -> str:
    """", made in line 9" where that is known, else ""."""
    made = seen.history(module).made
    return f", made in line {made.line}" if made is not None else ""


def name_of(event: TorchCall | LayerCall) -> str:
    """The user's name for the module that is called: "self.lstm"; its class where it has none there."""
    module = event.module if isinstance(event, TorchCall) else event.layer
    place = event.place
    for call in place.calls() if place is not None else ():
        if value_of(call.func, place) is module and place is not None:
            return place.source(call.func)
    return type(module).__name__


def value_of(node: ast.AST, place: Place | None) -> Any:
    """What a name or attribute stands for, submodules of modules too; None where that would mean running code."""
    if place is None:
        return None
    if isinstance(node, ast.Attribute):
        owner = value_of(node.value, place)
        attributes = getattr(owner, "__dict__", {})
        for where in (attributes, attributes.get("_modules") or {}, attributes.get("_parameters") or {}):
            if node.attr in where:
                return where[node.attr]
        return None
    return place.value(node)


def argument(place: Place | None, module: Any, position: int, *names: str) -> ast.expr | None:
    """The user's expression for an argument of a module's call, or None."""
    for call in place.calls() if place is not None else ():
        if value_of(call.func, place) is not module:
            continue
        for keyword in call.keywords:
            if keyword.arg in names:
                return keyword.value
        if position < len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args):
            return call.args[position]
    return None


def argument_source(place: Place | None, module: Any, position: int, *names: str) -> str:
    """The same as source, or ""."""
    node = argument(place, module, position, *names)
    return place.source(node) if node is not None and place is not None else ""


def axes(shape: Any, letters: str) -> str:
    """A shape with the names of its axes."""
    shape = tuple(shape)
    letters = letters if len(letters) == len(shape) else "?" * len(shape)
    return f"({', '.join(f'{WORDS.get(letter, letter)} {size}' for letter, size in zip(letters, shape, strict=True))})"


def shape_of(thing: Any) -> tuple[int, ...]:
    """The shape of a tensor as plain numbers, () where it has none."""
    try:
        return tuple(int(size) for size in thing.shape)
    except (AttributeError, TypeError, ValueError):
        return ()


def tensors_in(value: Any, most: int = 12) -> Iterator[Any]:
    """The tensors in tuples, lists and dicts."""
    waiting = [value]
    while waiting and most:
        one = waiting.pop(0)
        if is_tensor(one):
            most -= 1
            yield one
        elif isinstance(one, dict):
            waiting[:0] = list(one.values())[:most]
        elif isinstance(one, list | tuple) and not hasattr(one, "batch_sizes"):
            waiting[:0] = list(one)[:most]


def once(seen: Seen, name: str, key: Any) -> bool:
    """Whether this is asked for the first time."""
    known = seen.notes[name]
    if key in known:
        return False
    known[key] = True
    return True
