"""What ``import sostenuto`` offers: sorted, documented, and nothing that the user does not use is imported."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "sostenuto"
CODES = re.compile(r"\bSO\d{3}\b")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True, check=False
    )


def test_names_are_sorted_and_documented():
    import sostenuto as so

    assert so.__all__ == sorted(so.__all__, key=lambda name: (not name.isupper(), name))
    assert [name for name in so.__all__ if not (getattr(so, name).__doc__ or "").strip()] == []
    assert {name for name in dir(so) if not name.startswith("__")} == set(so.__all__) - {"__version__"}


@pytest.mark.parametrize(("backend", "others"), [("jax", ["tensorflow", "torch"]), ("torch", ["tensorflow"])])
def test_no_other_backend_is_imported(backend, others):
    pytest.importorskip(backend)
    code = f"import sostenuto, sys; print([name for name in {others} if name in sys.modules])"
    assert python(code, KERAS_BACKEND=backend).stdout.strip() == "[]"


@pytest.mark.parametrize("first", ["cells", "kernels", "layers.rnn", "models", "sequences", "sessions", "diagnosis"])
def test_any_part_may_be_imported_first(first):
    pytest.importorskip("jax")
    code = f"""
import sostenuto.{first}, keras
print(keras.saving.get_registered_object("sostenuto>SequenceModel").__name__)
"""
    done = python(code, KERAS_BACKEND="jax")
    assert done.stdout.strip() == "SequenceModel", done.stderr[-2000:]


PRETEND = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in {missing} else real(name, *rest)
import sostenuto, keras
print(keras.backend.backend())
"""


def test_the_installed_backend_is_taken_and_named_once(tmp_path):
    pytest.importorskip("jax")
    done = python(PRETEND.format(missing={"tensorflow"}), KERAS_HOME=str(tmp_path))
    assert done.stdout.split()[-1] == "jax"
    said = "Sostenuto uses the jax backend of Keras, because tensorflow is not installed."
    assert done.stderr.count(said) == 1


def test_a_choice_that_was_made_is_left_alone(tmp_path):
    pytest.importorskip("torch")
    done = python(PRETEND.format(missing={"tensorflow"}), KERAS_HOME=str(tmp_path), KERAS_BACKEND="torch")
    assert done.stdout.split()[-1] == "torch"
    assert "Sostenuto uses" not in done.stderr


def test_a_backend_that_is_not_installed_is_refused(tmp_path):
    missing = {"tensorflow", "jax", "torch"}
    done = python(PRETEND.format(missing=missing), KERAS_HOME=str(tmp_path))
    assert done.returncode == 1
    assert (
        "Keras has no backend to do its sums.\n"
        "  where   import sostenuto\n"
        "  got     neither TensorFlow nor JAX nor PyTorch\n"
        "  wanted  one of them installed\n"
        "  fix     pip install 'sostenuto[jax]'\n"
        "  more    sostenuto explain SO701\n"
    ) in done.stderr
    done = python(PRETEND.format(missing={"jax"}), KERAS_HOME=str(tmp_path), KERAS_BACKEND="jax")
    assert "got     KERAS_BACKEND=jax, which is not installed" in done.stderr


def test_every_code_has_a_page_and_every_page_a_use():
    from sostenuto.diagnosis import rules

    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name != "rules":
            used |= set(CODES.findall(path.read_text()))
    assert used - set(rules()) == set()
    # What looks for a code uses it.
    assert {code for code, one in rules().items() if not one.looks} - used == set()


def test_every_error_says_where_got_wanted_and_fix():
    lacking = []
    for path in PACKAGE.rglob("*.py"):
        if path.name == "reference.py":  # raised to developers, in tests only
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = {keyword.arg for keyword in node.keywords} if isinstance(node, ast.Call) else set()
            if "code" in named and isinstance(node.func, ast.Name) and node.func.id.endswith(("Error", "error")):
                missing = {"where", "got", "wanted", "fix"} - named
                lacking += [f"{path.name}:{node.lineno} {sorted(missing)}"] if missing else []
    assert lacking == []
