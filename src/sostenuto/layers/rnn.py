"""LSTM, GRU, SimpleRNN and RNN: Keras's layers with our checks, kernels and states."""

from __future__ import annotations

import keras

from sostenuto.layers.recurrent import Recurrent

_register = keras.saving.register_keras_serializable(package="sostenuto")


@_register
class LSTM(Recurrent, keras.layers.LSTM):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): ``keras.layers.LSTM`` without its traps.

    Takes the arguments of ``keras.layers.LSTM`` and has its weights: kernel (F, 4U), recurrent_kernel (U, 4U), bias
    (4U,), gates in the order i, f, c, o. The states are h and c, (B, U) each. Beyond Keras:

    - a mask of any pattern, or ``lengths``, on every backend; what stands at masked steps, NaN too, reaches neither
      result nor gradient;
    - ``go_backwards`` reverses the real steps of each row and leaves padding where it is;
    - ``stateful=True`` takes any batch size at every call: row i carries on from row i, new rows begin at zero, and
      rows that a smaller batch lacks keep their state;
    - input and states are checked before the backend sees them, and a state is never broadcast over rows.

    Args:
        units: U, the size of the output and of each state.
        args: see ``keras.layers.LSTM``.
        kwargs: see ``keras.layers.LSTM``.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> x = np.ones((2, 5, 3), "float32")
        >>> outputs, h, c = so.LSTM(4, return_sequences=True, return_state=True)(x, lengths=[5, 2])
        >>> tuple(outputs.shape), tuple(h.shape), tuple(c.shape)
        ((2, 5, 4), (2, 4), (2, 4))
    """


@_register
class GRU(Recurrent, keras.layers.GRU):
    """Gated recurrent unit (Cho et al. 2014): ``keras.layers.GRU`` without its traps.

    Takes the arguments of ``keras.layers.GRU`` and has its weights: kernel (F, 3U), recurrent_kernel (U, 3U), bias
    (2, 3U), or (3U,) with ``reset_after=False``; gates in the order z, r, h. The state is h, (B, U). Beyond Keras: see
    ``LSTM``.

    Args:
        units: U, the size of the output and of the state.
        args: see ``keras.layers.GRU``.
        kwargs: see ``keras.layers.GRU``.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> tuple(so.GRU(4)(np.ones((2, 5, 3), "float32")).shape)
        (2, 4)
    """


@_register
class SimpleRNN(Recurrent, keras.layers.SimpleRNN):
    """Simple recurrent network (Elman 1990): ``keras.layers.SimpleRNN`` without its traps.

    Takes the arguments of ``keras.layers.SimpleRNN`` and has its weights: kernel (F, U), recurrent_kernel (U, U), bias
    (U,). The state is h, (B, U). Beyond Keras: see ``LSTM``.

    Args:
        units: U, the size of the output and of the state.
        args: see ``keras.layers.SimpleRNN``.
        kwargs: see ``keras.layers.SimpleRNN``.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> tuple(so.SimpleRNN(4, return_sequences=True)(np.ones((2, 5, 3), "float32")).shape)
        (2, 5, 4)
    """


@_register
class RNN(Recurrent):
    """Runs any cell over sequences: ``keras.layers.RNN`` without its traps.

    Args:
        cell: a cell, or a list of cells that are stacked: anything with ``call(inputs, states)``, ``state_size`` and,
            if it differs from the first state's, ``output_size``.
        args: see ``keras.layers.RNN``.
        kwargs: see ``keras.layers.RNN``.

    Example:
        >>> import numpy as np, sostenuto as so
        >>> layer = so.RNN([so.GRUCell(3), so.LSTMCell(4)])
        >>> tuple(layer(np.ones((2, 5, 3), "float32")).shape), layer.state_names
        ((2, 4), ['0.h', '1.h', '1.c'])
    """

    _exact_rank = False
