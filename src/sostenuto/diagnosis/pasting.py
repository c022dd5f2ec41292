"""Writes a fix so that it can be pasted: with the names that the user's program has for its modules."""

from __future__ import annotations

import ast
import re

from sostenuto.diagnosis.source import Place, file_words

# What fixes call a module, its own name, and how a program gets it.
_MODULES = (("keras", "keras", "import keras"), ("np", "numpy", "import numpy as np"))


def pasteable(fix: str, place: Place | None) -> str:
    """A fix in the words of the program: tf.keras where that is its name for Keras, an import where it has none.

    Args:
        fix: code, or words.
        place: somewhere in the program; None where nothing is known of it.
    """
    tree = place.module() if place is not None else None
    if place is None or tree is None:
        return fix
    known = _bound(tree)
    # The imports of a notebook are in another cell.
    known |= {name: "" for name in place.names if name not in known}
    elsewhere = not place.names and file_words(place.file).startswith("cell")
    for name, module, statement in _MODULES:
        used = re.compile(rf"(?<![\w.'\"])(?<!from )(?<!import ){name}(?=\.\w)")
        if name in known or not used.search(fix) or name in _bound(_parsed(fix) or ast.Module([], [])):
            continue
        other = _name_of(module, known)
        if other:
            fix = used.sub(other, fix)
        elif not elsewhere and any(used.search(line) for line in _code(fix)):
            fix = f"{statement}\n{fix}"
    return fix


def _name_of(module: str, known: dict[str, str]) -> str:
    for name, path in known.items():
        if path in (module, f"tensorflow.{module}"):
            return name
    tensorflow = next((name for name, path in known.items() if path == "tensorflow"), "")
    return f"{tensorflow}.keras" if tensorflow and module == "keras" else ""


def _bound(tree: ast.AST) -> dict[str, str]:
    # All names that a file binds; for modules with their paths.
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                path = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or path] = path
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, "")
    return names


def _code(fix: str) -> list[str]:
    # The lines that are code: words do not need an import.
    lines = [re.sub(r"(^|\s+)#.*", "", line).strip().rstrip(",") for line in fix.splitlines()]
    whole = _parsed("\n".join(re.sub(r"(^|\s+)#.*", "", line) for line in fix.splitlines()))
    return [line for line in lines if line and (whole is not None or _parsed(line) is not None)]


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        return None
