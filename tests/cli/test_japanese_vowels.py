"""The demonstration's functions on a few utterances."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("aeon", reason="the demonstration reads its data with aeon")


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "examples" / "japanese_vowels.py"
    spec = importlib.util.spec_from_file_location("japanese_vowels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_data_is_the_published_one(demo: ModuleType) -> None:
    train, test = demo.load("train"), demo.load("test")
    assert (len(train), len(test), train.feature_count) == (270, 370, 12)
    assert np.bincount(train.targets).tolist() == [30] * 9
    assert np.bincount(test.targets).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert (train.lengths.min(), test.lengths.max()) == (7, 29)


def test_it_learns_saves_draws_and_reports(demo: ModuleType, tmp_path: Path) -> None:
    whole = demo.load("train").standardised()
    some = whole.take(np.flatnonzero(whole.targets < 3)[::3])
    train, valid = some.split(0.7, stratify=True)
    keras.utils.set_random_seed(0)
    model = demo.build(units=16)
    said = io.StringIO()
    history, best = demo.fit(model, train, valid, 6, Console(file=said))
    assert 1 <= best <= 6
    assert "    6/6" in said.getvalue()
    assert min(history["val_loss"]) < history["val_loss"][0]
    assert demo.saved_and_read_back(model, valid, tmp_path / "speakers.keras") == 0.0
    assert demo.alone_and_together(model, valid, number=2) < 1e-5
    demo.draw(tmp_path, train, history, best, np.asarray(model.predict(valid, verbose=0)), valid)
    demo.write_report(tmp_path, {"accuracy": "1"}, {"data": "few"})
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") == 3
