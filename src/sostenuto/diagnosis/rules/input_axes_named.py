"""Axes that the user's own names for their sizes tell: n_steps = 50 and n_channels = 4 beside data of (120, 4, 50)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import ModelCalled
from sostenuto.diagnosis.rules.axes import SO102
from sostenuto.diagnosis.rules.container_calls import Given, written
from sostenuto.diagnosis.rules.container_views import is_container
from sostenuto.diagnosis.rules.data_axes import pairs
from sostenuto.diagnosis.rules.data_axes_pages import SO126
from sostenuto.diagnosis.rules.input_axes_views import declared, keeps_axes, shape_of_call
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import first_layers, input_tensors, is_ours, is_recurrent, kinds, output_tensors, title
from sostenuto.diagnosis.wording import axes

_NAMES = {
    "T": re.compile(
        r"^(n_?|num_?|no_?)?(time_?)?steps?$|time_?(steps?|points?)|^(n_?|num_?)times?$|window(?!s)|look_?back|"
        r"(seq(uence)?|series|signal|segment)_?(len|size)|^(n_?|num_?)frames$",
        re.I,
    ),
    "F": re.compile(
        r"^(n_?|num_?)?(features?|channels?|sensors?|electrodes?|leads|variables|attributes|mels|bands)$|"
        r"(^|_)(channels|sensors|electrodes)$|feature_dim|input_dim$",
        re.I,
    ),
    "B": re.compile(
        r"^(n_?|num_?)(samples?|sequences?|series|rows|examples|patients|users|machines|windows|trials|subjects|"
        r"recordings)$",
        re.I,
    ),
}

# What counts steps only where it stands behind features: signals have samples, and days have hours.
_LAST = re.compile(r"^(n_?|num_?|no_?)?(samples?|length|len|t|frames?|hours|minutes|days|weeks)$", re.I)

# Layers that run over the second axis, beside recurrent ones.
_ALONG = {"Conv1D", "SeparableConv1D", "DepthwiseConv1D", "MaxPooling1D", "AveragePooling1D", "TimeDistributed"}

# Smaller sizes are equal to others too easily.
_LEAST = 2


def sizes_named(place: Place) -> dict[str, dict[int, str]]:
    """The whole numbers among the user's variables whose names say which axis they are the size of.

    Args:
        place: in the user's code.

    Returns:
        For "T", "F" and "B" the sizes with their names.
    """
    found: dict[str, dict[int, str]] = {letter: {} for letter in _NAMES}
    for name in list(place.names):
        for letter, pattern in _NAMES.items():
            if not pattern.search(name):
                continue
            value = place.names.get(name)
            if type(value) is int and value >= _LEAST:
                found[letter].setdefault(value, name)
    return found


def _says(named: dict[str, dict[int, str]], letter: str, axis: int, shape: tuple[int, ...]) -> str:
    # The name that says so, where it says it of no other axis, and nothing else is said of this one.
    name = named[letter].get(shape[axis], "")
    elsewhere = any(size in named[letter] for number, size in enumerate(shape) if number != axis)
    others = any(shape[axis] in named[other] for other in named if other != letter)
    return "" if elsewhere or others else name


# --- sizes in the source ---------------------------------------------------------------------------------------------


def _written_axes(place: Place, got: tuple[int, ...]) -> tuple[str, str] | None:
    # (n, n_channels, n_times) somewhere in the source, as a size, a reshape or an unpacked shape: the names of the two
    # axes. The numbers may be known inside of a function only, and two axes may have the same one.
    tree = place.module()
    found: tuple[str, str] | None = None
    for node in ast.walk(tree) if tree is not None else ():
        sizes = _three(node)
        if sizes is None:
            continue
        second, third = _named(sizes[1]), _named(sizes[2])
        if not _counts(place, sizes[1], second, got[1]) or not _counts(place, sizes[2], third, got[2]):
            continue
        if _NAMES["T"].search(second) and _NAMES["F"].search(third):
            return None
        if _NAMES["F"].search(second) and (_NAMES["T"].search(third) or _LAST.search(third)):
            found = found or (second, third)
    return found


def _three(node: ast.AST) -> Sequence[ast.expr] | None:
    # (a, b, c), x.reshape(a, b, c), rng.random(a, b, c)
    if isinstance(node, ast.Tuple | ast.List) and len(node.elts) == 3:
        return node.elts
    if isinstance(node, ast.Call) and len(node.args) == 3 and called(node) in ("reshape", "randn", "rand", "view"):
        return node.args
    return None


def _named(node: ast.expr) -> str:
    # n_channels, config.n_channels, config["n_channels"]
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _counts(place: Place, node: ast.expr, name: str, size: int) -> bool:
    value = place.value(node)
    if type(value) is int:
        return value == size
    tree = place.module()
    given = [one for one in _bindings(tree) if one[0] == name] if tree is not None and name else []
    return any(isinstance(one, ast.Constant) and one.value == size for _, one in given)


def _bindings(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    # n_times = 100, n_channels, n_times = 6, 100, def f(n_times=100), f(n_times=100): names with what they are given.
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield _named(target), node.value
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    yield from zip(map(_named, target.elts), node.value.elts, strict=False)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield _named(node.target), node.value
        elif isinstance(node, ast.arguments):
            names = [one.arg for one in node.args]
            yield from zip(names[len(names) - len(node.defaults) :], node.defaults, strict=False)
            yield from ((one.arg, value) for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value)
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value


# --- what is read in the wrong order ---------------------------------------------------------------------------------


@SO102.on(ModelCalled)
def features_named_first(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for data (batch, features, time), by the names of its sizes, that a layer of sequences reads as it is."""
    for given, got, source, layer in _read_as_it_is(event):
        assert given.place is not None
        named = sizes_named(given.place) if len(set(got)) == 3 else {letter: {} for letter in _NAMES}
        steps, features = _says(named, "T", 2, got), _says(named, "F", 1, got)
        if not steps or not features:
            features, steps = _written_axes(given.place, got) or ("", "")
        if not steps or not features or got[1] == got[2]:
            continue
        reader = title(layer)
        yield Evidence(
            title=f"{source} has features before time, and {reader} reads time first.",
            got=f"{source} {got}: {features}={got[1]} and then {steps}={got[2]}, read as {axes(got, 'BTF')}",
            wanted=f"{axes((got[0], got[2], got[1]), 'BTF')}: {steps}={got[2]} in the middle, {features}={got[1]} last",
            cause=f"Keras reads (batch, time, features). By the names of its sizes {source} has them in the "
            f"other order:\n{reader} takes axis 1 for time, which is {features}, and axis 2 for the features of a "
            f"step, which is {steps}:\nit runs over {got[1]} steps of {got[2]} numbers. Swapped axes fit a model that "
            "was declared with them swapped, so nothing raises.",
            fix=_exchanged(given, got, source, layer, seen),
            unsure="whether the axes were exchanged on purpose",
            boundary=(source[:40], reader),
        )


def _exchanged(given: Given, got: tuple[int, ...], source: str, layer: Any, seen: Seen) -> str:
    inputs = list(getattr(given.model, "inputs", None) or ())
    made = getattr(getattr(inputs[0], "_keras_history", None), "operation", None) if len(inputs) == 1 else None
    said = declared(made, layer, seen)
    # A shape taken from the data follows by itself.
    other = "" if not said.source or ".shape" in said.argument else said.with_shape((got[2], got[1]))
    name = source.partition("[")[0]
    whole = shape_of_call(given.place.value(name)) if given.place is not None and name.isidentifier() else None
    if whole is not None and whole[1:] == got[1:]:
        fix = f"{name} = {name}.transpose(0, 2, 1)        # {(whole[0], got[2], got[1])}, before the model is made"
    else:
        fix = given.call(x=f"{source}.transpose(0, 2, 1)")
    return f"{fix}\n{other}        # {got[2]} steps of {got[1]} features" if other else fix


@SO126.on(ModelCalled)
def time_named_first(event: ModelCalled, seen: Seen) -> Iterator[Evidence]:
    """Looks for data (time, batch, features), by the names of its sizes, that a layer of sequences reads as it is."""
    for given, got, source, layer in _read_as_it_is(event):
        assert given.place is not None
        if len(set(got)) != 3:
            continue
        named = sizes_named(given.place)
        steps, samples = _says(named, "T", 0, got), _says(named, "B", 1, got)
        if not steps or not samples:
            continue
        reader = title(layer)
        yield Evidence(
            title=f"{source} has time in front, and Keras takes it for the batch.",
            got=f"{source} {got}: {steps}={got[0]} and then {samples}={got[1]}, read as {axes(got, 'BTF')}",
            wanted=f"{axes((got[1], got[0], got[2]), 'BTF')}: {samples}={got[1]} in front",
            cause=f"The first axis is the batch, always. By the names of its sizes {source} is time-major, "
            f"(time, batch,\nfeatures): {reader} runs over {samples}, from one to the next, and nothing raises.",
            fix=given.call(x=f"{source}.swapaxes(0, 1)") + "        # and the targets in the same order",
            unsure="whether the axes were exchanged on purpose",
            boundary=(source[:40], reader),
        )


def _read_as_it_is(event: ModelCalled) -> Iterator[tuple[Given, tuple[int, ...], str, Any]]:
    if event.verb != "fit" or event.within is not None or is_ours(event.model) or event.place is None:
        return
    layer = _reader(event.model) if is_container(event.x) else None
    if layer is None:
        return
    given = Given(event.model, event.x, event.y, event.place, written(event, "x"), event)
    for _, got, source, _ in pairs(given):
        if len(got) == 3 and None not in got:
            yield given, tuple(int(size) for size in got if size is not None), source, layer


def _reader(model: Any) -> Any:
    # The layer that runs over the second axis of what the model is given; None where something may turn the axes first.
    if "Sequential" in kinds(model):
        layers = [one for one in model.layers if not keeps_axes(one)][:1]
    else:
        layers = first_layers(model)
        while len(layers) == 1 and keeps_axes(layers[0]):
            tensors = output_tensors(layers[0])
            layers = [one for one in model.layers if any(a is b for a in input_tensors(one) for b in tensors)]
    if not layers or not all(is_recurrent(one) or kinds(one) & _ALONG for one in layers):
        return None
    return layers[0] if all(getattr(one, "data_format", "") != "channels_first" for one in layers) else None
