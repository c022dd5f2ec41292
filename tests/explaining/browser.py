"""A headless browser that opens a page from a file, as people do, and says what it looks like there."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)

# No sandbox, because tests run as root in containers; nothing is fetched from anywhere.
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


def _run(page: Path, *options: str) -> str:
    assert BROWSER is not None
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [BROWSER, *_OPTIONS, f"--user-data-dir={profile}", *options, page.resolve().as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    return done.stdout


def screenshot(page: Path, picture: Path, width: int = 1200, height: int = 1400) -> None:
    """Draws a page into a PNG file."""
    _run(page, f"--screenshot={picture}", f"--window-size={width},{height}")


def as_rendered(page: Path, width: int = 1200) -> str:
    """The page's HTML after the browser has laid it out and run its scripts."""
    return _run(page, "--dump-dom", f"--window-size={width},1400")
