"""Ids leave memory for the store, never for nothing: by count, by idle time, when told to; and a hook learns of it."""

from __future__ import annotations

import numpy as np
import pytest

from sostenuto.sessions import hot
from tests.sessions.models import case

FOUND = case("last")
X, RIGHT = FOUND.values, FOUND.right


def step(session, ids, steps):
    steps = dict(zip(ids, np.broadcast_to(steps, len(ids)).tolist(), strict=True))
    said = session.step({id: X[id % 4, step] for id, step in steps.items()}, step=steps)
    for id, step in steps.items():
        np.testing.assert_allclose(said[id], RIGHT[id % 4, step], atol=1e-5)


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 100])
def test_the_least_recently_used_leave_first_and_nothing_is_lost(limit):
    gone = []
    session = FOUND.model.session(hot=limit, on_evict=gone.append)
    step(session, [0, 1, 2, 3], 0)
    step(session, [2, 0], 1)
    assert session.explain().splitlines()[4] == f"memory    {min(limit, 4)} id{'s' * (limit != 1)} of at most {limit}"
    step(session, [1, 3], 1)
    step(session, [3, 2, 1, 0], 2)
    assert {id: session.steps(id) for id in range(4)} == dict.fromkeys(range(4), 3)
    first = {0: [[0, 1, 2, 3], [2, 0]], 1: [[0, 1, 2], [2, 3]], 3: [[0], [1]], 4: [], 100: []}[limit]
    assert gone[: len(first)] == first
    assert len(session._hot) == min(limit, 4)


def test_idle_ids_leave(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(hot, "monotonic", lambda: now[0])
    gone = []
    session = FOUND.model.session(idle=10, on_evict=gone.append)
    step(session, [0, 1], 0)
    now[0] = 106
    step(session, [1], 1)
    now[0] = 109.9
    session.peek({3: X[3, 0]})
    assert gone == []
    now[0] = 111
    session.peek({3: X[3, 0]})
    assert gone == [[0]]
    step(session, [1, 2], [2, 0])
    step(session, [1], 3)
    now[0] = 120.5
    session.peek({3: X[3, 0]})
    assert gone == [[0]]
    now[0] = 1000
    step(session, [1], 4)
    step(session, [0], 1)
    assert gone == [[0], [2, 1]]


def test_a_refused_call_tells_of_idle_ids_too(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(hot, "monotonic", lambda: now[0])
    gone = []
    session = FOUND.model.session(idle=10, on_evict=gone.append)
    step(session, [0], 0)
    now[0] = 200
    with pytest.raises(ValueError, match="SO313"):
        session.step({0: X[0, 0]}, step=5)
    assert gone == [[0]]


def test_evict_by_hand():
    gone = []
    session = FOUND.model.session(on_evict=gone.append)
    step(session, [0, 1, 2], 0)
    session.evict(1)
    session.evict([1, 7])
    session.evict()
    session.evict()
    assert gone == [[1], [0, 2]]
    step(session, [0, 1, 2], 1)


def test_the_hook_may_use_the_session_and_what_it_raises_comes_after_the_call():
    seen = []

    def hook(ids):
        seen.append({id: session.steps(id) for id in ids})
        if len(seen) == 2:
            raise KeyError("of the hook")

    session = FOUND.model.session(hot=1, on_evict=hook)
    step(session, [0, 1], 0)
    with pytest.raises(KeyError, match="of the hook"):
        step(session, [0], 1)
    assert seen == [{0: 1}, {1: 1}]
    assert session.steps(0) == 2
    step(session, [0], 1)  # answered from the record


def test_removing_is_no_eviction():
    gone = []
    session = FOUND.model.session(on_evict=gone.append)
    step(session, [0, 1], 0)
    session.forget(0)
    session.reset(1)
    session.copy(1, 2)
    assert gone == []
    session.close()
    assert gone == []


def test_memory_stays_within_its_limit():
    """The table grows with the ids to the limit, not beyond it."""
    session = FOUND.model.session(hot=100)
    for begin in range(0, 1000, 250):
        session.step(list(range(begin, begin + 250)), np.zeros((250, 3)))
        assert len(session._hot) == 100
        assert len(session._hot._used) == 100
    assert len(session) == 1000
