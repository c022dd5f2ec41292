"""The last step of sequences that were padded on torch, and means over all their steps."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import Filled, axes, first_time, read_by
from sostenuto.diagnosis.rules.torch_packing_pages import SO049
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.wording import count


@SO049.on(TorchCall, TorchFunction)
def last_step_is_padding(event: TorchCall | TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for the last step, or a mean over all, of sequences that were padded."""
    known = read_by(event, seen)
    run = known.run if known is not None else None
    if known is None or run is None:
        return None
    if known.role in ("h", "c") and run.filled is not None and run.filled.short and not run.packed:
        if not first_time(event, seen, "SO049", run.module):
            return None
        filled = run.filled
        return Evidence(
            title="The last state was computed over padding.",
            got=f"h_n of {run.name}, after {filled.steps} steps; {filled.short} of "
            f"{count(len(filled.lengths), 'sequence')}"
            f" are shorter\n({filled.words}), and end in padding: {filled.by}",
            wanted="the state after the last real step of every sequence",
            cause=f"{run.name} reads padding as data: it goes on after the end of a sequence, up to {_most(filled)} "
            f"steps of padding,\nand h_n is its state after them.",
            fix=_packed(run.name, run.batch_first),
            place=run.place,
        )
    for part in known.taken:
        if part.what not in ("last step", "part of last step", "pooled over steps"):
            continue
        if part.filled is None or not part.filled.short or not first_time(event, seen, "SO049", run.module):
            continue
        filled = part.filled
        pooled = part.what == "pooled over steps"
        seen_as = "zeros, which pad_packed_sequence put there" if run.packed else "what the module says after padding"
        last = "(out * mask).sum(1) / lengths[:, None]        # mask: (batch, time, 1), 1 at real steps"
        if not pooled and run.packed:
            last = f"h_n[-1]        # the last real step, where {run.name} got packed sequences"
        return Evidence(
            title="Padding is averaged with the real steps." if pooled else "",
            got=f"{part.source} of {axes(part.shape, part.letters)}: {filled.short} of"
            f" {count(len(filled.lengths), 'sequence')} are shorter ({filled.words}),\nso "
            + ("their padded steps count too" if pooled else f"their last step is padding: {seen_as}"),
            wanted="the real steps of every sequence alone"
            if pooled
            else "the last real step of every sequence, at length - 1",
            cause=f"The batch is padded to {filled.steps} steps ({filled.by}). "
            + (
                "The mean over the time axis has the padding in it, more\nof it for shorter sequences."
                if pooled
                else f"The last output is that of step {filled.steps - 1} for all\nrows, and only the longest "
                f"sequences are that long: padding is read as data."
            ),
            fix=last if pooled or run.packed else _packed(run.name, run.batch_first),
            place=part.place,
        )
    return None


def _most(filled: Filled) -> int:
    return int(filled.steps - min(filled.lengths))


def _packed(name: str, first: bool) -> str:
    option = "batch_first=True, " if first else ""
    index = "torch.arange(len(lengths)), lengths - 1" if first else "lengths - 1, torch.arange(len(lengths))"
    return (
        f"packed = pack_padded_sequence(x, lengths, {option}enforce_sorted=False)\n"
        f"_, h_n = {name}(packed)        # for an LSTM: _, (h_n, c_n); h_n[-1] is the last real step\n"
        f"out[{index}]        # the same without packing"
    )
