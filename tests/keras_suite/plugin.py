"""A pytest plugin that lets Keras's recurrent tests, which ship in its wheel, run on Sostenuto's classes.

    pytest -p tests.keras_suite.plugin --swap-sostenuto --suite-report report.json .../keras/src/layers/rnn/lstm_test.py

Without ``--swap-sostenuto`` the same run measures stock Keras. The report says what became of each test, and how
often an object of each class was called: evidence of which classes were under test.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import pytest

NAMES = (
    "LSTM",
    "GRU",
    "SimpleRNN",
    "RNN",
    "Bidirectional",
    "LSTMCell",
    "GRUCell",
    "SimpleRNNCell",
    "StackedRNNCells",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("keras suite")
    group.addoption("--swap-sostenuto", action="store_true", help="put Sostenuto's classes in the place of Keras's")
    group.addoption("--suite-report", metavar="PATH", help="write outcomes and calls to this JSON file")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires_trainable_backend: a mark that Keras's tests bear")
    config.pluginmanager.register(Suite(config), "keras-suite")


class Suite:
    """Swaps the classes, counts calls by class, keeps outcomes by test."""

    def __init__(self, config: pytest.Config) -> None:
        self.swapped = config.getoption("--swap-sostenuto")
        self.path = config.getoption("--suite-report")
        self.outcomes: dict[str, dict[str, str]] = {}
        self.calls: Counter[str] = Counter()
        if self.swapped:
            swap()
        self._count_calls()

    def _count_calls(self) -> None:
        original = keras.Layer.__call__

        @functools.wraps(original)
        def counted(layer: Any, *args: Any, **kwargs: Any) -> Any:
            kind = type(layer)
            if kind.__name__ in NAMES:
                self.calls[f"{kind.__module__.split('.')[0]} {kind.__name__}"] += 1
            return original(layer, *args, **kwargs)

        keras.Layer.__call__ = counted

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("/")[-1]
        # Set-up and tear-down count only where they go wrong or skip.
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[name] = {"outcome": report.outcome, "reason": _reason(report)}

    def pytest_sessionfinish(self) -> None:
        if self.path:
            report = {"swapped": self.swapped, "outcomes": self.outcomes, "calls": self.calls}
            Path(self.path).write_text(json.dumps(report, indent=1))


def swap() -> None:
    """Sets the names by which tests reach Keras's recurrent classes to ours.

    Keras's inner modules keep their own: there, classes subclass and recognise each other.
    """
    import keras.src.layers

    import sostenuto

    for name in NAMES:
        stock, ours = getattr(keras.src.layers, name), getattr(sostenuto, name)
        if ours is stock or not issubclass(ours, keras.Layer) or not ours.__module__.startswith("sostenuto."):
            raise pytest.UsageError(f"sostenuto.{name} is not a layer of Sostenuto's: {ours!r}")
        setattr(keras.src.layers, name, ours)
        setattr(keras.layers, name, ours)


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ").strip()
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message.splitlines()[0] if crash else ""
