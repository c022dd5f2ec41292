"""What the values are like, feature by feature, counted over real steps alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sostenuto.diagnosis import shape_of
from sostenuto.errors import DataError
from sostenuto.sequences.checks import row_blocks

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean, standard deviation and range of each feature, all float64 (F,).

    Args:
        features: the names of the features.
        mean: the mean over real steps.
        std: the standard deviation (of the population), exactly 0 for a constant feature.
        minimum: the smallest value.
        maximum: the largest value.
        missing: how many values of each feature are NaN or infinite (F,) int64; these are left out of the rest. A
            feature without any other value has NaN everywhere.
    """

    features: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    missing: np.ndarray

    @property
    def constant(self) -> tuple[str, ...]:
        """The features that have the same value at every step."""
        return tuple(name for name, same in zip(self.features, self.minimum == self.maximum, strict=True) if same)


def statistics(self: Sequences) -> Statistics:
    """The statistics of each feature over all real steps, summed in float64 without overflow.

    Returns:
        ``Statistics`` with ``mean``, ``std``, ``minimum``, ``maximum`` and ``missing`` of shape (F,).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> found = Sequences.from_list([[1.0, 3.0], [5.0]]).statistics()
        >>> found.mean.tolist(), found.minimum.tolist(), found.maximum.tolist()
        ([3.0], [1.0], [5.0])
    """
    width = self.feature_count
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    known = np.zeros(width, np.int64)
    for _, block in row_blocks(self.values):
        finite = np.isfinite(block)
        known += finite.sum(axis=0)
        whole = bool(finite.all())
        low = np.minimum(low, (block if whole else np.where(finite, block, np.inf)).min(axis=0))
        high = np.maximum(high, (block if whole else np.where(finite, block, -np.inf)).max(axis=0))
    there = known > 0
    low, high = np.where(there, low, np.nan), np.where(there, high, np.nan)
    # Dividing by a power of two is exact and keeps sums of huge values finite.
    scale = np.ldexp(1.0, np.frexp(np.fmax(np.fmax(np.abs(low), np.abs(high)), 0))[1] - 1)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    counts = np.where(there, known, 1)
    mean = _sum(self.values, scale, np.zeros(width), 1) / counts
    # The second pass also mends what rounding left in the first.
    mean = mean + _sum(self.values, scale, mean, 1) / counts
    std = np.sqrt(_sum(self.values, scale, mean, 2) / counts)
    same = low == high
    return Statistics(
        self.features,
        np.where(there, np.where(same, low, mean * scale), np.nan),
        np.where(there, np.where(same, 0.0, std * scale), np.nan),
        low,
        high,
        self.steps - known,
    )


def _sum(values: np.ndarray, scale: np.ndarray, centre: np.ndarray, power: int) -> np.ndarray:
    total = np.zeros(values.shape[1])
    for _, block in row_blocks(values):
        scaled = block / scale - centre
        if values.dtype.kind == "f":
            scaled[~np.isfinite(block)] = 0
        total += np.ones(len(scaled)) @ scaled if power == 1 else np.einsum("nf,nf->f", scaled, scaled)
    return total


def standardised(self: Sequences, statistics: Statistics | None = None) -> Sequences:
    """Every feature shifted and scaled to mean 0 and standard deviation 1; constant features become 0.

    Args:
        statistics: those to use, by default this collection's. Standardise validation and test data with the
            statistics of the training data.

    Returns:
        New sequences; floats keep their dtype, integers become float32.

    Raises:
        DataError: the statistics are of other features (SO203).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> train, test = Sequences.from_list([[1.0, 3.0]]), Sequences.from_list([[5.0]])
        >>> train.standardised().values[:, 0].tolist(), test.standardised(train.statistics()).values[:, 0].tolist()
        ([-1.0, 1.0], [3.0])
    """
    found = self.statistics() if statistics is None else statistics
    if found.features != self.features:
        raise DataError(
            "These statistics are of other features.",
            code="SO203",
            where="argument 'statistics'",
            got=f"statistics of {', '.join(map(repr, found.features[:8]))} for values {shape_of(self.values)}",
            wanted=f"statistics of {', '.join(map(repr, self.features[:8]))}",
            fix="use the statistics of sequences with the same features in the same order",
        )
    shift, divisor = np.nan_to_num(found.mean), np.where(found.std > 0, found.std, 1.0)
    new = np.empty(self.values.shape, self.dtype if self.dtype.kind == "f" else np.float32)
    for start, block in row_blocks(self.values):
        new[start : start + len(block)] = (block - shift) / divisor
    return self.derive(values=new)
