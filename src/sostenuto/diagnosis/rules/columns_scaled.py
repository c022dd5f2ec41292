"""Parts of data that were scaled each by themselves."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCall
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called

SO242 = rule(
    "SO242",
    "The test part is scaled by its own values, not by those of the training part",
    """The same reading becomes another number if training and test data are scaled each with its own mean or range. The
    model then meets numbers that mean something else than those it learnt.""",
    """Fit the scaler on the training part, and only transform the test part: scaler.transform(test). By hand: (test -
    train.mean()) / train.std().""",
    example="""
import numpy as np, keras
rng = np.random.default_rng(0)
train, test = rng.normal(3, 2, (40, 10, 1)), rng.normal(6, 4, (20, 10, 1))
x_train = (train - train.mean()) / train.std()
x_test = (test - test.mean()) / test.std()
model = keras.Sequential([keras.Input((10, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x_train, train[:, 0], verbose=0)
model.evaluate(x_test, test[:, 0], verbose=0)
""",
    repaired="""
import numpy as np, keras
rng = np.random.default_rng(0)
train, test = rng.normal(3, 2, (40, 10, 1)), rng.normal(6, 4, (20, 10, 1))
x_train = (train - train.mean()) / train.std()
x_test = (test - train.mean()) / train.std()
model = keras.Sequential([keras.Input((10, 1)), keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x_train, train[:, 0], verbose=0)
model.evaluate(x_test, test[:, 0], verbose=0)
""",
)

# x_test, testX, data[data.split == "test"], not "latest" or "values".
_LATER = re.compile(
    r"(?<![a-wzA-WZ])(?i:test|val|valid|validation|holdout|new|live|future|unseen|later)(?i:ing|set|data)?(?![a-z])"
)

_STATISTICS = ("mean", "std", "min", "max", "median", "ptp", "nanmean", "nanstd", "quantile", "percentile")


@dataclass(frozen=True)
class _Scaled:
    """Data that is scaled by its own values.

    Attributes:
        node: the expression that scales it, or has it scaled.
        own: the source of the data.
        scaler: the source of the object that scales, or "".
    """

    node: ast.expr
    own: str
    scaler: str = ""


@SO242.on(ModelCall)
def scaled_by_itself(event: ModelCall, seen: Seen) -> Evidence | None:
    """Looks in the source for a second fit_transform, or a second mean and deviation, for later data."""
    place = event.place
    if place is None or event.within is not None or event.verb not in ("evaluate", "predict", "fit"):
        return None
    module = place.module()
    if module is None or seen.notes["scaled"].get(place.file):
        return None
    looks = (_fitted(place, module), _in_functions(module), _standardised(module))
    found = next((pair for scaled in looks if (pair := _second(list(scaled))) is not None), None)
    if found is None:
        return None
    seen.notes["scaled"][place.file] = True
    first, later = found
    node = later.node
    return Evidence(
        got=f"line {node.lineno}: {place.source(node)}\nscales {later.own} by its own values",
        wanted=f"the scale of the training data ({first.own}, line {first.node.lineno}), for all data",
        cause="Scaled each by itself, training and test data have different scales: the same reading becomes another "
        "number, and\nthe model, which learnt the scale of the training data, is asked about numbers that mean "
        "something else.",
        fix=_fix(first, later),
        place=Place(place.file, node.lineno, place.function),
        boundary=(later.own, "model"),
    )


def _second(found: list[_Scaled]) -> tuple[_Scaled, _Scaled] | None:
    # Data whose name says that it comes later, and training data that was scaled the same way before.
    found.sort(key=lambda one: one.node.lineno)
    early = [one for one in found if not _LATER.search(one.own)]
    for later in found:
        before = [one for one in early if one.node.lineno <= later.node.lineno]
        if before and _LATER.search(later.own):
            # The same scaler, where there are several: one for inputs, one for targets.
            return next((one for one in before if one.scaler == later.scaler), before[0]), later
    return None


def _fitted(place: Place, module: ast.Module) -> Iterator[_Scaled]:
    calls = [
        (place.source(node.func.value), node)
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
    ]
    scalers = {owner for owner, node in calls if called(node) == "transform"}
    for owner, node in calls:
        # What has a transform, too, is no model.
        if called(node) == "fit_transform" or (called(node) == "fit" and owner in scalers):
            yield _Scaled(node, ast.unparse(node.args[0]), owner)


def _standardised(tree: ast.AST) -> Iterator[_Scaled]:
    # (x - x.mean()) / x.std(), x / x.max()
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
            continue
        value = node.left
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Sub):
            if not _statistic_of(value.right, ast.unparse(value.left)):
                continue
            value = value.left
        own = ast.unparse(value)
        if isinstance(value, ast.Name | ast.Attribute | ast.Subscript) and _statistic_of(node.right, own):
            yield _Scaled(node, own)


def _statistic_of(node: ast.AST, own: str) -> bool:
    return any(
        isinstance(one, ast.Call)
        and called(one) in _STATISTICS
        and any(isinstance(part, ast.expr) and ast.unparse(part) == own for part in ast.walk(one))
        for one in ast.walk(node)
    )


def _in_functions(module: ast.Module) -> Iterator[_Scaled]:
    # def scale(x): return (x - x.mean()) / x.std(), called with one part after the other.
    scaling = {}
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef) or not function.args.args:
            continue
        parameter = function.args.args[0].arg
        made = [one.own for one in _standardised(function)]
        made += [
            ast.unparse(one.args[0])
            for one in ast.walk(function)
            if isinstance(one, ast.Call) and called(one) == "fit_transform" and one.args
        ]
        if parameter in made:
            scaling[function.name] = parameter
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in scaling and node.args:
            yield _Scaled(node, ast.unparse(node.args[0]), node.func.id)


def _fix(first: _Scaled, later: _Scaled) -> str:
    node = later.node
    if not later.scaler:
        return f"{_of_training(node, later.own, first.own)}        # of the training data"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return (
            f"mean, std = {first.own}.mean(axis=0), {first.own}.std(axis=0)        # once, of the training data\n"
            f"({later.own} - mean) / std        # instead of {ast.unparse(node)}"
        )
    scaler = first.scaler if first.scaler.isidentifier() else "scaler"
    return f"{scaler}.transform({later.own})        # {scaler} as it was fitted to {first.own}"


def _of_training(node: ast.expr, own: str, train: str) -> str:
    # Within calls of mean, std, ... stands the training data, outside of them the data that is scaled.
    class Other(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.AST:
            if called(call) not in _STATISTICS:
                return self.generic_visit(call)
            return ast.parse(_exchanged(call, own, train), mode="eval").body

    return ast.unparse(Other().visit(copy.deepcopy(node)))


def _exchanged(node: ast.expr, own: str, other: str) -> str:
    class Exchange(ast.NodeTransformer):
        def visit(self, part: ast.AST) -> ast.AST:
            same = isinstance(part, ast.expr) and ast.unparse(part) == own
            return ast.parse(other, mode="eval").body if same else self.generic_visit(part)

    return ast.unparse(Exchange().visit(copy.deepcopy(node)))
