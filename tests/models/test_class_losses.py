"""The faster cross-entropy of classes: values and gradients of the definition, and where it steps back."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest
from keras import losses

import sostenuto as so
from sostenuto.kernels import native_module
from sostenuto.models.class_losses import FASTER_ON, SparseCategoricalCrossentropy, faster

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(12, 5)).astype("float32") * 4
CLASSES = RNG.integers(0, 5, 12)
STEPS = RNG.normal(size=(7, 2)).astype("float32")
WEIGHTS = RNG.uniform(size=12).astype("float32")


def by_definition(logits, classes):
    """Losses of rows and their gradients, in float64."""
    logits = logits.astype("float64")
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    rows = np.arange(len(classes))
    return -np.log(shares[rows, classes]), shares - np.eye(logits.shape[1])[classes]


@pytest.fixture
def native_runs(monkeypatch):
    """The numbers of native runs of the loss, one for each call."""
    if keras.backend.backend() not in FASTER_ON or native_module.load() is None:
        return None
    module = importlib.import_module(f"sostenuto.kernels.adapters.{keras.backend.backend()}_losses")
    real, runs = module.cross_entropy, []

    def counted(*arguments):
        found = real(*arguments)
        runs.append(found is not None)
        return found

    monkeypatch.setattr(module, "cross_entropy", counted)
    return runs


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
@pytest.mark.parametrize("shape", [(12,), (12, 1), (3, 4), (3, 4, 1), (2, 2, 3)])
def test_values_are_those_of_the_definition(dtype, shape, native_runs):
    loss = SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    axes = shape[:-1] if shape[-1] == 1 else shape
    found = keras.ops.convert_to_numpy(loss(CLASSES.astype(dtype).reshape(shape), LOGITS.reshape(*axes, 5)))
    np.testing.assert_allclose(found, by_definition(LOGITS, CLASSES)[0].reshape(axes), rtol=2e-6)
    assert native_runs in (None, [True])


def test_probabilities_are_left_to_keras(native_runs):
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    found = keras.ops.convert_to_numpy(SparseCategoricalCrossentropy(reduction="none")(CLASSES, shares))
    np.testing.assert_allclose(found, by_definition(LOGITS, CLASSES)[0], rtol=1e-4)
    assert native_runs in (None, [])


@pytest.mark.parametrize(
    ("classes", "logits"),
    [(CLASSES[:5], LOGITS), (CLASSES.reshape(4, 3), LOGITS.reshape(3, 4, 5))],
    ids=["fewer", "axes the other way round"],
)
def test_targets_of_another_shape_are_refused_as_keras_does(classes, logits):
    with pytest.raises((ValueError, TypeError, RuntimeError)) as ours:
        SparseCategoricalCrossentropy(from_logits=True)(classes, logits)
    with pytest.raises(type(ours.value)) as stock:
        losses.SparseCategoricalCrossentropy(from_logits=True)(classes, logits)
    assert str(ours.value) == str(stock.value)


def test_training_takes_it_and_learns_the_same(native_runs):
    def trained(loss):
        keras.utils.set_random_seed(1)
        model = so.SequenceModel([so.GRU(3, return_sequences=True), keras.layers.Dense(5)])
        model.compile(keras.optimizers.SGD(0.5), loss)
        words = [STEPS[:length] for length in (4, 7, 2)]
        ids = [np.arange(length) % 5 for length in (4, 7, 2)]
        history = model.fit(words, ids, epochs=3, verbose=0, shuffle=False)
        return [*map(float, history.history["loss"])], model.get_weights()

    class Stock(losses.SparseCategoricalCrossentropy):
        """Another type, which is left as it is."""

    losses_of_ours, ours = trained(losses.SparseCategoricalCrossentropy(from_logits=True))
    assert native_runs is None or native_runs[-1]
    losses_of_stock, stock = trained(Stock(from_logits=True))
    np.testing.assert_allclose(losses_of_ours, losses_of_stock, rtol=1e-5)
    for one, other in zip(ours, stock, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_weights_and_masks_count_as_ever():
    ours = SparseCategoricalCrossentropy(from_logits=True)
    stock = losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(
        float(ours(CLASSES, LOGITS, sample_weight=WEIGHTS)),
        float(stock(CLASSES, LOGITS, sample_weight=WEIGHTS)),
        rtol=1e-6,
    )


def test_it_takes_the_place_of_keras_own_only():
    here = keras.backend.backend() in FASTER_ON
    stock = losses.SparseCategoricalCrossentropy(from_logits=True, name="n")
    ours = faster(stock)
    assert (type(ours) is SparseCategoricalCrossentropy) == here
    assert ours.get_config() == stock.get_config()
    for other in (
        losses.SparseCategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(from_logits=True, axis=1),
        losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        losses.CategoricalCrossentropy(from_logits=True),
        "sparse_categorical_crossentropy",
        None,
    ):
        assert faster(other) is other


@pytest.mark.parametrize("targets", [np.eye(5)[:2], [7, 1]])
def test_what_the_output_has_no_place_for_is_refused_before_it_runs(targets):
    model = so.SequenceModel([so.GRU(3), keras.layers.Dense(5)])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(so.TargetError, match="SO402"):
        model.fit([STEPS, STEPS[:3]], targets, verbose=0)


def test_saved_models_have_it_again(tmp_path):
    model = so.SequenceModel([so.GRU(3), keras.layers.Dense(5)])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True, name="n"))
    model.fit([STEPS, STEPS[:3]], [1, 2], verbose=0)
    model.save(tmp_path / "model.keras")
    loss = keras.saving.load_model(tmp_path / "model.keras").loss
    assert type(loss) is type(model.loss)
    assert (loss.name, loss.from_logits) == ("n", True)


def gradients_of(loss, logits, *more):
    """The gradient of the weighted sum of losses, and that of the sum of its squares."""
    if keras.backend.backend() == "jax":
        import jax

        def first(logits):
            return jax.grad(lambda logits: (loss(logits, *more) * WEIGHTS).sum())(logits)

        return first(logits), jax.grad(lambda logits: (first(logits) ** 2).sum())(logits)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def both(logits):
            with tf.GradientTape() as outer:
                outer.watch(logits)
                with tf.GradientTape() as inner:
                    inner.watch(logits)
                    sums = tf.reduce_sum(loss(logits, *more) * WEIGHTS)
                first = inner.gradient(sums, logits)
                squares = tf.reduce_sum(first**2)
            return first, outer.gradient(squares, logits)

        eager, graph = both(tf.constant(logits)), tf.function(both)(tf.constant(logits))
        for one, other in zip(eager, graph, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
        return eager
    import torch

    logits = torch.tensor(logits, requires_grad=True)
    (first,) = torch.autograd.grad((loss(logits, *more) * torch.tensor(WEIGHTS)).sum(), logits, create_graph=True)
    (plain,) = torch.autograd.grad((loss(logits, *more) * torch.tensor(WEIGHTS)).sum(), logits)
    np.testing.assert_allclose(first.detach(), plain, atol=1e-6)
    return plain, torch.autograd.grad((first**2).sum(), logits)[0]


@pytest.mark.skipif(
    keras.backend.backend() not in FASTER_ON or native_module.load() is None, reason="Keras's own loss runs here"
)
class TestNative:
    @pytest.fixture
    def cross_entropy(self):
        return importlib.import_module(f"sostenuto.kernels.adapters.{keras.backend.backend()}_losses").cross_entropy

    def test_gradients_are_those_of_the_definition(self, cross_entropy):
        classes = keras.ops.convert_to_tensor(CLASSES)
        first, second = gradients_of(cross_entropy, LOGITS, classes)
        shares = by_definition(LOGITS, CLASSES)[1] + np.eye(5)[CLASSES]
        gradient = by_definition(LOGITS, CLASSES)[1] * WEIGHTS[:, None]
        np.testing.assert_allclose(first, gradient, atol=1e-6)
        # The Jacobian of the softmax.
        back = 2 * gradient * WEIGHTS[:, None]
        np.testing.assert_allclose(second, shares * (back - (shares * back).sum(1, keepdims=True)), atol=1e-6)

    def test_rows_that_do_not_count_get_no_gradient_whatever_they_hold(self, cross_entropy, monkeypatch):
        logits, weights = LOGITS.copy(), WEIGHTS.copy()
        logits[3], weights[3] = np.nan, 0
        monkeypatch.setitem(globals(), "WEIGHTS", weights)
        if keras.backend.backend() == "jax":
            import jax

            found = jax.grad(lambda logits: (cross_entropy(logits, CLASSES) * weights).sum())(logits)
        elif keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            held = tf.Variable(logits)
            with tf.GradientTape() as tape:
                sums = tf.reduce_sum(cross_entropy(tf.identity(held), tf.constant(CLASSES)) * weights)
            found = tape.gradient(sums, held)
        else:
            import torch

            held = torch.tensor(logits, requires_grad=True)
            (cross_entropy(held, torch.tensor(CLASSES)) * torch.tensor(weights)).sum().backward()
            found = held.grad
        gradient = by_definition(logits, CLASSES)[1] * weights[:, None]
        gradient[3] = 0
        np.testing.assert_allclose(found, gradient, atol=1e-6)

    @pytest.mark.parametrize(
        ("logits", "classes"),
        [
            (LOGITS[None], CLASSES),
            (LOGITS, CLASSES[:3]),
            (LOGITS[:0], CLASSES[:0]),
            (LOGITS[:, :0], CLASSES),
            (LOGITS.astype("float16"), CLASSES),
        ],
    )
    def test_other_shapes_and_numbers_are_left_to_the_backend(self, cross_entropy, logits, classes):
        logits, classes = keras.ops.convert_to_tensor(logits), keras.ops.convert_to_tensor(classes)
        assert cross_entropy(logits, classes) is None

    @pytest.mark.parametrize("last", [-100, 5, np.nan])
    def test_classes_that_there_are_not(self, cross_entropy, last):
        classes = np.array([*CLASSES[:-1], last])
        if keras.backend.backend() == "torch":  # which leaves class -100 out, and has errors of its own for others
            import torch

            assert cross_entropy(torch.tensor(LOGITS), torch.tensor(classes)) is None
            return
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            labels = np.nan_to_num(classes, nan=-1).astype("int64")
            with pytest.raises(tf.errors.InvalidArgumentError, match=f"label value of {labels[-1]} .*outside"):
                cross_entropy(tf.constant(LOGITS), tf.constant(labels))
            return
        found = np.asarray(cross_entropy(LOGITS, np.nan_to_num(classes, nan=-1)))
        np.testing.assert_allclose(found[:-1], by_definition(LOGITS, CLASSES)[0][:-1], rtol=2e-6)
        assert found[-1] == 0

    def test_steps_of_a_program_that_jax_maps(self, cross_entropy):
        if keras.backend.backend() != "jax":
            pytest.skip("vmap is JAX's")
        import jax

        found = jax.vmap(cross_entropy)(LOGITS.reshape(3, 4, 5), CLASSES.reshape(3, 4))
        np.testing.assert_allclose(found, by_definition(LOGITS, CLASSES)[0].reshape(3, 4), rtol=2e-6)

    def test_graphs_of_tensorflow(self, native_runs):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("graphs that leave sizes open are TensorFlow's")
        import tensorflow as tf

        loss = SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        wanted = by_definition(LOGITS, CLASSES)[0].reshape(3, 4)
        logits, classes = tf.constant(LOGITS.reshape(3, 4, 5)), tf.constant(CLASSES.reshape(3, 4))
        # One size left open is the batch; of two, targets might be turned round unseen, and TensorFlow looks at that.
        for open_sizes, natively in (((None, 4), True), ((None, None), False)):
            signature = [tf.TensorSpec(open_sizes, tf.int64), tf.TensorSpec((*open_sizes, 5), tf.float32)]
            run = tf.function(loss.__call__, input_signature=signature)
            np.testing.assert_allclose(run(classes, logits), wanted, rtol=2e-6)
            assert native_runs == ([True] if natively else [])
            native_runs.clear()
        np.testing.assert_allclose(tf.function(loss.__call__, jit_compile=True)(classes, logits), wanted, rtol=2e-6)
        assert True not in native_runs

    @pytest.mark.parametrize("known", [0, 3])
    def test_sizes_that_only_a_run_of_tensorflow_shows(self, cross_entropy, known):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("graphs that leave sizes open are TensorFlow's")
        import tensorflow as tf

        signature = [tf.TensorSpec((None, 5), tf.float32), tf.TensorSpec((None,), tf.int64)]
        run = tf.function(cross_entropy, input_signature=signature)
        assert run(tf.zeros((0, 5)), tf.zeros((0,), tf.int64)).shape == (0,)
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"classes of shape \({known}\), wanted \(12\)"):
            run(tf.constant(LOGITS), tf.constant(CLASSES[:known]))

    def test_a_softmax_that_was_forgotten_is_seen_as_ever(self, native_runs):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("Keras sees it on TensorFlow only")
        model = keras.Sequential([keras.Input((5,)), keras.layers.Activation("softmax")])
        loss = SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        with pytest.warns(UserWarning, match="from_logits=True"):
            found = loss(CLASSES, model(LOGITS))
        np.testing.assert_allclose(found, by_definition(LOGITS, CLASSES)[0], rtol=2e-6)
        assert native_runs == []
