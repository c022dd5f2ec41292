"""Networks trained in folds: what each sees, what the mean of them answers, and the command around them."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from sostenuto.cli import folder
from sostenuto.cli.folds import averaged, folds_of, train_folds
from sostenuto.cli.recipe import learnt_from
from sostenuto.cli.scoring import answers_of
from sostenuto.cli.training import Settings, network
from sostenuto.sequences import Sequences
from tests.cli.tables import QUICK, engines, parquet, run

SETTINGS = Settings(units=3, layers=1, epochs=2, batch_size=4, seed=1)
KNOWN = {"id": ("unit",), "time": "cycle", "columns": (), "target": "left"}


def of_engines() -> Sequences:
    return Sequences.from_table(engines(), id="unit", time="cycle", features=["heat", "noise"], target="left")


def said_by(network, values):
    return keras.ops.convert_to_numpy(network(values[None], training=False))


@pytest.mark.parametrize("number", [2, 3, 7])
def test_every_sequence_is_in_one_fold(number):
    sequences = Sequences.from_list([[1.0]] * 20, targets=[0, 1] * 10)
    for stratify in (False, True):
        parts = folds_of(sequences, number, 5, stratify)
        assert sorted(np.concatenate(parts).tolist()) == list(range(20))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    shares = [sequences.targets[part].mean() for part in folds_of(sequences, 2, 5, stratify=True)]
    assert shares == [0.5, 0.5]


def test_the_model_answers_with_the_mean_and_held_out_answers_are_of_strangers():
    sequences = of_engines()
    recipe = learnt_from(sequences, **KNOWN)
    seen = []
    trained = train_folds(recipe, sequences, 2, SETTINGS, lambda fold: seen.append(fold) or [])
    assert seen == [1, 2]
    assert trained.networks == 2
    assert set(trained.train.ids) == set(sequences.ids)
    members = [layer for layer in trained.model.inner.layers if layer.name.startswith("network_")]
    assert len(members) == 2
    values = recipe.prepared(sequences).with_targets(None)
    one = values.ids[0]
    outputs = [said_by(member, values[one]) for member in members]
    mean = recipe.answers((outputs[0] + outputs[1])[0] / 2)
    rows = slice(0, len(values[one]))
    np.testing.assert_allclose(answers_of(trained.model, recipe, sequences)[rows], mean, rtol=1e-5)
    first = trained.train.ids[0]  # held out by the first network
    alone = recipe.answers(said_by(members[0], values[first])[0])
    np.testing.assert_allclose(trained.held_out[: len(alone)], alone, rtol=1e-5)


def test_averaged_keeps_networks_apart():
    sequences = of_engines()
    recipe = learnt_from(sequences, **KNOWN)
    models = []
    for _ in range(2):
        model = network(recipe, SETTINGS, 1)
        model.build(2)
        models.append(model)
    joined = averaged(models, recipe, SETTINGS)
    assert joined.count_params() == 2 * models[0].count_params()


def test_command_with_folds(tmp_path: Path) -> None:
    path = parquet(engines(), tmp_path / "engines.parquet")
    ask = ["fit", path, "--id", "unit", "--time", "cycle", "--features", "heat,noise", "--target", "left", *QUICK]
    found = run(*ask, "--folds", 2, "--out", tmp_path / "model")
    assert found.exit_code == 0, found.output
    assert "validate  2 folds: each network holds out another 50% of the sequences" in found.stdout
    assert "fold 2 of 2" in found.stdout
    notes = json.loads((tmp_path / "model" / "sostenuto.json").read_text())
    assert set(notes["results"]) == {"training", "held out", "held out, always the mean of training"}
    saved = folder.load(tmp_path / "model")
    assert len([layer for layer in saved.model.inner.layers if layer.name.startswith("network_")]) == 2
    again = run("evaluate", tmp_path / "model", path)
    assert again.exit_code == 0
    for options, got in (
        (["--folds", 1], "got     --folds 1 for 10 sequences"),
        (["--folds", 99], "wanted  from 2 to 10, for whole sequences are held out"),
        (["--folds", 2, "--validation", path], "where   options --folds and --validation"),
    ):
        refused = run(*ask, *options, "--out", tmp_path / "none")
        assert refused.exit_code == 2
        assert got in refused.output
        assert not (tmp_path / "none").exists()
