"""How a call of fit, evaluate or predict cuts its data into batches: how many, of what size, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis.arrays import rows_of
from sostenuto.diagnosis.events import ModelCall
from sostenuto.diagnosis.views import kinds


@dataclass
class Plan:
    """How a call of fit, evaluate or predict cuts its data into batches.

    Attributes:
        rows: of the data, or None.
        batch: rows in a batch, or None.
        given: whether the batch size was given; Keras takes 32 where it is not.
        kind: "array", "dataset", "loader", "sequence" or "generator".
        shuffled: why batches come in another order, or "".
        count: batches in an epoch, where the data says so itself.
    """

    rows: int | None = None
    batch: int | None = None
    given: bool = False
    kind: str = "array"
    shuffled: str = ""
    count: int | None = None

    @property
    def batches(self) -> int | None:
        """Batches in an epoch, a last short one counted too."""
        if self.count is not None:
            return self.count
        return -(-self.rows // self.batch) if self.rows and self.batch else None

    @property
    def rest(self) -> int | None:
        """Rows of the last batch where it is short, else 0."""
        return self.rows % self.batch if self.rows and self.batch else None


def first_of(x: Any) -> Any:
    """The first array where inputs are several."""
    while isinstance(x, dict | list | tuple) and x:
        x = next(iter(x.values())) if isinstance(x, dict) else x[0]
    return x


def plan_of(call: ModelCall) -> Plan:
    """How a call cuts its data into batches."""
    x, options = call.x, call.options
    names = kinds(x)
    shuffle = options.get("shuffle", True)
    if "DatasetV2" in names:
        return Plan(None, _dataset_batch(x), kind="dataset", shuffled=_dataset_shuffle(x), count=_dataset_count(x))
    if "DataLoader" in names:
        size, rows = getattr(x, "batch_size", None), _length(getattr(x, "dataset", None))
        random = "RandomSampler" in kinds(getattr(x, "sampler", None))
        return Plan(rows, size, True, "loader", "DataLoader(shuffle=True)" if random else "")
    if "PyDataset" in names:
        return Plan(None, None, kind="sequence", shuffled="fit shuffles the order of the batches" if shuffle else "")
    first = first_of(x)
    rows = rows_of(first)
    if rows is None or not isinstance(rows, int):
        return Plan(kind="generator")
    if call.verb.endswith("_on_batch"):
        return Plan(rows, rows, True)
    split = options.get("validation_split") or 0
    if call.verb == "fit" and isinstance(split, int | float) and 0 < split < 1:
        rows = int(rows * (1 - split))
    given = options.get("batch_size")
    size = given if isinstance(given, int | np.integer) and given > 0 else 32
    return Plan(
        rows, int(size), given is not None, shuffled="fit shuffles its rows" if shuffle and call.verb == "fit" else ""
    )


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:
        return None


def _dataset_batch(dataset: Any) -> int | None:
    # What a dataset of TensorFlow says of itself, without being asked for a batch.
    try:
        spec = dataset.element_spec
        while isinstance(spec, tuple | list | dict):
            spec = next(iter(spec.values())) if isinstance(spec, dict) else spec[0]
        if spec.shape[0] is not None:
            return int(spec.shape[0])
        for one in _chain(dataset):
            if "BatchDataset" in type(one).__name__:
                return int(one._batch_size)
    # A dataset of another kind; then nothing is known.
    except Exception:
        return None
    return None


def _dataset_count(dataset: Any) -> int | None:
    try:
        count = int(dataset.cardinality())
    # Unknown to this kind of dataset.
    except Exception:
        return None
    return count if count >= 0 else None


def _dataset_shuffle(dataset: Any) -> str:
    return "dataset.shuffle(...)" if any("ShuffleDataset" in type(one).__name__ for one in _chain(dataset)) else ""


def _chain(dataset: Any) -> Iterator[Any]:
    for _ in range(30):
        if dataset is None:
            return
        yield dataset
        dataset = getattr(dataset, "_input_dataset", None)
