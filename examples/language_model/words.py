"""Text as words, words as numbers, and one stream of numbers as lanes that are read side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

import sostenuto as so
from sostenuto.diagnosis import count, nearest

END_OF_LINE = "<eos>"
UNKNOWN = "<unk>"


def read_words(path: Path) -> list[str]:
    """The words of a text in UTF-8 as they are written, what blanks separate; ``<eos>`` ends each line.

    Args:
        path: the file.

    Returns:
        The words in order.

    Raises:
        DataFileError: the file is not there (SO209).
        DataError: it is not text (SO213), or holds no word (SO210).
    """
    if not path.is_file():
        folder = path.parent
        near = (
            nearest(path.name, [entry.name for entry in folder.iterdir() if entry.is_file()]) if folder.is_dir() else []
        )
        raise so.DataFileError(
            "There is no such text.",
            code="SO209",
            where=f"{str(path)!r}",
            got="a folder" if path.is_dir() else "nothing there" if folder.is_dir() else f"no folder {str(folder)!r}",
            wanted="a file of text",
            fix=f"near ones: {', '.join(near)}" if near else "check the spelling and the current folder",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise so.DataError(
            "This file cannot be read as text.",
            code="SO213",
            where=f"{str(path)!r}, byte {error.start:,}",
            got=f"0x{error.object[error.start]:02x}, which is not UTF-8",
            wanted="text in UTF-8",
            fix="unpack the file if it is compressed; iconv -f latin1 -t utf-8 turns older text into UTF-8",
        ) from None
    if not text.split():
        raise so.DataError(
            "There is no word in this text.",
            code="SO210",
            where=f"{str(path)!r}",
            got="an empty file" if not text else f"{count(len(text), 'character')}, all of them blank",
            wanted="words with blanks between them",
            fix="check the command that wrote the file",
        )
    return text.replace("\n", f" {END_OF_LINE} ").split()


def vocabulary_of(words: Iterable[str], most: int = 10_000) -> list[str]:
    """The words that get a number of their own: ``<unk>`` first, for all others, then the most frequent ones.

    Args:
        words: the training text.
        most: entries at most.

    Returns:
        The words; a word's number is its position.

    Example:
        >>> vocabulary_of("a b b c <eos> b a <eos>".split(), most=4)
        ['<unk>', 'b', 'a', '<eos>']
    """
    frequent = [word for word, _ in Counter(words).most_common(most) if word != UNKNOWN]
    return [UNKNOWN, *frequent[: most - 1]]


def numbered(words: Iterable[str], vocabulary: Sequence[str]) -> np.ndarray:
    """The numbers of words.

    Args:
        words: N words; those that the vocabulary lacks count as ``<unk>``.
        vocabulary: what ``vocabulary_of`` gave.

    Returns:
        (N,) int32.

    Example:
        >>> numbered(["b", "z"], ["<unk>", "a", "b"]).tolist()
        [2, 0]
    """
    numbers = {word: number for number, word in enumerate(vocabulary)}
    unknown = numbers[UNKNOWN]
    return np.array([numbers.get(word, unknown) for word in words], np.int32)


def lanes(tokens: np.ndarray, batch: int, unroll: int, name: str = "text") -> so.Sequences:
    """One stream cut into B equal sequences, each step with the word that follows as its target.

    Args:
        tokens: the numbers of the words (N,).
        batch: B, the number of sequences.
        unroll: K, the steps of a chunk; sequences are cut to a multiple of it, so that all chunks are alike.
        name: what to call the text in an error.

    Returns:
        B sequences ``lane-0`` .. of T steps, the largest multiple of K for which B * T + 1 words are there.

    Raises:
        DataError: the text is too short for one chunk in each lane (SO210).

    Example:
        >>> cut = lanes(np.arange(14), batch=2, unroll=3)
        >>> cut["lane-1"][:, 0].tolist(), cut.targets[6:].tolist()
        ([6, 7, 8, 9, 10, 11], [7, 8, 9, 10, 11, 12])
    """
    steps = (len(tokens) - 1) // (batch * unroll) * unroll
    if steps < 1:
        raise so.DataError(
            "This text is too short to be cut into lanes.",
            code="SO210",
            where=name,
            got=f"{count(len(tokens), 'word')}, ends of lines included",
            wanted=f"at least {batch * unroll + 1:,}: {count(batch, 'lane')} of {count(unroll, 'step')}, and one more",
            fix="take a longer text, or a smaller --batch or --unroll",
        )
    used = batch * steps
    return so.Sequences.from_list(
        list(tokens[:used].reshape(batch, steps)),
        ids=[f"lane-{number}" for number in range(batch)],
        targets=tokens[1 : used + 1].reshape(batch, steps),
        targets_per="step",
        features=["word"],
    )
