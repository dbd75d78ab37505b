"""What a training says while it runs: a line every ten seconds at most, and one at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from models.training.callbacks import Judge, is_first_process, over_processes

logger = logging.getLogger(__name__)
LINE_EVERY_SECONDS = 10.0


def say(line: str) -> None:
    """Log a line."""
    logger.info("%s", line)


class Progress(Callback):
    """Lines that read the same in a terminal, in CI and in Prefect's logs, and the history behind them.

    Args:
        name: what is being trained, the first word of each line.
        judge: tells the loss on held-out rows, if there are any.
        on_epoch: called with each epoch's numbers (loss, rows per second, validation loss if there is one).
        say: where the lines go.
    """

    def __init__(
        self,
        name: str,
        judge: Judge | None,
        on_epoch: Callable[[dict[str, float]], None],
        say: Callable[[str], None] = say,
    ) -> None:
        self.name, self.judge, self.on_epoch, self.say = name, judge, on_epoch, say
        self.history: list[dict[str, float]] = []
        self.num_passes = 0
        # Of this epoch; the sum of the losses stays on its device until it is said.
        self._rows, self._rows_told, self._rows_before, self._sum = 0, 0, 0, torch.zeros(())
        self._line, self._is_said, self._said = "", True, 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Start the clock, also of an epoch that goes on."""
        self._said = time.monotonic()
        precision = torch.float32 if pl_module.device.type == "mps" else torch.float64
        self._sum = self._sum.to(pl_module.device, precision)
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Count from zero."""
        self._rows, self._rows_told, self._rows_before, self._sum = 0, 0, 0, torch.zeros_like(self._sum)
        self._started = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count rows; say a line when the last one is ten seconds old."""
        num_rows = len(batch)
        self._rows += num_rows
        if outputs:  # a LightningModule that steps its optimizers itself may tell no loss
            self._sum.add_(outputs.get("unpenalised", outputs["loss"]), alpha=num_rows)
            self._rows_told += num_rows
        if time.monotonic() - self._said > LINE_EVERY_SECONDS:
            share = (batch_idx + 1) / trainer.num_training_batches
            loss = _loss(self._sum.item(), self._rows_told)
            self._tell(f"{self.name} epoch {self._epoch(trainer)} {100 * share:3.0f} %{_said(loss)}")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Keep the epoch's numbers; say its line when the last one is ten seconds old."""
        sum_of_losses, rows_told, rows = self._counts()  # before the clock is read: it waits for the GPU
        seconds = time.monotonic() - self._started
        losses = _loss(sum_of_losses, rows_told)
        self.num_passes += int(rows)
        numbers = {
            "epoch": float(trainer.current_epoch + 1),
            **losses,
            "rows_per_second": (rows - self._rows_before) / max(seconds, 1e-9),
        }
        line = f"{self.name} epoch {self._epoch(trainer)}{_said(losses)}"
        if self.judge:
            numbers["validation_loss"] = self.judge.loss
            line += f"  validation {self.judge.loss:.4f}"
        self._line = f"{line}  {int(rows):,} rows  {numbers['rows_per_second'] / 1000:.0f}k rows/s"
        self._is_said = False
        self.history.append(numbers)
        if time.monotonic() - self._said > LINE_EVERY_SECONDS:
            self._tell(self._line)
        self.on_epoch(numbers)

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Say the line of the last epoch, whatever ended the training."""
        if not self._is_said:
            self._tell(self._line)

    def state_dict(self) -> dict[str, Any]:
        """The history, and the counts of an epoch that is under way, of all processes."""
        return {
            "history": [dict(epoch) for epoch in self.history],
            "num_passes": self.num_passes,
            "counts": list(self._counts()),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As it was; the counts go on in one of the processes."""
        self.history, self.num_passes = state_dict["history"], state_dict["num_passes"]
        sum_of_losses, rows_told, rows = state_dict["counts"]
        self._rows_before = int(rows)
        if is_first_process():
            self._sum = torch.tensor(sum_of_losses, dtype=torch.float64)
            self._rows_told, self._rows = int(rows_told), int(rows)

    def _counts(self) -> tuple[float, float, float]:
        """Sum of losses, rows that they are of, and rows, of this epoch in all processes."""
        counts = torch.stack([self._sum, self._sum.new_tensor(self._rows_told), self._sum.new_tensor(self._rows)])
        sum_of_losses, rows_told, rows = over_processes(counts).tolist()
        return sum_of_losses, rows_told, rows

    def _tell(self, line: str) -> None:
        self._said, self._is_said = time.monotonic(), True
        self.say(line)

    def _epoch(self, trainer: L.Trainer) -> str:
        return f"{trainer.current_epoch + 1}/{trainer.max_epochs}"


class Pulse(Callback):
    """Says that a training gets on, once a second at most.

    Args:
        beat: called then.
    """

    def __init__(self, beat: Callable[[], None]) -> None:
        self.beat, self._last = beat, 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A step was made."""
        self.go_on()

    def go_on(self) -> None:
        """Something was done."""
        if time.monotonic() - self._last >= 1.0:
            self._last = time.monotonic()
            self.beat()


def _loss(sum_of_losses: float, rows: float) -> dict[str, float]:
    return {"train_loss": sum_of_losses / rows} if rows else {}


def _said(loss: dict[str, float]) -> str:
    return f"  loss {loss['train_loss']:.4f}" if loss else ""
