"""The native kernel in whatever TensorFlow may put around it, and its errors."""

from __future__ import annotations

import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.errors import ModelError, ShapeError
from sostenuto.kernels import native_module
from sostenuto.kernels.recurrence import CELLS

if keras.backend.backend() != "tensorflow":
    pytest.skip("these ops are TensorFlow's", allow_module_level=True)
if native_module.load() is None:
    pytest.skip(f"no native kernel: {native_module.why_not()}", allow_module_level=True)

import tensorflow as tf

from sostenuto.kernels.adapters import tensorflow as adapter
from tests.kernels.tensorflow_cases import Case, F, U, check_gradients, check_values, compare, eager

# --- inside of other constructs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_row_by_row_in_a_loop(cell):
    case = Case(cell)
    tensors = [tf.constant(array) for array in case.arrays]

    @tf.function(autograph=False)
    def learn(inputs, *others):
        weights, states = others[:3], others[3:]

        def one(row):
            outputs, last = adapter.recurrence(case.what, row[0][None], weights, [state[None] for state in row[1:]])
            return (outputs[0], *(state[0] for state in last))

        kinds = (tf.TensorSpec((None, U)), *[tf.TensorSpec((U,))] * case.what.states)
        with tf.GradientTape() as tape:
            tape.watch([inputs, *others])
            outputs, *last = tf.map_fn(one, (inputs, *states), fn_output_signature=kinds)
            loss = tf.reduce_sum(outputs * case.d_outputs)
            loss += tf.add_n([tf.reduce_sum(each * d) for each, d in zip(last, case.d_last, strict=True)])
        return outputs, tape.gradient(loss, [inputs, *others])

    outputs, found = learn(*tensors)
    wanted, _, gradients = case.expected()
    np.testing.assert_allclose(outputs, wanted, atol=2e-6, rtol=0)
    compare(found, gradients)


def test_several_threads_at_once():
    cases = [Case(cell, "gaps", seed=number) for number, cell in enumerate(CELLS)]
    errors = []

    def work(case):
        try:
            for _ in range(20):
                check_values(case)
                check_gradients(case)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_keras_model(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 7, F)).astype("float32"), rng.normal(size=(10, 7, 1)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)

    def trained(kernel):
        keras.utils.set_random_seed(1)
        rnn = so.GRU(4, return_sequences=True)
        lstm = so.LSTM(5, return_sequences=True)
        model = keras.Sequential([keras.Input((None, F)), lstm, rnn, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=2)
        model.fit(data, epochs=3, shuffle=False, verbose=0)
        assert rnn.explain().kernel.name == kernel
        return model.predict(data, verbose=0), model.evaluate(x, y, verbose=0), model.get_weights()

    natively = trained("native")
    monkeypatch.setattr(adapter, "native_reason", lambda: "switched off")
    portably = trained("portable")
    for found, wanted in zip(keras.tree.flatten(natively), keras.tree.flatten(portably), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


# --- where it declines --------------------------------------------------------------------------------------------


def test_xla_takes_the_portable_kernel():
    layer, x = so.LSTM(U), tf.random.normal((2, 4, F))
    wanted = layer(x)
    assert layer.explain().kernel.name == "native"
    reasons = []

    def inner(x):
        reasons.append(adapter.native_reason())
        return layer(x)

    compiled = tf.function(inner, jit_compile=True)
    np.testing.assert_allclose(compiled(x), wanted, atol=1e-6)
    nested = tf.function(inner)
    np.testing.assert_allclose(tf.function(lambda x: nested(x), jit_compile=True)(x), wanted, atol=1e-6)
    np.testing.assert_allclose(tf.function(lambda x: compiled(x))(x), wanted, atol=1e-6)
    assert all("XLA" in reason for reason in reasons)
    assert layer.explain().kernel.name == "portable"
    np.testing.assert_array_equal(tf.function(inner)(x), wanted)
    assert reasons[-1] is None


def test_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    adapter._no_way_in.cache_clear()
    try:
        assert adapter.native_reason() == "TensorFlow keeps its tensors on a GPU, not on the CPU"
    finally:
        adapter._no_way_in.cache_clear()


def test_a_tensorflow_that_lacks_something(monkeypatch):
    def lacking():
        raise RuntimeError("this TensorFlow lacks the C function TF_GetInput")

    monkeypatch.setattr(adapter, "registered_ops", lacking)
    adapter._no_way_in.cache_clear()
    try:
        assert "lacks the C function TF_GetInput" in adapter.native_reason()
        layer = so.LSTM(U)
        assert layer(np.ones((2, 3, F))).shape == (2, U)
        assert layer.explain().kernel.name == "portable"
    finally:
        adapter._no_way_in.cache_clear()


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(6))
def test_shapes_that_do_not_fit(number):
    case = Case("lstm")
    arrays = list(case.arrays)
    arrays[number] = np.concatenate([arrays[number]] * 2, axis=-1)
    with pytest.raises(ShapeError, match="SO107"):
        case.run(*map(tf.constant, arrays))
    with pytest.raises((ShapeError, tf.errors.InvalidArgumentError), match=r"wanted|The native"):
        tf.function(case.run, autograph=False)(*map(tf.constant, arrays))


def test_a_mask_and_offsets_that_do_not_fit():
    case = Case("lstm", "gaps")
    case.mask = case.mask[:, :-1]
    with pytest.raises(ShapeError, match="SO107"):
        case.run(*map(tf.constant, case.arrays))
    flat = Case("lstm", "flat")
    for offsets in ([0, 4, 4, 10, 12], [0, 5, 4, 10, 11], [1, 4, 4, 10, 11], [0, -4, 4, 10, 11]):
        flat.offsets = np.array(offsets)
        with pytest.raises(tf.errors.InvalidArgumentError, match="rise from 0 to the number of steps, 11"):
            flat.run(*map(tf.constant, flat.arrays))


def test_second_derivatives():
    case = Case("lstm")
    tensors = [tf.constant(array) for array in case.arrays]
    with tf.GradientTape() as outer:
        outer.watch(tensors)
        first = eager(case, tensors)[1]
    with pytest.raises(ModelError, match="SO609"):
        outer.gradient(first, tensors)

    @tf.function(autograph=False)
    def twice(*tensors):
        with tf.GradientTape() as outer:
            outer.watch(tensors)
            first = eager(case, list(tensors))[1]
        return outer.gradient(first, tensors[1])

    with pytest.raises(tf.errors.UnimplementedError, match="no second derivatives"):
        twice(*tensors)


OUTSIDE = """
import sys, numpy as np, tensorflow as tf
folder = sys.argv[1]
try:
    tf.saved_model.load(folder)
except Exception as error:
    print(str(error).partition(" in binary")[0])
from sostenuto.kernels import native_module
from sostenuto.kernels.adapters import tensorflow as adapter
try:
    native_module.load().register_tensorflow("/nowhere/libtensorflow_framework.so")
except RuntimeError as error:
    print(error)
print(adapter.native_reason())
loaded = tf.saved_model.load(folder)
print(np.array_equal(loaded.run(tf.ones((2, 4, 3))), np.load(folder + "/wanted.npy")))
"""


def test_a_saved_model_elsewhere(tmp_path):
    module = tf.Module()
    module.layer = so.LSTM(U)
    module.run = tf.function(lambda x: module.layer(x), input_signature=[tf.TensorSpec((None, None, F))])
    np.save(tmp_path / "wanted.npy", module.run(tf.ones((2, 4, F))))
    tf.saved_model.save(module, str(tmp_path))
    done = subprocess.run([sys.executable, "-c", OUTSIDE, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == [
        "Op type not registered 'SostenutoLast'",
        "TensorFlow's library is not loaded from /nowhere/libtensorflow_framework.so",
        "None",
        "True",
    ], done.stderr[-2000:]
