"""What a diagnosis looks at: calls that were seen, as they happen. Plain records; they know no framework.

Arrays and tensors in them are the user's own, for the rules to look at while the event is considered. A rule that wants
to remember something keeps numbers, shapes and places, never the arrays (``Seen.notes``, ``Seen.mark``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sostenuto.diagnosis.source import Place


@dataclass
class Event:
    """Something that happened at a place in the user's code.

    Attributes:
        place: where; None where no code of the user was on the way.
    """

    place: Place | None


@dataclass
class LayerMade(Event):
    """A Keras layer, or a recurrent module of torch, was made.

    Attributes:
        layer: the object.
        arguments: what it was made with, keywords only.
    """

    layer: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class LayerCall(Event):
    """A Keras layer was called, symbolically, in a compiled function's making or for real, and returned.

    Attributes:
        layer: the object.
        inputs: its first argument.
        options: all other arguments, by name.
        masked: whether a mask came along with the inputs.
        output: what it returned.
        returned_mask: whether a mask goes on with what it returned.
        symbolic: whether a Functional model is being put together.
        outer: the call it was made within, or None.
        number: how many calls of this layer were seen before.
    """

    layer: Any
    inputs: Any
    options: Mapping[str, Any]
    masked: bool
    output: Any = None
    symbolic: bool = False
    outer: LayerCall | None = None
    number: int = 0
    returned_mask: bool = field(default=False, kw_only=True)


@dataclass
class ModelCall(Event):
    """fit, evaluate, predict or a sibling of a Keras model is about to run.

    Attributes:
        verb: "fit", "evaluate", "predict", "train_on_batch", "test_on_batch" or "predict_on_batch".
        model: the model.
        x: inputs as the user gave them.
        y: targets as the user gave them, or None.
        options: all other arguments that were given, by name.
        within: the call that made this one (fit evaluates too), or None.
        batches: how many were taken from ``x`` so far, where it is a generator.
    """

    verb: str
    model: Any
    x: Any = None
    y: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    within: ModelCall | None = None
    batches: int = field(default=0, kw_only=True)

    @property
    def name(self) -> str:
        """The verb with the user's name for the model: "model.fit"."""
        names = self.place.names_of(self.model) if self.place else []
        return f"{names[0] if names else 'model'}.{self.verb}"


@dataclass
class ModelCalled(ModelCall):
    """The same when it has come to its end.

    Attributes:
        result: what it returned.
    """

    result: Any = None


@dataclass
class Batch(Event):
    """The first batch that a generator or dataset gave to fit, evaluate or predict.

    Attributes:
        call: who asked for it.
        x: inputs.
        y: targets, or None.
    """

    call: ModelCall
    x: Any = None
    y: Any = None


@dataclass
class LossCall(Event):
    """A loss object of Keras compared targets with predictions, in fit or by hand, and returned.

    Attributes:
        loss: the object.
        y_true: targets, of one batch.
        y_pred: predictions.
        verb: the fit, evaluate or predict that was under way, or None.
    """

    loss: Any
    y_true: Any
    y_pred: Any
    verb: ModelCall | None = None


@dataclass
class StateReset(Event):
    """reset_states() or reset_state() of a stateful layer.

    Attributes:
        layer: whose.
    """

    layer: Any


@dataclass
class Padded(Event):
    """Sequences were padded: keras.utils.pad_sequences, torch.nn.utils.rnn.pad_sequence.

    Attributes:
        function: its name.
        sequences: what was padded.
        options: how; every argument, with defaults filled in.
        result: the rectangle.
    """

    function: str
    sequences: Sequence[Any]
    options: Mapping[str, Any]
    result: Any


@dataclass
class Windows(Event):
    """keras.utils.timeseries_dataset_from_array cut windows.

    Attributes:
        data: of the windows.
        targets: of the windows, or None.
        options: every argument, with defaults filled in.
        result: the dataset.
    """

    data: Any
    targets: Any
    options: Mapping[str, Any]
    result: Any


@dataclass
class TorchCall(Event):
    """A module of torch was called by the user's code and returned.

    Attributes:
        module: the module.
        inputs: its positional arguments.
        output: what it returned.
        number: how many calls of this module were seen before.
        gradients: whether gradients were recorded: not so under torch.no_grad().
    """

    module: Any
    inputs: tuple[Any, ...]
    output: Any = None
    number: int = 0
    gradients: bool = True


@dataclass
class TorchFunction(Event):
    """A function of torch that matters here was called and returned: a loss, packing, unpacking, an index.

    Attributes:
        name: "mse_loss", "pack_padded_sequence", "getitem", "softmax", ...
        inputs: its positional arguments.
        options: its keyword arguments.
        output: what it returned.
    """

    name: str
    inputs: tuple[Any, ...]
    options: Mapping[str, Any]
    output: Any = None


@dataclass
class Failure(Event):
    """An exception reached the top; ``place`` is the innermost of the user's code.

    Attributes:
        error: the exception.
        places: all places in the user's code that it came through, outermost first.
        calls: calls of layers or modules that it went through, innermost first.
        verb: the fit, evaluate or predict that was under way, or None.
        frames: everything on the way, of libraries too: (file, function, variables), outermost first.
    """

    error: BaseException
    places: Sequence[Place] = ()
    calls: Sequence[LayerCall | TorchCall] = ()
    verb: ModelCall | None = None
    frames: Sequence[tuple[str, str, Mapping[str, Any]]] = ()

    @property
    def message(self) -> str:
        """What the exception says, with those it came from."""
        parts, error, known = [], self.error, set()
        while error is not None and id(error) not in known:
            known.add(id(error))
            parts.append(f"{type(error).__name__}: {error}")
            error = error.__cause__ or error.__context__  # type: ignore[assignment]
        return "\n".join(parts)


@dataclass
class End(Event):
    """The script, or the block that was watched, has come to its end."""

    names: Mapping[str, Any] = field(default_factory=dict)
