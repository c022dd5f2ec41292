"""What happened before anybody watched: calls rebuilt from a traceback, its message and the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from sostenuto.diagnosis.events import LayerCall, ModelCall, TorchCall
from sostenuto.diagnosis.source import Place, called, is_users
from sostenuto.diagnosis.views import is_keras, is_model, layers_of
from sostenuto.explaining.keras_entries import VERBS

# Positional arguments of fit and its siblings, as far as they are the same in all.
_POSITIONS = ("x", "y")

_LAYER = re.compile(r"of layer '([^']+)'|calling (?:\w+)\.call\(\)")
_SHAPE = re.compile(r"(?:shape received|found shape=)[^(]*\(([\d, None]*)\)")

# One step of a sequence, (batch, features), which the cell of a recurrent layer was given.
_STEP = re.compile(r"calling \w+Cell\.call\(\)[\s\S]*?inputs=[^(\n]*\(shape=\((\d+), (\d+)\)")


@dataclass(frozen=True)
class Shaped:
    """Something of which only the shape is known."""

    shape: tuple[int | None, ...]
    dtype: str = ""


def verb_of(places: Sequence[Place]) -> ModelCall | None:
    """The call of fit, evaluate or predict at the innermost place that has one, its arguments by the user's names.

    Args:
        places: of the user's code, outermost first.
    """
    for place in reversed(places):
        under_way = place.node()
        # Where Python kept the columns, other calls of the statement are not concerned.
        for call in place.calls() if under_way is None else ast.walk(under_way):
            if isinstance(call, ast.Call) and called(call) in VERBS and isinstance(call.func, ast.Attribute):
                model = place.value(call.func.value)
                if is_model(model):
                    given = dict(zip(_POSITIONS, call.args, strict=False))
                    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
                    values = {name: place.value(node) for name, node in given.items()}
                    x, y = values.pop("x", None), values.pop("y", None)
                    return ModelCall(place, called(call), model, x, y, values)
    return None


def calls_of(
    traceback: TracebackType | None, place: Place | None, verb: ModelCall | None, message: str
) -> list[LayerCall | TorchCall]:
    """The calls of layers that an exception went through, innermost first.

    Keras takes its own frames out of a traceback; its message then still names the layer and the shape it got.

    Args:
        traceback: of the exception.
        place: in the user's code.
        verb: the call of fit, evaluate or predict that it came out of, or None.
        message: of the exception.
    """
    found: list[LayerCall | TorchCall] = []
    while traceback is not None:
        frame = traceback.tb_frame
        layer = frame.f_locals.get("self")
        arguments = frame.f_locals.get("args") or ()
        if not is_users(frame.f_code.co_filename) and layer is not None and isinstance(arguments, tuple):
            if frame.f_code.co_name == "__call__" and is_keras(layer):
                options = dict(frame.f_locals.get("kwargs") or {})
                inputs = arguments[0] if arguments else options.get("inputs")
                found.insert(0, LayerCall(place, layer, inputs, options, masked="mask" in options))
            elif frame.f_code.co_name == "_call_impl" and arguments:
                # On torch a layer of Keras is a module too.
                keras_layer = is_keras(layer)
                call = LayerCall(place, layer, arguments[0], {}, masked=False) if keras_layer else None
                found.insert(0, call or TorchCall(place, layer, arguments))
        traceback = traceback.tb_next
    return found or _named(place, verb, message) or _direct(place, message)


def _direct(place: Place | None, message: str) -> list[LayerCall | TorchCall]:
    # model(x) in the user's own line.
    node = place.node() if place is not None else None
    if place is None or not isinstance(node, ast.Call):
        return []
    layer = place.value(node.func)
    if not is_keras(layer) or isinstance(layer, type):
        return []
    inputs = place.value(node.args[0]) if node.args else None
    step = _STEP.search(message)
    if inputs is None and step is not None:
        inputs = Shaped((int(step[1]), None, int(step[2])))
    return [LayerCall(place, layer, inputs, {}, masked=False)]


def _named(place: Place | None, verb: ModelCall | None, message: str) -> list[LayerCall | TorchCall]:
    name, shape = _LAYER.search(message), _SHAPE.search(message)
    if name is None or name[1] is None or shape is None or verb is None:
        return []
    sizes = tuple(None if one.strip() == "None" else int(one) for one in shape[1].split(",") if one.strip())
    for layer in layers_of(verb.model):
        if layer.name == name[1]:
            return [LayerCall(place, layer, Shaped(sizes), {}, masked=False)]
    return []
