"""Which equations a cell object stands for."""

from __future__ import annotations

from typing import Any, Protocol

import keras

from sostenuto.cells import gru, lstm, simple_rnn
from sostenuto.cells.gates import Weights


class Equations(Protocol):
    """What a file of this folder offers."""

    GATES: tuple[str, ...]
    STATES: tuple[str, ...]

    def project(self, cell: Any, weights: Weights, inputs: Any, dropout_masks: Any = None) -> Any:
        """The share of the input in all gates."""

    def advance(
        self, cell: Any, weights: Weights, projected: Any, states: list[Any], dropout_masks: Any = None
    ) -> list[Any]:
        """One step; the first of the new states is the output."""


_BY_CLASS: dict[Any, Any] = {
    keras.layers.LSTMCell: lstm,
    keras.layers.GRUCell: gru,
    keras.layers.SimpleRNNCell: simple_rnn,
}


def equations_of(cell: Any) -> Equations | None:
    """The equations of a cell, or None for a cell with a ``call`` of its own.

    Args:
        cell: any cell object; an instance of Keras's LSTMCell, GRUCell or SimpleRNNCell, or of a subclass that
            declares ``computes_like_keras = True`` or leaves ``call`` alone.

    Example:
        >>> import keras
        >>> equations_of(keras.layers.GRUCell(4)).STATES
        ('h',)
        >>> equations_of(keras.layers.StackedRNNCells([keras.layers.GRUCell(4)])) is None
        True
    """
    for stock, equations in _BY_CLASS.items():
        if isinstance(cell, stock):
            same_sums = type(cell).call is stock.call or getattr(type(cell).call, "computes_like_keras", False)
            return equations if same_sums else None
    return None
