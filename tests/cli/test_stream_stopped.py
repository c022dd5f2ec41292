"""A stream that is stopped, killed or cut off in between answers every row as if it had not been."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import keras
import pyarrow as pa
import pytest

import sostenuto as so
from sostenuto.cli import streaming
from sostenuto.cli.arrivals import MOST_ROWS
from sostenuto.cli.lines import LinesFile
from tests.cli.live import Home, json_of, rows_of, said_by_predict, stream
from tests.cli.tables import engines, parquet, run

# --- stopped and gone on with ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("model", ["timed", "untimed"])
def test_stopped_anywhere_and_resumed_gives_the_same_lines(home: Home, tmp_path: Path, model: str, ending: str) -> None:
    out, store = tmp_path / f"out.{ending}", tmp_path / "s.db"
    options = ["--store", store, "--out", out, *(["--resume"] if model == "untimed" else [])]
    ends = [5, 17, 18, home.table.num_rows]
    for end in ends:
        path = parquet(home.table.slice(0, end), tmp_path / "part.parquet")
        found = stream(home / model, path, *options)
        assert found.exit_code == 0, found.output
        lines = out.read_text()
        assert lines.endswith("\n")
        # A crash cut the last line off while it was written: it is written again, from the record.
        if end < ends[-1]:
            out.write_text(lines[:-4])
    rows = [json.loads(line) for line in lines.splitlines()] if ending == "jsonl" else rows_of(lines)
    if model == "untimed":
        rows = [{**row, "cycle": int(row["step"]) + 1} for row in rows]
    home.check(rows, home.table)


def test_rows_that_were_done_before_are_told_by_their_time(home: Home, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    part = parquet(home.table.slice(0, 20), tmp_path / "part.parquet")
    first = stream(home / "timed", part, "--store", store)
    again = stream(home / "timed", part, "--store", store)
    assert again.stdout == first.stdout  # one call took them all, so all its answers are recorded
    assert again.stderr == "20 rows were done before; the store had the answers of the last 20\n"
    # The last row alone is answered from the record of its call; an older one has no recorded answer of its own.
    alone = stream(home / "timed", "--store", store, "--format", "csv", rows=json_of(home.table.slice(19, 1)))
    assert alone.stdout.splitlines()[1:] == first.stdout.splitlines()[-1:]
    older = stream(home / "timed", "--store", store, rows=json_of(home.table.slice(0, 1)))
    assert (older.stdout, older.stderr) == ("", "1 row was done before\n")
    # One more step of unit 7: the call that took its two rows before is no longer its last one.
    assert home.table["unit"][20].as_py() == 7
    stream(home / "timed", "--store", store, rows=json_of(home.table.slice(20, 1)))
    last = stream(home / "timed", part, "--store", store)
    assert last.stderr == "20 rows were done before; the store had the answers of the last 18\n"
    assert [row for row in rows_of(first.stdout) if row["unit"] != "7"] == rows_of(last.stdout)


def test_without_a_time_rows_are_new_unless_told(home: Home, tmp_path: Path) -> None:
    table = home.table.select(["unit", "heat", "noise"]).slice(0, 7)
    path, store = parquet(table, tmp_path / "rows.parquet"), tmp_path / "s.db"
    steps = [[row["step"] for row in rows_of(stream(home / "untimed", path, "--store", store).stdout)]]
    steps += [[row["step"] for row in rows_of(stream(home / "untimed", path, "--store", store).stdout)]]
    assert steps == [["0"] * 7, ["1"] * 7]
    resumed = stream(home / "untimed", path, "--store", store, "--resume")
    assert (resumed.stdout, resumed.stderr) == ("unit,step,predicted\n", "7 rows were done before\n")


def test_crash_between_the_store_and_the_line_is_healed(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, store = tmp_path / "out.csv", tmp_path / "s.db"
    options = [home / "timed", home.rows, "--store", store, "--out", out]
    stream(home / "timed", parquet(home.table.slice(0, 9), tmp_path / "p.parquet"), "--store", store, "--out", out)

    def crash(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(LinesFile, "write", crash)
        assert isinstance(stream(*options).exception, MemoryError)
    assert len(rows_of(out.read_text())) == 9
    with so.SQLiteStore(store) as kept:
        assert len(kept) == 7
    found = stream(*options)
    assert found.exit_code == 0
    assert found.stderr.startswith(f"{home.table.num_rows} rows were done before; ")
    home.check(rows_of(out.read_text()), home.table)


def test_changed_rows_are_not_answered_with_what_was_recorded(home: Home, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    row = {"unit": 1, "cycle": 1, "heat": 1.0, "noise": 0.5}
    stream(home / "timed", "--store", store, rows=json.dumps(row))
    found = stream(home / "timed", "--store", store, rows=json.dumps({**row, "noise": 0.25}))
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == (
        "1 row was done before\n"
        "SessionError: The last rows of 1 that were done before have other values now.\n"
        f"  where   SQLite {str(store)!r}, id 1\n"
        "  got     features with another checksum\n"
        "  wanted  the rows that were answered, to the last bit\n"
        "  fix     stream the table as it was; or leave the rows out that were done before\n"
        "  more    sostenuto explain SO314\n"
    )


def test_file_of_something_else_is_left_as_it_is(home: Home, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    for name, content in (("thesis.csv", "a,b\n1,2\nhalf"), ("note.csv", "mine"), ("note.jsonl", '{"a": 1}\n{"b"')):
        path = tmp_path / name
        path.write_text(content)
        found = stream(home / "timed", home.rows, "--store", store, "--out", path)
        assert (found.exit_code, path.read_text()) == (2, content)
        assert found.stderr == (
            "ModelError: The answers cannot be written here.\n"
            f"  where   {str(path)!r}\n"
            "  got     a file with something else than lines of 'unit', 'cycle', 'step', 'predicted'\n"
            "  wanted  a new file, or one that this stream began\n"
            "  fix     choose another file with --out\n"
            "  more    sostenuto explain SO802\n"
        )
    found = stream(home / "timed", home.rows, "--store", store, "--out", tmp_path / "out.xlsx")
    assert found.stderr.splitlines()[-2] == "  fix     call it out.csv, or say --format csv"


def test_forgotten_id_begins_anew_in_the_same_file(home: Home, tmp_path: Path) -> None:
    store, out = tmp_path / "s.db", tmp_path / "out.csv"
    rows = json_of(home.table.filter(pa.compute.field("unit") == 2))
    options = [home / "timed", "--store", store, "--out", out]
    stream(*options, rows=rows)
    once = rows_of(out.read_text())
    assert run("state", "reset", store, "2").exit_code == 0
    stream(*options, rows=rows)
    assert rows_of(out.read_text()) == once * 2


# --- pipes, signals, crashes ----------------------------------------------------------------------------------------


class Piped:
    """``stream`` in this thread, between two pipes; another thread writes rows and reads answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows_end, self._rows = os.pipe()
        answers, answers_end = os.pipe()
        self._answers = os.fdopen(answers, "r")
        monkeypatch.setattr(sys, "stdin", os.fdopen(rows_end, "r"))
        monkeypatch.setattr(sys, "stdout", os.fdopen(answers_end, "w"))

    def send(self, *rows: Any) -> None:
        os.write(self._rows, "".join(f"{json.dumps(row)}\n" for row in rows).encode())

    def answer(self) -> dict[str, Any]:
        return json.loads(self._answers.readline())

    def run(self, settings: streaming.Settings, script: Any) -> int:
        caught: list[BaseException] = []

        def scripted() -> None:
            try:
                script()
            except BaseException as error:
                caught.append(error)
            finally:
                os.close(self._rows)

        thread = threading.Thread(target=scripted)
        thread.start()
        status = streaming.stream(settings)
        thread.join()
        assert caught == []
        return status


def test_slow_pipe_is_answered_row_by_row(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped = Piped(monkeypatch)
    answered: list[dict[str, Any]] = []

    def script() -> None:
        for row in home.table.slice(0, 9).to_pylist():
            piped.send(row)
            answered.append(piped.answer())  # before the next row is sent
        half = json.dumps(home.table.slice(9, 1).to_pylist()[0]).encode()
        os.write(piped._rows, half[:10])
        time.sleep(0.05)
        os.write(piped._rows, half[10:])  # the last line has no end

    assert piped.run(streaming.Settings(home / "timed", None, str(tmp_path / "s.db")), script) == 0
    answered.append(piped.answer())
    home.check(answered, home.table.slice(0, 10))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_it_between_two_groups(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    number: signal.Signals, status: int,
) -> None:  # fmt: skip
    piped = Piped(monkeypatch)
    rows = home.table.to_pylist()
    answered: list[dict[str, Any]] = []

    def script() -> None:
        piped.send(*rows[:5])
        answered.extend(piped.answer() for _ in range(5))
        time.sleep(0.1)  # it waits for rows by now
        os.kill(os.getpid(), number)

    store = tmp_path / "s.db"
    settings = streaming.Settings(home / "timed", None, str(store), skip_bad=True)
    before = signal.getsignal(number)
    assert piped.run(settings, script) == status
    assert signal.getsignal(number) is before
    assert capsys.readouterr().err == (
        "stopped after 5 answers for 5 ids; to go on, with the same rows again or those that follow:\n"
        f"  sostenuto stream {home / 'timed'} - --store {store} --skip-bad\n"
    )
    after = stream(home / "timed", "--store", store, rows=json_of(home.table.slice(5)))
    home.check([*answered, *map(json.loads, after.stdout.splitlines())], home.table)


def test_signal_during_a_group_waits_for_its_end(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = engines(300, seed=8)
    path, out, store = parquet(table, tmp_path / "r.parquet"), tmp_path / "out.csv", tmp_path / "s.db"
    take = streaming.Run.take

    def signalled(self: streaming.Run, group: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        take(self, group)

    with monkeypatch.context() as patch:
        patch.setattr(streaming.Run, "take", signalled)
        found = stream(home / "timed", path, "--store", store, "--out", out)
    assert found.exit_code == 130
    assert found.stderr == (
        f"stopped after 1,000 answers for {len(set(table['unit'].to_pylist()[:1000]))} ids; to go on:\n"
        f"  sostenuto stream {home / 'timed'} {path} --store {store} --out {out}\n"
    )
    assert len(rows_of(out.read_text())) == MOST_ROWS
    assert stream(home / "timed", path, "--store", store, "--out", out).exit_code == 0
    said = said_by_predict(home / "timed", path)
    assert [(row["unit"], row["cycle"]) for row in rows_of(out.read_text())] == list(said)


def test_killed_midway_and_resumed_answers_every_row_once(home: Home, tmp_path: Path) -> None:
    out, store = tmp_path / "out.csv", tmp_path / "s.db"
    command = [sys.executable, "-m", "sostenuto", "stream", str(home / "timed"), "-", "--store", str(store)]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    with subprocess.Popen([*command, "--out", str(out)], stdin=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            for number, row in enumerate(home.table.to_pylist()):
                process.stdin.write(f"{json.dumps(row)}\n".encode())
                process.stdin.flush()
                while number == 3 and not (out.exists() and out.read_text().count("\n") > 4):
                    assert process.poll() is None
                    time.sleep(0.01)  # until it answers; the other rows come while it works
                if number == 30:
                    process.kill()
    done = len(rows_of(out.read_text()))
    assert 4 <= done < home.table.num_rows
    found = stream(home / "timed", home.rows, "--store", store, "--out", out)
    assert found.exit_code == 0, found.output
    home.check(rows_of(out.read_text()), home.table)


def test_states_go_on_in_another_store(home: Home, tmp_path: Path) -> None:
    first, second, file = tmp_path / "first.db", tmp_path / "second.db", tmp_path / "states.parquet"
    half = home.table.num_rows // 2
    rows = [*stream(home / "timed", "--store", first, rows=json_of(home.table.slice(0, half))).stdout.splitlines()]
    assert "states  lstm_1 h (4,) float32, lstm_1 c (4,) float32" in run("state", "ls", first).stdout
    assert run("state", "export", first, file).exit_code == 0
    assert run("state", "import", second, file).exit_code == 0
    rows += stream(home / "timed", "--store", second, rows=json_of(home.table.slice(half))).stdout.splitlines()
    home.check([json.loads(row) for row in rows], home.table)
