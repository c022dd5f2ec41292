"""What Keras 2 did and Keras 3 no longer does: old model files, old names of metrics, ragged inputs."""

from __future__ import annotations

import ast
import re
from typing import Any

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, LayerCall, ModelCalled
from sostenuto.diagnosis.rules.legacy_fixes import line_with, new_line
from sostenuto.diagnosis.rules.legacy_source import Program
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, without_keyword
from sostenuto.diagnosis.views import is_keras, is_recurrent, title

SO722 = rule(
    "SO722",
    "A model file of an older Keras cannot be read",
    """Files written by Keras 2 hold the arguments of its layers. Keras 3 no longer has all of them (time_major,
    batch_input_shape), nor does it read the folders of TensorFlow's SavedModel. The weights in an .h5 file are
    still good.""",
    """Build the same model in code and load the weights alone; or hand load_model a layer that drops the old
    arguments, with custom_objects=.""",
    needs="a file that Keras 2 wrote",
)

SO724 = rule(
    "SO724",
    "A metric is looked up by a name that Keras 2 gave it",
    """metrics=['accuracy'] was logged as 'acc' and 'val_acc' by Keras 1 and early Keras 2; it is 'accuracy' and
    'val_accuracy' now. A dictionary raises KeyError; a callback that watches a name which never comes, does nothing
    at all.""",
    """Use the names that history.history has.""",
    example="""
import keras, numpy as np
model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(np.zeros((8, 5, 3)), np.zeros((8, 1)), verbose=0)
print(history.history["acc"])
""",
    repaired="""
import keras, numpy as np
model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(np.random.rand(8, 5, 3), np.zeros((8, 1)), verbose=0)
print(history.history["accuracy"])
""",
)

SO727 = rule(
    "SO727",
    "Recurrent layers of Keras 3 read no ragged tensors",
    """In Keras 2, Input(ragged=True) and RaggedTensors carried sequences of different lengths. Keras 3 has ragged
    inputs on the TensorFlow backend only, and its recurrent layers cannot read them there either.""",
    """Pad the sequences and put a Masking layer in front (or mask_zero=True in the Embedding). so.SequenceModel takes
    lists of sequences of any lengths.""",
    example="""
import keras
inputs = keras.Input(shape=(None, 2), ragged=True)
outputs = keras.layers.LSTM(4)(inputs)
""",
    backend="jax",
    repaired="""
import keras
inputs = keras.Input(shape=(None, 2))
outputs = keras.layers.LSTM(4)(keras.layers.Masking()(inputs))
""",
)


@SO722.on(Failure)
def old_file(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a file whose layers have arguments of Keras 2."""
    place, text = failure.place, str(failure.error)
    if place is None or not any(name == "load_model" for _, name, _ in failure.frames):
        return None
    call = place.call("load_model")
    if call is None:
        return None
    path = place.source(call.args[0]) if call.args else place.argument("filepath", 0, "load_model")
    if found := re.search(r"Unrecognized keyword arguments passed to (\w+): (\{.*\})", text):
        layer, names = found.group(1), re.findall(r"'(\w+)':", found.group(2))
        old = ", ".join(names)
        arguments = ", ".join(f"{name}=None" for name in names)
        kept = [one for one in call.keywords if one.arg not in ("custom_objects", "compile")]
        known = ast.keyword("custom_objects", ast.parse(f"{{'{layer}': Old{layer}}}", mode="eval").body)
        keywords = [*kept, known, ast.keyword("compile", ast.Constant(False))]
        loading = new_line(place, call, ast.Call(call.func, call.args, keywords))
        return Evidence(
            title=f"The file {path} was written by an older Keras: its {layer} has {old}.",
            got=f"{layer} with {found.group(2)[:80]} in the file",
            wanted=f"arguments that {layer} of Keras 3 knows",
            cause=f"A saved model holds the arguments of its layers, and Keras 3 removed {old}. The weights in the "
            "file are good.",
            fix=f"class Old{layer}(keras.layers.{layer}):\n    def __init__(self, *args, {arguments}, **kwargs):\n"
            f"        super().__init__(*args, **kwargs)\n\n{loading}\n"
            f"# or build the same model in code, and model.load_weights({path})",
        )
    if found := re.search(r"Could not (?:deserialize|locate function) '([\w.]+)'", text):
        return Evidence(
            title=f"The file {path} names its loss or metric in the way of an older Keras.",
            got=f"'{found.group(1)}' in the file",
            wanted="a loss that Keras 3 finds by this name, or none",
            cause="The .h5 format of Keras 2 stores losses and metrics as plain words; Keras 3 cannot turn this "
            "one back into a\nfunction. The layers and their weights are good.",
            fix=new_line(
                place,
                call,
                ast.Call(call.func, call.args, [*call.keywords, ast.keyword("compile", ast.Constant(False))]),
            )
            + "\n# then compile the model anew",
        )
    if "SavedModel format is not supported" in text:
        return Evidence(
            title=f"{path} is a SavedModel of TensorFlow, which Keras 3 does not load as a model.",
            got=f"{path}: a folder",
            wanted="a .keras file, or an .h5 file",
            cause="Keras 2 wrote folders in TensorFlow's SavedModel format; load_model of Keras 3 no longer reads "
            "them.",
            fix=f"layer = keras.layers.TFSMLayer({path}, call_endpoint='serving_default')        # predicts, cannot "
            "be trained",
        )
    return None


@SO724.on(Failure)
def metric_names(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a KeyError about 'acc' where 'accuracy' was logged."""
    place, error = failure.place, failure.error
    if not isinstance(error, KeyError) or not error.args or place is None:
        return None
    node = place.node()
    name = error.args[0]
    found = place.value(node.value) if isinstance(node, ast.Subscript) else None
    logged: dict[str, Any] = found if isinstance(found, dict) else {}
    now = _logged_as(name, logged)
    if not now or not isinstance(node, ast.Subscript):
        return None
    return Evidence(
        title=f"The history has no '{name}'; Keras 3 calls it '{now}'.",
        got=f"'{name}'",
        wanted=f"one of {', '.join(map(repr, logged))}",
        cause="metrics=['accuracy'] was logged as 'acc' by Keras 1 and early Keras 2, and is no longer: since then "
        f"the name in\nthe history is the one that was passed to compile, here '{now}'.",
        fix=line_with(place, node, f"{place.source(node.value)}['{now}']"),
    )


@SO724.on(Failure)
def refused_name(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a callback that Keras refuses because it does not know the metric it is to watch."""
    found = re.search(r"(\w+) callback received monitor=(acc|val_acc)\b", str(failure.error))
    if found is None:
        return None
    kind, name = found.groups()
    now = {"acc": "accuracy", "val_acc": "val_accuracy"}[name]
    return Evidence(
        title=f"{kind} watches '{name}', which is never logged; Keras 3 calls it '{now}'.",
        got=f"{kind}(monitor='{name}')",
        wanted=f"{kind}(monitor='{now}')",
        cause=f"metrics=['accuracy'] was logged as '{name}' by Keras 1 and early Keras 2; the name is '{now}' now, "
        f"and Keras 3 knows\nno metric '{name}'.",
        fix=f"{kind}(monitor='{now}')",
    )


@SO724.on(ModelCalled)
def watched_names(event: ModelCalled, seen: Seen) -> list[Evidence]:
    """Looks for callbacks that watch 'val_acc' where 'val_accuracy' was logged."""
    logged = getattr(event.result, "history", None)
    callbacks = event.options.get("callbacks") or ()
    if event.verb != "fit" or not isinstance(logged, dict):
        return []
    found = []
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        name = getattr(callback, "monitor", None)
        now = _logged_as(name, logged)
        if now and is_keras(callback):
            kind = type(callback).__name__
            found.append(
                Evidence(
                    title=f"{kind} watches '{name}', which is never logged; Keras 3 calls it '{now}'.",
                    got=f"{kind}(monitor='{name}')",
                    wanted=f"one of {', '.join(map(repr, logged))}",
                    cause=f"'{name}' is the name of Keras 2. {kind} found no such metric in any epoch, so it did "
                    "nothing at all.",
                    fix=f"{kind}(monitor='{now}')",
                )
            )
    return found


def _logged_as(name: Any, logged: dict[str, Any]) -> str:
    if not isinstance(name, str) or name in logged:
        return ""
    now = {"acc": "accuracy", "val_acc": "val_accuracy", "accuracy": "acc", "val_accuracy": "val_acc"}.get(name, "")
    return now if now in logged else ""


def declares_ragged(place: Place | None) -> bool:
    """Whether the program says ragged=True somewhere."""
    if place is None:
        return False
    return any(isinstance(one, ast.keyword) and one.arg == "ragged" for one in ast.walk(Program(place).tree))


@SO727.on(Failure)
def ragged(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for ragged inputs, refused by Input or by a recurrent layer."""
    text, place = failure.message, failure.place
    refused = "`ragged=True` is not supported" in text
    call = next((one for one in failure.calls if isinstance(one, LayerCall) and is_recurrent(one.layer)), None)
    inner = "inner ragged dimension" in text or "RaggedTensor" in text
    if not refused and (call is None or not inner):
        return None
    # Without it, SO267 tells of the data.
    if not refused and not declares_ragged(place):
        return None
    node = place.call("Input") if place is not None else None
    if refused and place is not None and node is not None:
        fix = new_line(place, node, ast.parse(without_keyword(place.source(node), "ragged"), mode="eval").body)
    elif declares_ragged(place):
        fix = "keras.Input(shape=(None, features))        # without ragged=True"
    else:
        fix = "x = ragged.to_tensor()"
    return Evidence(
        title="Keras 3 reads no ragged tensors in recurrent layers.",
        got="ragged=True: sequences of different lengths in a RaggedTensor"
        if refused or call is None
        else f"a ragged tensor in {title(call.layer)}",
        wanted="(batch, time, features) of one length, with a mask over the padding",
        cause="Keras 2 read RaggedTensors; Keras 3 no longer supports them in recurrent layers (and "
        "Input(ragged=True) on\nthe TensorFlow backend only). Sequences of different lengths are padded, and a mask "
        "hides the padding.",
        fix=f"{fix}\nkeras.layers.Masking(mask_value=0.0)        # in front of the recurrent layer\n"
        "x = keras.utils.pad_sequences(sequences, padding='post', dtype='float32')\n"
        "# or so.SequenceModel, which takes lists of any lengths",
    )
