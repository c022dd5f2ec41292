"""The bytes of a record: what a session keeps of a sequence between two calls. docs/pages/store-format.md draws them.

Packing and unpacking go by layout: rows that have the same arrays of the same sizes are one matrix of bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sostenuto.diagnosis import count, shape_of
from sostenuto.errors import StoreError
from sostenuto.stores.arrays import array_bytes, describe, read_descriptions
from sostenuto.stores.damage import corrupt, newer

MAGIC = b"sost"
FORMAT = 1
HEAD = struct.Struct("<4sHBBIIQ8sII")
# Byte positions of the fields, as the format lays them down.
VERSION, TIME_KIND, ANSWER, DESCRIBED, STEP, AT, CALL_STEPS, INPUT_CRC = 4, 6, 7, 12, 16, 24, 32, 36
NO_TIME, WHOLE_TIME, FLOAT_TIME = 0, 1, 2
CHECKSUM = 4
KNOWN = MAGIC + FORMAT.to_bytes(2, "little")
# The CRC-32 of any bytes followed by their own CRC-32: whole records are told in one pass without a copy.
RESIDUE = 0x2144DF1C

Time = int | float | None


@dataclass(frozen=True, eq=False)
class Record:
    """What is kept of a sequence.

    Args:
        step: how many steps were taken, from 0 on.
        at: the caller's time of the last call; None, a whole number of 64 bits, or a float.
        call_steps: how many steps the last call took.
        input_crc: checksum of the last call's input, 32 bits without a sign.
        states: one array per state, of any shape (mostly (U,)) and dtype.
        answer: the output of the last call, None where there is none.
    """

    step: int
    at: Time
    call_steps: int
    input_crc: int
    states: list[np.ndarray]
    answer: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Columns:
    """The records of B ids side by side.

    Args:
        step: (B,) int64.
        at: B times.
        call_steps: (B,) int64.
        input_crc: (B,) uint32.
        states: one array (B, ...) per state.
        answers: B arrays, None where there is none.
    """

    step: np.ndarray
    at: list[Time]
    call_steps: np.ndarray
    input_crc: np.ndarray
    states: list[np.ndarray]
    answers: list[np.ndarray | None]

    def __len__(self) -> int:
        return len(self.step)


def pack(record: Record) -> bytes:
    """The bytes of one record.

    Raises:
        StoreError: SO905, a field lies outside what the format holds.

    Example:
        >>> import numpy as np
        >>> h = np.zeros(2, "float32")
        >>> data = pack(Record(step=3, at=None, call_steps=1, input_crc=7, states=[h]))
        >>> len(data), unpack(data).step, unpack(data).states[0]
        (58, 3, array([0., 0.], dtype=float32))
    """
    states = [np.asarray(state)[None] for state in record.states]
    return pack_many(
        np.array([record.step], object), [record.at], [record.call_steps], [record.input_crc], states, [record.answer]
    )[0]


def unpack(data: bytes) -> Record:
    """The record of ``pack``'s bytes.

    Raises:
        StoreError: SO906, the bytes are no whole record; SO902, they are of a newer format.
    """
    columns = unpack_many([data])
    return Record(
        int(columns.step[0]),
        columns.at[0],
        int(columns.call_steps[0]),
        int(columns.input_crc[0]),
        [state[0] for state in columns.states],
        columns.answers[0],
    )


def pack_many(
    step: Any, at: Sequence[Time], call_steps: Any, input_crc: Any, states: Sequence[Any], answers: Sequence[Any]
) -> list[bytes]:
    """The bytes of B records at once.

    Args:
        step: (B,), whole numbers from 0 to 2**63 - 1.
        at: B times, each None, a whole number of 64 bits, or a float.
        call_steps: (B,), whole numbers from 0 to 2**32 - 1.
        input_crc: (B,), whole numbers from 0 to 2**32 - 1.
        states: one array (B, ...) per state: floats of 16, 32 or 64 bits, bfloat16, integers or booleans.
        answers: B arrays of such a dtype and any shape, or None; one array (B, ...) is quickest.

    Returns:
        B byte strings.

    Raises:
        StoreError: SO905, a field or dtype lies outside what the format holds.
    """
    rows = len(at)
    if not rows:
        return []
    numbers = [
        whole_numbers("step", step, 63, "<u8"),
        whole_numbers("call_steps", call_steps, 32, "<u4"),
        whole_numbers("input_crc", input_crc, 32, "<u4"),
    ]
    kinds, times = _times(at)
    kept = [array_bytes(state, "a state") for state in states]
    described = b"".join(describe(state.dtype, state.shape[1:]) for state, _ in kept)
    matrices = [data.reshape(rows, -1) for _, data in kept]

    packed: list[bytes] = [b""] * rows
    for layout, members in _by_layout(answers).items():
        whole = len(members) == rows
        at_rows: Any = slice(None) if whole else members
        parts = [matrix[at_rows] for matrix in matrices]
        descriptions = described
        if layout is not None:
            alike = isinstance(answers, np.ndarray) and whole
            stacked, data = array_bytes(answers if alike else np.stack([answers[row] for row in members]), "an answer")
            descriptions += describe(stacked.dtype, stacked.shape[1:])
            parts.append(data.reshape(len(members), -1))
        first = HEAD.pack(MAGIC, FORMAT, 0, int(layout is not None), len(states), len(descriptions), 0, b"\0" * 8, 0, 0)
        fixed = np.frombuffer(first + descriptions, np.uint8)
        matrix = np.empty((len(members), len(fixed) + sum(part.shape[1] for part in parts)), np.uint8)
        matrix[:, : len(fixed)] = fixed
        matrix[:, TIME_KIND] = kinds[at_rows]
        matrix[:, AT : AT + 8] = times[at_rows]
        for place, field in zip((STEP, CALL_STEPS, INPUT_CRC), numbers, strict=True):
            matrix[:, place : place + field.shape[1]] = field[at_rows]
        begin = len(fixed)
        for part in parts:
            matrix[:, begin : begin + part.shape[1]] = part
            begin += part.shape[1]
        for row, body in zip(members, _rows(matrix), strict=True):
            packed[row] = body + zlib.crc32(body).to_bytes(CHECKSUM, "little")
    return packed


def unpack_many(records: Sequence[bytes], names: Sequence[Any] | None = None) -> Columns:
    """The records of B byte strings at once.

    Args:
        records: B byte strings made by ``pack`` or ``pack_many``.
        names: what each belongs to (its id), for messages; its number by default.

    Returns:
        Their fields as columns. All must have the same states; answers may differ.

    Raises:
        StoreError: SO906, some bytes are no whole record, or two have different states; SO902, a newer format.
    """
    rows = len(records)
    _check_checksums(records, names)
    columns = Columns(
        np.zeros(rows, np.int64), [None] * rows, np.zeros(rows, np.int64), np.zeros(rows, np.uint32), [], [None] * rows
    )
    states: list[np.ndarray] | None = None
    for members, matrix in _same_layout(records):
        where = _where(members[0], names)
        found, answers = _arrays(matrix, where)
        if states is None:
            states = [np.empty((rows, *array.shape[1:]), array.dtype) for array in found]
        _check_same_states(states, found, where)
        at_rows: Any = slice(None) if len(members) == rows else np.array(members)
        for state, array in zip(states, found, strict=True):
            state[at_rows] = array
        steps = _field(matrix, STEP, "<u8")
        if (steps >> np.uint64(63)).any():
            raise corrupt(where, "a step number beyond 2**63")
        columns.step[at_rows] = steps
        columns.call_steps[at_rows] = _field(matrix, CALL_STEPS, "<u4")
        columns.input_crc[at_rows] = _field(matrix, INPUT_CRC, "<u4")
        for row, time in zip(members, _read_times(matrix, where), strict=True):
            columns.at[row] = time
        if answers is not None:
            for row, answer in zip(members, answers, strict=True):
                columns.answers[row] = answer
    columns.states.extend(states or [])
    return columns


def whole_numbers(name: str, values: Any, bits: int, dtype: str) -> np.ndarray:
    """Whole numbers (B,) as bytes (B, size of dtype); SO905 where one does not fit ``bits``."""
    array = np.asarray(values)
    if array.dtype == object or array.dtype.kind not in "iub":
        array = np.array([_whole(name, value) for value in array.tolist()], object)
    if len(array) and not (array.min() >= 0 and int(array.max()) < 1 << bits):
        raise _unfit(name, "a number outside", f"a whole number from 0 to 2**{bits} - 1")
    fitting = np.ascontiguousarray(array.astype(dtype))
    return fitting.view(np.uint8).reshape(len(array), fitting.itemsize)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, int | np.integer):
        return int(value)
    raise _unfit(name, shape_of(value), "a whole number")


def _times(at: Sequence[Time]) -> tuple[np.ndarray, np.ndarray]:
    """The kind of each time (B,) and its 8 bytes (B, 8)."""
    kinds, raw = bytearray(), bytearray()
    for time in at:
        if time is None:
            kinds.append(NO_TIME)
            raw += b"\0" * 8
        elif isinstance(time, float | np.floating):
            kinds.append(FLOAT_TIME)
            raw += struct.pack("<d", time)
        elif isinstance(time, int | np.integer) and -(1 << 63) <= time < 1 << 63:
            kinds.append(WHOLE_TIME)
            raw += int(time).to_bytes(8, "little", signed=True)
        else:
            wide = isinstance(time, int)
            raise _unfit("at", "a whole number of more than 64 bits" if wide else shape_of(time), "an int or a float")
    return np.frombuffer(bytes(kinds), np.uint8), np.frombuffer(bytes(raw), np.uint8).reshape(len(at), 8)


def _read_times(matrix: np.ndarray, where: str) -> list[Time]:
    kinds = matrix[:, TIME_KIND]
    lowest, highest = int(kinds.min()), int(kinds.max())
    if highest > FLOAT_TIME:
        raise corrupt(where, f"a time of kind {highest}")
    choices: list[list[Any]] = [[None] * len(matrix)]
    choices += [_field(matrix, AT, dtype).tolist() for dtype in ("<i8", "<f8")]
    if lowest == highest:
        return choices[lowest]
    return [choices[kind][row] for row, kind in enumerate(kinds.tolist())]


def _by_layout(answers: Sequence[Any]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = {}
    if isinstance(answers, np.ndarray) and answers.dtype != object:
        return {answers.shape: list(range(len(answers)))} if len(answers) else groups
    for row, answer in enumerate(answers):
        if answer is None:
            layout: Hashable = None
        else:
            answer = answer if isinstance(answer, np.ndarray) else np.asarray(answer)
            layout = (answer.dtype, answer.shape)
        groups.setdefault(layout, []).append(row)
    return groups


def _rows(matrix: np.ndarray) -> list[bytes]:
    data, size = matrix.tobytes(), matrix.shape[1]
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


def _check_checksums(records: Sequence[bytes], names: Sequence[Any] | None) -> None:
    """Length, checksum and magic, then the version: all versions share the first three."""
    for row, data in enumerate(records):
        if zlib.crc32(data) == RESIDUE and data.startswith(KNOWN) and len(data) >= HEAD.size + CHECKSUM:
            continue
        where, size = _where(row, names), len(data)
        if size < HEAD.size + CHECKSUM:
            raise corrupt(where, count(size, "byte"))
        if zlib.crc32(data) != RESIDUE:
            raise corrupt(where, f"{count(size, 'byte')} whose checksum is another")
        if not data.startswith(MAGIC):
            raise corrupt(where, f"{count(size, 'byte')} that do not begin as a record")
        version = int.from_bytes(data[VERSION:TIME_KIND], "little")
        raise newer(where, version, FORMAT) if version > FORMAT else corrupt(where, f"format {version}")


def _same_layout(records: Sequence[bytes]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    """Groups of rows whose records are equally long and describe the same arrays, with their bytes as a matrix."""
    if len(set(map(len, records))) == 1:
        matrix = _matrix(records)
        described = int.from_bytes(records[0][DESCRIBED:STEP], "little")
        if _alike(matrix[:, ANSWER:STEP]) and _alike(matrix[:, HEAD.size : HEAD.size + described]):
            yield range(len(records)), matrix
            return
    groups: dict[tuple[int, bytes, bytes], list[int]] = {}
    for row, data in enumerate(records):
        described = int.from_bytes(data[DESCRIBED:STEP], "little")
        layout = (len(data), data[ANSWER:STEP], data[HEAD.size : HEAD.size + described])
        groups.setdefault(layout, []).append(row)
    for members in groups.values():
        yield members, _matrix([records[row] for row in members])


def _matrix(records: Sequence[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(records), np.uint8).reshape(len(records), -1)


def _alike(rows: np.ndarray) -> bool:
    return bool((rows == rows[0]).all())


def _arrays(matrix: np.ndarray, where: str) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The states (B, ...) and the answers (B, ...) of records with one layout."""
    head = HEAD.unpack(matrix[0, : HEAD.size].tobytes())
    answer, states, described = head[3], head[4], head[5]
    begin = HEAD.size + described
    if answer > 1 or begin + CHECKSUM > matrix.shape[1]:
        raise corrupt(where, "a head that does not fit its record")
    kinds = read_descriptions(matrix[0, HEAD.size : begin].tobytes(), states + answer, where)
    if begin + sum(kind.size for kind in kinds) + CHECKSUM != matrix.shape[1]:
        raise corrupt(where, f"{matrix.shape[1]:,} bytes for arrays of another size")
    arrays = []
    for kind in kinds:
        data = np.ascontiguousarray(matrix[:, begin : begin + kind.size])
        arrays.append(kind.array(data, len(matrix)))
        begin += kind.size
    return arrays[:states], arrays[states] if answer else None


def _check_same_states(states: list[np.ndarray], found: list[np.ndarray], where: str) -> None:
    wanted, got = ([(array.dtype, array.shape[1:]) for array in arrays] for arrays in (states, found))
    if wanted != got:
        raise corrupt(where, "other states than the records before it", "the states of one model")


def _field(matrix: np.ndarray, place: int, dtype: str) -> np.ndarray:
    return np.ascontiguousarray(matrix[:, place : place + np.dtype(dtype).itemsize]).view(dtype)[:, 0]


def _where(row: int, names: Sequence[Any] | None) -> str:
    return f"record {row}" if names is None else f"the record of {names[row]!r}"


def _unfit(name: str, got: str, wanted: str) -> StoreError:
    return StoreError(
        "A record cannot be written.",
        code="SO905",
        where=f"field '{name}'",
        got=got,
        wanted=wanted,
        fix="pass a value that fits; times beyond 64 bits fit as floats",
    )
