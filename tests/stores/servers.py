"""A real Valkey or Redis server on a free port of this machine, for as long as a test needs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def program() -> str:
    """The server that is installed; skips the test where none is."""
    pytest.importorskip("valkey", reason="the package valkey is not installed: pip install 'sostenuto[valkey]'")
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        pytest.skip("no valkey-server or redis-server on PATH: scripts/install_valkey.sh installs one on Debian")
    return found


class Server:
    """A server in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"valkey://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [program(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(1000):
            if self._answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.process.kill()
        said = self.process.stdout.read()
        self.kill()
        raise RuntimeError(f"the server did not start: {said}")

    def _answers(self) -> bool:
        import valkey

        with valkey.Valkey.from_url(self.url) as client:
            try:
                return client.ping()
            except valkey.ConnectionError:  # nobody there, or still reading its log
                return False

    def flush(self) -> None:
        """Empties the server."""
        import valkey

        with valkey.Valkey.from_url(self.url) as client:
            client.flushall()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
