"""SQLite files shared with others: locks, rights, other processes and threads, and files that are full or vanish."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sostenuto.errors import StoreError
from sostenuto.stores import Change, SQLiteStore, sqlite_faults, sqlite_file
from tests.stores.test_sqlite import filled, opening, refused

CHILDREN = Path(__file__).with_name("children.py")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "states.db"


@pytest.fixture
def impatient(monkeypatch):
    for module in (sqlite_faults, sqlite_file):
        monkeypatch.setattr(module, "BUSY_SECONDS", 0.2)


def test_a_lock_that_another_process_keeps(path, impatient):
    filled(path)
    holder = subprocess.Popen([sys.executable, CHILDREN, "hold", path, "60"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == '["held"]\n'
        with SQLiteStore(path) as store:
            before = store.read(["engine-1"])
            for call in (
                lambda: store.write([Change("engine-1", before[0].revision, b"1")]),
                lambda: store.set_note("a", "b"),
                store.clear,
            ):
                with pytest.raises(StoreError) as caught:
                    call()
                assert str(caught.value) == (
                    "The store cannot be written.\n"
                    f"  where   SQLite {str(path)!r}\n"
                    "  got     another process has held its lock for more than 0.2 seconds\n"
                    "  wanted  every change on the disk before the call returns; none was made\n"
                    "  fix     let the other process finish its transaction or end it, then repeat the call\n"
                    "  more    sostenuto explain SO905"
                )
            assert store.read(["engine-1"]) == before
            holder.kill()
            holder.wait()
            store.write([Change("engine-1", before[0].revision, b"1")])
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_file_that_another_program_keeps_to_itself(path, impatient):
    other = sqlite3.connect(filled(path), isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    error = refused(path)
    assert (error.code, error.got) == ("SO901", "another process has held its lock for more than 0.2 seconds")
    other.close()
    SQLiteStore(path).close()


@contextlib.contextmanager
def without_rights(folder, file_mode, folder_mode):
    """Rights are taken away; root, who would not notice, becomes nobody meanwhile."""
    for file in folder.iterdir():
        file.chmod(file_mode)
    folder.chmod(folder_mode)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def open_folder():
    """A folder whose parents everybody may enter."""
    if sys.platform == "win32":
        pytest.skip("Windows has other rights")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "why"),
    [
        (0o444, 0o755, "a file without the right to write"),
        (0o444, 0o555, "a file without the right to write"),
        (0o666, 0o555, "a folder without the right to write"),
    ],
)
@pytest.mark.parametrize("shards", [1, 2])
def test_a_store_that_can_only_be_read_is_read(open_folder, file_mode, folder_mode, why, shards):
    path = filled(open_folder / "states.db", shards)
    before = {file.name: file.read_bytes() for file in open_folder.iterdir()}
    with without_rights(open_folder, file_mode, folder_mode), SQLiteStore(path) as store:
        assert (len(store), len(list(store.ids())), store.note("a")) == (50, 50, None)
        assert store.read(["engine-1"])[0].record == b"record" * 100
        for call in (lambda: store.write([Change("a", None, b"1")]), lambda: store.set_note("a", "b"), store.clear):
            with pytest.raises(StoreError) as caught:
                call()
            assert caught.value.code == "SO905"
        with pytest.raises(StoreError) as caught:
            store.set_note("a", "b")
        assert str(caught.value) == (
            "The store cannot be written.\n"
            f"  where   SQLite {str(path)!r}\n"
            f"  got     {why}\n"
            "  wanted  the right to write the file and its folder (SQLite keeps its log beside the file)\n"
            "  fix     give the right, or copy the store to a folder of your own\n"
            "  more    sostenuto explain SO905"
        )
    assert {file.name: file.read_bytes() for file in open_folder.iterdir()} == before


def test_changes_still_in_the_log_are_not_passed_over_in_a_read_only_folder(open_folder):
    path = open_folder / "states.db"
    store = SQLiteStore(path)
    store.write([Change("a", None, b"1")])
    copies = open_folder / "copies"
    copies.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", copies)
    store.close()
    with without_rights(copies, 0o444, 0o555):
        error = refused(copies / "states.db")
    assert str(error) == (
        "This cannot be opened or read as a store.\n"
        f"  where   SQLite {str(copies / 'states.db')!r}\n"
        "  got     changes in 'states.db-wal' that cannot be taken over, because the folder is read-only\n"
        "  wanted  a folder that can be written, or a store that was closed\n"
        "  fix     copy both files to a folder of your own\n"
        "  more    sostenuto explain SO901"
    )
    (copies / "states.db").chmod(0o644)
    with SQLiteStore(copies / "states.db") as store:
        assert store.read(["a"])[0].record == b"1"


def test_a_new_store_in_a_folder_without_the_right_to_write(open_folder):
    with without_rights(open_folder, 0o644, 0o555):
        error = refused(open_folder / "states.db")
    assert error.code == "SO905"
    assert list(open_folder.iterdir()) == []


def test_a_file_without_the_right_to_read(open_folder):
    path = filled(open_folder / "states.db")
    with without_rights(open_folder, 0o000, 0o755):
        assert str(refused(path)) == opening(path, "no right to read it", "give the right, or name another file")


@pytest.mark.parametrize("gone", ["deleted", "replaced"])
def test_a_file_that_vanished_under_an_open_store_takes_no_steps_into_nowhere(path, gone):
    with SQLiteStore(path) as store:
        revision = store.write([Change("a", None, b"1")])
        path.rename(path.with_name("away.db"))
        if gone == "replaced":
            shutil.copy(path.with_name("away.db"), path)
        with pytest.raises(StoreError) as caught:
            store.write([Change("a", revision, b"2")])
        assert caught.value.code == "SO905"
        assert caught.value.got == (
            "another file under this name, or none: it was moved, deleted or replaced while the store was open"
        )
        os.replace(path.with_name("away.db"), path)
        store.write([Change("a", revision, b"2")])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*fork.*:RuntimeWarning")
def test_a_child_process_does_not_go_on_with_its_parents_store(path):
    store = SQLiteStore(path)
    store.write([Change("a", None, b"1")])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"nothing"
        try:
            store.read(["a"])
        except StoreError as error:
            said = str(error).encode()
        os.write(writing, said)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    said = os.read(reading, 4096).decode()
    os.close(reading)
    os.close(writing)
    assert said == (
        "The store is closed.\n"
        f"  where   SQLite {str(path)!r}\n"
        "  got     a call in a child process of the one that opened it\n"
        "  wanted  an open store\n"
        "  fix     open it again with sostenuto.stores.open_store(...)\n"
        "  more    sostenuto explain SO907"
    )
    assert "a" in store
    store.close()


def test_a_full_file(path):
    """SQLite's own limit on pages stands for a full disk: SO905, nothing changed, and with room again all goes on."""
    with SQLiteStore(path) as store:
        revision = store.write([Change("a", None, b"1"), Change("b", None, b"1")])
        limit = store._shards[0].execute
        limit("PRAGMA max_page_count = 12")
        with pytest.raises(StoreError) as caught:
            store.write([Change("a", revision, b"2"), Change("c", None, b"x" * 100_000)])
        assert str(caught.value) == (
            "The store cannot be written.\n"
            f"  where   SQLite {str(path)!r}\n"
            "  got     no room is left: 'database or disk is full', says SQLite\n"
            "  wanted  every change on the disk before the call returns; none was made\n"
            "  fix     make room on the disk, then repeat the call\n"
            "  more    sostenuto explain SO905"
        )
        assert store.read(["a", "b", "c"]) == [(revision, b"1"), (revision, b"1"), None]
        limit("PRAGMA max_page_count = 1000000")
        store.write([Change("a", revision, b"2"), Change("c", None, b"x" * 100_000)])


def test_threads_that_make_a_store_at_once_make_one(path):
    begin = threading.Barrier(6)

    def make(number):
        begin.wait()
        with SQLiteStore(path, 3) as store:
            store.write([Change(f"{number}-{place}", None, b"1") for place in range(20)])

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(make, number) for number in range(6)]:
            future.result()
    with SQLiteStore(path) as store:
        assert len(store) == 120
    assert sorted(file.name for file in path.parent.iterdir()) == ["states.db", "states.db.1", "states.db.2"]


def test_a_file_system_without_links(path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    filled(path, 3)
    with SQLiteStore(path) as store:
        assert len(store) == 50
    assert sorted(file.name for file in path.parent.iterdir()) == ["states.db", "states.db.1", "states.db.2"]


def test_closing_while_another_thread_uses_the_store(path):
    """A call ends as if the store were open, or says that it is closed; nothing is left open."""
    store = SQLiteStore(path)
    revision = store.write([Change("a", None, b"0")])
    begin = threading.Barrier(3)
    ends = []

    def use(call):
        begin.wait()
        try:
            while True:
                call()
        except StoreError as error:
            ends.append(error.code)

    def write():
        nonlocal revision
        revision = store.write([Change("a", revision, b"1")])

    threads = [threading.Thread(target=use, args=(call,)) for call in (write, lambda: store.read(["a"]))]
    for thread in threads:
        thread.start()
    begin.wait()
    time.sleep(0.05)
    store.close()
    for thread in threads:
        thread.join()
    assert ends == ["SO907", "SO907"]
    # The last connection to be closed takes the log away.
    assert [file.name for file in path.parent.iterdir()] == ["states.db"]


def test_stores_need_neither_keras_nor_what_tests_need():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from children import without_keras; without_keras()\n"
        "import sostenuto.stores, sostenuto.stores.record\n"
        "print([name for name in ('keras', 'pytest', 'hypothesis', 'valkey', 'ml_dtypes') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, CHILDREN.parent], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
