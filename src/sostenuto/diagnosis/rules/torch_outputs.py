"""What is taken from recurrent modules of torch: the wrong half of an output, states viewed, or of one side only."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import End, TorchCall, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import Run, Taken, axes, facts_of, first_time, read_by
from sostenuto.diagnosis.rules.torch_modules import shape_of
from sostenuto.diagnosis.seen import Seen

SO024 = rule(
    "SO024",
    "The backward half of a bidirectional output is taken where it has read one step",
    """A bidirectional module of torch returns, for every step, the forward output and the backward output side by side.
    The backward direction begins at the last step: there it has read one step of the whole sequence. Taking the last
    step, out[:, -1], takes a forward half that knows everything and a backward half that knows next to nothing.""",
    """Take the final states of both directions, torch.cat((h_n[-2], h_n[-1]), dim=1), or the backward half at the
    first step: torch.cat((out[:, -1, :hidden], out[:, 0, hidden:]), dim=1).""",
    example="""
import torch
from torch import nn
lstm, head = nn.LSTM(3, 4, batch_first=True, bidirectional=True), nn.Linear(8, 1)
out, (h, c) = lstm(torch.randn(6, 10, 3))
scores = head(out[:, -1])
""",
    repaired="""
import torch
from torch import nn
lstm, head = nn.LSTM(3, 4, batch_first=True, bidirectional=True), nn.Linear(8, 1)
out, (h, c) = lstm(torch.randn(6, 10, 3))
scores = head(torch.cat((h[-2], h[-1]), dim=1))
""",
    backend="torch",
)

SO025 = rule(
    "SO025",
    "view mixes rows of the batch, where axes had to be moved",
    """view and reshape leave the numbers in their order and only count them out anew. The states of torch,
    (layers x directions, batch, units), and outputs that begin with time become rows only after the batch axis was
    moved to the front: otherwise each row gets the states of several sequences.""",
    """Move the batch first: h_n.transpose(0, 1).reshape(batch, -1). For a bidirectional module
    torch.cat((h_n[-2], h_n[-1]), dim=1) says the same.""",
    example="""
import torch
from torch import nn
gru, head = nn.GRU(3, 4, bidirectional=True, batch_first=True), nn.Linear(8, 1)
x = torch.randn(6, 10, 3)
out, h = gru(x)
scores = head(h.view(x.size(0), -1))
""",
    repaired="""
import torch
from torch import nn
gru, head = nn.GRU(3, 4, bidirectional=True, batch_first=True), nn.Linear(8, 1)
x = torch.randn(6, 10, 3)
out, h = gru(x)
scores = head(h.transpose(0, 1).reshape(x.size(0), -1))
""",
    backend="torch",
)

SO026 = rule(
    "SO026",
    "view is used to swap the axes of a batch",
    """view and reshape do not move axes: they count the same numbers out in rows of another length. (32, 10, 3) viewed
    as (10, 32, 3) has the right shape, and steps and features of different sequences in every place.""",
    """x.transpose(0, 1) or x.permute(1, 0, 2) move axes.""",
    example="""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
gru = nn.GRU(3, 4)
for x, y in DataLoader(TensorDataset(torch.randn(8, 5, 3), torch.zeros(8)), batch_size=4):
    out, h = gru(x.view(5, 4, 3))
""",
    repaired="""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
gru = nn.GRU(3, 4)
for x, y in DataLoader(TensorDataset(torch.randn(8, 5, 3), torch.zeros(8)), batch_size=4):
    out, h = gru(x.transpose(0, 1))
""",
    backend="torch",
)

SO028 = rule(
    "SO028",
    "One part of the final states is used, and the others are left out",
    """h_n is (layers x directions, batch, units). Its last entry is the backward direction of the last layer where the
    module is bidirectional, and its first entry belongs to the first layer where there are several. The parts that no
    line picks are learnt in vain.""",
    """torch.cat((h_n[-2], h_n[-1]), dim=1) for a bidirectional module; h_n[-1] for the last of several layers.""",
    example="""
import torch
from torch import nn
gru, head = nn.GRU(3, 4, bidirectional=True, batch_first=True), nn.Linear(4, 1)
out, h = gru(torch.randn(6, 10, 3))
scores = head(h[-1])
""",
    repaired="""
import torch
from torch import nn
gru, head = nn.GRU(3, 4, bidirectional=True, batch_first=True), nn.Linear(8, 1)
out, h = gru(torch.randn(6, 10, 3))
scores = head(torch.cat((h[-2], h[-1]), dim=1))
""",
    backend="torch",
)


@SO024.on(TorchCall, TorchFunction)
def half_that_read_one_step(event: TorchCall | TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for the last step of a bidirectional output on its way into a linear layer or a loss."""
    known = read_by(event, seen)
    run = known.run if known is not None else None
    if known is None or run is None or run.directions != 2 or run.steps < 2:
        return None
    for part in known.taken:
        # Where the axes are in doubt already, nothing more is said about them.
        doubt = any((code, run.module) in seen.notes["torch said"] for code in ("SO021", "SO022", "SO023"))
        if part.what != "last step" or doubt or not first_time(event, seen, "SO024", run.module):
            continue
        units, steps = part.shape[-1], run.steps
        half = units // 2
        state = "h_n[-2], h_n[-1]"
        return Evidence(
            got=f"{part.source} of {axes(part.shape, part.letters)}: units {half} to {units - 1}, the backward half, "
            f"have\nread 1 step of {steps} there; units 0 to {half - 1}, the forward half, all {steps}",
            wanted=f"both directions after all {steps} steps: the final states {state}, or the backward half at step 0",
            cause=f"{run.source} reads forwards and backwards (bidirectional=True). The backward direction begins at "
            f"the last step,\nso its output there is its first, not its last output: it knows nothing of the steps "
            f"before.",
            fix=f"out, {'(h_n, c_n)' if run.kind == 'LSTM' else 'h_n'} = {run.name}(...)\n"
            f"torch.cat(({state}), dim=1)        # instead of {part.source}",
            place=part.place,
        )
    return None


@SO025.on(TorchFunction)
def rows_mixed(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for states, or outputs that begin with time, that are viewed as rows of the batch."""
    known = facts_of(event.inputs[0], seen) if event.name in ("view", "reshape") and event.inputs else None
    run = known.run if known is not None else None
    before, after = shape_of(event.inputs[0]) if event.inputs else (), shape_of(event.output)
    if known is None or run is None or len(before) != 3 or len(after) not in (2, 3) or before == after:
        return None
    first, second, units = before
    states = known.letters == "SBU" and known.role in ("h", "c")
    # Time-major for certain; where it is not, batch_first is the mistake (SO021).
    outputs = known.letters == "TBU" and (run.truth[1:2] == "B" or run.swapped or run.truth.startswith("T"))
    if min(first, second) < 2 or not (states or outputs) or after[0] != second:
        return None
    if (first == second and len(after) == 3) or after[-1] == units * second:
        return None
    name = event.place.expression.partition(".")[0] if event.place else "h_n"
    what = "states" if states else "steps"
    return Evidence(
        got=f"{axes(before, known.letters)} counted out as {after}: each of {second} rows gets\n"
        f"{first} {what} that belong to several sequences",
        wanted=f"{axes((second, first, units), known.letters[1] + known.letters[0] + 'U')} first: the batch axis in "
        f"front",
        cause=(
            "The states of torch are (layers x directions, batch, units), also with batch_first=True. "
            if states
            else ""
        )
        + "view and reshape\nkeep the numbers in their order, so rows of the batch are mixed; axes are moved by "
        "transpose.",
        fix=f"{name}.transpose(0, 1).reshape({', '.join(map(str, (second, -1) if len(after) == 2 else after))})"
        + (
            f"\ntorch.cat(({name}[-2], {name}[-1]), dim=1)        # the same for one layer, both directions"
            * (first == 2)
        ),
    )


@SO026.on(TorchFunction)
def axes_swapped_by_view(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for a batch of a DataLoader that is viewed with the lengths of its axes in another order."""
    known = facts_of(event.inputs[0], seen) if event.name in ("view", "reshape") and event.inputs else None
    before, after = shape_of(event.inputs[0]) if event.inputs else (), shape_of(event.output)
    if known is None or known.run is not None or not known.letters.startswith("B") or not known.why:
        return None
    long, moved = [size for size in before if size > 1], [size for size in after if size > 1]
    if len(before) < 3 or long == moved or sorted(long) != sorted(moved) or before[0] == 1:
        return None
    swapped_rows = after[0] != before[0]
    order = _permutation(before, after)
    name = event.place.expression.partition(".")[0] if event.place else "x"
    right = f"{name}.permute({', '.join(map(str, order))})" if order else f"{name}.transpose(0, 1)"
    return Evidence(
        got=f"{axes(before, known.letters)} counted out anew as {after}",
        wanted=f"axes moved, not numbers counted out: {right}",
        cause="view and reshape keep the numbers in their order. The shape is the wanted one, and "
        + (
            "steps and features of\ndifferent sequences of the batch stand side by side in it."
            if swapped_rows
            else "steps and features of each sequence are mixed."
        ),
        fix=right,
        unsure="" if swapped_rows else f"whether the numbers of each sample are stored in the order of {after[1:]}",
    )


@SO028.on(TorchCall, TorchFunction)
def states_in_use(event: TorchCall | TorchFunction, seen: Seen) -> None:
    """Remembers which final states go into linear layers and losses."""
    known = read_by(event, seen)
    if known is None or known.run is None or not known.run.layers * known.run.directions > 1 or known.role != "h":
        return
    note = seen.notes["torch states in use"].setdefault(
        known.run.module, {"run": known.run, "picked": {}, "all": False}
    )
    for part in known.taken:
        if part.what.startswith("state"):
            number = int(part.what.partition(" ")[2]) % part.shape[0]
            note["picked"].setdefault(number, part)
    note["all"] |= not any(part.what.startswith("state") for part in known.taken)


@SO028.on(End)
def states_left_out(event: End, seen: Seen) -> list[Evidence]:
    """Looks back: which states of a module were never picked."""
    found = []
    for note in seen.notes["torch states in use"].values():
        run, picked = note["run"], note["picked"]
        if not note["all"] and len(picked) == 1:
            (number, part), *_ = picked.items()
            evidence = _left_out(run, number, part)
            if evidence is not None:
                found.append(evidence)
    return found


def _left_out(run: Run, number: int, part: Taken) -> Evidence | None:
    states = run.layers * run.directions
    last = number >= states - run.directions
    if run.directions == 1 and last:
        return None
    layer, backward = divmod(number, run.directions)
    source = part.source or "h_n"
    name = source.partition("[")[0]
    which = f"layer {layer + 1} of {run.layers}" if run.layers > 1 else ""
    side = ("backward" if backward else "forward") + " direction" if run.directions == 2 else ""
    return Evidence(
        got=f"{source} of {axes((states, *part.shape[1:]), 'SBU')}: "
        f"{' of '.join(one for one in (side, which) if one)}; the others are never used",
        wanted=f"{name}[-2] and {name}[-1]: both directions of the last layer"
        if run.directions == 2
        else f"{name}[-1]: the last layer",
        cause=f"{run.source} has {run.layers} layer{'s' * (run.layers > 1)} and {run.directions}"
        f" direction{'s' * (run.directions > 1)}. Its states stand in the order\n"
        + ("forward, backward" if run.directions == 2 else "first to last layer")
        + (", layer by layer." if run.layers > 1 and run.directions == 2 else "."),
        fix=f"torch.cat(({name}[-2], {name}[-1]), dim=1)        # {2 * run.hidden} units"
        if run.directions == 2
        else f"{name}[-1]",
        unsure="whether the other states are left out on purpose",
        place=part.place,
    )


def _permutation(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    # Known only where every length comes once.
    if len(before) != len(after) or len(set(before)) != len(before):
        return ()
    return tuple(before.index(size) for size in after)
