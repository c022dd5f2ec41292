"""Whatever joins, leaves, is cut, reset, copied, evicted or reopened: each id gives what its sequence gives alone."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sostenuto as so
from tests.oracle import expected
from tests.sessions.models import KINDS, LENGTH, SEQUENCES, case

IDS = ["a", "b", 7, ("c", 1), "e"]
MOST_IDS, MOST_STEPS = 4, 2  # in one call: few shapes to compile


@contextmanager
def stores(durable: bool):
    """Opens the same store again and again."""
    if durable:
        with tempfile.TemporaryDirectory() as folder:
            yield lambda: str(Path(folder) / "states.db")
    else:
        store = so.MemoryStore()
        yield lambda: store


class Program:
    """A session, and beside it which step of which sequence each id has come to."""

    def __init__(self, kind: str, data, place) -> None:
        self.case = case(kind)
        self.data = data
        self.place = place
        self.at: dict = {}
        self.last: dict = {}
        self.open()

    def draw(self, strategy):
        return self.data.draw(strategy)

    def open(self) -> None:
        self.session = self.case.model.session(self.place(), hot=self.draw(st.sampled_from([0, 2, 100])))

    def reopen(self) -> None:
        self.session.close()
        self.open()

    def some(self, least: int = 1) -> list:
        return self.draw(st.lists(st.sampled_from(IDS), min_size=least, max_size=MOST_IDS, unique_by=repr))

    def position(self, id) -> tuple[int, int]:
        return self.at.get(id, (IDS.index(id) % SEQUENCES, 0))

    def call(self, verb: str) -> None:
        ids, steps = self.some(), {}
        for id in ids:
            sequence, done = self.position(id)
            if done == LENGTH:
                self.session.reset(id)
                self.at[id] = (sequence, 0)
                self.last.pop(id, None)
                done = 0
            steps[id] = self.draw(st.integers(0, min(MOST_STEPS, LENGTH - done)))
        alike = len(set(steps.values())) == 1
        single = alike and steps[ids[0]] == 1 and self.draw(st.booleans())
        parts = {}
        for id in ids:
            sequence, done = self.position(id)
            part = self.case.values[sequence, done : done + steps[id]]
            parts[id] = part[0] if single else part
        form = self.draw(st.sampled_from(["dict", "array" if alike else "list", "list"]))
        run = getattr(self.session, verb)
        numbers = {id: self.position(id)[1] for id in ids}
        numbered = {"step": numbers} if verb == "step" and self.draw(st.booleans()) else {}
        if form == "dict":
            said = run(parts, **numbered)
            assert list(said) == ids
        else:
            values = list(parts.values())
            said = run(ids, np.stack(values) if form == "array" else values, **numbered)
            assert isinstance(said, np.ndarray) == (alike or self.case.model.output_per == "sequence")
            said = dict(zip(ids, said, strict=True))
        for id in ids:
            self.check(id, steps[id], said[id], single)
        if verb == "step":
            for id in ids:
                if steps[id]:
                    sequence, done = self.position(id)
                    self.at[id] = (sequence, done + steps[id])
                    self.last[id] = (done, parts[id], said[id])

    def check(self, id, steps: int, said: np.ndarray, single: bool) -> None:
        sequence, done = self.position(id)
        right = self.case.right[sequence]
        if self.case.model.output_per == "step":
            wanted = right[done] if single else right[done : done + steps]
        elif done + steps == 0:
            return  # the output of the first state: nothing that predict could say
        else:
            wanted = right[done + steps - 1]
        assert said.shape == wanted.shape
        np.testing.assert_allclose(said, wanted, atol=1e-5)

    def repeat(self) -> None:
        """A step that was answered, once more: the same answer, to the last bit."""
        known = [id for id in self.some() if id in self.last]
        said = self.session.step({id: self.last[id][1] for id in known}, step={id: self.last[id][0] for id in known})
        for id in known:
            np.testing.assert_array_equal(said[id], self.last[id][2])

    def reset(self) -> None:
        ids = self.some()
        self.session.reset(ids)
        for id in ids:
            self.at[id] = (self.position(id)[0], 0)
            self.last.pop(id, None)

    def copy(self) -> None:
        source, target = self.draw(st.sampled_from(IDS)), self.draw(st.sampled_from(IDS))
        if source in self.at:
            self.session.copy(source, target)
            self.at[target] = self.at[source]
            self.last.pop(target, None)
            if source in self.last:
                self.last[target] = self.last[source]

    def forget(self) -> None:
        ids = self.some()
        self.session.forget(ids)
        for id in ids:
            self.at.pop(id, None)
            self.last.pop(id, None)

    def evict(self) -> None:
        self.session.evict(self.draw(st.none() | st.just(self.some())))

    def run(self) -> None:
        verbs = ["step"] * 6 + ["peek", "repeat", "reset", "copy", "forget", "evict", "reopen"]
        for _ in range(self.draw(st.integers(3, 12))):
            verb = self.draw(st.sampled_from(verbs))
            if verb in ("step", "peek"):
                self.call(verb)
            else:
                getattr(self, verb)()
            assert set(self.session.ids()) == set(self.at)
            assert len(self.session) == len(self.at)
            assert {id: self.session.steps(id) for id in self.at} == {id: done for id, (_, done) in self.at.items()}
        self.session.close()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(data=st.data(), durable=st.booleans())
def test_programs(kind, data, durable):
    with stores(durable) as place:
        Program(kind, data, place).run()


@pytest.mark.parametrize("layer", [so.LSTM, so.GRU, so.SimpleRNN])
def test_states_and_outputs_are_those_of_the_reference(layer, rng):
    """In steps and pieces, beside others, as the equations say for each id alone."""
    model = so.SequenceModel([layer(4, return_sequences=True, name="only")])
    model.build(3)
    x = rng.normal(size=(3, 7, 3)).astype("float32")
    right = expected(model.inner.layers[-1], x)
    session = model.session()
    said = {id: [] for id in range(3)}
    for cut in ({0: 2, 1: 1}, {1: 3, 2: 4}, {0: 1, 1: 1, 2: 1}, {2: 2, 0: 4, 1: 2}):
        done = {id: sum(map(len, said[id])) for id in cut}
        for id, out in session.step({id: x[id, done[id] : done[id] + steps] for id, steps in cut.items()}).items():
            said[id].append(out)
    for id in range(3):
        np.testing.assert_allclose(np.concatenate(said[id]), right.outputs[id], atol=1e-5)
        for name, states in zip(model.inner.layers[-1].state_names, right.states, strict=True):
            np.testing.assert_allclose(session.get_state(id)["only"][name], states[id], atol=1e-5)


def test_a_declared_number_of_steps_is_filled_up(rng):
    model = so.SequenceModel([keras.Input((5, 2)), so.GRU(3, return_sequences=True), keras.layers.Dense(1)])
    x = rng.normal(size=(2, 5, 2)).astype("float32")
    right = model.predict({"a": x[0], "b": x[1]}, verbose=0)
    session = model.session()
    first = session.step({"a": x[0, 0], "b": x[1, :3]})
    then = session.step({"b": x[1, 3:], "a": x[0, 1:]})
    np.testing.assert_allclose(np.concatenate([first["a"][None], then["a"]]), right["a"], atol=1e-5)
    np.testing.assert_allclose(np.concatenate([first["b"], then["b"]]), right["b"], atol=1e-5)


def test_more_ids_than_a_batch_holds():
    """Several runs of at most 1024 rows, in any mixture of numbers of steps."""
    found = case("last")
    ids = list(range(1500))
    first = found.model.session().step({id: found.values[id % SEQUENCES, : 1 + id % 2] for id in ids})
    session = found.model.session(hot=700)
    whole = session.step(ids, found.values[np.arange(1500) % SEQUENCES, 0])
    assert whole.shape == (1500, 1)
    for id in (0, 1, 2, 3, 1022, 1023, 1024, 1025, 1499):
        np.testing.assert_allclose(first[id], found.right[id % SEQUENCES, id % 2], atol=1e-5)
        np.testing.assert_allclose(whole[id], found.right[id % SEQUENCES, 0], atol=1e-5)


def test_sequences_are_taken_as_history():
    found = case("stacked")
    history = so.Sequences.from_list({"x": found.values[0, :4], "y": found.values[1, :9]})
    said = found.model.session().step(history)
    np.testing.assert_allclose(said["x"], found.right[0, :4], atol=1e-5)
    np.testing.assert_allclose(said["y"], found.right[1, :9], atol=1e-5)
