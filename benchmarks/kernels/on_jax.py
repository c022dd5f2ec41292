"""JAX: a scan written by hand, Keras on JAX, and ours on JAX; all jitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import on_keras
import ours
from offers import Offer, Ready
from workloads import PRODUCT, Problem, Workload

# (weights, inputs) -> outputs.
Forward = Callable[[list[Any], Any], Any]


def offers(kind: str, workload: Workload) -> Iterator[Offer]:
    """The contenders of this process."""
    if kind == "product":
        yield Offer("JAX", "peer", _product)
        return
    problem = Problem(workload)
    if kind == "step":
        yield Offer("JAX, jitted step", "peer", lambda: _one_step(problem))
        yield Offer("Keras JAX, jitted", "peer", lambda: _one_layer(problem))
        yield from on_keras.step_offers("JAX", problem)
        return
    training = kind == "training"
    stock, layer = on_keras.stock_layer, ours.layer
    yield Offer("lax.scan", "peer", lambda: _ready(problem, training, _scan(problem)))
    yield Offer("Keras JAX", "stock", lambda: _layer(problem, stock(workload.cell, workload.units), training))
    yield Offer("layer, JAX", "layer", lambda: _layer(problem, layer(workload.cell, workload.units), training))
    yield Offer("ours, JAX", "ours", lambda: _ours(problem, training))
    if workload.lengths is not None:
        yield Offer("ours, JAX, flat", "ours", lambda: _ours(problem, training, flat=True))
        yield Offer("ours, JAX, dense", "dense", lambda: _ours(Problem(on_keras.dense_twin(workload)), training))


def _ready(problem: Problem, training: bool, forward: Forward, flat: bool = False) -> Ready:
    arrays = (problem.flat_x, problem.flat_d) if flat else (problem.x, problem.d)
    x, given, *weights = (jnp.asarray(array) for array in (*arrays, *problem.weights))

    def forward_and_backward(weights: list[Any], x: Any, given: Any) -> Any:
        outputs, pull = jax.vjp(forward, weights, x)
        return outputs, pull(given)

    infer, train = jax.jit(forward), jax.jit(forward_and_backward)

    def call() -> Any:
        return jax.block_until_ready(train(weights, x, given) if training else infer(weights, x))

    def answer() -> dict[str, np.ndarray]:
        if not training:
            return problem.answer(np.asarray(call()))
        outputs, (d_weights, d_inputs) = call()
        return problem.answer(np.asarray(outputs), [np.asarray(array) for array in (d_inputs, *d_weights)])

    return Ready(call, answer, problem.workload.real_steps)


# --- by hand ----------------------------------------------------------------------------------------------------


def _advance(cell: str, weights: list[Any], x: Any, states: list[Any]) -> list[Any]:
    # One step of the plain equations; x times the kernel in the step, which XLA fuses better than ahead of the loop.
    kernel, recurrent_kernel, bias = weights
    h = states[0]
    if cell == "lstm":
        i, f, c, o = jnp.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
        new = jax.nn.sigmoid(f) * states[1] + jax.nn.sigmoid(i) * jnp.tanh(c)
        return [jax.nn.sigmoid(o) * jnp.tanh(new), new]
    if cell == "gru":
        of_x, of_h = (jnp.split(part, 3, axis=-1) for part in (x @ kernel + bias[0], h @ recurrent_kernel + bias[1]))
        z, r = (jax.nn.sigmoid(of_x[gate] + of_h[gate]) for gate in (0, 1))
        return [z * h + (1 - z) * jnp.tanh(of_x[2] + r * of_h[2])]
    return [jnp.tanh(x @ kernel + h @ recurrent_kernel + bias)]


def _scan(problem: Problem) -> Forward:
    workload = problem.workload
    mask = None if problem.mask is None else jnp.asarray(problem.mask.T[:, :, None])
    number = 2 if workload.cell == "lstm" else 1

    def forward(weights: list[Any], x: Any) -> Any:
        def step(states: list[Any], now: Any) -> tuple[list[Any], Any]:
            x, real = now
            after = _advance(workload.cell, weights, x, states)
            if real is not None:
                after = [jnp.where(real, new, old) for new, old in zip(after, states, strict=True)]
            return after, after[0]

        zeros = [jnp.zeros((workload.rows, workload.units), "float32")] * number
        return jnp.swapaxes(jax.lax.scan(step, zeros, (jnp.swapaxes(x, 0, 1), mask))[1], 0, 1)

    return forward


def _one_step(problem: Problem) -> Ready:
    weights = [jnp.asarray(array) for array in problem.weights]
    step = jax.jit(lambda weights, x, states: _advance("lstm", weights, x, states))

    def run(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        after = jax.block_until_ready(step(weights, x, states))
        return after[0], after

    return on_keras.carried(problem, run, jnp.asarray)


# --- Keras on JAX, and ours -------------------------------------------------------------------------------------


def _layer(problem: Problem, layer: Any, training: bool) -> Ready:
    on_keras.built(layer, problem)
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def forward(weights: list[Any], x: Any) -> Any:
        return layer.stateless_call(weights, fixed, x, mask=problem.mask)[0]

    return _ready(problem, training, forward)


def _one_layer(problem: Problem) -> Ready:
    import keras

    layer = on_keras.built(keras.layers.LSTM(problem.workload.units, return_state=True), problem)
    weights, fixed = ([v.value for v in group] for group in (layer.trainable_variables, layer.non_trainable_variables))

    @jax.jit
    def step(weights: list[Any], x: Any, states: list[Any]) -> Any:
        return layer.stateless_call(weights, fixed, x[:, None], initial_state=states)[0]

    def run(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        output, *after = jax.block_until_ready(step(weights, x, states))
        return output, after

    return on_keras.carried(problem, run, jnp.asarray)


def _ours(problem: Problem, training: bool, flat: bool = False) -> Ready:
    run = ours.recurrence("jax", problem, flat)
    return _ready(problem, training, lambda weights, x: run(x, *weights), flat)


def _product() -> Ready:
    random = np.random.default_rng(0)
    a, b = (jnp.asarray(random.normal(size=(PRODUCT, PRODUCT)).astype("float32")) for _ in range(2))
    multiply = jax.jit(jnp.matmul)
    return Ready(lambda: jax.block_until_ready(multiply(a, b)), lambda: {"outputs": np.asarray(multiply(a, b))[:64]})
