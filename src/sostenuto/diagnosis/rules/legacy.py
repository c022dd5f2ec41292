"""Programs written for Keras 1 and 2: arguments of layers and functions that Keras 3 no longer has."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall
from sostenuto.diagnosis.rules.legacy_fixes import further, input_in_front, keras_input, new_line
from sostenuto.diagnosis.rules.legacy_names import RECURRENT
from sostenuto.diagnosis.rules.legacy_source import Program, changed, gone, plain_value, was_argument
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import is_keras, is_recurrent, title
from sostenuto.diagnosis.wording import nearest

SO711 = rule(
    "SO711",
    "A layer is given batch_input_shape, which Keras 3 no longer has",
    """In Keras 2 the first layer of a model could be told the shape of its input, batch size included:
    batch_input_shape=(batch, time, features). Keras 3 removed the argument from all layers. The shape belongs to a
    keras.Input in front of the first layer.""",
    """Put keras.Input(batch_shape=(batch, time, features)) in front, and leave the argument out of the layer.""",
    example="""
import keras
model = keras.Sequential()
model.add(keras.layers.LSTM(4, batch_input_shape=(1, 5, 7), stateful=True))
""",
    repaired="""
import keras
model = keras.Sequential()
model.add(keras.Input(batch_shape=(1, 5, 7)))
model.add(keras.layers.LSTM(4, stateful=True))
""",
)

SO712 = rule(
    "SO712",
    "Input gets shape and batch_shape at the same time",
    """Both say what the input looks like: shape is one sample, (time, features), and batch_shape has the batch size in
    front, (batch, time, features). Keras takes only one of them.""",
    """Keep batch_shape where the batch size is fixed, as a stateful layer needs it; else keep shape.""",
    example="""
import keras
inputs = keras.Input(shape=(10, 1), batch_shape=(4, 10, 1))
""",
    repaired="""
import keras
inputs = keras.Input(batch_shape=(4, 10, 1))
""",
)

SO713 = rule(
    "SO713",
    "An argument of an older Keras, or of PyTorch, is given to Keras 3",
    """Arguments were renamed between Keras 1, 2 and 3 (inner_activation became recurrent_activation, lr became
    learning_rate, nb_epoch became epochs), and some were removed.""",
    """Use the new name that the finding gives, or leave the argument out.""",
    example="""
import keras
layer = keras.layers.LSTM(4, inner_activation="sigmoid", dropout_W=0.2)
""",
    repaired="""
import keras
layer = keras.layers.LSTM(4, recurrent_activation="sigmoid", dropout=0.2)
""",
)

SO714 = rule(
    "SO714",
    "A layer or function of Keras does not know an argument",
    """Keras refuses arguments that it does not know, which is nearly always a matter of spelling: return_sequence for
    return_sequences.""",
    """Use the spelling that the finding gives.""",
    example="""
import keras
layer = keras.layers.LSTM(4, return_sequence=True)
""",
    repaired="""
import keras
layer = keras.layers.LSTM(4, return_sequences=True)
""",
)

SO725 = rule(
    "SO725",
    "A recurrent layer is given input_dim, which Keras 3 reads as the whole shape",
    """In Keras 1, LSTM(32, input_dim=7) meant sequences of any length with 7 features. Keras 3 makes an input of shape
    (batch, 7) of it, without an axis of time, and the layer refuses that.""",
    """Put keras.Input(shape=(None, 7)) in front of the layer, and leave input_dim out.""",
    example="""
import keras
model = keras.Sequential([keras.layers.LSTM(4, input_dim=7)])
""",
    repaired="""
import keras
model = keras.Sequential([keras.Input(shape=(None, 7)), keras.layers.LSTM(4)])
""",
)

SO726 = rule(
    "SO726",
    "reset_states() is given states",
    """In Keras 2, layer.reset_states(states=[h, c]) set the state of a stateful layer to given values. In Keras 3 it
    takes no arguments and sets the state to zero.""",
    """Assign to the state variables: for variable, value in zip(layer.states, [h, c]): variable.assign(value).""",
    example="""
import keras, numpy as np
lstm = keras.layers.LSTM(4, stateful=True)
lstm(np.zeros((2, 5, 3)))
lstm.reset_states(states=[np.ones((2, 4)), np.ones((2, 4))])
""",
    repaired="""
import keras, numpy as np
lstm = keras.layers.LSTM(4, stateful=True)
lstm(np.zeros((2, 5, 3)))
for variable, value in zip(lstm.states, [np.ones((2, 4)), np.ones((2, 4))]):
    variable.assign(value)
""",
)

_REFUSED = re.compile(r"(?:Unrecognized keyword arguments passed to (\w+)|Argument\(s\) not recognized): ")
_UNEXPECTED = re.compile(r"(?:([\w.]+)\(\) )?got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"(\w+)\.__init__\(\) missing \d+ required positional arguments?: ")


@SO711.on(Failure)
def batch_input_shape(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for batch_input_shape among what a layer, or Input, refused."""
    owner, refused = _refused(failure)
    if "batch_input_shape" not in refused or _while_loading(failure):
        return None
    place, call = _call_with(failure, {"batch_input_shape"})
    if place is None or call is None:
        return None
    program = Program(place)
    written = next(place.source(one.value) for one in call.keywords if one.arg == "batch_input_shape")
    value = refused["batch_input_shape"]
    shape = plain_value(value) if value is not None else written
    words = shape if shape != "..." else written
    wrote = written.replace(" ", "") not in (shape.replace(" ", ""), words.replace(" ", ""))
    if owner == "Input":
        fix = new_line(place, call, changed(call, owner, {"batch_input_shape": "batch_shape"})[0])
        wanted = f"Input(batch_shape={words})"
    else:
        fix = input_in_front(program, call, owner, written, shape)
        wanted = (
            f"{keras_input(program, call)}(batch_shape={words}) in front of the first layer, and {owner} "
            "without the argument"
        )
    others = "".join(
        f"\n{gone(name, was)}" for name in refused if (was := was_argument(name, owner)) and name != "batch_input_shape"
    )
    more, fixes = further(program, call, {*refused})
    return Evidence(
        title=f"{owner} is given batch_input_shape, which Keras 3 no longer has.",
        place=place,
        got=f"batch_input_shape={words}" + (f"  (written {written})" if wrote else ""),
        wanted=wanted,
        cause="Keras 2 let the first layer declare the shape of its input, batch size included; Keras 3 removed\n"
        f"batch_input_shape from every layer. The shape belongs to the Input, as batch_shape=.{others}{more}",
        fix=fix + fixes,
        boundary=("Input", owner),
    )


@SO712.on(Failure)
def two_shapes(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an Input that got shape together with batch_shape."""
    if "pass both `shape` and `batch_shape`" not in str(failure.error):
        return None
    place, call = _call_with(failure, {"batch_shape"})
    if place is None or call is None:
        return None
    program = Program(place)
    given = {one.arg: place.source(one.value) for one in call.keywords if one.arg}
    known = _variables(failure, "shape", "batch_shape")
    shape, batch_shape = (_shape_words(known.get(name), given.get(name, "")) for name in ("shape", "batch_shape"))
    if not shape and call.args:
        shape = place.source(call.args[0])
    without = [one for one in call.keywords if one.arg not in ("shape", "batch_size")]
    fix = new_line(place, call, ast.Call(call.func, [], without))
    full = known.get("batch_shape")
    batch = full[0] if isinstance(full, tuple | list) and full else None
    more, fixes = further(program, call, {"shape"})
    return Evidence(
        title="Input gets shape and batch_shape at the same time; only one of them may be given.",
        place=place,
        got=f"shape={shape} together with batch_shape={batch_shape}" + _differ(known),
        wanted=f"only one: batch_shape={batch_shape}, where the batch size is fixed ({batch}), as a stateful layer "
        f"needs it;\nor shape={shape} for batches of any size",
        cause="Both arguments declare the shape of the input: batch_shape is (batch, ...) with the batch size in "
        f"front, shape is\nthe same without it. Keras takes one or the other, never both.{more}",
        fix=fix + fixes,
        boundary=("Input",),
    )


@SO713.on(Failure)
def old_arguments(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for refused arguments that an older Keras, or PyTorch, had."""
    owner, refused = _refused(failure)
    if "batch_input_shape" in refused or owner in ("reset_states", "reset_state") or _while_loading(failure):
        return None
    old = {name: was for name in refused if (was := was_argument(name, owner)) is not None}
    if not old:
        return None
    place, call = _call_with(failure, {*refused})
    if place is None or call is None:
        return None
    also = (
        {}
        if len(old) == len(refused)
        else {name: near for name in refused if name not in old and (near := _near(name, failure, owner))}
    )
    new, _ = changed(call, owner, also)
    more, fixes = further(Program(place), call, {*refused})
    names = ", ".join(old)
    features = next((place.source(one.value) for one in call.keywords if one.arg == "input_dim"), "")
    if features and owner in RECURRENT:
        steps = next((place.source(one.value) for one in call.keywords if one.arg == "input_length"), "None")
        shape = f"({steps}, {features})"
        more = f"\ninput_dim={features} belongs to an Input too: its shape is {shape}, (time, features).{more}"
        fixes = input_in_front(Program(place), call, owner, shape, shape, "shape", ("input_dim",)) + fixes
    else:
        fixes = new_line(place, call, new) + fixes
    era = next(iter(old.values())).era.removesuffix("'s argument")
    return Evidence(
        title=f"{owner} is given {names}, of {era}, which Keras 3 does not know.",
        place=place,
        got=", ".join(
            f"{name}={plain_value(refused[name])}" if refused[name] is not None else name for name in refused
        ),
        wanted="; ".join(f"{was.now}=" if was.now else f"no {name}" for name, was in old.items()) + f" in {owner}(...)",
        cause="\n".join(f"{gone(name, was)}." for name, was in old.items()) + more,
        fix=fixes,
    )


@SO714.on(Failure)
def unknown_arguments(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for refused arguments that are near to known ones."""
    owner, refused = _refused(failure)
    known_before = any(was_argument(name, owner) for name in refused)
    if not refused or known_before or "batch_input_shape" in refused or _while_loading(failure):
        return None
    place, call = _call_with(failure, {*refused})
    if place is None or call is None:
        return None
    known = _arguments(failure, owner, call, place)
    near = {name: found[0] for name in refused if (found := nearest(name, known, 1))}
    if not near and not known:
        return None
    new, _ = changed(call, owner, {name: near.get(name, "") for name in refused})
    names = ", ".join(refused)
    return Evidence(
        title=f"{owner} knows no argument {names}" + (f"; it is spelt {', '.join(near.values())}." if near else "."),
        place=place,
        got=names,
        wanted=", ".join(near.values()) if near else f"one of {', '.join(known[:20])}",
        cause=f"Keras 3 refuses arguments that it does not know: {names} is "
        + (f"a matter of spelling ({', '.join(near.values())})." if near else f"none of {owner}."),
        fix=new_line(place, call, new),
        unsure="" if near else "what it was meant to do",
    )


@SO725.on(Failure)
def input_dim(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a recurrent layer that was made with input_dim and got an input without an axis of time."""
    call = failure.calls[0] if failure.calls else None
    if not isinstance(call, LayerCall) or not is_recurrent(call.layer) or len(getattr(call.inputs, "shape", ())) != 2:
        return None
    history = seen.history(call.layer)
    features = history.arguments.get("input_dim")
    if not isinstance(features, int) or history.made is None:
        return None
    node = history.made.call(type(call.layer).__name__)
    if node is None:
        return None
    program = Program(history.made)
    name = type(call.layer).__name__
    return Evidence(
        title=f"{title(call.layer)} is given input_dim={features}, which leaves no axis of time.",
        place=history.made,
        got=f"input_dim={features}: an input of (batch, {features})",
        wanted=f"(batch, time, features {features}): Input(shape=(None, {features}))",
        cause="input_dim meant the features of a step in Keras 1; in Keras 3 it is the whole shape of a sample, "
        f"({features},), and a\nrecurrent layer needs steps too. The shape belongs to an Input in front of the layer.",
        fix=input_in_front(program, node, name, f"(None, {features})", f"(None, {features})", "shape", ("input_dim",)),
        boundary=("Input", title(call.layer)),
    )


@SO726.on(Failure)
def states_in_reset(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for reset_states(states)."""
    place, text = failure.place, str(failure.error)
    call = place.call("reset_states", "reset_state") if place is not None else None
    if (
        place is None
        or call is None
        or not isinstance(failure.error, TypeError)
        or not isinstance(call.func, ast.Attribute)
    ):
        return None
    if not re.search(
        r"reset_states?\(\) (got an unexpected keyword argument 'states'|takes 1 positional argument)", text
    ):
        return None
    layer = place.source(call.func.value)
    values = (
        place.source(call.args[0]) if call.args else next((place.source(one.value) for one in call.keywords), "values")
    )
    return Evidence(
        title="reset_states() takes no states in Keras 3; it sets them to zero.",
        got=place.source(call),
        wanted=f"{layer}.reset_states() without arguments, or an assignment to the variables in {layer}.states",
        cause="In Keras 2 reset_states(states=...) gave a stateful layer states to begin with. Keras 3 removed the "
        "argument: the\nmethod sets the state to zero, and other values are assigned to the layer's state variables "
        "(h, then c for an LSTM).",
        fix=f"for variable, value in zip({layer}.states, {values}):\n    variable.assign(value)",
    )


# --- what was refused, by whom, and where ----------------------------------------------------------------------------


def _refused(failure: Failure) -> tuple[str, dict[str, Any]]:
    # The class or function, and the arguments it refused with their values; None where a value is not known.
    text, error = str(failure.error), failure.error
    if isinstance(error, ValueError) and (found := _REFUSED.search(text)):
        known = _variables(failure, "kwargs", "self")
        arguments = known.get("kwargs")
        owner = found.group(1) or type(known.get("self")).__name__
        if isinstance(arguments, dict) and all(isinstance(name, str) for name in arguments):
            return owner, {name: value for name, value in arguments.items() if f"'{name}'" in text}
        return owner, dict.fromkeys(re.findall(r"'(\w+)':", text))
    if isinstance(error, TypeError) and (found := _UNEXPECTED.search(text)):
        place, call = _call_with(failure, {found.group(2)})
        if place is not None and call is not None and (_of_keras(place, call) or _is_class(found.group(1))):
            return _owner(place, call), {found.group(2): None}
    if isinstance(error, TypeError) and (found := _MISSING.search(text)):
        for place in reversed(failure.places):
            call = place.call(found.group(1))
            if call is not None and Program(place).owner(call) == found.group(1):
                return found.group(1), {
                    str(one.arg): None for one in call.keywords if was_argument(one.arg or "", found.group(1))
                }
    return "", {}


def _is_class(name: str | None) -> bool:
    # "RNN.reset_states", "JAXTrainer.fit": a method of a class of Keras.
    owner = (name or "").partition(".")[0]
    keras = sys.modules.get("keras")
    return owner.endswith("Trainer") or any(
        hasattr(getattr(keras, home, None), owner) for home in ("layers", "optimizers", "callbacks") if owner
    )


def _owner(place: Place, call: ast.Call) -> str:
    program = Program(place)
    name = program.owner(call) or (program.owner(call.func) if isinstance(call.func, ast.Call) else "")
    if name:
        return name
    # A layer that is called: its class is what knows the arguments.
    value = place.value(call.func)
    return type(value).__name__ if value is not None and is_keras(value) else called(call)


def _of_keras(place: Place, call: ast.Call) -> bool:
    if Program(place).path(call.func).startswith("keras."):
        return True
    function = call.func
    value = place.value(function.value) if isinstance(function, ast.Attribute) else place.value(function)
    if isinstance(function, ast.Call):
        return _of_keras(place, function)
    return value is not None and is_keras(value)


def _call_with(failure: Failure, names: set[str]) -> tuple[Place | None, ast.Call | None]:
    # The call that gave these arguments: innermost first, for a layer may be made in a function of the user's.
    for place in reversed(failure.places):
        for call in place.calls():
            if names & {keyword.arg for keyword in call.keywords}:
                return place, call
    return failure.place, None


def _variables(failure: Failure, *names: str) -> dict[str, Any]:
    # Of the frame that raised.
    frame = failure.frames[-1][2] if failure.frames else {}
    return {name: frame[name] for name in names if name in frame}


def _while_loading(failure: Failure) -> bool:
    return any(name in ("load_model", "from_config", "deserialize_keras_object") for _, name, _ in failure.frames)


def _arguments(failure: Failure, owner: str, call: ast.Call, place: Place) -> list[str]:
    # The arguments that the class or function knows.
    self = _variables(failure, "self").get("self")
    function = call.func
    value = place.value(function)
    if self is not None and is_keras(self) and type(self).__name__ == owner:
        value = type(self).__init__
    elif isinstance(function, ast.Attribute) and value is None:
        value = getattr(type(place.value(function.value)), function.attr, None)
    elif value is not None and is_keras(value) and not isinstance(value, type):
        value = type(value).call
    try:
        known = list(inspect.signature(value).parameters) if value is not None else []
    except (TypeError, ValueError):
        return []
    return [name for name in known if name not in ("self", "args", "kwargs")]


def _near(name: str, failure: Failure, owner: str) -> str:
    place, call = _call_with(failure, {name})
    found = nearest(name, _arguments(failure, owner, call, place), 1) if place is not None and call is not None else []
    return found[0] if found else ""


def _shape_words(value: Any, written: str) -> str:
    if isinstance(value, tuple | list) and all(isinstance(one, int | None) for one in value):
        return str(tuple(value))
    return written


def _differ(known: dict[str, Any]) -> str:
    shape, full = known.get("shape"), known.get("batch_shape")
    if isinstance(shape, tuple | list) and isinstance(full, tuple | list) and tuple(shape) != tuple(full)[1:]:
        return f", which do not even agree: {tuple(full)[1:]} behind the batch size"
    return ""
