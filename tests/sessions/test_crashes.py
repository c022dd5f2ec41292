"""No acknowledged step is lost and none is half there, whenever the process of a session is killed.

Eight kills in a test run; SOSTENUTO_CRASHES=200 for more.
"""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import pytest

import sostenuto as so
from tests.sessions.children import IDS, build, perform

KILLS = int(os.environ.get("SOSTENUTO_CRASHES", "8"))
ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the crash test forks"),
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="stores know no backend; torch starts fastest"),
]


class Server:
    """The process whose children are killed, and what they say."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.sessions.children"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: queue.Queue = queue.Queue()
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()
        assert self.hear() == ["serving"]

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.said.put(json.loads(line))
        self.said.put(["gone"])

    def hear(self) -> list:
        return self.said.get(timeout=60)

    def kill_one(self, path: Path, seed: int, seconds: float) -> list[list]:
        """Starts a child, kills it after a while, and returns what it said in between."""
        self.process.stdin.write(json.dumps([str(path), seed]) + "\n")
        self.process.stdin.flush()
        kind, *process = self.hear()
        assert kind == "ready"
        threading.Event().wait(seconds)
        os.kill(process[0], signal.SIGKILL)
        said = []
        while (heard := self.hear()) != ["ended"]:
            assert heard != ["gone"]
            said.append(heard)
        return said

    def close(self) -> str:
        """Ends the process; returns what it complained of."""
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.listener.join()
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return errors


@pytest.fixture
def server():
    server = Server()
    yield server
    assert "Traceback" not in server.close()


def test_a_killed_session_keeps_every_acknowledged_step_and_no_half_call(tmp_path, server):
    rng = random.Random(1)
    path = tmp_path / "states.db"
    model = build()
    replay = model.session(so.MemoryStore())
    acknowledged = kept = lost = 0

    def is_replay(store: so.SQLiteStore) -> bool:
        """Whether the records, states and counters and answers, are those of the replay to the last bit."""
        found, wanted = ([entry and entry.record for entry in one.read(IDS)] for one in (store, replay.store))
        return found == wanted

    for turn in range(KILLS):
        said = server.kill_one(path, turn, rng.random() * 0.15)
        pending = None
        for kind, what in said:
            if kind == "begin":
                assert pending is None
                pending = what
            else:
                assert perform(replay, pending) == what
                pending = None
                acknowledged += 1
        with model.session(path) as session:
            if pending is None:
                assert is_replay(session.store)
            elif is_replay(session.store):
                lost += 1
                if pending[0] == "step":
                    # The client calls again, with numbers: now it counts.
                    assert perform(session, pending, numbered=True) == perform(replay, pending)
            else:
                kept += 1
                said_then = perform(replay, pending)
                assert is_replay(session.store)
                if pending[0] == "step":
                    # The same, and it is answered from the record.
                    assert perform(session, pending, numbered=True) == said_then
            assert is_replay(session.store)
            assert {id: session.steps(id) for id in session} == {id: replay.steps(id) for id in replay}
    print(f"{KILLS} kills, {acknowledged} acknowledged calls; of those under way {kept} were kept and {lost} were not")
    assert acknowledged > KILLS
