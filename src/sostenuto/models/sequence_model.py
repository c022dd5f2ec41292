"""``SequenceModel``: any Keras model of sequences, fed with ragged data as it is."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from sostenuto.kernels import masks
from sostenuto.layers import BatchContext, attach_mask, batch_context
from sostenuto.models import checks, class_losses
from sostenuto.models.carrying import Carried, FirstStates, LearnedStart, carried_states
from sostenuto.models.lanes import LANES, LaneStates
from sostenuto.models.preparing import ready
from sostenuto.models.real_steps import RealStepsLoss, faster_as_rows, real_steps_metrics, steps_as_rows
from sostenuto.models.stepping import StepFunction
from sostenuto.models.summary import summary
from sostenuto.models.verbs import Verbs
from sostenuto.models.wrapping import model_of_layers
from sostenuto.sequences.targets import Per

_BATCH = {"values", "lengths", "counted", *LANES.values()}


@keras.saving.register_keras_serializable(package="sostenuto")
class SequenceModel(Verbs):
    """A Keras model that takes sequences of any lengths as they are and answers by id.

    It batches sequences of similar length, pads and masks them, counts real steps only in losses and metrics, and takes
    the padding off again. Everything else is ``keras.Model``: compile, callbacks, progress bar, save.

    Args:
        layers: a list of layers, a keras.Sequential, or a Functional keras.Model with one input and one output.
            Recurrent layers of Keras are turned into Sostenuto's, weights included.
        name: name of the model.
        initial_state: what sequences start from: ``"zeros"``, or ``"learned"`` for trained states, one for each state
            of each recurrent layer, saved with the weights.

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

    def __init__(self, layers: Any, name: str | None = None, initial_state: str = "zeros", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        checks.check_initial_state_option(self, initial_state)
        self.initial_state = initial_state
        self.inner = model_of_layers(layers)
        self.start = LearnedStart() if initial_state == "learned" else None
        self.feature_names: tuple[str, ...] = ()
        self.probed = self.cuts_checked = False
        self.__dict__["_tables"] = {}  # past Keras's tracking of attributes
        self._finish_building()

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
    def declared_steps(self) -> int | None:
        """T where the layers declare it, else None. Known once the model is built."""
        return self.inner.inputs[0].shape[1]

    @property
    def feature_count(self) -> int:
        """F, the features of a step. Known once the model is built."""
        return 1 if self._takes_tokens else int(self.inner.inputs[0].shape[-1])

    @cached_property
    def carried(self) -> Carried:
        """The states that sequences carry through the model. Known once it is built."""
        return carried_states(self.inner)

    @cached_property
    def step_function(self) -> StepFunction:
        """The model as a pure function of values and states; one for all who use it, so each shape is compiled once."""
        return StepFunction(self)

    @property
    def _takes_tokens(self) -> bool:
        return len(self.inner.inputs[0].shape) == 2

    @property
    def embedding(self) -> Any:
        """The Embedding that looks token ids up, or None."""
        for layer in self.inner.layers:
            if isinstance(layer, keras.layers.Embedding) and layer.input is self.inner.inputs[0]:
                return layer
        return None

    def get_config(self) -> dict[str, Any]:
        """The configuration, for saving."""
        return {
            "name": self.name,
            "layers": keras.saving.serialize_keras_object(self.inner),
            "initial_state": self.initial_state,
            "feature_names": list(self.feature_names),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequenceModel:
        """The model of a configuration."""
        inner = keras.saving.deserialize_keras_object(config["layers"], custom_objects=custom_objects)
        model = cls(inner, name=config.get("name"), initial_state=config.get("initial_state", "zeros"))
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
        self._finish_building()

    def _finish_building(self) -> None:
        if self.inner.built and self.start is not None and not self.start.built:
            self.start.build_for(self.carried.specs)
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

    def session(self, store: Any = None, **options: Any) -> Any:
        """Opens a session on the built model, which runs sequences as their steps arrive.

        Args:
            store: where states rest: None for memory, a path, an address, or a Store.
            options: as for ``Session``: ``strict``, ``hot``, ``idle``, ``on_evict``, ``other_model``.

        Returns:
            A ``Session``.

        Example:
            >>> import numpy as np, sostenuto as so
            >>> model = so.SequenceModel([so.LSTM(4)])
            >>> model.build(2)
            >>> model.session().step({"a": np.ones(2), "b": np.ones((3, 2))})["b"].shape
            (4,)
        """
        from sostenuto.sessions import Session

        return Session(self, store, **options)

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
            sequences = ready(self, inputs)
            batch = sequences.batch(np.arange(len(sequences)), self.declared_steps)
            inputs = self.feed(batch.values, batch.lengths)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Runs the layers on a batch ``{"values": (B, T, F), "lengths": (B,)}``.

        A batch of chunks also says which rows of a table of states its rows go on from, and where the states it ends in
        go back to, for instance ``"fit_lanes"`` (B, 2) of ``lanes_of_rows``.
        """
        mask = self._mask(inputs)
        carried = self._carried_in(inputs)
        first_states = None
        if carried is not None:
            table, lanes = carried
            # Row 0 of the table is where sequences begin, unless they begin with something else than zeros.
            begins_there = self.start is None and self.carried.begins_at_zero
            fresh = None if begins_there else ops.equal(lanes[:, :1], 0)
            first_states = FirstStates(table.read(lanes), fresh, self.start)
        elif self.start is not None:
            first_states = FirstStates(None, start=self.start)
        context = BatchContext(mask, self.declared_steps, first_states, carries=carried is not None)
        outputs = self.run_layers(inputs["values"], context, training)
        if carried is not None:
            table.write(lanes, tree.flatten(context.states))
        return attach_mask(outputs, mask) if self.output_per == "step" else outputs

    def run_layers(self, values: Any, context: BatchContext, training: bool | None = None) -> Any:
        """Runs the layers on values (B, T, F) or token ids (B, T), in a context that says what else holds for them."""
        # Layers that work step by step may drop the mask: recurrent ones get it back, the probe looked at the others.
        with batch_context(context), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not support masking.*")
            attached = {} if self._takes_tokens or context.mask is None else {"mask": context.mask}
            return self.inner(values, training=training, **attached)

    def _carried_in(self, inputs: Any) -> tuple[LaneStates, Any] | None:
        for verb, name in LANES.items():
            if name in inputs:
                return self._tables[verb], inputs[name]
        return None

    def _mask(self, inputs: Any) -> Any:
        return masks.from_lengths(inputs["lengths"], ops.shape(inputs["values"])[1])

    def feed(self, values: np.ndarray, lengths: np.ndarray | None) -> dict[str, Any]:
        """Values (B, T, F) and lengths (B,) as the layers take them."""
        if self._takes_tokens:
            values = values[..., 0]
        tokens = self.embedding is not None
        dtype = "int32" if tokens else keras.backend.standardize_dtype(self.compute_dtype or "float32")
        fed = {"values": np.asarray(values, dtype=dtype)}
        return fed if lengths is None else {"lengths": lengths.astype("int32"), **fed}

    def have_lanes(self, verb: str, rows: int) -> None:
        """Makes the table of the states that ``verb`` carries large enough."""
        known = self._tables.get(verb)
        if known is None or known.rows < rows:
            self._tables[verb] = LaneStates(self.carried.specs, rows)
            # Compiled before, it would go on with the variables of the table that was.
            setattr(self, {"fit": "train_function", "evaluate": "test_function"}.get(verb, "predict_function"), None)

    @property
    def variables(self) -> list[Any]:
        """All variables, the tables of carried states included: trainers carry them, saved files do not hold them."""
        return super().variables + [states.table for states in self.__dict__.get("_tables", {}).values()]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean loss over the real steps of a batch (per sequence where there is one output each)."""
        counted = self._counted(x)
        if counted is not None:
            y_pred = attach_mask(y_pred, counted)
            if sample_weight is not None:
                # Keras scales the weights by the mask, on torch in place, and the metrics are yet to see them.
                sample_weight = ops.copy(sample_weight)
            if self.output_per == "step" and faster_as_rows(self.loss):
                y, y_pred, sample_weight = steps_as_rows(counted, y, y_pred, sample_weight, clean=False)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Metrics over real steps; a metric sees each step as a row (B * T, ...)."""
        counted = self._counted(x)
        if counted is None:
            self._loss_tracker.count_noted(ops.shape(x["lengths"])[0])
        else:
            self._loss_tracker.count_noted(ops.sum(ops.cast(counted, "int32")))
        if self._has_metrics:  # where nobody looks at it, torch would pass through all predictions all the same
            if self.output_per == "step":
                y, y_pred, sample_weight = steps_as_rows(counted, y, y_pred, sample_weight)
            elif counted is not None:
                y_pred = attach_mask(y_pred, counted)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _counted(self, inputs: Any) -> Any:
        """Which outputs count, (B, T) per step or (B,) per sequence; None for all."""
        return self._mask(inputs) if self.output_per == "step" else inputs.get("counted")

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
            loss=class_losses.faster(loss),
            metrics=real_steps_metrics(metrics),
            weighted_metrics=real_steps_metrics(weighted_metrics),
            jit_compile=jit_compile,
            **kwargs,
        )
        self.__dict__["_has_metrics"] = bool(metrics or weighted_metrics)
        # Past Keras's tracking, which would list it as a metric of the user's once more.
        self.__dict__["_loss_tracker"] = RealStepsLoss(name="loss")

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)


def _is_batch(inputs: Any) -> bool:
    if not isinstance(inputs, dict) or not {"values", "lengths"} <= set(inputs) <= _BATCH:
        return False
    return len(getattr(inputs["values"], "shape", ())) >= 2
