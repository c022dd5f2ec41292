"""What a session refuses, in which words, and that it and its store are then exactly as before."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.stores import Change
from sostenuto.stores.record import Record, pack

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")


def built(layers, features=3, **options):
    model = so.SequenceModel(layers, name="m", **options)
    model.build(features)
    return model


@pytest.fixture(scope="module")
def model():
    return built([so.LSTM(2, return_sequences=True, name="lstm"), keras.layers.Dense(1)])


@pytest.fixture(scope="module")
def tokens():
    return built([keras.layers.Embedding(5, 2, name="words"), so.GRU(2)], 1)


@pytest.fixture
def session(model):
    session = model.session()
    session.step(["a", "b", 7], X[:3, :2], step=0, at=10)
    session.step({"a": X[0, 2]}, step=2, at=11)
    return session


def refused(session, error, call):
    """The whole text of an error, after which nothing is another."""
    ids = list(session.store.ids())
    before, hot = session.store.read(ids), list(session._hot)
    with pytest.raises(error) as caught:
        call()
    assert list(session.store.ids()) == ids
    assert session.store.read(ids) == before
    assert list(session._hot) == hot
    return str(caught.value)


def test_wrong_number_of_features_for_one_of_a_thousand(session):
    steps = dict.fromkeys(range(1000), X[0, 0])
    steps[617] = np.zeros(5, "float32")
    assert refused(session, so.ShapeError, lambda: session.step(steps)) == (
        "SequenceModel 'm' cannot read these steps.\n"
        "  where   step -> session, id 617\n"
        "  got     5 features per step   x (5,) float32\n"
        "  wanted  3 features per step, as it was built\n"
        "  fix     pass 3 features per step, or build a new model for 5\n"
        "  more    sostenuto explain SO103"
    )
    assert len(session) == 3


def test_wrong_number_of_features_for_all(session, model):
    model.feature_names = ("x", "y", "z")
    text = refused(session, so.ShapeError, lambda: session.peek(["a", "b"], np.zeros((2, 4, 5))))
    model.feature_names = ()
    assert text == (
        "SequenceModel 'm' cannot read these steps.\n"
        "  where   step -> session, id 'a'\n"
        "  got     5 features per step   x (2, 4, 5) float64\n"
        "  wanted  3 features per step, as it was built: x, y, z\n"
        "  fix     pass 3 features per step, or build a new model for 5\n"
        "  more    sostenuto explain SO103"
    )


def test_a_series_of_one_feature():
    session = built([so.GRU(2)], 1).session()
    assert "fix     give several steps of one feature as (time, 1): x[:, None]\n" in refused(
        session, so.ShapeError, lambda: session.step({"a": np.zeros(4)})
    )


def test_too_many_axes(session):
    assert refused(session, so.DataTypeError, lambda: session.step({"a": X[0, 0], "b": X[:2]})) == (
        "SequenceModel 'm' cannot read this as steps of a sequence.\n"
        "  where   step -> session, id 'b'\n"
        "  got     x (2, 6, 3) float32\n"
        "  wanted  (features,) for one step or (time, features) for several\n"
        "  fix     reshape it; several ids at once go by id, {id: x}, or as step(ids, x) with one entry of x for each\n"
        "  more    sostenuto explain SO202"
    )


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e300, "inf")])
def test_missing_and_infinite_values(session, value, shown):
    x = X[:3, :2].astype("float64")
    x[1, 1, 2] = value
    assert refused(session, so.DataError, lambda: session.step(["a", "b", "new"], x)) == (
        "SequenceModel 'm' cannot go on from missing or infinite values.\n"
        "  where   step -> session, id 'b', step 1, feature 2\n"
        f"  got     {shown} (as float32)\n"
        "  wanted  finite numbers: one NaN would stay in the state for good\n"
        "  fix     fill them, or leave the step out; nothing of this call was counted\n"
        "  more    sostenuto explain SO205"
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [("text", "SO204"), (["a", "b", "c"], "SO204"), (None, "SO204"), ([[1, 2, 3], [1, 2]], "SO202"), (b"abc", "SO204"),
     (np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), "SO205"), (1j * np.ones(3), "SO204")],
)  # fmt: skip
def test_what_holds_no_numbers(session, value, code):
    text = refused(session, so.DataError, lambda: session.step({"a": X[0, 0], "b": value}))
    assert "  where   step -> session, id 'b'\n" in text
    assert text.endswith(code)
    assert refused(session, so.DataError, lambda: session.step(["a", "b"], [X[0, 0], value])) == text


def test_fractions_are_no_tokens(tokens):
    session = tokens.session()
    assert refused(session, so.TokenError, lambda: session.step({"a": [0, 1], "b": [0.5, 1.0]})) == (
        "Embedding 'words' cannot look these values up.\n"
        "  where   step -> session, id 'b'\n"
        "  got     x (2,) float64\n"
        "  wanted  whole numbers (token ids)\n"
        "  fix     keep token ids as integers\n"
        "  more    sostenuto explain SO501"
    )


@pytest.mark.parametrize("form", ["dict", "array", "ragged"])
def test_tokens_outside_the_vocabulary(tokens, form):
    session = tokens.session()
    x = {"a": [0, 1], "b": [4, 5]} if form != "ragged" else {"a": [0], "b": [4, 5]}
    call = (lambda: session.step(list(x), list(x.values()))) if form == "array" else (lambda: session.step(x))
    assert refused(session, so.TokenError, call) == (
        "Embedding 'words' cannot look these token ids up.\n"
        "  where   step -> session, id 'b', step 1\n"
        "  got     token id 5\n"
        "  wanted  ids from 0 to 4 (input_dim=5)\n"
        "  fix     map unknown tokens to one id of the vocabulary\n"
        "  more    sostenuto explain SO502"
    )
    assert "token id -1\n" in refused(session, so.TokenError, lambda: session.step({"a": -1}))


def test_more_steps_than_declared():
    session = built([keras.Input((4, 3)), so.GRU(2, return_sequences=True)]).session()
    text = refused(session, so.ModelError, lambda: session.step({"a": X[0, :2], "b": X[0, :5]}))
    assert "where   sequences['b']\n  got     5 steps\n" in text
    assert text.endswith("SO605")


# --- ids -------------------------------------------------------------------------------------------------------------


def test_an_id_twice(session):
    assert refused(session, so.SessionError, lambda: session.step(["a", "b", "a"], X[:3, 0])) == (
        "An id comes twice in one call.\n"
        "  where   argument 'ids'\n"
        "  got     'a' more than once among 3 ids\n"
        "  wanted  every id once: which of its steps would be first?\n"
        "  fix     join the steps of an id into one array (T, F), or make two calls\n"
        "  more    sostenuto explain SO312"
    )
    assert "SO312" in refused(session, so.SessionError, lambda: session.reset([7, np.int64(7)]))


@pytest.mark.parametrize("id", [1.5, None, True, b"a", float("nan"), ("a", 1.5), frozenset()])
def test_ids_of_other_types(session, id):
    calls = [
        lambda: session.step({id: X[0, 0]}),
        lambda: session.step(["a", id], X[:2, 0]),
        lambda: session.peek({id: X[0, 0]}),
        lambda: session.reset([id]),
        lambda: session.forget([id]),
        lambda: session.copy("a", id),
        lambda: session.get_state(id),
        lambda: session.set_state(id, {}),
        lambda: session.steps(id),
        lambda: id in session,
        lambda: session.evict([id]),
    ]
    for call in calls:
        assert "SO311" in refused(session, so.IdError, call)


def test_an_unknown_id_where_strict(model):
    session = model.session(strict=True)
    session.reset(["engine-17", "engine-4", 17])
    session.step({"engine-17": X[0, 0]})
    for call in (session.step, session.peek):
        text = refused(session, so.UnknownIdError, lambda call=call: call({"engine-17": X[0, 0], "engine-71": X[0, 0]}))
        assert text == (
            "There is no state for 'engine-71'.\n"
            "  where   the session on memory\n"
            "  got     'engine-71' (str)\n"
            "  wanted  ids that were stepped or reset before\n"
            "  fix     near ones: 'engine-17', 'engine-4'\n"
            "  more    sostenuto explain SO212"
        )
    for call in (
        lambda: session.forget(["engine-17", "no"]),
        lambda: session.copy("no", "engine-17"),
        lambda: session.get_state("no"),
        lambda: session.set_state("no", {}),
        lambda: session.steps("no"),
    ):
        assert "fix     session.ids() lists those known; session.reset(id) makes one known\n" in refused(
            session, so.UnknownIdError, call
        )
    assert session.steps("engine-17") == 1


def test_an_unknown_id_where_there_is_nothing_to_say_of_it(session):
    for call in (lambda: session.copy("no", "a"), lambda: session.get_state("no"), lambda: session.steps("no")):
        assert "There is no state for 'no'." in refused(session, so.UnknownIdError, call)


def test_a_large_store_is_not_searched_for_near_ids(model):
    session = model.session(strict=True, hot=10)
    session.reset(list(range(1002)))
    session.reset("engine-17")
    assert "near" not in refused(session, so.UnknownIdError, lambda: session.steps("engine-71"))
    session.step({"engine-17": X[0, 0]})
    assert "near ones: 'engine-17'" in refused(session, so.UnknownIdError, lambda: session.steps("engine-71"))


# --- ids and x -------------------------------------------------------------------------------------------------------


def test_ids_and_x_of_different_numbers(session):
    assert refused(session, so.SessionError, lambda: session.step(["a", "b"], X[:3, 0])) == (
        "The session cannot tell which steps belong to which id.\n"
        "  where   arguments ids and x\n"
        "  got     2 ids and x for 3\n"
        "  wanted  an entry of x for each id\n"
        "  fix     give x[i] for ids[i]: (B, F) for one step each, (B, T, F) for several, or a list of (T, F)\n"
        "  more    sostenuto explain SO315"
    )
    assert "got     2 ids and x for 1\n" in refused(session, so.SessionError, lambda: session.step(["a", "b"], "xy"))


def test_ids_without_x(session):
    assert "got     list of 1\n  wanted  a dict of arrays by id, or ids and x\n" in refused(
        session, so.SessionError, lambda: session.step(["a"])
    )


@pytest.mark.parametrize(("ids", "shown"), [("a", "str"), (("a", "b"), "tuple of 2"), ({"a": 1}, "dict of 1")])
def test_ids_that_are_one_id_or_a_dict_beside_x(session, ids, shown):
    assert f"got     ids={shown} beside x\n" in refused(session, so.SessionError, lambda: session.step(ids, X[:1, 0]))


def test_ids_that_are_none(session):
    assert "These are no ids.\n" in refused(session, so.SessionError, lambda: session.step(7, X[:1, 0]))
    assert "got     object\n" in refused(session, so.SessionError, lambda: session.reset(object()))


# --- step= and at= ---------------------------------------------------------------------------------------------------


def test_a_step_that_was_counted_already(session):
    assert refused(
        session, so.SessionError, lambda: session.step({"b": X[1, 2], "a": X[0, 0]}, step={"a": 1, "b": 2})
    ) == (
        "A step of 'a' was counted already.\n"
        "  where   argument 'step', id 'a'\n"
        "  got     step 1\n"
        "  wanted  step 3, as 3 steps were counted; step 2 would repeat the last call\n"
        "  fix     leave it out; session.steps(id) says where an id stands\n"
        "  more    sostenuto explain SO313"
    )


def test_a_step_that_leaves_one_out(session):
    assert refused(session, so.SessionError, lambda: session.step(["new", "b"], X[:2, 0], step=[1, 2])) == (
        "A step of 'new' is missing.\n"
        "  where   argument 'step', id 'new'\n"
        "  got     step 1\n"
        "  wanted  step 0, as 0 steps were counted\n"
        "  fix     send the steps from 0 on first, or session.reset(id) to begin anew\n"
        "  more    sostenuto explain SO313"
    )


@pytest.mark.parametrize("numbered", [{"at": 9}, {"at": 9.5}, {"at": 10, "step": 2}])
def test_a_time_that_does_not_grow(session, numbered):
    assert refused(session, so.SessionError, lambda: session.step({"new": X[1, 0], "b": X[1, 2]}, **{
        name: {"new": None, "b": value} for name, value in numbered.items()
    })) == (
        "A step of 'b' comes too late.\n"
        "  where   argument 'at', id 'b'\n"
        f"  got     at={numbered['at']}\n"
        "  wanted  a time after 10, that of its last call\n"
        "  fix     send the steps of an id in the order of time; repeat a call with the time it had\n"
        "  more    sostenuto explain SO313"
    )  # fmt: skip


@pytest.mark.parametrize("numbered", [{"step": 0}, {"at": 10}])
def test_a_repeat_with_other_values(session, numbered):
    assert refused(session, so.SessionError, lambda: session.step({"b": X[1, 1:3]}, **numbered)) == (
        "A repeated step of 'b' was answered with other values.\n"
        "  where   step 0 -> session, id 'b'\n"
        "  got     other values for 2 steps\n"
        "  wanted  the 2 steps that were answered, to the last bit\n"
        "  fix     repeat the call as it was; number a new step with session.steps(id)\n"
        "  more    sostenuto explain SO314"
    )
    assert "got     1 step from there on\n" in refused(
        session, so.SessionError, lambda: session.step({"b": X[1, 0]}, **numbered)
    )


@pytest.mark.parametrize(
    ("step", "got"),
    [(-1, "-1 for 'a'"), (1.0, "1.0 for 'a'"), (True, "True for 'a'"), ("1", "str for 'a'"),
     (2**63, f"{2**63} for 'a'"), ([1], "step for 1"), ({"a": 3}, "no step for 'b'"),
     ({"a": 3, "b": 2, "c": 0}, "step for 'c', no id of this call"),
     (np.array([3.0, 2.0]), "3.0 for 'a'"), ([None, [2]], "list of 1 for 'b'")],
)  # fmt: skip
def test_step_numbers_that_are_none(session, step, got):
    text = refused(session, so.SessionError, lambda: session.step(["a", "b"], X[:2, 2], step=step))
    assert text.startswith(f"The session cannot read step=.\n  where   argument 'step'\n  got     {got}\n")
    assert text.endswith(
        "\n  fix     session.steps(id) is the number of the next step\n  more    sostenuto explain SO315"
    )


@pytest.mark.parametrize("at", ["noon", float("nan"), np.datetime64("NaT"), 2**64, True, [1, None, 3], b"1", object()])
def test_times_that_are_none(session, at):
    text = refused(session, so.SessionError, lambda: session.step(["a", "b"], X[:2, 2], at=at))
    assert text.startswith("The session cannot read at=.\n  where   argument 'at'\n  got     ")
    assert text.endswith("SO315")


# --- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ({"lstn": {}}, so.StateError, "There is no such layer.\n  where   set_state, id 'a'\n  got     'lstn'\n"
         "  wanted  names among 'lstm'\n  fix     write 'lstm'\n  more    sostenuto explain SO304"),
        ({"lstm": {"x": [1, 2]}}, so.StateError, "There is no such state of 'lstm'.\n  where   set_state, id 'a'\n"
         "  got     'x'\n  wanted  names among 'h', 'c'\n"
         "  fix     session.get_state(id) shows the layers and their states\n  more    sostenuto explain SO304"),
        ([1, 2], so.StateError, "These are no states by name.\n  where   set_state, id 'a'\n  got     list of 2\n"
         "  wanted  a dict by 'lstm'\n  fix     session.get_state(id) shows the layers and their states\n"
         "  more    sostenuto explain SO304"),
        ({"lstm": {"h": [[1.0, 2.0]]}}, so.StateError, "A state has another shape.\n"
         "  where   set_state, id 'a', state 'h' of 'lstm'\n  got     (1, 2) float64\n"
         "  wanted  (2,), one number per unit; nothing is broadcast\n"
         "  fix     pass a state as session.get_state(id) returns it\n  more    sostenuto explain SO302"),
        ({"lstm": {"h": [1.0, 1e39]}}, so.DataError, "A state would be missing or infinite.\n"
         "  where   set_state, id 'a', state 'h' of 'lstm'\n  got     1 such values (as float32)\n"
         "  wanted  finite numbers\n  fix     look where the state comes from\n  more    sostenuto explain SO205"),
    ],
)  # fmt: skip
def test_states_that_do_not_fit(model, state, error, text):
    session = model.session(hot=0)
    session.step({"a": X[0, 0]})
    assert refused(session, error, lambda: session.set_state("a", state)) == text


# --- opening and closing ---------------------------------------------------------------------------------------------


def test_a_closed_session(session):
    session.close()
    for call in (
        lambda: session.step({"a": X[0, 0]}),
        lambda: session.peek({"a": X[0, 0]}),
        lambda: session.reset("a"),
        lambda: session.forget("a"),
        lambda: session.copy("a", "b"),
        lambda: session.get_state("a"),
        lambda: session.set_state("a", {}),
        lambda: session.steps("a"),
        lambda: session.evict(),
        lambda: session.ids(),
        lambda: len(session),
        lambda: "a" in session,
    ):
        with pytest.raises(so.SessionError) as caught:
            call()
        assert str(caught.value) == (
            "The session is closed.\n"
            "  where   the session of SequenceModel 'm'\n"
            "  got     a call after close()\n"
            "  wanted  an open session\n"
            "  fix     open another with model.session(store=...)\n"
            "  more    sostenuto explain SO315"
        )


def test_a_model_that_is_not_built():
    with pytest.raises(so.ModelError) as caught:
        so.SequenceModel([so.GRU(2)], name="m").session()
    assert str(caught.value) == (
        "SequenceModel 'm' is not built.\n"
        "  where   session\n"
        "  got     layers without weights: how many features a step has is not known yet\n"
        "  wanted  a model that was built, fitted or loaded\n"
        "  fix     model.build(features), or fit it first\n"
        "  more    sostenuto explain SO608"
    )


def test_a_model_of_keras_itself():
    with pytest.raises(so.ModelError) as caught:
        so.Session(keras.Sequential([keras.layers.GRU(2)]))
    assert str(caught.value) == (
        "A session runs a SequenceModel.\n"
        "  where   argument 'model'\n"
        "  got     Sequential\n"
        "  wanted  a so.SequenceModel\n"
        "  fix     wrap it: so.SequenceModel(model)\n"
        "  more    sostenuto explain SO601"
    )


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [so.Bidirectional(so.GRU(2))],
        lambda: [so.GRU(2, go_backwards=True)],
        lambda: [keras.layers.Conv1D(2, 3, padding="causal"), so.GRU(2)],
    ],
)
def test_a_model_that_cannot_be_run_in_pieces(layers, tmp_path):
    with pytest.raises(so.ModelError, match="SO607"):
        built(layers()).session(tmp_path / "states.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error", "got"),
    [
        ({"hot": -1}, so.DataError, "-1"),
        ({"hot": 1.5}, so.DataError, "1.5"),
        ({"other_model": "frsh"}, so.DataError, "'frsh'"),
        ({"strict": "yes"}, so.DataError, "'yes'"),
        ({"idle": 0}, so.SessionError, "0"),
        ({"idle": "1"}, so.SessionError, "'1'"),
        ({"on_evict": "f"}, so.SessionError, "'f'"),
        ({"store": 7}, so.StoreError, "int"),
    ],
)
def test_options_that_cannot_be_meant(model, options, error, got):
    with pytest.raises(error) as caught:
        model.session(**options)
    assert caught.value.got == got
    assert caught.value.where == f"argument '{next(iter(options))}'"
    assert caught.value.code in ("SO214", "SO315", "SO901")


# --- stores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [b"garbage", pack(Record(1, None, 1, 0, [np.zeros(2, "float32")])),
     pack(Record(1, None, 1, 0, [np.zeros(2, "float32"), np.zeros(3, "float32")])),
     pack(Record(1, None, 1, 0, [np.zeros(2, "float64"), np.zeros(2, "float64")]))],
    ids=["garbage", "one state", "another size", "another dtype"],
)  # fmt: skip
def test_a_damaged_record_is_named_and_left(session, record):
    (entry,) = session.store.read(["b"])
    session.store.write([Change("b", entry.revision, record)])
    session.evict("b")
    for call in (
        lambda: session.step({"a": X[0, 3], "b": X[1, 3]}),
        lambda: session.peek({"b": X[1, 3]}),
        lambda: session.get_state("b"),
        lambda: session.copy("b", "c"),
    ):
        text = refused(session, so.StoreError, call)
        assert "'b'" in text
        assert text.endswith("SO906")
    session.reset("b")
    session.step({"a": X[0, 3], "b": X[1, 3]})
