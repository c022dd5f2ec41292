"""One layer's part in the flow of a batch, and its axes by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sostenuto.diagnosis.views import is_recurrent, kinds
from sostenuto.diagnosis.wording import AXES


@dataclass(frozen=True)
class Passage:
    """One layer's part in the flow of a batch.

    Attributes:
        layer: class and name, after the names of the models it lies in: "encoder / LSTM 'lstm'".
        reads: the shapes it was given.
        axes: their axes in letters of the legend ("BTF"), "?" where an axis has no name.
        returns: the shapes it returned.
        axes_returned: their axes.
        mask: what it did with the mask: "none", "begins here", "used", "passed on", "ends here", "lost here".
        real: real steps of the batch where a mask came along, or None.
        steps: all steps of the batch where a mask came along, or None.
        states: where its states come from and go to; "" for layers without.
        sources: which layer returned each of what it reads; empty where that was not followed.
    """

    layer: str
    reads: tuple[tuple[int | None, ...], ...]
    axes: tuple[str, ...]
    returns: tuple[tuple[int | None, ...], ...]
    axes_returned: tuple[str, ...]
    mask: str = "none"
    real: int | None = None
    steps: int | None = None
    states: str = ""
    sources: tuple[str, ...] = ()


def axes_after(layer: Any, before: str, tensor: Any) -> str:
    """The letters of the axes of what a layer returned.

    Args:
        layer: of Keras.
        before: the letters of what it read.
        tensor: what it returned.
    """
    rank = len(tensor.shape)
    last = "U" if is_recurrent(layer) or "Dense" in kinds(layer) or before.endswith("U") else "F"
    if rank == 2 and before == "BT" and not is_recurrent(layer) and "Embedding" not in kinds(layer):
        return "BT"
    return {0: "", 1: "B", 2: "B" + last, 3: "BT" + last}.get(rank, "B" + "?" * (rank - 2) + last)


def worded(shapes: Sequence[tuple[int | None, ...]], axes: Sequence[str]) -> str:
    """Shapes with the names of their axes, as one text.

    Example:
        >>> worded([(2, 4), (2, 4)], ["BU", "BU"])
        '2 x (batch 2, units 4)'
    """
    words = []
    for shape, letters in zip(shapes, axes, strict=True):
        parts = [
            f"{AXES.get(letter, '')} {'?' if size is None else size}".strip()
            for letter, size in zip(letters, shape, strict=False)
        ]
        words.append(f"({', '.join(parts)})")
    # An LSTM's states have one shape; three times the same says less than once.
    short: list[str] = []
    for word in words:
        if short and short[-1].rpartition(" x ")[2] == word:
            number = int(short[-1].partition(" x ")[0]) + 1 if " x " in short[-1] else 2
            short[-1] = f"{number} x {word}"
        else:
            short.append(word)
    return ", ".join(short)
