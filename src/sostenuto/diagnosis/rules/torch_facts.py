"""What is known of tensors of torch: their axes, the batch and the padding they come from, the call that made them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sostenuto.diagnosis.events import Event, Failure, TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_modules import is_tensor
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

    def like(self, other: Loader) -> bool:
        """Whether it is the same one, or was made anew by the same line."""
        return self == other or (bool(self.source) and replace(self, number=other.number) == other)


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
        region: which part of which tensor it read; None where that can't be told.
        after_training: whether its state goes back to a call in training mode, through calls that were in none.
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
    region: tuple[int, int] | None = None
    after_training: bool = False
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
        what: "last row", "last step", "part of last step", "pooled over rows", "pooled over steps", "viewed" or
            "state 0", with the number that was picked.
        place: where.
        source: as the user wrote it.
        shape: of what it was picked from.
        letters: of what it was picked from.
        after: the shape after a view.
        filled: padding in what it was picked from.
    """

    what: str
    place: Place | None
    source: str
    shape: tuple[int, ...]
    letters: str
    after: tuple[int, ...] = ()
    filled: Filled | None = None


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


# What a picked part goes into, if it is what a model computes with.
_READERS = {"Linear", "BatchNorm1d"}

LOSSES = (
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy"),
    *("binary_cross_entropy_with_logits", "cross_entropy", "nll_loss"),
)


def read_by(event: Event, seen: Seen) -> Facts | None:
    """The facts of a tensor that goes into a linear layer or a loss, or None.

    Args:
        event: that is considered; for the failure of a loss too.
        seen: the memory.
    """
    if isinstance(event, TorchCall):
        return facts_of(event.inputs[0], seen) if event.inputs and kinds(event.module) & _READERS else None
    if isinstance(event, TorchFunction) and event.name in LOSSES:
        return facts_of(event.inputs[0] if event.inputs else event.options.get("input"), seen)
    if isinstance(event, Failure) and (found := loss_of(event)) is not None:
        return facts_of(found.input, seen)
    return None


@dataclass(frozen=True)
class Loss:
    """A loss that raised.

    Attributes:
        name: of the function: "cross_entropy".
        input: what the model said.
        target: what it was compared with.
        names: all variables of the function.
    """

    name: str
    input: Any
    target: Any
    names: Mapping[str, Any]


def loss_of(failure: Failure) -> Loss | None:
    """The loss that an exception came out of, or None."""
    for _, function, names in reversed(failure.frames):
        if function in LOSSES and "input" in names and "target" in names:
            return Loss(function, names["input"], names["target"], names)
    return None


def loss_sources(place: Place | None) -> tuple[str, str]:
    """What the user wrote for the input and the target of a loss; ("output", "target") where that isn't known."""
    for call in place.calls() if place is not None else ():
        names = {one.arg: one.value for one in call.keywords if one.arg}
        given = [*call.args, *(names[one] for one in ("input", "target") if one in names)]
        if len(given) >= 2 and not any(isinstance(one, ast.Starred) for one in given) and place is not None:
            return place.source(given[0]), place.source(given[1])
    return "output", "target"


def axes(shape: Any, letters: str) -> str:
    """A shape with the names of its axes."""
    shape = tuple(shape)
    letters = letters if len(letters) == len(shape) else "?" * len(shape)
    return f"({', '.join(f'{WORDS.get(letter, letter)} {size}' for letter, size in zip(letters, shape, strict=True))})"


def once(seen: Seen, name: str, key: Any) -> bool:
    """Whether this is asked for the first time."""
    known = seen.notes[name]
    if key in known:
        return False
    known[key] = True
    return True


def first_time(event: Event, seen: Seen, code: str, key: Any) -> bool:
    """Whether a finding about a module is to be made now: for the first time, or for an exception.

    Args:
        event: that is considered. For a failure, what was said before without one is taken back: it is the same.
        seen: the memory.
        code: of the rule.
        key: of the module.
    """
    if isinstance(event, Failure):
        seen.findings = [one for one in seen.findings if one.code != code or one.kind == "error"]
        return True
    return once(seen, "torch said", (code, key))
