"""The progress of training: one line for each epoch, a moving bar for the one that runs."""

from __future__ import annotations

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class EpochLines(keras.callbacks.Callback):
    """Prints loss and metric of each epoch; a star marks the best validation loss so far.

    Args:
        console: where to print.
        target_std: turns losses of standardised targets into root mean square errors of the target; None for classes.
    """

    def __init__(self, console: Console, target_std: float | None) -> None:
        super().__init__()
        self._console = console
        self._target_std = target_std
        self._best = float("inf")
        self._progress: Progress | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Shows the head of the lines."""
        metric = "accuracy" if self._target_std is None else "RMSE"
        self._console.print(
            f"[bold]{'epoch':>9}  {'loss':>8}  {metric:>8}    {'validation':>10}  {metric:>8}   {'time':>6}[/]"
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the bar."""
        self._begun = time.monotonic()
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
            self._progress = Progress(
                *columns, TextColumn("{task.fields[loss]}"), console=self._console, transient=True
            )
            self._task = self._progress.add_task(
                f"{epoch + 1:>5}/{self.params['epochs']}", total=self.params["steps"], loss=""
            )
            self._progress.start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Moves the bar."""
        if self._progress is not None:
            self._progress.update(self._task, completed=batch + 1, loss=f"loss {float((logs or {})['loss']):.4f}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Puts the epoch's line in place of the bar."""
        self._stop()
        found = {name: float(value) for name, value in (logs or {}).items()}
        line = f"{epoch + 1:>5}/{self.params['epochs']:<3}  {found['loss']:>8.4f}  {self._metric(found, ''):>8}"
        if "val_loss" in found:
            better = found["val_loss"] < self._best
            self._best = min(self._best, found["val_loss"])
            star = "[bold green]*[/]" if better else " "
            line += f"  {star} {found['val_loss']:>10.4f}  {self._metric(found, 'val_'):>8}"
        else:
            line += " " * 24
        self._console.print(f"{line}   [dim]{time.monotonic() - self._begun:>4.1f} s[/]", highlight=False)

    def _metric(self, found: dict[str, float], prefix: str) -> str:
        if self._target_std is None:
            return f"{found[f'{prefix}accuracy']:.1%}"
        return f"{self._target_std * found[f'{prefix}loss'] ** 0.5:.4g}"

    def close(self) -> None:
        """Takes the bar away, also after an error."""
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
