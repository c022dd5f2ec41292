"""Which layers have a native step, and how each becomes operations of a native program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, tree

from sostenuto.cells import equations_of, gru, lstm
from sostenuto.kernels import Request, native
from sostenuto.kernels.recurrence import CELLS
from sostenuto.layers import Recurrent
from sostenuto.layers.cells import StackedRNNCells
from sostenuto.models.conversion import is_made_of_layers
from sostenuto.models.native_calls import NoStep, Value, check_call, data, only, part_of_mask, title

_ACTIVATIONS = {
    getattr(keras.activations, name): name
    for name in (
        *("linear", "tanh", "sigmoid", "relu", "leaky_relu", "relu6", "elu", "selu", "gelu", "silu"),
        *("softplus", "softsign", "exponential", "hard_sigmoid", "softmax", "log_softmax"),
    )
}
_NUMBERS = {"leaky_relu": 0.2, "elu": 1.0}  # what these functions take by default

_NOTHING = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.AlphaDropout,
    layers.GaussianNoise,
    layers.GaussianDropout,
    layers.ActivityRegularization,
    layers.Identity,
)
_MERGES = {layers.Add: "add", layers.Subtract: "subtract", layers.Multiply: "multiply"}
_OPERATIONS = {name.capitalize(): name for name in _MERGES.values()}  # x + y and the like between the layers of a model


class Steps:
    """Makes the operations of a native program.

    Args:
        program: an empty program of the native module.
        read: takes a variable and returns its numbers.

    Attributes:
        names: what the program computes, layer by layer, in words.
    """

    def __init__(self, program: Any, read: Callable[[Any], np.ndarray]) -> None:
        self.names: list[str] = []
        self._program = program
        self._read = read
        self._recurrent: list[Any] = []  # the layer of each recurrent call
        self._makers: dict[type, Callable[[Any, list[Value]], Value]] = {
            **dict.fromkeys(_NOTHING, self._nothing),
            **dict.fromkeys(_MERGES, self._merge),
            layers.Concatenate: self._concatenate,
            layers.Dense: self._dense,
            layers.Embedding: self._embedding,
            layers.TimeDistributed: self._time_distributed,
            layers.LayerNormalization: self._layer_normalization,
            layers.BatchNormalization: self._batch_normalization,
            layers.Normalization: self._normalization,
            layers.Rescaling: self._rescaling,
            layers.Activation: self._activation_layer,
            layers.ReLU: self._relu,
            layers.LeakyReLU: self._leaky_relu,
            layers.ELU: self._elu,
            layers.Softmax: self._softmax,
        }

    def of_model(self, model: Any) -> Any:
        """The program of a built SequenceModel.

        Raises:
            NoStep: there is none.
        """
        if model.carried.passed_by:
            raise NoStep(f"{title(model.carried.passed_by[0])} takes its states from elsewhere in the model")
        tokens = len(model.inner.inputs[0].shape) == 2
        if tokens and model.embedding is None:
            raise NoStep("the input is neither features nor tokens of an Embedding")
        node = self._program.tokens() if tokens else self._program.input(model.feature_count)
        output = self._model(model.inner, [Value(node, True)])
        same_order = [a is b for a, b in zip(self._recurrent, model.carried.layers, strict=False)]
        if not all(same_order) or len(self._recurrent) != len(model.carried.layers):
            raise NoStep("its recurrent layers are called in another order")
        if output.per_step != (model.output_per == "step") or (tokens and output.node == node):
            raise NoStep(f"its output, {model.output_axes} per {model.output_per}, is no plain vector")
        self._program.finish(output.node)
        return self._program

    # --- models and layers ------------------------------------------------------------------------------------------

    def _model(self, model: Any, given: list[Value]) -> Value:
        known = isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call
        if known:
            value = only(model, given)
            for layer in model.layers:
                value = self._layer(layer, [value])
            return value
        plain = is_made_of_layers(model) and type(model).__name__ == "Functional"
        if not plain or len(model.inputs) != 1 or len(model.outputs) != 1:
            raise NoStep(f"{title(model)} is no plain model with one input and one output")
        values: dict[int, Any] = {id(model.inputs[0]): only(model, given)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.operation or node.is_input:
                    continue
                values[id(node.outputs[0])] = self._call(node, values)
        return data(values[id(model.outputs[0])])

    def _call(self, node: Any, values: dict[int, Any]) -> Any:
        """What one call between the layers of a model gives: a Value, or one of those that only masks are made of."""
        if not isinstance(node.operation, layers.Layer):
            made = part_of_mask(node, values)
            if made is not None:
                return made
            try:
                return self._operation(node.operation, [data(values[id(tensor)]) for tensor in node.input_tensors])
            except NoStep as no:
                return no  # it matters only where the result does: masks are made of operations, too
        tensors = [each for each in tree.flatten(node.arguments.args) if keras.backend.is_keras_tensor(each)]
        given = [data(values[id(tensor)]) for tensor in tensors]
        check_call(node, given, values)
        return self._layer(node.operation, given)

    def _layer(self, layer: Any, given: list[Value]) -> Value:
        if isinstance(layer, keras.Model):
            return self._model(layer, given)
        if not isinstance(layer, layers.Layer):
            return self._operation(layer, given)
        if getattr(layer, "compute_dtype", "float32") != "float32":
            raise NoStep(f"{title(layer)} computes in {layer.compute_dtype}, not in float32")
        if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
            raise NoStep(f"{title(layer)} is quantized or has LoRA weights")
        if isinstance(layer, Recurrent):
            return self._recur(layer, only(layer, given))
        maker = self._makers.get(type(layer))
        if maker is None:
            raise _none(layer)
        made = maker(layer, given)
        return made if layer.supports_masking else made._replace(masked=False)

    def _operation(self, operation: Any, given: list[Value]) -> Value:
        kind = _OPERATIONS.get(type(operation).__name__)
        if kind is None or type(operation).__module__ != "keras.src.ops.numpy" or len(given) != 2:
            raise NoStep(f"the operation {type(operation).__name__} has no native step")
        return self._combined(kind, type(operation).__name__, given)._replace(masked=False)

    def _nothing(self, layer: Any, given: list[Value]) -> Value:
        return only(layer, given)

    # --- recurrent layers -------------------------------------------------------------------------------------------

    def _recur(self, layer: Any, given: Value) -> Value:
        if type(layer).call is not Recurrent.call or layer.go_backwards or layer.return_state or not given.per_step:
            raise _none(layer)
        cells = _cells_of(layer.cell)
        value = given
        for number, cell in enumerate(cells):
            last = number == len(cells) - 1
            declined = native.declines(Request(cell, keras.backend.backend(), cell.compute_dtype))
            if declined is not None:
                raise NoStep(f"{title(layer)} has no native step: {declined.reason}")
            node = self._program.recurrent(
                value.node,
                CELLS.index(_kind(cell)),
                self._numbers(layer, cell.kernel),
                self._numbers(layer, cell.recurrent_kernel),
                None if cell.bias is None else self._numbers(layer, cell.bias),
                last_only=last and not layer.return_sequences,
                masks_zero=given.masked,
                zeros_masked=last and layer.zero_output_for_mask,
            )
            value = Value(node, not last or layer.return_sequences, given.masked and layer.return_sequences)
        self._recurrent.append(layer)
        self.names.append(f"{type(layer).__name__}({', '.join(str(cell.units) for cell in cells)})")
        return value

    # --- layers with weights ----------------------------------------------------------------------------------------

    def _dense(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        node = self._program.dense(value.node, self._numbers(layer, layer.kernel), self._given(layer, layer.bias))
        self.names.append(f"Dense({layer.units})")
        return self._activated(layer, value._replace(node=node), layer.activation)

    def _time_distributed(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        if type(layer.layer) is not layers.Dense or value.masked or not value.per_step:
            raise _none(layer)
        return self._layer(layer.layer, given)

    def _embedding(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        if not self._program.takes_tokens or value.node != 0:
            raise _none(layer)
        self.names.append(f"Embedding({layer.input_dim}, {layer.output_dim})")
        return Value(
            self._program.embedding(value.node, self._numbers(layer, layer.embeddings)), True, bool(layer.mask_zero)
        )

    def _layer_normalization(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        self._check_axis(layer, value)
        if layer.rms_scaling:
            raise NoStep(f"{title(layer)} with rms_scaling has no native step")
        gamma, beta = self._given(layer, layer.gamma), self._given(layer, layer.beta)
        self.names.append("LayerNormalization")
        return value._replace(node=self._program.layer_normalization(value.node, layer.epsilon, gamma, beta))

    def _batch_normalization(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        self._check_axis(layer, value)
        mean, variance = self._numbers(layer, layer.moving_mean), self._numbers(layer, layer.moving_variance)
        gamma, beta = self._given(layer, layer.gamma), self._given(layer, layer.beta)
        scale = 1 / np.sqrt(variance.astype("float64") + layer.epsilon) * (1 if gamma is None else gamma)
        return self._affine("BatchNormalization", value, mean, scale, 0 if beta is None else beta)

    def _normalization(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        self._check_axis(layer, value)
        if layer.invert:
            raise NoStep(f"{title(layer)} with invert=True has no native step")
        for variable in layer.weights:  # whose change is one of mean and variance
            if "float" in str(variable.dtype):
                self._read(variable)
        mean, variance = (np.ravel(keras.ops.convert_to_numpy(each)) for each in (layer.mean, layer.variance))
        return self._affine("Normalization", value, mean, 1 / np.maximum(np.sqrt(variance), keras.backend.epsilon()), 0)

    def _rescaling(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        scale, offset = np.asarray(layer.scale, "float32"), np.asarray(layer.offset, "float32")
        if max(scale.ndim, offset.ndim) > 1:
            raise _none(layer)
        return self._affine("Rescaling", value, 0, scale, offset)

    def _affine(self, name: str, value: Value, center: Any, scale: Any, shift: Any) -> Value:
        width = self._program.width_of(value.node)
        rows = [np.ascontiguousarray(np.broadcast_to(part, width), "float32") for part in (center, scale, shift)]
        self.names.append(name)
        return value._replace(node=self._program.affine(value.node, *rows))

    # --- layers without weights -------------------------------------------------------------------------------------

    def _activation_layer(self, layer: Any, given: list[Value]) -> Value:
        return self._activated(layer, only(layer, given), layer.activation)

    def _activated(self, layer: Any, value: Value, function: Any) -> Value:
        name = _ACTIVATIONS.get(function) if callable(function) else None
        if name is None:
            raise NoStep(f"{title(layer)} has no native step: its activation is {_named(function)}")
        return self._activation(value, name, _NUMBERS.get(name, 0.0))

    def _activation(self, value: Value, name: str, number: float = 0.0) -> Value:
        if name == "linear":
            return value
        self.names.append(name)
        return value._replace(node=self._program.activation(value.node, name, number))

    def _relu(self, layer: Any, given: list[Value]) -> Value:
        value, slope = only(layer, given), float(layer.negative_slope)
        if layer.threshold != 0 or (layer.max_value is not None and (layer.max_value != 6 or slope != 0)):
            raise NoStep(f"{title(layer)} has no native step with these arguments")
        if layer.max_value is not None:
            return self._activation(value, "relu6")
        return self._activation(value, "leaky_relu", slope) if slope else self._activation(value, "relu")

    def _leaky_relu(self, layer: Any, given: list[Value]) -> Value:
        return self._activation(only(layer, given), "leaky_relu", float(layer.negative_slope))

    def _elu(self, layer: Any, given: list[Value]) -> Value:
        return self._activation(only(layer, given), "elu", float(layer.alpha))

    def _softmax(self, layer: Any, given: list[Value]) -> Value:
        value = only(layer, given)
        if value.per_step:  # Keras lays the mask of the steps over the features
            raise NoStep(f"{title(layer)} has no native step; Activation('softmax') has one")
        self._check_axis(layer, value)
        return self._activation(value, "softmax")

    def _merge(self, layer: Any, given: list[Value]) -> Value:
        return self._combined(_MERGES[type(layer)], type(layer).__name__, given)

    def _concatenate(self, layer: Any, given: list[Value]) -> Value:
        if layer.axis not in (-1, 2 if given[0].per_step else 1):
            raise _none(layer)
        return self._combined("concatenate", "Concatenate", given)

    def _combined(self, kind: str, name: str, given: list[Value]) -> Value:
        widths = {self._program.width_of(value.node) for value in given}
        if (len(widths) > 1 and kind != "concatenate") or len({value.per_step for value in given}) > 1:
            raise NoStep(f"{name} of different shapes has no native step")
        if len({value.masked for value in given}) > 1:
            raise NoStep(f"{name} of a masked sequence and one without a mask has no native step")
        self.names.append(name)
        return given[0]._replace(node=self._program.combine(kind, [value.node for value in given]))

    # --- weights ----------------------------------------------------------------------------------------------------

    def _numbers(self, layer: Any, variable: Any) -> np.ndarray:
        numbers = self._read(variable)
        if numbers.dtype != np.float32:
            raise NoStep(f"{title(layer)} has weights of {numbers.dtype}, not of float32")
        return np.ascontiguousarray(numbers)

    def _given(self, layer: Any, variable: Any) -> np.ndarray | None:
        return None if variable is None else self._numbers(layer, variable)

    @staticmethod
    def _check_axis(layer: Any, value: Value) -> None:
        axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        if list(axes) not in ([-1], [2 if value.per_step else 1]):
            raise NoStep(f"{title(layer)} over axis {layer.axis} has no native step")


def _cells_of(cell: Any) -> list[Any]:
    if type(cell) in (layers.StackedRNNCells, StackedRNNCells):
        return [each for inner in cell.cells for each in _cells_of(inner)]
    return [cell]


def _kind(cell: Any) -> str:
    equations = equations_of(cell)
    if equations is gru:
        return "gru_reset_after" if cell.reset_after else "gru_reset_before"
    return "lstm" if equations is lstm else "simple_rnn"


def _none(layer: Any) -> NoStep:
    return NoStep(f"{title(layer)} has no native step")


def _named(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
