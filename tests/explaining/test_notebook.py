"""so.explain() after an exception, so.watch() around code, and %load_ext sostenuto."""

from __future__ import annotations

import contextlib
import io
import sys
import types

import keras
import numpy as np
import pytest

import sostenuto as so

pytestmark = pytest.mark.backend


def stacked():
    return keras.Sequential([keras.Input((15, 6)), keras.layers.LSTM(32), keras.layers.LSTM(16)])


def test_explain_in_the_except_block():
    try:
        stacked()
    except ValueError:
        report = so.explain()
    assert report
    text = str(report)
    assert "return_sequences" in text
    assert "test_notebook.py, line" in text


def test_explain_a_given_exception():
    with pytest.raises(ValueError, match="ndim") as caught:
        stacked()
    assert "return_sequences" in str(so.explain(caught.value))


def test_explain_an_error_of_ours():
    with pytest.raises(so.ShapeError) as caught:
        so.LSTM(4)(np.ones((8, 10), "float32"))
    (finding,) = so.explain(caught.value)
    assert finding.code == "SO101"
    assert finding.got == caught.value.got


def test_explain_nothing(monkeypatch):
    monkeypatch.delattr(sys, "last_value", raising=False)
    monkeypatch.delattr(sys, "last_exc", raising=False)
    assert not so.explain()


def test_what_is_none_of_our_business_is_left_alone():
    try:
        {}["engine"]
    except KeyError:
        assert not so.explain()


def test_watch_lets_the_exception_pass_and_explains_it():
    watch = so.watch()
    with pytest.raises(ValueError, match="ndim"), watch:
        stacked()
    assert [one.kind for one in watch.report] == ["error"]


def test_nothing_is_wrapped_after_the_block():
    before = [keras.layers.Layer.__call__, keras.Model.fit, keras.utils.pad_sequences, keras.layers.RNN.reset_state]
    with so.watch():
        assert keras.layers.Layer.__call__ is not before[0]
    after = [keras.layers.Layer.__call__, keras.Model.fit, keras.utils.pad_sequences, keras.layers.RNN.reset_state]
    assert all(one is other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["keras.imported_late", "tensorflow.keras.preprocessing.imported_late"])
def test_a_module_imported_in_the_block_holds_no_wrapper_after_it(name, monkeypatch):
    late = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, late.__name__, late)
    with so.watch():
        late.pad_sequences = keras.utils.pad_sequences
    assert late.pad_sequences is keras.utils.pad_sequences


def test_results_and_random_numbers_are_those_without():
    def trained():
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((5, 2)), keras.layers.GRU(3, dropout=0.2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(16, 5, 2)).astype("float32")
        model.fit(x, x[:, 0, :1] * 3, epochs=2, batch_size=5, verbose=0)
        return model.get_weights(), np.random.random()

    weights, number = trained()
    with so.watch() as watch:
        watched, same = trained()
    assert not watch.report, watch.report
    assert number == same
    for one, other in zip(weights, watched, strict=True):
        np.testing.assert_array_equal(one, other)


class Shell:
    """What a notebook's shell has of use here."""

    def __init__(self):
        self.events = self
        self.callbacks, self.handler, self.shown = {}, None, []

    def set_custom_exc(self, kinds, handler):
        self.handler = handler

    def register(self, name, callback):
        self.callbacks[name] = callback

    def unregister(self, name, callback):
        assert self.callbacks.pop(name) is callback

    def showtraceback(self, exception, tb_offset=None):
        self.shown.append(exception[0])

    def cell(self, code):
        try:
            code()
        except Exception as error:
            self.handler(self, type(error), error, error.__traceback__)
        self.callbacks["post_run_cell"](None)


def test_every_cell_of_a_notebook(capsys):
    shell = Shell()
    so.load_ipython_extension(shell)
    try:
        shell.cell(stacked)
        said = capsys.readouterr().out
        assert shell.shown == [ValueError]
        assert said.count("sostenuto explain SO111") == 1
        shell.cell(lambda: keras.utils.pad_sequences([[0.2, 0.7], [0.4]]))
        assert "SO222" in capsys.readouterr().out
        shell.cell(lambda: None)
        assert capsys.readouterr().out == ""
    finally:
        so.unload_ipython_extension(shell)
    assert shell.callbacks == {}
    assert shell.handler is None


class Same(keras.layers.Layer):
    """A layer without an __init__ of its own: Keras binds its arguments by the signature of Layer's."""

    def call(self, inputs):
        return inputs


def test_signatures_stay_what_they_are():
    import inspect

    before = inspect.getfullargspec(keras.layers.Layer.__init__)
    with so.watch():
        assert inspect.getfullargspec(keras.layers.Layer.__init__) == before
        layer = Same(name="same")
        assert layer.get_config()["name"] == "same"


def test_an_exception_that_the_program_caught_is_not_taken_for_the_next():
    with so.watch() as watch:
        with contextlib.suppress(ValueError):
            stacked()
        try:
            {}["engine"]
        except KeyError as error:
            watch.failed(error)
    assert not watch.report, watch.report


def test_the_traceback_is_as_short_as_keras_makes_it():
    def frames(error):
        found, step = [], error.__traceback__
        while step is not None:
            found.append(step.tb_frame.f_code.co_filename)
            step = step.tb_next
        return found

    with pytest.raises(ValueError, match="ndim") as alone:
        stacked()
    with pytest.raises(ValueError, match="ndim") as watched, so.watch():
        stacked()
    assert [one for one in frames(watched.value) if "sostenuto" in one and "tests" not in one] == []
    assert len(frames(watched.value)) <= len(frames(alone.value))


def test_in_ipython():
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell()
    shell.run_cell("%load_ext sostenuto")
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            shell.run_cell("import keras\nx = keras.utils.pad_sequences([[0.2, 0.7], [0.4]])")
            shell.run_cell("keras.Sequential([keras.Input((9, 2)), keras.layers.LSTM(3), keras.layers.LSTM(3)])")
            shell.run_cell("1 / 0")
        text = said.getvalue()
        assert text.count("sostenuto explain SO222") == 1
        assert text.count("sostenuto explain SO111") == 1
        assert "cell " in text
        assert text.count("more    sostenuto explain") == 2
    finally:
        shell.run_cell("%unload_ext sostenuto")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        shell.run_cell("x = keras.utils.pad_sequences([[0.2, 0.7], [0.4]])")
    assert "SO222" not in said.getvalue()
