"""The language model of examples/language_model: lanes of one text, and the same figures as a plain PyTorch loop."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from rich.console import Console

import sostenuto as so
from sostenuto.kernels import native
from sostenuto.models import class_losses

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "language_model"))

import by_hand
import plain_torch
import train as example
from words import lanes, numbered, read_words, vocabulary_of

BATCH, UNROLL, UNITS, EPOCHS = 4, 5, 8, 6


def sentences(number: int, seed: int = 0) -> str:
    """Lines of a small grammar: something can be learnt, and words differ in how often they come."""
    random = np.random.default_rng(seed)
    nouns = [f"noun{index}" for index in range(20)]
    lines = []
    for _ in range(number):
        first, second = random.choice(nouns, 2, p=np.arange(20, 0, -1) / 210)
        lines.append(f"the {first} {random.choice(['sees', 'hears'])} the {second} .")
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def few_threads():
    """Sums this small are slower on many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def texts(tmp_path):
    """Three files of text."""
    paths = {name: tmp_path / f"{name}.txt" for name in example.TEXTS}
    for seed, (name, path) in enumerate(paths.items()):
        path.write_text(sentences(40 if name == "train" else 12, seed))
    return paths


@pytest.fixture
def cut(texts):
    """The vocabulary, and the lanes of the three texts."""
    return example.read_texts(Namespace(**texts, vocabulary=10_000, batch=BATCH, unroll=UNROLL))


def both(vocabulary: list[str], clip: float) -> tuple[so.SequenceModel, plain_torch.PlainModel]:
    model = example.build(len(vocabulary), UNITS, UNROLL, seed=3, clip=clip)
    return model, plain_torch.PlainModel(model.get_weights())


def trained_side_by_side(cut, clip: float) -> None:
    """Trains both for some epochs, through the halving of the rate, and compares everything they say and learn."""
    vocabulary, text = cut
    ours, plain = both(vocabulary, clip)
    found = example.fit(ours, text["train"], text["valid"], UNROLL, EPOCHS, Console(quiet=True))
    expected: dict[str, list[float]] = {"train": [], "valid": []}
    for epoch in range(EPOCHS):
        rate = example.rate_of(epoch)
        expected["train"].append(plain_torch.fit_epoch(plain, text["train"], UNROLL, rate, clip))
        expected["valid"].append(plain_torch.evaluate(plain, text["valid"], UNROLL))
    np.testing.assert_allclose(found["train"], expected["train"], rtol=2e-5)
    np.testing.assert_allclose(found["valid"], expected["valid"], rtol=2e-5)
    assert example.evaluate(ours, text["test"], UNROLL) == pytest.approx(
        plain_torch.evaluate(plain, text["test"], UNROLL), rel=2e-5
    )
    for mine, other in zip(ours.get_weights(), weights_of(plain), strict=True):
        np.testing.assert_allclose(mine, other, atol=5e-5)
    assert found["train"][-1] < found["train"][0]


def weights_of(plain: plain_torch.PlainModel) -> list[np.ndarray]:
    """The weights in the order and layout of Keras."""
    recurrent = [
        getattr(plain.lstm, f"{name}_l{layer}").detach().numpy().T
        for layer in range(2)
        for name in ("weight_ih", "weight_hh", "bias_ih")
    ]
    dense = [plain.dense.weight.detach().numpy().T, plain.dense.bias.detach().numpy()]
    return [plain.embedding.weight.detach().numpy(), *recurrent, *dense]


def test_same_as_a_plain_loop_where_no_gradient_is_clipped(cut):
    trained_side_by_side(cut, clip=1e6)


def test_same_as_a_plain_loop_where_gradients_are_clipped(cut):
    clip = 0.8  # about every third gradient is longer
    trained_side_by_side(cut, clip)
    vocabulary, text = cut
    clipped, other = (
        plain_torch.fit_epoch(both(vocabulary, clip)[1], text["train"], UNROLL, rate=1.0, clip=longest)
        for longest in (clip, 1e6)
    )
    assert abs(clipped / other - 1) > 1e-3


def test_the_rate_is_halved_after_the_fourth_epoch():
    assert [example.rate_of(epoch) for epoch in range(7)] == [1, 1, 1, 1, 0.5, 0.25, 0.125]


def test_the_loss_is_summed_over_steps_and_averaged_over_the_batch(cut):
    vocabulary, text = cut
    ours, _ = both(vocabulary, example.CLIP)
    first = text["train"].take(np.arange(BATCH)).batch(np.arange(BATCH))
    logits = np.asarray(ours.predict(text["train"], verbose=0).values, np.float64).reshape(BATCH, -1, len(vocabulary))
    shares = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    surprise = -np.take_along_axis(shares, first.targets[..., None], axis=-1)[..., 0]
    by_chunk = surprise.reshape(BATCH, -1, UNROLL).sum(axis=2).mean(axis=0)
    said = ours.evaluate(text["train"], batch_size=BATCH, chunk=UNROLL, verbose=0)
    assert said == pytest.approx(by_chunk.mean(), rel=1e-5)


def test_weights_start_uniform_within_a_tenth():
    weights = example.build(50, 40).get_weights()
    assert [array.shape for array in weights] == [
        (50, 40), (40, 160), (40, 160), (160,), (40, 160), (40, 160), (160,), (40, 50), (50,)
    ]  # fmt: skip
    for array in weights:
        assert 0.08 < np.abs(array).max() <= 0.1
        assert abs(array.mean()) < 0.02
    assert not np.array_equal(weights[1], weights[2])
    assert not np.array_equal(weights[1], weights[4])


def program(texts, out: Path, **options: int) -> list[str]:
    named = {"batch": BATCH, "unroll": UNROLL, "units": UNITS, "epochs": 2, **options}
    flags = [text for name, value in named.items() for text in (f"--{name}", str(value))]
    return [*map(str, texts.values()), *flags, "--out", str(out)]


def test_the_program_trains_reports_and_saves(texts, tmp_path, capsys):
    out = tmp_path / "out"
    example.main(program(texts, out))
    printed = capsys.readouterr().out.splitlines()
    found = json.loads((out / "perplexity.json").read_text())
    backend = keras.backend.backend()
    assert printed[0] == f"25 different words; 260 to learn, 80 to validate on, 80 to test on; Keras on {backend}"
    assert printed[2].split() == ["epoch", "rate", "training", "validation", "time"]
    for epoch in range(2):
        figures = [f"{found[name][epoch]:.2f}" for name in ("train", "valid")]
        assert printed[3 + epoch].split()[:4] == [f"{epoch + 1}/2", "1", *figures]
    assert f"{found['test']:.2f} is the perplexity of the test text" in printed
    for name in ("language_model.keras", "perplexity.json", "perplexity.png", "vocabulary.txt"):
        assert f"  {out / name}" in printed

    vocabulary = (out / "vocabulary.txt").read_text().splitlines()
    sample = printed[printed.index("What it writes by itself, one word at a time:") + 1 :]
    assert {word for line in sample if str(out) not in line for word in line.split()} <= set(vocabulary)
    again = keras.models.load_model(out / "language_model.keras")
    test = lanes(numbered(read_words(texts["test"]), vocabulary), BATCH, UNROLL)
    assert example.evaluate(again, test, UNROLL) == pytest.approx(found["test"], rel=1e-6)
    assert (out / "perplexity.png").read_bytes().startswith(b"\x89PNG")


def test_the_plain_loop_prints_the_ratio(texts, tmp_path, capsys):
    out = tmp_path / "out"
    example.main(program(texts, out))
    capsys.readouterr()
    arguments = program(texts, out)
    plain_torch.main([*arguments[: arguments.index("--out")], "--beside", str(out)])
    head, *rows, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["epoch", "training", "validation", "train.py", "ratio"]
    assert [float(row.split()[-1]) for row in rows] == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the loop by hand rounds as PyTorch does")
def test_the_loop_by_hand_learns_the_same_weights_bit_for_bit(texts, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(native, "_absence", ["the loop by hand rounds as the portable kernel does"])
    monkeypatch.setattr(class_losses, "_adapter", None)
    out = tmp_path / "out"
    example.main(program(texts, out, epochs=6))
    capsys.readouterr()
    arguments = program(texts, out, epochs=6)
    by_hand.main([*arguments[: arguments.index("--out")], "--beside", str(out)])
    head, *rows, test, distance = capsys.readouterr().out.splitlines()
    assert head.split() == ["epoch", "training", "validation", "train.py", "ratio"]
    assert [float(row.split()[-1]) for row in rows] == pytest.approx([1] * 6, abs=1e-6)
    assert distance == "largest difference of a weight from train.py's: 0"
    assert float(test.split()[1]) == pytest.approx(json.loads((out / "perplexity.json").read_text())["test"], abs=1e-3)


def test_the_program_ends_with_the_text_of_an_error(texts, tmp_path):
    texts["valid"].unlink()
    with pytest.raises(SystemExit) as ended:
        example.main(program(texts, tmp_path / "out"))
    assert str(ended.value).startswith("DataFileError: There is no such text.\n")
    assert not (tmp_path / "out").exists()


def test_numbers_below_one_are_refused(texts, tmp_path, capsys):
    with pytest.raises(SystemExit):
        example.main(program(texts, tmp_path / "out", batch=0))
    assert "argument --batch: 0 is less than 1" in capsys.readouterr().err


# --- words --------------------------------------------------------------------------------------------------------


def test_a_sample_follows_the_shares_that_the_whole_text_gives(cut):
    vocabulary, _ = cut
    model, _ = both(vocabulary, example.CLIP)
    # Weights that tell words and states apart, so that a lost state would show.
    model.set_weights([10 * array for array in model.get_weights()])
    said = example.sample(model, vocabulary, 12, seed=5)
    # The same draws, each from the logits of the whole text so far.
    random = np.random.default_rng(5)
    text = [vocabulary.index("<eos>")]
    for _ in range(12):
        logits = np.asarray(model.predict([np.array(text)], verbose=0)[0][-1], np.float64)
        shares = np.exp(logits - logits.max())
        text.append(int(random.choice(len(vocabulary), p=shares / shares.sum())))
    assert said == [vocabulary[number] for number in text[1:]]
    assert len(set(said)) > 3


@pytest.mark.plain
def test_words_are_kept_as_they_are_and_lines_end(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("The  cat,\tthe Cat\n\nπ <unk>", encoding="utf-8")
    assert read_words(path) == ["The", "cat,", "the", "Cat", "<eos>", "<eos>", "π", "<unk>"]


@pytest.mark.plain
def test_the_vocabulary_holds_the_most_frequent_words():
    words = ["b", "a", "a", "<unk>", "c", "c", "c", "<unk>", "<unk>", "<unk>", "d"]
    assert vocabulary_of(words) == ["<unk>", "c", "a", "b", "d"]
    assert vocabulary_of(words, most=3) == ["<unk>", "c", "a"]
    assert vocabulary_of(words, most=1) == ["<unk>"]
    assert numbered([*words, "new"], ["<unk>", "c", "a"]).tolist() == [0, 2, 2, 0, 1, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.plain
@pytest.mark.parametrize(("number", "steps"), [(13, 3), (24, 3), (25, 6), (26, 6)])
def test_lanes_are_the_stream_in_order(number, steps):
    tokens = np.random.default_rng(number).integers(0, 9, number).astype("int32")
    cut = lanes(tokens, batch=4, unroll=3)
    assert cut.ids == ("lane-0", "lane-1", "lane-2", "lane-3")
    assert cut.lengths.tolist() == [steps] * 4
    assert cut.values.dtype == np.int32
    np.testing.assert_array_equal(cut.values[:, 0], tokens[: 4 * steps])
    np.testing.assert_array_equal(cut.targets, tokens[1 : 4 * steps + 1])


@pytest.mark.plain
def test_a_text_too_short_is_refused():
    with pytest.raises(so.DataError) as caught:
        lanes(np.zeros(12, "int32"), batch=4, unroll=3, name="'valid.txt'")
    assert str(caught.value) == (
        "This text is too short to be cut into lanes.\n"
        "  where   'valid.txt'\n"
        "  got     12 words, ends of lines included\n"
        "  wanted  at least 13: 4 lanes of 3 steps, and one more\n"
        "  fix     take a longer text, or a smaller --batch or --unroll\n"
        "  more    sostenuto explain SO210"
    )


@pytest.mark.plain
def test_files_that_hold_no_text_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.txt").write_text("")
    Path("spaces").write_text(" \n")
    Path("packed.txt").write_bytes(b"ab\x1f\x8b")
    Path("folder").mkdir()
    said = {}
    for name in ("trian.txt", "train.txt", "spaces", "packed.txt", "folder", "gone/train.txt"):
        with pytest.raises(so.DataError) as caught:
            read_words(Path(name))
        said[name] = str(caught.value)
    assert said == {
        "trian.txt": (
            "There is no such text.\n"
            "  where   'trian.txt'\n"
            "  got     nothing there\n"
            "  wanted  a file of text\n"
            "  fix     near ones: train.txt\n"
            "  more    sostenuto explain SO209"
        ),
        "train.txt": (
            "There is no word in this text.\n"
            "  where   'train.txt'\n"
            "  got     an empty file\n"
            "  wanted  words with blanks between them\n"
            "  fix     check the command that wrote the file\n"
            "  more    sostenuto explain SO210"
        ),
        "spaces": (
            "There is no word in this text.\n"
            "  where   'spaces'\n"
            "  got     2 characters, all of them blank\n"
            "  wanted  words with blanks between them\n"
            "  fix     check the command that wrote the file\n"
            "  more    sostenuto explain SO210"
        ),
        "packed.txt": (
            "This file cannot be read as text.\n"
            "  where   'packed.txt', byte 3\n"
            "  got     0x8b, which is not UTF-8\n"
            "  wanted  text in UTF-8\n"
            "  fix     unpack the file if it is compressed; iconv -f latin1 -t utf-8 turns older text into UTF-8\n"
            "  more    sostenuto explain SO213"
        ),
        "folder": (
            "There is no such text.\n"
            "  where   'folder'\n"
            "  got     a folder\n"
            "  wanted  a file of text\n"
            "  fix     check the spelling and the current folder\n"
            "  more    sostenuto explain SO209"
        ),
        "gone/train.txt": (
            "There is no such text.\n"
            "  where   'gone/train.txt'\n"
            "  got     no folder 'gone'\n"
            "  wanted  a file of text\n"
            "  fix     check the spelling and the current folder\n"
            "  more    sostenuto explain SO209"
        ),
    }
