"""Model folders: written whole or not at all, read back with everything that a new table needs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras

from sostenuto.cli.recipe import Recipe
from sostenuto.diagnosis import nearest
from sostenuto.errors import ModelError

NOTES = "sostenuto.json"
MODEL = "model.keras"
FORMAT = 1


@dataclass(frozen=True)
class SavedModel:
    """What a model folder holds."""

    model: Any
    recipe: Recipe
    notes: dict[str, Any]


def check_writable(folder: Path) -> None:
    """Refuses a folder that is in use for something else, before any time is spent on training (SO802)."""
    if folder.is_dir():
        entries = sorted(entry.name for entry in folder.iterdir())
        if entries and NOTES not in entries:
            raise _in_the_way(folder, f"a folder with other files: {', '.join(entries[:3])}")
    elif folder.exists():
        raise _in_the_way(folder, "a file")
    parent = _existing_parent(folder)
    if not os.access(parent, os.W_OK):
        raise _in_the_way(folder, f"no permission to write in {str(parent)!r}", "choose a folder of yours with --out")


def _existing_parent(folder: Path) -> Path:
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    return parent


def _in_the_way(folder: Path, got: str, fix: str = "choose another folder with --out") -> ModelError:
    return ModelError(
        "The model cannot be written here.",
        code="SO802",
        where=repr(str(folder)),
        got=got,
        wanted="a new or empty folder, or one that holds a model of Sostenuto",
        fix=fix,
    )


@contextlib.contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its place at the end, or vanishes if something goes wrong.

    Raises:
        ModelError: the folder cannot be written (SO802).

    Example:
        >>> import tempfile
        >>> home = Path(tempfile.mkdtemp())
        >>> with written_whole(home / "model") as new:
        ...     _ = (new / "sostenuto.json").write_text("{}")
        >>> [entry.name for entry in home.rglob("*")]
        ['model', 'sostenuto.json']
    """
    check_writable(folder)
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise _in_the_way(folder, error.strerror or str(error)) from None
    try:
        yield new
        new.chmod(0o755)
        _put(new, folder)
    except OSError as error:
        raise _in_the_way(folder, error.strerror or str(error), "make room, or choose another folder") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _put(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent)) / folder.name
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def save(folder: Path, model: Any, recipe: Recipe, notes: dict[str, Any]) -> None:
    """Writes the model and what belongs to it into a folder that is there."""
    model.save(folder / MODEL)
    text = json.dumps({"format": FORMAT, "recipe": recipe.to_json(), **notes, "versions": versions()}, indent=2)
    (folder / NOTES).write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> SavedModel:
    """Reads a model folder.

    Raises:
        ModelError: there is none, or it cannot be read (SO801).
    """
    notes = _notes(folder)
    try:
        recipe = Recipe.from_json(notes["recipe"])
    except (KeyError, TypeError) as error:
        raise _unreadable(folder, f"{NOTES} without a field that is needed: {error}") from None
    try:
        # Nothing here trains on: without its optimizer, whose state a mean of several networks never had.
        model = keras.models.load_model(folder / MODEL, compile=False)
    except Exception as error:  # Keras raises whatever its archive, layers and backend raise
        first = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise _unreadable(folder, f"{MODEL}: {first}") from error
    return SavedModel(model, recipe, notes)


def _notes(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        parent = folder.parent
        near = nearest(folder.name, [entry.name for entry in parent.iterdir()]) if parent.is_dir() else []
        fix = f"near ones: {', '.join(near)}" if near else "check the spelling and the current folder"
        raise _unreadable(folder, "a file" if folder.exists() else "nothing there", fix)
    lacking = [name for name in (NOTES, MODEL) if not (folder / name).is_file()]
    if lacking:
        raise _unreadable(folder, f"a folder without {' and '.join(lacking)}")
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _unreadable(folder, f"{NOTES}: {str(error)[:160]}") from None
    found = notes.get("format") if isinstance(notes, dict) else None
    if found != FORMAT:
        raise _unreadable(
            folder,
            f"format {found!r} of {NOTES}",
            f"use the version of Sostenuto that wrote it; this one reads {FORMAT}",
        )
    return notes


def _unreadable(folder: Path, got: str, fix: str = "name a folder that 'sostenuto fit' has written") -> ModelError:
    return ModelError(
        "There is no model of Sostenuto to read here.",
        code="SO801",
        where=repr(str(folder)),
        got=got,
        wanted=f"a folder with {NOTES} and {MODEL}",
        fix=fix,
    )


def versions() -> dict[str, str]:
    """The versions that made a model, and its backend."""
    backend = keras.backend.backend()
    found = {"backend": backend}
    for name in ("sostenuto", "keras", "numpy", backend, f"{backend}-cpu"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
