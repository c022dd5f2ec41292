"""The tests that every store must pass: subclass ``StoreTests``, say how to make your store, run pytest.

::

    from sostenuto.stores.testing import StoreTests

    class TestMyStore(StoreTests):
        durable = True

        def make_store(self, tmp_path):
            return MyStore(tmp_path / "states")

        def reopen(self, store, tmp_path):
            store.close()
            return MyStore(tmp_path / "states")
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sostenuto.errors import ConflictError, IdError, StoreError
from sostenuto.stores.contract import Change, Store
from sostenuto.stores.ids import Id

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**70), 2**70)
IDS = st.one_of(TEXTS, NUMBERS, st.lists(st.one_of(TEXTS, NUMBERS), max_size=3).map(tuple))

KINDS: list[Id] = [
    "", "a", "A", "engine-17", "17", 17, -17, 0, "0", 2**63, -(2**80), "ä", "a\u0308", "日本", "🎹", '"', "\\", "'",
    "%", "a b", "a\nb", "a\0b", "\0", "null", "true", "[]", '["a"]', "*", "h?llo", "[a-c]", "..", "/etc", "a" * 2000,
    (), ("a",), ("a", 3), ("a", "3"), ("a,3",), (1, 2), (12,), ("1", 2), ("",), ("", ""), (2**70, "b"),
]  # fmt: skip


class StoreTests:
    """Every promise of ``Store``, as tests.

    Override ``make_store``; override ``reopen`` and set ``durable`` for a store that outlives its process.
    """

    durable = False

    def make_store(self, tmp_path: Path) -> Store:
        """A new, empty store."""
        raise NotImplementedError

    def reopen(self, store: Store, tmp_path: Path) -> Store:
        """Closes the store and opens it again."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """The store of a test."""
        store = self.make_store(tmp_path)
        yield store
        store.close()

    # --- read and write ----------------------------------------------------------------------------------------------

    def test_a_new_store_is_empty_and_true(self, store: Store) -> None:
        assert (list(store.ids()), len(store), "a" in store, store.read(["a"])) == ([], 0, False, [None])
        assert store

    def test_what_is_written_is_read_in_the_order_of_the_ids(self, store: Store) -> None:
        revision = store.write([Change("a", None, b"1"), Change("b", None, b"2"), Change("c", None, b"")])
        assert store.read(["c", "x", "a", "b"]) == [(revision, b""), None, (revision, b"1"), (revision, b"2")]
        assert store.read(["a", "a"]) == [(revision, b"1")] * 2
        assert store.read([]) == []
        assert (len(store), "a" in store, "x" in store) == (3, True, False)
        (entry,) = store.read(["a"])
        assert entry is not None
        assert (entry.revision, entry.record, type(entry.record)) == (revision, b"1", bytes)

    def test_a_write_replaces_and_deletes(self, store: Store) -> None:
        first = store.write([Change(id, None, b"1") for id in "abc"])
        second = store.write([Change("a", first, b"2"), Change("b", first, None), Change("d", None, b"4")])
        store.write([])  # nothing
        assert store.read(list("abcd")) == [(second, b"2"), None, (first, b"1"), (second, b"4")]
        assert sorted(store.ids()) == ["a", "c", "d"]
        assert len(store) == 3

    def test_deleting_nothing_is_a_check(self, store: Store) -> None:
        store.write([Change("a", None, None), Change("b", None, b"1")])
        assert store.read(["a"]) == [None]
        with pytest.raises(ConflictError):
            store.write([Change("b", None, None)])

    def test_revisions_are_63_bits_and_never_come_back(self, store: Store) -> None:
        seen = set()
        revision = None
        for turn in range(50):
            revision = store.write([Change("a", revision, b"x" if turn % 3 else None)]) if turn else None
            if revision is not None:
                assert 0 <= revision < 2**63
                seen.add(revision)
            if turn % 3 == 0:
                revision = None
        assert len(seen) == 49
        assert max(seen) > 2**55

    # --- compare and set ---------------------------------------------------------------------------------------------

    def test_another_revision_is_a_conflict_and_nothing_is_written(self, store: Store) -> None:
        first = store.write([Change(id, None, b"1") for id in "abcd"])
        second = store.write([Change("b", first, b"2")])
        before = store.read(list("abcdxyz"))
        wrong = [
            Change("b", first, b"3"),  # an old revision
            Change("b", None, b"3"),  # there is something
            Change("b", first, None),
            Change("b", None, None),
            Change("x", first, b"3"),  # there is nothing
            Change("x", first, None),
            Change("a", second, b"3"),  # the revision of another id
        ]
        for change in wrong:
            for changes in (
                [change],
                [change, Change("y", None, b"3"), Change("c", first, None)],
                [Change("y", None, b"3"), Change("c", first, b"3"), Change("d", first, None), change],
            ):
                with pytest.raises(ConflictError) as caught:
                    store.write(changes)
                assert caught.value.code == "SO904"
                assert repr(change.id) in caught.value.got
                assert store.read(list("abcdxyz")) == before
        assert len(store) == 4

    def test_a_conflict_names_the_first_three_ids(self, store: Store) -> None:
        revision = store.write([Change(number, None, b"1") for number in range(6)])
        with pytest.raises(ConflictError) as caught:
            store.write([Change(number, None if number else revision, b"2") for number in range(6)])
        assert str(caught.value) == (
            "Somebody else changed an id first; nothing was written.\n"
            f"  where   {store.name}\n"
            f"  got     1: revision {revision:016x}, expected nothing\n"
            f"          2: revision {revision:016x}, expected nothing\n"
            f"          3: revision {revision:016x}, expected nothing\n"
            "          and 2 more\n"
            "  wanted  the revision that was read before\n"
            "  fix     let one process own each id; read it again and repeat the call\n"
            "  more    sostenuto explain SO904"
        )

    def test_an_old_revision_stays_old_after_deletion_and_rewriting(self, store: Store) -> None:
        first = store.write([Change("a", None, b"1")])
        store.write([Change("a", first, None)])
        store.write([Change("a", None, b"1")])
        with pytest.raises(ConflictError):
            store.write([Change("a", first, b"2")])

    def test_an_id_named_twice_is_refused(self, store: Store) -> None:
        first = store.write([Change("a", None, b"1")])
        for pair in (
            [Change("b", None, b"1"), Change("b", None, b"2")],
            [Change("a", first, b"2"), Change("a", first, None)],
            [Change("b", None, None), Change("b", None, b"2")],
            [Change(3, None, b"1"), Change(np.int64(3), None, b"2")],  # type: ignore[arg-type]
        ):
            with pytest.raises(ConflictError) as caught:
                store.write([Change("c", None, b"1"), *pair])
            assert (caught.value.code, "more than once among 3 changes" in caught.value.got) == ("SO904", True)
        assert store.read(["a", "b", "c"]) == [(first, b"1"), None, None]

    # --- ids ---------------------------------------------------------------------------------------------------------

    def test_ids_of_all_kinds_are_different_and_come_back(self, store: Store) -> None:
        store.write([Change(id, None, str(place).encode()) for place, id in enumerate(KINDS)])
        assert [entry and entry.record for entry in store.read(KINDS)] == [
            str(place).encode() for place in range(len(KINDS))
        ]
        found = list(store.ids())
        assert sorted(map(repr, found)) == sorted(map(repr, KINDS))
        assert len(store) == len(KINDS)
        for id in KINDS:
            assert id in store

    def test_numpys_numbers_and_texts_are_pythons(self, store: Store) -> None:
        ids: list[Any] = [np.int64(3), np.str_("a"), (np.uint8(1), np.str_("b"))]
        store.write([Change(id, None, b"1") for id in ids])
        assert sorted(map(repr, store.ids())) == sorted(["3", "'a'", "(1, 'b')"])
        assert None not in store.read([3, "a", (1, "b")])
        assert None not in store.read(ids)

    @pytest.mark.parametrize("id", [None, True, 1.0, b"a", ["a"], ("a", True), ("a", ("b",)), ("a", 1.5), "\ud800"])
    def test_what_cannot_be_an_id_is_refused(self, store: Store, id: Any) -> None:
        for call in (
            lambda: store.read(["a", id]),
            lambda: store.write([Change("a", None, b"1"), Change(id, None, b"1")]),
            lambda: id in store,
        ):
            with pytest.raises(IdError) as caught:
                call()
            assert caught.value.code == "SO311"
        assert len(store) == 0

    def test_ten_thousand_ids_stream(self, store: Store) -> None:
        ids = [f"engine-{number}" if number % 2 else number for number in range(10_000)]
        for begin in range(0, len(ids), 2500):
            store.write([Change(id, None, b"x" * 600) for id in ids[begin : begin + 2500]])
        assert len(store) == len(ids)
        stream = store.ids()
        assert iter(stream) is stream
        assert sorted(map(repr, stream)) == sorted(map(repr, ids))
        assert {entry and len(entry.record) for entry in store.read(ids)} == {600}

    def test_ids_may_be_listed_while_writes_go_on(self, store: Store) -> None:
        stay = [f"stay-{number}" for number in range(3000)]
        go = [f"go-{number}" for number in range(3000)]
        revision = store.write([Change(id, None, b"1") for id in stay + go])
        seen: list[Id] = []
        for turn, id in enumerate(store.ids()):
            seen.append(id)
            if turn % 500 == 0:
                part = slice(turn // 2, turn // 2 + 250)
                store.write([Change(id, revision, None) for id in go[part]])
                store.write([Change(f"new-{turn}-{number}", None, b"1") for number in range(50)])
                store.write([Change(stay[turn // 4], revision, b"2")])
        assert len(seen) == len(set(seen))
        assert {id for id in seen if str(id).startswith("stay")} == set(stay)

    # --- records -----------------------------------------------------------------------------------------------------

    def test_large_records(self, store: Store) -> None:
        large = np.random.default_rng(0).bytes(1 << 20)
        every = bytes(range(256)) + b"\0\r\n"
        revision = store.write([Change("a", None, large), Change("b", None, large[::-1]), Change("c", None, every)])
        assert store.read(["a", "b", "c"]) == [(revision, large), (revision, large[::-1]), (revision, every)]
        store.write([Change("a", revision, b"small")])
        assert [entry and entry.record for entry in store.read(["a", "b"])] == [b"small", large[::-1]]

    # --- notes, clear, close -----------------------------------------------------------------------------------------

    def test_notes(self, store: Store) -> None:
        assert store.note("model") is None
        store.set_note("model", "first")
        store.set_note("model", "sécond\n\0")
        store.set_note("", "")
        assert (store.note("model"), store.note(""), store.note("Model")) == ("sécond\n\0", "", None)
        assert (len(store), list(store.ids())) == (0, [])

    def test_clear_forgets_every_id_and_keeps_notes(self, store: Store) -> None:
        first = store.write([Change(id, None, b"1") for id in KINDS])
        store.set_note("model", "a")
        store.clear()
        assert (len(store), list(store.ids()), store.read(KINDS)) == (0, [], [None] * len(KINDS))
        assert store.note("model") == "a"
        with pytest.raises(ConflictError):
            store.write([Change("a", first, b"2")])
        store.write([Change("a", None, b"2")])
        assert len(store) == 1

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.write([Change("a", None, b"1")])
        name = store.name
        assert name
        assert name in repr(store)
        with store as same:
            assert same is store
        store.close()
        for call in (
            lambda: store.read(["a"]),
            lambda: store.read([]),
            lambda: store.write([Change("b", None, b"1")]),
            lambda: store.write([]),
            lambda: list(store.ids()),
            lambda: len(store),
            lambda: "a" in store,
            lambda: store.note("a"),
            lambda: store.set_note("a", "b"),
            lambda: store.clear(),
        ):
            with pytest.raises(StoreError) as caught:
                call()
            assert caught.value.code == "SO907"
        assert store.name == name

    def test_reopening_keeps_entries_and_notes(self, store: Store, tmp_path: Path) -> None:
        if not self.durable:
            pytest.skip("this store ends with its process")
        revision = store.write([Change(id, None, repr(id).encode()) for id in KINDS])
        store.set_note("model", "a")
        store = self.reopen(store, tmp_path)
        assert store.read(KINDS) == [(revision, repr(id).encode()) for id in KINDS]
        assert (len(store), store.note("model")) == (len(KINDS), "a")
        store.clear()
        store = self.reopen(store, tmp_path)
        assert (len(store), store.note("model")) == (0, "a")
        store.close()

    # --- threads -----------------------------------------------------------------------------------------------------

    def test_threads_of_different_ids_do_not_disturb_each_other(self, store: Store) -> None:
        def work(thread: int) -> None:
            ids = [f"{thread}-{number}" for number in range(10)]
            revision = None
            for turn in range(20):
                revision = store.write([Change(id, revision, f"{id} {turn}".encode()) for id in ids])
                assert store.read(ids) == [(revision, f"{id} {turn}".encode()) for id in ids]

        with ThreadPoolExecutor(6) as pool:
            for future in [pool.submit(work, thread) for thread in range(6)]:
                future.result()
        assert len(store) == 60

    def test_threads_that_count_the_same_ids_lose_nothing(self, store: Store) -> None:
        store.write([Change(id, None, b"0") for id in "ab"])
        begin = threading.Barrier(4)
        lost = []

        def work() -> None:
            begin.wait()
            done = 0
            while done < 15:
                a, b = store.read(["a", "b"])
                assert a is not None
                assert b is not None
                changes = [
                    Change(id, entry.revision, b"%d" % (int(entry.record) + 1))
                    for id, entry in zip("ab", (a, b), strict=True)
                ]
                try:
                    store.write(changes)
                    done += 1
                except ConflictError:
                    lost.append(1)

        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(work) for _ in range(4)]:
                future.result()
        assert [entry and entry.record for entry in store.read(["a", "b"])] == [b"60", b"60"]

    def test_listing_while_threads_write(self, store: Store) -> None:
        ids = [f"id-{number}" for number in range(2500)]
        revision = store.write([Change(id, None, b"1") for id in ids])
        stop = threading.Event()

        def work() -> None:
            now = revision
            while not stop.is_set():
                now = store.write([Change(id, now, b"2") for id in ids[:200]])

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            try:
                for _ in range(3):
                    assert sorted(map(str, store.ids())) == sorted(ids)
                    assert len(store) == len(ids)
            finally:
                stop.set()
            future.result()

    # --- programs made by hypothesis, against a dict -----------------------------------------------------------------

    @given(data=st.data())
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_program_agrees_with_a_dict(self, store: Store, data: st.DataObject) -> None:
        store.clear()
        ids = data.draw(st.lists(IDS, min_size=1, max_size=5, unique_by=repr))
        known: dict[Id, tuple[int, bytes]] = {}
        old: list[int] = [1]
        for _ in range(data.draw(st.integers(1, 8))):
            if data.draw(st.integers(0, 9)) == 0:
                store.clear()
                known.clear()
            changes = []
            fits = True
            for id in data.draw(st.lists(st.sampled_from(ids), unique_by=repr)):
                there = known[id][0] if id in known else None
                expected = data.draw(st.one_of(st.just(there), st.just(there), st.none(), st.sampled_from(old)))
                fits = fits and expected == there
                changes.append(Change(id, expected, data.draw(st.none() | st.binary(max_size=20))))
            if fits:
                revision = store.write(changes)
                old.append(revision)
                for id, _, record in changes:
                    known.pop(id, None)
                    if record is not None:
                        known[id] = (revision, record)
            else:
                with pytest.raises(ConflictError):
                    store.write(changes)
            assert store.read(ids) == [known.get(id) for id in ids]
            assert (len(store), set(store.ids())) == (len(known), set(known))
