"""A hold gives what the session gives: answers, states, step numbers, and records once it is kept; to the last bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sostenuto as so
from tests.sessions.models import FEATURES, KINDS, LENGTH, SEQUENCES, TOKENS, case, model_of

FOUND = case("stacked")
X, RIGHT = FOUND.values, FOUND.right
IDS = ["a", "b", 7, ("c", 1)]


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def same(one: dict, two: dict) -> None:
    """States by name, to the last bit."""
    assert one.keys() == two.keys()
    for layer in one:
        assert one[layer].keys() == two[layer].keys()
        for state in one[layer]:
            np.testing.assert_array_equal(one[layer][state], two[layer][state])


def records(session, ids=IDS) -> list:
    return [entry and entry.record for entry in session.store.read(ids)]


# --- the same as without a hold --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_gives_what_its_sequence_gives(kind):
    found = case(kind)
    session = found.model.session()
    with session.hold(IDS) as rows:
        for step in range(LENGTH):
            close(rows.step(found.values[:, step]), found.right[:, step])
        assert rows.steps.tolist() == [LENGTH] * SEQUENCES
        held = rows.get_state()
    for row, id in enumerate(IDS):
        assert session.steps(id) == LENGTH
        same(session.get_state(id), {of: {name: a[row] for name, a in held[of].items()} for of in held})


class Twins:
    """A session that holds its ids and one that steps them, each on a store of its own, do the same."""

    def __init__(self, kind: str, data, folder: str) -> None:
        self.model, self.data, self.kind = case(kind).model, data, kind
        self.paths = [str(Path(folder) / name) for name in ("held.db", "stepped.db")]
        self.rows = None
        self.time = 0
        self.open()

    def draw(self, strategy):
        return self.data.draw(strategy)

    def open(self) -> None:
        hot = self.draw(st.sampled_from([0, 1, 100]))
        self.holding, self.stepping = (self.model.session(path, hot=hot) for path in self.paths)

    def some(self) -> list:
        return self.draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=3, unique_by=repr))

    def x(self, rows: int) -> np.ndarray:
        rng = np.random.default_rng(self.draw(st.integers(0, 99)))
        if self.kind == "tokens":
            return rng.integers(0, TOKENS, rows).astype(self.draw(st.sampled_from(["int32", "int64"])))
        return rng.normal(size=(rows, FEATURES)).astype(self.draw(st.sampled_from(["float32", "float64"])))

    def hold(self) -> None:
        self.rows = self.holding.hold(self.some())

    def step(self) -> None:
        x = self.x(len(self.rows))
        out = None
        wanted = self.stepping.step(list(self.rows.ids), x)
        if self.draw(st.booleans()):
            out = np.empty_like(wanted)
        said = self.rows.step(x.copy(), out=out)
        np.testing.assert_array_equal(said, wanted)
        assert out is None or said is out
        x[:] = 0  # what the caller does with its arrays afterwards is its own affair
        said[:] = 0

    def others(self) -> None:
        """Ids that are not held go on meanwhile."""
        free = [id for id in IDS if self.rows is None or id not in self.rows.ids]
        if free:
            x = self.x(len(free))
            self.time += 1
            said = [session.step(free, x, at=self.time) for session in (self.holding, self.stepping)]
            np.testing.assert_array_equal(*said)
            for session in (self.holding, self.stepping):
                session.forget(free[:1])

    def reset(self) -> None:
        chosen = self.draw(st.none() | st.lists(st.integers(0, len(self.rows) - 1), unique=True))
        self.rows.reset(chosen)
        ids = self.rows.ids if chosen is None else [self.rows.ids[row] for row in chosen]
        self.stepping.reset(list(ids))

    def evict(self) -> None:
        self.holding.evict()

    def keep(self) -> None:
        self.rows.keep()
        self.agree()

    def leave(self) -> None:
        self.rows.close()
        self.rows = None
        self.agree()

    def reopen(self) -> None:
        self.holding.close()  # and what it holds
        self.stepping.close()
        self.rows = None
        self.open()
        self.agree()

    def agree(self) -> None:
        assert records(self.holding) == records(self.stepping)

    def run(self) -> None:
        for _ in range(self.draw(st.integers(3, 15))):
            if self.rows is None:
                verbs = ["hold", "hold", "others", "reopen"]
            else:
                verbs = ["step"] * 6 + ["others", "reset", "evict", "keep", "leave", "reopen"]
            getattr(self, self.draw(st.sampled_from(verbs)))()
            if self.rows is not None:
                ids = [id for id in self.rows.ids if id in self.stepping]
                counts = dict(zip(self.rows.ids, self.rows.steps.tolist(), strict=True))
                assert [counts[id] for id in ids] == [self.stepping.steps(id) for id in ids]
        self.reopen()
        for id in self.stepping:
            same(self.holding.get_state(id), self.stepping.get_state(id))
        self.holding.close()
        self.stepping.close()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(data=st.data())
def test_a_session_that_holds_and_one_that_steps(kind, data):
    with tempfile.TemporaryDirectory() as folder:
        Twins(kind, data, folder).run()


def test_the_time_of_an_earlier_call_stays_and_a_reset_forgets_it():
    held, stepped = FOUND.model.session(), FOUND.model.session()
    for session in (held, stepped):
        session.step(IDS, X[:, 0], at=5)
    with held.hold(IDS) as rows:
        rows.step(X[:, 1])
        rows.reset([2])
    stepped.step(IDS, X[:, 1])
    stepped.reset(7)
    assert records(held) == records(stepped)


@pytest.mark.parametrize("kind", ["stacked", "last", "tokens"])
def test_the_last_step_of_a_hold_is_recognised_when_it_is_repeated(kind):
    found = case(kind)
    session = found.model.session()
    with session.hold(IDS) as rows:
        for step in range(3):
            said = rows.step(found.values[:, step])
    np.testing.assert_array_equal(session.step(IDS, found.values[:, 2], step=2), said)
    assert session.steps("a") == 3
    with pytest.raises(so.SessionError, match="SO314"):
        session.step(IDS, found.values[:, 3], step=2)
    with pytest.raises(so.SessionError, match="SO313"):
        session.step(IDS, found.values[:, 1], step=1)
    close(session.step(IDS, found.values[:, 3], step=3), found.right[:, 3])


def test_the_weights_of_the_model_are_read_at_every_step():
    model = model_of("stacked")
    session, beside = model.session(), model.session()
    with session.hold(IDS) as rows:
        for step in range(4):
            np.testing.assert_array_equal(rows.step(X[:, step]), beside.step(IDS, X[:, step]))
            for weight in model.weights:
                weight.assign(weight * 0.5)


def test_more_ids_than_a_batch_holds():
    found = case("last")
    ids = list(range(1500))
    places = np.arange(1500) % SEQUENCES
    with found.model.session(hot=700).hold(np.array(ids)) as rows:
        for step in range(3):
            said = rows.step(found.values[places, step])
        close(said, found.right[places, 2])


def test_a_declared_number_of_steps(rng):
    model = so.SequenceModel([keras.Input((5, 2)), so.GRU(3, return_sequences=True), keras.layers.Dense(1)])
    x = rng.normal(size=(2, 5, 2)).astype("float32")
    right = model.predict(list(x), verbose=0)
    with model.session().hold(["a", "b"]) as rows:
        for step in range(5):
            close(rows.step(x[:, step]), np.stack([right[0][step], right[1][step]]))


def test_one_id_and_none():
    session = FOUND.model.session()
    with session.hold("a") as rows:
        assert rows.ids == ("a",)
        close(rows.step(X[:1, 0]), RIGHT[:1, 0])
    with session.hold([]) as rows:
        assert rows.step(X[:0, 0]).shape == (0, 2)
        rows.reset()
    assert list(session) == ["a"]


# --- when it is kept -------------------------------------------------------------------------------------------------


def test_the_store_learns_at_keep_and_at_the_end():
    session = FOUND.model.session()
    with session.hold(["a", "b"]) as rows:
        rows.keep()
        rows.step(X[:2, 0])
        assert list(session) == []
        rows.keep()
        entries = session.store.read(["a", "b"])
        rows.keep()
        assert session.store.read(["a", "b"]) == entries  # there was nothing to write
        rows.reset([1])
        rows.keep()
        assert session.store.read(["a"]) == entries[:1] != session.store.read(["b"])
        rows.step(X[:2, 1])
        assert repr(rows) == "Held(2 ids, 1 step since keep())"
    assert repr(rows) == "Held(2 ids, closed)"
    assert (session.steps("a"), session.steps("b")) == (2, 1)
    rows.close()


def test_a_hold_that_took_no_step_leaves_no_trace():
    session = FOUND.model.session()
    with session.hold(["a", "b"]) as rows:
        assert rows.steps.tolist() == [0, 0]
    assert list(session) == []
    assert len(session._hot) == 0


def raise_after(_):
    raise ZeroDivisionError


def test_what_an_exception_ends_is_kept():
    session = FOUND.model.session()
    with pytest.raises(ZeroDivisionError), session.hold(["a"]) as rows:
        raise_after(rows.step(X[:1, 0]))
    close(session.step({"a": X[0, 1]}, step=1)["a"], RIGHT[0, 1])


def test_a_session_that_is_closed_keeps_what_it_holds(tmp_path):
    session = FOUND.model.session(tmp_path / "states.db")
    one, two = session.hold(["a"]), session.hold(["b"])
    one.step(X[:1, 0])
    two.step(X[1:2, 0])
    session.close()
    session.close()
    with pytest.raises(so.SessionError, match="The hold is closed"):
        one.step(X[:1, 1])
    with FOUND.model.session(tmp_path / "states.db") as session:
        close(session.step(["a", "b"], X[:2, 1], step=1), RIGHT[:2, 1])


def test_held_ids_are_not_evicted_and_rejoin_the_memory_at_the_end():
    gone = []
    session = FOUND.model.session(hot=2, idle=1e-9, on_evict=gone.extend)
    session.step(["a", "b"], X[:2, 0])
    rows = session.hold(["a", "b"])
    session.step(["c", "d"], X[2:, 0])
    session.evict()
    gone.clear()
    close(rows.step(X[:2, 1]), RIGHT[:2, 1])
    session.steps("c")
    assert not {"a", "b"} & set(gone)
    rows.close()
    assert list(session._hot) == ["a", "b"]
    close(session.step(["a", "b"], X[:2, 2], step=2), RIGHT[:2, 2])
