"""The faster cross-entropy of classes on PyTorch: values and gradients of Keras's own, and where it steps back."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import losses

from sostenuto.models.class_losses import SparseCategoricalCrossentropy, faster_on_torch

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(7, 5)).astype("float32") * 4
CLASSES = RNG.integers(0, 5, 7)
WEIGHTS = RNG.uniform(size=7).astype("float32")


def by_definition(logits, classes):
    """Losses of rows and their gradients, in float64."""
    logits = logits.astype("float64")
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    rows = np.arange(len(classes))
    return -np.log(shares[rows, classes]), shares - np.eye(logits.shape[1])[classes]


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_values_are_those_of_the_definition(dtype):
    loss = SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    found = keras.ops.convert_to_numpy(loss(CLASSES.astype(dtype), LOGITS))
    np.testing.assert_allclose(found, by_definition(LOGITS, CLASSES)[0], rtol=2e-6)


def test_weights_and_masks_count_as_ever():
    ours = SparseCategoricalCrossentropy(from_logits=True)
    stock = losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(
        float(ours(CLASSES, LOGITS, sample_weight=WEIGHTS)),
        float(stock(CLASSES, LOGITS, sample_weight=WEIGHTS)),
        rtol=1e-6,
    )


def test_it_takes_the_place_of_keras_own_only():
    on_torch = keras.backend.backend() == "torch"
    stock = losses.SparseCategoricalCrossentropy(from_logits=True, name="n")
    ours = faster_on_torch(stock)
    assert (type(ours) is SparseCategoricalCrossentropy) == on_torch
    assert ours.get_config() == stock.get_config()
    for other in (
        losses.SparseCategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(from_logits=True, axis=1),
        losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        losses.CategoricalCrossentropy(from_logits=True),
        "sparse_categorical_crossentropy",
        None,
    ):
        assert faster_on_torch(other) is other


if keras.backend.backend() == "torch":
    import torch

    from sostenuto.kernels.adapters.torch_losses import cross_entropy

    def test_gradients_are_those_of_the_definition():
        logits = torch.tensor(LOGITS, requires_grad=True)
        found = cross_entropy(logits, torch.tensor(CLASSES))
        (found * torch.tensor(WEIGHTS)).sum().backward()
        np.testing.assert_allclose(logits.grad, by_definition(LOGITS, CLASSES)[1] * WEIGHTS[:, None], atol=1e-6)

    @pytest.mark.parametrize(
        ("logits", "classes"),
        [
            (LOGITS, [0, 1, 2, 3, 4, 0, -100]),
            (LOGITS, [0, 1, 2, 3, 4, 0, 5]),
            (LOGITS, [0, 1, 2, 3, 4, 0, np.nan]),
            (LOGITS[None], CLASSES),
            (LOGITS, CLASSES[:3]),
            (LOGITS[:0], CLASSES[:0]),
        ],
    )
    def test_what_pytorch_has_a_rule_of_its_own_for_is_left_to_it(logits, classes):
        assert cross_entropy(torch.tensor(logits), torch.tensor(classes)) is None
