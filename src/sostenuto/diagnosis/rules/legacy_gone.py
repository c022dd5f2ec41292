"""Programs written for Keras 1 and 2, or TensorFlow 1: classes, modules and methods that Keras 3 no longer has."""

from __future__ import annotations

import ast
import re
import sys
from types import ModuleType
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.legacy_fixes import further, line_with
from sostenuto.diagnosis.rules.legacy_names import (
    GONE,
    MODULES,
    OF_BACKEND,
    OF_LAYERS,
    OF_MODELS,
    OF_OPTIMIZERS,
    OF_TENSORFLOW,
)
from sostenuto.diagnosis.rules.legacy_source import Program, new_import
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, without_keyword
from sostenuto.diagnosis.views import is_keras, is_model, kinds, stateful_layers, title

SO716 = rule(
    "SO716",
    "A class, function or module is not where Keras 2 had it",
    """Keras 3 lives under public paths alone: keras.layers, keras.utils, keras.optimizers. Modules such as
    keras.layers.recurrent and keras.utils.np_utils are gone, and so are classes that others took over: LSTM uses
    cuDNN by itself (CuDNNLSTM), Dense works at every step (TimeDistributedDense).""",
    """Import it from where the finding says.""",
    example="""
from keras.layers.recurrent import LSTM
""",
    repaired="""
from keras.layers import LSTM
""",
)

SO718 = rule(
    "SO718",
    "A model has no reset_states(); its stateful layers have",
    """In Keras 2, model.reset_states() set the state of all stateful layers back to zero. Models of Keras 3 have
    neither reset_states() nor reset_state() nor the attribute stateful: state belongs to the layers.""",
    """Call layer.reset_state() of every stateful layer, and only where a new sequence begins. so.SequenceModel keeps
    state by the id of a sequence, and resets by id.""",
    example="""
import keras
model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), keras.layers.LSTM(4, stateful=True)])
model.reset_states()
""",
    repaired="""
import keras
model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), keras.layers.LSTM(4, stateful=True)])
model.layers[0].reset_states()
""",
)

SO719 = rule(
    "SO719",
    "A method or attribute of Keras 1 or 2 is gone",
    """fit_generator, predict_classes, optimizer.lr, layer.output_shape and their like were taken away; there is
    another way to each.""",
    """Use what the finding names.""",
    example="""
import keras
model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4)])
classes = model.predict_classes([[[0.0] * 3] * 5])
""",
    repaired="""
import keras, numpy as np
model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4)])
classes = model.predict(np.zeros((1, 5, 3)), verbose=0).argmax(axis=-1)
""",
)

SO720 = rule(
    "SO720",
    "A function of keras.backend is gone",
    """keras.backend (often imported as K) had the operations of Keras 2. In Keras 3 they are in keras.ops, most of
    them under the names of NumPy, and run on every backend.""",
    """Use keras.ops, with the name that the finding gives.""",
    example="""
from keras import backend as K
total = K.sum(K.square([1.0, 2.0]))
""",
    repaired="""
from keras import ops
total = ops.sum(ops.square([1.0, 2.0]))
""",
)

SO723 = rule(
    "SO723",
    "A name of TensorFlow 1",
    """tf.contrib, tf.nn.rnn_cell, tf.placeholder and sessions belong to TensorFlow 1. Recurrent networks are layers of
    Keras now.""",
    """Use the layer or function that the finding names.""",
    example="""
import tensorflow as tf
cell = tf.nn.rnn_cell.BasicLSTMCell(8)
""",
    repaired="""
import keras
cell = keras.layers.LSTMCell(8)
""",
    backend="tensorflow",
)

_ATTRIBUTE = re.compile(r"(?:module )?'([\w.]+)'(?: object)? has no attribute '(\w+)'")
_RESETS = ("reset_states", "reset_state", "stateful")


def _missing(failure: Failure) -> tuple[Any, str]:
    # The object that lacks an attribute, and its name.
    error = failure.error
    if not isinstance(error, AttributeError):
        return None, ""
    found = _ATTRIBUTE.search(str(error))
    name = getattr(error, "name", None) or (found.group(2) if found else "")
    thing = getattr(error, "obj", None)
    return (thing if thing is not None else found.group(1) if found else None), name


def _attribute(place: Place | None, name: str) -> ast.Attribute | None:
    # The expression that asked for it.
    node = place.node() if place is not None else None
    for one in ast.walk(node) if node is not None else ():
        if isinstance(one, ast.Attribute) and one.attr == name:
            return one
    statement = place.statement() if place is not None else None
    for one in ast.walk(statement) if statement is not None and not hasattr(statement, "body") else ():
        if isinstance(one, ast.Attribute) and one.attr == name:
            return one
    return None


@SO716.on(Failure)
def moved(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for imports and names of Keras that are elsewhere, or gone."""
    place, error, text = failure.place, failure.error, str(failure.error)
    if place is None:
        return None
    if isinstance(error, ImportError):
        return _import(place, error)
    thing, name = _missing(failure)
    path = thing.__name__ if isinstance(thing, ModuleType) else thing if isinstance(thing, str) else ""
    path = re.sub(r"^keras\._tf_keras\.", "", path).removeprefix("tensorflow.")
    node = _attribute(place, name)
    if not path.startswith("keras") or path.startswith("keras.backend") or node is None:
        return None
    tail = f"{path}.{name}".removeprefix("keras").lstrip(".")
    if tail in MODULES:
        return _gone_module(place, node, tail)
    if name not in GONE:
        return None
    now, note = GONE[name]
    home = place.source(node.value)
    more, fixes = further(Program(place), _dummy(place.line), {name})
    return Evidence(
        title=f"{path}.{name} is gone from Keras 3." + (f" {now} does its work." if now != name else ""),
        got=f"{place.source(node)}, of Keras 2",
        wanted=f"{home}.{now}" + (f": {note}" if note else ""),
        cause=f"{name} was removed: {note or now}.{more}" if "has no attribute" in text else note,
        fix=line_with(place, node, f"{home}.{now}") + fixes,
    )


def _import(place: Place, error: ImportError) -> Evidence | None:
    statement = place.statement()
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return None
    path = (statement.module or "") if isinstance(statement, ast.ImportFrom) else (error.name or "")
    if path.startswith("tensorflow.contrib"):
        return None
    tail = re.sub(r"^(tensorflow\.(python\.)?)?keras\.?", "", path)
    if not re.match(r"(tensorflow\.(python\.)?)?keras(\.|$)", path):
        return None
    lacking = [alias.name for alias in statement.names if alias.name in GONE]
    private = path.startswith("tensorflow.python.")
    if tail not in MODULES and not lacking and not private:
        return None
    new = new_import(statement, path)
    if private:
        new = new.replace("tensorflow.python.", "tensorflow.")
    names = ", ".join(alias.name for alias in statement.names)
    notes = [f"{name}: {GONE[name][1]}" for name in lacking if GONE[name][1]]
    more, fixes = further(Program(place), _dummy(place.line), {path, *lacking})
    there = not isinstance(error, ModuleNotFoundError)
    what = f"There is no {', '.join(lacking)} in {path}" if lacking and there else f"There is no module {path}"
    return Evidence(
        title=f"{what} of Keras 3." if not private else f"{path} is no part of Keras 3.",
        got=f"{place.text}",
        wanted=new.replace("\n", "; "),
        cause=("tensorflow.python is private and holds an old Keras" if private else f"Keras 2 had {names} there")
        + f"; Keras 3 removed {', '.join(lacking) if there and lacking else 'the module'}"
        + (f"; what is left is in {MODULES[tail]}" if tail in MODULES and not there else "")
        + "."
        + "".join(f"\n{note}." for note in notes)
        + more,
        fix=new + fixes,
    )


def _gone_module(place: Place, node: ast.Attribute, tail: str) -> Evidence:
    # keras.layers.recurrent.LSTM, written out
    outer = next(
        (one for one in ast.walk(place.statement() or node) if isinstance(one, ast.Attribute) and one.value is node),
        None,
    )
    home = MODULES[tail]
    now = f"{home}.{outer.attr}" if outer is not None else home
    return Evidence(
        title=f"There is no module keras.{tail} in Keras 3.",
        got=f"{place.source(outer or node)}, of Keras 2",
        wanted=now,
        cause=f"Keras 3 removed keras.{tail}; what it had is in {home}.",
        fix=line_with(place, outer or node, now),
    )


def _dummy(line: int) -> ast.Call:
    # Names that are gone stand in no call.
    return ast.Call(ast.Name("_"), [], [], lineno=line)


@SO718.on(Failure)
def model_reset(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for reset_states() of a model."""
    model, name = _missing(failure)
    place = failure.place
    node = _attribute(place, name)
    if name not in _RESETS or place is None or node is None or not is_model(model):
        return None
    called = place.source(node.value)
    stateful = stateful_layers(model)
    attribute = name == "stateful"
    lines = [_layer_words(place, model, called, layer) + ("" if attribute else ".reset_states()") for layer in stateful]
    if attribute:
        every = f"any(getattr(layer, 'stateful', False) for layer in {called}.layers)"
        fix = line_with(place, node, f"{lines[0]}.stateful" if lines else every)
    elif not stateful:
        fix = (
            f"leave {place.source(node)}() out: no layer of {called} keeps a state (stateful=True), so there is "
            "nothing to reset"
        )
    elif len(lines) <= 2:
        fix = "\n".join(lines)
    else:
        fix = f"for layer in {called}.layers:\n    if getattr(layer, 'stateful', False):\n        layer.reset_states()"
    program = Program(place)
    sizes = _batch_sizes(program, called) if stateful else []
    varying = ""
    if len(sizes) > 1:
        words = ", ".join(f"{size} (line {line})" for size, line in sizes)
        varying = (
            "\nResetting does not change the batch size either: a stateful layer keeps one row of state for each "
            f"row of the\nbatch it first saw, and {called} is given batches of {words}. Batches of another size are "
            f"refused."
        )
        # Resetting alone would only move the failure to the next size.
        fix = _stateless(stateful, sizes, seen) + _left_out(program, called) + _or_reset(fix)
    names = ", ".join(title(layer) for layer in stateful)
    more, fixes = further(program, _dummy(place.line), {"reset_states", "reset_state"})
    return Evidence(
        title=f"A model of Keras 3 has no {name}; its stateful layers have"
        + (" it." if attribute else " reset_states()."),
        got=f"{place.source(node)}" + ("" if attribute else "()") + f" of a {type(model).__name__}, as in Keras 2",
        wanted=(f"the method of the layer: {names}" if stateful else "nothing: no layer of this model is stateful"),
        cause=f"In Keras 3 state belongs to the layer, not to the model: model.{name} was removed, and "
        f"layer.reset_states() (or\nreset_state()) sets the state of that layer to zero.{varying}{more}",
        fix=fix + fixes,
        boundary=(called, *(title(layer) for layer in stateful[:1])),
    )


def _layer_words(place: Place, model: Any, called: str, layer: Any) -> str:
    names = place.names_of(layer)
    if names:
        return names[0]
    layers = list(getattr(model, "layers", ()))
    return f"{called}.layers[{layers.index(layer)}]" if layer in layers else f"{called}.get_layer('{layer.name}')"


def _stateless(layers: list[Any], sizes: list[tuple[int, int]], seen: Seen) -> str:
    # Each layer without stateful=True, in the way the user wrote it.
    lines = []
    for layer in layers:
        history = seen.history(layer)
        written = without_keyword(history.source, "stateful") if history.source else title(layer)
        line = f"line {history.made.line}: " if history.made is not None else ""
        lines.append(f"{written}        # {line}without stateful=True")
    return "\n".join(lines) + f", for batches of {' and '.join(str(size) for size, _ in sizes)}"


def _left_out(program: Program, model: str) -> str:
    # The resets, which are of no use then.
    resets = [
        (node.lineno, node.func.attr)
        for node in ast.walk(program.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("reset_states", "reset_state")
        and program.place.source(node.func.value) == model
    ]
    lines = sorted(line for line, _ in resets)
    where = f"line{'s' * (len(lines) > 1)} {' and '.join(map(str, lines))}" if len(lines) < 5 else "everywhere"
    return f"\n# and leave {model}.{resets[0][1]}() out, {where}: no state is left to reset" if resets else ""


def _or_reset(reset: str) -> str:
    first, *rest = reset.splitlines()
    first = f"\n# or, for batches of one size: {first}"
    return first + "".join(f"\n# {line}" for line in rest)


def _batch_sizes(program: Program, model: str) -> list[tuple[int, int]]:
    # Different batch sizes that a model is given, with the line of the first call of each.
    found: dict[int, int] = {}
    for node in ast.walk(program.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in ("fit", "evaluate", "predict") and program.place.source(node.func.value) == model:
            for keyword in node.keywords:
                size = program.place.value(keyword.value)
                if keyword.arg == "batch_size" and isinstance(size, int):
                    found.setdefault(size, node.lineno)
    return sorted(found.items(), key=lambda one: one[1])


@SO719.on(Failure)
def gone_attribute(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for methods and attributes that models, layers and optimizers had."""
    thing, name = _missing(failure)
    place = failure.place
    node = _attribute(place, name)
    if place is None or node is None or isinstance(thing, str | ModuleType) or not is_keras(thing):
        return None
    called = place.source(node.value)
    if is_model(thing) and name in OF_MODELS:
        kind, (now, note) = "a model", OF_MODELS[name]
    elif "Layer" in kinds(thing) and name in OF_LAYERS:
        kind, (now, note) = "a layer", OF_LAYERS[name]
        if "cell" in now and not hasattr(thing, "cell"):
            return None
    elif "BaseOptimizer" in kinds(thing) or "Optimizer" in kinds(thing):
        if name not in OF_OPTIMIZERS:
            return None
        kind, (now, note) = "an optimizer", OF_OPTIMIZERS[name]
    else:
        return None
    filled = {"model": called, "layer": called, "optimizer": called}
    now, note = now.format(**filled), note.format(**filled)
    more, fixes = further(Program(place), _dummy(place.line), {name})
    fix = line_with(place, node, now) if now else note
    if name == "predict_classes":
        fix = _classes(place, node, thing)
    return Evidence(
        title=f"{kind[0].upper()}{kind[1:]} of Keras 3 has no {name}." + (f" It is {now} now." if now else ""),
        got=f"{place.source(node)}, of Keras 2",
        wanted=now or note,
        cause=f"{name} was removed in Keras 3" + (f": {note}." if note else ".") + more,
        fix=fix + fixes,
    )


def _classes(place: Place, node: ast.Attribute, model: Any) -> str:
    # One output is a probability, several are one for each class.
    shape = getattr(model, "output_shape", None)
    call = place.call("predict_classes")
    if call is None:
        return f"{place.source(node.value)}.predict(...).argmax(axis=-1)"
    now = place.source(call).replace(place.source(node), f"{place.source(node.value)}.predict", 1)
    single = isinstance(shape, tuple) and shape[-1] == 1
    return line_with(place, call, f"({now} > 0.5).astype('int32')" if single else f"{now}.argmax(axis=-1)")


@SO720.on(Failure)
def gone_backend(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for operations of keras.backend."""
    place = failure.place
    thing, name = _missing(failure)
    path = thing.__name__ if isinstance(thing, ModuleType) else thing if isinstance(thing, str) else ""
    node = _attribute(place, name)
    if place is None or node is None or not re.fullmatch(r"keras\.(src\.)?backend(\.\w+)?", path):
        return None
    ops = sys.modules.get("keras.ops")
    now = OF_BACKEND.get(name) or (f"keras.ops.{name}" if ops is not None and hasattr(ops, name) else "")
    if not now:
        return None
    function = now.startswith(("keras.", "variable."))
    statement = place.statement()
    others = sorted(
        {one.attr for one in ast.walk(place.module() or node) if isinstance(one, ast.Attribute)
         and place.source(one.value) == place.source(node.value)} - {name}
    )  # fmt: skip
    rest = [f"{place.source(node.value)}.{one} is {_backend_name(one)}" for one in others if _backend_name(one)]
    return Evidence(
        title=f"keras.backend has no {name} in Keras 3." + (f" It is {now} now." if function else ""),
        got=f"{place.source(node)}, of Keras 2",
        wanted=now,
        cause="Keras 3 removed the operations of keras.backend; they are in keras.ops, and run on every backend."
        + ("\nFurther on: " + "; ".join(rest[:8]) + "." if rest else ""),
        fix=line_with(place, node, now) if function and statement is not None else _of_shape(place, name) or now,
    )


def _of_shape(place: Place, name: str) -> str:
    call = place.call(name)
    if call is None or len(call.args) != 1 or name not in ("int_shape", "ndim"):
        return ""
    shape = f"{place.source(call.args[0])}.shape"
    return line_with(place, call, shape if name == "int_shape" else f"len({shape})")


def _backend_name(name: str) -> str:
    backend, ops = sys.modules.get("keras.backend"), sys.modules.get("keras.ops")
    if backend is None or hasattr(backend, name):
        return ""
    return OF_BACKEND.get(name) or (f"keras.ops.{name}" if hasattr(ops, name) else "")


@SO723.on(Failure)
def tensorflow_1(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for names of TensorFlow 1."""
    place, error = failure.place, failure.error
    if place is None:
        return None
    if isinstance(error, ImportError) and (error.name or "").startswith("tensorflow.contrib"):
        return _of_tensorflow_1(place, "contrib", place.text, "")
    thing, name = _missing(failure)
    path = thing.__name__ if isinstance(thing, ModuleType) else thing if isinstance(thing, str) else ""
    if not re.match(r"tensorflow(\.|$)", path):
        return None
    tail = re.sub(r"^tensorflow(\._api\.v2)?\.?", "", f"{path}.{name}")
    node = _attribute(place, name)
    if tail not in OF_TENSORFLOW or node is None:
        return None
    return _of_tensorflow_1(place, tail, place.source(node), OF_TENSORFLOW[tail])


def _of_tensorflow_1(place: Place, tail: str, got: str, now: str) -> Evidence:
    now = now or OF_TENSORFLOW[tail]
    cells = {
        "BasicLSTMCell": "LSTMCell", "LSTMCell": "LSTMCell", "LSTMBlockCell": "LSTMCell", "GRUCell": "GRUCell",
        "BasicRNNCell": "SimpleRNNCell", "MultiRNNCell": "StackedRNNCells",
    }  # fmt: skip
    call = place.call(*cells)
    name = call.func.attr if call is not None and isinstance(call.func, ast.Attribute) else ""
    if call is not None and name in cells:
        code = line_with(place, call.func, f"keras.layers.{cells[name]}")
    elif "contrib" in tail:
        code = "cell = keras.layers.LSTMCell(units)\nrnn = keras.layers.RNN(cell, return_sequences=True)"
    else:
        code = now
    return Evidence(
        title=f"tf.{tail} belongs to TensorFlow 1 and was removed.",
        got=got,
        wanted=now,
        cause=f"TensorFlow 2 no longer has tf.{tail}; recurrent networks are layers of Keras.",
        fix=code,
    )
