"""Padded steps that the loss counts, because the mask ended before the outputs."""

from __future__ import annotations

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import ModelCalled
from sostenuto.diagnosis.rules.container_calls import call_with, written
from sostenuto.diagnosis.rules.masks_graph import all_layers
from sostenuto.diagnosis.rules.output_views import output_shape
from sostenuto.diagnosis.rules.padding_effects import padded_targets, padding_known
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.views import is_ours, is_recurrent, kinds, makes_mask, title

_AUTOENCODER = """
import numpy as np, keras
from keras import layers
rows = [np.random.default_rng(n).random((n, 2)) + 1 for n in range(2, 12)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
model = keras.Sequential([
    keras.Input((11, 2)), layers.Masking(0.0), layers.LSTM(4), layers.RepeatVector(11),
    layers.LSTM(4, return_sequences=True), layers.Dense(2),
])
model.compile("adam", "mse")
"""

SO226 = rule(
    "SO226",
    "The loss counts padded steps",
    """Keras leaves masked steps out of the loss where the mask comes through to the outputs. It ends where a layer
    gives up the steps: behind the last output of an encoder and RepeatVector every step counts, padded ones too, and
    the model learns to give padding back.""",
    "sample_weight with 0 for padded steps, in the shape (batch, time).",
    example=_AUTOENCODER + "model.fit(x, x, verbose=0)",
    repaired=_AUTOENCODER + 'model.fit(x, x, sample_weight=(x != 0).any(axis=-1).astype("float32"), verbose=0)',
)


@SO226.on(ModelCalled)
def padding_counted(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for padded targets at every step, and outputs without a mask, in a model that masks its inputs."""
    model = event.model
    layers = all_layers(model)
    if event.within is not None or event.verb not in ("fit", "train_on_batch") or any(map(is_ours, layers)):
        return None
    facts = seen.marks(model)
    if facts.get("loss_counts") or facts.get("returned_mask") or facts.get("output_lost") or facts.get("mask_loss"):
        return None
    if not any(map(is_recurrent, layers)) or not any(map(makes_mask, layers)) or output_shape(model) is None:
        return None
    end = next((one for one in layers if kinds(one) & {"RepeatVector"}), None)
    if end is None:
        return None
    for found in padding_known(model, seen):
        steps = padded_targets(event, found, seen)
        if not steps:
            continue
        seen.mark(model, loss_counts=True)
        real = "(x != 0).any(axis=-1)" if found.value in (0.0, None) else f"(x != {found.value:g}).any(axis=-1)"
        weight = real.replace("x", found.source, 1)
        return Evidence(
            title=f"The loss counts {steps:,} padded steps.",
            got=f"{found.words}; the targets {written(event, 'y')} are padded at the same steps, and the outputs have "
            f"no mask",
            wanted="padded steps left out of the loss: sample_weight 0 for them",
            cause=f"The mask ends at {title(end)}: its steps are not those of the input. Padded steps count in the "
            f"loss\nlike real ones, and the model learns to give padding back, which is easy: the loss looks better "
            f"than it is.",
            fix=call_with(event, sample_weight=weight),
            unsure="whether the model is meant to learn where sequences end",
            boundary=(title(end), "the loss"),
        )
    return None
