"""What rules about axes ask: which layer made a tensor, how many axes a layer reads, how an input was declared."""

from __future__ import annotations

import ast
import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.container_calls import with_argument
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called, with_keyword
from sostenuto.diagnosis.views import is_keras, is_recurrent, kinds, source_of, title

Shape = tuple[int | None, ...]

# Layers that read (batch, time, features) and refuse anything else.
_ONE_DIMENSIONAL = {
    "Conv1D",
    "DepthwiseConv1D",
    "SeparableConv1D",
    "Conv1DTranspose",
    "MaxPooling1D",
    "AveragePooling1D",
    "GlobalMaxPooling1D",
    "GlobalAveragePooling1D",
    "UpSampling1D",
    "ZeroPadding1D",
    "Cropping1D",
    "SpatialDropout1D",
}

# Layers behind which each axis still means what it meant before.
_KEEPS = re.compile(r"Dropout|Normalization|Activation|Masking|ReLU|ELU|PReLU|Softmax|GaussianNoise|Identity")

# A chain longer than this says nothing about the layer at its end.
_LONGEST = 30


def shape_of_call(inputs: Any) -> Shape | None:
    """The shape of a tensor, axes of unknown length as None; None where there is none."""
    shape = getattr(inputs, "shape", None)
    if shape is None:
        return None
    try:
        # Sizes that JAX leaves open are expressions, and no numbers.
        return tuple(int(size) if isinstance(size, Integral) else None for size in shape)
    except (TypeError, ValueError):
        return None


def axes_read(layer: Any) -> int | None:
    """How many axes a layer of sequences reads, the batch included; None for layers that read any number.

    Args:
        layer: of Keras.
    """
    if not is_keras(layer):
        return None
    names = kinds(layer)
    if "TimeDistributed" in names:
        inner = axes_read(getattr(layer, "layer", None))
        return 3 if inner is None else inner + 1
    if any("ConvLSTM" in name for name in names):
        return None
    if is_recurrent(layer) or names & _ONE_DIMENSIONAL or "MultiHeadAttention" in names:
        return 3
    return 2 if "RepeatVector" in names else None


def refused_call(failure: Failure) -> tuple[LayerCall, Shape] | None:
    """The innermost call that an exception came through, with the shape of its input, where it is a layer of Keras.

    Args:
        failure: the exception.
    """
    calls = [call for call in failure.calls if isinstance(call, LayerCall)]
    # Attention is made of layers that nobody wrote.
    attention = next((call for call in calls if "MultiHeadAttention" in kinds(call.layer)), None)
    for call in [attention] if attention is not None else calls:
        # The cell of a recurrent layer is none that people wrote either.
        if "Cell" in type(call.layer).__name__:
            continue
        shape = shape_of_call(call.inputs)
        return None if shape is None else (call, shape)
    return None


# --- where a tensor comes from ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where a tensor comes from.

    Attributes:
        layer: the layer or operation that gave it its axes.
        shape: what that layer read; None where it is not known.
        between: layers behind it that keep the axes, nearest to it first.
    """

    layer: Any
    shape: Shape | None = None
    between: tuple[Any, ...] = ()

    @property
    def is_input(self) -> bool:
        """Whether it is an Input of a model."""
        return "InputLayer" in kinds(self.layer)

    @property
    def is_last_output(self) -> bool:
        """Whether it is a recurrent layer that returns only its last output."""
        return is_recurrent(self.layer) and not returns_sequences(self.layer)


def returns_sequences(layer: Any) -> bool:
    """Whether a recurrent layer returns its output of every step."""
    inner = getattr(layer, "forward_layer", None) or layer
    return bool(getattr(inner, "return_sequences", False))


def keeps_axes(layer: Any) -> bool:
    """Whether each axis behind a layer still means what it meant before: Dropout, Masking, normalization."""
    return bool(_KEEPS.search(type(layer).__name__)) or "InputLayer" in kinds(layer)


def origin_of(tensor: Any, seen: Seen, call: LayerCall | None = None) -> Origin | None:
    """The layer that gave a tensor its axes; None where it came from outside.

    Args:
        tensor: symbolic, or one that a layer was seen to return.
        seen: what was seen.
        call: that it was given to.
    """
    between: list[Any] = []
    for _ in range(_LONGEST):
        made = _made(tensor, seen) or (_recent(call, tensor, seen) if call is not None else None)
        if made is None:
            return None
        layer, before = made
        same = shape_of_call(before) is not None and len(shape_of_call(before) or ()) == len(
            shape_of_call(tensor) or ()
        )
        keeps = _KEEPS.search(type(layer).__name__) or "Dense" in kinds(layer)
        if not (keeps and same):
            return Origin(layer, shape_of_call(before), tuple(reversed(between)))
        between.append(layer)
        tensor, call = before, None
    return None


def _made(tensor: Any, seen: Seen) -> tuple[Any, Any] | None:
    # Keras remembers for symbolic tensors; for others it is what was seen.
    history = getattr(tensor, "_keras_history", None)
    if history is not None:
        operation = getattr(history, "operation", None)
        nodes = getattr(operation, "_inbound_nodes", None) or ()
        number = getattr(history, "node_index", 0)
        inputs = getattr(nodes[number], "input_tensors", None) if number < len(nodes) else None
        return None if operation is None else (operation, inputs[0] if inputs else None)
    known = tensor.made if isinstance(tensor, _Shaped) else seen.marks(tensor).get("made by")
    if known is None:
        return None
    layer = known[0]()
    return None if layer is None else (layer, known[1])


def remember(event: LayerCall, seen: Seen) -> None:
    """Remembers which layer returned a tensor, for as long as the tensor lives.

    Args:
        event: the call of the layer.
        seen: what was seen.
    """
    if event.symbolic or not is_keras(event.layer) or "Model" in kinds(event.layer):
        return
    outputs = event.output if isinstance(event.output, list | tuple) else [event.output]
    before = _Shaped.of(event.inputs, seen)
    for output in outputs[:1]:
        if getattr(output, "shape", None) is not None:
            seen.mark(output, **{"made by": (weakref.ref(event.layer), before)})
    if event.outer is not None:
        recent = seen.notes["returned within"]
        if len(recent) > 200:
            recent.clear()
        shape = shape_of_call(outputs[0]) if outputs else None
        recent[id(event.outer.layer)] = (weakref.ref(event.layer), before, shape)


def _recent(call: LayerCall, tensor: Any, seen: Seen) -> tuple[Any, Any] | None:
    # Keras may hand on a copy of a tensor: then it is the last one returned beside this call, if it has this shape.
    if call.outer is None or call.symbolic:
        return None
    known = seen.notes["returned within"].get(id(call.outer.layer))
    if known is None or known[2] is None or known[2] != shape_of_call(tensor):
        return None
    layer = known[0]()
    return None if layer is None or layer is call.layer else (layer, known[1])


@dataclass(frozen=True)
class _Shaped:
    # A tensor of which the shape is kept, and what made it; never its numbers.
    shape: Shape | None
    made: tuple[Any, Any] | None = None

    @classmethod
    def of(cls, tensor: Any, seen: Seen) -> _Shaped:
        if isinstance(tensor, list | tuple):
            tensor = tensor[0] if tensor else None
        return cls(shape_of_call(tensor), seen.marks(tensor).get("made by"))


# --- how it was declared ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Declared:
    """How the user declared the shape of an input.

    Attributes:
        place: where, or None.
        source: the call of Input, or of the layer with input_shape; "" where it is not known.
        argument: the source of the shape in it, or "".
        keyword: "shape", "batch_shape" or "input_shape".
    """

    place: Place | None = None
    source: str = ""
    argument: str = ""
    keyword: str = "shape"

    def words(self, shape: Shape) -> str:
        """The declaration in words, as it came out: "Input(shape=(20,))"."""
        return f"{'input_shape=' if self.keyword == 'input_shape' else 'Input(shape='}{shape}" + (
            "" if self.keyword == "input_shape" else ")"
        )

    def with_shape(self, shape: Shape | str) -> str:
        """The user's own call with another shape.

        Args:
            shape: of one sample, without the batch axis; or source for it.
        """
        text = shape if isinstance(shape, str) else str(tuple(shape))
        if self.keyword == "input_shape" and self.source:
            return with_keyword(self.source, "input_shape", text)
        if self.keyword == "batch_shape" and self.source and not isinstance(shape, str):
            return with_keyword(self.source, "batch_shape", str((None, *shape)))
        if self.source:
            return with_argument(self.source, "shape", 0, text)
        return f"keras.Input(shape={text})"


def with_sequences(source: str, value: str = "True") -> str:
    """A recurrent layer's source with return_sequences set; of Bidirectional, in the layer inside of it.

    Args:
        source: of the call that makes the layer.
        value: "True" or "False".

    Example:
        >>> with_sequences("layers.Bidirectional(layers.GRU(6), name='lower')")
        "layers.Bidirectional(layers.GRU(6, return_sequences=True), name='lower')"
    """
    call = _parsed(source)
    if call is None or called(call) != "Bidirectional":
        return with_keyword(source, "return_sequences", value)
    inner = call.args[0] if call.args else next((one.value for one in call.keywords if one.arg == "layer"), None)
    if not isinstance(inner, ast.Call):
        return f"{source}        # with return_sequences={value} in the layer inside of it"
    inner.keywords = [one for one in inner.keywords if one.arg != "return_sequences"]
    inner.keywords.append(ast.keyword("return_sequences", ast.Constant(value == "True")))
    return ast.unparse(call)


def declared(made: Any, reader: Any, seen: Seen) -> Declared:
    """How the user wrote the shape of an Input.

    Args:
        made: the InputLayer, or None.
        reader: the layer that reads it, which may have been given input_shape.
        seen: what was seen.
    """
    source = source_of(reader, seen)
    if _has_keyword(source, "input_shape"):
        return Declared(seen.history(reader).made, source, _keyword(source, "input_shape"), "input_shape")
    place = seen.history(made).made if made is not None else None
    node = place.call("Input", "InputLayer") if place is not None else None
    if place is None or node is None:
        return Declared()
    for keyword in ("shape", "batch_shape"):
        for one in node.keywords:
            if one.arg == keyword:
                return Declared(place, place.source(node), place.source(one.value), keyword)
    argument = place.source(node.args[0]) if node.args else ""
    return Declared(place, place.source(node), argument)


def _keyword(source: str, name: str) -> str:
    call = _parsed(source)
    for one in call.keywords if call is not None else ():
        if one.arg == name:
            return ast.unparse(one.value)
    return ""


def _has_keyword(source: str, name: str) -> bool:
    return bool(_keyword(source, name))


def _parsed(source: str) -> ast.Call | None:
    try:
        node = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        return None
    return node if isinstance(node, ast.Call) else None


def data_at(place: Place | None, ranks: tuple[int, ...] = (2, 3, 4)) -> list[tuple[str, Any]]:
    """The arrays among the user's variables at a place, with their names; no tensors of a model, no random numbers.

    Args:
        place: in the user's code.
        ranks: how many axes they have.
    """
    found = []
    names: Mapping[str, Any] = place.names if place is not None else {}
    for name in list(names):
        try:
            value = names[name]
        except KeyError:
            continue
        if name.startswith("_") or not hasattr(value, "dtype") or getattr(value, "_keras_history", None) is not None:
            continue
        shape = shape_of_call(value)
        if shape is not None and len(shape) in ranks and None not in shape:
            found.append((name, value))
    return found


def maker_words(origin: Origin | None) -> str:
    """The layer a tensor comes from, in words."""
    if origin is None:
        return "the data"
    if origin.is_input:
        return f"Input '{getattr(origin.layer, 'name', '')}'"
    if is_keras(origin.layer) and "Layer" in kinds(origin.layer):
        return title(origin.layer)
    return {"GetItem": "indexing, [...]"}.get(type(origin.layer).__name__, type(origin.layer).__name__)
