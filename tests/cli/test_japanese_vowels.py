"""The demonstration's functions on a few utterances."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

import sostenuto as so

pytest.importorskip("aeon", reason="the demonstration reads its data with aeon")


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "examples" / "japanese_vowels.py"
    sys.path.insert(0, str(path.parent))  # as where it is run as a program
    spec = importlib.util.spec_from_file_location("japanese_vowels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(path.parent))
    return module


@pytest.fixture(scope="module")
def few(demo: ModuleType) -> tuple[so.Sequences, so.Sequences]:
    """Some utterances of three speakers, to train and to validate."""
    whole = demo.load("train").standardised()
    train, valid = whole.take(np.flatnonzero(whole.targets < 3)[::3]).split(0.7, stratify=True)
    return train, valid


def test_data_is_the_published_one(demo: ModuleType) -> None:
    train, test = demo.load("train"), demo.load("test")
    assert (len(train), len(test), train.feature_count) == (270, 370, 12)
    assert np.bincount(train.targets).tolist() == [30] * 9
    assert np.bincount(test.targets).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert (train.lengths.min(), test.lengths.max()) == (7, 29)


def test_it_learns_saves_draws_and_reports(
    demo: ModuleType, few: tuple[so.Sequences, so.Sequences], tmp_path: Path
) -> None:
    train, valid = few
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
    for name in ("belief", "accuracy_by_frame"):
        Figure().savefig(tmp_path / f"{name}.png")
    demo.write_report(tmp_path, {"accuracy": "1"}, {"data": "few"})
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") == 5


def test_it_hears_live_what_predict_says(
    demo: ModuleType, few: tuple[so.Sequences, so.Sequences], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid = few
    live, build = demo.live_vowels, demo.live_vowels.build
    monkeypatch.setattr(live, "build", lambda speakers: build(speakers, units=8))
    # Every speaker must have an utterance to draw: three names for three speakers.
    monkeypatch.setattr(demo, "SPEAKERS", demo.SPEAKERS[:3])
    monkeypatch.setattr(live, "PANELS", (1, 3))
    (tmp_path / "vowels.db").write_text("of an earlier run")
    keras.utils.set_random_seed(0)
    said = io.StringIO()
    facts = demo.hear(train, valid, valid, 3, tmp_path, Console(file=said))
    assert f"{len(valid)} utterances heard at once, {valid.steps:,} frames; the session was closed" in said.getvalue()
    assert float(facts["live or by predict"].rsplit(" ", 1)[1]) < 1e-5
    for name in ("belief.png", "accuracy_by_frame.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    with so.SQLiteStore(tmp_path / "vowels.db") as store:
        assert sorted(store.ids()) == sorted(valid.ids)


def test_beliefs_after_every_frame(demo: ModuleType, few: tuple[so.Sequences, so.Sequences], tmp_path: Path) -> None:
    _, valid = few
    live = demo.live_vowels
    keras.utils.set_random_seed(1)
    model = live.build(9, units=4)
    model.build(12)
    heard = live.listen(model, valid, tmp_path / "v.db", live.middle(valid))
    # The oracle: what predict says of the beginning of each utterance.
    by_frame = np.zeros(int(valid.lengths.max()))
    for id, target in zip(valid.ids, valid.targets, strict=True):
        beginnings = {frames: valid[id][:frames] for frames in range(1, len(valid[id]) + 1)}
        beliefs = np.stack([answer for _, answer in model.predict(beginnings, verbose=0).items()])
        start = valid.offsets[valid.ids.index(id)]
        np.testing.assert_allclose(heard.beliefs[start : start + len(beliefs)], beliefs, atol=1e-5)
        right = beliefs.argmax(axis=1) == target
        by_frame += np.append(right, np.repeat(right[-1], len(by_frame) - len(right)))
    np.testing.assert_allclose(live.accuracy_by_frame(heard, valid), by_frame / len(valid))


def test_why_the_first_network_cannot_be_heard_live(demo: ModuleType) -> None:
    model = demo.build(units=4)
    model.build(12)
    assert demo.live_vowels.why_not_live(model) == "The model 'speakers' cannot run sequences in pieces."
    listener = demo.live_vowels.build(9, units=4)
    listener.build(12)
    assert demo.live_vowels.why_not_live(listener) == ""
