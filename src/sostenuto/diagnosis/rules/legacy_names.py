"""Names that programs for Keras 1, Keras 2 and TensorFlow 1 use, and what Keras 3 calls the same thing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Was:
    """An argument that is gone.

    Attributes:
        now: its name in Keras 3; "" where it was taken away.
        note: what it meant, and what to do instead.
        of: names of the classes or functions it belonged to; empty for any.
        here: not for these, where the same name is right today.
        era: who knew it.
    """

    now: str = ""
    note: str = ""
    of: tuple[str, ...] = ()
    here: tuple[str, ...] = ()
    era: str = "Keras 2"

    def fits(self, owner: str) -> bool:
        """Whether a class or function is one of those that had it."""
        return owner not in self.here and (not self.of or owner in self.of)


RECURRENT = (
    "LSTM", "GRU", "SimpleRNN", "RNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "CuDNNLSTM", "CuDNNGRU", "ConvLSTM1D",
    "ConvLSTM2D", "ConvLSTM3D", "Bidirectional",
)  # fmt: skip
FIT = ("fit", "evaluate", "predict", "fit_generator", "evaluate_generator", "predict_generator")
_QUEUE = "workers and their queue are arguments of keras.utils.PyDataset now, not of fit"
_MASTER = "PyTorch's argument"

# By name of the argument; where a name had several owners, one entry for each.
ARGUMENTS: dict[str, tuple[Was, ...]] = {
    "batch_input_shape": (
        Was("", "the shape with the batch size belongs to keras.Input(batch_shape=...) in front of the first layer"),
    ),
    "batch_shape": (Was("", "it is an argument of keras.Input, not of a layer", here=("Input", "InputLayer")),),
    "batch_size": (
        Was("", "a layer has no batch size of its own: it is that of its input", of=(*RECURRENT, "Dense", "Embedding")),
    ),
    "input_length": (
        Was("", "the number of steps comes from the data, or from keras.Input(shape=(time, features))", of=RECURRENT),
    ),
    "output_dim": (
        Was("units", "the size of the output", of=(*RECURRENT, "Dense", "TimeDistributedDense"), era="Keras 1"),
    ),
    "init": (
        Was("embeddings_initializer", of=("Embedding",), era="Keras 1"),
        Was("kernel_initializer", era="Keras 1"),
    ),
    "inner_init": (Was("recurrent_initializer", era="Keras 1"),),
    "inner_activation": (Was("recurrent_activation", era="Keras 1"),),
    "forget_bias_init": (Was("", "the bias of the forget gate begins at 1 by default", era="Keras 1"),),
    "consume_less": (Was("", "the fastest way is chosen by itself", era="Keras 1"),),
    "truncate_gradient": (Was("", "cut the sequences into shorter pieces instead", era="Keras 1"),),
    "dropout_W": (Was("dropout", era="Keras 1"),),
    "dropout_U": (Was("recurrent_dropout", era="Keras 1"),),
    "W_regularizer": (
        Was("embeddings_regularizer", of=("Embedding",), era="Keras 1"),
        Was("kernel_regularizer", era="Keras 1"),
    ),
    "U_regularizer": (Was("recurrent_regularizer", era="Keras 1"),),
    "b_regularizer": (Was("bias_regularizer", era="Keras 1"),),
    "W_constraint": (
        Was("embeddings_constraint", of=("Embedding",), era="Keras 1"),
        Was("kernel_constraint", era="Keras 1"),
    ),
    "U_constraint": (Was("recurrent_constraint", era="Keras 1"),),
    "b_constraint": (Was("bias_constraint", era="Keras 1"),),
    "time_major": (
        Was("", "Keras 3 reads (batch, time, features) only; transpose time-major data with x.swapaxes(0, 1)"),
    ),
    "weights": (Was("", "build the layer and call layer.set_weights(...)", here=("Embedding",)),),
    "dropout": (Was("", "put keras.layers.SpatialDropout1D behind it", of=("Embedding",), era="Keras 1"),),
    "border_mode": (Was("padding", era="Keras 1"),),
    "nb_filter": (Was("filters", era="Keras 1"),),
    "filter_length": (Was("kernel_size", era="Keras 1"),),
    "subsample_length": (Was("strides", era="Keras 1"),),
    "pool_length": (Was("pool_size", era="Keras 1"),),
    "p": (Was("rate", of=("Dropout", "SpatialDropout1D"), era="Keras 1"),),
    "dims": (Was("target_shape", of=("Reshape",), era="Keras 1"),),
    "bias": (Was("use_bias", of=("Dense", "Conv1D"), era="Keras 1"),),
    "mode": (
        Was(
            "",
            "each kind of merging is a function of its own: add, multiply, average, concatenate",
            of=("merge", "Merge", "concatenate", "Concatenate", "BatchNormalization"),
            era="Keras 1",
        ),
    ),
    "concat_axis": (Was("axis", era="Keras 1"),),
    "input": (Was("inputs", of=("Model",), era="Keras 1"),),
    "output": (Was("outputs", of=("Model",), era="Keras 1"),),
    # --- fit, evaluate, predict, compile
    "nb_epoch": (Was("epochs", era="Keras 1"),),
    "samples_per_epoch": (Was("steps_per_epoch", "counted in batches, not in samples", era="Keras 1"),),
    "nb_val_samples": (Was("validation_steps", "counted in batches, not in samples", era="Keras 1"),),
    "val_samples": (Was("steps", "counted in batches, not in samples", era="Keras 1"),),
    "show_accuracy": (Was("", "pass metrics=['accuracy'] to compile", era="Keras 1"),),
    "class_mode": (
        Was("", "the loss says it: binary_crossentropy, categorical_crossentropy", of=("compile",), era="Keras 1"),
    ),
    "objective": (Was("loss", of=("compile",), era="Keras 1"),),
    "sample_weight_mode": (Was("", "sample_weight of shape (batch, time) weights steps by itself"),),
    "validation_generator": (Was("validation_data", of=FIT),),
    "generator": (Was("x", of=FIT),),
    "workers": (Was("", _QUEUE, of=FIT),),
    "use_multiprocessing": (Was("", _QUEUE, of=FIT),),
    "max_queue_size": (Was("", _QUEUE, of=FIT),),
    "max_q_size": (Was("", _QUEUE, of=FIT, era="Keras 1"),),
    "pickle_safe": (Was("", _QUEUE, of=FIT, era="Keras 1"),),
    # --- optimizers, callbacks, functions
    "lr": (Was("learning_rate", here=("ReduceLROnPlateau",)),),
    "decay": (Was("", "use a schedule: learning_rate=keras.optimizers.schedules.InverseTimeDecay(0.01, 1, 1e-4)"),),
    "period": (Was("save_freq", "'epoch', or a number of batches", of=("ModelCheckpoint",)),),
    "nb_classes": (Was("num_classes", era="Keras 1"),),
    "nb_words": (Was("num_words", era="Keras 1"),),
    "l": (Was("l2", of=("l2", "L2", "l1", "L1")),),
    "states": (
        Was(
            "",
            "assign to the state variables: for variable, value in zip(layer.states, values): variable.assign(value)",
            of=("reset_states", "reset_state"),
        ),
        Was("initial_state", of=RECURRENT),
    ),
    # --- what PyTorch calls it
    "batch_first": (Was("", "Keras always reads (batch, time, features); leave it out", of=RECURRENT, era=_MASTER),),
    "hidden_size": (Was("units", of=RECURRENT, era=_MASTER),),
    "input_size": (Was("", "Keras takes the number of features from the data", of=RECURRENT, era=_MASTER),),
    "num_layers": (Was("", "stack layers, all but the last with return_sequences=True", of=RECURRENT, era=_MASTER),),
    "bidirectional": (Was("", "put keras.layers.Bidirectional around the layer", of=RECURRENT, era=_MASTER),),
}


# Classes and functions: their last name, what there is today, and a remark.
GONE: dict[str, tuple[str, str]] = {
    "CuDNNLSTM": ("LSTM", "LSTM uses the fast cuDNN kernel by itself where its arguments allow it"),
    "CuDNNGRU": ("GRU", "GRU uses the fast cuDNN kernel by itself where its arguments allow it"),
    "TimeDistributedDense": ("Dense", "Dense works on the last axis of (batch, time, features) at every step"),
    "MaxoutDense": ("Dense", "there is no Maxout layer any more"),
    "Highway": ("Dense", "there is no Highway layer any more"),
    "Merge": ("concatenate", "each kind of merging is a function of its own: add, multiply, average, concatenate"),
    "merge": ("concatenate", "each kind of merging is a function of its own: add, multiply, average, concatenate"),
    "ConvRecurrent2D": ("ConvLSTM2D", ""),
    "AtrousConvolution1D": ("Conv1D", "with dilation_rate="),
    "np_utils": ("to_categorical", "keras.utils.to_categorical, without np_utils"),
    "TimeseriesGenerator": (
        "timeseries_dataset_from_array",
        "keras.utils.timeseries_dataset_from_array cuts windows now",
    ),
    "Tokenizer": ("TextVectorization", "keras.layers.TextVectorization numbers the words now"),
    "text_to_word_sequence": ("TextVectorization", "keras.layers.TextVectorization splits and numbers text now"),
    "one_hot": ("Hashing", "keras.layers.Hashing, or keras.layers.TextVectorization"),
    "hashing_trick": ("Hashing", "keras.layers.Hashing"),
    "ImageDataGenerator": ("image_dataset_from_directory", "keras.utils.image_dataset_from_directory"),
    "WeightRegularizer": ("l1_l2", "keras.regularizers.l1_l2"),
    "model_from_yaml": ("model_from_json", ""),
    "KerasClassifier": ("KerasClassifier", "it lives in the package scikeras now: pip install scikeras"),
    "KerasRegressor": ("KerasRegressor", "it lives in the package scikeras now: pip install scikeras"),
    "multi_gpu_model": ("distribution", "keras.distribution.DataParallel"),
    "normal": ("RandomNormal", "keras.initializers.RandomNormal"),
    "uniform": ("RandomUniform", "keras.initializers.RandomUniform"),
    "adam": ("Adam", "optimizers are classes, with a capital letter; the text 'adam' works too"),
    "sgd": ("SGD", "optimizers are classes, with capital letters; the text 'sgd' works too"),
    "rmsprop": ("RMSprop", "optimizers are classes, with a capital letter; the text 'rmsprop' works too"),
}

# Modules, by their path behind "keras.": where their contents are now.
MODULES: dict[str, str] = {
    "layers.recurrent": "keras.layers",
    "layers.recurrent_v2": "keras.layers",
    "layers.cudnn_recurrent": "keras.layers",
    "layers.core": "keras.layers",
    "layers.embeddings": "keras.layers",
    "layers.wrappers": "keras.layers",
    "layers.merge": "keras.layers",
    "layers.noise": "keras.layers",
    "layers.local": "keras.layers",
    "layers.pooling": "keras.layers",
    "layers.convolutional": "keras.layers",
    "layers.convolutional_recurrent": "keras.layers",
    "layers.normalization": "keras.layers",
    "layers.advanced_activations": "keras.layers",
    "layers.experimental": "keras.layers",
    "layers.experimental.preprocessing": "keras.layers",
    "utils.np_utils": "keras.utils",
    "utils.vis_utils": "keras.utils",
    "utils.visualize_util": "keras.utils",
    "utils.data_utils": "keras.utils",
    "utils.generic_utils": "keras.utils",
    "utils.io_utils": "keras.utils",
    "preprocessing.text": "keras.layers",
    "preprocessing.sequence": "keras.utils",
    "preprocessing.image": "keras.utils",
    "objectives": "keras.losses",
    "engine": "keras",
    "engine.topology": "keras.layers",
    "engine.base_layer": "keras.layers",
    "engine.training": "keras.models",
    "wrappers.scikit_learn": "scikeras.wrappers",
    "backend.tensorflow_backend": "keras.backend",
    "optimizers.legacy": "keras.optimizers",
    "optimizer_v2": "keras.optimizers",
}

# Methods and attributes of models: what to write instead ({model} and {call} are filled in), and a remark.
OF_MODELS: dict[str, tuple[str, str]] = {
    "fit_generator": ("{model}.fit", "fit takes generators and datasets itself"),
    "evaluate_generator": ("{model}.evaluate", "evaluate takes generators and datasets itself"),
    "predict_generator": ("{model}.predict", "predict takes generators and datasets itself"),
    "predict_proba": ("{model}.predict", "predict returns the probabilities of a sigmoid or softmax output"),
    "predict_classes": (
        "{model}.predict",
        "predict returns probabilities: .argmax(axis=-1) behind a softmax, > 0.5 behind a single sigmoid",
    ),
    "to_yaml": ("{model}.to_json", "models are written as JSON"),
    "uses_learning_phase": ("", "layers are told with training=True or False in their call"),
    "history": ("", "fit returns it: history = {model}.fit(...)"),
    "input_names": ("", "{model}.inputs has the tensors, with their names"),
    "output_names": ("", "{model}.outputs has the tensors, with their names"),
    "sample_weights": ("", "pass sample_weight= to fit"),
    "total_loss": ("", "{model}.loss is the function; losses of layers are in {model}.losses"),
    "targets": ("", "a custom train_step gets the targets as an argument"),
}

OF_LAYERS: dict[str, tuple[str, str]] = {
    "output_shape": ("{layer}.output.shape", "a layer of Keras 3 knows its shapes through its tensors"),
    "input_shape": ("{layer}.input.shape", "a layer of Keras 3 knows its shapes through its tensors"),
    "batch_input_shape": ("{layer}.input.shape", "a layer of Keras 3 knows its shapes through its tensors"),
    "kernel": ("{layer}.cell.kernel", "the weights of a recurrent layer are those of its cell"),
    "recurrent_kernel": ("{layer}.cell.recurrent_kernel", "the weights of a recurrent layer are those of its cell"),
    "bias": ("{layer}.cell.bias", "the weights of a recurrent layer are those of its cell"),
    "W": ("{layer}.kernel", "Keras 1 called the kernel W"),
    "b": ("{layer}.bias", "Keras 1 called the bias b"),
    "U": ("{layer}.cell.recurrent_kernel", "Keras 1 called the recurrent kernel U"),
    "output_dim": ("{layer}.units", "Keras 1 called the units output_dim"),
    "inbound_nodes": ("{layer}.input", ""),
    "outbound_nodes": ("{layer}.output", ""),
    "get_output_at": ("{layer}.output", "a layer that is called once has one output"),
    "get_input_at": ("{layer}.input", "a layer that is called once has one input"),
    "get_input_shape_at": ("{layer}.input.shape", ""),
    "get_output_shape_at": ("{layer}.output.shape", ""),
}

OF_OPTIMIZERS: dict[str, tuple[str, str]] = {
    "lr": ("{optimizer}.learning_rate", "lr became learning_rate"),
    "decay": ("", "give a schedule as learning_rate"),
    "weights": ("{optimizer}.variables", ""),
    "get_weights": ("", "{optimizer}.variables holds them"),
    "get_updates": ("", "{optimizer}.apply(gradients, variables)"),
}

# Functions of keras.backend that had another name, or have no equal; all others are in keras.ops under their own name.
OF_BACKEND: dict[str, str] = {
    "dot": "keras.ops.matmul",
    "batch_dot": "keras.ops.einsum",
    "eval": "keras.ops.convert_to_numpy",
    "get_value": "keras.ops.convert_to_numpy",
    "set_value": "variable.assign",
    "variable": "keras.Variable",
    "constant": "keras.ops.convert_to_tensor",
    "placeholder": "keras.Input",
    "function": "keras.Model",
    "int_shape": "x.shape",
    "ndim": "len(x.shape)",
    "gather": "keras.ops.take",
    "permute_dimensions": "keras.ops.transpose",
    "repeat_elements": "keras.ops.repeat",
    "repeat": "keras.layers.RepeatVector",
    "reverse": "keras.ops.flip",
    "switch": "keras.ops.where",
    "rnn": "keras.layers.RNN",
    "temporal_padding": "keras.ops.pad",
    "pow": "keras.ops.power",
    "clip": "keras.ops.clip",
    "l2_normalize": "keras.ops.normalize",
    "batch_flatten": "keras.layers.Flatten",
    "random_normal": "keras.random.normal",
    "random_uniform": "keras.random.uniform",
    "dropout": "keras.random.dropout",
    "in_train_phase": "the argument training= of call",
    "in_test_phase": "the argument training= of call",
    "learning_phase": "the argument training= of call",
    "set_learning_phase": "the argument training= of call",
    "gradients": "the gradient of the backend (tf.GradientTape, jax.grad, loss.backward())",
    "get_session": "nothing: Keras 3 has no sessions",
    "set_session": "nothing: Keras 3 has no sessions",
    "update": "variable.assign",
    "update_add": "variable.assign_add",
    "count_params": "layer.count_params()",
    "is_keras_tensor": "keras.utils.is_keras_tensor",
    "manual_variable_initialization": "nothing: Keras 3 has no sessions",
    "set_image_dim_ordering": "keras.config.set_image_data_format",
    "image_dim_ordering": "keras.config.image_data_format",
}

# TensorFlow 1, by the path behind "tf.".
OF_TENSORFLOW: dict[str, str] = {
    "contrib": "it was dissolved: tf.contrib.rnn is keras.layers.RNN with keras.layers.LSTMCell, "
    "tf.contrib.layers is keras.layers",
    "nn.rnn_cell": "cells are keras.layers.LSTMCell, GRUCell, SimpleRNNCell, and StackedRNNCells",
    "nn.dynamic_rnn": "keras.layers.RNN(cell, return_sequences=True, return_state=True), or keras.layers.LSTM",
    "nn.static_rnn": "keras.layers.RNN(cell, unroll=True)",
    "nn.bidirectional_dynamic_rnn": "keras.layers.Bidirectional(keras.layers.LSTM(...))",
    "nn.raw_rnn": "keras.layers.RNN around a cell of your own",
    "placeholder": "keras.Input, or the argument of a function",
    "Session": "operations run at once; there are no sessions",
    "InteractiveSession": "operations run at once; there are no sessions",
    "global_variables_initializer": "variables have their values at once",
    "get_variable": "keras.Variable, or the add_weight of a layer",
    "variable_scope": "layers keep their own weights",
    "layers": "keras.layers",
    "reset_default_graph": "keras.utils.clear_session()",
    "set_random_seed": "keras.utils.set_random_seed",
    "train.AdamOptimizer": "keras.optimizers.Adam",
    "train.GradientDescentOptimizer": "keras.optimizers.SGD",
    "train.RMSPropOptimizer": "keras.optimizers.RMSprop",
    "log": "tf.math.log",
    "ConfigProto": "tf.config",
    "estimator": "keras.Model and fit",
}
