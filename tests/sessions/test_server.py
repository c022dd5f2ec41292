"""A session on a Valkey or Redis server: the same promises as on a file, and two owners noticed."""

from __future__ import annotations

import numpy as np
import pytest

import sostenuto as so
from tests.sessions.models import case
from tests.stores.servers import DURABLE, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), *DURABLE)
    yield server
    server.kill()


def test_steps_go_on_after_reopening_and_a_killed_server(server):
    found = case("stacked")
    x, right = found.values[0], found.right[0]
    with found.model.session(store=server.url) as live:
        parts = [live.step({"a": x[:5], "b": x[:2]}, at=1)["a"]]
    server.kill()
    server.start()
    with found.model.session(store=server.url) as live:
        parts.append(live.step({"a": x[5:]}, step=5)["a"])
        again = live.step({"a": x[5:]}, step=5)["a"]
        assert (live.steps("a"), live.steps("b"), sorted(live.ids())) == (len(x), 2, ["a", "b"])
    np.testing.assert_array_equal(again, parts[1])
    np.testing.assert_allclose(np.concatenate(parts), right, atol=1e-6)


def test_a_second_owner_gets_a_conflict_and_can_go_on(server):
    found = case("stacked")
    x, right = found.values[1], found.right[1]
    with found.model.session(store=server.url) as one, found.model.session(store=server.url) as other:
        one.step({"c": x[0]})
        other.step({"c": x[1]})
        with pytest.raises(so.ConflictError) as caught:
            one.step({"c": x[2]})
        assert caught.value.code == "SO904"
        assert one.steps("c") == 2
        np.testing.assert_allclose(one.step({"c": x[2]})["c"], right[2], atol=1e-6)
