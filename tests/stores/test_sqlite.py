"""SQLite files: what cannot be opened is named and left alone; locks, rights, forks and full files are survived."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
from pathlib import Path

import pytest

from sostenuto.errors import SostenutoError, StoreError
from sostenuto.stores import Change, SQLiteStore, open_store

CHILDREN = Path(__file__).with_name("children.py")
WANTED = "a store that Sostenuto made, or a new file in a folder that is there"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "states.db"


def filled(path, shards=1, number=50):
    with SQLiteStore(path, shards) as store:
        store.write([Change(f"engine-{place}", None, b"record" * 100) for place in range(number)])
    return path


def refused(path, *arguments) -> StoreError:
    with pytest.raises(StoreError) as caught:
        SQLiteStore(path, *arguments).close()
    assert isinstance(caught.value, OSError)
    return caught.value


def opening(path, got, fix):
    return (
        "This cannot be opened or read as a store.\n"
        f"  where   SQLite {str(path)!r}\n"
        f"  got     {got}\n"
        f"  wanted  {WANTED}\n"
        f"  fix     {fix}\n"
        "  more    sostenuto explain SO901"
    )


# --- files that are no store -----------------------------------------------------------------------------------------


def foreign(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE entries (key, revision, record)")
    connection.commit()
    connection.close()


LEFT = "name another file; this one was left as it is"


@pytest.mark.parametrize(
    ("make", "got", "fix"),
    [
        (lambda path: path.write_bytes(b""), "an empty file", "delete the empty file, or name another"),
        (lambda path: path.write_text("id,x\na,1\n"), "a file of another kind", LEFT),
        (lambda path: path.write_bytes(os.urandom(8192)), "a file of another kind", LEFT),
        (lambda path: path.write_bytes(b"SQLite format 3\0"), "a file of another kind", LEFT),
        (foreign, "a SQLite file of another program", LEFT),
    ],
)
def test_a_file_of_another_program_is_named_and_left_as_it_is(path, make, got, fix):
    make(path)
    before = path.read_bytes()
    assert str(refused(path)) == opening(path, got, fix)
    assert [(file.name, file.read_bytes()) for file in path.parent.iterdir()] == [("states.db", before)]


def test_a_folder_is_no_store(tmp_path):
    assert str(refused(tmp_path)) == opening(tmp_path, "a folder", f"name a file in it: {tmp_path / 'states.db'}")


def test_a_missing_folder_is_not_made(tmp_path):
    path = tmp_path / "a" / "states.db"
    assert str(refused(path)) == opening(path, f"no folder '{path.parent}'", "make the folder first")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_folder(path):
    path.write_text("")
    inside = path / "states.db"
    assert str(refused(inside)) == opening(inside, f"'{path}', which is no folder", "name another path")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_is_no_store(path):
    os.mkfifo(path)
    assert str(refused(path)) == opening(path, "no regular file", "name another file")


def set_head(path, begin, value):
    data = bytearray(path.read_bytes())
    data[begin : begin + 4] = value.to_bytes(4, "big")
    path.write_bytes(data)


def test_a_newer_format_is_named_and_left_as_it_is(path):
    set_head(filled(path), 60, 2)
    before = path.read_bytes()
    assert str(refused(path)) == (
        "This was written by a newer Sostenuto.\n"
        f"  where   SQLite {str(path)!r}\n"
        "  got     format 2\n"
        "  wanted  format 1\n"
        "  fix     pip install --upgrade sostenuto\n"
        "  more    sostenuto explain SO902"
    )
    assert [(file.name, file.read_bytes()) for file in path.parent.iterdir()] == [("states.db", before)]


def test_a_cut_file_is_named_and_left_as_it_is(path):
    data = filled(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    error = refused(path)
    assert str(error) == (
        "A store file is damaged.\n"
        f"  where   SQLite {str(path)!r}\n"
        f"  got     {len(data) // 2:,} of {len(data):,} bytes\n"
        "  wanted  the file as it was written\n"
        "  fix     put back a copy from before the damage; sqlite3's .recover may save what is left\n"
        "  more    sostenuto explain SO906"
    )
    assert path.read_bytes() == data[: len(data) // 2]


def read_all(path):
    with SQLiteStore(path) as store:
        list(store.ids())
        store.read([f"engine-{place}" for place in range(500)])


@pytest.mark.parametrize("begin", [100, 4096, 5 * 4096])
def test_a_garbled_file_is_named_and_left_as_it_is(path, begin):
    data = bytearray(filled(path, number=500).read_bytes())
    data[begin : begin + 20_000] = b"\xa5" * len(data[begin : begin + 20_000])
    path.write_bytes(data)
    with pytest.raises(StoreError) as caught:
        read_all(path)
    assert caught.value.code == "SO906"
    assert caught.value.what == "A store file is damaged."
    assert path.read_bytes() == data


def test_no_shuffled_bytes_ever_give_another_error(path, rng):
    """Bytes changed anywhere: the store opens and reads what is whole, or says what is wrong."""
    ids = [f"engine-{place}" for place in range(50)]
    data = filled(path).read_bytes()
    outcomes = set()
    for _ in range(150):
        altered = bytearray(data)
        for place in rng.integers(0, len(data), rng.choice([1, 8, 300])):
            altered[place] = rng.integers(0, 256)
        path.write_bytes(altered)
        try:
            with SQLiteStore(path) as store:
                outcomes.add(len(list(store.ids())) + len(store) + len(store.read(ids)))
        except StoreError as error:
            outcomes.add(error.code)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    assert {"SO906", 150} <= outcomes


# --- several files ---------------------------------------------------------------------------------------------------


def test_the_number_of_files_stays(path):
    filled(path, 3)
    assert sorted(file.name for file in path.parent.iterdir()) == ["states.db", "states.db.1", "states.db.2"]
    for shards in (None, 3):
        with SQLiteStore(path, shards) as store:
            assert len(store) == 50
    assert str(refused(path, 2)) == (
        "This cannot be opened or read as a store.\n"
        f"  where   SQLite {str(path)!r}\n"
        "  got     shards=2\n"
        "  wanted  shards=3, as the store was made\n"
        "  fix     leave shards out, or make a new store with 2 and copy the entries\n"
        "  more    sostenuto explain SO901"
    )


@pytest.mark.parametrize("shards", [0, -1, 257, True, 1.5, "2"])
def test_a_number_of_files_that_cannot_be_meant(path, shards):
    error = refused(path, shards)
    assert (error.code, error.got, error.wanted) == ("SO901", f"shards={shards!r}", "a whole number from 1 to 256")
    assert not path.exists()


def test_one_file_of_several_is_no_store(path):
    filled(path, 3)
    error = refused(f"{path}.2")
    assert (error.code, error.got) == ("SO901", "file 2 of the 3 of a store")
    assert error.fix == "open 'states.db'"


def test_a_lost_file_is_named_and_never_made_anew(path):
    filled(path, 3)
    Path(f"{path}.1").unlink()
    assert str(refused(path)) == (
        "This cannot be opened or read as a store.\n"
        f"  where   SQLite 'states.db.1', file 1 of SQLite {str(path)!r}\n"
        "  got     no such file; the store has 3 files\n"
        "  wanted  all files of the store\n"
        "  fix     put it back beside the first one\n"
        "  more    sostenuto explain SO901"
    )
    assert not Path(f"{path}.1").exists()


def test_a_file_of_another_store_is_refused(path):
    filled(path, 3)
    filled(path.with_name("other.db"), 3)
    for source in ("other.db.1", "states.db.2"):
        shutil.copy(path.with_name(source), f"{path}.1")
        error = refused(path)
        assert (error.code, error.got, error.fix) == ("SO901", "a file of another store", "put the right file back")


def test_a_file_left_by_a_store_that_is_gone_is_not_taken_over(path):
    filled(path, 3)
    path.unlink()
    assert refused(path, 3).got == "a file of another store"
    with SQLiteStore(f"{path}.new", 3) as store:
        assert len(store) == 0


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_path_is_a_sqlite_store(path, tmp_path, monkeypatch):
    for given in (path, str(path)):
        with open_store(given) as store:
            assert isinstance(store, SQLiteStore)
            assert store.name == f"SQLite {str(path)!r}"
            assert open_store(store) is store
    monkeypatch.chdir(tmp_path)
    with open_store("states.db") as store:
        assert store.name == "SQLite 'states.db'"
        monkeypatch.chdir("/")
        store.write([Change("a", None, b"1")])
    with SQLiteStore(path) as store:
        assert len(store) == 1


def test_a_name_with_characters_that_mean_something_in_an_address(tmp_path):
    for name in ("a b.db", "100%.db", "what?.db", "#1.db", "é日.db", "a&mode=ro.db", "file:x.db"):
        filled(tmp_path / name)
        with SQLiteStore(tmp_path / name) as store:
            assert len(store) == 50
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.parametrize(
    ("store", "got"),
    [("postgres://host/a", "an address that begins with 'postgres://'"), (3, "int"), (b"a.db", "bytes")],
)
def test_what_names_no_store(store, got):
    with pytest.raises(StoreError) as caught:
        open_store(store)
    assert str(caught.value) == (
        "This names no store.\n"
        "  where   argument 'store'\n"
        f"  got     {got}\n"
        "  wanted  None (memory), the path of a file (SQLite), valkey://host:port, redis://host:port, or a store\n"
        "  fix     write a path such as 'engines.db'\n"
        "  more    sostenuto explain SO901"
    )


def test_many_ids_stream_without_being_held(path):
    """What ids() holds at once does not grow with the store."""
    import tracemalloc

    with SQLiteStore(path) as store:
        for begin in range(0, 40_000, 10_000):
            store.write([Change(f"engine-{number:07}", None, b"") for number in range(begin, begin + 10_000)])
        tracemalloc.start()
        assert sum(1 for _ in store.ids()) == 40_000
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 1_000_000


def test_errors_of_stores_travel_between_processes(path):
    path.write_text("no store")
    error = refused(path)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (StoreError, str(error), "SO901")
    assert isinstance(again, SostenutoError)
