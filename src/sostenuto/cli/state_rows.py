"""States as rows of a file, to the last bit: Parquet, or JSON lines with a first line that says what follows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from sostenuto.cli.state_notes import MOST_AT_ONCE, Layout
from sostenuto.diagnosis import count
from sostenuto.errors import DataError, StoreError
from sostenuto.stores import Id, plain_id
from sostenuto.stores.ids import id_of, key_text
from sostenuto.stores.record import Record, pack_many

FORMAT = 1
MARK = "sostenuto.states"
_TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

Saved = tuple[Id, Record]


@dataclass(frozen=True)
class Header:
    """What holds for all rows of a file.

    Args:
        note: the fingerprint of the model as the store had it.
        layout: the names, dtypes and shapes of the states.
        answer: the dtype of the answers; None if no record has one.
    """

    note: str | None
    layout: Layout
    answer: str | None

    def to_json(self) -> str:
        """The header as text."""
        states = [
            [*name, dtype, list(shape)]
            for name, (dtype, shape) in zip(self.layout.names, self.layout.kinds, strict=True)
        ]
        return json.dumps({MARK: FORMAT, "model": self.note, "states": states, "answer": self.answer})

    @classmethod
    def from_json(cls, text: str | bytes) -> Header:
        """The header of such a text.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        found = json.loads(text)
        if found[MARK] != FORMAT:
            raise ValueError(f"format {found[MARK]!r}")
        names = tuple((str(layer), str(state)) for layer, state, _, _ in found["states"])
        kinds = tuple((str(dtype), tuple(map(int, shape))) for _, _, dtype, shape in found["states"])
        return cls(found["model"], Layout(names, kinds), found["answer"])

    def packed(self, part: Sequence[Saved]) -> list[bytes]:
        """The records of some rows as a store keeps them."""
        records = [record for _, record in part]
        states = [np.stack([record.states[number] for record in records]) for number in range(len(self.layout.names))]
        return pack_many(
            np.array([record.step for record in records], object),
            [record.at for record in records],
            [record.call_steps for record in records],
            [record.input_crc for record in records],
            states,
            [record.answer for record in records],
        )


class FileOfStates(Protocol):
    """A kind of file."""

    def write(self, path: Path, header: Header, saved: Iterable[Sequence[Saved]]) -> int:
        """Writes all rows and says how many."""
        ...

    def header(self, path: Path) -> Header:
        """The header of a file.

        Raises:
            DataError: SO805, the file is something else.
        """
        ...

    def read(self, path: Path, header: Header) -> Iterator[list[Saved]]:
        """The rows of a file, some at a time.

        Raises:
            DataError: SO805, a row is something else.
        """
        ...


def unreadable(path: Path, got: str) -> DataError:
    """The error for a file that cannot be imported (SO805)."""
    return DataError(
        "This file holds no states that can be imported.",
        code="SO805",
        where=repr(str(path)),
        got=got,
        wanted="a whole file that 'sostenuto state export' wrote",
        fix="export the states again",
    )


def _array(values: Any, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """Numbers in a flat list as the array that they were."""
    if values is None:
        raise ValueError("a state is missing")
    if dtype == "bfloat16":
        import ml_dtypes  # comes with JAX and TensorFlow

        return np.asarray(values, np.float32).astype(ml_dtypes.bfloat16).reshape(shape)
    return np.asarray(values, np.dtype(dtype)).reshape(shape)


def _numbers(array: np.ndarray) -> np.ndarray:
    """An array flat, in a dtype that files have: bfloat16 fits into float32."""
    return np.ascontiguousarray(array).reshape(-1).astype(np.float32 if array.dtype.name == "bfloat16" else array.dtype)


class JsonFile:
    """JSON lines: the header, then an object for each id."""

    def write(self, path: Path, header: Header, saved: Iterable[Sequence[Saved]]) -> int:
        """Writes all rows."""
        written = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(f"{header.to_json()}\n")
            for part in saved:
                for id, record in part:
                    file.write(f"{json.dumps(self._row(id, record, header), ensure_ascii=False)}\n")
                written += len(part)
        return written

    def _row(self, id: Id, record: Record, header: Header) -> dict[str, Any]:
        states = dict(zip(header.layout.columns, (_numbers(state).tolist() for state in record.states), strict=True))
        answer = record.answer
        return {
            "id": id, "step": record.step, "at": record.at, "call_steps": record.call_steps,
            "input_crc": record.input_crc, **states,
            "answer": None if answer is None else _numbers(answer).tolist(),
            "answer_shape": None if answer is None else list(answer.shape),
        }  # fmt: skip

    def header(self, path: Path) -> Header:
        """The header of a file."""
        try:
            with path.open(encoding="utf-8") as file:
                return Header.from_json(file.readline())
        except (ValueError, KeyError, TypeError):
            raise unreadable(path, "a first line that says nothing of states") from None

    def read(self, path: Path, header: Header) -> Iterator[list[Saved]]:
        """The rows of a file."""
        number = 1
        with path.open(encoding="utf-8") as file:
            next(file)
            while lines := list(islice(file, MOST_AT_ONCE)):
                part = []
                for line in lines:
                    number += 1
                    with _explained(path, f"line {number}"):
                        part.append(self._saved(json.loads(line), header))
                yield part

    def _saved(self, row: dict[str, Any], header: Header) -> Saved:
        kinds = zip(header.layout.columns, header.layout.kinds, strict=True)
        states = [_array(row[name], dtype, shape) for name, (dtype, shape) in kinds]
        answer = None
        if row["answer"] is not None:
            answer = _array(row["answer"], str(header.answer), row["answer_shape"])
        id = row["id"]
        id = plain_id(tuple(id) if isinstance(id, list) else id)
        record = Record(row["step"], row["at"], row["call_steps"], row["input_crc"], states, answer)
        return id, record


class ParquetFile:
    """Parquet: a list column for each state, the header in the file's metadata.

    ``id`` is text, and ``id_kind`` says what it was (text, number, or tuple, as JSON); a time is in ``at`` or
    ``at_float``.
    """

    def _schema(self, header: Header) -> Any:
        fields = [
            ("id", pa.string()), ("id_kind", pa.string()), ("step", pa.int64()), ("at", pa.int64()),
            ("at_float", pa.float64()), ("call_steps", pa.int64()), ("input_crc", pa.int64()),
        ]  # fmt: skip
        kinds = zip(header.layout.columns, header.layout.kinds, strict=True)
        fields += [(name, pa.list_(_arrow_type(dtype))) for name, (dtype, _) in kinds]
        fields += [
            ("answer", pa.list_(_arrow_type(header.answer or "float32"))),
            ("answer_shape", pa.list_(pa.int64())),
        ]
        return pa.schema(fields, metadata={MARK: header.to_json()})

    def write(self, path: Path, header: Header, saved: Iterable[Sequence[Saved]]) -> int:
        """Writes all rows."""
        schema, written = self._schema(header), 0
        with pa.parquet.ParquetWriter(path, schema) as writer:
            for part in saved:
                columns = [*zip(*(self._row(id, record) for id, record in part), strict=True)]
                arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                written += len(part)
        return written

    def _row(self, id: Id, record: Record) -> list[Any]:
        kind = "number" if isinstance(id, int) else "text" if isinstance(id, str) else "tuple"
        whole = isinstance(record.at, int)
        answer = record.answer
        return [
            id if kind == "text" else key_text(id), kind, record.step, record.at if whole else None,
            None if whole else record.at, record.call_steps, record.input_crc, *map(_numbers, record.states),
            None if answer is None else _numbers(answer), None if answer is None else list(answer.shape),
        ]  # fmt: skip

    def header(self, path: Path) -> Header:
        """The header of a file."""
        try:
            metadata = pa.parquet.read_schema(path).metadata or {}
            return Header.from_json(metadata[MARK.encode()])
        except pa.ArrowException as error:
            raise unreadable(path, str(error).splitlines()[0][:160]) from None
        except (ValueError, KeyError, TypeError):
            raise unreadable(path, "metadata that say nothing of states") from None

    def read(self, path: Path, header: Header) -> Iterator[list[Saved]]:
        """The rows of a file."""
        with _explained(path, "its blocks"), pa.parquet.ParquetFile(path) as file:
            for number, batch in enumerate(file.iter_batches(MOST_AT_ONCE)):
                with _explained(path, f"the {count(batch.num_rows, 'row')} from row {number * MOST_AT_ONCE:,} on"):
                    part = self._part(batch, header)
                yield part

    def _part(self, batch: Any, header: Header) -> list[Saved]:
        columns = {name: batch.column(name).to_pylist() for name in _PLAIN_COLUMNS}
        states = [
            [_array(values, dtype, shape) for values in _arrays(batch.column(name))]
            for name, (dtype, shape) in zip(header.layout.columns, header.layout.kinds, strict=True)
        ]
        answers = _arrays(batch.column("answer"))
        saved: list[Saved] = []
        for place, (text, kind, step, at, at_float, call_steps, crc, shape) in enumerate(
            zip(*columns.values(), strict=True)
        ):
            id = text if kind == "text" else id_of(text, "a file")
            answer = None if answers[place] is None else _array(answers[place], str(header.answer), shape)
            time = at_float if at is None else at
            saved.append((id, Record(step, time, call_steps, crc, [state[place] for state in states], answer)))
        return saved


_PLAIN_COLUMNS = ("id", "id_kind", "step", "at", "at_float", "call_steps", "input_crc", "answer_shape")


def _arrow_type(dtype: str) -> Any:
    if dtype == "bool":
        return pa.bool_()
    name = "float32" if dtype == "bfloat16" else dtype
    if name not in _TYPES:
        raise ValueError(f"dtype {name}")
    return pa.float16() if name == "float16" else getattr(pa, name)()


def _arrays(column: Any) -> list[np.ndarray | None]:
    """The lists of a column as arrays."""
    values = column.values.to_numpy(zero_copy_only=False)
    offsets, there = column.offsets.to_pylist(), column.is_valid().to_pylist()
    return [values[offsets[row] : offsets[row + 1]] if known else None for row, known in enumerate(there)]


@contextlib.contextmanager
def _explained(path: Path, where: str) -> Iterator[None]:
    """Turns what a damaged file makes Python and Arrow raise into SO805."""
    try:
        yield
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, StoreError, pa.ArrowException) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise unreadable(path, f"in {where}, {said or type(error).__name__}") from None


FORMATS: dict[str, FileOfStates] = {".parquet": ParquetFile(), ".jsonl": JsonFile()}
