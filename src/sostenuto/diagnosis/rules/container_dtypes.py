"""Data that is no array of numbers: text, dates, missing values, objects, ragged tensors."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from sostenuto.diagnosis.catalogue import Evidence, rule
from sostenuto.diagnosis.events import Failure, ModelCalled
from sostenuto.diagnosis.rules.container_calls import Given, call_with, given_to, givens, own_verb, written
from sostenuto.diagnosis.rules.container_contents import Contents, contents_of
from sostenuto.diagnosis.rules.container_views import count_words, last_value, masking_line, numpy_name
from sostenuto.diagnosis.rules.legacy_habits import declares_ragged
from sostenuto.diagnosis.rules.ragged_source import value_of
from sostenuto.diagnosis.seen import Seen
from sostenuto.diagnosis.source import Place, called
from sostenuto.diagnosis.views import backend, is_ours, kinds, layers_of, makes_mask
from sostenuto.diagnosis.wording import count, shape_of, some

_BEGIN = """
import numpy as np, keras
model = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(1)])
model.compile("adam", "mse")
x, y = np.ones((6, 4, 2)), np.ones((6, 1))
"""

SO264 = rule(
    "SO264",
    "The data holds text or dates, not numbers",
    """A network computes with numbers. Words, labels, dates and columns of text have to become numbers before: an array
    with one column of text in it is an array of objects (dtype=object) as a whole.""",
    """Leave out columns that are no features (df.select_dtypes('number')); turn labels into classes with
    np.unique(labels, return_inverse=True); turn words into token ids with keras.layers.TextVectorization or
    StringLookup; turn dates into a number, such as the hours since the first.""",
    example=_BEGIN + 'labels = np.array(["up", "down", "up", "up", "down", "up"])\nmodel.fit(x, labels, verbose=0)\n',
    repaired=_BEGIN
    + 'labels = np.array(["up", "down", "up", "up", "down", "up"])\n'
    + "classes, y = np.unique(labels, return_inverse=True)\nmodel.fit(x, y, verbose=0)\n",
)

SO265 = rule(
    "SO265",
    "Missing values stand among the numbers as None",
    """None is no number: an array with one None in it is an array of objects (dtype=object), and no framework reads it.
    As a float it becomes NaN, and one NaN in a batch makes the loss, and then every weight, NaN.""",
    """Decide what stands for a missing value before training: the value before it (df.ffill()), one between its
    neighbours (df.interpolate()), or a fixed number with a second feature that says whether it was measured.""",
    example=_BEGIN + "x = x.astype(object)\nx[0, 0, 0] = None\nmodel.fit(x, y, verbose=0)\n",
    repaired=_BEGIN
    + "x = x.astype(object)\nx[0, 0, 0] = None\nmodel.fit(np.nan_to_num(x.astype('float32')), y, verbose=0)\n",
)

SO266 = rule(
    "SO266",
    "Numbers are kept as objects or as text",
    """An array of dtype=object holds Python objects, and Keras does not look whether all of them are numbers. pandas
    and NumPy make such arrays wherever numbers of different kinds, or text that looks like numbers, come together.""",
    "x.astype('float32') before training.",
    example=_BEGIN + "model.fit(x.astype(object), y, verbose=0)\n",
    repaired=_BEGIN + "model.fit(x.astype(object).astype('float32'), y, verbose=0)\n",
)

SO267 = rule(
    "SO267",
    "A ragged tensor reaches layers that read rectangles",
    """Recurrent layers of Keras 3 read rectangles: (batch, time, features). On TensorFlow they refuse a tf.RaggedTensor
    (Cannot index into an inner ragged dimension); on JAX and PyTorch Keras fills it up with zeros, without a mask, and
    the zeros are read as data.""",
    """x.to_tensor() fills up with zeros, and a Masking layer, or mask_zero=True of an Embedding, lets the layers skip
    them.""",
    backend="tensorflow",
    example="""
import numpy as np, keras, tensorflow as tf
x = tf.ragged.constant([[[1.0], [2.0]], [[3.0]]], ragged_rank=1)
model = keras.Sequential([keras.Input((None, 1)), keras.layers.LSTM(1)])
print(model.predict(x, verbose=0))
""",
    repaired="""
import numpy as np, keras, tensorflow as tf
x = tf.ragged.constant([[[1.0], [2.0]], [[3.0]]], ragged_rank=1)
model = keras.Sequential([keras.Input((None, 1)), keras.layers.Masking(), keras.layers.LSTM(1)])
print(model.predict(x.to_tensor(), verbose=0))
""",
)

# What Keras and its backends say about data that is not made of numbers.
_NO_NUMBERS = re.compile(
    "Invalid dtype|Unsupported object type|Dtype object is not a valid|to float is not supported"
    "|could not convert string to float|Unrecognized data type|numpy.object_|too many dimensions 'str'"
    "|must be real number, not|float\\(\\) argument must be|Cast \\w+ to \\w+ is not supported|Dtype .* is not a "
    "valid JAX|Only input tensors may be passed|setting an array element with a "
    "sequence|[Uu]nsupported.*(str|object|datetime)"
    "|'str' object|must have the same structure|input has incompatible shape"
)

_OR_EMBEDDING = "; of an Embedding mask_zero=True"
_TEXT_LAYERS = {"TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "HashedCrossing"}


def _found(failure: Failure) -> tuple[Given, str, Any, Contents] | None:
    # The argument of fit that is no array of numbers: ("x" or "y", its value, what is in it).
    if not _NO_NUMBERS.search(str(failure.error)):
        return None
    for given in givens(failure):
        if is_ours(given.model):
            continue
        for name, value in (("x", given.x), ("y", given.y)):
            parts = value if isinstance(value, list | tuple) and value and _are_arrays(value) else [value]
            for part in parts:
                contents = contents_of(_table_behind(given, name, part))
                if contents is not None and not contents.has("sequence"):
                    return given, name, part, contents
    return None


def _are_arrays(value: Any) -> bool:
    return all(isinstance(one, np.ndarray) for one in value)


def _table_behind(given: Given, name: str, value: Any) -> Any:
    # df.values has lost the names of the columns; the table still has them.
    if not isinstance(value, np.ndarray) or value.dtype.kind != "O" or value.ndim != 2 or given.place is None:
        return value
    table = _table_of(given.place, _source(given, name))
    return table if table is not None and table.shape == value.shape else value


def _table_of(place: Place, source: str) -> Any:
    try:
        node = ast.parse(f"({source})", mode="eval").body
    except SyntaxError:
        return None
    if isinstance(node, ast.Name):
        # "x = df.values" some lines before.
        node = last_value(place, node.id) or node
    table = value_of(place, node)
    return table if type(table).__name__ == "DataFrame" else None


def _source(given: Given, name: str) -> str:
    if name == "x" or given.verb is None:
        return given.source
    return written(given.verb, name)


@SO264.on(Failure)
def text_or_dates(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for text or dates in what was given to a model."""
    found = _found(failure)
    if found is None or not found[3].has("text", "date"):
        return None
    given, name, value, contents = found
    source = _source(given, name)
    reading = [layer for layer in layers_of(given.model) if kinds(layer) & _TEXT_LAYERS]
    if name == "x" and reading:
        return (
            None if backend() == "tensorflow" else _text_layer_within(given, source, value, type(reading[0]).__name__)
        )
    embeds = name == "x" and any("Embedding" in kinds(layer) for layer in layers_of(given.model))
    return Evidence(
        title=f"{given.name} was given {'dates' if not contents.has('text') else 'text'} where numbers are needed.",
        got=f"{source}: {shape_of(value)}, with {contents.words}",
        wanted=_wanted(name, embeds),
        cause=_cause(name, embeds, contents, value),
        fix=_fix(given, name, source, value, contents, embeds),
        place=given.place,
        boundary=(source[:40], "the model"),
    )


def _wanted(name: str, embeds: bool) -> str:
    if embeds:
        return "token ids: whole numbers, dtype='int32'"
    return "numbers, dtype='float32'" if name == "x" else "numbers: classes counted from 0, or values"


def _cause(name: str, embeds: bool, contents: Contents, value: Any) -> str:
    if embeds:
        return "An Embedding looks up whole numbers; words are strings, and nothing in the model turns them into ids."
    if name == "y":
        return "A loss compares numbers. These labels are text (strings), and have to be turned into classes first."
    if contents.columns:
        return (
            "A network computes with numbers. With columns of text or dates in it, the table becomes an array of\n"
            "objects (dtype=object) as a whole, its numbers too."
        )
    return "A network computes with numbers, and nothing in the model turns text or dates into numbers."


def _fix(given: Given, name: str, source: str, value: Any, contents: Contents, embeds: bool) -> str:
    np_name = numpy_name(given.place)
    if name == "y":
        return f"classes, y = {np_name}.unique({source}, return_inverse=True)\n" + given.call(y="y")
    if embeds:
        if _is_words(value):
            return (
                "lookup = keras.layers.StringLookup(mask_token='')\n"
                f"lookup.adapt({source})\nx = {np_name}.array(lookup({source}))      # and "
                f"Embedding(input_dim=lookup.vocabulary_size(), ...)"
            )
        return (
            "vectorizer = keras.layers.TextVectorization(output_sequence_length=...)\n"
            f"vectorizer.adapt({source})\nx = {np_name}.array(vectorizer({source}))      "
            "# and Embedding(input_dim=vectorizer.vocabulary_size(), ..., mask_zero=True)"
        )
    if contents.columns:
        table = source.removesuffix(".values").removesuffix(".to_numpy()")
        if given.place is not None and source.isidentifier() and _table_of(given.place, source) is not None:
            node = last_value(given.place, source)
            table = ast.unparse(node.value) if isinstance(node, ast.Attribute) else table
        only = f"{table}.select_dtypes('number').to_numpy(dtype='float32')"
        return f"{only}      # without {', '.join(map(repr, contents.columns))}"
    if not contents.has("text"):
        return f"hours = ({source} - {source}.min()) / {np_name}.timedelta64(1, 'h')      # dates as numbers"
    return f"leave the text out of {source}, or make classes of it: {np_name}.unique(column, return_inverse=True)[1]"


def _is_words(value: Any) -> bool:
    # One word an element: an array of two axes, or lists of lists.
    if isinstance(value, np.ndarray):
        return value.ndim > 1
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], list | tuple)


def _text_layer_within(given: Given, source: str, value: Any, layer: str) -> Evidence:
    return Evidence(
        title=f"{layer} within a model reads text on TensorFlow only.",
        got=f"{source}: {shape_of(value)}, text, on the {backend()} backend",
        wanted="token ids, made before the model",
        cause=f"{layer} works on strings, and {backend()} has no strings: the layer can be called outside of the "
        "model,\nor in a tf.data pipeline, but not within fit.",
        fix=f"x = {numpy_name(given.place)}.array(vectorizer({source}))      # before fit, and leave it out of the "
        "model",
        place=given.place,
    )


@SO264.on(Failure)
def text_to_numbers(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a conversion in the user's own line that met text."""
    place = failure.place
    message = str(failure.error)
    if place is None or own_verb(failure) is not None or failure.calls:
        return None
    if not re.search("could not convert string to float|too many dimensions 'str'|invalid literal for int", message):
        return None
    call = place.node()
    if not isinstance(call, ast.Call):
        return None
    name = called(call)
    if name == "astype" and isinstance(call.func, ast.Attribute):
        node: ast.expr | None = call.func.value
    elif name in ("array", "asarray", "tensor", "as_tensor", "FloatTensor", "convert_to_tensor"):
        node = call.args[0] if call.args else None
    else:
        return None
    if node is None:
        return None
    source = place.source(node)
    value = value_of(place, node)
    contents = contents_of(value)
    if contents is None or not contents.has("text"):
        return None
    given = Given(None, value, None, place, source)
    return Evidence(
        title="Text cannot be made numbers.",
        got=f"{source}: {shape_of(value)}, with {contents.words}",
        wanted="numbers",
        cause=_cause("x", False, contents, value),
        fix=_fix(given, "x", source, value, contents, False),
    )


@SO265.on(Failure)
def missing_values(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for None among numbers."""
    found = _found(failure)
    if found is None or found[3].has("text", "date", "other") or not found[3].has("missing"):
        return None
    given, name, value, contents = found
    source = _source(given, name)
    numbers = f"{source}.astype('float32')"
    if type(value).__name__ in ("DataFrame", "Series"):
        fix = f"{source} = {source}.ffill().astype('float32')      # each missing value becomes the one before it"
    else:
        fix = (
            f"{given.call(**{name: f'{numpy_name(given.place)}.nan_to_num({numbers}, nan=0.0)'})}\n"
            "# 0.0, or whatever stands for a value that was not measured"
        )
    return Evidence(
        got=f"{source}: {shape_of(value)}, with {count(contents.kinds['missing'], 'missing value')} among "
        f"{contents.total:,} elements" + _missing_in(value),
        wanted="numbers everywhere, dtype='float32'",
        cause="None is no number. One of them makes the whole array one of objects (dtype=object), which Keras does "
        "not\nread; as a float it would be NaN, and make the loss NaN.",
        fix=fix,
        place=given.place,
        boundary=(source[:40], "the model"),
    )


def _missing_in(value: Any) -> str:
    if type(value).__name__ != "DataFrame":
        return ""
    names = [str(name) for name in value.columns if value[name].isna().any()]
    return f", in {some(names)}" if names else ""


@SO266.on(Failure)
def numbers_as_objects(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for arrays of objects, or of text, in which all elements are numbers."""
    found = _found(failure)
    if found is None or not found[3].only("number", "digits") or isinstance(found[2], list | tuple):
        return None
    given, name, value, contents = found
    source = _source(given, name)
    table = type(value).__name__ in ("DataFrame", "Series")
    made = f"{source}.astype('float32')" if table or source.isidentifier() else f"({source}).astype('float32')"
    if not table and re.fullmatch(r"[\w.\[\]'\"]+(\(\))?", source):
        made = f"{source}.astype('float32')"
    return Evidence(
        got=f"{source}: {shape_of(value)}, with {contents.words}",
        wanted="dtype='float32'",
        cause="All of it is numbers, but they are kept as "
        + ("text" if contents.only("digits") else "Python objects (dtype=object)")
        + ", and Keras does not convert these.",
        fix=given.call(**{name: made}),
        place=given.place,
        boundary=(source[:40], "the model"),
    )


# --- ragged tensors --------------------------------------------------------------------------------------------------


@SO267.on(Failure)
def ragged_refused(failure: Failure, seen: Seen) -> Evidence | None:
    """Looks for a ragged tensor given to a model whose layers refuse it."""
    verb = own_verb(failure)
    ragged = "ragged" in str(failure.error).lower()
    # Keras 2's Input(ragged=True) has a rule of its own.
    if declares_ragged(failure.place):
        return None
    if verb is not None and not is_ours(verb.model):
        source, value = written(verb, "x"), verb.x
        spec = getattr(value, "element_spec", None)
        first = spec[0] if isinstance(spec, tuple) and spec else spec
        if "RaggedTensorSpec" in kinds(first) and (ragged or "Invalid dtype: object" in str(failure.error)):
            return _ragged(verb.place, None, source, f"{source}: a tf.data dataset of ragged tensors", "", failure)
        if "RaggedTensor" not in kinds(value) or not ragged:
            return None
        fix = call_with(verb, x=f"{source}.to_tensor()")
        return _ragged(verb.place, value, source, f"{source}: a ragged tensor", fix, failure)
    given = given_to(failure)
    if given is None or "RaggedTensor" not in kinds(given.x) or not (ragged or backend() != "tensorflow"):
        return None
    fix = given.call(x=f"{given.source}.to_tensor()")
    return _ragged(given.place, given.x, given.source, f"{given.source}: a ragged tensor", fix, failure)


def _ragged(place: Place | None, value: Any, source: str, got: str, fix: str, failure: Failure) -> Evidence:
    lengths = _row_lengths(value)
    if lengths is not None:
        got += f" of {len(lengths)} sequences, of lengths {count_words(lengths)}"
    fix = fix or f"{source}.map(lambda x, *rest: (x.to_tensor(), *rest))"
    return Evidence(
        title="A recurrent layer cannot read a ragged tensor.",
        got=got,
        wanted="a rectangle: (batch, time, features), padded and masked",
        cause="Recurrent layers of Keras 3 go through time step by step, for all sequences at once, and need the same\n"
        "number of steps in each. A ragged tensor keeps different lengths, so it has to be padded first.",
        fix=f"{fix}      # pads with zeros\n{masking_line(remark=_OR_EMBEDDING)}",
        place=place,
        boundary=(source[:40], "the model"),
    )


@SO267.on(ModelCalled)
def ragged_filled_up(event: ModelCalled, seen: Seen) -> Evidence | None:
    """Looks for a ragged tensor that Keras filled up with zeros, where no layer makes a mask."""
    if "RaggedTensor" not in kinds(event.x) or backend() not in ("jax", "torch") or is_ours(event.model):
        return None
    lengths = _row_lengths(event.x)
    if lengths is None or len(set(lengths)) < 2 or any(makes_mask(layer) for layer in layers_of(event.model)):
        return None
    source = written(event, "x")
    padding = sum(max(lengths) - length for length in lengths)
    return Evidence(
        title="A ragged tensor is filled up with zeros, and these are read as data.",
        got=f"{source}: {len(lengths)} sequences of lengths {count_words(lengths)}; {padding} of "
        f"{max(lengths) * len(lengths)} "
        "steps are filled up",
        wanted="a mask for the steps that are filled up",
        cause=f"On the {backend()} backend Keras makes a rectangle of a ragged tensor, with zeros behind the shorter\n"
        "sequences. There is no Masking layer in the model, so the padding is read as data.",
        fix=masking_line(remark=_OR_EMBEDDING),
        boundary=(source[:40], "the model"),
    )


def _row_lengths(value: Any) -> list[int] | None:
    try:
        return [int(one) for one in np.diff(np.asarray(value.row_splits))]
    # No ragged tensor, or one of a graph, which has no numbers yet.
    except Exception:
        return None
