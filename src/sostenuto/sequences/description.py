"""What a collection holds, in words and numbers that fit a terminal, and as a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sostenuto.diagnosis import count, some
from sostenuto.errors import BackendError
from sostenuto.sequences.bucketing import best_bounds, padded_share
from sostenuto.sequences.checks import check_count
from sostenuto.sequences.statistics import Statistics

if TYPE_CHECKING:
    from sostenuto.sequences.collection import Sequences

BARS = 10
BAR_WIDTH = 40
SHOWN_FEATURES = 20


@dataclass(frozen=True, eq=False)
class Description:
    """What a collection holds; ``print`` it, or draw it with ``figure`` and ``save``.

    Args:
        title: the collection in one line.
        lengths: the number of steps of each sequence (S,).
        statistics: those of the values.
        bounds: the greatest length of each bucket.
        padding: the share of padding if all sequences were padded to the longest.
        bucketed_padding: the share of padding in buckets.
        targets: the targets in one line.
        weights: the weights in one line.
    """

    title: str
    lengths: np.ndarray
    statistics: Statistics
    bounds: np.ndarray
    padding: float
    bucketed_padding: float
    targets: str
    weights: str

    def __str__(self) -> str:
        lines = [self.title, "", *self._length_lines(), "", *self._padding_lines(), "", *self._feature_lines(), ""]
        lines += [f"targets   {self.targets}", f"weights   {self.weights}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _length_lines(self) -> list[str]:
        if not len(self.lengths):
            return ["lengths   no sequences"]
        low, lower, middle, upper, high = np.quantile(self.lengths, [0, 0.25, 0.5, 0.75, 1])
        line = f"lengths   {low:g} to {high:g}, half of them from {lower:g} to {upper:g}, median {middle:g}"
        empty = int((self.lengths == 0).sum())
        lines = [line + (f", {empty:,} without steps" if empty else "")]
        numbers, edges = histogram(self.lengths)
        labels = [f"{first} - {last}" if last > first else str(first) for first, last in edges]
        width, most = max(map(len, labels)), max(numbers)
        for label, number in zip(labels, numbers, strict=True):
            bar = "#" * -(-number * BAR_WIDTH // most)
            lines.append(f"          {label:>{width}}  {bar} {number:,}".rstrip())
        return lines

    def _padding_lines(self) -> list[str]:
        buckets = count(len(self.bounds), "bucket")
        return [
            f"padding   {self.padding:.1%} of one rectangle for all",
            f"          {self.bucketed_padding:.1%} in {buckets} of similar length",
        ]

    def _feature_lines(self) -> list[str]:
        found = self.statistics
        shown = found.features[:SHOWN_FEATURES]
        width = max([len(name) for name in shown], default=0)
        heads = "".join(f"{head:>12}" for head in ("least", "mean", "std", "greatest"))
        lines = [f"features  {'':<{width}}{heads}"]
        for position, name in enumerate(shown):
            row = (found.minimum, found.mean, found.std, found.maximum)
            lines.append(f"          {name:<{width}}" + "".join(f"{column[position]:>12.4g}" for column in row))
        if len(found.features) > len(shown):
            lines.append(f"          and {len(found.features) - len(shown):,} more")
        if found.constant:
            lines.append(f"constant  {some(found.constant, 8)}")
        gaps = [(name, number) for name, number in zip(found.features, found.missing.tolist(), strict=True) if number]
        words = ", ".join(f"{name!r} {number:,}" for name, number in gaps[:8])
        more = f" and {len(gaps) - 8:,} more features" if len(gaps) > 8 else ""
        lines.append(f"missing   {words + more if gaps else 'none'}")
        return lines

    def figure(self) -> Any:
        """The lengths as a matplotlib figure: their histogram, and real steps against padding.

        Raises:
            BackendError: matplotlib is not installed (SO702).
        """
        try:
            from sostenuto.sequences.picture import draw
        except ImportError:
            raise BackendError(
                "The picture needs matplotlib.",
                code="SO702",
                where="describe().figure() or .save()",
                got="no matplotlib in this environment",
                wanted="matplotlib 3.9 or newer",
                fix="pip install 'sostenuto[pictures]'; print(sequences.describe()) works without",
            ) from None
        return draw(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves the figure; the file name's ending says the format, for instance ``.png`` or ``.svg``.

        Args:
            path: the file to write.

        Raises:
            BackendError: matplotlib is not installed (SO702).
        """
        self.figure().savefig(path, dpi=150)


def describe(self: Sequences, buckets: int = 8) -> Description:
    """What this collection holds: lengths, padding, ranges of features, missing values, targets.

    Args:
        buckets: for how many buckets padding is counted.

    Returns:
        A ``Description`` that prints as text, with ``figure()`` and ``save(path)`` for a picture.

    Raises:
        DataError: ``buckets`` is not at least 1 (SO214).

    Example:
        >>> from sostenuto.sequences import Sequences
        >>> print(Sequences.from_list([[1.0, 2.0, 3.0], [4.0]], targets=[0, 1]).describe())
        Sequences(2 sequences, 4 steps, 1 feature, float64, targets per sequence)
        <BLANKLINE>
        lengths   1 to 3, half of them from 1.5 to 2.5, median 2
                  1  ######################################## 1
                  2   0
                  3  ######################################## 1
        <BLANKLINE>
        padding   33.3% of one rectangle for all
                  0.0% in 2 buckets of similar length
        <BLANKLINE>
        features                  least        mean         std    greatest
                  feature_0           1         2.5       1.118           4
        missing   none
        <BLANKLINE>
        targets   per sequence, whole numbers, 2 different: 0 (1), 1 (1)
        weights   none
    """
    bounds = best_bounds(self.lengths, check_count("buckets", buckets))
    return Description(
        title=repr(self),
        lengths=self.lengths,
        statistics=self.statistics(),
        bounds=bounds,
        padding=padded_share(self.lengths, self.lengths.max(initial=0, keepdims=True)),
        bucketed_padding=padded_share(self.lengths, bounds),
        targets=_beside(self.targets, self.targets_per),
        weights=_beside(self.weights, self.weights_per),
    )


def histogram(lengths: np.ndarray) -> tuple[list[int], list[tuple[int, int]]]:
    """How many lengths fall in each of at most ten equal ranges, and the first and last length of each range.

    Example:
        >>> histogram(np.array([1, 3, 3]))
        ([1, 0, 2], [(1, 1), (2, 2), (3, 3)])
    """
    low, high = int(lengths.min()), int(lengths.max())
    width = -(-(high - low + 1) // BARS)
    numbers = np.bincount((lengths - low) // width)
    edges = [(low + position * width, min(high, low + (position + 1) * width - 1)) for position in range(len(numbers))]
    return numbers.tolist(), edges


def _beside(array: np.ndarray | None, per: str | None) -> str:
    if array is None:
        return "none"
    text = f"per {per}" + (f", {' x '.join(map(str, array.shape[1:]))} each" if array.ndim > 1 else "")
    if not array.size:
        return text
    if array.dtype.kind in "iu":
        values, members = np.unique(array, return_counts=True)
        if len(values) <= 10:
            classes = ", ".join(f"{value} ({number:,})" for value, number in zip(values, members, strict=True))
            return f"{text}, whole numbers, {len(values)} different: {classes}"
    return (
        f"{text}, from {np.nanmin(array):.4g} to {np.nanmax(array):.4g}, mean {np.nanmean(array, dtype=np.float64):.4g}"
    )
