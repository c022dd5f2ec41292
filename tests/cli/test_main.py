"""The command line from end to end on small tables."""

from __future__ import annotations

import contextlib
import csv as csv_files
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import sostenuto as so
from sostenuto.cli import fitting, folder
from sostenuto.diagnosis import page
from tests.cli.tables import QUICK, csv, engines, parquet, run, text, walks

FIT_ENGINES = ["--id", "unit", "--time", "cycle", "--features", "heat,noise,fixed"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables, a model of engines (a number per step) and one of walks (a class per sequence)."""
    home = tmp_path_factory.mktemp("cli")
    parquet(engines(), home / "engines.parquet")
    parquet(engines(4, seed=9), home / "others.parquet")
    csv(walks(), home / "walks.csv")
    found = run("fit", home / "engines.parquet", *FIT_ENGINES, "--target", "left", *QUICK, "--out", home / "engines")
    assert found.exit_code == 0, found.output
    (home / "engines.said").write_text(found.stdout)
    found = run(
        "fit", home / "walks.csv", "--id", "walk", "--time", "t", "--target", "way", "--cell", "gru", *QUICK,
        "--out", home / "walks",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    (home / "walks.said").write_text(found.stdout)
    return home


def rows_of(printed: str) -> list[dict[str, str]]:
    return list(csv_files.DictReader(io.StringIO(printed)))


# --- fit ---------------------------------------------------------------------------------------------------------


def test_fit_says_what_it_learns(home: Path) -> None:
    said = (home / "engines.said").read_text()
    assert "train     8 sequences, " in said
    assert "validate  2 sequences, " in said
    assert "features  2: heat, noise\n          left out, for they never change: 'fixed'" in said
    assert "target    left, regression per step" in said
    assert "network   1 x LSTM of 4 units, dropout 0.2, seed 1, Keras on " + keras.backend.backend() in said
    said = (home / "walks.said").read_text()
    assert "target    way, classification per sequence\n          2 classes: 'down', 'up'" in said


def test_folder_holds_all_that_is_promised(home: Path) -> None:
    common = {"model.keras", "sostenuto.json", "history.csv", "report.html", "learning_curve.png", "lengths.png"}
    assert {path.name for path in (home / "engines").iterdir()} == common | {"predictions.png", "over_time.png"}
    assert {path.name for path in (home / "walks").iterdir()} == common | {"confusion.png"}
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []
    epochs = rows_of((home / "engines" / "history.csv").read_text())
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]
    assert set(epochs[0]) == {"epoch", "loss", "val_loss", "rmse", "val_rmse"}
    page = (home / "engines" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert 'src="http' not in page
    assert "href" not in page


def test_notes_tell_how_tables_are_read(home: Path) -> None:
    notes = json.loads((home / "engines" / "sostenuto.json").read_text())
    recipe = notes["recipe"]
    assert (recipe["features"], recipe["dropped"]) == (["heat", "noise"], ["fixed"])
    whole = so.Sequences.from_table(engines(), id="unit", time="cycle", features=["heat", "noise"], target="left")
    train, _ = whole.split(0.8, seed=1)
    np.testing.assert_allclose(recipe["mean"], train.values.mean(axis=0))
    np.testing.assert_allclose(recipe["std"], train.values.std(axis=0))
    np.testing.assert_allclose(
        [recipe["target_mean"], recipe["target_std"]], [train.targets.mean(), train.targets.std()]
    )
    assert notes["settings"]["units"] == 4
    assert notes["versions"]["backend"] == keras.backend.backend()
    assert json.loads((home / "walks" / "sostenuto.json").read_text())["recipe"]["labels"] == ["down", "up"]


def test_results_are_those_of_the_kept_model(home: Path) -> None:
    notes = json.loads((home / "engines" / "sostenuto.json").read_text())
    epochs = rows_of((home / "engines" / "history.csv").read_text())
    best = min(float(row["val_rmse"]) for row in epochs)
    assert notes["results"]["validation"]["RMSE"] == pytest.approx(best, rel=1e-4)


def test_same_seed_gives_the_same_model(home: Path) -> None:
    again = home / "again"
    run("fit", home / "engines.parquet", *FIT_ENGINES, "--target", "left", *QUICK, "--out", again)
    first, second = (
        json.loads((home / name / "sostenuto.json").read_text())["results"] for name in ("engines", "again")
    )
    assert first["validation"]["RMSE"] == pytest.approx(second["validation"]["RMSE"], rel=1e-6)


def test_chunks_train_and_are_noted(home: Path, tmp_path: Path) -> None:
    options = ["--target", "left", *QUICK, "--chunk", 5, "--out", tmp_path]
    found = run("fit", home / "engines.parquet", *FIT_ENGINES, *options)
    assert found.exit_code == 0, found.output
    notes = json.loads((tmp_path / "sostenuto.json").read_text())
    assert notes["settings"]["chunk"] == 5
    other = json.loads((home / "engines" / "sostenuto.json").read_text())["results"]
    assert notes["results"]["validation"]["RMSE"] != pytest.approx(other["validation"]["RMSE"], rel=1e-6)


def test_raw_text_with_steps_left(home: Path, tmp_path: Path) -> None:
    table = engines().drop_columns(["left"])
    path = text(table, tmp_path / "raw.txt")
    model = tmp_path / "model"
    found = run(
        "fit", path, "--columns", "unit,cycle,s1..s3", "--id", "unit", "--time", "cycle", "--features", "s*",
        "--target", "steps-left", "--cap", 6, *QUICK, "--validation-share", 0, "--out", model,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "validate  none: all epochs are trained, the last is kept" in found.stdout
    assert "trained  3 epochs, the weights of epoch 3 kept; " in found.stdout
    assert "target    steps-left, regression per step, counted from the sequences, capped at 6" in found.stdout
    # A table that is cut off early, with its truth in a file of its own, in ascending order of the ids.
    cut = table.filter(pa.compute.less_equal(table["cycle"], 4))
    truth = [int(np.sum(np.array(table["unit"]) == unit)) - 4 for unit in range(1, 11)]
    (tmp_path / "truth.txt").write_text("".join(f"{number} \n" for number in truth))
    found = run("evaluate", model, text(cut, tmp_path / "cut.txt"), "--truth", tmp_path / "truth.txt")
    assert found.exit_code == 0, found.output
    assert "compared  the last step of each of 10 sequences" in found.stdout
    assert f"from {min(truth)} to {max(truth)}, as it is (in training it was capped at 6" in found.stdout
    predicted = rows_of(run("predict", model, tmp_path / "cut.txt", "--at", "last").stdout)
    assert [int(row["cycle"]) for row in predicted] == [4] * 10
    error = np.array([float(row["predicted"]) for row in predicted]) - truth
    assert f"{np.sqrt(np.mean(error**2)):.4g}" in found.stdout


def test_validation_table_of_its_own(home: Path, tmp_path: Path) -> None:
    found = run(
        "fit", home / "engines.parquet", *FIT_ENGINES, "--target", "left", *QUICK, "--epochs", 1,
        "--validation", home / "others.parquet", "--out", tmp_path / "m",
    )  # fmt: skip
    assert "train     10 sequences" in found.stdout
    assert "validate  4 sequences" in found.stdout


# --- predict, evaluate ---------------------------------------------------------------------------------------------


def answers_by_api(home: Path, name: str, sequences: so.Sequences) -> Any:
    """What the saved network says, fed by hand with what sostenuto.json tells."""
    recipe = json.loads((home / name / "sostenuto.json").read_text())["recipe"]
    model = keras.models.load_model(home / name / "model.keras")
    values = [(array - recipe["mean"]) / recipe["std"] for _, array in sequences.items()]
    by_id = dict(zip(sequences.ids, values, strict=True))
    outputs = model.predict(so.Sequences.from_list(by_id, features=sequences.features), verbose=0)
    return outputs, recipe


def test_predict_per_step_equals_the_api(home: Path) -> None:
    found = rows_of(run("predict", home / "engines", home / "others.parquet").stdout)
    sequences = so.Sequences.from_table(home / "others.parquet", id="unit", time="cycle", features=["heat", "noise"])
    outputs, recipe = answers_by_api(home, "engines", sequences)
    wanted = outputs.values[:, 0] * recipe["target_std"] + recipe["target_mean"]
    np.testing.assert_allclose([float(row["predicted"]) for row in found], wanted, rtol=1e-4, atol=1e-5)
    table = pa.parquet.read_table(home / "others.parquet")
    assert [int(row["unit"]) for row in found] == table["unit"].to_pylist()
    assert [int(row["cycle"]) for row in found] == table["cycle"].to_pylist()


def test_predict_answers_rows_in_any_order(home: Path, tmp_path: Path) -> None:
    table = engines(4, seed=9)
    mixed = table.take(np.random.default_rng(0).permutation(table.num_rows))
    key = {(row["unit"], row["cycle"]): row["predicted"] for row in
           rows_of(run("predict", home / "engines", home / "others.parquet").stdout)}  # fmt: skip
    found = rows_of(run("predict", home / "engines", csv(mixed, tmp_path / "mixed.csv")).stdout)
    assert len(found) == len(key)
    for row in found:
        assert float(row["predicted"]) == pytest.approx(float(key[row["unit"], row["cycle"]]), rel=1e-4, abs=1e-5)


def test_predict_classes_equals_the_api(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "said.parquet"
    found = run("predict", home / "walks", home / "walks.csv", "--out", out)
    assert found.stdout.split() == ["written", f"{out},", "12", "rows,", "one", "per", "sequence"]
    table = pa.parquet.read_table(out)
    assert table.column_names == ["walk", "predicted", "p_down", "p_up"]
    sequences = so.Sequences.from_table(home / "walks.csv", id="walk", time="t", features=["x", "y"])
    outputs, _ = answers_by_api(home, "walks", sequences)
    assert table["walk"].to_pylist() == list(sequences.ids)
    np.testing.assert_allclose(table["p_up"].to_numpy(), outputs.array[:, 1], rtol=1e-4, atol=1e-6)
    assert table["predicted"].to_pylist() == [["down", "up"][row.argmax()] for row in outputs.array]


def test_evaluate_equals_sums_over_predictions(home: Path) -> None:
    predicted = rows_of(run("predict", home / "engines", home / "others.parquet").stdout)
    error = np.array([float(row["predicted"]) for row in predicted]) - np.array(engines(4, seed=9)["left"])
    found = run("evaluate", home / "engines", home / "others.parquet")
    cells = next(line for line in found.stdout.splitlines() if line.strip().startswith("others.parquet")).split()
    assert float(cells[1]) == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-3)
    assert float(cells[2]) == pytest.approx(np.mean(np.abs(error)), rel=1e-3)


def test_evaluate_classes_and_report(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = run("evaluate", home / "walks", home / "walks.csv", "--report", page)
    assert found.exit_code == 0, found.output
    assert "compared  12 sequences" in found.stdout
    said = rows_of(run("predict", home / "walks", home / "walks.csv").stdout)
    right = np.mean([row["predicted"] == ("up" if int(row["walk"][1:]) % 2 == 0 else "down") for row in said])
    assert f"{right:.1%}" in found.stdout
    assert page.read_text().count("data:image/png;base64,") == 1


def test_unknown_class_is_refused(home: Path, tmp_path: Path) -> None:
    table = walks(2)
    strange = table.set_column(4, "way", pa.array(["sideways"] * table.num_rows))
    found = run("evaluate", home / "walks", csv(strange, tmp_path / "strange.csv"))
    assert found.exit_code == 2
    assert found.stderr.startswith("TargetError: Some labels were not among those learnt.\n")


def test_model_answers_alike_in_a_new_process(home: Path) -> None:
    command = [sys.executable, "-m", "sostenuto", "predict", str(home / "engines"), str(home / "others.parquet")]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    here = rows_of(run("predict", home / "engines", home / "others.parquet").stdout)
    np.testing.assert_allclose(
        [float(row["predicted"]) for row in rows_of(printed)], [float(row["predicted"]) for row in here], rtol=1e-5
    )


# --- refusals --------------------------------------------------------------------------------------------------------


def test_column_that_is_not_there(home: Path, tmp_path: Path) -> None:
    found = run("fit", home / "engines.parquet", "--id", "unti", "--target", "left", "--out", tmp_path / "m")
    assert found.exit_code == 2
    assert found.stderr == (
        "ColumnError: The table lacks a column.\n"
        "  where   the columns of the table\n"
        "  got     id='unti'; near ones: 'unit'\n"
        "  wanted  columns among 'unit', 'cycle', 'heat', 'noise', 'fixed', 'left'\n"
        "  fix     use the exact names; an index of pandas becomes columns with table.reset_index()\n"
        "  more    sostenuto explain SO208\n"
    )
    assert not (tmp_path / "m").exists()


def test_file_that_is_not_there(home: Path) -> None:
    found = run("describe", home / "engine.parquet", "--id", "unit")
    assert found.exit_code == 2
    assert found.stderr.startswith("DataFileError: There is no such file.\n")
    assert "near ones: engines.parquet" in found.stderr


def test_table_without_rows(tmp_path: Path) -> None:
    path = parquet(engines(1).slice(0, 0), tmp_path / "empty.parquet")
    found = run("fit", path, "--id", "unit", "--target", "left", "--task", "regression", "--out", tmp_path / "m")
    assert found.exit_code == 2
    assert found.stderr == (
        "DataError: There is no sequence in this data.\n"
        "  where   a table without rows\n"
        "  got     0 sequences\n"
        "  wanted  at least 1\n"
        "  fix     check the filter or the path that led here\n"
        "  more    sostenuto explain SO210\n"
    )


def test_one_sequence_cannot_be_split(tmp_path: Path) -> None:
    path = parquet(engines(1), tmp_path / "one.parquet")
    found = run("fit", path, "--id", "unit", "--target", "left", "--out", tmp_path / "m")
    assert found.exit_code == 2
    assert found.stderr == (
        "DataError: One sequence cannot be split into a part to train and a part to validate.\n"
        "  where   option --validation-share\n"
        "  got     1 sequence\n"
        "  wanted  at least 2, for whole sequences are held out\n"
        "  fix     check --id; or --validation-share 0 trains without validation, --validation names a table for it\n"
        "  more    sostenuto explain SO210\n"
    )


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (["--target", "steps-left", "--target-per", "sequence"], "DataError: These options contradict each other.\n"),
        (["--target", "steps-left", "--task", "classification"], "DataError: These options contradict each other.\n"),
        (["--target", "way", "--cap", "3"], "DataError: These options contradict each other.\n"),
        (["--target", "way", "--task", "regression"], "TargetError: This column holds no numbers.\n"),
    ],
)
def test_options_that_cannot_be_meant(home: Path, tmp_path: Path, options: list[str], first: str) -> None:
    found = run("fit", home / "walks.csv", "--id", "walk", *options, "--out", tmp_path / "m")
    assert (found.exit_code, found.stderr[: len(first)]) == (2, first)


def test_folder_that_is_no_model(home: Path, tmp_path: Path) -> None:
    found = run("predict", home / "engine", home / "others.parquet")
    assert found.exit_code == 2
    assert found.stderr == (
        "ModelError: There is no model of Sostenuto to read here.\n"
        f"  where   {str(home / 'engine')!r}\n"
        "  got     nothing there\n"
        "  wanted  a folder with sostenuto.json and model.keras\n"
        "  fix     near ones: engines, engines.said\n"
        "  more    sostenuto explain SO801\n"
    )
    found = run("evaluate", tmp_path, home / "others.parquet")
    assert "got     a folder without sostenuto.json and model.keras" in found.stderr


@pytest.mark.parametrize(
    ("name", "content", "got"),
    [
        ("sostenuto.json", "{", "sostenuto.json: Expecting property name"),
        ("sostenuto.json", '{"format": 99}', "format 99 of sostenuto.json"),
        ("sostenuto.json", '{"format": 1, "recipe": {"id": ["a"]}}', "sostenuto.json without a field that is needed"),
        ("model.keras", "no archive", "model.keras: "),
    ],
)
def test_broken_model_folder(home: Path, tmp_path: Path, name: str, content: str, got: str) -> None:
    for file in ("sostenuto.json", "model.keras"):
        (tmp_path / file).write_bytes((home / "engines" / file).read_bytes())
    (tmp_path / name).write_text(content)
    found = run("predict", tmp_path, home / "others.parquet")
    assert found.exit_code == 2
    assert f"  got     {got}" in found.stderr
    assert "SO801" in found.stderr


def test_other_folder_is_never_overwritten(home: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    found = run("fit", home / "engines.parquet", *FIT_ENGINES, "--target", "left", *QUICK, "--out", tmp_path)
    assert found.exit_code == 2
    assert found.stderr == (
        "ModelError: The model cannot be written here.\n"
        f"  where   {str(tmp_path)!r}\n"
        "  got     a folder with other files: thesis.txt\n"
        "  wanted  a new or empty folder, or one that holds a model of Sostenuto\n"
        "  fix     choose another folder with --out\n"
        "  more    sostenuto explain SO802\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_traceback_is_shown_on_request(home: Path) -> None:
    found = run("describe", home / "engine.parquet", "--id", "unit", "--traceback")
    assert isinstance(found.exception, so.DataFileError)


# --- whole or not at all -------------------------------------------------------------------------------------------


def test_interrupted_fit_leaves_nothing(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "train", interrupted)
    command = ["fit", home / "engines.parquet", *FIT_ENGINES, "--target", "left", *QUICK, "--out", tmp_path / "m"]
    found = run(*command)
    assert (found.exit_code, found.stderr) == (130, "interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_failure_while_writing_leaves_the_old_model(home: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    with folder.written_whole(model) as new:
        (new / "sostenuto.json").write_text("old")
    with contextlib.suppress(RuntimeError), folder.written_whole(model) as new:
        (new / "sostenuto.json").write_text("half of the new")
        raise RuntimeError
    assert (model / "sostenuto.json").read_text() == "old"
    with folder.written_whole(model) as new:
        (new / "sostenuto.json").write_text("new")
    assert (model / "sostenuto.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


# --- describe, explain -----------------------------------------------------------------------------------------------


def test_describe_prints_and_draws(home: Path, tmp_path: Path) -> None:
    picture = tmp_path / "lengths.png"
    found = run("describe", home / "walks.csv", "--id", "walk", "--time", "t", "--features", "x", "--picture", picture)
    sequences = so.Sequences.from_table(home / "walks.csv", id="walk", time="t", features="x")
    assert found.stdout.startswith(str(sequences.describe()) + "\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = run("describe", home / "walks.csv", "--id", "walk", "--features", "x", "--picture", tmp_path / "a.what")
    assert (found.exit_code, found.stderr.splitlines()[0]) == (2, "DataError: The picture cannot be written.")


def test_explain_prints_the_page() -> None:
    found = run("explain", "so103")
    assert (found.exit_code, found.stdout) == (0, f"{page('SO103')}\n")


def test_explain_names_near_codes() -> None:
    found = run("explain", "SO1O3")
    assert found.exit_code == 2
    assert found.stderr.startswith("There is no code 'SO1O3'; near ones:\n")
    assert "\n  SO103  The number of features per step does not fit\n" in found.stderr


def test_output_of_an_unknown_kind_is_refused(home: Path, tmp_path: Path) -> None:
    found = run("predict", home / "walks", home / "walks.csv", "--out", tmp_path / "said.xlsx")
    assert (found.exit_code, found.stderr.splitlines()[-2]) == (2, "  fix     call it said.csv")
    found = run("predict", home / "walks", home / "walks.csv", "--out", tmp_path / "nowhere" / "said.csv")
    assert (found.exit_code, found.stderr.splitlines()[0]) == (2, "ModelError: The file cannot be written.")
