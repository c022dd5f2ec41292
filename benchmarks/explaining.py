"""What `sostenuto explain` costs: programs alone and under it, in turn, in processes of their own.

    python benchmarks/explaining.py            some 5 minutes
    python benchmarks/explaining.py --quick    3 turns

The programs train for some seconds: many small batches on a compiled backend, a loop of PyTorch's with a call per
step, a masked model on padded words. The time is that of the whole process, imports too; a ratio is with ÷ without, of
medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

BATCHES = """
import numpy as np, keras
x = np.random.default_rng(0).normal(size=(4096, 20, 4)).astype("float32")
model = keras.Sequential([keras.Input((20, 4)), keras.layers.LSTM(16), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x[:, :, :1].sum(axis=1), batch_size=16, epochs=8, verbose=0)
"""
WORDS = """
import numpy as np, keras
rng = np.random.default_rng(0)
words = [rng.integers(1, 500, rng.integers(5, 60)) for _ in range(3000)]
x = keras.utils.pad_sequences(words, padding="post")
layers = [keras.Input((None,), dtype="int32"), keras.layers.Embedding(500, 16, mask_zero=True), keras.layers.GRU(32)]
model = keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy")
model.fit(x, np.arange(3000) % 2, epochs=3, verbose=0)
"""
LOOP = """
import torch
from torch import nn
torch.manual_seed(0)
cell, head = nn.LSTMCell(4, 32), nn.Linear(32, 1)
optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()])
for _ in range(150):
    x = torch.randn(40, 16, 4)
    h = c = torch.zeros(16, 32)
    for step in x:
        h, c = cell(step, (h, c))
    loss = nn.functional.mse_loss(head(h), x.sum(0)[:, :1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
PROGRAMS = {
    "2,048 small batches, JAX": (BATCHES, "jax"),
    "2,048 small batches, TensorFlow": (BATCHES, "tensorflow"),
    "padded words, JAX": (WORDS, "jax"),
    "padded words, PyTorch": (WORDS, "torch"),
    "6,000 steps by hand, PyTorch": (LOOP, "torch"),
}


def seconds(command: list[str], folder: str, backend: str) -> float:
    """The time of a process."""
    begun = time.perf_counter()
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    turns = 3 if parser.parse_args().quick else 7
    table = Table("program", "with ÷ without", "alone, s", "explained, s", "more, s")
    for name, (text, backend) in PROGRAMS.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "train.py").write_text(text)
            alone, explained = [sys.executable, "train.py"], [sys.executable, "-m", "sostenuto", "explain", "train.py"]
            seconds(alone, folder, backend)
            times: dict[str, list[float]] = {"alone": [], "explained": []}
            for _ in range(turns):
                times["alone"].append(seconds(alone, folder, backend))
                times["explained"].append(seconds(explained, folder, backend))
        without, with_it = (statistics.median(times[key]) for key in ("alone", "explained"))
        table.add_row(name, f"{with_it / without:.2f}", f"{without:.2f}", f"{with_it:.2f}", f"{with_it - without:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
