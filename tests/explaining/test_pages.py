"""The pages with pictures: what stands in them, that they need no other file, and how a browser lays them out."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.explaining.html import write
from tests.explaining.browser import BROWSER, as_rendered, screenshot
from tests.explaining.scripts import run_text

pytestmark = pytest.mark.backend

BROKEN = """
import numpy as np, keras
x = np.zeros((6, 9, 2), "float32")
x[:3, :4] = 1.0
x[3:] = 2.0
model = keras.Sequential([keras.Input((9, 2)), keras.layers.LSTM(4, name="lower"), keras.layers.LSTM(3, name="upper")])
"""

PADDED = """
import numpy as np, keras
rows = [np.ones((number, 1), "float32") for number in (3, 8, 5, 6)]
x = keras.utils.pad_sequences(rows, padding="post", dtype="float32")
model = keras.Sequential([keras.Input((8, 1)), keras.layers.LSTM(3, name="reader"), keras.layers.Dense(1, name="head")])
model.compile("sgd", "mse")
model.fit(x, np.arange(4.0)[:, None], verbose=0)
"""

# Appended to a copy of a page: what the browser made of it, as text.
_MEASURE = """<script>
const box = document.documentElement, bad = document.querySelector('.layer.bad');
const found = {overflow: box.scrollWidth - box.clientWidth,
  cards: document.querySelectorAll('.card').length, layers: document.querySelectorAll('.layer').length,
  bad: bad ? getComputedStyle(bad).borderTopColor : '', rects: document.querySelectorAll('.raster rect').length,
  seen: [...document.querySelectorAll('.layer, .card, .raster svg')]
    .every(one => one.getBoundingClientRect().width > 100)};
document.body.insertAdjacentHTML('beforeend', '<pre id="measured">' + JSON.stringify(found) + '</pre>');
</script>"""


def measured(page, width):
    copy = page.with_name(f"measured-{width}.html")
    copy.write_text(page.read_text().replace("</body>", _MEASURE + "</body>"))
    # The first one is the script that writes it.
    *_, found = re.findall(r'<pre id="measured">(.*?)</pre>', as_rendered(copy, width))
    return json.loads(found.replace("&quot;", '"'))


@pytest.fixture
def broken(tmp_path):
    report, _, _ = run_text(BROKEN, tmp_path)
    page = tmp_path / "broken.html"
    write(report, page, "train.py")
    return page


@pytest.fixture
def padded(tmp_path):
    report, _, _ = run_text(PADDED, tmp_path)
    page = tmp_path / "padded.html"
    write(report, page, "train.py")
    return page


def test_a_page_needs_nothing_from_elsewhere(broken, padded):
    for page in (broken, padded):
        text = page.read_text()
        assert not re.findall(r'(?:src|href)="|@import|url\(', text)
        assert text.startswith("<!doctype html>")


def test_the_broken_boundary_is_named_with_its_fix(broken):
    text = broken.read_text()
    assert "LSTM &#x27;upper&#x27; needs a sequence" in text
    assert re.search(r'class="layer bad"><span>LSTM &#x27;upper&#x27;', text)
    assert "return_sequences=True" in text


def test_padding_is_drawn_as_padding(padded):
    text = padded.read_text()
    assert "padding, read as if it were real" in text
    # One run of real steps in each row, one of padding in the three that are shorter.
    assert text.count('fill="var(--real)"') == 4
    assert text.count('fill="var(--padded)"') == 3


def test_words_of_the_user_stay_words(tmp_path):
    layers = [keras.Input((5, 2)), keras.layers.LSTM(3, name="a_b"), keras.layers.Dense(1, name="c<script>d")]
    so.trace(keras.Sequential(layers), np.ones((2, 5, 2), "float32")).save(tmp_path / "trace.html")
    assert "<script>" not in (tmp_path / "trace.html").read_text()


def test_a_trace_of_masked_rows(tmp_path):
    layers = [
        keras.Input((6,)),
        keras.layers.Embedding(9, 3, mask_zero=True),
        keras.layers.GRU(3),
        keras.layers.Dense(1),
    ]
    flow = so.trace(keras.Sequential(layers), np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 1]]))
    flow.save(tmp_path / "trace.html")
    text = (tmp_path / "trace.html").read_text()
    assert "masked: not read" in text
    assert "9 of 12 steps real" in text


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_lays_it_out(broken, padded, width):
    found = measured(broken, width)
    assert found["overflow"] <= 0
    assert (found["cards"], found["layers"]) == (1, 2)
    assert re.fullmatch(r"rgb\((19[0-9]|2\d\d), \d{1,3}, \d{1,3}\)", found["bad"])
    assert found["seen"]
    found = measured(padded, width)
    assert found["overflow"] <= 0
    assert found["rects"] == 7
    assert found["seen"]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_picture_can_be_taken(padded, tmp_path):
    screenshot(padded, tmp_path / "page.png")
    head = (tmp_path / "page.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(head[16:20], "big") == 1200
