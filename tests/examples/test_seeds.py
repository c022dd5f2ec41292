"""The fifteen programs of examples/seeds run and say what is right."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SEEDS = Path(__file__).resolve().parents[2] / "examples" / "seeds"
SAID = {
    "stateful_input_shape": "(32, 32)\n(4, 32)\n",
    "stateful_reset": "Output shape is (4, 32)\nafter a reset the same input gives the same output: True\n",
    "stateful_over_batches": "Output shape is (4, 32)\n25 pieces give what the whole gives: True\n",
    "last_output": "(32, 1)\n",
    "stacked_layers": "(32, 1)\n",
    "returned_states": "(32, 64) (32, 64) (32, 64)\nthe output is the final h: True - and not c: True\n",
    "cell_by_hand": (
        "(32, 10, 64)\n(64, 10, 64)\n"
        "LSTMCell 'lstm_cell' cannot start from these states.\n"
        "  where   initial_state 'h' (state -> layer)\n"
        "  got     shape (64, 64)\n"
        "  wanted  (batch 32, units 64)\n"
    ),
    "stateful_training": (
        "batches of 32 leave states for 32 rows\n"
        "batches of 64 leave states for 64 rows\n"
        "both batch sizes fitted: True\n"
    ),
    "rows_come_and_go": (
        "after the smaller batch (2, 8)\nrows 0 and 1 have moved on: True\nrows 2 to 5 have waited: True\n"
    ),
    "one_array": "fitted, better than saying 0: True\n",
    "one_batch": "fitted in 2 steps of one batch each\n",
    "ragged_training": (
        "Sequences(200 sequences, 8,159 steps, 100 features, float64, targets per sequence)\n"
        "largest value fed 1.0\n"
        "fitted, better than saying 0: True\n"
    ),
    "lists_of_arrays": "fitted Sequences(3 sequences, 9 steps, 2 features, int64)\n",
    "padded_by_hand": "the short sequence gives the same alone and among longer ones: True\n",
    "nested_lists": "fitted (3, 3, 2) lengths [3, 2, 3]\n",
}


def test_every_program_is_here():
    assert {path.stem for path in SEEDS.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", list(SAID))
def test_program_says_what_is_right(name, capsys, monkeypatch):
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    runpy.run_path(str(SEEDS / f"{name}.py"))
    said = capsys.readouterr().out
    assert said.startswith(SAID[name]), said
