"""Records: what is packed is unpacked, alone or many at once, and no damaged byte is ever read."""

from __future__ import annotations

import struct
import sys
import zlib

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sostenuto.errors import BackendError, StoreError
from sostenuto.stores.record import Record, pack, pack_many, unpack, unpack_many

DTYPES = ["f2", "f4", "f8", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
ARRAYS = st.sampled_from([*DTYPES, ">f4", ">i8"]).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
TIMES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats())
WORDS = st.integers(0, 2**32 - 1)
RECORDS = st.builds(
    Record, st.integers(0, 2**63 - 1), TIMES, WORDS, WORDS, st.lists(ARRAYS, max_size=3), st.none() | ARRAYS
)


def plain(array):
    """What must be equal: dtype in this machine's byte order, shape and bytes (NaN has many)."""
    if array is None:
        return None
    native = array.astype(array.dtype.newbyteorder("="))
    return native.dtype, native.shape, native.tobytes()


def fields(record: Record):
    at = record.at if not isinstance(record.at, float) else struct.pack("<d", record.at)
    arrays = [plain(array) for array in record.states], plain(record.answer)
    return record.step, type(record.at), at, record.call_steps, record.input_crc, arrays


@given(RECORDS)
def test_what_is_packed_is_unpacked(record):
    assert fields(unpack(pack(record))) == fields(record)


@given(st.data())
def test_many_at_once_are_each_as_if_alone(data):
    layout = data.draw(st.lists(ARRAYS, max_size=2))
    number = data.draw(st.integers(1, 6))
    same = [
        st.builds(np.copy, st.just(state)) | hnp.arrays(state.dtype, state.shape, fill=st.nothing()) for state in layout
    ]
    records = [
        Record(data.draw(st.integers(0, 2**63 - 1)), data.draw(TIMES), data.draw(WORDS), data.draw(WORDS),
               [data.draw(state) for state in same], data.draw(st.none() | ARRAYS))
        for _ in range(number)
    ]  # fmt: skip
    packed = pack_many(
        [record.step for record in records],
        [record.at for record in records],
        [record.call_steps for record in records],
        [record.input_crc for record in records],
        [np.stack([record.states[place] for record in records]) for place in range(len(layout))],
        [record.answer for record in records],
    )
    assert packed == [pack(record) for record in records]
    columns = unpack_many(packed)
    assert len(columns) == number
    for row, record in enumerate(records):
        one = Record(
            int(columns.step[row]), columns.at[row], int(columns.call_steps[row]), int(columns.input_crc[row]),
            [state[row] for state in columns.states], columns.answers[row],
        )  # fmt: skip
        assert fields(one) == fields(record)


def test_answers_as_one_array_are_answers_one_by_one(rng):
    answers = rng.normal(size=(5, 2, 3)).astype("float32")
    states = [rng.normal(size=(5, 4))]
    of = (np.arange(5), [None] * 5, np.ones(5, int), np.arange(5), states)
    assert pack_many(*of, answers) == pack_many(*of, list(answers))


def test_of_nothing_there_is_nothing():
    assert pack_many([], [], [], [], [], []) == []
    assert pack_many(np.zeros(0, int), [], [], [], [np.zeros((0, 64))], np.zeros((0, 3))) == []
    assert len(unpack_many([])) == 0


def test_columns_are_of_the_dtypes_that_are_promised(rng):
    states = [rng.normal(size=(3, 4)).astype("float32"), rng.normal(size=(3, 2, 2))]
    columns = unpack_many(pack_many([1, 2, 3], [None, 4, 0.5], [1, 1, 9], [0, 1, 2**32 - 1], states, [None] * 3))
    assert (columns.step.dtype, columns.call_steps.dtype, columns.input_crc.dtype) == ("int64", "int64", "uint32")
    assert [(state.dtype, state.shape) for state in columns.states] == [("float32", (3, 4)), ("float64", (3, 2, 2))]
    assert columns.at == [None, 4, 0.5]
    assert columns.answers == [None] * 3
    assert all(state.flags.writeable for state in columns.states)
    for state, wanted in zip(columns.states, states, strict=True):
        np.testing.assert_array_equal(state, wanted)


def test_bfloat16_is_kept_bit_by_bit(monkeypatch):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    state = np.arange(2**16, dtype="uint16").view(ml_dtypes.bfloat16)
    packed = pack(Record(1, None, 1, 0, [state], state[:3]))
    found = unpack(packed)
    assert found.states[0].dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found.states[0].view("uint16"), state.view("uint16"))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(BackendError) as caught:
        unpack(packed)
    assert str(caught.value) == (
        "NumPy cannot read bfloat16 alone.\n"
        "  where   the states of a store\n"
        "  got     no package ml_dtypes\n"
        "  wanted  ml_dtypes, which comes with JAX and TensorFlow\n"
        "  fix     pip install ml_dtypes\n"
        "  more    sostenuto explain SO703"
    )


def refused(data) -> StoreError:
    with pytest.raises(StoreError) as caught:
        unpack(data)
    return caught.value


@given(RECORDS, st.data())
def test_a_record_that_was_cut_extended_or_altered_is_never_read(record, data):
    packed = pack(record)
    cut = data.draw(st.integers(0, len(packed) - 1))
    assert refused(packed[:cut]).code == "SO906"
    assert refused(packed[cut + 1 :]).code == "SO906"
    assert refused(packed + data.draw(st.binary(min_size=1, max_size=9))).code == "SO906"
    place, mask = data.draw(st.integers(0, len(packed) - 1)), data.draw(st.integers(1, 255))
    altered = bytearray(packed)
    altered[place] ^= mask
    assert refused(bytes(altered)).code == "SO906"
    assert refused(data.draw(st.binary(max_size=200))).code == "SO906"


@given(RECORDS, st.data())
def test_a_record_whose_checksum_was_made_to_fit_is_read_whole_or_refused(record, data):
    """Not damage but malice or a faulty writer: no crash, no other exception, no array of another size."""
    body = bytearray(pack(record)[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, min(len(body) - 1, 60)))] = data.draw(st.integers(0, 255))
    body = bytes(body[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else body)
    sealed = body + zlib.crc32(body).to_bytes(4, "little")
    try:
        found = unpack(sealed)
    except StoreError as error:
        assert error.code in ("SO906", "SO902")  # noqa: PT017
    else:
        assert 0 <= found.step < 2**63


def test_a_newer_format_is_named():
    body = bytearray(pack(Record(1, None, 1, 0, []))[:-4])
    body[4:6] = (2).to_bytes(2, "little")
    sealed = bytes(body) + zlib.crc32(bytes(body)).to_bytes(4, "little")
    assert str(refused(sealed)) == (
        "This was written by a newer Sostenuto.\n"
        "  where   record 0\n"
        "  got     format 2\n"
        "  wanted  format 1\n"
        "  fix     pip install --upgrade sostenuto\n"
        "  more    sostenuto explain SO902"
    )


def test_a_damaged_record_names_its_id():
    good = pack(Record(1, None, 1, 0, [np.zeros(2)]))
    with pytest.raises(StoreError) as caught:
        unpack_many([good, good[:-1]], names=["engine-4", "engine-17"])
    assert str(caught.value) == (
        "A record of a store is damaged.\n"
        "  where   the record of 'engine-17'\n"
        "  got     65 bytes whose checksum is another\n"
        "  wanted  a whole record as it was written\n"
        "  fix     put back a copy of the store from before the damage, or forget the id and feed its history again\n"
        "  more    sostenuto explain SO906"
    )


@pytest.mark.parametrize(
    "other", [[np.zeros(2, "float32")], [np.zeros(3)], [np.zeros((2, 1))], [], [np.zeros(2), np.zeros(2)]]
)
def test_records_with_other_states_are_not_stacked(other):
    one, two = (pack(Record(1, None, 1, 0, states)) for states in ([np.zeros(2)], other))
    for pair in ([one, two], [two, one]):
        with pytest.raises(StoreError) as caught:
            unpack_many(pair)
        assert caught.value.code == "SO906"
        assert caught.value.got == "other states than the records before it"
        assert caught.value.where == "record 1"


@pytest.mark.parametrize(
    ("changed", "where", "got", "wanted"),
    [
        ({"step": -1}, "field 'step'", "a number outside", "a whole number from 0 to 2**63 - 1"),
        ({"step": 2**63}, "field 'step'", "a number outside", "a whole number from 0 to 2**63 - 1"),
        ({"step": 1.5}, "field 'step'", "float", "a whole number"),
        ({"call_steps": 2**32}, "field 'call_steps'", "a number outside", "a whole number from 0 to 2**32 - 1"),
        ({"input_crc": -5}, "field 'input_crc'", "a number outside", "a whole number from 0 to 2**32 - 1"),
        ({"at": 2**63}, "field 'at'", "a whole number of more than 64 bits", "an int or a float"),
        ({"at": "noon"}, "field 'at'", "str", "an int or a float"),
    ],
)
def test_what_does_not_fit_is_refused(changed, where, got, wanted):
    with pytest.raises(StoreError) as caught:
        pack(Record(**{"step": 1, "at": None, "call_steps": 1, "input_crc": 0, "states": [], **changed}))
    assert str(caught.value) == (
        "A record cannot be written.\n"
        f"  where   {where}\n"
        f"  got     {got}\n"
        f"  wanted  {wanted}\n"
        "  fix     pass a value that fits; times beyond 64 bits fit as floats\n"
        "  more    sostenuto explain SO905"
    )


def test_a_dtype_without_a_code_is_refused():
    with pytest.raises(StoreError) as caught:
        pack(Record(1, None, 1, 0, [np.zeros(3, complex)]))
    assert str(caught.value) == (
        "A record cannot be written.\n"
        "  where   a state\n"
        "  got     (1, 3) complex128\n"
        "  wanted  one of float16, float32, float64, bfloat16, bool, int8, int16, int32, int64, uint8, uint16, uint32, "
        "uint64\n"
        "  fix     cast it, for instance with array.astype('float32')\n"
        "  more    sostenuto explain SO905"
    )
