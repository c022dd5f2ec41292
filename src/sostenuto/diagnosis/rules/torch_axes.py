"""Axes of torch's recurrent modules: batch_first forgotten, or set for data that begins with time."""

from __future__ import annotations

from dataclasses import replace

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import Run, Taken, axes, facts_of, first_time, loss_of, read_by
from sostenuto.diagnosis.rules.torch_following import follow_call, follow_function
from sostenuto.diagnosis.rules.torch_modules import is_rnn, name_of, shape_of, state_given, written
from sostenuto.diagnosis.rules.torch_names import said_by_names
from sostenuto.diagnosis.rules.torch_states import misfit, rows_before
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword

SO021 = rule(
    "SO021",
    "A recurrent module of torch reads the batch as time: batch_first is missing",
    """nn.LSTM, nn.GRU and nn.RNN read (time, batch, features) unless they are made with batch_first=True. Data that
    begins with the batch is read along the wrong axis without a word: the recurrence runs from one sequence of the
    batch to the next, the result for one depends on its neighbours, and the order in time is never looked at.""",
    """Make the module with batch_first=True. Or turn the data, x.transpose(0, 1), and take out[-1] for the last step.
    Initial states are (layers x directions, batch, units) in both cases.""",
    example="""
import torch
from torch import nn
lstm, head = nn.LSTM(3, 4), nn.Linear(4, 1)
x = torch.randn(6, 10, 3)
out, _ = lstm(x)
scores = head(out[:, -1])
""",
    repaired="""
import torch
from torch import nn
lstm, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)
x = torch.randn(6, 10, 3)
out, _ = lstm(x)
scores = head(out[:, -1])
""",
    backend="torch",
)

SO022 = rule(
    "SO022",
    "A recurrent module of torch reads time as the batch: batch_first=True",
    """With batch_first=True the first axis is read as the batch. This data begins with time: torch's pad_sequence makes
    (time, batch, features) unless told otherwise, and a transposed batch begins with time too. Every step is then a
    sequence of its own, and the sequences of the batch are read as if they followed one another in time.""",
    """Say batch_first=True to pad_sequence, pack_padded_sequence and pad_packed_sequence as well, and do not
    transpose.""",
    example="""
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
gru = nn.GRU(3, 4, batch_first=True)
x = pad_sequence([torch.randn(5, 3), torch.randn(2, 3), torch.randn(4, 3)])
out, h = gru(x)
""",
    repaired="""
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
gru = nn.GRU(3, 4, batch_first=True)
x = pad_sequence([torch.randn(5, 3), torch.randn(2, 3), torch.randn(4, 3)], batch_first=True)
out, h = gru(x)
""",
    backend="torch",
)

SO023 = rule(
    "SO023",
    "The last sequence of the batch is taken for the last step",
    """What a recurrent module of torch returns has the axes of what it reads: (batch, time, units) with
    batch_first=True, (time, batch, units) without. One index too few, or on the wrong axis, takes all steps of one
    sequence, where the last step of every sequence was meant.""",
    """out[:, -1] with batch_first=True, out[-1] without. The last state, h_n[-1], is the same for a module that reads
    forwards, whatever batch_first says.""",
    example="""
import torch
from torch import nn
lstm, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)
out, _ = lstm(torch.randn(6, 10, 3))
scores = head(out[-1])
""",
    repaired="""
import torch
from torch import nn
lstm, head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)
out, _ = lstm(torch.randn(6, 10, 3))
scores = head(out[:, -1])
""",
    backend="torch",
)

# Facts are taken on before any rule of this family looks: SO021 is the first of them.
SO021.on(TorchCall)(follow_call)
SO021.on(TorchFunction)(follow_function)


@SO021.on(TorchCall)
def batch_read_as_time(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for data known to begin with the batch, given to a module that reads time first."""
    run = _run(event, seen)
    if run is None or run.batch_first or run.shape[0] < 2:
        return None
    why = _known_first(run, "B") or said_by_names(event.place, run.shape, batch_axis=0)
    if why:
        return _forgotten(event, run, why, seen)
    # Rows might be steps of a long series; but then its state would be carried from batch to batch.
    origin = run.origin
    if origin is None or origin.batch < 1 or run.truth[:1] != "B" or state_given(event) or min(run.shape[:2]) < 2:
        return None
    why = "a batch of a DataLoader begins with its rows, and no state is carried from one to the next"
    found = _forgotten(event, run, why, seen)
    unsure = "whether the rows of the DataLoader are the steps of a long series, read in pieces without their state"
    return replace(found, unsure=unsure) if found is not None else None


@SO022.on(TorchCall)
def time_read_as_batch(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for data known to begin with time, given to a module with batch_first=True."""
    run = _run(event, seen)
    if run is None or not run.batch_first or min(run.shape[:2]) < 2:
        return None
    why = _known_first(run, "T") or said_by_names(event.place, run.shape, batch_axis=1)
    if not why or not first_time(event, seen, "SO022", run.module):
        return None
    truth = axes(run.shape, "TBF")
    padded = "pad_sequence" in why
    fix = (
        "x = pad_sequence(..., batch_first=True)        # (batch, time, features)"
        if padded
        else without_keyword(run.source, "batch_first") + "        # reads (time, batch, features)"
    )
    return Evidence(
        got=f"{run.name} reads {axes(run.shape, 'BTF')}, and the data is {truth}: {why}",
        wanted=f"{axes((run.shape[1], run.shape[0], run.shape[2]), 'BTF')}, as batch_first=True says",
        cause=f"{run.source} has batch_first=True, so its first axis is the batch. This data is time-major: each of "
        f"its\n{run.shape[0]} steps is read as a sequence, and the {run.shape[1]} sequences of the batch as if one "
        f"followed the other in time.",
        fix=fix,
    )


@SO021.on(TorchCall, TorchFunction, Failure)
def rows_picked_as_steps(event: TorchCall | TorchFunction | Failure, seen: Seen) -> Evidence | None:
    """Looks for outputs (time, batch, units) that are used as if they were (batch, time, units)."""
    found = _taken(event, seen, "TB")
    if found is None:
        return None
    run, part = found
    if run.truth.startswith("T") or run.truth[1:2] == "B" or run.swapped:
        return None
    steps, rows = part.shape[:2]
    if part.what == "viewed":
        if part.after[0] not in (steps, rows) or len(part.after) != 2 or _steps_as_rows(part):
            return None
        what = f"{part.source} makes {part.after[0]} rows of it, as if they were sequences"
    elif part.what == "pooled over rows":
        what = f"{part.source} pools the {rows} sequences of the batch, and keeps {steps} rows"
    else:
        what = f"{part.source} takes the last sequence of the batch, all its {steps} steps"
    return _forgotten(event, run, what, seen, part)


@SO023.on(TorchCall, TorchFunction, Failure)
def last_row(event: TorchCall | TorchFunction | Failure, seen: Seen) -> Evidence | None:
    """Looks for an index that takes one sequence of the batch, where the axes of the output are certain."""
    found = _taken(event, seen, "BT") or _taken(event, seen, "TB")
    if found is None:
        return None
    run, part = found
    first = part.letters[0] == "B"
    certain = run.truth.startswith("T") or run.truth[1:2] == "B" or run.swapped
    if part.what == "viewed" or (not first and not certain) or not first_time(event, seen, "SO023", run.module):
        return None
    rows, steps = (part.shape[0], part.shape[1]) if first else (part.shape[1], part.shape[0])
    name = part.source.partition("[")[0].partition(".")[0] or "out"
    right = f"{name}[:, -1]" if first else f"{name}[-1]"
    pooled = part.what == "pooled over rows"
    if pooled:
        right = f"{name}.mean(dim={1 if first else 0})"
    return Evidence(
        title="The sequences of the batch are pooled, not the steps." if pooled else "",
        got=f"{part.source} of {axes(part.shape, part.letters)}: "
        + (
            f"one number for all {rows} sequences, at each of {steps} steps"
            if pooled
            else f"all {steps} steps of the last of {rows} sequences"
        ),
        wanted=f"({'batch ' + str(rows)}, units {part.shape[2]}): "
        + ("all steps of every sequence pooled" if pooled else "the last step of every sequence"),
        cause=f"{run.source} returns {'(batch, time, units)' if first else '(time, batch, units)'}"
        f"{', because of batch_first=True' if first else ', because batch_first is False'}. The first axis is"
        f" {'the batch' if first else 'time'},\nso the index stands on the wrong axis.",
        fix=right,
        place=None if isinstance(event, Failure) else part.place,
    )


def _run(event: TorchCall, seen: Seen) -> Run | None:
    if not is_rnn(event.module):
        return None
    run: Run | None = seen.notes["torch runs"].get(id(event.module))
    fits = run is not None and run.number == event.number and len(run.shape) == 3 and not run.packed
    return run if fits else None


def _known_first(run: Run, letter: str) -> str:
    # Why the first axis is the batch (B) or time (T), in words; "" where it isn't known.
    batch_axis = run.truth.find("B")
    if batch_axis != (0 if letter == "B" else 1):
        return ""
    if run.origin is None or "?" not in run.truth:
        return "padded by pad_sequence" + (" with batch_first=True" if letter == "B" else ", which puts time first")
    loader = run.origin.loader
    # A loader that does not shuffle might hand out the steps of a long series.
    if not loader.shuffle and not run.origin.scalar_targets:
        return ""
    size = f" in batches of {loader.batch_size}" if loader.batch_size else ""
    how = "shuffles" if loader.shuffle else "gives one target for each row"
    return f"the DataLoader{size} {how}, so its rows are sequences and not steps" + (
        "" if letter == "B" else "; after that its first two axes were swapped"
    )


def _taken(event: TorchCall | TorchFunction | Failure, seen: Seen, letters: str) -> tuple[Run, Taken] | None:
    known = read_by(event, seen)
    # What pad_packed_sequence returned has axes of its own: SO048.
    if known is None or known.run is None or known.why:
        return None
    for part in known.taken:
        wrong = part.what in ("last row", "pooled over rows") or (part.what == "viewed" and len(part.after) == 2)
        if wrong and part.letters[:2] == letters and min(part.shape[:2]) > 1:
            return known.run, part
    return None


def _steps_as_rows(part: Taken) -> bool:
    # view(-1, units) keeps one row for each step of each sequence: right both ways.
    return part.after[-1] == part.shape[-1]


def _forgotten(
    event: TorchCall | TorchFunction | Failure, run: Run, why: str, seen: Seen, part: Taken | None = None
) -> Evidence | None:
    if not first_time(event, seen, "SO021", run.module):
        return None
    time, batch, features = run.shape
    other = part.source if part is not None and part.what == "last row" else ""
    name = other.partition("[")[0]
    return Evidence(
        title=f"nn.{run.kind} reads the batch as time: batch_first is left at False.",
        got=f"{run.name} reads its input {tuple(run.shape)} as {axes(run.shape, 'TBF')};\n{why}",
        wanted=f"{axes((time, batch, features), 'BTF')}: batch_first=True",
        cause=f"nn.{run.kind} expects (time, batch, features) unless it is made with batch_first=True. Here the"
        f" recurrence runs\nalong the batch, from one sequence to the next: each result depends on the other sequences"
        f" of the batch,\nand the order in time is never read.",
        fix=with_keyword(run.source, "batch_first", "True")
        + (f"\n{name}[-1]        # or, where {run.name} is meant to get (time, batch, features)" if name else ""),
        place=None if isinstance(event, Failure) else part.place if part is not None else run.place,
    )


@SO021.on(Failure)
def rows_of_the_loss(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a loss that gets one row per step, because the states' batch axis was the time of the data."""
    loss = loss_of(failure)
    known = facts_of(loss.input, seen) if loss is not None else None
    run = known.run if known is not None else None
    if loss is None or run is None or run.batch_first or len(run.shape) != 3 or run.shape[0] == run.shape[1]:
        return None
    said, wanted = shape_of(loss.input), shape_of(loss.target)
    if not said or not wanted or said[0] != run.shape[1] or wanted[0] != run.shape[0]:
        return None
    why = f"the loss then gets {said[0]} rows, and has targets for {wanted[0]} rows"
    return _forgotten(failure, run, why, seen)


@SO021.on(Failure)
def state_for_the_first_axis(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for an initial state with one row for each entry of the first axis, which the module reads as time."""
    found = misfit(failure)
    if found is None:
        return None
    call, inputs, _, _, got, wanted = found
    shape = shape_of(inputs)
    if len(shape) != 3 or len(got) != 3 or getattr(call.module, "batch_first", False) or got[1] != shape[0]:
        return None
    if got[0] != wanted[0] or got[2] != wanted[2] or shape[0] in rows_before(call.module, seen):
        return None
    known = facts_of(inputs, seen)
    if known is not None and known.letters[1:2] == "B":
        return None
    run = Run(
        *(id(call.module), 0, name_of(call), type(call.module).__name__, written(call.module, seen)),
        *(False, 1, 1, wanted[2], shape),
        place=call.place,
    )
    why = f"the initial state has one row for each of {got[1]}, and {shape[1]} would be wanted then"
    return _forgotten(failure, run, why, seen)
