"""The forms of a call, step numbers and times, repeats, calls with nothing in them, calls from several threads."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.kernels import Declined
from sostenuto.models import stepping
from tests.sessions.models import SEQUENCES, case, model_of


@pytest.fixture
def session():
    with case("stacked").model.session() as session:
        yield session


X = case("stacked").values
RIGHT = case("stacked").right


def close(got, wanted):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_forms_give_the_same(session):
    by_id = session.peek({"a": X[0, 0], "b": X[1, 0]})
    close(by_id["a"], RIGHT[0, 0])
    close(session.peek(["a", "b"], X[:2, 0]), RIGHT[:2, 0])
    close(session.peek(np.array(["a", "b"]), X[:2, :3]), RIGHT[:2, :3])
    close(session.peek(["a", "b"], X[:2, 0].tolist()), RIGHT[:2, 0])
    close(session.peek(["a", "b"], X[:2, 0].astype("float64")), RIGHT[:2, 0])
    close(session.peek([1], [X[0, :3]]), RIGHT[:1, :3])
    ragged = session.peek(["a", "b"], [X[0, :3], X[1, 0]])
    assert isinstance(ragged, list)
    close(ragged[0], RIGHT[0, :3])
    close(ragged[1], RIGHT[1, 0])
    assert len(session) == 0


def test_token_forms():
    found = case("tokens")
    session = found.model.session()
    close(session.peek({"a": int(found.values[0, 0])})["a"], found.right[0, 0])
    close(session.peek(range(SEQUENCES), found.values[:, 0]), found.right[:, 0])
    close(session.peek(range(SEQUENCES), found.values.astype("uint8")), found.right)
    ragged = session.step({"a": found.values[0, :5], "b": found.values[1, 0], "c": found.values[2, :0]})
    close(ragged["a"], found.right[0, :5])
    close(ragged["b"], found.right[1, 0])
    assert ragged["c"].shape == (0, *found.right.shape[2:])
    assert sorted(session) == ["a", "b"]


def test_one_feature_may_come_as_a_number():
    model = so.SequenceModel([so.GRU(2)])
    model.build(1)
    session = model.session()
    close(session.peek({"a": 0.5})["a"], session.peek({"a": np.array([0.5])})["a"])
    close(session.peek(["a", "b"], [0.5, 0.5]), session.peek(["a", "b"], np.full((2, 1), 0.5)))


def test_tensors_of_other_frameworks_are_taken(session):
    torch = pytest.importorskip("torch")
    close(session.peek(["a", "b"], torch.tensor(X[:2, 0])), RIGHT[:2, 0])
    close(session.peek({"a": torch.tensor(X[0, :2])})["a"], RIGHT[0, :2])


def test_nothing_is_nothing(session):
    assert session.step({}) == {}
    assert session.step([], np.zeros((0, 3))).shape == (0, 2)
    assert session.step({"a": np.zeros((0, 3))})["a"].shape == (0, 2)
    assert len(session) == 0
    session.step({"a": X[0, 0]}, at=5)
    before = session.store.read(["a"])
    assert session.step({"a": np.zeros((0, 3))}, step=1, at=9)["a"].shape == (0, 2)
    assert session.store.read(["a"]) == before


def test_no_steps_of_a_model_with_an_output_per_sequence_give_the_output_so_far():
    found = case("last")
    session = found.model.session()
    close(session.step({"a": found.values[0, :4]})["a"], found.right[0, 3])
    said = session.step({"a": found.values[0, :0], "b": found.values[1, :2]})
    close(said["a"], found.right[0, 3])
    close(said["b"], found.right[1, 1])
    assert (session.steps("a"), session.steps("b")) == (4, 2)


def test_answers_are_the_callers_own(session):
    said = session.step({"a": X[0, :2], "b": X[1, :2]}, step=0)
    kept = said["a"].copy()
    said["a"][:] = 99
    np.testing.assert_array_equal(session.step({"a": X[0, :2]}, step=0)["a"], kept)
    given = X[2].copy()
    session.step({"c": given[0]})
    given[:] = 99
    close(session.step({"c": X[2, 1]})["c"], RIGHT[2, 1])


@pytest.mark.parametrize("where", ["memory", "store", "reopened"])
def test_a_repeat_returns_the_recorded_answer_and_counts_nothing(where, tmp_path):
    model = case("stacked").model
    path = tmp_path / "states.db"
    session = model.session(path)
    session.step({"a": X[0, 0], "b": X[1, 0]})
    first = session.step({"a": X[0, 1:3], "b": X[1, 1]}, step=1)
    if where == "store":
        session.evict()
    elif where == "reopened":
        session.close()
        session = model.session(path)
    before = session.store.read(["a", "b"])
    again = session.step({"a": X[0, 1:3], "b": X[1, 1], "new": X[2, 0]}, step={"a": 1, "b": 1, "new": 0})
    np.testing.assert_array_equal(again["a"], first["a"])
    np.testing.assert_array_equal(again["b"], first["b"])
    close(again["new"], RIGHT[2, 0])
    assert session.store.read(["a", "b"]) == before
    assert (session.steps("a"), session.steps("b"), session.steps("new")) == (3, 2, 1)
    close(session.step({"a": X[0, 3]}, step=3)["a"], RIGHT[0, 3])
    session.close()


def test_a_repeat_takes_the_form_of_its_call(session):
    first = session.step({"a": X[0, 0]}, step=0)["a"]
    assert first.shape == (2,)
    np.testing.assert_array_equal(session.step(["a"], X[:1, :1], step=[0]), first[None, None])


def test_times_tell_repeats_as_well(session):
    noon = np.datetime64("2026-05-01T12:00")
    first = session.step(["a", "b"], X[:2, 0], at=[noon, noon + 1])
    close(session.step({"a": X[0, 1]}, at={"a": noon + np.timedelta64(1, "s")})["a"], RIGHT[0, 1])
    np.testing.assert_array_equal(session.step({"b": X[1, 0]}, at=np.array([noon + 1]))["b"], first[1])
    assert (session.steps("a"), session.steps("b")) == (2, 1)
    session.step({"c": X[2, 0]}, at=1)
    session.step({"c": X[2, 1]}, at=1.5)
    session.step({"c": X[2, 2]})
    session.step({"c": X[2, 3]}, at=2**60)
    assert session.steps("c") == 4


def test_a_step_number_decides_before_the_time(session):
    """A call that is sent again may bear the time of its sending."""
    first = session.step({"a": X[0, 0]}, step=0, at=10)
    np.testing.assert_array_equal(session.step({"a": X[0, 0]}, step=0, at=12)["a"], first["a"])
    session.step({"a": X[0, 1]}, step=1, at=11)
    assert session.steps("a") == 2


def test_a_time_is_remembered_past_calls_without_one(session):
    session.step({"a": X[0, 0]}, at=10)
    session.step({"a": X[0, 1]})
    with pytest.raises(so.SessionError):
        session.step({"a": X[0, 2]}, at=9)
    session.step({"a": X[0, 2]}, at=11)
    assert session.steps("a") == 3


def test_after_a_reset_counting_begins_anew(session):
    session.step({"a": X[0, :4]}, step=0, at=100)
    session.reset("a")
    assert session.steps("a") == 0
    close(session.step({"a": X[1, 0]}, step=0, at=1)["a"], RIGHT[1, 0])


def test_threads_take_turns():
    """Each thread steps ids of its own and one that all share; nothing is lost, and nothing is mixed up."""
    found = case("stacked")
    session = found.model.session(hot=3)
    errors = []

    def work(name: int) -> None:
        try:
            for step in range(10):
                said = session.step({("own", name): X[name, step], "shared": np.zeros(3)})
                close(said["own", name], RIGHT[name, step])
                session.peek({("own", name): X[0, 0]})
                session.evict([("own", name)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[name]) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert session.steps("shared") == 40
    assert [session.steps(("own", name)) for name in range(4)] == [10] * 4


def test_each_shape_is_run_once_per_bucket(monkeypatch):
    """Whatever numbers of ids and steps come, the backend only ever sees powers of two: so few shapes are compiled."""
    monkeypatch.setattr(stepping, "compile_program", lambda model: Declined("a test wants the backend"))
    session = model_of("stacked").session()
    seen = []
    run = stepping.StepFunction.__call__

    def seeing(self, values, lengths, states):
        seen.append(values.shape)
        return run(self, values, lengths, states)

    monkeypatch.setattr(stepping.StepFunction, "__call__", seeing)
    for rows in (1, 2, 3, 4, 2, 3):
        for steps in (1, 2, 2):
            session.peek(list(range(rows)), np.zeros((rows, steps, 3)))
    assert set(seen) == {(rows, steps, 3) for rows in (1, 2, 4) for steps in (1, 2)}
    seen.clear()
    session.peek({0: X[0, 0], 1: X[1, :2], 2: X[2, 0], 3: X[3, :2]})
    assert seen == [(2, 1, 3), (2, 2, 3)]
    assert session.explain().splitlines()[2] == "batches   1 x 1, 1 x 2, 2 x 1, 2 x 2, 4 x 1, 4 x 2 (rows x steps)"


def test_a_bucket_is_compiled_once():
    if keras.backend.backend() == "torch":
        pytest.skip("torch runs eagerly: there is nothing to compile")

    traced = []

    class Traced(keras.layers.Layer):
        def call(self, inputs):
            traced.append(inputs.shape)
            return inputs

        def compute_output_shape(self, shape):
            return shape

    model = so.SequenceModel([Traced(), so.GRU(2)])
    model.build(3)
    session = model.session()
    traced.clear()
    for rows in (3, 4, 3, 4):
        session.step(list(range(rows)), np.ones((rows, 3)))
    other = model.session()
    other.step([1, 2, 3], np.ones((3, 3)))
    assert [tuple(shape) for shape in traced] == [(4, 1, 3)]


@pytest.mark.parametrize("change", ["trained in chunks", "frozen"])
def test_a_model_may_change_beside_its_session(change):
    """Shapes compiled later are compiled for the variables that there are by then."""
    model = so.SequenceModel([so.GRU(3, return_sequences=True), keras.layers.Dense(1)])
    model.build(3)
    session = model.session()
    session.step({"a": X[0, 0]})
    if change == "frozen":
        model.inner.layers[-1].trainable = False
    else:
        model.compile("sgd", "mse")
        model.fit(list(X[:2]), [np.ones((12, 1), "float32")] * 2, chunk=5, verbose=0)
    right = model.predict({"b": X[0], "c": X[1]}, verbose=0)
    said = session.step({"b": X[0, 0], "c": X[1, :4]})
    close(said["b"], right["b"][0])
    close(said["c"], right["c"][:4])
