"""`sostenuto explain`: runs scripts as Python would, and says what was found on a terminal, in a file and on a page."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import pytest

from tests.explaining.scripts import HOME

if keras.backend.backend() != HOME:
    pytest.skip("the same on every backend", allow_module_level=True)

pytestmark = pytest.mark.backend

STACKED = """
import keras
print("begun")
model = keras.Sequential([keras.Input((15, 6)), keras.layers.LSTM(32), keras.layers.LSTM(16)])
"""
SILENT = """
import keras
x = keras.utils.pad_sequences([[0.2, 0.7, 0.9], [0.4]], padding="post")
print(x.sum())
"""
RIGHT = """
import sys
print(sys.argv[1:], __name__)
sys.exit(int(sys.argv[-1]))
"""


def python(*arguments, folder, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def script(tmp_path):
    def written(text):
        (tmp_path / "train.py").write_text(text.lstrip())
        return tmp_path

    return written


def test_an_exception_is_explained_below_its_traceback(script):
    folder = script(STACKED)
    done = python("-m", "sostenuto", "explain", "train.py", "--json", "found.json", folder=folder)
    assert done.returncode == 1
    assert done.stdout.startswith("begun\n")
    assert 'File "train.py", line 3, in <module>' in done.stderr
    assert "ValueError: Input 0" in done.stderr
    assert "  wanted  (batch ?, time 15, features 32): its output at every step" in done.stdout
    assert "\x1b[" not in done.stdout
    found = json.loads((folder / "found.json").read_text())
    assert found["exit"] == 1
    (finding,) = found["findings"]
    assert set(finding) == {"code", "kind", "title", "where", "got", "wanted", "cause", "fix", "sure"}
    assert (finding["code"], finding["kind"], finding["sure"]) == ("SO111", "error", True)
    assert finding["where"].startswith("train.py, line 3:")
    assert finding["fix"] == "keras.layers.LSTM(32, return_sequences=True)"


def test_a_silent_fault_leaves_the_program_as_it_is(script):
    folder = script(SILENT)
    alone = python("train.py", folder=folder)
    done = python("-m", "sostenuto", "explain", "--json=found.json", "--html", "page.html", "train.py", folder=folder)
    assert done.returncode == alone.returncode == 0
    assert done.stdout.startswith(alone.stdout)
    found = json.loads((folder / "found.json").read_text())
    assert [(one["code"], one["kind"]) for one in found["findings"]] == [("SO222", "silent")]
    assert "Padding cuts floats to whole numbers" in (folder / "page.html").read_text()


def test_a_right_program_gets_no_word(script):
    folder = script(RIGHT)
    options = ("explain", "train.py", "--json", "found.json", "--epochs", "3", "-v", "--", "--json", "7")
    done = python("-m", "sostenuto", *options, folder=folder)
    assert done.stdout == "['--epochs', '3', '-v', '--json', '7'] __main__\n"
    assert done.stderr == ""
    assert done.returncode == 7
    assert json.loads((folder / "found.json").read_text()) == {"exit": 7, "findings": []}


def test_the_backend_is_the_scripts_own_choice(script):
    folder = script("import os\nos.environ['KERAS_BACKEND'] = 'jax'\nimport keras\nprint(keras.backend.backend())\n")
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-m", "sostenuto", "explain", "train.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("jax\n", 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent.py",), "DataFileError: There is no such script."),
        (("train.py", "--json", "nowhere/found.json"), "The result of 'sostenuto explain' cannot be written."),
    ],
)
def test_what_cannot_be_done_is_said_before_the_script_runs(script, arguments, said):
    done = python("-m", "sostenuto", "explain", *arguments, folder=script("print('ran')\n"))
    assert done.returncode == 2
    assert said in done.stderr
    assert "ran" not in done.stdout


def test_a_script_that_is_no_python(script):
    folder = script("model = keras.Sequential([\n")
    done = python("-m", "sostenuto", "explain", "train.py", "--json", "found.json", folder=folder)
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((folder / "found.json").read_text()) == {"exit": 1, "findings": []}


def test_the_traceback_is_pythons_own_without_library_frames(script):
    folder = script("def deep():\n    raise KeyError('engine')\n\ndeep()\n")
    alone = python("train.py", folder=folder)
    done = python("-m", "sostenuto", "explain", "train.py", folder=folder)
    assert done.stderr == alone.stderr.replace(str(folder) + os.sep, "")
    assert done.stdout == ""
