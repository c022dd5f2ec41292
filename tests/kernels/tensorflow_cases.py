"""A call of the native kernel on TensorFlow, beside what the reference makes of it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from sostenuto.kernels import reference
from sostenuto.kernels.adapters import tensorflow as adapter
from sostenuto.kernels.recurrence import Recurrence

F, U = 3, 5
REFERENCE = {
    "lstm": reference.LSTM(),
    "gru_reset_after": reference.GRU(),
    "gru_reset_before": reference.GRU(reset_after=False),
    "simple_rnn": reference.SimpleRNN(),
}
# Lengths 4, 0, 6, 1 of 6; gaps, the last row all masked; None: all steps real; lists of lengths: flat.
LAYOUTS = {
    "dense": None,
    "prefix": np.arange(6) < np.array([[4], [0], [6], [1]]),
    "gaps": np.array([[1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 1, 0], [1, 1, 1, 0, 0, 1], [0] * 6], bool),
    "flat": [4, 0, 6, 1],
}


class Case:
    """A call of the native kernel, weights for a loss, and what the reference makes of both."""

    def __init__(self, cell, layout="dense", *, reverse=False, bias=True, dropout=False, all_outputs=True, seed=0):
        rng = np.random.default_rng(seed)

        def numbers(*shape):
            return rng.normal(size=shape).astype(np.float32)

        self.what = Recurrence(cell, U, reverse=reverse, all_outputs=all_outputs)
        self.flat = layout == "flat"
        self.lengths = np.array(LAYOUTS["flat"])
        rows, steps, size = 4, 6, self.what.gates * U
        mask = None if self.flat else LAYOUTS[layout]
        self.inputs = numbers(self.lengths.sum(), F) if self.flat else numbers(rows, steps, F)
        self.weights = [numbers(F, size), numbers(U, size) / 2, numbers(*self.what.bias_shape) if bias else None]
        self.states = [numbers(rows, U) for _ in range(self.what.states)]
        self.dropout = rng.choice([0.0, 2.0], (rows, U)).astype(np.float32) if dropout else None
        self.mask = mask
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)]) if self.flat else None
        self.d_outputs = numbers(*self.inputs.shape[:-1], U)
        self.d_last = [numbers(rows, U) for _ in range(self.what.states)]

    @property
    def arrays(self):
        return [self.inputs, *(w for w in self.weights if w is not None), *self.states]

    def run(self, inputs, *others):
        """The adapter, with tensors in the order of ``arrays``."""
        count = len(others) - self.what.states
        weights, states = list(others[:count]), list(others[count:])
        return adapter.recurrence(
            self.what,
            inputs,
            weights if len(weights) == 3 else [*weights, None],
            states,
            mask=None if self.mask is None else tf.constant(self.mask),
            offsets=None if self.offsets is None else tf.constant(self.offsets, tf.int64),
            recurrent_dropout=None if self.dropout is None else tf.constant(self.dropout),
        )

    def loss(self, *tensors):
        outputs, last = self.run(*tensors)
        loss = tf.add_n([tf.reduce_sum(each * d) for each, d in zip(last, self.d_last, strict=True)])
        return loss if outputs is None else loss + tf.reduce_sum(outputs * self.d_outputs)

    def expected(self):
        """Outputs, last states, and the gradients of ``arrays``, in float64, each row alone."""
        what, cell = self.what, REFERENCE[self.what.cell]
        kernel, recurrent, *bias = (np.float64(w) for w in self.weights if w is not None)
        outputs, d_inputs = np.zeros(self.d_outputs.shape), np.zeros(self.inputs.shape)
        last, d_states = [np.zeros((4, U)) for _ in self.states], [np.zeros((4, U)) for _ in self.states]
        d_weights = [np.zeros(w.shape) for w in (kernel, recurrent, *bias)]
        for row in range(4):
            place = slice(*self.offsets[row : row + 2]) if self.flat else row
            x, d_out = np.float64(self.inputs[place]), np.float64(self.d_outputs[place]) * what.all_outputs
            order = np.flatnonzero(np.ones(len(x), bool) if self.mask is None else self.mask[row])
            order = order[::-1] if what.reverse else order
            # h * dropout, times the recurrent kernel, is h times the kernel whose rows are scaled.
            scale = np.ones((U, 1)) if self.dropout is None else np.float64(self.dropout[row])[:, None]
            first = [np.float64(state[row]) for state in self.states]
            out, final, tape = reference.forward(cell, x[order], [kernel, recurrent * scale, *bias], first)
            # A masked step repeats the real one before it in the order of the run, or the first h.
            source = [sum((t >= order) if not what.reverse else (t <= order)) - 1 for t in range(len(x))]
            d_ran = np.zeros((len(order), U))
            for t, number in enumerate(source):
                outputs[place][t] = first[0] if number < 0 else out[number]
                if number < 0:
                    d_states[0][row] += d_out[t]
                else:
                    d_ran[number] += d_out[t]
            d_x, of_weights, d_first = reference.backward(tape, d_ran, [np.float64(d[row]) for d in self.d_last])
            d_inputs[place][order] = d_x
            for total, part in zip(d_weights, (of_weights[0], of_weights[1] * scale, *of_weights[2:]), strict=True):
                total += part
            for number, d in enumerate(d_first):
                last[number][row] = final[number]
                d_states[number][row] += d
        return outputs, last, [d_inputs, *d_weights, *d_states]


def eager(case, tensors):
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = case.loss(*tensors)
    return tape.gradient(loss, tensors)


def in_a_graph(case, tensors):
    return tf.function(lambda *inner: eager(case, list(inner)), autograph=False)(*tensors)


def around_a_graph(case, tensors):
    loss_of = tf.function(case.loss, autograph=False)
    loss_of(*tensors)  # traced without a tape: the forward run in the graph saves nothing
    with tf.GradientTape(persistent=True) as tape:  # persistent: TensorFlow prepares for second derivatives
        tape.watch(tensors)
        loss = loss_of(*tensors)
    return tape.gradient(loss, tensors)


def check_values(case, run=None):
    outputs, last = (run or case.run)(*map(tf.constant, case.arrays))
    wanted, wanted_last, _ = case.expected()
    if case.what.all_outputs:
        np.testing.assert_allclose(outputs, wanted, atol=2e-6, rtol=0)
    else:
        assert outputs is None
    for found, of_state in zip(last, wanted_last, strict=True):
        np.testing.assert_allclose(found, of_state, atol=2e-6, rtol=0)


def check_gradients(case, way=eager):
    compare(way(case, [tf.constant(array) for array in case.arrays]), case.expected()[2])


def compare(found, wanted):
    """Gradients with those of the reference, to 2e-5 of the largest number of each."""
    for gradient, right in zip(found, wanted, strict=True):
        assert gradient.shape == right.shape
        np.testing.assert_allclose(gradient, right, atol=2e-5 * np.abs(right).max() + 1e-6, rtol=0)
