"""Losses of torch for classes: on which axis they stand, and what targets have to be."""

from __future__ import annotations

from typing import Any

from sostenuto.diagnosis.arrays import as_array
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Failure, TorchFunction
from sostenuto.diagnosis.rules.torch_facts import Facts, Loss, Taken, facts_of, first_time, loss_of, loss_sources
from sostenuto.diagnosis.rules.torch_loss_pages import SO051, SO053, SO055
from sostenuto.diagnosis.rules.torch_losses import compared, state_axis
from sostenuto.diagnosis.rules.torch_modules import is_tensor, shape_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.wording import count

_CLASSES = ("cross_entropy", "nll_loss")


def _kind(tensor: Any) -> str:
    return str(getattr(tensor, "dtype", "")).rpartition(".")[2]


def _whole(tensor: Any) -> bool:
    return _kind(tensor) in ("int64", "uint8")


@SO053.on(Failure)
def classes_last(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for (batch, time, classes) where (batch, classes, time) is read."""
    loss = loss_of(failure)
    if loss is None or loss.name not in _CLASSES or not is_tensor(loss.input) or not is_tensor(loss.target):
        return None
    said, wanted = shape_of(loss.input), shape_of(loss.target)
    output, target = loss_sources(failure.place)
    known = facts_of(loss.input, seen)
    if len(said) == 3 and known is not None and known.letters.startswith("S"):
        return state_axis(output, said, target, wanted, known)
    if len(said) == 3 and wanted == said[:2]:
        first = known is not None and known.letters.startswith("TB")
        return _transposed(loss.name, said, output, target, time_first=first)
    if len(said) == 3 and len(wanted) in (1, 2) and wanted[0] == said[0] and (len(wanted) == 1 or wanted[1] == 1):
        batch, steps, classes = said
        return Evidence(
            title=f"{loss.name} gets an output for every step, and one target per sequence.",
            got=f"{output} (batch {batch}, time {steps}, classes {classes}), {target} {wanted}",
            wanted=f"(batch {batch}, classes {classes}): one output per sequence, for instance the last one",
            cause=f"The linear layer reads the output of all {steps} steps. There is one target for each of {batch} "
            f"sequences, so\nthe last output alone has to go on.",
            fix=f"{output}[:, -1]        # {(batch, classes)}"
            + ("\n" + f"{target}.squeeze(1)" if len(wanted) == 2 else ""),
        )
    if len(said) == 2 and len(wanted) == 1 and said[0] != wanted[0] and "batch_size" in failure.message:
        rows, classes = said
        run = known.run if known is not None else None
        # The axis of the batch itself is in doubt: SO021 and SO023 say so.
        if known is not None and any(one.what in ("last row", "pooled over rows") for one in known.taken):
            return None
        if run is not None and len(run.shape) == 3 and not run.batch_first and run.shape[:2] == (wanted[0], rows):
            return None
        times = rows // wanted[0] if wanted[0] and rows % wanted[0] == 0 else 0
        cause = f"The first axis of both has to count the same rows, and {rows} are not {wanted[0]}."
        fix, unsure = f"print({output}.shape, {target}.shape)", "where rows were added or lost"
        if times > 1:
            cause = f"{rows} rows are {times} for each of {wanted[0]} targets: one for each step. There is one target"
            cause += " per sequence,\nso the last output of each sequence has to go in, not all of them put in a row."
            fix, unsure = f"head(out[:, -1])        # {(wanted[0], classes)} instead of {said}", ""
        elif rows and wanted[0] % rows == 0:
            cause = f"{wanted[0]} targets are {wanted[0] // rows} for each of {rows} rows: one for each step, and the"
            cause += " output is the\nlast one of each sequence alone."
            fix, unsure = f"head(out).reshape(-1, {classes})        # an output for every step", ""
        return Evidence(
            title=f"{loss.name} gets {rows} rows, and {wanted[0]} targets.",
            got=f"{output} (rows {rows}, classes {classes}), {target} ({wanted[0]},)",
            wanted="one target for each row",
            cause=cause,
            fix=fix,
            unsure=unsure,
        )
    return None


@SO053.on(TorchFunction)
def classes_taken_for_steps(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for as many steps as classes, where the classes are known to stand last."""
    found = compared(event) if event.name in _CLASSES else None
    if found is None:
        return None
    known, said, wanted = facts_of(found[0], seen), shape_of(found[0]), shape_of(found[1])
    if len(said) != 3 or wanted != said[:2] or said[1] != said[2] or not _whole(found[1]):
        return None
    # What a linear layer returned, and nobody transposed: its last axis are the classes.
    if known is None or known.role not in ("linear", "log_softmax") or known.letters[-1:] != "F":
        return None
    output, target = loss_sources(event.place)
    return _transposed(event.name, said, output, target, time_first=known.letters.startswith("TB"), silent=True)


def _transposed(
    name: str, said: tuple[int, ...], output: str, target: str, *, time_first: bool, silent: bool = False
) -> Evidence:
    batch, steps, classes = said
    if time_first:
        return Evidence(
            title=f"{name} looks for the classes on axis 1, and they stand on the last axis.",
            got=f"{output} (time {batch}, batch {steps}, classes {classes})",
            wanted=f"classes on axis 1: (batch {steps}, classes {classes}, time {batch}), or one row for each step",
            cause=f"{name} reads (batch, classes, time): the classes always on axis 1. A linear layer leaves them on "
            f"the last.",
            fix=f"{output}.reshape(-1, {classes}), {target}.reshape(-1)        # both with one row for each step\n"
            f"{output}.permute(1, 2, 0), {target}.T        # or (batch, classes, time) and (batch, time)",
        )
    return Evidence(
        title=f"{name} looks for the classes on axis 1, and they stand on the last axis.",
        got=f"{output} (batch {batch}, time {steps}, classes {classes}), read as (batch {batch}, classes {steps}, time "
        f"{classes})",
        wanted=f"(batch {batch}, classes {classes}, time {steps}), beside targets (batch {batch}, time {steps})",
        cause=f"{name} reads (batch, classes, time): the classes always on axis 1. A linear layer leaves them on the "
        f"last."
        + (
            "\nBoth axes have the same length here, so nothing is said, and steps are taken for classes."
            if silent
            else ""
        ),
        fix=f"{output}.transpose(1, 2)        # (batch {batch}, classes {classes}, time {steps})\n"
        f"{output}.reshape(-1, {classes}), {target}.reshape(-1)        # or both with one row for each step",
    )


@SO055.on(Failure)
def targets(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for targets of a kind, shape or range that the loss refuses."""
    loss = loss_of(failure)
    if loss is None or not is_tensor(loss.target) or not is_tensor(loss.input):
        return None
    output, target = loss_sources(failure.place)
    if loss.name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        if shape_of(loss.input) != shape_of(loss.target) or _kind(loss.target) == _kind(loss.input):
            return None
        return Evidence(
            title=f"{loss.name} wants targets that are floats.",
            got=f"{target} {_kind(loss.target)}",
            wanted=f"{_kind(loss.input)}, as {output}",
            cause="The target of a binary class is a probability, 0.0 or 1.0 or between them, and so a float.",
            fix=f"{target}.float()",
        )
    return _of_classes(failure, loss, output, target) if loss.name in _CLASSES else None


def _of_classes(failure: Failure, loss: Loss, output: str, target: str) -> Evidence | None:
    said, wanted, kind = shape_of(loss.input), shape_of(loss.target), _kind(loss.target)
    message = failure.message
    classes = said[1] if len(said) > 1 else 0
    if "out of bounds" in message:
        return _out_of_range(loss, classes, output, target)
    if "multi-target not supported" in message or (len(said) == 2 and len(wanted) == 2 and wanted[1:] == (1,)):
        return Evidence(
            title=f"{loss.name} wants one class number per row, without an axis of its own.",
            got=f"{target} {wanted} {kind}",
            wanted=f"({wanted[0]},): one number for each row",
            cause="Targets of classes have no axis for the class: the number itself says which it is.",
            fix=f"{target}.squeeze(1)        # {wanted[:1]}"
            if wanted[1:] == (1,)
            else f"{target}.argmax(dim=1)        # where the rows are one-hot",
        )
    if len(said) == 1 and said == wanted:
        return Evidence(
            title=f"{loss.name} gets one number per row, and no axis of classes.",
            got=f"{output} {said}, {target} {wanted} {kind}",
            wanted=f"{output} (batch {said[0]}, classes): one logit for each class",
            cause="A single output per row is a binary decision or an amount. cross_entropy chooses among classes, and "
            "needs a\nlogit for each of them.",
            fix=f"F.binary_cross_entropy_with_logits({output}, {target}.float())        # for two classes",
            unsure="whether the target is one of two classes",
        )
    if wanted == said and _whole(loss.target):
        return Evidence(
            title=f"{loss.name} is given one-hot rows of whole numbers.",
            got=f"{target} {wanted} {kind}: one number for each class",
            wanted=f"the number of the class, {wanted[:1]} int64; or probabilities, {wanted} float",
            cause="Rows of the shape of the input are read as probabilities of classes, and these are floats. One-hot "
            "rows of\nwhole numbers are neither numbers of classes nor floats.",
            fix=f"{target}.argmax(dim=1)        # {wanted[:1]}, the number of the class\n{target}.float()        # or",
        )
    if not _whole(loss.target) and wanted != said:
        return Evidence(
            title=f"{loss.name} wants the numbers of classes as int64.",
            got=f"{target} {wanted} {kind}",
            wanted=f"{wanted} int64 (Long): the number of the class, from 0 to {max(classes - 1, 0)}",
            cause=f"cross_entropy reads the target as the number of a class, and {kind} is not int64. Tensors made "
            f"from floats,\nor from NumPy arrays of another dtype, have to be converted.",
            fix=f"{target}.long()",
        )
    return None


def _out_of_range(loss: Loss, classes: int, output: str, target: str) -> Evidence | None:
    array = as_array(loss.target)
    if array is None or not array.size or not classes:
        return None
    ignored = loss.names.get("ignore_index", -100)
    array = array[array != ignored]
    least, most = int(array.min()), int(array.max())
    cause = f"There are {count(classes, 'logit')} for each row, numbered from 0 to {classes - 1},"
    cause += f" and targets from {least} to {most}."
    unsure = ""
    if classes == 1:
        cause += "\nWith one logit there is one class. Two classes with one output are a binary decision."
        fix = f"F.binary_cross_entropy_with_logits({output}, {target}.float().reshape({shape_of(loss.input)}))\n"
        fix += f"nn.Linear(..., {most + 1})        # or a logit for each class"
    elif least < 0:
        cause += "\nA number below 0 is no class: padding, or 'unknown', has to be named in ignore_index."
        fix = f"F.cross_entropy({output}, {target}, ignore_index={least})"
        unsure = f"whether {least} means that there is no class"
    elif least >= 1 and most == classes:
        cause += "\nThe classes are counted from 1, and torch counts from 0."
        fix = f"{target} - 1"
    else:
        fix = f"nn.Linear(..., {most + 1})        # a logit for each of {most + 1} classes"
    return Evidence(
        title="A target is none of the classes.",
        got=f"{target} from {least} to {most}",
        wanted=f"numbers from 0 to {classes - 1}: {output} has {count(classes, 'class', 'classes')}",
        cause=cause,
        fix=fix,
        unsure=unsure,
    )


@SO055.on(TorchFunction)
def one_class(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for cross_entropy over a single class, which is 0 whatever the model says."""
    found = compared(event) if event.name == "cross_entropy" else None
    if found is None:
        return None
    said = shape_of(found[0])
    if len(said) != 2 or said[1] != 1 or said[0] < 2:
        return None
    output, target = loss_sources(event.place)
    return Evidence(
        title="cross_entropy over a single class is 0, whatever the model says.",
        got=f"{output} {said}: one logit for each row",
        wanted="a logit for each class, (batch, classes); or a loss for one output",
        cause="softmax over one number is 1, so the loss is 0 (or a constant) and has no gradient: nothing is learnt.",
        fix=f"F.binary_cross_entropy_with_logits({output}, {target}.float().reshape({said}))        # two classes\n"
        f"F.mse_loss({output}, {target}.reshape({said}))        # amounts",
    )


@SO051.on(TorchFunction)
def rows_in_another_order(event: TorchFunction, seen: Seen) -> Evidence | None:
    """Looks for an output that begins with time and targets that begin with the batch, both put in a row."""
    found = compared(event)
    if found is None:
        return None
    said, wanted = (_in_a_row(facts_of(one, seen)) for one in found)
    if said is None or wanted is None or said.letters[:2] != "TB" or wanted.letters[:1] != "B":
        return None
    if said.shape[:2] != (wanted.shape[1], wanted.shape[0]) or min(said.shape[:2]) < 2:
        return None
    if not first_time(event, seen, "SO051", event.place.line if event.place is not None else 0):
        return None
    steps, rows = said.shape[:2]
    output, target = loss_sources(event.place)
    name = target.partition(".")[0]
    return Evidence(
        got=f"{output} from (time {steps}, batch {rows}, ...), {target} from (batch {rows}, time {steps})",
        wanted="one order of axes for both before they are put in a row",
        cause="The row of outputs goes through all sequences of the first step first, the row of targets through all "
        "steps of the\nfirst sequence first. Each output is compared with a target of another sequence and step.",
        fix=f"{name}.transpose(0, 1).reshape(-1)        # (time {steps}, batch {rows}), as the output",
    )


def _in_a_row(known: Facts | None) -> Taken | None:
    # The last view, where it made one row for each step of each sequence, of axes that are known.
    views = [one for one in known.taken if one.what == "viewed"] if known is not None else []
    if not views or len(views[-1].shape) < 2 or known is None:
        return None
    view = views[-1]
    run = known.run
    certain = run is None or run.truth[1:2] == "B" or run.swapped or run.truth.startswith("T")
    whole = view.after[0] == view.shape[0] * view.shape[1]
    return view if certain and whole and view.letters[:1] in ("T", "B") else None
