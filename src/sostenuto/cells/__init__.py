"""The equations of the recurrent cells, one short file per cell: read these first.

A cell's sums fall in two parts. ``project`` needs only the input, so a kernel may do it for all steps at once;
``advance`` needs the states, so it runs step by step. Gate and state order live here and nowhere else.
The functions take any Keras cell object, Keras's own or ours, for its settings, and its weights as tensors.
"""

from sostenuto.cells.gates import Weights, dropout_masks, weights_of
from sostenuto.cells.lookup import Equations, equations_of

__all__ = ["Equations", "Weights", "dropout_masks", "equations_of", "weights_of"]
