"""A hold whose store fails, whose steps fail, whose process is killed, or that several threads use."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import sostenuto as so
from tests.sessions.children import IDS, build, values
from tests.sessions.models import LENGTH, SEQUENCES, case

FOUND = case("stacked")
X, RIGHT = FOUND.values, FOUND.right
ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("SOSTENUTO_CRASHES", "4"))


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, atol=1e-5)


# --- another owner, and a store that fails ---------------------------------------------------------------------------


def test_of_two_owners_the_one_that_keeps_later_is_told():
    store = so.MemoryStore()
    one, two = FOUND.model.session(store), FOUND.model.session(store)
    one.step(["a", "b"], X[:2, 0])
    rows = one.hold(["a", "b", "new"])
    rows.step(X[:3, 1])
    two.step({"b": X[1, 1]})
    entries = store.read(["a", "b", "new"])
    for end in (rows.keep, rows.keep, rows.close):
        assert rows.steps.tolist() == [2, 2, 1]
        with pytest.raises(so.ConflictError, match="got     'b': revision"):
            end()
    assert store.read(["a", "b", "new"]) == entries
    close(one.step(["a", "b"], np.stack([X[0, 1], X[1, 2]]), step=[1, 2]), [RIGHT[0, 1], RIGHT[1, 2]])


class Failing(so.MemoryStore):
    """Refuses to write, before or after it has written, when it is told to."""

    fails = ""

    def write(self, changes):
        revision = super().write(changes) if self.fails != "before" else 0
        if self.fails:
            raise so.StoreError("No.", code="SO905", where="here", got="a full disk", wanted="room", fix="make room")
        return revision


@pytest.mark.parametrize("moment", ["before", "after"])
def test_keep_may_be_tried_again(moment):
    """Also where the first attempt was written and only the answer was lost."""
    store = Failing()
    session = FOUND.model.session(store)
    session.step({"a": X[0, 0]})
    with session.hold(["a", "b"]) as rows:
        rows.step(np.stack([X[0, 1], X[1, 0]]))
        store.fails = moment
        for _ in range(2):
            with pytest.raises(so.StoreError, match="a full disk"):
                rows.keep()
        store.fails = ""
        rows.step(np.stack([X[0, 2], X[1, 1]]))
        rows.keep()
        assert (rows.steps == [3, 2]).all()
    close(session.step(["a", "b"], np.stack([X[0, 3], X[1, 2]]), step=[3, 2]), [RIGHT[0, 3], RIGHT[1, 2]])


def test_after_a_doubtful_write_another_owner_is_seen_still():
    store = Failing()
    session = FOUND.model.session(store)
    rows = session.hold(["a"])
    rows.step(X[:1, 0])
    store.fails = "after"
    with pytest.raises(so.StoreError, match="a full disk"):
        rows.keep()
    store.fails = ""
    FOUND.model.session(store).step({"a": X[0, 1]})
    with pytest.raises(so.ConflictError):
        rows.keep()
    with pytest.raises(so.ConflictError):
        session.close()
    assert FOUND.model.session(store).steps("a") == 2


def test_ids_are_given_back_even_where_the_store_fails_at_the_end():
    store = Failing()
    session = FOUND.model.session(store)
    rows = session.hold(["a"])
    rows.step(X[:1, 0])
    rows.keep()
    rows.step(X[:1, 1])
    store.fails = "before"
    with pytest.raises(so.StoreError, match="a full disk"):
        rows.close()
    store.fails = ""
    close(session.step({"a": X[0, 1]}, step=1)["a"], RIGHT[0, 1])


# --- failing steps, threads ------------------------------------------------------------------------------------------


USES = [
    lambda rows: rows.step(X[:1, 1]),
    lambda rows: rows.keep(),
    lambda rows: rows.reset(),
    lambda rows: rows.get_state(),
]


@pytest.mark.parametrize("use", USES)
def test_after_its_end(use):
    session = FOUND.model.session()
    with session.hold(["a"]) as rows:
        rows.step(X[:1, 0])
    with pytest.raises(so.SessionError, match="The hold is closed"):
        use(rows)
    assert session.steps("a") == 1


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_step_that_fails_was_not_taken(error):
    session = FOUND.model.session()
    with session.hold(["a", "b"]) as rows:
        rows.step(X[:2, 0])
        then = rows._sides[1 & ~rows._taken]
        run = then.run

        def fail():
            run()
            raise error

        then.run = fail
        with pytest.raises(error):
            rows.step(X[:2, 1])
        then.run = run
        assert rows.steps.tolist() == [1, 1]
        rows.keep()
        close(rows.step(X[:2, 1]), RIGHT[:2, 1])
    close(session.step(["a", "b"], X[:2, 1], step=1), RIGHT[:2, 1])


@pytest.mark.parametrize("use", USES)
def test_a_second_thread_is_told_and_nothing_is_broken(use):
    store = so.MemoryStore()
    session = FOUND.model.session(store)
    rows = session.hold(["a"])
    rows.step(X[:1, 0])
    then = rows._sides[1 & ~rows._taken]
    run, inside, go_on, said = then.run, threading.Event(), threading.Event(), []

    def slow():
        inside.set()
        assert go_on.wait(30)
        run()

    then.run = slow
    first = threading.Thread(target=lambda: said.append(rows.step(X[:1, 1])))
    first.start()
    assert inside.wait(30)
    with pytest.raises(so.SessionError, match="SO317"):
        use(rows)
    ending = threading.Thread(target=session.close)  # waits for the step
    ending.start()
    go_on.set()
    for thread in (first, ending):
        thread.join()
    close(said[0], RIGHT[:1, 1])
    assert FOUND.model.session(store).steps("a") == 2


def test_threads_with_holds_of_their_own():
    session = FOUND.model.session()
    said: dict[int, list] = {}

    def work(number: int) -> None:
        with session.hold([number]) as rows:
            said[number] = [rows.step(X[number : number + 1, step])[0] for step in range(LENGTH)]

    threads = [threading.Thread(target=work, args=[number]) for number in range(SEQUENCES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close(np.stack([said[number] for number in range(SEQUENCES)]), RIGHT)
    assert session.step(list(range(SEQUENCES)), X[:, 0], step=LENGTH).shape == (SEQUENCES, 2)


# --- kill -9 ---------------------------------------------------------------------------------------------------------


def step_for_ever(model, path: str, every: int) -> None:
    """What the child does: says each step that it took, and each that it kept."""
    session = model.session(path)
    rows = session.hold(IDS)
    while True:
        number = int(rows.steps[0])
        rows.step(np.concatenate([values(id, number, 1) for id in IDS]))
        said = ["stepped", number + 1]
        if (number + 1) % every == 0:
            rows.keep()
            said = ["kept", number + 1]
        os.write(1, (json.dumps(said) + "\n").encode())
        time.sleep(0.001)  # otherwise it would be in keep() most of the time


def serve() -> None:
    """Forks a child for each line, a path and how often to keep; says its process number, and when it ended."""
    import torch

    torch.set_num_threads(1)  # threads of a parent are missing in its children
    model = build()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                step_for_ever(model, *json.loads(line))
            finally:
                os._exit(1)
        os.write(1, (json.dumps(["child", child]) + "\n").encode())
        os.waitpid(child, 0)
        os.write(1, (json.dumps(["ended", 0]) + "\n").encode())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the crash test forks")
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="stores know no backend; torch starts fastest")
def test_a_kill_loses_the_steps_since_keep_and_no_others(tmp_path):
    rng, path, model = random.Random(2), tmp_path / "states.db", build()
    replay, done, lost = model.session(), 0, 0
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.sessions.test_held_failures"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with server:
        for _ in range(KILLS):
            every, until = rng.choice([1, 7, 20]), rng.randint(1, 60)
            server.stdin.write(json.dumps([str(path), every]) + "\n")
            server.stdin.flush()
            child, stepped, kept, lines = 0, done, done, 0
            while (heard := json.loads(server.stdout.readline()))[0] != "ended":
                kind, number = heard
                if kind == "child":
                    child = number
                else:
                    lines += 1
                    stepped, kept = number, number if kind == "kept" else kept
                if child and lines >= until:
                    os.kill(child, signal.SIGKILL)
                    child = 0
            with model.session(path) as session:
                counts = {session.steps(id) for id in IDS if id in session}
                # At most one call of keep() was under way, whose end nobody saw.
                found = counts.pop() if counts else 0
                assert not counts
                assert found in (kept, kept + every - kept % every)
                while done < found:
                    said = replay.step(IDS, np.concatenate([values(id, done, 1) for id in IDS]))
                    done += 1
                lost += max(0, stepped - found)
                assert [entry and entry.record for entry in session.store.read(IDS)] == [
                    entry and entry.record for entry in replay.store.read(IDS)
                ]
                if done:  # the client sends the last step again
                    x = np.concatenate([values(id, done - 1, 1) for id in IDS])
                    np.testing.assert_array_equal(session.step(IDS, x, step=done - 1), said)
        server.stdin.close()
    print(f"{KILLS} kills, {done} steps kept, {lost} lost")
    assert done > KILLS


if __name__ == "__main__":
    serve()
