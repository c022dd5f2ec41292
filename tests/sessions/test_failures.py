"""A store that fails, or that somebody else writes to: a call counts whole or not at all, and the next one is right."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import sostenuto as so
from tests.sessions.models import case

FOUND = case("stacked")
X, RIGHT = FOUND.values, FOUND.right


class Failing(so.MemoryStore):
    """Refuses to write, before or after it has written, when it is told to."""

    fails = ""

    def write(self, changes):
        if self.fails == "before":
            raise self.error()
        revision = super().write(changes)
        if self.fails == "after":
            raise self.error()
        return revision

    @staticmethod
    def error():
        return so.StoreError("No.", code="SO905", where="here", got="a full disk", wanted="room", fix="make room")


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, atol=1e-5)


CALLS = {
    "step": lambda session: session.step({"a": X[0, 1:3], "new": X[1, 0]}, step={"a": 1, "new": 0}),
    "reset": lambda session: session.reset(["a", "new"]),
    "forget": lambda session: session.forget(["a", "new"]),
    "copy": lambda session: session.copy("a", "new"),
    "set_state": lambda session: session.set_state("a", {}),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_cannot_write_leaves_all_as_it_was(call):
    store = Failing()
    gone = []
    session = FOUND.model.session(store, on_evict=gone.append)
    session.step({"a": X[0, 0], "b": X[1, 0]}, at=1)
    entries, state = store.read(["a", "b", "new"]), session.get_state("a")
    store.fails = "before"
    with pytest.raises(so.StoreError, match="a full disk"):
        CALLS[call](session)
    store.fails = ""
    assert store.read(["a", "b", "new"]) == entries
    assert {id: session.steps(id) for id in session} == {"a": 1, "b": 1}
    for layer, of in session.get_state("a").items():
        for name, array in of.items():
            np.testing.assert_array_equal(array, state[layer][name])
    close(session.step({"a": X[0, 1]}, step=1)["a"], RIGHT[0, 1])
    close(session.step({"b": X[1, 1:3]}, step=1)["b"], RIGHT[1, 1:3])
    assert gone == []


def test_a_write_whose_answer_was_lost_is_seen_by_the_next_call():
    """As where a server kept the call and the connection broke: repeating it with step= counts it once."""
    store = Failing()
    session = FOUND.model.session(store)
    session.step({"a": X[0, 0]})
    store.fails = "after"
    with pytest.raises(so.StoreError):
        session.step({"a": X[0, 1:3], "b": X[1, 0]}, step={"a": 1, "b": 0})
    store.fails = ""
    said = session.step({"a": X[0, 1:3], "b": X[1, 0]}, step={"a": 1, "b": 0})
    close(said["a"], RIGHT[0, 1:3])
    close(said["b"], RIGHT[1, 0])
    assert {id: session.steps(id) for id in session} == {"a": 3, "b": 1}


def test_a_model_that_fails_leaves_all_as_it_was(monkeypatch):
    session = FOUND.model.session()
    session.step({"a": X[0, 0]})

    def fail(*_):
        raise MemoryError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(type(session._runner), "__call__", fail)
        with pytest.raises(MemoryError):
            session.step({"a": X[0, 1]})
    assert {id: session.steps(id) for id in session} == {"a": 1}
    close(session.step({"a": X[0, 1]})["a"], RIGHT[0, 1])


@pytest.mark.parametrize("kind", ["memory", "SQLite"])
def test_of_two_owners_the_later_one_is_told_and_goes_on_from_what_is_there(kind, tmp_path):
    store = so.MemoryStore() if kind == "memory" else tmp_path / "states.db"
    one, two = FOUND.model.session(store), FOUND.model.session(store)
    one.step({"a": X[0, 0], "b": X[1, 0], "c": X[2, 0]})
    two.step({"a": X[0, 1]})
    entries = one.store.read(["a", "b", "new"])
    with pytest.raises(so.ConflictError) as caught:
        one.step({"b": X[1, 1], "a": X[0, 1], "new": X[3, 0]})
    assert "got     'a': revision" in str(caught.value)
    assert one.store.read(["a", "b", "new"]) == entries
    close(one.step({"b": X[1, 1], "a": X[0, 2], "new": X[3, 0]}, step={"b": 1, "a": 2, "new": 0})["a"], RIGHT[0, 2])
    two.forget("c")
    with pytest.raises(so.ConflictError):
        one.step({"c": X[2, 1]})
    close(one.step({"c": X[2, 0]}, step=0)["c"], RIGHT[2, 0])
    one.close()
    two.close()


def test_a_repeat_of_an_id_that_somebody_else_moved_is_no_repeat():
    """Its recorded answer belongs to another step by now."""
    store = so.MemoryStore()
    one, two = FOUND.model.session(store), FOUND.model.session(store)
    one.step({"a": X[0, 0]}, step=0)
    two.step({"a": X[0, 1]}, step=1)
    with pytest.raises(so.ConflictError):
        one.step({"a": X[0, 0]}, step=0)
    with pytest.raises(so.SessionError, match="SO313"):
        one.step({"a": X[0, 0]}, step=0)
    close(one.step({"a": X[0, 1]}, step=1)["a"], RIGHT[0, 1])
    assert one.steps("a") == 2


def test_two_owners_in_two_threads_lose_no_step(tmp_path):
    """Each repeats what was refused; every step is counted once."""
    path = tmp_path / "states.db"
    sessions = [FOUND.model.session(path) for _ in range(2)]
    sessions[0].reset("shared")
    done = [0, 0]

    def work(number: int) -> None:
        for _ in range(15):
            while True:
                try:
                    sessions[number].step({"shared": np.zeros(3), (number, "own"): np.zeros(3)})
                except so.ConflictError:
                    continue
                done[number] += 1
                break

    threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [15, 15]
    fresh = FOUND.model.session(path)
    assert {id: fresh.steps(id) for id in fresh} == {"shared": 30, (0, "own"): 15, (1, "own"): 15}
    for session in (*sessions, fresh):
        session.close()


def test_a_store_that_can_only_be_read(tmp_path):
    """What is there can be looked at; a step is refused and changes nothing."""
    path = tmp_path / "states.db"
    with FOUND.model.session(path) as session:
        session.step({"a": X[0, 0]})
    store = so.SQLiteStore(path)
    store._shards[0].read_only = "it may only be read"
    with FOUND.model.session(store) as session:
        close(session.peek({"a": X[0, 1]})["a"], RIGHT[0, 1])
        assert session.steps("a") == 1
        with pytest.raises(so.StoreError, match="SO905"):
            session.step({"a": X[0, 1]})
        assert session.steps("a") == 1
    store.close()
