"""Random small models meet random wrong inputs: the diagnosis never fails, never dumps data, says what to do.

A run of 500 for each backend: HYPOTHESIS_PROFILE=thorough (tests/conftest.py has the profiles).
"""

from __future__ import annotations

import re
import warnings

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st

import sostenuto as so

pytestmark = pytest.mark.backend

# Turns up in data only, so a diagnosis that shows it shows data.
SECRET = 7351.625
EXAMPLES = {"ci": 25, "thorough": 500}
# The phase that explains a failure takes minutes here, and says nothing of use.
PHASES = [one for one in hypothesis.Phase if one is not hypothesis.Phase.explain]
MOST = EXAMPLES.get(hypothesis.settings.get_current_profile_name(), 25)


@st.composite
def layers(draw):
    """A few layers that may or may not fit each other."""
    features = draw(st.integers(1, 4))
    inputs = draw(
        st.sampled_from([(None, features), (6, features), (features,), (None,), (6, features, 2), (features, 6), ()])
    )
    found = [keras.Input(inputs)] if draw(st.integers(0, 9)) else []
    if not draw(st.integers(0, 3)):
        found.append(keras.layers.Embedding(5, 3, mask_zero=draw(st.booleans())))
    if not draw(st.integers(0, 3)):
        found.append(keras.layers.Masking(draw(st.sampled_from([0.0, -1.0]))))
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from([keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN, so.LSTM]))
        flags = {name: draw(st.booleans()) for name in ("return_sequences", "go_backwards")}
        flags |= {"return_state": not draw(st.integers(0, 5)), "stateful": not draw(st.integers(0, 5))}
        layer = kind(draw(st.integers(1, 3)), **flags)
        if not draw(st.integers(0, 4)) and not flags["return_state"] and not flags["go_backwards"]:
            layer = keras.layers.Bidirectional(layer)
        found.append(layer)
    between = [keras.layers.Flatten, keras.layers.GlobalAveragePooling1D, lambda: keras.layers.RepeatVector(3)]
    if not draw(st.integers(0, 3)):
        found.append(draw(st.sampled_from(between))())
    head = draw(st.sampled_from([1, 1, 3]))
    return [*found, keras.layers.Dense(head, activation=draw(st.sampled_from([None, "softmax", "sigmoid"])))]


@st.composite
def arrays(draw, ranks):
    """An array of numbers, or what people pass in its place."""
    shape = [draw(st.sampled_from([1, 2, 5, 6])) for _ in range(draw(st.sampled_from(ranks)))]
    array = np.full(shape, SECRET) if draw(st.booleans()) else np.zeros(shape)
    array = array.astype(draw(st.sampled_from(["float32", "float32", "float64", "int32", "int64", "bool"])))
    form = draw(st.sampled_from(["array"] * 5 + ["nan", "padded", "list", "nested", "object", "text", "dict", "tuple"]))
    if form == "nan" and array.dtype.kind == "f" and array.size:
        array.flat[0] = np.nan
    if form == "padded" and array.ndim > 1 and len(array) > 1:
        array[: len(array) // 2, -1:] = 0
    made = {
        "list": lambda: list(array) if array.ndim else [],
        "nested": lambda: [[SECRET] * number for number in (3, 1, 2)],
        "object": lambda: np.array([[SECRET], [1, 2]], dtype=object),
        "text": lambda: np.array([["to", "be"]] * 3),
        "dict": lambda: {"values": array},
        "tuple": lambda: (array, array),
    }
    return made.get(form, lambda: array)()


def well_said(report) -> None:
    """Every finding has its parts, in words and not in data."""
    assert report.failures == (), report.failures
    for finding in report:
        text = str(finding)
        for part in (finding.title, finding.where, finding.got, finding.wanted, finding.fix):
            assert part.strip(), text
        assert re.search(r"line \d+", finding.where), text
        assert finding.sure or finding.unsure, text
        assert text.count(str(SECRET)) <= 2, text
        assert len(text) < 3000, text
        assert "array([" not in text, text
        assert "<tf.Tensor" not in text, text


@hypothesis.settings(
    max_examples=MOST, phases=PHASES, suppress_health_check=list(hypothesis.HealthCheck), deadline=None
)
@hypothesis.given(
    layers=layers(),
    x=arrays([0, 1, 2, 2, 3, 3, 3, 3, 4]),
    y=st.one_of(st.none(), arrays([0, 1, 2, 3])),
    loss=st.sampled_from(["mse", "binary_crossentropy", "sparse_categorical_crossentropy"]),
)
def test_check_survives_anything(layers, x, y, loss):
    try:
        model = keras.Sequential(layers)
        model.compile("sgd", loss)
    except Exception as error:
        report = so.explain(error)
        well_said(report)
        return
    well_said(so.check(model, x, y))


@hypothesis.settings(
    max_examples=MOST, phases=PHASES, suppress_health_check=list(hypothesis.HealthCheck), deadline=None
)
@hypothesis.given(layers=layers(), x=arrays([1, 2, 3, 3, 4]), verb=st.sampled_from(["call", "predict"]))
def test_whatever_raises_is_explained(layers, x, verb):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watch = so.watch()
        try:
            with watch:
                model = keras.Sequential(layers)
                model(x) if verb == "call" else model.predict(x, verbose=0)
        except Exception:
            assert [one for one in watch.report if one.kind == "error"]
        well_said(watch.report)
