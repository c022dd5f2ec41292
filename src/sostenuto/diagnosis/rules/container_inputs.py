"""Models of several inputs: their number, their order, their names and their rows."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Sequence
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure
from sostenuto.diagnosis.rules.container_calls import Given, given_to, is_pair
from sostenuto.diagnosis.rules.container_views import Input, batch_words, count_words, inputs_of, shape_in, wanted_words
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.views import is_ours
from sostenuto.diagnosis.wording import nearest

_TWO = """
import numpy as np, keras
history = keras.Input((6, 2), name="history")
customer = keras.Input((3,), name="customer")
both = keras.layers.concatenate([keras.layers.LSTM(4)(history), customer])
model = keras.Model([history, customer], keras.layers.Dense(1)(both))
model.compile("adam", "mse")
steps, facts, y = np.zeros((8, 6, 2)), np.zeros((8, 3)), np.zeros((8, 1))
"""

SO254 = rule(
    "SO254",
    "A model gets more or fewer inputs than it has",
    """A model that was made with two Inputs reads two arrays, in a list or in a dict by the names of its Inputs; a
    model with one reads one array.""",
    "Give as many arrays as the model has Inputs: model.fit([a, b], y), or {'name': a, 'other': b}.",
    example=_TWO + "model.fit(steps, y, verbose=0)\n",
    repaired=_TWO + "model.fit([steps, facts], y, verbose=0)\n",
)

SO255 = rule(
    "SO255",
    "The inputs of a model come in the wrong order",
    """A list of arrays is matched with the Inputs of a model by order: the first array goes to the first of
    inputs=[...]. Names of variables mean nothing there.""",
    "Put the list into the order of the Inputs, or pass a dict by their names, whose order does not matter.",
    example=_TWO + "model.fit([facts, steps], y, verbose=0)\n",
    repaired=_TWO + "model.fit([steps, facts], y, verbose=0)\n",
)

SO256 = rule(
    "SO256",
    "The keys of a dict are not the names of the inputs",
    """A dict of arrays is matched with the Inputs of a model by name: the name=... of each Input, not the name of the
    variable that holds it.""",
    "Use the names of the Inputs as keys, or name the Inputs by the keys: keras.Input(..., name='key').",
    example=_TWO + "model.fit({'history': steps, 'facts': facts}, y, verbose=0)\n",
    repaired=_TWO + "model.fit({'history': steps, 'customer': facts}, y, verbose=0)\n",
)

SO257 = rule(
    "SO257",
    "The inputs of a model have different numbers of rows",
    """Each input of a model is a batch, and row 7 of one belongs to row 7 of the other. So all of them have the same
    number of rows; windows that were cut of one and not of the other have fewer.""",
    "Cut all inputs, and the targets, by the same rows.",
    example=_TWO + "model.fit([steps[2:], facts], y, verbose=0)\n",
    repaired=_TWO + "model.fit([steps[2:], facts[2:]], y[2:], verbose=0)\n",
)


def several(failure: Failure) -> tuple[Given, list[Input]] | None:
    """What a model was given that has several inputs by name; None for others."""
    given = given_to(failure)
    if given is None or is_ours(given.model):
        return None
    known = inputs_of(given.model)
    return (given, known) if known else None


@SO254.on(Failure)
def wrong_number(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for one array for two inputs, three for two, or two for one."""
    found = several(failure)
    if found is None or isinstance(found[0].x, dict) or is_pair(found[0]):
        return None
    given, known = found
    x = given.x
    items = list(x) if isinstance(x, list | tuple) else [x]
    shapes = [shape_in(one) for one in items]
    if len(items) == len(known) or not all(shapes) or len(known) == 1:
        return None
    names = count_words([repr(one.name) for one in known])
    missing = _missing(shapes, known)
    if len(items) == 1 and not isinstance(x, list | tuple):
        got = f"{given.source}: one array, {_words(shapes[0], known)}"
    else:
        got = f"{len(items)} arrays: {'; '.join(_words(one, known) for one in shapes[:4])}"
    return Evidence(
        title=f"{given.name} was given {len(items)} {'input' if len(items) == 1 else 'inputs'}, and the model has "
        f"{len(known)}.",
        got=got,
        wanted=f"{len(known)} inputs: " + "; ".join(f"{one.name} {wanted_words(one)}" for one in known),
        cause=f"The model was made with {len(known)} Inputs, {names}, and reads one array for each"
        + (f"; {missing} has none." if missing else "."),
        fix=given.call(x=f"[{', '.join(_choices(given, known, items))}]")
        + f"\nor by name: {{{', '.join(f'{one.name!r}: ...' for one in known)}}}",
        place=given.place,
        boundary=(given.source[:40], "the model"),
    )


@SO255.on(Failure)
def wrong_order(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for arrays that fit the inputs in another order only."""
    found = several(failure)
    if found is None or not isinstance(found[0].x, list | tuple):
        return None
    given, known = found
    shapes = [shape_in(one) for one in given.x]
    if len(shapes) != len(known) or not 2 <= len(known) <= 6 or not all(shapes):
        return None
    if all(one.fits(shape or ()) for one, shape in zip(known, shapes, strict=True)):
        return None
    orders = [
        order
        for order in itertools.permutations(range(len(known)))
        if all(one.fits(shapes[index] or ()) for one, index in zip(known, order, strict=True))
    ]
    if not orders:
        return None
    parts = _parts(given, len(shapes))
    order = orders[0]
    by_name = ", ".join(f"{one.name!r}: {parts[index]}" for one, index in zip(known, order, strict=True))
    return Evidence(
        title=f"{given.name} was given its inputs in the wrong order.",
        got="; ".join(f"{part} {_words(shape, known)}" for part, shape in zip(parts, shapes, strict=True)),
        wanted="; ".join(f"{one.name} {wanted_words(one)}" for one in known) + ", in this order",
        cause=f"A list is matched with the Inputs by order: {parts[0]} goes to {known[0].name!r}, and does not fit "
        "it.\nIn the other order each array has the shape of its Input.",
        fix=given.call(x=f"[{', '.join(one.name for one in known)}]")
        if given.in_batches
        else given.call(x=f"[{', '.join(parts[index] for index in order)}]") + f"\nor by name: {{{by_name}}}",
        unsure="" if len(orders) == 1 else "which of the arrays of one shape belongs to which Input",
        place=given.place,
        boundary=(given.source[:40], "the model"),
    )


@SO256.on(Failure)
def wrong_names(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a dict whose keys are not the names of the inputs."""
    found = several(failure)
    if found is None or not isinstance(found[0].x, dict):
        return None
    given, known = found
    names, keys = [one.name for one in known], [str(key) for key in given.x]
    missing, extra = [one for one in known if one.name not in keys], [key for key in keys if key not in names]
    if not missing:
        return None
    pairs = _matched(given.x, missing, extra)
    renamed = {key: one.name for one, key in pairs}
    if len(known) == 1 and len(keys) == 1:
        node = _literal(given)
        alone = ast.unparse(node.values[0]) if isinstance(node, ast.Dict) else f"{given.source}[{keys[0]!r}]"
        fix = given.call(x=alone) + f"\nor name the Input: keras.Input(..., name={keys[0]!r})"
    else:
        fix = _with_keys(given, renamed, missing) + "".join(
            f"\nor name the Input: keras.Input(..., name={key!r})      # now {name!r}" for key, name in renamed.items()
        )
    absent = [one for one in missing if one.name not in renamed.values()]
    return Evidence(
        title=f"The keys of {given.source if given.source.isidentifier() else 'the dict'} are not the names of the "
        "model's inputs.",
        got=f"keys {count_words([repr(key) for key in keys], 8)}",
        wanted=f"keys {count_words([repr(name) for name in names], 8)}: the names of the model's inputs",
        cause="A dict is matched with the Inputs by name, and there is no "
        f"{count_words([repr(one.name) for one in missing])} in it"
        + (f"; {count_words([repr(key) for key in extra])} is no name of an Input." if extra else ".")
        + (f"\nNothing is given for {absent[0].name!r} {wanted_words(absent[0])}." if absent else ""),
        fix=fix,
        unsure="" if len(missing) == 1 or absent else "which key belongs to which Input",
        place=given.place,
        boundary=(given.source[:40], "the model"),
    )


@SO257.on(Failure)
def rows_differ(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for inputs of different numbers of rows, one of which agrees with the targets."""
    found = several(failure)
    if found is None or len(found[1]) < 2 or "ambiguous" not in str(failure.error):
        return None
    given, known = found
    if isinstance(given.x, dict):
        items, parts = list(given.x.values()), [f"{given.source}[{key!r}]" for key in given.x]
        if not given.source.isidentifier():
            parts = [repr(key) for key in given.x]
    elif isinstance(given.x, list | tuple):
        items, parts = list(given.x), _parts(given, len(given.x))
    else:
        return None
    shapes = [shape_in(one) for one in items]
    if len(shapes) != len(known) or not all(shapes) or len({shape[0] for shape in shapes if shape}) < 2:
        return None
    rows = [shape[0] for shape in shapes if shape]
    whole = [row for row in rows if isinstance(row, int)]
    targets = shape_in(given.y)
    least = min(whole)
    short = parts[rows.index(least)]
    return Evidence(
        title="The inputs of the model have different numbers of rows.",
        got="; ".join(f"{part} {_words(shape, known)}" for part, shape in zip(parts, shapes, strict=True))
        + (f"; y has {targets[0]} rows" if targets else ""),
        wanted=f"the same number of rows (batch) in all inputs{' and in y' if targets else ''}: row i of each is "
        "one sample",
        cause=f"Row by row the inputs belong together, and there are {count_words(rows)} rows: {short} has "
        f"{max(whole) - least} fewer.",
        fix="\n".join(
            f"{part}[-{least}:]      # if the first {row - least} of them have no partner"
            for part, row in zip(parts, rows, strict=True)
            if isinstance(row, int) and row != least
        ),
        unsure=f"which rows belong together: whether the first or the last ones have no partner in {short}",
        place=given.place,
        boundary=(given.source[:40], "the model"),
    )


def parts_of(value: Any, names: Sequence[str]) -> list[tuple[Any, Any]]:
    """What is given for each input of a model, and its number or name there; empty where it is not one for each.

    Args:
        value: as it was given: an array, a list, a dict.
        names: of the inputs, in their order.
    """
    if isinstance(value, dict):
        return [(value[name], name) for name in names] if set(names) <= set(value) else []
    if isinstance(value, list | tuple):
        return list(zip(value, range(len(value)), strict=True)) if len(value) == len(names) else []
    return [(value, None)] if len(names) == 1 else []


def part_source(source: str, key: Any) -> str:
    """The source of one part of a list or dict: the element that the user wrote, or "x[0]".

    Args:
        source: of all of it.
        key: the number or name of the part; None where there are no parts.
    """
    if key is None:
        return source
    try:
        node: ast.expr | None = ast.parse(f"({source})", mode="eval").body
    except SyntaxError:
        node = None
    if isinstance(node, ast.List | ast.Tuple) and isinstance(key, int) and key < len(node.elts):
        return ast.unparse(node.elts[key])
    if isinstance(node, ast.Dict):
        for name, value in zip(node.keys, node.values, strict=True):
            if isinstance(name, ast.Constant) and name.value == key:
                return ast.unparse(value)
    return f"{source}[{key!r}]"


def _words(shape: Sequence[int | None] | None, known: list[Input]) -> str:
    # Named by the input it fits, if one does.
    if shape is None:
        return "?"
    tokens = next((one.tokens for one in known if one.fits(shape)), False)
    return batch_words(shape, tokens)


def _missing(shapes: Sequence[Any], known: list[Input]) -> str:
    waiting = list(known)
    for shape in shapes:
        fitting = next((one for one in waiting if one.fits(shape)), None)
        if fitting is None:
            return ""
        waiting.remove(fitting)
    return count_words([repr(one.name) for one in waiting]) if waiting else ""


def _choices(given: Given, known: list[Input], items: list[Any]) -> list[str]:
    # For every input the array that was given for it, or a variable of the user's that fits.
    if given.in_batches:
        return [one.name for one in known]
    parts = _parts(given, len(items)) if isinstance(given.x, list | tuple) else [given.source]
    shapes = [shape_in(one) for one in items]
    used: list[int] = []
    found = []
    for one in known:
        index = next((i for i, s in enumerate(shapes) if i not in used and s and one.fits(s)), None)
        if index is not None:
            used.append(index)
            found.append(parts[index])
        else:
            found.append(_variable(given.place, one, items) or one.name)
    return found


def _variable(place: Place | None, one: Input, items: list[Any]) -> str:
    rows = next((shape[0] for shape in map(shape_in, items) if shape), None)
    fitting = [
        name
        for name, value in (place.names.items() if place is not None else ())
        if not name.startswith("_")
        and type(value).__name__ in ("ndarray", "DataFrame", "Tensor", "EagerTensor", "ArrayImpl")
        and all(value is not item for item in items)
        and (shape := shape_in(value))
        and shape[0] == rows
        and one.fits(shape)
    ]
    return fitting[0] if len(fitting) == 1 else next(iter(nearest(one.name, fitting)), "")


def _parts(given: Given, number: int) -> list[str]:
    # The elements of the list as the user wrote them.
    node = _literal(given)
    if isinstance(node, ast.List | ast.Tuple) and len(node.elts) == number:
        return [ast.unparse(one) for one in node.elts]
    return [f"{given.source}[{index}]" for index in range(number)]


def _literal(given: Given) -> ast.expr | None:
    try:
        node: ast.expr = ast.parse(f"({given.source})", mode="eval").body
    except SyntaxError:
        return None
    return node


def _matched(x: dict[Any, Any], missing: list[Input], extra: list[str]) -> list[tuple[Input, str]]:
    # Keys that mean a missing input: the only one of its shape, else the one with the nearest name.
    pairs: list[tuple[Input, str]] = []
    shapes = {str(key): shape_in(value) for key, value in x.items()}
    for one in missing:
        left = [key for key in extra if key not in [used for _, used in pairs]]
        fitting = [key for key in left if one.fits(shapes[key] or ())]
        chosen = fitting if len(fitting) == 1 else nearest(one.name, fitting, 1)
        pairs += [(one, chosen[0])] if chosen else []
    return pairs


def _with_keys(given: Given, renamed: dict[str, str], missing: list[Input]) -> str:
    node = _literal(given)
    written = {}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        written = {key.value: ast.unparse(value) for key, value in pairs if isinstance(key, ast.Constant)}
    parts = {renamed.get(str(key), str(key)): written.get(key, f"{given.source}[{str(key)!r}]") for key in given.x}
    for one in missing:
        if one.name not in parts:
            parts[one.name] = _variable(given.place, one, list(given.x.values())) or "..."
    return given.call(x="{" + ", ".join(f"{name!r}: {source}" for name, source in parts.items()) + "}")
