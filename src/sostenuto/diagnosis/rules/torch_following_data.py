"""Where facts of tensors begin: DataLoaders and their batches, padding and packing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.events import TorchFunction
from sostenuto.diagnosis.rules.torch_facts import Facts, Filled, Loader, Origin, facts_of, know
from sostenuto.diagnosis.rules.torch_modules import is_tensor, shape_of, tensors_in
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import kinds


def follow_padding(event: TorchFunction, seen: Seen) -> None:
    """Takes facts through padding, packing and unpacking."""
    inputs = event.inputs[0] if event.inputs else event.options.get("sequences", event.options.get("input"))
    known = facts_of(inputs, seen) or Facts()
    given = dict(zip(("batch_first", "padding_value", "padding_side"), event.inputs[1:], strict=False)) | dict(
        event.options
    )
    if event.name == "pad_sequence":
        if not isinstance(inputs, list | tuple) or not all(shape_of(one) for one in inputs):
            return
        lengths = tuple(shape_of(one)[0] for one in inputs)
        first = bool(given.get("batch_first", False))
        letters = ("BT" if first else "TB") + "F" * (len(shape_of(event.output)) - 2)
        filled = None
        if len(set(lengths)) > 1 and given.get("padding_side", "right") == "right":
            filled = Filled(lengths, max(lengths), float(given.get("padding_value", 0.0)), "pad_sequence")
        why = f"pad_sequence(batch_first={first})"
        know(event.output, seen, Facts(letters=letters, why=why, filled=filled))
    elif event.name == "pack_padded_sequence":
        given_lengths = event.inputs[1] if len(event.inputs) > 1 else event.options.get("lengths")
        filled = known.filled or _filled_by(given_lengths, "lengths", inputs)
        know(getattr(event.output, "data", None), seen, replace(known, letters="", filled=filled))
    elif event.name == "pad_packed_sequence" and isinstance(event.output, tuple):
        out, counted = event.output
        packed = facts_of(getattr(inputs, "data", None), seen) or Facts()
        first = bool(given.get("batch_first", False))
        letters = ("BT" if first else "TB") + ("U" if len(shape_of(out)) == 3 else "")
        filled = _filled_by(counted, "pad_packed_sequence", out)
        why = f"pad_packed_sequence(batch_first={first})"
        know(out, seen, replace(packed, letters=letters, why=why, filled=filled))


def _filled_by(lengths: Any, by: str, tensor: Any) -> Filled | None:
    array = as_array(lengths) if is_tensor(lengths) else np.asarray(lengths) if isinstance(lengths, list) else None
    shape = shape_of(tensor)
    if array is None or array.ndim != 1 or not array.size or array.dtype.kind not in "iu" or len(shape) < 2:
        return None
    found = tuple(int(one) for one in array)
    return Filled(found, max(found), 0.0, by) if len(set(found)) > 1 else None


def follow_loader(event: TorchFunction, seen: Seen) -> None:
    """Begins facts at a DataLoader: its rows, its epochs, and each batch that it gives."""
    notes = seen.notes["torch loaders"]
    if event.name == "DataLoader":
        loader = event.inputs[0]
        call = event.place.call("DataLoader") if event.place else None
        seen.mark(
            loader,
            loader=Loader(
                number=len(notes),
                shuffle="RandomSampler" in kinds(getattr(loader, "sampler", None)),
                batch_size=getattr(loader, "batch_size", None),
                size=_length(getattr(loader, "dataset", None)),
                stacks=getattr(getattr(loader, "collate_fn", None), "__name__", "") == "default_collate"
                and getattr(loader, "batch_size", None) is not None,
                drop_last=bool(getattr(loader, "drop_last", False)),
                source=event.place.source(call) if event.place and call is not None else "",
            ),
        )
        notes[len(notes)] = 0
    elif event.name == "DataLoader.__iter__":
        loader = seen.marks(event.inputs[0]).get("loader")
        if loader is not None:
            seen.mark(event.output, iterates=(loader, notes[loader.number]), batches=0)
            notes[loader.number] += 1
    else:
        marks = seen.marks(event.inputs[0])
        if "iterates" not in marks:
            return
        loader, epoch = marks["iterates"]
        found = list(tensors_in(event.output))
        rows = {shape_of(one)[0] for one in found if shape_of(one)}
        scalar = any(len(shape_of(one)) == 1 or shape_of(one)[1:] == (1,) for one in found[1:])
        origin = Origin(loader, epoch, marks["batches"], scalar)
        marks["batches"] += 1
        for one in found:
            known = facts_of(one, seen) or Facts()
            letters, why = known.letters, known.why
            if loader.stacks and len(rows) == 1 and shape_of(one):
                letters, why = "B" + "?" * (len(shape_of(one)) - 1), "DataLoader"
            know(one, seen, replace(known, letters=letters, why=why, origin=origin))


def _length(thing: Any) -> int | None:
    # Only of data sets of torch itself: __len__ of the user's would be the user's code.
    tensors = getattr(thing, "tensors", None)
    if isinstance(tensors, tuple) and tensors:
        return shape_of(tensors[0])[0] if shape_of(tensors[0]) else None
    return len(thing) if isinstance(thing, list | tuple) else None
