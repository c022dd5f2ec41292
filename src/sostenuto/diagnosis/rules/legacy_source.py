"""Reads a program for what Keras 3 no longer has: which names come from Keras, and which calls use old arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sostenuto.diagnosis.rules.legacy_names import ARGUMENTS, GONE, MODULES, OF_MODELS, Was
from sostenuto.diagnosis.source import Place, called

# Where names that are gone used to be; keras.ops.one_hot is another thing than keras.preprocessing.text.one_hot.
_PLACES = tuple(
    f"keras.{one}."
    for one in ("layers", "utils", "preprocessing", "optimizers", "initializers", "regularizers", "models", "wrappers")
)


@dataclass(frozen=True)
class Old:
    """One use of something that is gone.

    Attributes:
        line: of the file.
        name: what is gone.
        words: what is said about it.
        call: the call it stands in, or None.
        fix: what to write instead, where that is not the call written anew.
    """

    line: int
    name: str
    words: str
    call: ast.Call | None = None
    fix: str = ""


class Program:
    """A file of the user's, read and never run.

    Args:
        place: somewhere in it.

    Attributes:
        tree: its syntax tree; an empty one where it cannot be read.
        names: the user's names for what comes from Keras or TensorFlow, with their paths: {"L": "keras.layers"}.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.tree = place.module() or ast.Module([], [])
        self.names = _imported(self.tree)

    def path(self, node: ast.AST) -> str:
        """What an expression names, as a path: "keras.layers.LSTM"; "" where it is nothing of Keras or TensorFlow."""
        return _path(node, self.names)

    def owner(self, call: ast.Call) -> str:
        """The class or function of Keras that is called, its last name; "" for others.

        Methods of models go by their name alone: what stands before the dot is not known without running it.
        """
        path = self.path(call.func)
        if path.startswith("keras."):
            return path.rpartition(".")[2]
        known = {"fit", "evaluate", "predict", "compile", "fit_generator", "evaluate_generator", "predict_generator"}
        return called(call) if isinstance(call.func, ast.Attribute) and called(call) in known else ""

    def models(self) -> set[str]:
        """Names that a Sequential, a Model or a loaded model is assigned to."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                last = self.path(node.value.func).rpartition(".")[2]
                if last in ("Sequential", "Model", "load_model", "clone_model"):
                    found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        return found

    def old(self) -> Iterator[Old]:
        """All uses of names and arguments that are gone, in the order of the file."""
        models = self.models()
        nodes = [one for one in ast.walk(self.tree) if isinstance(one, ast.expr | ast.stmt)]
        for node in sorted(nodes, key=lambda one: (one.lineno, one.col_offset)):
            if isinstance(node, ast.Call):
                yield from self._in_call(node, models)
            elif isinstance(node, ast.For | ast.While):
                yield from _resets(node)
            elif isinstance(node, ast.ImportFrom | ast.Import):
                yield from _in_import(node)
            elif isinstance(node, ast.Attribute):
                path = self.path(node)
                last = path.rpartition(".")[2]
                if path.startswith(_PLACES) and last in GONE:
                    yield Old(node.lineno, last, f"{last} is gone: {GONE[last][1] or GONE[last][0]}")

    def _in_call(self, call: ast.Call, models: set[str]) -> Iterator[Old]:
        owner = self.owner(call)
        for keyword in call.keywords:
            was = was_argument(keyword.arg or "", owner) if owner else None
            if was is not None:
                written = self.place.source(keyword.value)
                shown = written if len(written) < 40 else "..."
                words = f"{owner}(... {keyword.arg}={shown}): {gone(str(keyword.arg), was)}"
                yield Old(call.lineno, str(keyword.arg), words, call)
        both = {keyword.arg for keyword in call.keywords} >= {"shape", "batch_shape"}
        if owner in ("Input", "InputLayer") and both:
            yield Old(call.lineno, "shape", f"{owner} gets shape and batch_shape together; only one may be given", call)
        if (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in models
        ):
            name = call.func.attr
            if name in ("reset_states", "reset_state"):
                yield Old(call.lineno, name, f"models of Keras 3 have no {name}(); its layers have", call)
            elif name in OF_MODELS:
                now, note = (text.format(model=call.func.value.id) for text in OF_MODELS[name])
                yield Old(call.lineno, name, f"models of Keras 3 have no {name}: {now or note}", call)

    def further(self, line: int, names: set[str], most: int = 6) -> list[Old]:
        """Other old uses than the one in question.

        Args:
            line: of that one.
            names: that were spoken of already.
            most: how many at most.
        """
        found: list[Old] = []
        for one in self.old():
            same = one.line == line and one.name in names
            if not same and (one.line, one.name) not in {(other.line, other.name) for other in found}:
                found.append(one)
        return found[:most]


def gone(name: str, was: Was) -> str:
    """What is said about an argument that is gone."""
    if was.era.startswith("PyTorch"):
        text = f"{name} is {was.era}"
    else:
        text = f"{name} is an argument of {was.era} that Keras 3 no longer has"
    if was.now:
        text += f"; it is called {was.now} now"
    return text + (f" ({was.note})" if was.note and was.now else f"; {was.note}" if was.note else "")


def was_argument(name: str, owner: str) -> Was | None:
    """What an argument was, where a class or function had it and has it no longer."""
    return next((was for was in ARGUMENTS.get(name, ()) if was.fits(owner)), None)


def changed(call: ast.Call, owner: str, also: Mapping[str, str] = {}) -> tuple[ast.Call, list[ast.expr]]:
    """A call with old arguments renamed or left out.

    Args:
        call: as it stands.
        owner: the class or function called.
        also: further names to rename; to "" for leaving out.

    Returns:
        The new call, and the shapes that were given as ``batch_input_shape``.
    """
    keywords, shapes = [], []
    for keyword in call.keywords:
        name = keyword.arg or ""
        was = was_argument(name, owner)
        now = also.get(name, was.now if was is not None else name)
        if name in ("batch_input_shape", "batch_shape") and was is not None:
            shapes.append(keyword.value)
        if now or keyword.arg is None:
            keywords.append(ast.keyword(keyword.arg and now, keyword.value))
    first = [one for one in keywords if one.arg == "units"]
    return ast.Call(call.func, call.args, first + [one for one in keywords if one.arg != "units"]), shapes


def new_import(node: ast.ImportFrom | ast.Import, path: str) -> str:
    """An import statement that Keras 3 understands.

    Args:
        node: as it stands.
        path: of the module that is not there, or of the one that lacks a name.
    """
    prefix = "tensorflow." if path.startswith("tensorflow.") else ""
    module = MODULES.get(_tail(path), "")
    if isinstance(node, ast.Import):
        return f"import {prefix}{module or 'keras'}"
    lines: dict[str, list[str]] = {}
    for alias in node.names:
        home, name = _home(alias.name, module or _keras(path), prefix)
        lines.setdefault(home, []).append(name + (f" as {alias.asname}" if alias.asname else ""))
    return "\n".join(f"from {home} import {', '.join(names)}" for home, names in lines.items())


def _resets(loop: ast.For | ast.While) -> Iterator[Old]:
    # Reset and run in the same turn of a loop, with no loop between them.
    calls = [call for statement in loop.body if not hasattr(statement, "body") for call in ast.walk(statement)]
    named = {called(call): call for call in calls if isinstance(call, ast.Call)}
    reset = next((name for name in ("reset_states", "reset_state") if name in named), None)
    run = next((name for name in ("predict", "predict_on_batch", "train_on_batch") if name in named), None)
    if reset and run:
        words = (
            f"{reset}() and {run}(...) stand in the same turn of a loop: if a turn is one batch, no state goes on "
            f"to the next\nbatch, and stateful=True has no effect; reset only where a new sequence begins"
        )
        line = named[reset].lineno
        fix = f"{ast.unparse(named[reset])}        # line {line}, moved in front of the loop of line {loop.lineno}"
        yield Old(line, reset, words, fix=fix)


# Where those are that are not where the module went.
_HOMES = {
    "np_utils": ("keras.utils", "to_categorical"),
    "Tokenizer": ("tensorflow.keras.preprocessing.text", "Tokenizer"),
    "text_to_word_sequence": ("tensorflow.keras.preprocessing.text", "text_to_word_sequence"),
    "one_hot": ("tensorflow.keras.preprocessing.text", "one_hot"),
    "TimeseriesGenerator": ("tensorflow.keras.preprocessing.sequence", "TimeseriesGenerator"),
    "pad_sequences": ("keras.utils", "pad_sequences"),
    "ImageDataGenerator": ("tensorflow.keras.preprocessing.image", "ImageDataGenerator"),
    "KerasClassifier": ("scikeras.wrappers", "KerasClassifier"),
    "KerasRegressor": ("scikeras.wrappers", "KerasRegressor"),
    "Layer": ("keras.layers", "Layer"),
    "Input": ("keras", "Input"),
    "Model": ("keras", "Model"),
    "Merge": ("keras.layers", "concatenate"),
    "merge": ("keras.layers", "concatenate"),
    "adam": ("keras.optimizers", "Adam"),
    "sgd": ("keras.optimizers", "SGD"),
    "rmsprop": ("keras.optimizers", "RMSprop"),
    "model_from_yaml": ("keras.models", "model_from_json"),
    "recurrent": ("keras", "layers"),
    "core": ("keras", "layers"),
    "text": ("tensorflow.keras.preprocessing", "text"),
}


def _home(name: str, module: str, prefix: str) -> tuple[str, str]:
    home, now = _HOMES.get(name, (module, GONE[name][0] if name in GONE else name))
    return (prefix + home if home.startswith("keras") else home), now


def _in_import(node: ast.ImportFrom | ast.Import) -> Iterator[Old]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if _is_keras(alias.name) and _tail(alias.name) in MODULES:
                yield Old(node.lineno, alias.name, f"{alias.name} is gone; see {MODULES[_tail(alias.name)]}")
        return
    path = node.module or ""
    if not _is_keras(path):
        return
    legacy_home = path.startswith("tensorflow.") and _tail(path).startswith("preprocessing")
    if (
        _tail(path) in MODULES
        and not legacy_home
        and _tail(path) not in ("preprocessing.sequence", "preprocessing.image")
    ):
        yield Old(node.lineno, path, f"{path} is gone: {new_import(node, path)}")
        return
    for alias in node.names:
        if alias.name in GONE and not legacy_home and f"{_keras(path)}.".startswith(_PLACES):
            yield Old(node.lineno, alias.name, f"{path} has no {alias.name} any more: {new_import(node, path)}")


def _is_keras(path: str) -> bool:
    return bool(re.match(r"(tensorflow\.(python\.)?)?keras(\.|$)", path))


def _keras(path: str) -> str:
    return f"keras.{_tail(path)}".rstrip(".")


def _tail(path: str) -> str:
    # What stands behind "keras.", wherever Keras is taken from.
    return re.sub(r"^(tensorflow\.(python\.)?)?keras\.?", "", path)


def _imported(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                path = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or path] = path
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    names = {name: path for name, path in names.items() if re.match(r"(keras|tensorflow)(\.|$)", path)}
    for node in tree.body:
        # L = keras.layers
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            path = _path(node.value, names) if isinstance(node.value, ast.Attribute | ast.Name) else ""
            if path:
                names[node.targets[0].id] = path
    return names


def _path(node: ast.AST, names: Mapping[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    path = ".".join([names[node.id], *reversed(parts)])
    return _keras(path) if _is_keras(path) else path


def plain_value(value: Any) -> str:
    """A value in words where it is short and simple, else "..."."""
    if isinstance(value, int | float | str | bool | type(None)) or (
        isinstance(value, tuple | list) and all(isinstance(one, int | float | None) for one in value)
    ):
        text = repr(value)
        return text if len(text) <= 60 else "..."
    return "..."
