"""What names a sequence in a store, and its text there."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest
from hypothesis import given

from sostenuto.errors import IdError, StoreError
from sostenuto.stores.ids import id_of, key_text, plain_id
from sostenuto.stores.testing import IDS

STAYS = "turn it into a text or a whole number that stays the same for good"


@given(IDS)
def test_every_id_comes_back_from_its_text(id):
    text = key_text(id)
    assert id_of(text, "memory") == id
    assert type(id_of(text, "memory")) is type(id)
    # The oracle is Python's own JSON.
    assert text == json.dumps(id, ensure_ascii=False, separators=(",", ":"))


@given(IDS, IDS)
def test_different_ids_have_different_texts(one, other):
    assert (key_text(one) == key_text(other)) == (type(one) is type(other) and one == other)


def test_numpys_scalars_become_pythons():
    assert plain_id(np.uint64(2**64 - 1)) == 2**64 - 1
    assert type(plain_id(np.int8(-3))) is int
    assert type(plain_id(np.str_("a"))) is str
    assert [type(part) for part in plain_id((np.str_("a"), np.int32(1)))] == [str, int]
    assert [key_text(id) for id in (np.int64(3), np.str_("3"), (np.str_("3"), np.int16(3)))] == ["3", '"3"', '["3",3]']


@pytest.mark.parametrize(
    ("id", "where", "got", "fix"),
    [
        (None, "an id", "None", STAYS),
        (True, "an id", "True", STAYS),
        (np.bool_(False), "an id", "False", STAYS),
        (17.0, "an id", "the float 17.0", "write 17, or '17'"),
        (np.float32(0.5), "an id", "the float32 0.5", STAYS),
        (float("nan"), "an id", "the float nan", STAYS),
        (b"a", "an id", "bytes", "decode it to text: id.decode()"),
        (["a"], "an id", "list of 1", "write a tuple: tuple(id)"),
        ({}, "an id", "dict of 0", STAYS),
        (datetime.date(2024, 1, 1), "an id", "date", STAYS),
        (np.timedelta64(1, "s"), "an id", "() timedelta64[s]", STAYS),
        (np.arange(2), "an id", "(2,) int64", STAYS),
        ("a\ud800", "an id", "text with half a character (a lone surrogate)", "decode the text with errors='strict'"),
        pytest.param(10**4300, "an id", "a whole number of 14,285 bits", "use a text instead", id="digits"),
        (("a", 1.0), "inside a tuple", "the float 1.0", "write 1, or '1'"),
        (("a", ("b",)), "inside a tuple", "tuple of 1", STAYS),
    ],
)  # fmt: skip
def test_what_cannot_be_an_id(id, where, got, fix):
    for function in (plain_id, key_text):
        with pytest.raises(IdError) as caught:
            function(id)
        assert str(caught.value) == (
            "This cannot be an id.\n"
            f"  where   {where}\n"
            f"  got     {got}\n"
            "  wanted  text, a whole number, or a tuple of these\n"
            f"  fix     {fix}\n"
            "  more    sostenuto explain SO311"
        )
        assert isinstance(caught.value, TypeError)


def test_the_longest_number_is_an_id():
    for number in (10**4300 - 1, 1 - 10**4300):
        assert id_of(key_text(number), "memory") == number


@pytest.mark.parametrize(
    "text", ["", "a", "1.0", "true", "null", '"a" ', "[1, 2]", '{"a":1}', "[[1]]", '"\\u0061"', "01"]
)
def test_a_key_that_is_no_id(text):
    with pytest.raises(StoreError) as caught:
        id_of(text, "SQLite 'a.db'")
    assert str(caught.value) == (
        "A key of a store is no id.\n"
        "  where   SQLite 'a.db'\n"
        f"  got     a key of {len(text):,} characters that Sostenuto did not write\n"
        "  wanted  an id as JSON: text, a whole number or a list of these\n"
        "  fix     put back a copy of the store from before the damage\n"
        "  more    sostenuto explain SO906"
    )
