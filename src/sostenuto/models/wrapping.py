"""What may be wrapped in a ``SequenceModel``."""

from __future__ import annotations

from typing import Any

import keras

from sostenuto.diagnosis import shape_of
from sostenuto.errors import ModelError
from sostenuto.layers import convert_layer
from sostenuto.models.conversion import convert, is_made_of_layers, take_any_rows


def model_of_layers(layers: Any) -> Any:
    """A Sequential or Functional model of what people give, its recurrent layers ours.

    Args:
        layers: a list of layers, a keras.Sequential, or a Functional keras.Model.

    Raises:
        ModelError: SO601.
    """
    if isinstance(layers, list | tuple):
        for layer in layers:
            if not isinstance(layer, keras.layers.Layer) and not keras.backend.is_keras_tensor(layer):
                raise _no_model(f"{shape_of(layer)} in the list of layers", "put objects of keras.layers in the list")
        if not layers:
            raise _no_model("an empty list", "put at least one layer in the list")
        return keras.Sequential([convert_layer(layer) for layer in layers])
    if not isinstance(layers, keras.Model) or not is_made_of_layers(layers):
        got = "a subclassed model" if isinstance(layers, keras.Model) else shape_of(layers)
        raise _no_model(got, "build the model from layers: so.SequenceModel([so.LSTM(64), keras.layers.Dense(1)])")
    if layers.built and (len(layers.inputs) != 1 or len(layers.outputs) != 1):
        got = f"{len(layers.inputs)} inputs and {len(layers.outputs)} outputs"
        raise _no_model(got, "wrap the part with one input and one output")
    take_any_rows(layers)
    return convert(layers)


def _no_model(got: str, fix: str) -> ModelError:
    return ModelError(
        "SequenceModel cannot be made of this.",
        code="SO601",
        where="argument 'layers' of SequenceModel",
        got=got,
        wanted="a list of layers, a keras.Sequential, or a Functional keras.Model with one input and one output",
        fix=fix,
    )
