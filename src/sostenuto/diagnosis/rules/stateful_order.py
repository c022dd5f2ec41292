"""Stateful layers of Keras where nothing raises: batches, or rows, in an order that state cannot follow."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from sostenuto.diagnosis.arrays import as_array, padding_in, some_rows
from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCalled
from sostenuto.diagnosis.rules.stateful_examples import PREPARED
from sostenuto.diagnosis.rules.stateful_plans import first_of
from sostenuto.diagnosis.rules.stateful_runs import Log, Run, carries, last_run, order_in
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import with_keyword, without_keyword
from sostenuto.diagnosis.views import source_of, title
from sostenuto.diagnosis.wording import count

SO344 = rule(
    "SO344",
    "A stateful model is trained on shuffled batches",
    """A stateful layer hands the state of row i of a batch to row i of the next batch. fit shuffles the rows in every
    epoch unless told otherwise, so the state of one sequence goes on in some other piece of the data. Nothing
    raises; the model learns as if there were no state, or worse.""",
    """Pass shuffle=False to fit, and order the rows so that row i of the next batch continues row i of this one.
    so.SequenceModel keeps state by the id of a sequence, and may shuffle.""",
    example=PREPARED + "model.fit(x, y, batch_size=4, epochs=2, verbose=0)\n",
    repaired=PREPARED + "model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)\n",
    backend="tensorflow",
)

SO348 = rule(
    "SO348",
    "State goes on from row to row, though the rows are no continuation",
    """With stateful=True the state of row i goes on in row i of the next batch, so row i + batch size of the data has
    to continue row i. Windows in the order of time, and whole sequences in rows, are not ordered so.""",
    """Order the data: cut the series into as many streams as the batch has rows, and put piece k of all streams into
    batch k. Where each row is a whole sequence, leave stateful=True out.""",
    example="""
import numpy as np, keras
series = np.sin(np.arange(140) / 5).astype("float32")
x = np.stack([series[i : i + 12] for i in range(128)])[..., None]
lstm = keras.layers.LSTM(3, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(32, 12, 1)), lstm, keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, series[12:], batch_size=32, shuffle=False, verbose=0)
""",
    repaired="""
import numpy as np, keras
series = np.sin(np.arange(140) / 5).astype("float32")
x = np.stack([series[i : i + 12] for i in range(128)])[..., None]
model = keras.Sequential([keras.Input(shape=(12, 1)), keras.layers.LSTM(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, series[12:], batch_size=32, verbose=0)
""",
    backend="tensorflow",
)

_HANDS_ON = "stateful=True hands the state of row i of a batch to row i of the next batch."


@SO344.on(ModelCalled)
def shuffled(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a stateful model that was trained on batches in another order than that of the data."""
    found = last_run(event, seen)
    if found is None or event.verb != "fit" or not carries():
        return None
    log, run = found
    plan, place = run.plan, event.place
    if not plan.shuffled or plan.batches == 1 or not run.carried:
        return None
    source = place.source(node) if place is not None and (node := place.call("fit")) is not None else ""
    given = event.options.get("shuffle")
    got = plan.shuffled
    if plan.kind in ("array", "sequence"):
        got = f"shuffle={given!r}" if given is not None else "shuffle=True, the default of fit"
        fix = with_keyword(source or "model.fit(...)", "shuffle", "False")
    elif plan.kind == "loader":
        fix = "torch.utils.data.DataLoader(..., shuffle=False)"
    else:
        fix = "leave .shuffle(...) out of the dataset"
    batches = "several batches"
    if plan.batches and plan.batch:
        batches = f"{count(plan.batches, 'batch', 'batches')} of {count(plan.batch, 'row')}"
    return Evidence(
        got=f"{got}, with {batches} in an epoch and {title(log.layer)} stateful",
        wanted="shuffle=False: the batches in the order of the data",
        cause=f"{_HANDS_ON} In shuffled batches that row belongs to\n"
        "some other place of the data, so the state that goes from batch to batch is the wrong one.",
        fix=fix,
        boundary=(title(log.layer),),
    )


@SO344.on(ModelCalled)
def shuffled_by_hand(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a loop of train_on_batch that takes its batches in another order in each epoch."""
    found = last_run(event, seen)
    if found is None or event.verb != "train_on_batch" or not carries() or len(found[0].runs) % 5:
        return None
    log = found[0]
    behind: dict[int, set[int]] = defaultdict(set)
    before: Run | None = None
    for run in log.runs:
        if run.verb == "train_on_batch" and run.piece is not None:
            if before is not None and before.piece is not None and not run.after_reset:
                behind[before.piece.print].add(run.piece.print)
            before = run
    several = sum(len(followers) > 1 for followers in behind.values())
    if several < 3 or several < 0.5 * len(behind):
        return None
    return Evidence(
        got=f"{several} of {len(behind)} batches were followed by different batches in different epochs,\n"
        f"with {title(log.layer)} stateful and no reset between them",
        wanted="the same order in every epoch, each batch in front of its continuation; or a reset in front of each",
        cause=f"{_HANDS_ON} Where the order changes (shuffle,\n"
        "permutation, random choice), that row belongs to some other place of the data: the state is the wrong one.",
        fix="take the batches in the order of the data, without shuffle\n"
        "# or, where each batch holds whole sequences: reset_state() in front of every batch, or no stateful=True",
        boundary=(title(log.layer),),
    )


@SO348.on(ModelCalled)
def rows_do_not_go_on(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for windows in the order of time, whole sequences and padded rows, with state carried between batches."""
    found = last_run(event, seen)
    if found is None or not carries() or event.verb not in ("fit", "evaluate", "predict"):
        return None
    log, run = found
    plan = run.plan
    if plan.kind != "array" or plan.shuffled or (plan.batches or 0) < 2 or not plan.batch or run.resets:
        return None
    array = as_array(first_of(event.x))
    if array is None or array.ndim not in (2, 3):
        return None
    array, batch = array[: plan.rows], plan.batch
    if padded := _padded_rows(array, batch):
        return _whole(log, batch, padded, "and ends with its padding", seen)
    order = order_in(event)
    if order is None:
        return None
    if order.whole:
        return _whole(log, batch, order.whole, "", seen)
    if order.apart != 1 or batch == 1 or batch * order.shift == array.shape[1]:
        return None
    steps = array.shape[1]
    if order.shift:
        gap = batch * order.shift - steps
        seam = f"{gap} steps are missing between them" if gap > 0 else f"{-gap} steps are read twice"
        got = (
            f"windows of {steps} steps, each {count(order.shift, 'step')} later than the one before, in batches of "
            f"{batch}:\nthe state of window 0 goes on in window {batch}, and {seam}"
        )
    else:
        got = f"{order.proof}, in batches of {batch}:\nthe state of row 0 goes on in row {batch}, not in row 1"
    return Evidence(
        got=got,
        wanted=f"row {batch} of the data as the continuation of row 0, from step {steps} on",
        cause=_cause(batch),
        fix=_streams(event, batch) + f"\n# or {_stateless(log, seen)}, where each window is meant to stand for itself",
        boundary=(title(log.layer),),
    )


def _cause(batch: int) -> str:
    return (
        f"With stateful=True the state of row i goes on in row i of the next batch, which is row i + {batch} of the "
        "data.\nThese rows do not continue each other, so every batch but the first begins with the state of other "
        "sequences."
    )


def _whole(log: Log, batch: int, got: str, more: str, seen: Seen) -> Evidence:
    return Evidence(
        got=got,
        wanted=f"no state from one row to another: each row is a sequence of its own{', ' * bool(more)}{more}",
        cause=_cause(batch),
        fix=f"{_stateless(log, seen)}        # without stateful=True: every row begins at zero",
        boundary=(title(log.layer),),
    )


def _stateless(log: Log, seen: Seen) -> str:
    return without_keyword(source_of(log.layer, seen), "stateful")


def _streams(event: ModelCalled, batch: int) -> str:
    names = event.place.names_of(event.x) if event.place else []
    return (
        f"# {batch} streams side by side, piece k of each of them in batch k:\n"
        f"streams = series[: len(series) // {batch} * {batch}].reshape({batch}, -1, features)\n"
        f"{names[0] if names else 'x'} = np.concatenate(np.split(streams, pieces, axis=1))"
    )


def _padded_rows(array: np.ndarray, batch: int) -> str:
    # A row that has ended in its padding, and a real one in its place in the next batch.
    part = some_rows(array)
    found = padding_in(part) if len(part) == len(array) else None
    if found is None or found.rows < 2:
        return ""
    filled = array == found.value if array.ndim == 2 else (array == found.value).all(axis=-1)
    if found.side == "post":
        broken = np.flatnonzero(filled[:-batch, -1] & ~filled[batch:, 0])
        words = "row {row} ends with padding, and row {next}, which gets its state, begins with real steps"
    else:
        broken = np.flatnonzero(~filled[:-batch, -1] & filled[batch:, 0])
        words = "row {next} begins with padding, and gets the state of row {row}"
    pairs = len(array) - batch
    if len(broken) < 2 or len(broken) < 0.2 * pairs:
        return ""
    row = int(broken[0])
    return f"{words.format(row=row, next=row + batch)}; {len(broken)} of {pairs} rows are so"
