"""Native programs: which models have one, the numbers of the backend, the same bits in any company and any cuts."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import sostenuto as so
from sostenuto.kernels import Declined, native_module
from sostenuto.models import stepping
from tests.sessions.models import case, model_of

pytestmark = pytest.mark.skipif(native_module.load() is None, reason=f"no native module: {native_module.why_not()}")

FEATURES = 3
TOKENS = 6


def on_the_backend(model):
    """The step function of a model as it is where there is no native program."""
    run = stepping.StepFunction(model)
    run._program = Declined("a test wants the backend")
    return run


def sequence(*middle, last=True):
    return [so.LSTM(5, return_sequences=True), *middle, *([so.GRU(4, return_sequences=True)] if last else [])]


def functional(body, tokens=False, steps=None):
    given_input = keras.Input((steps,) if tokens else (steps, FEATURES), dtype="int32" if tokens else "float32")
    return keras.Model(given_input, body(given_input))


def _shared(x):
    layer, dense = so.GRU(3, return_sequences=True), layers.Dense(3)
    return dense(layer(dense(layer(x))))


def _joined(x):
    one = so.LSTM(4, return_sequences=True, name="one")(x)
    two = so.SimpleRNN(4, return_sequences=True, name="two")(x)
    total = layers.Multiply()([layers.Add()([one, two, one]), layers.Subtract()([two, one])])
    return layers.Dense(2)(layers.Concatenate()([total, x, one + two * one - one]))


def _nested(x):
    inner = keras.Sequential([so.GRU(4, return_sequences=True), layers.Dense(3, "tanh")])
    part = keras.Input((None, FEATURES))
    deep = keras.Model(part, layers.Add()([part, inner(part)]))
    return so.LSTM(2, return_sequences=True)(deep(deep(x)))


ACTIVATIONS = [
    *("tanh", "sigmoid", "relu", "leaky_relu", "relu6", "elu", "selu", "gelu", "silu"),
    *("softplus", "softsign", "exponential", "hard_sigmoid", "softmax", "log_softmax"),
]

MODELS = {
    "LSTM": lambda: sequence(last=False),
    "GRU, reset before": lambda: [so.GRU(7, return_sequences=True, reset_after=False), layers.Dense(2)],
    "without biases": lambda: [
        so.LSTM(3, use_bias=False, return_sequences=True), so.GRU(3, use_bias=False, return_sequences=True),
        so.SimpleRNN(3, use_bias=False), layers.Dense(2, use_bias=False),
    ],
    "the last output": lambda: [
        so.LSTM(5, return_sequences=True), so.LSTM(4), layers.Dense(3, "relu"), layers.Softmax(),
    ],
    "stacked cells": lambda: [so.RNN([so.GRUCell(3), keras.layers.LSTMCell(4), so.SimpleRNNCell(2)])],
    "stacked cells, per step": lambda: [so.RNN([so.GRUCell(3), so.LSTMCell(4)], return_sequences=True)],
    "layers of Keras": lambda: keras.Sequential([layers.LSTM(4, return_sequences=True), layers.GRU(3)]),
    "stateful": lambda: [so.LSTM(4, return_sequences=True, stateful=True)],
    "normalizations": lambda: sequence(
        layers.LayerNormalization(), layers.Dense(4), layers.BatchNormalization(),
        layers.LayerNormalization(center=False, scale=False), layers.BatchNormalization(center=False, scale=False),
    ),
    "scaled": lambda: [layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]), layers.Rescaling(0.5, 1), *sequence()],
    "nothing": lambda: sequence(
        layers.Dropout(0.5), layers.SpatialDropout1D(0.5), layers.GaussianNoise(1.0), layers.Identity(),
        layers.GaussianDropout(0.3), layers.ActivityRegularization(0.1),
    ),
    "activations": lambda: sequence(*[layers.Activation(name) for name in ACTIVATIONS if "max" not in name]),
    "layers that activate": lambda: sequence(
        layers.ReLU(negative_slope=0.1), layers.LeakyReLU(0.4), layers.ELU(0.7), layers.ReLU(6), layers.ReLU(),
    ),
    "time distributed": lambda: sequence(layers.TimeDistributed(layers.Dense(6, "tanh"))),
    "joined": lambda: functional(_joined),
    "shared": lambda: functional(_shared),
    "nested": lambda: functional(_nested),
    "no recurrence": lambda: functional(lambda x: layers.Dense(2)(x)),
    "declared steps": lambda: functional(lambda x: so.GRU(3)(so.LSTM(2, return_sequences=True)(x)), steps=9),
    "tokens": lambda: [layers.Embedding(TOKENS, 4), so.GRU(5, return_sequences=True), layers.Dense(TOKENS, "softmax")],
    "masked tokens": lambda: [
        layers.Embedding(TOKENS, 4, mask_zero=True), so.LSTM(5, return_sequences=True), layers.Dense(3, "tanh"),
        so.GRU(3, return_sequences=True),
    ],
    "masked tokens, the last output": lambda: [
        layers.Embedding(TOKENS, 4, mask_zero=True), layers.Dropout(0.5), so.LSTM(5), layers.Dense(3),
    ],
    "zeros at masked steps": lambda: [
        layers.Embedding(TOKENS, 4, mask_zero=True), so.SimpleRNN(5, return_sequences=True, zero_output_for_mask=True),
    ],
    "masked tokens, joined": lambda: functional(
        lambda x: _residual(layers.Embedding(TOKENS, 4, mask_zero=True)(x)), tokens=True
    ),
    "the mask is lost": lambda: functional(
        lambda x: _lost(layers.Embedding(TOKENS, 4, mask_zero=True)(x)), tokens=True
    ),
}  # fmt: skip


def _residual(x):
    both = layers.Add()([x, so.LSTM(4, return_sequences=True)(x)])
    return so.GRU(3, return_sequences=True)(layers.Concatenate()([both, x]))


def _lost(x):
    return so.GRU(3, return_sequences=True)(x + x)


def built(name, seed=3):
    keras.utils.set_random_seed(seed)
    model = so.SequenceModel(MODELS[name]())
    model.build(1 if "tokens" in name or "mask" in name else FEATURES)
    rng = np.random.default_rng(seed)
    for weight in model.weights:  # biases, scales and statistics that are neither 0 nor 1
        if "float" in str(weight.dtype) and "normalization/mean" not in weight.path:
            sign = 1 if "variance" in weight.path else rng.choice([-1, 1], weight.shape)
            weight.assign(rng.uniform(0.1, 0.9, weight.shape) * sign)
    return model


def values_of(model, rows, steps, rng):
    if model.embedding is not None:
        return rng.integers(0, TOKENS, (rows, steps, 1))
    return rng.normal(size=(rows, steps, model.feature_count)).astype("float32")


def close(got, wanted, bound=1e-5):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=bound, rtol=bound)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_as_the_backend(name, rng):
    model = built(name)
    native, backend = model.step_function, on_the_backend(model)
    assert native.how().startswith("native step program: ")
    states = [rng.uniform(-1, 1, state.shape).astype("float32") for state in native.initial(6)]
    steps = model.declared_steps or 7
    values = values_of(model, 6, steps, rng)
    lengths = np.array([steps, 0, 3, 1, steps, 5])
    values[np.arange(steps) >= lengths[:, None]] = 0  # Keras's mask of tokens alone would let others through
    for given_lengths in (lengths, None):
        outputs, after = native(values, given_lengths, states)
        right, right_after = backend(values, given_lengths, states)
        for row, length in enumerate(lengths if given_lengths is not None else [steps] * 6):
            if model.output_per == "step":
                close(outputs[row, :length], right[row, :length])
            elif length:
                close(outputs[row], right[row])
        for got, wanted in zip(after, right_after, strict=True):
            close(got, wanted)
    if model.declared_steps is None:
        close(native(values[:, :1], None, states)[0], backend(values[:, :1], None, states)[0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, rng):
    model = so.SequenceModel([so.SimpleRNN(9, return_sequences=True), layers.Dense(9, name)])
    model.build(2)
    values, states = rng.normal(0, 5, (40, 3, 2)).astype("float32"), model.step_function.initial(40)
    model.inner.layers[-1].kernel.assign(rng.normal(0, 3, (9, 9)))
    close(model.step_function(values, None, states)[0], on_the_backend(model)(values, None, states)[0])


# --- who has none -----------------------------------------------------------------------------------------------------


class Own(layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


def _second_layer(layer):
    return lambda: [so.LSTM(4, return_sequences=True), layer()]


def _taking_states(x):
    outputs, h, c = so.LSTM(4, return_sequences=True, return_state=True, name="first")(x)
    return so.LSTM(4, return_sequences=True, name="second")(outputs, initial_state=[h, c])


DECLINED = {
    "Conv1D 'conv' has no native step": _second_layer(lambda: layers.Conv1D(3, 2, padding="causal", name="conv")),
    "Own 'own' has no native step": _second_layer(lambda: Own(2, name="own")),
    "PReLU 'p' has no native step": _second_layer(lambda: layers.PReLU(shared_axes=[1], name="p")),
    "LSTM 'l' has no native step: its activation is tanh, not relu": lambda: [so.LSTM(4, activation="relu", name="l")],
    "LSTM 'l' computes in float16, not in float32": lambda: [so.LSTM(4, dtype="mixed_float16", name="l")],
    "GRU 'g' computes in float64, not in float32": lambda: [so.GRU(4, dtype="float64", name="g")],
    "Dense 'd' has no native step: its activation is mish": _second_layer(lambda: layers.Dense(2, "mish", name="d")),
    "LayerNormalization 'n' with rms_scaling has no native step": _second_layer(
        lambda: layers.LayerNormalization(rms_scaling=True, name="n")
    ),
    "Dropout 'd' is called with arguments of its own": lambda: functional(
        lambda x: layers.Dropout(0.5, name="d")(so.GRU(2, return_sequences=True)(x), training=True)
    ),
    "Softmax 's' has no native step; Activation('softmax') has one": _second_layer(lambda: layers.Softmax(name="s")),
    "ReLU 'r' has no native step with these arguments": _second_layer(lambda: layers.ReLU(threshold=1.0, name="r")),
    "LSTM 'second' takes its states from elsewhere in the model": lambda: functional(_taking_states),
    "the operation GetItem has no native step": lambda: functional(
        lambda x: so.GRU(2, return_sequences=True)(x)[:, :, :1]
    ),
    "Add of different shapes has no native step": lambda: functional(
        lambda x: so.GRU(2, return_sequences=True)(x) + so.GRU(1, return_sequences=True)(x)
    ),
}


@pytest.mark.parametrize("reason", DECLINED)
def test_any_other_model_runs_on_the_backend_and_says_why(reason, rng):
    model = so.SequenceModel(DECLINED[reason]())
    model.build(FEATURES)
    assert model.step_function.native() is None
    assert model.step_function.how().endswith(f"; no native step program: {reason}")
    assert model.step_function.bind(None, [], None, []) is None


def test_without_the_module_the_backend_runs(monkeypatch):
    monkeypatch.setattr(native_module, "load", lambda: None)
    monkeypatch.setattr(native_module, "why_not", lambda: "SOSTENUTO_NATIVE=0 is set")
    found = case("stacked")
    session = model_of("stacked").session()
    assert session.explain().splitlines()[1].endswith("; no native step program: SOSTENUTO_NATIVE=0 is set")
    close(session.step({"a": found.values[0, 0]})["a"], found.right[0, 0])
    assert session.explain().splitlines()[2] == "batches   1 x 1 (rows x steps)"


def test_the_session_says_that_it_runs_natively():
    module = native_module.load()
    session = case("branches").model.session()
    where = f"{module.target()}, {module.threads()} thread{'s' * (module.threads() != 1)}"
    assert session.explain().splitlines()[1:3] == [
        f"sums      native step program: LSTM(3) -> LSTM(4) -> Concatenate -> Dense(1); {where}",
        "batches   of any size, nothing padded",
    ]
    long = so.SequenceModel([so.GRU(2, return_sequences=True), *[layers.Dense(2) for _ in range(9)]])
    long.build(1)
    assert "GRU(2) -> Dense(2) -> Dense(2) -> Dense(2) -> Dense(2) -> Dense(2) -> Dense(2) -> ... (10 layers); " in (
        long.session().explain()
    )


# --- bits -------------------------------------------------------------------------------------------------------------

ALONE = {
    name: built(name) for name in ("nested", "normalizations", "masked tokens", "stacked cells", "layers that activate")
}


@pytest.mark.parametrize("name", ALONE)
@settings(max_examples=10)
@given(rows=st.integers(1, 40), seed=st.integers(0, 999))
def test_bit_for_bit_in_any_company_and_any_cuts(name, rows, seed):
    model, rng = ALONE[name], np.random.default_rng(seed)
    values = values_of(model, rows, 6, rng)
    run = model.step_function
    alone = [run(values[row : row + 1], None, run.initial(1)) for row in range(rows)]
    session = model.session()
    said = {row: [] for row in range(rows)}
    done = dict.fromkeys(range(rows), 0)
    while min(done.values()) < 6:
        most = rng.integers(1, 4)
        cut = {row: min(6 - done[row], rng.integers(most + 1)) for row in rng.permutation(rows).tolist()}
        call = {row: values[row, done[row] : done[row] + steps] for row, steps in cut.items() if steps}
        for row, out in session.step({row: x[:, 0] if model.embedding else x for row, x in call.items()}).items():
            said[row].append(out if model.output_per == "step" else out[None])
            done[row] += cut[row]
    for row, (outputs, states) in enumerate(alone):
        whole = np.concatenate(said[row])
        np.testing.assert_array_equal(whole if model.output_per == "step" else whole[-1], outputs[0])
        kept = [array for by_state in session.get_state(row).values() for array in by_state.values()]
        for got, wanted in zip(kept, states, strict=True):
            np.testing.assert_array_equal(got, wanted[0])


# --- weights ----------------------------------------------------------------------------------------------------------


def trained(model, rng):
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(list(rng.normal(size=(4, 6, 3)).astype("float32")), [np.ones((6, 1), "float32")] * 4, verbose=0)


def assigned(model, rng):
    model.inner.layers[-1].bias.assign([3.0])


def set_anew(model, rng):
    model.set_weights([2 * weight for weight in model.get_weights()])


def loaded(model, rng, folder):
    path = str(folder / "other.weights.h5")
    other = model_for_weights()
    other.set_weights([weight - 0.1 for weight in model.get_weights()])
    other.save_weights(path)
    model.load_weights(path)


def model_for_weights():
    model = so.SequenceModel([so.LSTM(4, return_sequences=True), layers.BatchNormalization(), layers.Dense(1)])
    model.build(3)
    return model


@pytest.mark.parametrize("change", [trained, assigned, set_anew, loaded])
def test_changed_weights_are_noticed(change, rng, tmp_path):
    model = model_for_weights()
    session = model.session()
    x = rng.normal(size=(5, 3)).astype("float32")
    before = session.peek({"a": x})["a"]
    for _ in range(2):
        change(model, rng, *([tmp_path] if change is loaded else []))
        said = session.peek({"a": x})["a"]
        close(said, model.predict({"a": x}, verbose=0)["a"])
        assert abs(said - before).max() > 1e-3
        if change is assigned:
            break
        before = said
    same = model.step_function.native()
    assert model.step_function.native() is same


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nested", "tokens", "the last output"])
@pytest.mark.parametrize("rows", [0, 1, 33])
def test_steps_between_arrays(name, rows, rng):
    model = built(name)
    run = model.step_function
    values = values_of(model, rows, 1, rng)
    states = [rng.uniform(-1, 1, state.shape).astype("float32") for state in run.initial(rows)]
    wanted, after = run(values, None, states)
    x = np.ascontiguousarray(values[:, 0, 0], "int32") if name == "tokens" else np.ascontiguousarray(values[:, 0])
    out, new = np.empty((rows, *model.output_axes), "float32"), [np.empty_like(state) for state in states]
    run.step_arrays(x, states, out, new)
    np.testing.assert_array_equal(out, wanted[:, 0] if model.output_per == "step" else wanted)
    for got, right in zip(new, after, strict=True):
        np.testing.assert_array_equal(got, right)
    bound = run.bind(x, states, out, new)
    out[...] = np.nan
    for state in states:
        state[...] = rng.uniform(-1, 1, state.shape)
    bound()
    np.testing.assert_array_equal(out, run(values, None, states)[0].reshape(out.shape))


def test_arrays_that_do_not_fit_are_refused():
    model = so.SequenceModel([so.GRU(4, return_sequences=True)])
    model.build(2)
    run = model.step_function
    x, h, out, new = (np.zeros((3, size), "float32") for size in (2, 4, 4, 4))
    for arrays in (
        (x[:, :1].copy(), [h], out, [new]), (x, [h[:2]], out, [new]), (x, [h], out[:2], [new]),
        (x, [h], out, [new[:2]]), (x, [], out, [new]), (x, [h], out, [new, new]), (x, [h], out, [h]),
        (x.astype("float64"), [h], out, [new]), (x, [h.astype("int32")], out, [new]), (x, h, out, [new]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"another size|other arrays|of another kind|list or tuple"):
            run.step_arrays(*arrays)
    frozen = out.copy()
    frozen.flags.writeable = False
    for arrays in ((x[::2], [h[:2]], out[:2], [new[:2]]), (x, [h], frozen, [new]), (x, [h[:, ::-1]], out, [new])):
        with pytest.raises((BufferError, ValueError)):
            run.step_arrays(*arrays)
    run.step_arrays(x, [h], out, [new])


def test_threads_share_a_program():
    found = case("stacked")
    errors = []

    def work(number):
        try:
            session = found.model.session()
            for step in range(12):
                said = session.step({row: found.values[row, step] for row in range(4)})
                for row in range(4):
                    np.testing.assert_allclose(said[row], found.right[row, step], atol=1e-5)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
