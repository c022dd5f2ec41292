"""Facts of tensors go with them: through modules, transposing, indexing, padding and packing. Finds nothing itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.events import TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import Facts, Filled, Run, Taken, facts_of, know
from sostenuto.diagnosis.rules.torch_following_data import follow_loader, follow_padding
from sostenuto.diagnosis.rules.torch_modules import (
    directions,
    is_cell,
    is_rnn,
    is_tensor,
    name_of,
    shape_of,
    state_given,
    tensors_in,
    written,
)
from sostenuto.diagnosis.rules.torch_views import index_axes, reordered, viewed
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import kinds

_SAME = {
    *("Dropout", "LayerNorm", "ReLU", "LeakyReLU", "Tanh", "GELU", "ELU", "SiLU", "Identity"),
    *("contiguous", "clone", "float", "double", "long", "to", "cpu", "cuda", "tanh", "relu", "leaky_relu", "gelu"),
    *("elu", "silu", "dropout"),
}
_PROBABILITIES = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "sigmoid": "sigmoid",
}

# Numbers of a tensor that are looked at for padding.
_MOST = 2_000_000


def follow_call(event: TorchCall, seen: Seen) -> None:
    """Takes facts through a module."""
    module = event.module
    inputs = event.inputs[0] if event.inputs else None
    if is_rnn(module):
        _through_rnn(event, inputs, seen)
        return
    if is_cell(module):
        _through_cell(event, inputs, seen)
        return
    known = facts_of(inputs, seen)
    of = kinds(module)
    if "Embedding" in of and is_tensor(event.output):
        filled = (known.filled if known is not None else None) or _padding_seen(event, inputs)
        if known is not None or filled is not None:
            known = known or Facts()
            letters = f"{known.letters}F" if known.letters else ""
            know(event.output, seen, replace(known, letters=letters, filled=filled))
    elif known is None or not is_tensor(event.output):
        return
    elif "Linear" in of:
        letters = f"{known.letters[:-1]}F" if known.letters else ""
        know(event.output, seen, replace(known, letters=letters, role="linear", layer=written(module, seen)))
    elif of & _SAME:
        know(event.output, seen, known)
    elif role := next((_PROBABILITIES[kind] for kind in of if kind in _PROBABILITIES), ""):
        know(event.output, seen, replace(known, role=role))
    elif "Flatten" in of and getattr(module, "start_dim", 1) == 1:
        know(event.output, seen, viewed(known, inputs, event.output, event.place, name_of(event)))


def follow_function(event: TorchFunction, seen: Seen) -> None:
    """Takes facts through a function of torch."""
    name, output = event.name, event.output
    if name.startswith("DataLoader"):
        follow_loader(event, seen)
        return
    if name in ("pad_sequence", "pack_padded_sequence", "pad_packed_sequence"):
        follow_padding(event, seen)
        return
    inputs = event.inputs[0] if event.inputs else None
    if name == "cat":
        _joined(event, seen)
        return
    known = facts_of(inputs, seen)
    if known is None:
        return
    values = getattr(output, "values", None) if name == "max" else None
    output = values if is_tensor(values) else output
    if name == "detach_":
        know(inputs, seen, replace(known, detached=True))
    elif not is_tensor(output):
        return
    elif name == "detach":
        know(output, seen, replace(known, detached=True))
    elif name in _SAME:
        know(output, seen, known)
    elif name in _PROBABILITIES:
        know(output, seen, replace(known, role=_PROBABILITIES[name]))
    elif name == "getitem":
        _picked(event, known, seen)
    elif name in ("view", "reshape", "flatten"):
        source = event.place.expression if event.place else ""
        know(output, seen, viewed(known, inputs, output, event.place, source))
    elif name == "index_select":
        source = event.place.expression if event.place else ""
        know(output, seen, replace(known, rows="" if known.rows else source or "index_select", filled=None))
    elif name in ("mean", "sum", "max", "amax"):
        _pooled(event, known, output, seen)
    else:
        letters = reordered(name, known.letters, event.inputs[1:], event.options, shape_of(inputs), shape_of(output))
        know(output, seen, replace(known, letters=letters))


# --- recurrent modules -----------------------------------------------------------------------------------------------


def _through_rnn(event: TorchCall, inputs: Any, seen: Seen) -> None:
    module, output = event.module, event.output
    if not isinstance(output, tuple) or len(output) != 2:
        return
    packed = hasattr(inputs, "batch_sizes")
    known = facts_of(inputs.data if packed else inputs, seen) or Facts()
    out, states = output
    states = states if isinstance(states, tuple) else (states,)
    if packed:
        filled, shape = known.filled, _shape_of_packed(inputs, module)
    else:
        filled = known.filled or _padding_seen(event, inputs)
        shape = shape_of(inputs)
    run = Run(
        module=id(module),
        number=event.number,
        name=name_of(event),
        kind=type(module).__name__,
        source=written(module, seen),
        batch_first=bool(getattr(module, "batch_first", False)),
        layers=int(getattr(module, "num_layers", 1)),
        directions=directions(module),
        hidden=shape_of(states[0])[-1] if shape_of(states[0]) else 0,
        shape=shape,
        truth=known.letters if known.why else "",
        swapped=not packed and _swapped(inputs),
        origin=known.origin,
        filled=filled,
        packed=packed,
        region=None if packed else _region(inputs, seen),
        **_circumstances(event, states[0], seen),
    )
    seen.notes["torch runs"][id(module)] = run
    base = Facts(run=run, origin=known.origin, rows=known.rows)
    if packed:
        know(getattr(out, "data", None), seen, replace(base, role="output", filled=filled))
    else:
        letters = run.reads[:-1] + "U" if run.reads else ""
        know(out, seen, replace(base, letters=letters, role="output", filled=filled))
    for role, state in zip("hc", states, strict=False):
        letters = "SBU" if len(shape_of(state)) == 3 else "SU"
        know(state, seen, replace(base, letters=letters, role=role))


def _through_cell(event: TorchCall, inputs: Any, seen: Seen) -> None:
    module, output = event.module, event.output
    states = output if isinstance(output, tuple) else (output,)
    known = facts_of(inputs, seen) or Facts()
    run = Run(
        module=id(module),
        number=event.number,
        name=name_of(event),
        kind=type(module).__name__,
        source=written(module, seen),
        batch_first=True,
        layers=1,
        directions=1,
        hidden=int(getattr(module, "hidden_size", 0)),
        shape=shape_of(inputs),
        origin=known.origin,
        **_circumstances(event, states[0], seen),
    )
    seen.notes["torch runs"][id(module)] = run
    for role, state in zip("hc", states, strict=False):
        know(state, seen, Facts(letters="BU"[: len(shape_of(state))], role=role, run=run, origin=known.origin))


def _circumstances(event: TorchCall, state: Any, seen: Seen) -> dict[str, Any]:
    training = bool(getattr(event.module, "training", True))
    before = next((known.run for one in state_given(event) if (known := facts_of(one, seen)) and known.run), None)
    return {
        "training": training,
        "grad": bool(getattr(state, "requires_grad", False)),
        "backwards": seen.notes["torch backward"].get("count", 0),
        "after_training": not training and before is not None and (before.training or before.after_training),
        "place": event.place.bare() if event.place else None,
    }


def _region(tensor: Any, seen: Seen) -> tuple[int, int] | None:
    # Slices of one tensor share its memory; the same slice again means that the data is read anew.
    base = getattr(tensor, "_base", None)
    base = tensor if base is None else base
    marks = seen.marks(base)
    if "region" not in marks:
        notes = seen.notes["torch regions"]
        notes["count"] = notes.get("count", 0) + 1
        seen.mark(base, region=notes["count"])
        marks = seen.marks(base)
    try:
        return marks["region"], int(tensor.storage_offset())
    except (KeyError, RuntimeError, AttributeError):
        return None


def _shape_of_packed(packed: Any, module: Any) -> tuple[int, ...]:
    rows, steps = int(packed.batch_sizes[0]), len(packed.batch_sizes)
    first = (rows, steps) if getattr(module, "batch_first", False) else (steps, rows)
    return (*first, shape_of(packed.data)[-1])


def _swapped(tensor: Any) -> bool:
    # A transposed view keeps the strides of the axes it had.
    shape = shape_of(tensor)
    if len(shape) != 3 or min(shape[:2]) < 2:
        return False
    strides = tensor.stride()
    return bool(strides[0] < strides[1])


def _padding_seen(event: TorchCall, inputs: Any) -> Filled | None:
    # Only where it can't be anything else: the value ends rows of different lengths, and stands nowhere inside.
    if event.number or not is_tensor(inputs) or not 1 < inputs.numel() <= _MOST:
        return None
    module = event.module
    ids = "Embedding" in kinds(module)
    array = as_array(inputs)
    if array is None or array.ndim != (2 if ids else 3) or (ids and array.dtype.kind not in "iu"):
        return None
    if not ids and not getattr(module, "batch_first", False):
        array = array.swapaxes(0, 1)
    value = getattr(module, "padding_idx", None) if ids else 0
    value = 0 if value is None else value
    filled = array == value if ids else (array == value).all(axis=-1)
    runs = np.cumprod(filled[:, ::-1], axis=1).sum(axis=1)
    lengths = filled.shape[1] - runs
    short = runs > 0
    if filled.sum() != runs.sum() or len(np.unique(lengths)) < 2 or short.sum() < 2 or runs[short].mean() < 1.5:
        return None
    by = f"{'id ' if ids else ''}{value} at the end of {int(short.sum())} of {len(runs)} sequences"
    return Filled(tuple(int(one) for one in lengths), int(filled.shape[1]), float(value), by)


# --- functions -------------------------------------------------------------------------------------------------------


def _picked(event: TorchFunction, known: Facts, seen: Seen) -> None:
    tensor, index = event.inputs[0], event.inputs[1]
    found = index_axes(known.letters, shape_of(tensor), index)
    place = event.place.bare() if event.place else None
    source = event.place.expression if event.place else ""
    if found is None:
        # By a mask: what is left is no rectangle. By numbers: rows in another order.
        mask = any(str(getattr(one, "dtype", "")).endswith("bool") for one in tensors_in(index))
        if mask:
            know(event.output, seen, Facts(role=known.role, run=known.run, origin=known.origin, layer=known.layer))
        elif is_tensor(index):
            # The second time puts them back, as far as anybody can tell.
            rows = "" if known.rows else (source or "an index")
            know(event.output, seen, replace(known, rows=rows, filled=None))
        return
    letters, gone = found
    taken = list(known.taken)
    run = known.run
    if run is not None and len(known.letters) == 3 and known.letters[:2] in ("BT", "TB") and known.role != "h":
        part = Taken("", place, source, shape_of(tensor), known.letters, filled=known.filled)
        if gone == {known.letters.index("B"): -1} and min(shape_of(tensor)[:2]) > 1:
            taken.append(replace(part, what="last row"))
        elif gone == {known.letters.index("T"): -1}:
            taken.append(replace(part, what="last step" if letters[-1:] == known.letters[-1] else "part of last step"))
    if known.role in "hc" and known.role and 0 in gone and known.letters[:1] == "S":
        taken.append(Taken(f"state {gone[0]}", place, source, shape_of(tensor), known.letters))
    # Parts of the features are no longer what was picked.
    if letters[-1:] == "?":
        taken = [one for one in taken if one.what == "last row"]
    time = known.letters.find("T")
    filled = None if time in gone else known.filled
    know(event.output, seen, replace(known, letters=letters, taken=tuple(taken), filled=filled))


def _pooled(event: TorchFunction, known: Facts, output: Any, seen: Seen) -> None:
    tensor = event.inputs[0]
    dim = event.options.get("dim", event.options.get("axis", event.inputs[1] if len(event.inputs) > 1 else None))
    shape = shape_of(tensor)
    if isinstance(dim, tuple | list) and len(dim) == 1:
        dim = dim[0]
    if not isinstance(dim, int) or isinstance(dim, bool) or len(known.letters) != len(shape) or not shape:
        return
    dim %= len(shape)
    if event.options.get("keepdim"):
        return
    letters = known.letters[:dim] + known.letters[dim + 1 :]
    taken = list(known.taken)
    if known.run is not None and len(shape) == 3 and known.letters[dim] in "BT" and min(shape[:2]) > 1:
        what = "pooled over rows" if known.letters[dim] == "B" else "pooled over steps"
        place = event.place.bare() if event.place else None
        source = event.place.expression if event.place else ""
        taken.append(Taken(what, place, source, shape, known.letters, filled=known.filled))
    filled = None if known.letters[dim] == "T" else known.filled
    know(output, seen, replace(known, letters=letters, taken=tuple(taken), filled=filled))


def _joined(event: TorchFunction, seen: Seen) -> None:
    parts = event.inputs[0] if event.inputs else None
    known = [facts_of(one, seen) for one in parts] if isinstance(parts, list | tuple) else []
    found = [one for one in known if one is not None]
    if not found or len(found) != len(known):
        return
    taken = tuple(one for facts in found for one in facts.taken)
    states = [one for one in taken if one.what.startswith("state")]
    first = found[0]
    # Joined states are the remedy, not the mistake.
    know(event.output, seen, replace(first, taken=tuple(states), letters="" if len(found) > 1 else first.letters))
