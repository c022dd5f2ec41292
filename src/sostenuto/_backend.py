"""Chooses a backend for Keras where the user did not and Keras's own default is not installed."""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

from sostenuto.errors import BackendError

# Set here, not by the user: ``leave_the_choice`` takes it back.
_chosen: list[str] = []

MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def choose_backend() -> None:
    """Leaves a choice that was made alone; else takes the backend that is installed, and says so once.

    A choice is the variable KERAS_BACKEND, the file keras.json, or a Keras that is imported already.

    Raises:
        BackendError: SO701, no backend is installed.
    """
    if "keras" in sys.modules:
        return
    wanted = os.environ.get("KERAS_BACKEND") or _configured() or "tensorflow"
    installed = [name for name, module in MODULES.items() if find_spec(module) is not None]
    if wanted in installed or wanted not in MODULES:
        return
    if os.environ.get("KERAS_BACKEND") or not installed:
        raise BackendError(
            "Keras has no backend to do its sums.",
            code="SO701",
            where="import sostenuto",
            got=f"KERAS_BACKEND={wanted}, which is not installed"
            if os.environ.get("KERAS_BACKEND")
            else "neither TensorFlow nor JAX nor PyTorch",
            wanted=f"one of those installed: {', '.join(installed)}" if installed else "one of them installed",
            fix=f"set KERAS_BACKEND={installed[0]}" if installed else "pip install 'sostenuto[jax]'",
        )
    os.environ["KERAS_BACKEND"] = installed[0]
    _chosen.append(installed[0])
    warnings.warn(
        f"Sostenuto uses the {installed[0]} backend of Keras, because {wanted} is not installed. "
        f"Set KERAS_BACKEND={installed[0]} to say so yourself.",
        stacklevel=3,
    )


def leave_the_choice() -> None:
    """Takes back what ``choose_backend`` chose, for a program of somebody else's that has not imported Keras yet."""
    if _chosen and "keras" not in sys.modules and os.environ.get("KERAS_BACKEND") == _chosen.pop():
        del os.environ["KERAS_BACKEND"]


def _configured() -> str | None:
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        return json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError):
        return None
