"""A store knows which model wrote it: another one is refused, unless told to begin afresh or to migrate."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import sostenuto as so
from sostenuto.sessions.fingerprint import fingerprint

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


def model_of(units=4, seed=0, layer="cell", features=3, last=1, name="m"):
    keras.utils.set_random_seed(seed)
    model = so.SequenceModel(
        [so.GRU(units, return_sequences=True, name=layer), keras.layers.Dense(last, name=f"{layer}_out")], name=name
    )
    model.build(features)
    return model


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "states.db"
    with model_of().session(path) as session:
        session.step({"a": X[:2], "b": X[0]}, step=0)
    return path


def refused(path, model, **options):
    before = path.read_bytes()
    with pytest.raises(so.StoreError) as caught:
        model.session(path, **options)
    assert path.read_bytes() == before
    return str(caught.value).replace(repr(str(path)), "'PATH'")


def test_the_same_model_goes_on(path):
    with model_of().session(path) as session:
        np.testing.assert_allclose(
            session.step({"a": X[2:]}, step=2)["a"], model_of().predict([X], verbose=0)[0][2:], atol=1e-5
        )


def test_a_loaded_model_goes_on(path, tmp_path):
    model_of().save(tmp_path / "m.keras")
    with keras.saving.load_model(tmp_path / "m.keras").session(path) as session:
        assert session.steps("a") == 2


def test_names_of_layers_do_not_matter(path):
    """A model that is built again in one process gets other names."""
    model = model_of(layer="cell_3", name="again", seed=1)
    model.set_weights(model_of().get_weights())
    with model.session(path, other_model="fresh") as session:
        assert session.steps("a") == 2
        assert list(session.get_state("a")) == ["cell_3"]


def test_other_weights_are_refused(path):
    assert refused(path, model_of(seed=1)) == (
        "The store was written by another model.\n"
        "  where   SequenceModel 'm' -> SQLite 'PATH'\n"
        "  got     weights: other numbers in layers of the same sizes\n"
        "  wanted  the states of this model\n"
        "  fix     open it with the model that wrote it; or other_model='fresh' to forget its states and begin anew,\n"
        "          or other_model='migrate' to go on from them with these weights\n"
        "  more    sostenuto explain SO903"
    )
    with model_of().session(path) as session:
        assert session.steps("a") == 2


def test_a_model_trained_on_is_another_one(path):
    model = model_of()
    model.compile("sgd", "mse")
    model.fit([X], [np.ones((5, 1))], verbose=0)
    assert "weights: other numbers" in refused(path, model)


def test_another_shape_is_refused_whatever_is_said(path):
    other = model_of(units=6, features=2, last=2)
    text = (
        "The store was written by another model.\n"
        "  where   SequenceModel 'm' -> SQLite 'PATH'\n"
        "  got     states: cell h (4,) float32 in the store, cell h (6,) float32 in the model\n"
        "          output axes: (1) in the store, (2) in the model\n"
        "          feature count: 3 in the store, 2 in the model\n"
        "  wanted  the states of this model\n"
        "  fix     open it with the model that wrote it; or other_model='fresh' to forget its states and begin anew"
    )
    assert refused(path, other) == text + "\n  more    sostenuto explain SO903"
    assert refused(path, other, other_model="migrate") == (
        text + ";\n          other_model='migrate' is for other weights in the same layers\n"
        "  more    sostenuto explain SO903"
    )


def test_other_names_of_features_are_refused(tmp_path):
    """The same numbers in another order would be other features."""
    one, two = model_of(), model_of()
    one.feature_names, two.feature_names = ("x", "y", "z"), ("z", "y", "x")
    path = tmp_path / "states.db"
    with one.session(path) as session:
        session.reset("a")
    assert "got     feature names: 'x', 'y', 'z' in the store, 'z', 'y', 'x' in the model\n" in refused(path, two)
    with model_of().session(path) as session:
        assert list(session) == ["a"]


def test_fresh_forgets(path):
    other = model_of(units=6)
    with other.session(path, other_model="fresh") as session:
        assert list(session) == []
        session.step({"b": X[0]}, step=0)
    with other.session(path, other_model="fresh") as session:
        assert session.steps("b") == 1
    assert "cell h (6,) float32 in the store" in refused(path, model_of())


def test_migrate_keeps_states_counters_and_answers(path):
    other = model_of(seed=1)
    with model_of().session(path) as session:
        state, answer = session.get_state("a"), session.step({"a": X[:2]}, step=0)["a"]
    with other.session(path, other_model="migrate") as session:
        np.testing.assert_array_equal(session.get_state("a")["cell"]["h"], state["cell"]["h"])
        np.testing.assert_array_equal(session.step({"a": X[:2]}, step=0)["a"], answer)
        assert (session.steps("a"), session.steps("b")) == (2, 1)
    with other.session(path) as session:
        assert session.steps("a") == 2
    assert "weights: other numbers" in refused(path, model_of())


def test_a_store_without_ids_takes_any_model(tmp_path):
    path = tmp_path / "states.db"
    model_of().session(path).close()
    with model_of(units=6).session(path) as session:
        session.reset("a")
    assert "states: cell h (6,) float32 in the store" in refused(path, model_of())


@pytest.mark.parametrize("note", [None, "no JSON", "[]", '{"format": 2}', json.dumps({"format": 1, "states": []})])
def test_states_of_unknown_origin_are_refused(note):
    store = so.MemoryStore()
    model_of().session(store).reset("a")
    if note is None:
        store._notes.clear()
    else:
        store.set_note("model", note)
    for other_model in ("refuse", "migrate"):
        with pytest.raises(so.StoreError, match="got     no note that says which model wrote its states\n"):
            model_of().session(store, other_model=other_model)
    assert list(model_of().session(store, other_model="fresh")) == []


def test_every_part_counts():
    known = fingerprint(model_of())
    assert known["states"] == [["cell", "h", 4, "float32"]]
    assert (known["output_per"], known["output_axes"], known["feature_count"]) == ("step", [1], 3)
    assert fingerprint(model_of()) == known
    model = model_of()
    weights = model.get_weights()
    weights[2] = np.nextafter(weights[2], np.float32(np.inf))
    model.set_weights(weights)
    assert fingerprint(model)["weights"] != known["weights"]
