"""Pictures hold what they were given; a report holds its pictures and hides no text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sostenuto.cli import pictures
from sostenuto.cli.report import Report
from sostenuto.sequences import Sequences

pytestmark = pytest.mark.plain


def test_learning_curve_draws_both_parts_and_the_best_epoch() -> None:
    figure = pictures.learning_curve({"loss": [1, 1], "rmse": [3.0, 2.0], "val_rmse": [2.5, 2.25]}, 2, "wear")
    (axes,) = figure.axes
    assert [line.get_ydata().tolist() for line in axes.lines[:2]] == [[3.0, 2.0], [2.5, 2.25]]
    assert axes.get_ylabel() == "RMSE of wear"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["training (with dropout)", "validation: 2.25 in epoch 2, kept"]
    figure = pictures.learning_curve({"loss": [1.0], "accuracy": [0.5]}, 1)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (cross-entropy)", "accuracy"]


def test_confusion_counts_pairs() -> None:
    figure = pictures.confusion(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), ["a", "b"], "Test")
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.5, 0.5], [0, 1]])
    assert sorted(text.get_text() for text in axes.texts) == ["1", "1", "2"]
    assert axes.get_title() == "Test: 75.0% right"


def test_many_classes_are_drawn_without_numbers(tmp_path: Path) -> None:
    classes = np.arange(60)
    figure = pictures.confusion(classes, classes, [f"class {number}" for number in classes], "Test")
    figure.savefig(tmp_path / "many.png")
    assert not figure.axes[0].texts


@pytest.mark.parametrize("number", [1, 50, 5000])
def test_predictions_are_drawn_for_few_and_many(number: int, tmp_path: Path, rng: np.random.Generator) -> None:
    truth = rng.normal(size=number)
    figure = pictures.predictions(truth + 1, truth, "wear", "Test")
    figure.savefig(tmp_path / "p.png")
    assert figure.axes[1].get_title(loc="left") == "Errors: RMSE 1, mean +1"


def test_over_time_draws_from_short_to_long() -> None:
    sequences = Sequences.from_list([np.ones((length, 1)) for length in (4, 1, 9, 0)], ids=["a", "b", "c", "d"])
    figure = pictures.over_time(sequences, np.arange(14.0), np.arange(14.0) + 1, "wear", "unit")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title(loc="left") for axes in shown]
    assert titles == ["unit b: 1 steps", "unit a: 4 steps", "unit c: 9 steps"]
    true, predicted = shown[1].lines
    assert (true.get_ydata().tolist(), predicted.get_ydata().tolist()) == ([1, 2, 3, 4], [0, 1, 2, 3])


def test_report_escapes_and_embeds(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    report = Report("a < b", "lead & more")
    report.figures({"RMSE": "1.5"})
    report.table("Results", {"<script>": ["1", "2"]}, ["part", "x", "y"])
    report.picture("Picture", tmp_path / "a.png", 'with "quotes"')
    report.code("Command", "fit 'a' > b")
    report.text("More", "<b>")
    report.save(tmp_path / "page.html", "end")
    page = (tmp_path / "page.html").read_text()
    assert "<h1>a &lt; b</h1>" in page
    assert "<script>" not in page
    assert '<img alt="with &quot;quotes&quot;" src="data:image/png;base64,iVBORw==">' in page
    assert "<pre>fit &#x27;a&#x27; &gt; b</pre>" in page
    assert "<p>&lt;b&gt;</p>" in page
