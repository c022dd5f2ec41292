"""What a model says of whole sequences, by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sostenuto.diagnosis import count, nearest, some
from sostenuto.errors import UnknownIdError


class Predictions(Mapping[Any, np.ndarray]):
    """One output per sequence, by id and as one array.

    Args:
        ids: the ids (S,), in the order of the data.
        values: the outputs (S, ...).

    Example:
        >>> said = Predictions(["a", "b"], np.array([[0.2, 0.8], [0.9, 0.1]]))
        >>> said["b"].tolist(), np.argmax(said, axis=-1).tolist(), list(said)
        ([0.9, 0.1], [1, 0], ['a', 'b'])
    """

    def __init__(self, ids: Any, values: Any) -> None:
        self.ids = tuple(ids)
        self.array = np.asarray(values)
        self._positions = {name: position for position, name in enumerate(self.ids)}

    def __getitem__(self, name: Any) -> np.ndarray:
        try:
            return self.array[self._positions[name]]
        except (KeyError, TypeError):
            near = nearest(str(name), self.ids)
            raise UnknownIdError(
                f"There is no prediction for {name!r}.",
                code="SO212",
                got=f"{name!r} ({type(name).__name__})",
                wanted=f"one of the {count(len(self), 'id')}: {some(self.ids, 3)}",
                fix=f"near ones: {', '.join(near)}" if near else "predictions.ids lists them",
            ) from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Predictions({count(len(self), 'sequence')}, each {self.array.shape[1:]} {self.array.dtype})"
