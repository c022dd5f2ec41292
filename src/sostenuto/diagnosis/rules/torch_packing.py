"""Padding and packing on torch: lengths, order, batch_first, and the last step of a padded sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import LOSSES, axes, facts_of, first_time, loss_sources, read_by
from sostenuto.diagnosis.rules.torch_modules import argument_source, is_tensor, shape_of
from sostenuto.diagnosis.rules.torch_packing_pages import SO047, SO048, SO050
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, with_keyword
from sostenuto.diagnosis.wording import count


def _frame(failure: Failure, function: str) -> Mapping[str, Any] | None:
    # The variables of a function of torch that the exception came out of.
    for _, name, names in reversed(failure.frames):
        if name == function and "lengths" in names and "input" in names:
            return names
    return None


def _numbers(lengths: Any) -> list[int]:
    array = as_array(lengths) if is_tensor(lengths) else None
    if array is not None:
        return [int(one) for one in array.reshape(-1)]
    return [int(one) for one in lengths] if isinstance(lengths, list | tuple) else []


def _source(place: Place | None, function: str) -> str:
    call = place.call(function) if place is not None else None
    return place.source(call) if place is not None and call is not None else f"{function}(...)"


@SO047.on(Failure)
def refused_lengths(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for lengths that pack_padded_sequence refuses."""
    names = _frame(failure, "pack_padded_sequence")
    if names is None:
        return None
    lengths, message = names["lengths"], failure.message
    numbers = _numbers(lengths)
    source = _source(failure.place, "pack_padded_sequence")
    name = failure.place.argument("lengths", 1, "pack_padded_sequence") if failure.place else ""
    name = name or "lengths"
    if "sorted in decreasing order" in message:
        first = next((at for at in range(1, len(numbers)) if numbers[at] > numbers[at - 1]), 0)
        example = f": {numbers[first - 1]} at row {first - 1}, then {numbers[first]}" if first else ""
        return Evidence(
            title="pack_padded_sequence wants the lengths sorted, longest first, or enforce_sorted=False.",
            got=f"{name} that are not sorted{example}",
            wanted="lengths in decreasing order, longest first; or enforce_sorted=False",
            cause="enforce_sorted is True unless told otherwise, and the rows of the batch come in any order. With\n"
            "enforce_sorted=False torch sorts by itself, and puts output and states back into the order of the batch.",
            fix=with_keyword(source, "enforce_sorted", "False"),
        )
    if "greater than 0" in message:
        at = next((at for at, one in enumerate(numbers) if one <= 0), None)
        return Evidence(
            title="A sequence of length 0 cannot be packed.",
            got=f"{name}: length {numbers[at] if at is not None else 0} at row {at if at is not None else '?'},"
            f" {count(sum(one <= 0 for one in numbers), 'row')} without a step",
            wanted="lengths of 1 at least",
            cause="A sequence without any step, an empty text for instance, has nothing that could be packed.",
            fix=f"keep = {name} > 0\n{with_keyword(source, 'lengths', name + '[keep]')}"
            "        # and the same rows of data and targets; or leave empty sequences out before"
            if "lengths=" in source
            else f"keep = {name} > 0        # the same rows of data and targets; or leave empty sequences out before\n"
            f"{source.replace(name, name + '[keep]', 1)}",
        )
    device, shape = str(getattr(lengths, "device", "cpu")), shape_of(lengths)
    if is_tensor(lengths) and (len(shape) != 1 or device != "cpu"):
        fix = f"{name}.cpu()" if device != "cpu" else f"{name}.flatten()"
        return Evidence(
            title="The lengths for packing must be a plain tensor of whole numbers on the CPU.",
            got=f"{name}: shape {shape}, {str(getattr(lengths, 'dtype', '')).rpartition('.')[2]}, on {device}",
            wanted=f"shape ({count(shape[0] if shape else 0, 'row')},), int64, on the CPU",
            cause="pack_padded_sequence reads the lengths on the CPU, one number for each row of the batch.",
            fix=source.replace(name, fix, 1),
        )
    return None


@SO047.on(TorchFunction)
def longer_than_the_data(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for lengths that are longer than the padded sequences are."""
    if event.name != "pack_padded_sequence" or not event.inputs:
        return None
    shape = shape_of(event.inputs[0])
    lengths = event.inputs[1] if len(event.inputs) > 1 else event.options.get("lengths")
    numbers = _numbers(lengths)
    first = event.inputs[2] if len(event.inputs) > 2 else event.options.get("batch_first", False)
    if len(shape) < 2 or len(numbers) != shape[0 if first else 1] or max(numbers) <= shape[1 if first else 0]:
        return None
    steps = shape[1 if first else 0]
    return Evidence(
        title="A length is longer than the padded sequences are.",
        got=f"a length of {max(numbers)}, and {axes(shape, ('BT' if first else 'TB') + 'F' * (len(shape) - 2))}",
        wanted=f"lengths of at most {steps} steps",
        cause="The lengths were counted on other sequences than these: before they were cut, or on another axis. What "
        "is\npacked beyond the end is not data.",
        fix=f"lengths = lengths.clamp(max={steps})        # where the sequences were cut to {steps} steps",
    )


@SO048.on(Failure)
def lengths_for_the_other_axis(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for packing of (batch, time, features) without batch_first=True, or the other way round."""
    names = _frame(failure, "pack_padded_sequence")
    if names is None or "len(lengths)" not in failure.message:
        return None
    return _other_axis(failure.place, names["input"], names["lengths"], bool(names.get("batch_first")))


@SO048.on(TorchFunction)
def rows_dropped(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for the same where nothing is said: enforce_sorted=False picks as many rows as there are lengths."""
    if event.name != "pack_padded_sequence" or not event.inputs:
        return None
    lengths = event.inputs[1] if len(event.inputs) > 1 else event.options.get("lengths")
    first = event.inputs[2] if len(event.inputs) > 2 else event.options.get("batch_first", False)
    found = _other_axis(event.place, event.inputs[0], lengths, bool(first))
    return found if found is not None and "batch_first" in found.wanted else None


def _other_axis(place: Place | None, inputs: Any, lengths: Any, first: bool) -> Evidence | None:
    shape, numbers = shape_of(inputs), _numbers(lengths)
    if len(shape) < 2 or not numbers or len(numbers) == shape[0 if first else 1]:
        return None
    letters = ("BT" if first else "TB") + "F" * (len(shape) - 2)
    source = _source(place, "pack_padded_sequence")
    other = shape[1 if first else 0] == len(numbers)
    return Evidence(
        got=f"{len(numbers)} lengths, and {axes(shape, letters)} as batch_first={first} reads it",
        wanted=f"a batch of {len(numbers)}: batch_first={not first}"
        if other
        else f"{shape[0 if first else 1]} lengths",
        cause=f"pack_padded_sequence reads {'(batch, time, features)' if first else '(time, batch, features)'}"
        f" {'because of batch_first=True' if first else 'unless batch_first=True'}, so it takes"
        f" {shape[0 if first else 1]} for the batch\nsize. There is one length for each of {len(numbers)} sequences.",
        fix=with_keyword(source, "batch_first", str(not first))
        if other
        else f"lengths of all {shape[0 if first else 1]} rows of the batch",
    )


@SO048.on(Failure)
def still_packed(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for packed sequences on their way into something that reads a tensor."""
    call = failure.calls[0] if failure.calls else None
    if not isinstance(call, TorchCall) or not call.inputs or not hasattr(call.inputs[0], "batch_sizes"):
        return None
    if "PackedSequence" not in failure.message:
        return None
    packed = call.inputs[0]
    x = argument_source(call.place, call.module, 0, "input") or "packed"
    return Evidence(
        title=f"nn.{type(call.module).__name__} is given packed sequences, which only recurrent modules read.",
        got=f"{x}: a PackedSequence of {int(packed.batch_sizes[0])} sequences, {shape_of(packed.data)[0]} steps in all",
        wanted="a tensor: pad_packed_sequence(..., batch_first=True) makes one again",
        cause="A recurrent module returns packed output for packed input. Everything else reads tensors, so it has to "
        "be\nunpacked first.",
        fix=f"out, lengths = pad_packed_sequence({x}, batch_first=True)\n"
        f"{call.place.text.replace(x, 'out', 1) if call.place else ''}".rstrip(),
    )


@SO048.on(TorchCall, TorchFunction, Failure)
def unpacked_along_time(event: TorchCall | TorchFunction | Failure, seen: Seen) -> Evidence | None:
    """Looks for unpacked output that is used as if it had the other order of axes."""
    known = read_by(event, seen)
    if known is None or known.run is None or not known.why.startswith("pad_packed_sequence"):
        return None
    for part in known.taken:
        if part.what not in ("last row", "pooled over rows") or min(part.shape[:2]) < 2:
            continue
        if not first_time(event, seen, "SO048", known.run.module):
            continue
        first = part.letters.startswith("B")
        return Evidence(
            got=f"{part.source} of {axes(part.shape, part.letters)}: "
            + ("all steps of the last sequence of the batch" if part.what == "last row" else "pooled over the batch"),
            wanted=f"(batch, time, units): pad_packed_sequence(..., batch_first={not first})",
            cause=f"pad_packed_sequence returns {'(batch, time, units)' if first else '(time, batch, units)'} "
            + ("here, because of batch_first=True." if first else "unless it is told batch_first=True, whatever the")
            + ("" if first else "\nrecurrent module and pack_padded_sequence were told."),
            fix=f"out, lengths = pad_packed_sequence(..., batch_first={not first})\n"
            "h_n[-1]        # the last real step of every sequence; the unpacked output has padding there",
            place=None if isinstance(event, Failure) else part.place,
        )
    return None


@SO050.on(TorchFunction)
def rows_left_sorted(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for a loss between rows in another order and targets of the same batch in the old one."""
    if event.name not in LOSSES or len(event.inputs) < 2:
        return None
    one, other = facts_of(event.inputs[0], seen), facts_of(event.inputs[1], seen)
    if one is None or other is None or one.origin is None or one.origin != other.origin:
        return None
    if not one.rows or other.rows or one.run is None or not first_time(event, seen, "SO050", one.run.module):
        return None
    output, target = loss_sources(event.place)
    index = one.rows.partition("[")[2].rstrip("]") or "order"
    return Evidence(
        got=f"{output} in the order of {one.rows}, {target} in the order of the batch",
        wanted="both in one order: the same row of both is one sequence",
        cause="The rows were sorted before the recurrent module, by length, and what it says is still in that order.\n"
        "Each row is compared with the target of some other sequence.",
        fix=f"{target}[{index}]        # or sort nothing: pack_padded_sequence(..., enforce_sorted=False)",
    )
