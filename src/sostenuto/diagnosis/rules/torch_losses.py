"""Losses of torch for numbers: shapes that are broadcast, logits for probabilities, padding that counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import LOSSES, Facts, facts_of, loss_of, loss_sources
from sostenuto.diagnosis.rules.torch_loss_pages import SO054, SO056, SO057, SO058
from sostenuto.diagnosis.rules.torch_modules import is_tensor, shape_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place
from sostenuto.diagnosis.wording import count

# Looked at per loss and place: later calls are like the first.
_MOST = 20

_PLAIN = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def compared(event: TorchFunction) -> tuple[Any, Any] | None:
    """Input and target of a loss, or None where it isn't one of two tensors."""
    if event.name not in LOSSES:
        return None
    given = event.inputs[0] if event.inputs else event.options.get("input")
    target = event.inputs[1] if len(event.inputs) > 1 else event.options.get("target")
    return (given, target) if is_tensor(given) and is_tensor(target) else None


def option(event: TorchFunction, name: str, position: int, plain: Any = None) -> Any:
    """An option of a loss, given by name or place."""
    return event.options.get(name, event.inputs[position] if len(event.inputs) > position else plain)


def _early(event: TorchFunction, seen: Seen, what: str) -> bool:
    counts = seen.notes["torch losses"]
    key = what, event.place.file if event.place else "", event.place.line if event.place else 0
    counts[key] = counts.get(key, 0) + 1
    return counts[key] <= _MOST


# --- shapes ----------------------------------------------------------------------------------------------------------


@SO056.on(TorchFunction)
def broadcast(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for output and target of different shapes that torch makes fit by repeating."""
    found = compared(event) if event.name in _PLAIN else None
    if found is None or not _early(event, seen, "broadcast"):
        return None
    said, wanted = shape_of(found[0]), shape_of(found[1])
    if said == wanted or np.prod(said or 1) == 1 or np.prod(wanted or 1) == 1:
        return None
    try:
        both = np.broadcast_shapes(said, wanted)
    except ValueError:
        return None
    # One of them repeated along an axis that it has, with length 1, may be meant.
    meant = len(said) == len(wanted) and both == said
    return _shapes(event.place, event.name, said, wanted, both, meant, facts_of(found[0], seen))


@SO056.on(Failure)
def misfit(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a loss whose output and target have shapes that do not fit at all."""
    loss = loss_of(failure)
    if loss is None or loss.name in ("cross_entropy", "nll_loss"):
        return None
    said, wanted = shape_of(loss.input), shape_of(loss.target)
    if said == wanted or not is_tensor(loss.target) or not is_tensor(loss.input):
        return None
    return _shapes(failure.place, loss.name, said, wanted, (), False, facts_of(loss.input, seen))


def state_axis(output: str, said: tuple[int, ...], target: str, wanted: tuple[int, ...], known: Facts) -> Evidence:
    """All states went into the linear layer, where one was meant.

    Args:
        output: what the user wrote for the output.
        said: its shape.
        target: what the user wrote for the target.
        wanted: its shape.
        known: of the output.
    """
    source = known.run.source if known.run is not None else "the module"
    return Evidence(
        title="The states of all layers and directions go into the loss, with their axis.",
        got=f"{output} {said}: (layers x directions {said[0]}, batch {said[1]}, outputs {said[2]}); {target} {wanted}",
        wanted=f"(batch {said[1]}, outputs {said[2]}): what comes from one state, h_n[-1]",
        cause=f"h_n of {source} is (layers x directions, batch, units). Its first axis is there also where it is 1, "
        f"and\nsqueeze(0) takes it away only then.",
        fix="h_n[-1]        # the last layer"
        + (
            "\ntorch.cat((h_n[-2], h_n[-1]), dim=1)        # both directions"
            if known.run is not None and known.run.directions == 2
            else ""
        ),
    )


def _words(shape: tuple[int, ...]) -> str:
    names = {1: ("batch",), 2: ("batch", "outputs"), 3: ("batch", "time", "outputs")}.get(len(shape))
    if names is None:
        return str(shape)
    return f"({', '.join(f'{name} {size}' for name, size in zip(names, shape, strict=True))})"


def _shapes(
    place: Place | None,
    loss: str,
    said: tuple[int, ...],
    wanted: tuple[int, ...],
    both: tuple[int, ...],
    meant: bool,
    known: Facts | None,
) -> Evidence | None:
    output, target = loss_sources(place)
    if both and np.prod(both) == np.prod(said) == np.prod(wanted):
        # The same numbers meet, whatever axes of length 1 there are.
        return None
    if known is not None and known.letters.startswith("S") and len(said) == 3:
        return state_axis(output, said, target, wanted, known)
    got = f"{output} {said} against {target} {wanted}" + (f", which become {tuple(both)}" if both else "")
    plain_said = tuple(size for size in said if size != 1)
    plain_wanted = tuple(size for size in wanted if size != 1)
    steps = len(said) == 3 and len(wanted) in (1, 2) and wanted[0] == said[0] and wanted[1:] in ((), (1,), said[2:])
    steps = steps and said[1] > 1
    unsure = ""
    run = known.run if known is not None else None
    if plain_said == plain_wanted:
        where = next((axis for axis in range(len(said)) if said[axis] == 1), len(said) - 1)
        if said == () and wanted == (1,):
            # The last batch had one row, and squeeze() took its axis too.
            fix = f"{output.replace('.squeeze()', '.squeeze(1)')}        # squeeze() takes every axis of length 1 away"
        elif len(said) > len(wanted):
            fix = f"{target}.unsqueeze({where if len(said) - len(wanted) == 1 else -1})"
            fix = f"{fix}        # {target} as {said}" if len(said) - len(wanted) == 1 else f"{target}.reshape({said})"
            fix += f"\n{output}.squeeze({where})        # or" if len(said) - len(wanted) == 1 else ""
        elif len(said) < len(wanted):
            axis = next((axis for axis in range(len(wanted)) if wanted[axis] == 1), -1)
            fix = f"{target}.squeeze({axis})        # {target} as {said}"
        else:
            fix = f"{target}.reshape({said})"
        cause = "An axis of length 1 is there on one side and missing on the other. "
        cause += (
            f"Shapes are compared from the right, so the\nlosses are not {count(int(np.prod(said)), 'number')} but"
            f" {int(np.prod(both))}: every output is compared with every target, and the model\nlearns the mean of all"
            f" targets."
            if both
            else f"{loss} wants one shape for both."
        )
        want = f"both of one shape, {said} or {wanted}"
    elif steps:
        last = "out[:, -1]" if run is None or run.batch_first else "out[-1]"
        cause = (
            f"The model says something for each of {said[1]} steps, and there is one target for a sequence: the last"
        )
        cause += " step alone\nhas to go into the loss, or there have to be targets for every step."
        fix = f"{output}[:, -1]        # {(said[0], *said[2:])}, or {last} before the linear layer"
        want = (
            f"{_words((said[0], *said[2:]))}: one output per sequence" if len(wanted) > 1 else f"({said[0]},) for both"
        )
        if len(wanted) == 1:
            fix = f"{output}[:, -1].squeeze(-1)        # ({said[0]},)"
    elif both or loss != "":
        cause = "Output and target do not have the same shape" + (
            ", and one is repeated along the other." if both else ", and neither can be repeated along the other."
        )
        if len(said) == len(wanted) == 2 and said[0] == wanted[0]:
            cause += (
                f"\nThe model has {count(said[1], 'output')}, and there are {count(wanted[1], 'target')} for each row."
            )
            fix = f"nn.Linear(..., {wanted[1]})        # one output for each target"
        elif said and wanted and said[0] != wanted[0]:
            cause += f"\nThe output has {count(said[0], 'row')}, and there are targets for {wanted[0]}."
            fix = f"print({output}.shape, {target}.shape)        # the first axis of both has to count the same rows"
            unsure = "" if not both else "what the first axis of both counts"
        else:
            fix = f"print({output}.shape, {target}.shape)        # bring both to one shape before the loss"
            unsure = "which of the two shapes is meant" if both else ""
        want = "both of one shape"
    if meant and not steps:
        unsure = f"whether {target} is to be repeated; {target}.expand_as({output}) would say so"
    return Evidence(got=got, wanted=want, cause=cause, fix=fix, unsure=unsure)


# --- logits and probabilities ----------------------------------------------------------------------------------------


@SO054.on(TorchFunction)
def probabilities(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for softmax or sigmoid before a loss that applies it itself, and for nll_loss without logarithms."""
    found = compared(event)
    if found is None or event.name in (*_PLAIN, "binary_cross_entropy") or not _early(event, seen, "probabilities"):
        return None
    given = found[0]
    known = facts_of(given, seen)
    role = known.role if known is not None else ""
    output, target = loss_sources(event.place)
    if event.name == "binary_cross_entropy_with_logits":
        if role != "sigmoid":
            return None
        return Evidence(
            got=f"{output}: what a sigmoid returned, between 0 and 1",
            wanted="logits: what the linear layer returned, without a sigmoid",
            cause="binary_cross_entropy_with_logits (nn.BCEWithLogitsLoss) applies the sigmoid itself. With another "
            "one before\nit, it is applied twice: no output gets below 0.5, and the loss stays high.",
            fix=f"F.binary_cross_entropy({output}, {target})        # nn.BCELoss() for probabilities\n"
            "# or leave the sigmoid out of the model, and apply it to predictions only",
        )
    shape = shape_of(given)
    axis = 1 if len(shape) > 1 else 0
    if len(shape) < 2 or shape[axis] < 2:
        return None
    array = as_array(given)
    if array is None or not array.size:
        return None
    array = some_rows(array)
    inside = bool(np.isfinite(array).all() and (array >= 0).all() and (array <= 1).all())
    sums = array.sum(axis=axis)
    softmax = inside and bool(np.abs(sums - 1).max() < 1e-3)
    if event.name == "nll_loss":
        if role == "log_softmax" or not (softmax or role == "softmax"):
            return None
        return Evidence(
            title="nll_loss is given probabilities, and expects their logarithms.",
            got=f"{output}: numbers from {array.min():.3g} to {array.max():.3g}, which sum to 1 along axis {axis}: "
            f"softmax",
            wanted="log-probabilities: log_softmax",
            cause="nll_loss picks the number of the right class and changes its sign. Of a probability that gives a "
            "loss below 0,\nand not the negative log-likelihood.",
            fix=f"F.nll_loss(F.log_softmax(logits, dim={axis}), {target})\n"
            f"F.cross_entropy(logits, {target})        # the same in one",
        )
    # By the numbers, whoever made them; a sigmoid only where it was seen.
    if not softmax and role != "sigmoid":
        return None
    what = "softmax" if softmax else "sigmoid"
    return Evidence(
        got=f"{output}: {count(shape[axis], 'class', 'classes')} from {array.min():.3g} to {array.max():.3g}"
        + (f", which sum to 1 along axis {axis}: softmax was applied" if softmax else ": sigmoid was applied"),
        wanted="logits: what the linear layer returned, any numbers",
        cause=f"cross_entropy (nn.CrossEntropyLoss) applies log_softmax itself. With a {what} before it that is a "
        f"double softmax:\nthe numbers lie between 0 and 1, differ by 1 at most, and the gradients are small; the loss "
        f"cannot get near 0.",
        fix=f"F.cross_entropy(logits, {target})        # logits: without {what}\n"
        "torch.softmax(logits, dim=1)        # for predictions only",
    )


@SO057.on(Failure)
def no_probabilities(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for logits in binary_cross_entropy."""
    loss = loss_of(failure)
    if loss is None or loss.name != "binary_cross_entropy" or "between 0 and 1" not in failure.message:
        return None
    output, target = loss_sources(failure.place)
    array = as_array(loss.input)
    if array is not None and np.isnan(array).any():
        return Evidence(
            title="The output of the model is NaN.",
            got=f"{output}: {int(np.isnan(array).sum())} of {array.size} numbers are NaN",
            wanted="probabilities between 0 and 1",
            cause="A NaN is no number between 0 and 1. It comes from a NaN in the data, or from a training that went "
            "out of\nbounds: a learning rate too high, gradients that are not clipped.",
            fix="torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)        # before optimizer.step()",
            unsure="where the first NaN came from: torch.isnan(x).any() says whether the data has one",
        )
    other = as_array(loss.target)
    if array is not None and bool((array >= 0).all() and (array <= 1).all()) and other is not None:
        return Evidence(
            title="binary_cross_entropy is given targets that are not between 0 and 1.",
            got=f"{target} from {other.min():.3g} to {other.max():.3g}",
            wanted="targets between 0 and 1",
            cause="Each target says how likely the class 1 is. Other numbers are classes of more than two, or amounts.",
            fix=f"F.cross_entropy(logits, {target}.long())        # for more than two classes",
            unsure="what the targets mean",
        )
    ends = f" from {array.min():.3g} to {array.max():.3g}" if array is not None and array.size else ""
    return Evidence(
        got=f"{output}: numbers{ends}",
        wanted="probabilities between 0 and 1, or a loss that takes logits",
        cause="What a linear layer returns are logits, any numbers. binary_cross_entropy (nn.BCELoss) takes what a "
        "sigmoid\nmakes of them.",
        fix=f"F.binary_cross_entropy_with_logits({output}, {target})        # nn.BCEWithLogitsLoss()",
    )


# --- padding ---------------------------------------------------------------------------------------------------------


@SO058.on(TorchFunction)
def padding_counts(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for padded steps among what a loss compares."""
    found = compared(event)
    if found is None or not _early(event, seen, "padding"):
        return None
    one, other = facts_of(found[0], seen), facts_of(found[1], seen)
    filled = (other.filled if other is not None else None) or (one.filled if one is not None else None)
    reduction = option(event, "reduction", 6 if event.name in ("cross_entropy", "nll_loss") else 4, "mean")
    if filled is None or not filled.short or reduction == "none" or option(event, "weight", 2) is not None:
        return None
    given, target = shape_of(found[0]), shape_of(found[1])
    classes = event.name in ("cross_entropy", "nll_loss")
    steps, rows = filled.steps, len(filled.lengths)
    padded = sum(steps - length for length in filled.lengths)
    entries = int(np.prod(target or (1,)))
    # Per step, and nothing taken out: a loss over a mask, or over packed steps, has other shapes.
    whole = entries == steps * rows or (not classes and entries % (steps * rows) == 0 and given == target)
    cut = other is not None and other.filled is not None and entries == (steps - 1) * rows
    if not (whole or cut):
        return None
    numbers = as_array(found[1])
    if numbers is None:
        return None
    output, name = loss_sources(event.place)
    if classes:
        ignored = option(event, "ignore_index", 4, -100)
        left_out = int((numbers == ignored).sum())
        least = padded - (rows if cut else 0)
        if left_out >= least or least <= 0:
            return None
        value = int(filled.value) if other is not None and other.filled is not None else None
        real = value is None or int((numbers == value).sum()) > padded
        fix = (
            "y = pad_sequence(targets, batch_first=True, padding_value=-100)        # cross_entropy leaves -100 out"
            if real
            else f"F.cross_entropy({output}, {name}, ignore_index={value})        # "
            f"nn.CrossEntropyLoss(ignore_index={value})"
        )
        return Evidence(
            got=f"{padded:,} of {entries:,} steps in the loss are padding ({filled.words})"
            + (f", with the target {value}" if value is not None else ""),
            wanted="a loss over the real steps alone: ignore_index, or targets padded with -100",
            cause="Padding is read as data: the model learns to predict it, which is easy, and the mean of the loss "
            "looks better\nthan it is. ignore_index is -100 unless told otherwise.",
            fix=fix,
        )
    if (
        one is None
        or one.role not in ("linear", "output", "sigmoid")
        or filled.by
        not in (
            "pad_sequence",
            "lengths",
            "pad_packed_sequence",
        )
    ):
        return None
    return Evidence(
        got=f"{padded:,} of {steps * rows:,} steps in the loss are padding ({filled.words})",
        wanted="a loss over the real steps alone: a mask",
        cause=f"{event.name} compares all {steps} steps of every row. The padded ones count like real ones, more of "
        f"them for\nshort sequences.",
        fix=f"loss = F.{event.name}({output}, {name}, reduction='none')\n"
        "mask = torch.arange(steps)[None] < lengths[:, None]        # (batch, time), True at real steps\n"
        "loss = loss[mask].mean()",
    )
