"""Looking at states and changing them by id: get, set, reset, copy, forget; which ids there are; the session's end."""

from __future__ import annotations

import numpy as np
import pytest

import sostenuto as so
from tests.sessions.models import case

FOUND = case("stacked")
X, RIGHT = FOUND.values, FOUND.right


@pytest.fixture(params=["memory", "SQLite"])
def session(request, tmp_path):
    store = None if request.param == "memory" else tmp_path / "states.db"
    with FOUND.model.session(store) as session:
        yield session


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def layers(session):
    return list(session.get_state("a"))


def test_states_go_by_layer_and_name(session):
    session.step({"a": X[0, :3], "b": X[1, :2]})
    state = session.get_state("a")
    lstm, gru = state
    assert {layer: {name: array.shape for name, array in of.items()} for layer, of in state.items()} == {
        lstm: {"h": (5,), "c": (5,)},
        gru: {"h": (4,)},
    }
    session.evict()
    for layer in state:
        for name in state[layer]:
            np.testing.assert_array_equal(session.get_state("a")[layer][name], state[layer][name])
    state[lstm]["h"][:] = 9
    assert not (session.get_state("a")[lstm]["h"] == 9).any()


def test_layers_of_one_name_and_stacked_cells_are_told_apart():
    session = case("cells").model.session()
    session.reset("a")
    (states,) = session.get_state("a").values()
    assert {name: state.shape for name, state in states.items()} == {"0.h": (3,), "1.h": (4,), "1.c": (4,)}
    assert set(case("branches").model.session().explain().splitlines()[3][10:].split(", ")) >= {
        "slow h (3,) float32", "fast c (4,) float32",
    }  # fmt: skip


def test_a_state_that_is_set_is_gone_on_from(session):
    session.step({"a": X[0, :3], "b": X[1, :5]})
    session.set_state("b", session.get_state("a"))
    session.set_state("new", session.get_state("a"))
    said = session.step({"a": X[0, 3], "b": X[0, 3], "new": X[0, 3]})
    for id in said:
        close(said[id], RIGHT[0, 3])
    assert {id: session.steps(id) for id in said} == {"a": 4, "b": 6, "new": 1}


def test_states_not_named_stay(session):
    session.step({"a": X[0, :3]})
    before = session.get_state("a")
    lstm, gru = before
    session.set_state("a", {lstm: {"c": np.arange(5)}})
    after = session.get_state("a")
    np.testing.assert_array_equal(after[lstm]["c"], np.arange(5))
    np.testing.assert_array_equal(after[lstm]["h"], before[lstm]["h"])
    np.testing.assert_array_equal(after[gru]["h"], before[gru]["h"])
    assert after[lstm]["c"].dtype == np.float32


def test_the_answer_of_a_step_outlives_a_state_that_is_set(session):
    said = session.step({"a": X[0, 0]}, step=0)
    session.set_state("a", session.get_state("a"))
    np.testing.assert_array_equal(session.step({"a": X[0, 0]}, step=0)["a"], said["a"])


def test_reset_begins_anew_and_makes_known(session):
    session.step({"a": X[0, :3]})
    session.reset(["a", "new"])
    assert {id: session.steps(id) for id in session} == {"a": 0, "new": 0}
    assert not any(state.any() for of in session.get_state("new").values() for state in of.values())
    close(session.step({"a": X[0, 0]})["a"], RIGHT[0, 0])


def test_learned_first_states_are_where_ids_begin():
    found = case("learned")
    session = found.model.session()
    session.reset("a")
    states = [state for of in session.get_state("a").values() for state in of.values()]
    for state, vector in zip(states, found.model.start.vectors, strict=True):
        np.testing.assert_array_equal(state, np.asarray(vector))
    close(session.step({"a": found.values[0, :3]})["a"], found.right[0, 2])


def test_a_copy_goes_its_own_way(session):
    said = session.step({"a": X[0, :3]}, step=0, at=7)
    session.copy("a", "b")
    np.testing.assert_array_equal(session.step({"b": X[0, :3]}, step=0)["b"], said["a"])
    close(session.step({"b": X[0, 3]}, step=3, at=8)["b"], RIGHT[0, 3])
    assert (session.steps("a"), session.steps("b")) == (3, 4)
    session.copy("b", "a")
    session.copy("a", "a")
    assert session.steps("a") == 4
    close(session.step({"a": X[0, 4]})["a"], RIGHT[0, 4])


def test_what_is_forgotten_begins_anew(session):
    session.step({"a": X[0, :3], "b": X[1, :3], 7: X[2, :3]})
    session.forget(["a", 7, "never"])
    assert list(session) == ["b"]
    assert "a" not in session
    assert "b" in session
    close(session.step({"a": X[0, 0]}, step=0)["a"], RIGHT[0, 0])


def test_ids_stream_and_are_counted(session):
    assert (len(session), list(session.ids()), bool(session)) == (0, [], True)
    session.step({"a": X[0, 0], 7: X[0, 0], ("a", 7): X[0, 0]})
    session.evict("a")
    assert (len(session), set(session.ids()), set(session)) == (3, {"a", 7, ("a", 7)}, {"a", 7, ("a", 7)})
    assert "7" not in session


def test_a_store_that_was_passed_stays_open():
    store = so.MemoryStore()
    with FOUND.model.session(store) as session:
        session.step({"a": X[0, 0]})
    assert list(store.ids()) == ["a"]
    session.close()
    assert repr(session) == "Session(SequenceModel 'stacked', closed)"


def test_a_store_that_was_opened_is_closed(tmp_path):
    with FOUND.model.session(str(tmp_path / "states.db")) as session:
        session.step({"a": X[0, 0]})
    with pytest.raises(so.StoreError):
        session.store.read(["a"])
    with FOUND.model.session(tmp_path / "states.db") as session:
        close(session.step({"a": X[0, 1]}, step=1)["a"], RIGHT[0, 1])


def test_it_says_what_it_is(tmp_path):
    session = FOUND.model.session(hot=5, idle=60)
    assert repr(session) == "Session(SequenceModel 'stacked', memory, 0 ids in memory)"
    session.step({"a": X[0, 0]})
    lines = session.explain().splitlines()
    assert [line.split()[0] for line in lines] == ["model", "sums", "batches", "states", "memory", "store"]
    assert lines[4] == "memory    1 id of at most 5, 60 s without use"
