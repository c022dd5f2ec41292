"""The other end of a worker: start it, ask it, stop it while others are measured. Linux only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


class Process:
    """A worker, and what it costs the machine.

    Args:
        framework: "torch", "jax", "tensorflow" or "onnxruntime".
        folder: where its answers and what it prints go.
        threads: how many threads, and processors, it may use.
        program: the script and its arguments; ``worker.py`` by default.
        name: of its log; the framework's by default.

    Attributes:
        framework: its name.
    """

    def __init__(
        self, framework: str, folder: Path, threads: int, program: Sequence[str] = (), name: str | None = None
    ) -> None:
        self.framework = framework
        self._program = [*program] or [str(FOLDER / "worker.py"), framework, str(folder), str(threads)]
        self._log = folder / f"{name or framework}.log"
        self._threads = threads
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it, where it does not run."""
        if self._process is not None:
            return
        number = str(self._threads)
        environment = {
            "KERAS_BACKEND": self.framework,
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), number),
        }
        with open(self._log, "a") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program],
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, command: str) -> Any:
        """Sends a command and waits for its answer; a dict with "error" where the process ends instead."""
        if self._process is None:
            return {"error": "its process has ended"}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.listen()

    def listen(self) -> Any:
        """Waits for an answer without a command."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            status, self._process = self._process.returncode, None
            return {"error": f"its process has ended with status {status}"}
        return json.loads(line)

    def stop(self) -> None:
        """Stops all its threads, and returns once they stand."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGSTOP)
            # Told to the parent only when the last thread has stopped.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def go_on(self) -> None:
        """Lets it run again."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)

    def processor_seconds(self) -> float:
        """Processor time it has used so far, all threads; 0 where it does not run."""
        if self._process is None:
            return 0.0
        # The clock of another process, as clock_getcpuclockid(3) makes it: exact, where /proc/PID/stat counts in ticks.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def end(self) -> None:
        """Ends it, stopped or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Load:
    """Work of others on the processors in use, since it was made.

    Args:
        processes: all workers; their work is not foreign, nor is that of this process.
        threads: number of processors in use.
    """

    # Times in /proc/stat come in ticks of 10 ms, several of them for each processor.
    GRAIN = 0.03
    ALLOWED = 0.05

    def __init__(self, processes: list[Process], threads: int) -> None:
        self._processes = processes
        self._processors = sorted(os.sched_getaffinity(0))[:threads]
        self._begun = time.perf_counter()
        self._busy, self._own = self._now()

    def _now(self) -> tuple[float, float]:
        busy = 0.0
        wanted = {f"cpu{number}" for number in self._processors}
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name in wanted:
                # user, nice, system, irq, softirq, and steal, which is another machine's work on this processor
                busy += sum(int(ticks[column]) for column in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")
        return busy, time.process_time() + sum(process.processor_seconds() for process in self._processes)

    def foreign(self) -> float:
        """Processor seconds that others have used since."""
        busy, own = self._now()
        return (busy - self._busy) - (own - self._own)

    def too_much(self) -> bool:
        """Whether others have used more than a twentieth of the time there was."""
        there_was = (time.perf_counter() - self._begun) * len(self._processors)
        return self.foreign() > self.GRAIN + self.ALLOWED * there_was
