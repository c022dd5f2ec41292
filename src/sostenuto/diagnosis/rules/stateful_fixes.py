"""Fixes for stateful layers: the user's own calls, with rows and batch sizes that fit."""

from __future__ import annotations

import ast
import copy
from typing import Any

from sostenuto.diagnosis.events import Failure, ModelCall
from sostenuto.diagnosis.rules.legacy_fixes import input_call, keras_input, replaced
from sostenuto.diagnosis.rules.legacy_source import Program
from sostenuto.diagnosis.rules.stateful_plans import Plan, first_of
from sostenuto.diagnosis.source import Place, with_keyword, without_keyword

_DATA = ("x", "y", "sample_weight")


def declared(model: Any, rows: int) -> str:
    """Where the number of rows of a state comes from."""
    for tensor in getattr(model, "inputs", None) or ():
        shape = getattr(tensor, "shape", None)
        if shape is not None and len(shape) and shape[0] == rows:
            return f"from Input(batch_shape={tuple(shape)})"
    return "those of the first batch it saw"


def _call(call: ModelCall) -> tuple[Place, ast.Call] | None:
    # The call of fit that is to be changed: the outer one, where fit evaluates its validation data.
    outer = call.within if call.within is not None and call.within.verb == "fit" and _own(call) else call
    node = outer.place.call(outer.verb) if outer.place is not None else None
    return (outer.place, node) if outer.place is not None and node is not None else None


def _own(call: ModelCall) -> bool:
    within = call.within
    return (
        within is not None
        and call.place is not None
        and within.place is not None
        and call.place.line == within.place.line
    )


def _arguments(node: ast.Call) -> dict[str, ast.expr]:
    found = dict(zip(_DATA[:2], (one for one in node.args if not isinstance(one, ast.Starred)), strict=False))
    return found | {one.arg: one.value for one in node.keywords if one.arg}


def _with(node: ast.Call, changes: dict[str, str], without: tuple[str, ...] = ()) -> str:
    # The call with some arguments written anew.
    new = copy.deepcopy(node)
    changes = dict(changes)
    for number, name in enumerate(_DATA[:2]):
        if name in changes and number < len(new.args):
            new.args[number] = ast.parse(changes.pop(name), mode="eval").body
    new.keywords = [one for one in new.keywords if one.arg not in without]
    for one in new.keywords:
        if one.arg in changes:
            one.value = ast.parse(changes.pop(one.arg), mode="eval").body
    new.keywords += [ast.keyword(name, ast.parse(value, mode="eval").body) for name, value in changes.items()]
    return ast.unparse(ast.fix_missing_locations(new))


def cut_to_batches(call: ModelCall, plan: Plan, rows: int, rest: int) -> str:
    """How to leave out the short last batch.

    Args:
        call: fit, evaluate or predict.
        plan: how its data was cut.
        rows: of the state.
        rest: of the last batch.
    """
    known = _call(call)
    if plan.kind == "dataset" or (plan.kind != "array" and known is None):
        return _drop(call, rows)
    if plan.kind == "loader":
        return "torch.utils.data.DataLoader(..., drop_last=True)"
    if plan.kind != "array" or known is None or not plan.rows:
        return f"leave the last batch out, or fill it up to {rows} rows"
    place, node = known
    given = _arguments(node)
    full = plan.rows - rest
    split = given.get("validation_split")
    x, y = place.source(given["x"]) if "x" in given else "x", place.source(given["y"]) if "y" in given else ""
    if split is not None:
        total = len(first_of(_outer(call).x))
        return _split(node, x, y, total, rows, _outer(call))
    if _own(call):
        return _validation(place, node, given, full)
    size = place.source(given["batch_size"]) if "batch_size" in given else str(rows)
    changes = {
        name: f"{place.source(given[name])}[:usable]" for name in _DATA if name in given and _is_cuttable(given[name])
    }
    line = f"usable = len({x}) // {size} * {size}        # {full} of {plan.rows}"
    return f"{line}\n{_with(node, changes)}"


def _outer(call: ModelCall) -> ModelCall:
    return call.within if call.within is not None and _own(call) else call


def _is_cuttable(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call)


def _split(node: ast.Call, x: str, y: str, total: int, rows: int, call: ModelCall) -> str:
    share = call.options.get("validation_split") or 0
    train = int(total * (1 - share)) // rows * rows
    valid = (total - train) // rows * rows
    if not train:
        return f"use at least {rows} rows, and a multiple of {rows}, for training and for validation"
    parts = f"({x}[{train}:{train + valid}], {y}[{train}:{train + valid}])" if y else f"{x}[{train}:{train + valid}]"
    changes = {"x": f"{x}[:{train}]", **({"y": f"{y}[:{train}]"} if y else {})}
    if valid:
        changes["validation_data"] = parts
    return _with(node, changes, ("validation_split",)) + f"        # {train} and {valid} of {total} rows"


def _validation(place: Place, node: ast.Call, given: dict[str, ast.expr], full: int) -> str:
    data = given.get("validation_data")
    if isinstance(data, ast.Tuple):
        parts = ", ".join(f"{place.source(one)}[:{full}]" for one in data.elts)
        return (
            _with(node, {"validation_data": f"({parts})"}) if full else "leave the validation data out, or fill it up"
        )
    return f"cut the validation data to {full} rows" if full else "fill the validation data up to a full batch"


def _drop(call: ModelCall, rows: int) -> str:
    # dataset.batch(16), wherever the program writes it.
    if call.place is not None:
        for node in ast.walk(call.place.module() or ast.Module([], [])):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "batch":
                return f"{with_keyword(call.place.source(node), 'drop_remainder', 'True')}        # line {node.lineno}"
    return f"dataset.batch({rows}, drop_remainder=True)"


def other_batch(failure: Failure, call: ModelCall | None, plan: Plan, rows: int, got: int) -> str:
    """How to give a stateful model batches of the size it was built for.

    Args:
        failure: what happened.
        call: fit, evaluate or predict; None for a direct call.
        plan: how its data was cut.
        rows: of the state.
        got: rows of the batch it was given.
    """
    known = _call(call) if call is not None else None
    copied = f"# or the same layers behind keras.Input(batch_shape=({got}, ...)), and set_weights(model.get_weights())"
    if call is not None and known is not None:
        place, node = known
        on_batch = call.verb.endswith("_on_batch")
        if plan.kind == "array" and plan.rows and plan.rows >= rows and not on_batch:
            fixed = _with(node, {"batch_size": str(rows)})
            rest = plan.rows % rows
            remark = f"        # and a multiple of {rows} rows: {plan.rows - rest} of {plan.rows}" if rest else ""
            return f"{fixed}{remark}\n# or leave stateful=True out: then any batch size goes"
        given = _arguments(node)
        if plan.kind == "array" and got < rows and "x" in given and call.verb.startswith("predict"):
            x = place.source(given["x"])
            filled = f"np.resize({x}, ({rows}, *np.shape({x})[1:]))"
            changes = {"x": filled} if on_batch else {"x": filled, "batch_size": str(rows)}
            return f"{_with(node, changes)}[:{got}]        # rows do not see each other\n{copied}"
        if plan.kind == "dataset":
            return f"dataset.batch({rows}, drop_remainder=True)\n{copied}"
    direct = failure.place.node() if failure.place is not None and call is None else None
    if isinstance(direct, ast.Call) and direct.args and got < rows and failure.place is not None:
        x = failure.place.source(direct.args[0])
        filled = f"np.resize({x}, ({rows}, *np.shape({x})[1:]))"
        new = copy.deepcopy(direct)
        new.args[0] = ast.parse(filled, mode="eval").body
        return f"{ast.unparse(new)}[:{got}]        # rows do not see each other\n{copied}"
    return f"give it {rows} rows\n{copied}"


def fitted_batch(failure: Failure) -> int | None:
    """The batch size that the program gives to fit or predict further on, where it is written there."""
    place = failure.place
    if place is None:
        return None
    for node in ast.walk(place.module() or ast.Module([], [])):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                value = place.value(keyword.value) if keyword.arg == "batch_size" else None
                if isinstance(value, int) and value > 0:
                    return value
    return None


def batch_in_input(failure: Failure, layer: str, shape: str, unbuilt: bool) -> str:
    """An Input with the batch size in it.

    Args:
        failure: what happened.
        layer: source of the call that made the layer.
        shape: for batch_shape, without brackets.
        unbuilt: whether the model has no Input at all.
    """
    place = failure.place
    if place is None:
        return f"keras.Input(batch_shape=({shape}))"
    program = Program(place)
    existing = input_call(program)
    fixed = existing is not None and {"batch_shape", "batch_size"} & {one.arg for one in existing.keywords}
    if existing is not None and not unbuilt and not fixed and "input_shape" not in layer:
        others = "".join(
            f", {one.arg}={place.source(one.value)}" for one in existing.keywords if one.arg in ("dtype", "name")
        )
        written = f"{place.source(existing.func)}(batch_shape=({shape}){others})"
        return replaced(program, existing, written)
    parsed = ast.parse(layer or "_()", mode="eval").body
    made = keras_input(program, parsed) if isinstance(parsed, ast.Call) and layer else "keras.Input"
    if made.startswith("."):
        made = "keras.Input"
    layer = without_keyword(layer, "input_shape") if "input_shape" in layer else layer
    return f"{made}(batch_shape=({shape})),        # in front of the first layer" + (f"\n{layer}," if layer else "")
