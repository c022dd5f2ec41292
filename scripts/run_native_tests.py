"""Builds the C++ tests and runs them, each way in a build folder of its own under build/native-tests.

    python scripts/run_native_tests.py                            plainly
    python scripts/run_native_tests.py plain address,undefined    and under these two sanitizers; thread is a third

The last line says 'N passed, N failed', where each way counts once; the exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WAYS = ("plain", "address,undefined", "thread")


def compiler() -> str | None:
    """The C++ compiler that will be used, or None if there is none."""
    return shutil.which(os.environ.get("CXX") or "c++") or shutil.which("g++") or shutil.which("clang++")


def passes(way: str) -> bool:
    """Whether the tests can be built and pass, run in one of ``WAYS``."""
    build = ROOT / "build" / "native-tests" / re.sub(r"\W+", "-", way)
    sanitize = "" if way == "plain" else way
    options = ["-DSOSTENUTO_MODULE=OFF", "-DSOSTENUTO_TESTS=ON", f"-DSOSTENUTO_SANITIZE={sanitize}"]
    # CMake and ninja stand beside the Python of a virtual environment, which need not be on PATH.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    for command in (
        ["cmake", "-S", "native", "-B", str(build), "-G", "Ninja", *options],
        ["cmake", "--build", str(build)],
        [str(build / "test_recurrence")],
    ):
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ways", nargs="*", default=["plain"], metavar="way", help=f"of {' '.join(WAYS)}")
    ways = parser.parse_args().ways
    unknown = [way for way in ways if way not in WAYS]
    if unknown:
        parser.error(f"no such way: {', '.join(unknown)}; there are {' '.join(WAYS)}")
    if compiler() is None:
        print("The C++ tests need a C++ compiler (GCC or Clang), and none was found.", file=sys.stderr)
        return 1
    failed = 0
    for way in ways:
        print(f"--- C++ tests, {way}", flush=True)
        failed += not passes(way)
    print(f"{len(ways) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
