"""What a training says while it runs: a line every ten seconds at most, and one at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

logger = logging.getLogger(__name__)
LINE_EVERY_SECONDS = 10.0


class Progress(Callback):
    """Lines that read the same in a terminal, in CI and in Prefect's logs, and the history behind them.

    Args:
        name: what is being trained, the first word of each line.
        on_epoch: called with each epoch's numbers (loss, rows per second, validation loss if there is one).
    """

    def __init__(self, name: str, on_epoch: Callable[[dict[str, float]], None]) -> None:
        self.name, self.on_epoch = name, on_epoch
        self.history: list[dict[str, float]] = []
        self._said = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Start the clock of the epoch."""
        pl_module.train_loss.reset()
        self._started = time.monotonic()
        self._said = self._said if trainer.current_epoch else self._started
        self._rows = 0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count rows; say a line when the last one is ten seconds old."""
        self._rows += len(batch[2])
        if time.monotonic() - self._said > LINE_EVERY_SECONDS:
            self._said = time.monotonic()
            share = (batch_idx + 1) / trainer.num_training_batches
            loss = pl_module.train_loss.compute().item()
            logger.info("%s epoch %s %3.0f %%  loss %.4f", self.name, self._epoch(trainer), 100 * share, loss)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Keep the epoch's numbers; say its line when the last one is ten seconds old, or the training is over."""
        loss = pl_module.train_loss.compute().item()  # before the clock is read: it waits for the GPU
        numbers = {
            "epoch": float(trainer.current_epoch + 1),
            "train_loss": loss,
            "rows_per_second": self._rows / (time.monotonic() - self._started),
        }
        line = f"{self.name} epoch {self._epoch(trainer)}  loss {numbers['train_loss']:.4f}"
        if "validation_loss" in trainer.callback_metrics:
            numbers["validation_loss"] = trainer.callback_metrics["validation_loss"].item()
            line += f"  validation {numbers['validation_loss']:.4f}"
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if is_last or time.monotonic() - self._said > LINE_EVERY_SECONDS:
            self._said = time.monotonic()
            logger.info("%s  %s rows  %.0fk rows/s", line, f"{self._rows:,}", numbers["rows_per_second"] / 1000)
        self.history.append(numbers)
        self.on_epoch(numbers)

    def _epoch(self, trainer: L.Trainer) -> str:
        return f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
