"""Memory of one batch serves the next one, and goes back at the end: counted in page faults."""

from __future__ import annotations

import ctypes

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.models import freed_memory
from sostenuto.models.freed_memory import freed_memory_kept

resource = pytest.importorskip("resource")
if freed_memory._glibc() is None:
    pytest.skip("this system has no glibc", allow_module_level=True)

SIZE = 40 * 2**20  # beyond what glibc would ever keep
PAGES = SIZE // 4096


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in list(freed_memory.os.environ):
        if name.startswith(freed_memory.SETTINGS):
            monkeypatch.delenv(name)


def fresh_pages() -> int:
    """Takes memory as a batch does, and says how many pages the system had to make."""
    process = ctypes.CDLL(None)
    process.malloc.restype, process.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    process.free.argtypes, process.free.restype = [ctypes.c_void_p], None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = process.malloc(SIZE)
    ctypes.memset(block, 1, SIZE)
    process.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


if fresh_pages() < PAGES / 2:
    pytest.skip("this system makes huge pages, which cannot be told from kept ones", allow_module_level=True)


def test_freed_memory_is_used_again_and_given_back_at_the_end():
    with freed_memory_kept():
        fresh_pages()
        assert fresh_pages() < PAGES / 10
    assert fresh_pages() > PAGES / 2
    assert fresh_pages() > PAGES / 2


def test_it_ends_with_the_outermost_and_after_an_error():
    def fail():
        with freed_memory_kept():
            with freed_memory_kept():
                fresh_pages()
            assert fresh_pages() < PAGES / 10
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    fresh_pages()
    assert fresh_pages() > PAGES / 2


def test_training_runs_inside_it_and_prediction_does_not():
    seen = []

    class Notes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(("fit", freed_memory._inside))

        def on_predict_batch_end(self, batch, logs=None):
            seen.append(("predict", freed_memory._inside))

    model = so.SequenceModel([so.GRU(2), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = [np.ones((3, 1)), np.ones((2, 1))]
    model.fit(data, [1.0, 2.0], verbose=0, callbacks=[Notes()])
    model.predict(data, verbose=0, callbacks=[Notes()])
    assert seen == [("fit", 1), ("predict", 0)]


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_who_sets_up_malloc_is_left_alone(monkeypatch, name):
    monkeypatch.setenv(name, "")
    with freed_memory_kept():
        fresh_pages()
        assert fresh_pages() > PAGES / 2
