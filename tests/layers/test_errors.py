"""Every error of the layers, by its whole text, and that nothing has changed after it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import sostenuto as so

X = np.zeros((2, 5, 3), "float32")
STATE = np.zeros((2, 4), "float32")

FIRST = "the layer's first argument (batch -> layer)"
TEXT_FIX = (
    "turn text into token ids and put an Embedding first; pad ragged data with\n"
    "so.Sequences.from_list(data).to_padded(), or hand it to so.SequenceModel as it is"
)
MASK_FIX = "one array with one True or False per row and step; so.Sequences.to_padded() returns a mask that fits"
LENGTHS_WANTED = "one whole number per row, shape (2,), each from 0 to 5"
LENGTHS_FIX = "so.Sequences.to_padded() returns lengths that fit"
ORDER_FIX = "pass a list in the order ['h', 'c'], or a dict by these names"
TWO_STATES = "2 states: h (batch 2, units 4), c (batch 2, units 4)"
KEEP_FIX = "make it with stateful=True and call it once, or use return_state=True and initial_state="


def text(what, code, **lines):
    """The whole text of an error."""
    parts = [what]
    for name, words in [*lines.items(), ("more", f"sostenuto explain {code}")]:
        first, *rest = words.split("\n")
        parts += [f"  {name:<8}{first}", *(f"          {line}" for line in rest)]
    return "\n".join(parts)


def lstm(**settings):
    return so.LSTM(4, name="a", **settings)


def built(**settings):
    layer = lstm(**settings)
    layer.build((None, None, 3))
    return layer


def assert_raises(kind, wanted, call, layer=None):
    """The class, the whole text, and weights and states as they were."""
    before = [] if layer is None else [ops.convert_to_numpy(v.value) for v in layer.variables]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == wanted
    after = [] if layer is None else [ops.convert_to_numpy(v.value) for v in layer.variables]
    assert len(after) == len(before)
    for now, then in zip(after, before, strict=True):
        np.testing.assert_array_equal(now, then)


# --- the batch --------------------------------------------------------------------------------------------------------

CANNOT_READ = "LSTM 'a' cannot read this batch."
AXES = {"where": FIRST, "wanted": "3 axes: (batch, time, features)"}
NOT_ONE = {"where": FIRST, "wanted": "one tensor (batch, time, features)"}
NUMBERS = {"where": FIRST, "wanted": "numbers in one tensor (batch, time, features)", "fix": TEXT_FIX}


def ordered(**lines):
    return {name: lines[name] for name in ("where", "got", "wanted", "fix") if name in lines}


FOLD_FIX = (
    "flatten the axes behind time into features: x.reshape(batch, time, -1),\n"
    "or put a keras.layers.TimeDistributed layer that does so in front"
)
ONE_FIX = (
    "one sequence alone: x[None]; one number per step: x[..., None]; an LSTM before this one:\n"
    "give that one return_sequences=True"
)
PAD_FIX = (
    "hand the list to so.SequenceModel as it is, or pad it:\n"
    "padded = so.Sequences.from_list(data).to_padded(); layer(padded.values, mask=padded.mask)"
)
BATCHES = {
    "no axis": (
        np.float32(1),
        "SO101",
        AXES | {"got": "0 axes: () float32", "fix": "pass whole sequences, not a single number"},
    ),
    "1 axis": (
        np.zeros(5),
        "SO101",
        AXES | {"got": "1 axis: (5,) float64", "fix": "one series of numbers: x[None, :, None]"},
    ),
    "2 axes": (np.zeros((5, 3)), "SO101", AXES | {"got": "2 axes: (5, 3) float64", "fix": ONE_FIX}),
    "4 axes": (np.zeros((2, 5, 3, 1)), "SO101", AXES | {"got": "4 axes: (2, 5, 3, 1) float64", "fix": FOLD_FIX}),
    "equal arrays": (
        [X[0], X[1]],
        "SO101",
        NOT_ONE | {"got": "a list of 2", "fix": "make one tensor of it: numpy.stack(data)"},
    ),
    "unequal arrays": (
        [X[0], X[1, :2], X[0, :3]],
        "SO101",
        NOT_ONE | {"got": "a list of 3 sequences, 2 to 5 steps long", "fix": PAD_FIX},
    ),
    "a dict": ({"x": X}, "SO104", NUMBERS | {"got": "dict of 1"}),
    "a string": ("text", "SO104", NUMBERS | {"got": "str"}),
    "strings": (np.array([["to", "be"]]), "SO104", NUMBERS | {"got": "(1, 2) str64"}),
    "objects": (np.array([np.zeros(3), np.zeros(2)], object), "SO104", NUMBERS | {"got": "(2,) object"}),
    "complex numbers": (X.astype("complex64"), "SO104", NUMBERS | {"got": "(2, 5, 3) complex64"}),
    "dates": (X.astype("datetime64[s]"), "SO104", NUMBERS | {"got": "(2, 5, 3) datetime64[s]"}),
}


@pytest.mark.parametrize("case", BATCHES)
@pytest.mark.parametrize("make", [lstm, built])
def test_not_a_batch(case, make):
    batch, code, lines = BATCHES[case]
    layer = make(stateful=True)
    assert_raises(so.ShapeError, text(CANNOT_READ, code, **ordered(**lines)), lambda: layer(batch), layer)
    assert layer.built == (make is built)


def test_wrong_features():
    layer = built(stateful=True)
    layer(X + 1)
    wanted = text(
        CANNOT_READ,
        "SO103",
        where=FIRST,
        got="4 features per step   (2, 5, 4) float32",
        wanted="3 features per step   kernel (3, 16)",
        fix="pass 3 features per step, or build a new model for 4",
    )
    assert_raises(so.ShapeError, wanted, lambda: layer(np.zeros((2, 5, 4), "float32")), layer)


def test_swapped_axes():
    wanted = text(
        "LSTM 'a' cannot read this batch: time and features look swapped.",
        "SO102",
        where=FIRST,
        got="5 features per step   (2, 3, 5) float32",
        wanted="3 features per step   kernel (3, 16)",
        fix="swap the axes: x.swapaxes(1, 2), or read the data with layout='channels_first'",
    )
    layer = built()
    assert_raises(so.ShapeError, wanted, lambda: layer(X.swapaxes(1, 2)), layer)


def test_unknown_features():
    wanted = text(
        "LSTM 'a' cannot be built.",
        "SO103",
        where=FIRST,
        got="an unknown number of features   (None, None, None) float32",
        wanted="a number of features that is known when the model is built",
        fix="declare it: keras.Input((None, features))",
    )
    assert_raises(so.ShapeError, wanted, lambda: lstm()(keras.Input((None, None))))


# --- mask and lengths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "got"),
    [
        (np.ones((2, 4), bool), "(2, 4) bool"),
        (np.ones((1, 5), bool), "(1, 5) bool"),
        (np.ones(2, bool), "(2,) bool"),
        (np.ones((2, 5, 2), bool), "(2, 5, 2) bool"),
        ([[True] * 5] * 2, "list of 2"),
    ],
)
def test_mask_that_does_not_fit(mask, got):
    lines = {
        "where": "argument 'mask' (batch -> layer)",
        "got": got,
        "wanted": "(batch 2, time 5), True for a real step",
    }
    wanted = text("LSTM 'a' cannot use this mask.", "SO105", **lines, fix=MASK_FIX)
    layer = built(stateful=True)
    assert_raises(so.ShapeError, wanted, lambda: layer(X, mask=mask), layer)


@pytest.mark.parametrize(
    ("lengths", "got"),
    [
        ([1, 2, 3], "shape (3,)"),
        (3, "shape ()"),
        ([1, 6], "lengths from 1 to 6"),
        (np.array([-1, 2]), "lengths from -1 to 2"),
        ([1.0, 2.0], "(2,) float64"),
        (["1", "2"], "(2,) str32"),
    ],
)
def test_lengths_that_do_not_fit(lengths, got):
    lines = {"where": "argument 'lengths' (batch -> layer)", "got": got, "wanted": LENGTHS_WANTED}
    wanted = text("LSTM 'a' cannot use these lengths.", "SO105", **lines, fix=LENGTHS_FIX)
    layer = built()
    assert_raises(so.ShapeError, wanted, lambda: layer(X, lengths=lengths), layer)


def test_lengths_of_fractions_in_a_tensor():
    with pytest.raises(so.ShapeError, match=r"got     \(2,\) float32"):
        lstm()(X, lengths=ops.convert_to_tensor([1.0, 2.0]))


def test_lengths_and_a_mask():
    lines = {"where": "argument 'lengths' (batch -> layer)", "got": "lengths and a mask", "wanted": LENGTHS_WANTED}
    wanted = text("LSTM 'a' cannot use these lengths.", "SO105", **lines, fix=LENGTHS_FIX)
    assert_raises(so.ShapeError, wanted, lambda: lstm()(X, lengths=[1, 2], mask=np.ones((2, 5), bool)))


# --- initial states ---------------------------------------------------------------------------------------------------

CANNOT_START = "LSTM 'a' cannot start from these states."


@pytest.mark.parametrize(
    ("states", "got"),
    [
        ([STATE], "1 state"),
        (STATE, "1 state"),
        ([STATE] * 3, "3 states"),
        ({"h": STATE, "k": STATE}, "the names ['h', 'k']"),
        ({"h": STATE}, "the names ['h']"),
    ],
)
def test_wrong_number_or_names_of_states(states, got):
    lines = {"where": "argument 'initial_state' (state -> layer)", "got": got, "wanted": TWO_STATES, "fix": ORDER_FIX}
    layer = built()
    wanted = text(CANNOT_START, "SO301", **lines)
    assert_raises(so.StateError, wanted, lambda: layer(X, initial_state=states), layer)


@pytest.mark.parametrize(
    ("states", "name", "got", "fix"),
    [
        (
            [STATE[:1], STATE[:1]],
            "h",
            "(1, 4)",
            "one state for all rows is never meant silently; say it: numpy.repeat(state, 2, axis=0)",
        ),
        (
            [np.zeros((3, 4))] * 2,
            "h",
            "(3, 4)",
            "make the states for this batch; where the batch changes from call to call, keep state by id",
        ),
        ([STATE, STATE[:, :3]], "c", "(2, 3)", "make one row of state for each row of the batch"),
        ([STATE[None], STATE], "h", "(1, 2, 4)", "make one row of state for each row of the batch"),
        ([STATE[0], STATE], "h", "(4,)", "make one row of state for each row of the batch"),
        (["zero", "zero"], "h", "()", "make one row of state for each row of the batch"),
    ],
)
def test_wrong_shape_of_a_state(states, name, got, fix):
    lines = {"where": f"initial_state '{name}' (state -> layer)", "got": f"shape {got}"}
    wanted = text(CANNOT_START, "SO302", **lines, wanted="(batch 2, units 4)", fix=fix)
    layer = built(stateful=True)
    assert_raises(so.StateError, wanted, lambda: layer(X, initial_state=states), layer)


def test_states_in_another_order():
    layer = so.RNN([so.GRUCell(3), so.LSTMCell(4)], name="deep")
    wanted = text(
        "RNN 'deep' cannot start from these states.",
        "SO302",
        where="initial_state '0.h' (state -> layer)",
        got="shape (2, 4)",
        wanted="(batch 2, units 3)",
        fix="the states are in another order; pass them as ['0.h', '1.h', '1.c']",
    )
    assert_raises(so.StateError, wanted, lambda: layer(X, initial_state=[STATE, [STATE[:, :3], STATE]]))


def test_features_that_tensorflow_forgot():
    """As in a tf.data.Dataset that does not declare its shapes."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends always know the shapes of a batch")
    import tensorflow as tf

    layer = built()
    wanted = text(
        CANNOT_READ,
        "SO103",
        where=FIRST,
        got="an unknown number of features   (None, None, None) float32",
        wanted="3 features per step   kernel (3, 16)",
        fix="pass these features in every batch; a tf.data.Dataset that does not know its shapes must declare them",
    )
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None))], autograph=False)
    assert_raises(so.ShapeError, wanted, lambda: traced(X), layer)


def test_states_of_bidirectional():
    layer = so.Bidirectional(so.GRU(4), name="both")
    wanted = text(
        "Bidirectional 'both' cannot start from these states.",
        "SO301",
        where="argument 'initial_state' (state -> layer)",
        got="1 state",
        wanted="2 states: forward.h (batch 2, units 4), backward.h (batch 2, units 4)",
        fix="pass a list in the order ['forward.h', 'backward.h'], or a dict by these names",
    )
    assert_raises(so.StateError, wanted, lambda: layer(X, initial_state=[STATE]))


@pytest.mark.parametrize("wrong", [{"mask": np.ones((2, 3), bool)}, {"lengths": [9, 9]}])
def test_bidirectional_speaks_for_itself(wrong):
    with pytest.raises(so.ShapeError, match=r"^Bidirectional 'both' cannot use th"):
        so.Bidirectional(so.LSTM(4), name="both")(X, **wrong)


# --- one step of a cell -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "code", "got"), [(X, "SO101", "(2, 5, 3)"), (np.zeros((2, 7), "float32"), "SO103", "(2, 7)")]
)
def test_step_of_a_cell(inputs, code, got):
    cell = so.LSTMCell(4, name="cell")
    cell(X[:, 0], [STATE, STATE])
    wanted = text(
        "LSTMCell 'cell' cannot read this step.",
        code,
        where="the cell's first argument (step -> cell)",
        got=f"{got} float32",
        wanted="(batch ?, features 3)   kernel (3, 16)",
        fix="pass one step of 3 features; so.RNN(cell) runs a cell over whole sequences",
    )
    assert_raises(so.ShapeError, wanted, lambda: cell(inputs, [STATE, STATE]), cell)


def test_state_of_a_cell_is_not_broadcast():
    with pytest.raises(so.StateError, match=r"^GRUCell 'cell' cannot start(.|\n)*numpy.repeat\(state, 2, axis=0\)"):
        so.GRUCell(4, name="cell")(X[:, 0], STATE[:1])


# --- options ----------------------------------------------------------------------------------------------------------


def test_cudnn():
    lines = {"where": "argument 'use_cudnn' of the layer", "got": "use_cudnn=True", "wanted": "'auto' or False"}
    wanted = text("LSTM 'a' cannot run on cuDNN.", "SO604", **lines, fix="leave use_cudnn at 'auto'")
    layer = lstm(use_cudnn=True)
    assert_raises(so.ModelError, wanted, lambda: layer(X), layer)


def test_unrolling_an_unknown_number_of_steps():
    wanted = text(
        "LSTM 'a' cannot unroll its loop.",
        "SO604",
        where="argument 'unroll' of the layer",
        got="an unknown number of steps",
        wanted="a number of steps that is known when the model is built",
        fix="leave unroll=False, or declare the steps: keras.Input((steps, features))",
    )
    assert_raises(so.ModelError, wanted, lambda: lstm(unroll=True)(keras.Input((None, 3))))
    assert_raises(so.ModelError, wanted, lambda: keras.Sequential([keras.Input((None, 3)), lstm(unroll=True)]))


# --- kept states ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["get_state", "set_state", "reset_state"])
@pytest.mark.parametrize("stateful", [False, True])
def test_no_kept_state(asked, stateful):
    layer = lstm(stateful=stateful)
    if not stateful:
        layer(X)
    options = {"get_state": (), "set_state": ({"h": STATE, "c": STATE},), "reset_state": ([0],)}[asked]
    why = "it has not seen a batch yet" if stateful else "it is not stateful"
    wanted = text(
        "LSTM 'a' keeps no state.",
        "SO303",
        where=f"{asked}()",
        got=f"a layer without kept states: {why}",
        wanted="a built layer with stateful=True",
        fix=KEEP_FIX,
    )
    assert_raises(so.StateError, wanted, lambda: getattr(layer, asked)(*options))
    layer.reset_state()  # of all rows: as in Keras, nothing to do


@pytest.mark.parametrize(
    ("rows", "got"),
    [([0, 2], "rows 0, 2"), ([-1], "rows -1"), ([0.5], "rows 0.5"), ([True, False], "rows True, False")],
)
def test_rows_that_have_no_state(rows, got):
    layer = built(stateful=True)
    layer(X + 1)
    wanted = text(
        "LSTM 'a' cannot reset these rows.",
        "SO304",
        where="argument 'rows'",
        got=got,
        wanted="numbers of the 2 rows that had a state so far, counted from 0",
        fix="reset rows that have a state; later rows begin at zero anyway",
    )
    assert_raises(so.StateError, wanted, lambda: layer.reset_state(rows), layer)


@pytest.mark.parametrize(
    ("state", "code", "where", "got", "wanted", "fix"),
    [
        ({"h": STATE}, "SO301", "argument 'state'", "the names ['h']", TWO_STATES, ORDER_FIX),
        ([STATE], "SO301", "argument 'state'", "1 state", TWO_STATES, ORDER_FIX),
        (
            {"h": STATE, "c": STATE[:, :3]},
            "SO302",
            "state 'c'",
            "shape (2, 3)",
            "(batch 2, units 4)",
            "make one row of state for each row of the batch",
        ),
    ],
)
def test_states_that_cannot_be_set(state, code, where, got, wanted, fix):
    layer = built(stateful=True)
    layer(X + 1)
    whole = text(CANNOT_START, code, where=f"{where} (state -> layer)", got=got, wanted=wanted, fix=fix)
    assert_raises(so.StateError, whole, lambda: layer.set_state(state), layer)


def test_states_cannot_be_replaced_behind_the_layers_back():
    with pytest.raises(AttributeError, match="use set_state"):
        lstm().states = [STATE]
