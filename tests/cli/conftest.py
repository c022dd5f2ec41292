"""What several tests of the command line share."""

from __future__ import annotations

import functools

import pytest

from sostenuto.cli import folder
from tests.cli.live import Home


@pytest.fixture(scope="session")
def live_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A folder with models to stream through."""
    return Home(tmp_path_factory.mktemp("live"))


@pytest.fixture
def home(live_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The same folder; each model is loaded and compiled once for all tests."""
    monkeypatch.setattr(folder, "load", _load)
    return live_home


_load = functools.cache(folder.load)
