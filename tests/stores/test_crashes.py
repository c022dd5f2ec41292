"""Nothing acknowledged is lost and nothing is half there, whenever a writing process is killed.

Twelve kills in a test run; SOSTENUTO_CRASHES=200 for more.
"""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sostenuto.errors import StoreError
from sostenuto.stores import Change, SQLiteStore
from tests.stores.children import IDS, step_of

KILLS = int(os.environ.get("SOSTENUTO_CRASHES", "12"))
CHILDREN = Path(__file__).with_name("children.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILDREN), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Recorder:
    """A writing child, and what it has said so far."""

    def __init__(self, *arguments: object) -> None:
        self.said: list[list] = []
        self.process = start(*arguments)
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.said.append(json.loads(line))

    def wait_for(self, reports: int) -> None:
        """Waits until the child has said as much, or for 20 seconds."""
        for _ in range(20_000):
            if len(self.said) > reports:
                return
            threading.Event().wait(0.001)

    def kill(self) -> list[list]:
        self.process.kill()
        self.thread.join()
        errors = self.process.stderr.read()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        assert errors == ""
        return self.said


def intact(path: Path) -> None:
    for file in path.parent.iterdir():
        if re.fullmatch(re.escape(path.name) + r"(\.\d+)?", file.name):
            connection = sqlite3.connect(file)
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()


@pytest.mark.parametrize("shards", [1, 3])
def test_a_killed_writer_leaves_every_acknowledged_step_and_no_half_one(tmp_path, shards):
    rng = random.Random(shards)
    path = tmp_path / "states.db"
    acknowledged = dict.fromkeys(IDS, 0)
    acknowledgements = split = survived = 0
    for turn in range(KILLS if shards == 1 else max(KILLS // 3, 2)):
        child = Recorder("write", path, shards, turn)
        # The moment of the kill: after some writes, anywhere in the next ones, checkpoints among them.
        child.wait_for(rng.randint(1, 60))
        threading.Event().wait(rng.random() * 0.01)
        said = child.kill()
        assert said[0] == ["ready"]
        under_way: dict = {}
        for kind, *what in said[1:]:
            if kind == "begin":
                under_way = dict(what[0])
            else:
                acknowledged.update(under_way)
                acknowledgements += 1
                under_way = {}

        with SQLiteStore(path) as store:
            entries = store.read(IDS)
            assert set(store.ids()) == {id for id, entry in zip(IDS, entries, strict=True) if entry}
        found = {id: step_of(id, entry.record) if entry else 0 for id, entry in zip(IDS, entries, strict=True)}
        untouched = {id: step for id, step in acknowledged.items() if id not in under_way}
        assert {id: found[id] for id in untouched} == untouched
        before = {id for id in under_way if found[id] == acknowledged[id]}
        after = {id for id in under_way if found[id] == under_way[id]}
        assert before | after == set(under_way)
        if len(before) < len(under_way):
            survived += 1
            if len(after) < len(under_way):
                split += 1
        intact(path)
        acknowledged = found
    print(f"{acknowledgements} acknowledged; {survived} unacknowledged calls were kept, {split} of them in part")
    assert acknowledgements > 10
    if shards == 1:
        assert split == 0


@pytest.mark.parametrize("shards", [1, 3])
def test_a_kill_while_a_store_is_made_leaves_none_or_a_whole_one(tmp_path, shards):
    rng = random.Random(7)
    opened = 0
    for turn in range(max(KILLS // 3, 3)):
        path = tmp_path / f"{turn}.db"
        child = Recorder("write", path, shards, 0)
        for _ in range(2000):
            if child.said or any(tmp_path.glob(f"{turn}.db*")):
                break
            threading.Event().wait(0.001)
        threading.Event().wait(rng.random() * 0.1)
        child.kill()
        opened += path.exists()
        with SQLiteStore(path, shards) as store:
            count = len(store)
            store.write([Change("new", None, b"1")])
            assert len(store) == count + 1
        intact(path)
    print(f"{opened} stores were there when their maker was killed")


def test_two_processes_on_one_store_lose_nothing(tmp_path):
    path = tmp_path / "states.db"
    with SQLiteStore(path) as store:
        store.write([Change("counter", None, b"0")])
    children = [start("count", path, name, 150) for name in "ab"]
    for child in children:
        assert child.stdout.readline() == '["ready"]\n'
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    results = [child.communicate(timeout=60) for child in children]
    assert [errors for _, errors in results] == ["", ""]
    done, conflicts = zip(*(json.loads(said)[1:] for said, _ in results), strict=True)
    assert done == (150, 150)
    with SQLiteStore(path) as store:
        assert store.read(["counter"])[0].record == b"300"
        assert len(store) == 301
    print(f"{sum(conflicts)} conflicts among 300 additions")


def test_a_store_that_another_process_opened_first_is_the_same_store(tmp_path):
    """The later of two owners learns of the other, and what the first one wrote stays."""
    path = tmp_path / "states.db"
    one, two = SQLiteStore(path), SQLiteStore(path)
    first = one.write([Change("a", None, b"one"), Change("b", None, b"one")])
    seen = two.read(["a", "b"])
    mine = one.write([Change("a", first, b"one again")])
    with pytest.raises(StoreError) as caught:
        two.write([Change(id, entry.revision, b"two") for id, entry in zip("ab", seen, strict=True)])
    assert str(caught.value) == (
        "Somebody else changed an id first; nothing was written.\n"
        f"  where   SQLite {str(path)!r}\n"
        f"  got     'a': revision {mine:016x}, expected revision {first:016x}\n"
        "  wanted  the revision that was read before\n"
        "  fix     let one process own each id; read it again and repeat the call\n"
        "  more    sostenuto explain SO904"
    )
    assert two.read(["a", "b"]) == [(mine, b"one again"), (first, b"one")]
    one.close()
    two.close()
