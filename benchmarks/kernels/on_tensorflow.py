"""TensorFlow: Keras in a tf.function, with and without XLA, and ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(os.environ["OMP_NUM_THREADS"]))
tf.config.threading.set_inter_op_parallelism_threads(int(os.environ["OMP_NUM_THREADS"]))

import on_keras  # noqa: E402
import ours  # noqa: E402
from offers import Offer, Ready  # noqa: E402
from workloads import PRODUCT, Problem, Workload  # noqa: E402


def offers(kind: str, workload: Workload) -> Iterator[Offer]:
    """The contenders of this process."""
    if kind == "product":
        yield Offer("TensorFlow", "peer", _product)
        return
    problem = Problem(workload)
    if kind == "step":
        yield Offer("Keras TensorFlow, tf.function", "peer", lambda: _one_layer(problem, xla=False))
        yield Offer("Keras TensorFlow, XLA", "peer", lambda: _one_layer(problem, xla=True))
        yield from on_keras.step_offers("TensorFlow", problem)
        return
    training = kind == "training"
    stock, layer = on_keras.stock_layer, ours.layer
    sizes = workload.cell, workload.units
    yield Offer("Keras TensorFlow", "stock", lambda: _layer(problem, stock(*sizes), training, xla=False))
    yield Offer("Keras TensorFlow, XLA", "stock", lambda: _layer(problem, stock(*sizes), training, xla=True))
    yield Offer("layer, TensorFlow", "layer", lambda: _layer(problem, layer(*sizes), training, xla=False))
    yield Offer("layer, TensorFlow, XLA", "layer", lambda: _layer(problem, layer(*sizes), training, xla=True))
    yield Offer("ours, TensorFlow", "ours", lambda: _ours(problem, training))
    if workload.lengths is not None:
        yield Offer("ours, TensorFlow, flat", "ours", lambda: _ours(problem, training, flat=True))
        twin = on_keras.dense_twin(workload)
        yield Offer("ours, TensorFlow, dense", "dense", lambda: _ours(Problem(twin), training))


def _ready(
    problem: Problem,
    training: bool,
    forward: Callable[[Any], Any],
    weights: list[Any],
    flat: bool = False,
    xla: bool = False,
) -> Ready:
    x, given = (problem.flat_x, problem.flat_d) if flat else (problem.x, problem.d)
    x, given = tf.constant(x), tf.constant(given)

    def forward_and_backward(x: Any, given: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([x, *weights])
            outputs = forward(x)
        return outputs, tape.gradient(outputs, [x, *weights], output_gradients=given)

    infer = tf.function(forward, jit_compile=xla, autograph=False)
    train = tf.function(forward_and_backward, jit_compile=xla, autograph=False)

    def call() -> Any:
        return train(x, given) if training else infer(x)

    def answer() -> dict[str, np.ndarray]:
        if not training:
            return problem.answer(call().numpy())
        outputs, gradients = call()
        return problem.answer(outputs.numpy(), [gradient.numpy() for gradient in gradients])

    return Ready(call, answer, problem.workload.real_steps)


def _layer(problem: Problem, layer: Any, training: bool, xla: bool) -> Ready:
    on_keras.built(layer, problem)
    mask = None if problem.mask is None else tf.constant(problem.mask)
    weights = [variable.value for variable in layer.trainable_variables]
    return _ready(problem, training, lambda x: layer(x, mask=mask), weights, xla=xla)


def _one_layer(problem: Problem, xla: bool) -> Ready:
    import keras

    layer = on_keras.built(keras.layers.LSTM(problem.workload.units, return_state=True), problem)

    @tf.function(jit_compile=xla, autograph=False)
    def step(x: Any, states: list[Any]) -> Any:
        return layer(x[:, None], initial_state=states)

    def run(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        output, *after = step(x, states)
        return output, after

    return on_keras.carried(problem, run, tf.constant)


def _ours(problem: Problem, training: bool, flat: bool = False) -> Ready:
    run = ours.recurrence("tensorflow", problem, flat)
    weights = [tf.constant(array) for array in problem.weights]
    return _ready(problem, training, lambda x: run(x, *weights), weights, flat)


def _product() -> Ready:
    random = np.random.default_rng(0)
    a, b = (tf.constant(random.normal(size=(PRODUCT, PRODUCT)).astype("float32")) for _ in range(2))
    return Ready(lambda: tf.matmul(a, b), lambda: {"outputs": tf.matmul(a, b).numpy()[:64]})
