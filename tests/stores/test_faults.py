"""A disk that fails, is full or can only be read: the store is exactly before or after, says so, and goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The shim of faults.c, compiled."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if sys.platform != "linux" or compiler is None:
        pytest.skip("failures are injected on Linux, with a C compiler")
    library = tmp_path_factory.mktemp("shim") / "faults.so"
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Werror",
        "-o",
        str(library),
        str(HERE / "faults.c"),
        "-ldl",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return library


@pytest.fixture
def folder(tmp_path):
    """A folder in memory, where there is one: thousands of syncs would take minutes on a slow disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def run(what: str, folder: Path, shards: int, shim: Path | None) -> str:
    environment = {**os.environ, "LD_PRELOAD": str(shim)} if shim else None
    command = [sys.executable, str(HERE / "faulty.py"), what, str(folder), str(shards)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_each_write_and_sync_that_fails_while_ids_are_written(folder, shim):
    outcomes = json.loads(run("write", folder, 1, shim))
    print(outcomes)
    # A failure of the checkpoint after the commit costs nothing: the log still holds all.
    assert set(outcomes) == {"SO905, before", "done, after"}
    assert outcomes["SO905, before"] > 8


def test_each_write_and_sync_that_fails_while_ids_of_three_files_are_written(folder, shim):
    """Between the commits of two files the call may stay in part; each id is whole all the same."""
    outcomes = json.loads(run("write", folder, 3, shim))
    print(outcomes)
    assert set(outcomes) == {"SO905, before", "SO905, neither", "done, after"}


@pytest.mark.parametrize("shards", [1, 3])
def test_each_write_and_sync_that_fails_while_a_store_is_made(folder, shim, shards):
    outcomes = json.loads(run("make", folder, shards, shim))
    print(outcomes)
    # SO901: it was made, but the log's index could not be, so that it cannot be opened yet.
    assert set(outcomes) == {"SO905", "SO901", "done"}
    assert outcomes["SO905"] > 10 * shards


@pytest.mark.parametrize("shards", [1, 3])
def test_nothing_is_acknowledged_before_it_is_synced(folder, shim, shards):
    calls = run("order", folder, shards, shim).strip()
    pairs = [calls[place : place + 2] for place in range(0, len(calls), 2)]
    assert pairs.count("m-") == 30
    for place, pair in enumerate(pairs):
        if pair == "m-":
            of_log = [each for each in pairs[:place] if each in ("wl", "sl")]
            assert of_log[-1] == "sl"
            begin = max((at for at in range(place) if pairs[at] == "m-"), default=0)
            assert pairs[begin:place].count("sl") >= shards


def test_a_limit_on_the_size_of_files(folder):
    if sys.platform == "win32":
        pytest.skip("Windows has no such limit")
    assert 0 < int(run("limit", folder, 1, None)) <= 20
