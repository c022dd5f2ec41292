"""Missing values in the data, where they made NaN of the loss or of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import as_array, some_rows
from sostenuto.diagnosis.catalogue import Evidence
from sostenuto.diagnosis.events import Batch, Failure, LayerCall, ModelCall, ModelCalled, TorchCall
from sostenuto.diagnosis.rules.container_calls import written
from sostenuto.diagnosis.rules.container_views import is_array
from sostenuto.diagnosis.rules.output_pages import SO417
from sostenuto.diagnosis.rules.output_views import assigned
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_ours, kinds
from sostenuto.diagnosis.wording import count


def became_nan(result: Any) -> bool:
    """Whether fit, evaluate, predict or train_on_batch returned NaN: a loss, or predictions."""
    history = getattr(result, "history", None)
    if isinstance(history, dict):
        losses = history.get("loss") or ()
        return any(isinstance(one, float | int | np.number) and np.isnan(one) for one in losses)
    if isinstance(result, dict):
        result = result.get("loss")
    if isinstance(result, list | tuple):
        result = result[0] if result and np.ndim(result[0]) == 0 else None
    if isinstance(result, float | np.floating):
        return bool(np.isnan(result))
    array = as_array(result) if result is not None else None
    return array is not None and array.dtype.kind == "f" and bool(np.isnan(some_rows(array)).any())


@SO417.on(Batch)
def missing_in_batches(event: Batch, seen: Seen) -> None:
    """Remembers what is missing in the first batch of a generator."""
    found = next(_missing(event.call, event.x, event.y, of_batch=True), None)
    if found is not None:
        seen.notes["missing in batches"][id(event.call.model), event.call.verb] = found


@SO417.on(ModelCalled)
def missing_values(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for NaN and infinity in inputs and targets, where they made NaN of the result."""
    kept = seen.notes["missing in batches"].pop((id(event.model), event.verb), None)
    # Nothing ran where so.check asks; a layer or a loss of the user's own may know what to do with them.
    if event.within is not None or is_ours(event.model) or not (event.result is None or became_nan(event.result)):
        return None
    told = seen.marks(event.model).get("missing")
    found = kept or next(_missing(event, event.x, event.y), None)
    if found is None or told == found.title:
        return None
    seen.mark(event.model, missing=found.title)
    return found


@SO417.on(Failure)
def missing_ids(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for missing values among the ids that an Embedding could not look up."""
    call = next((one for one in failure.calls if isinstance(one, LayerCall)), None)
    if call is None or "Embedding" not in kinds(call.layer) or failure.verb is None:
        return None
    return next(_missing(failure.verb, failure.verb.x, None), None)


def _missing(call: ModelCall, x: Any, y: Any, of_batch: bool = False) -> Iterator[Evidence]:
    for name, value in arrays_of(call, x, y, of_batch):
        array = as_array(value)
        if array is None or array.dtype.kind != "f" or not array.size or not array.ndim:
            continue
        some = some_rows(array)
        bad = ~np.isfinite(some)
        if bad.any():
            yield _evidence(name, "y" if value is y else "x", some, bad)


def arrays_of(call: ModelCall, x: Any, y: Any, of_batch: bool = False) -> Iterator[tuple[str, Any]]:
    """All arrays among inputs and targets, with what the user calls them.

    Args:
        call: of fit or a sibling.
        x: inputs: an array, or several in a list or a dict.
        y: targets, likewise.
        of_batch: whether they come from a generator, which has no names for them.
    """
    for name, value in (("x", x), ("y", y)):
        source = name if of_batch else written(call, name)
        parts: Iterable[tuple[Any, Any]] | None = value.items() if isinstance(value, Mapping) else None
        if parts is None and isinstance(value, list | tuple) and value and all(map(is_array, value)):
            parts = enumerate(value)
        if parts is not None:
            yield from ((f"{source}[{key!r}]", one) for key, one in parts if is_array(one))
        elif is_array(value):
            yield source, value


def _evidence(source: str, name: str, some: np.ndarray, bad: np.ndarray) -> Evidence:
    name, value = assigned(source, name)
    nan = int(np.isnan(some).sum())
    what = "NaN" if nan == bad.sum() else "infinite" if not nan else "NaN or infinite"
    of_rows = bad.reshape(len(some), -1).any(axis=1)
    row, rows = int(np.flatnonzero(of_rows)[0]), int(of_rows.sum())
    columns = np.flatnonzero(bad.reshape(-1, some.shape[-1]).any(axis=0)) if some.ndim > 1 else np.array([0])
    where = f", all in column {columns[0]}" if some.ndim > 1 and len(columns) == 1 and some.shape[-1] > 1 else ""
    return Evidence(
        title=f"{source} holds {what} values.",
        got=f"{int(bad.sum()):,} of {some.size:,} numbers of {source} are {what}, in {count(rows, 'row')} of "
        f"{len(some)}, the first in row {row}{where}",
        wanted="finite numbers everywhere",
        cause="NaN spreads: one missing value in a batch makes the loss NaN, and with the next update every weight. "
        "From then\non the model predicts NaN for everything.",
        fix=f"{name} = np.nan_to_num({value})        # missing as 0; with a Masking layer if whole steps are "
        f"missing\n# or keep = np.isfinite({value}).reshape(len({value}), -1).all(axis=1), and leave the other rows "
        f"out of x and y",
        boundary=(source, "model"),
    )


@SO417.on(TorchCall)
def missing_in_torch(event: TorchCall, seen: Seen) -> Evidence | None:
    """Looks for NaN that a recurrent module of torch reads and returns."""
    if not hasattr(event.module, "hidden_size") or not event.inputs or seen.notes["missing in torch"].get("told"):
        return None
    given, output = event.inputs[0], event.output
    array = as_array(getattr(given, "data", given) if type(given).__name__ == "PackedSequence" else given)
    if array is None or array.dtype.kind != "f" or not array.size or not array.ndim or np.isfinite(array).all():
        return None
    first = output[0] if isinstance(output, tuple) and output else output
    returned = as_array(getattr(first, "data", first) if type(first).__name__ == "PackedSequence" else first)
    if returned is None or np.isfinite(returned).all():
        return None
    seen.notes["missing in torch"]["told"] = True
    place = event.place
    names = place.names_of(given) if place is not None else []
    names = [name for name in names if name != "self"]
    found = _evidence(names[0] if names else "x", "x", array, ~np.isfinite(array))
    return Evidence(
        title=found.title,
        got=f"{found.got}; {type(event.module).__name__} returns NaN for them",
        wanted=found.wanted,
        cause=found.cause,
        fix=found.fix.replace("np.nan_to_num", "torch.nan_to_num")
        .replace("np.isfinite", "torch.isfinite")
        .replace("        # missing as 0; with a Masking layer if whole steps are missing", "        # missing as 0")
        .replace(".all(axis=1)", ".all(dim=1)"),
        boundary=found.boundary,
    )
