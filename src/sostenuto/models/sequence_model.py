"""``SequenceModel``: any Keras model of sequences, fed with ragged data as it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from sostenuto.errors import ModelError, TargetError
from sostenuto.kernels import masks
from sostenuto.layers import attach_mask, mask_of_batch
from sostenuto.models import checks, probe
from sostenuto.models.batches import SequenceBatches, rounded_up
from sostenuto.models.predictions import by_id
from sostenuto.models.real_steps import RealStepsLoss, real_steps_metrics, steps_as_rows
from sostenuto.models.summary import summary
from sostenuto.models.targets import held_out, with_targets
from sostenuto.models.weights import class_weights
from sostenuto.models.wrapping import model_of_layers
from sostenuto.sequences import Batch, Sequences, SequenceStream
from sostenuto.sequences.targets import Per


@keras.saving.register_keras_serializable(package="sostenuto")
class SequenceModel(keras.Model):
    """A Keras model that takes sequences of any lengths as they are and answers by id.

    It batches sequences of similar length, pads and masks them, counts real steps only in losses and metrics, and takes
    the padding off again. Everything else is ``keras.Model``: compile, callbacks, progress bar, save.

    Args:
        layers: a list of layers, a keras.Sequential, or a Functional keras.Model with one input and one output.
            Recurrent layers of Keras are turned into Sostenuto's, weights included.
        name: name of the model.

    Raises:
        ModelError: SO601, it is not made of layers or has several inputs or outputs; when the model first sees
            sequences, SO602, a layer mixes steps and knows no mask.

    Example:
        >>> import keras, numpy as np, sostenuto as so
        >>> model = so.SequenceModel([so.GRU(4), keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> data = {"a": np.ones((5, 2)), "b": np.ones((3, 2))}
        >>> history = model.fit(data, {"a": 1.0, "b": 0.5}, verbose=0)
        >>> model.predict(data, verbose=0)["b"].shape
        (1,)
    """

    def __init__(self, layers: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.inner = model_of_layers(layers)
        self.feature_names: tuple[str, ...] = ()
        self._probed = False
        self.built = self.inner.built

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def output_per(self) -> Per:
        """``"step"`` or ``"sequence"``: what the model gives an output for. Known once it is built."""
        steps, output = self.inner.inputs[0].shape[1], self.inner.outputs[0].shape
        return "step" if len(output) > 2 and output[1] == steps else "sequence"

    @property
    def output_axes(self) -> tuple[int | None, ...]:
        """The axes of one output, for instance (9,) for nine classes. Known once the model is built."""
        return tuple(self.inner.outputs[0].shape[2 if self.output_per == "step" else 1 :])

    @property
    def _takes_tokens(self) -> bool:
        return len(self.inner.inputs[0].shape) == 2

    @property
    def _embedding(self) -> Any:
        for layer in self.inner.layers:
            if isinstance(layer, keras.layers.Embedding) and layer.input is self.inner.inputs[0]:
                return layer
        return None

    def get_config(self) -> dict[str, Any]:
        """The configuration, for saving."""
        return {
            "name": self.name,
            "layers": keras.saving.serialize_keras_object(self.inner),
            "feature_names": list(self.feature_names),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequenceModel:
        """The model of a configuration."""
        inner = keras.saving.deserialize_keras_object(config["layers"], custom_objects=custom_objects)
        model = cls(inner, name=config.get("name"))
        model.feature_names = tuple(config.get("feature_names", ()))
        return model

    def build(self, input_shape: Any = None) -> None:
        """Builds the layers for sequences.

        Args:
            input_shape: the features of a step, as their number F or as a shape (..., F); left out where the layers
                declare an input.
        """
        if not self.inner.built and input_shape is not None:
            features = int(input_shape if isinstance(input_shape, int) else tuple(input_shape)[-1])
            first = self.inner.layers[0]
            self.inner.build((None, None) if isinstance(first, keras.layers.Embedding) else (None, None, features))
        self.built = self.inner.built

    def get_build_config(self) -> dict[str, Any] | None:
        """Nothing: the layers carry their own."""
        return None

    def summary(self, **kwargs: Any) -> None:
        """Prints the layers with their axes by name, their states and their numbers of parameters.

        Args:
            kwargs: ``print_fn``, called with each line in place of ``print``; ``line_length``.
        """
        summary(self, **kwargs)

    # --- sums -----------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs the model on one batch.

        Args:
            inputs: Sequences or anything that makes one; the outputs are then rows in their order, padded to the
                longest. Or a dict ``{"values": (B, T, F), "lengths": (B,)}`` of tensors.
            args: as for keras.Model.
            kwargs: as for keras.Model, such as ``training``.

        Returns:
            A tensor (B, T, ...) for an output per step, (B, ...) per sequence.
        """
        if not _is_batch(inputs):
            sequences = self._ready(inputs)
            batch = sequences.batch(np.arange(len(sequences)), self.inner.inputs[0].shape[1])
            inputs = self._feed(batch.values, batch.lengths)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Runs the layers on a batch ``{"values": (B, T, F), "lengths": (B,)}``."""
        mask = self._mask(inputs)
        # Layers that work step by step may drop the mask: recurrent ones get it back, the probe looked at the others.
        with mask_of_batch(mask, self.inner.inputs[0].shape[1]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not support masking.*")
            attached = {} if self._takes_tokens else {"mask": mask}
            outputs = self.inner(inputs["values"], training=training, **attached)
        return attach_mask(outputs, mask) if self.output_per == "step" else outputs

    def _mask(self, inputs: Any) -> Any:
        return masks.from_lengths(inputs["lengths"], ops.shape(inputs["values"])[1])

    def _feed(self, values: np.ndarray, lengths: np.ndarray) -> dict[str, Any]:
        if self._takes_tokens:
            values = values[..., 0]
        tokens = self._embedding is not None
        dtype = "int32" if tokens else keras.backend.standardize_dtype(self.compute_dtype or "float32")
        return {"lengths": lengths.astype("int32"), "values": np.asarray(values, dtype=dtype)}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean loss over the real steps of a batch (per sequence where there is one output each)."""
        if self.output_per == "step":
            y_pred = attach_mask(y_pred, self._mask(x))
            if sample_weight is not None:
                # Keras scales the weights by the mask, on torch in place, and the metrics are yet to see them.
                sample_weight = ops.copy(sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Metrics over real steps; a metric sees each step as a row (B * T, ...)."""
        if self.output_per == "step":
            self._loss_tracker.count_noted(ops.sum(x["lengths"]))
            y, y_pred, sample_weight = steps_as_rows(self._mask(x), y, y_pred, sample_weight)
        else:
            self._loss_tracker.count_noted(ops.shape(x["lengths"])[0])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    # --- compiling ------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        jit_compile: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """As ``keras.Model.compile``; losses and metrics count real steps only.

        Args:
            optimizer: as for keras.Model.
            loss: as for keras.Model, for the one output.
            metrics: as for keras.Model.
            weighted_metrics: as for keras.Model.
            jit_compile: ``"auto"`` compiles on JAX and leaves XLA off on TensorFlow, where it would compile every
                shape of batch anew for little or nothing (design/0006).
            kwargs: as for keras.Model: ``loss_weights``, ``run_eagerly``, ``steps_per_execution``,
                ``auto_scale_loss``.
        """
        if jit_compile == "auto" and keras.backend.backend() == "tensorflow":
            jit_compile = False
        super().compile(
            optimizer,
            loss=loss,
            metrics=real_steps_metrics(metrics),
            weighted_metrics=real_steps_metrics(weighted_metrics),
            jit_compile=jit_compile,
            **kwargs,
        )
        # Past Keras's tracking, which would list it as a metric of the user's once more.
        self.__dict__["_loss_tracker"] = RealStepsLoss(name="loss")

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    # --- data -----------------------------------------------------------------------------------------------------

    def _ready(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Sequences (or a stream) that fit the model, which is built if it was not."""
        if isinstance(x, SequenceStream):
            if y is not None or sample_weight is not None:
                raise TargetError(
                    f"{checks.title(self)} cannot join these targets with a stream.",
                    code="SO401",
                    where="arguments y and sample_weight",
                    got="a stream of sequences and separate targets or weights",
                    wanted="a stream that brings them along",
                    fix="name the columns: Sequences.stream(path, ..., target='column', weight='column')",
                )
            self._fit_together(next(iter(x)))
            return x
        sequences = Sequences.of(x)
        self._fit_together(sequences)
        if y is not None:
            sequences = with_targets(sequences, y, self.output_per)
        if sample_weight is not None:
            sequences = sequences.with_weights(sample_weight)
        return sequences

    def _fit_together(self, sequences: Sequences) -> None:
        if not self.inner.built:
            self.build(sequences.feature_count)
        self.built = True
        declared = self.inner.inputs[0].shape
        expected = 1 if len(declared) == 2 else declared[-1]
        checks.check_features(self, sequences, expected, self.feature_names)
        checks.check_steps(self, sequences.lengths, sequences.ids, declared[1])
        embedding = self._embedding
        if embedding is not None:
            checks.check_tokens(embedding, sequences)
        if not self._probed:
            largest = None if embedding is None else int(embedding.input_dim) - 1
            probe.check_padding(self, self._feed, expected, largest, self.output_per)
            self._probed = True
            self.feature_names = self.feature_names or sequences.features

    def _batches(
        self,
        sequences: Any,
        batch_size: int | None,
        *,
        seed: int | None = None,
        class_weight: Any = None,
        with_targets: bool = True,
    ) -> SequenceBatches:
        expand = with_targets and self.output_axes == (1,)

        def prepare(batch: Batch) -> Any:
            fed = self._feed(batch.values, batch.lengths)
            if not with_targets:
                return (fed,)
            targets, weights = batch.targets, batch.weights
            assert targets is not None
            if class_weight is not None:
                of_class = class_weights(targets, class_weight)
                weights = of_class if weights is None else of_class * _like(weights, of_class)
            if expand and targets.ndim == (2 if self.output_per == "step" else 1):
                targets = targets[..., None]
            if targets.dtype.kind == "f":
                targets = targets.astype(keras.backend.floatx())
            if weights is None:
                return fed, targets
            if self.output_per == "step" and weights.ndim == 1:
                weights = np.broadcast_to(weights[:, None], batch.values.shape[:2])
            return fed, targets, weights.astype(keras.backend.floatx())

        blocks: Iterable[Sequences] = [sequences] if isinstance(sequences, Sequences) else sequences
        declared = self.inner.inputs[0].shape[1]
        return SequenceBatches(blocks, batch_size or 32, prepare, seed=seed, declared_steps=declared)

    def _check_targets(self, sequences: Any) -> None:
        if not self.compiled:
            raise ModelError(
                f"{checks.title(self)} is not compiled.",
                code="SO603",
                where="fit or evaluate",
                got="a model without loss and optimizer",
                wanted="a compiled model",
                fix="model.compile('adam', 'mse') or the like",
            )
        first = sequences if isinstance(sequences, Sequences) else next(iter(sequences))
        checks.check_targets(self, first, self.output_per, self.output_axes, self.loss)
        checks.check_classes(self, first.targets, self.output_axes, self.loss)

    def _validation(self, data: Any) -> Any:
        sequences = self._ready(*data) if isinstance(data, tuple) else self._ready(data)
        self._check_targets(sequences)
        return sequences

    # --- fit, evaluate, predict -----------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Trains the model, as ``keras.Model.fit`` does.

        Args:
            x: Sequences, anything that makes one (a list or dict of arrays, an array (B, T, F)), or a SequenceStream.
            y: targets, where ``x`` brings none: per sequence or per step, in order or as a dict by id.
            batch_size: sequences in a batch; 32 by default. The last batch may be smaller.
            epochs: as for keras.Model.
            verbose: as for keras.Model.
            callbacks: as for keras.Model.
            validation_split: the share of sequences, taken from the end, to validate on.
            validation_data: Sequences with targets, or a tuple (x, y) or (x, y, sample_weight).
            shuffle: whether sequences are shuffled in each epoch; follows ``keras.utils.set_random_seed``.
            class_weight: the weight of each class, for whole-numbered classes.
            sample_weight: a weight per sequence or per step, in order or as a dict by id.
            initial_epoch: as for keras.Model.
            steps_per_epoch: as for keras.Model.
            validation_steps: as for keras.Model.
            validation_batch_size: sequences in a batch of validation; ``batch_size`` by default.
            validation_freq: as for keras.Model.

        Returns:
            The ``History`` of Keras.

        Raises:
            DataError, ShapeError, TargetError, TokenError, ModelError: what does not fit, before anything is changed.
        """
        sequences = self._ready(x, y, sample_weight)
        self._check_targets(sequences)
        if validation_split and validation_data is None:
            sequences, validation_data = held_out(sequences, validation_split)
        validation = None
        if validation_data is not None:
            validation = self._batches(self._validation(validation_data), validation_batch_size or batch_size)
        seed = int(np.random.randint(2**31)) if shuffle else None
        return super().fit(
            self._batches(sequences, batch_size, seed=seed, class_weight=class_weight),
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation,
            shuffle=False,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics over all real steps (or sequences), as ``keras.Model.evaluate`` returns them.

        Args:
            x: as for ``fit``.
            y: as for ``fit``.
            batch_size: sequences in a batch; 32 by default. The result does not depend on it.
            verbose: as for keras.Model.
            sample_weight: as for ``fit``.
            steps: as for keras.Model.
            callbacks: as for keras.Model.
            return_dict: return a dict by name.
            kwargs: as for keras.Model.
        """
        if isinstance(x, SequenceBatches):  # Keras's fit evaluates what fit() above has prepared
            return super().evaluate(
                x, verbose=verbose, steps=steps, callbacks=callbacks, return_dict=return_dict, **kwargs
            )
        sequences = self._ready(x, y, sample_weight)
        self._check_targets(sequences)
        batches = self._batches(sequences, batch_size)
        return super().evaluate(
            batches, verbose=verbose, steps=steps, callbacks=callbacks, return_dict=return_dict, **kwargs
        )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs of the model, by id.

        Args:
            x: as for ``fit``.
            batch_size: sequences in a batch; 32 by default. The result does not depend on it.
            verbose: as for keras.Model.
            steps: number of batches after which to stop.
            callbacks: as for keras.Model.

        Returns:
            For an output per sequence, ``Predictions``: a mapping from ids to arrays, and an array (S, ...) for NumPy.
            For an output per step, ``Sequences`` with the outputs as features. Both in the order of ``x``.
        """
        sequences = self._ready(x)
        batches = self._batches(sequences, batch_size, with_targets=False)
        rows = batches.rows[:steps]
        bars = keras.callbacks.CallbackList(
            callbacks, add_progbar=verbose not in (0, "0"), verbose=1 if verbose == "auto" else verbose, epochs=1,
            steps=len(rows), model=self,
        )  # fmt: skip
        bars.on_predict_begin()
        outputs: list[np.ndarray] = []
        for number in range(len(rows)):
            bars.on_predict_batch_begin(number)
            output = self._predicted(batches[number][0])
            bars.on_predict_batch_end(number, {"outputs": output})
            outputs.append(output)
        bars.on_predict_end()
        return by_id(sequences, batches, outputs, self.output_per)

    def _predicted(self, fed: dict[str, np.ndarray]) -> np.ndarray:
        # JAX compiles every shape anew; rows of length 0 and a coarse grid of steps keep the shapes of a service few.
        rows = len(fed["lengths"])
        if keras.backend.backend() == "jax":
            fed = rounded_up(fed, self.inner.inputs[0].shape[1])
        return np.asarray(self.predict_on_batch(fed))[:rows]


def _is_batch(inputs: Any) -> bool:
    if not isinstance(inputs, dict) or set(inputs) != {"values", "lengths"}:
        return False
    return len(getattr(inputs["values"], "shape", ())) >= 2


def _like(weights: np.ndarray, other: np.ndarray) -> np.ndarray:
    return weights[:, None] if weights.ndim < other.ndim else weights
