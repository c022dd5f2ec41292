"""All contenders of a workload must say the same before any of them is timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rounds import Contender

TOLERANCE = 1e-4


def compare(answers: Sequence[tuple[Contender, Path]]) -> float:
    """Compares answers, and marks contenders that differ from the others.

    Args:
        answers: contenders and the files of their answers; a contender whose answer differs gets a ``why``.

    Returns:
        The largest difference among those that agree: of outputs absolute, of gradients relative to the largest.
    """
    loaded = []
    for contender, path in answers:
        with np.load(path) as file:
            loaded.append((contender, dict(file)))
        path.unlink()
    largest = 0.0
    for name in loaded[0][1] if loaded else ():
        shapes = [answer[name].shape for _, answer in loaded]
        usual = max(shapes, key=shapes.count)
        fitting = []
        for contender, answer in loaded:
            if answer[name].shape != usual:
                contender.why = f"wrong: {name} {answer[name].shape}, others {usual}"
            else:
                fitting.append((contender, answer[name]))
        # Where not all agree the middle decides, so that one that errs is found whoever it is.
        first = fitting[0][1]
        scale = max(1.0, float(np.nanmax(np.abs(first))))
        if all(np.abs(value - first).max() <= TOLERANCE * scale for _, value in fitting):
            middle = first
        else:
            middle = np.nanmedian(np.stack([value for _, value in fitting]), axis=0)
            scale = max(1.0, float(np.nanmax(np.abs(middle))))
        for contender, value in fitting:
            difference = float(np.abs(value - middle).max()) / scale
            if not difference <= TOLERANCE:
                contender.why = f"wrong: {name} differs by {difference:.1e}"
            elif contender.why is None:
                largest = max(largest, difference)
    return largest
