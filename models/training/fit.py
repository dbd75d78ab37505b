"""One call that trains a network on rows that fit in memory, on whatever device there is."""

from __future__ import annotations

import copy
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging
from torch import nn

from models.data.batches import Batches, Labelled
from models.training.module import BinaryClassifier
from models.training.progress import Progress

VALIDATION_BATCH_SIZE = 16_384


class Diverged(RuntimeError):
    """The loss or the weights are no longer finite: trying the same again gives the same."""


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast. `patience` needs validation rows; `ema_decay` ends with the averaged weights."""

    epochs: int
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int | None = None
    ema_decay: float | None = None
    seed: int = 0
    accelerator: str = "auto"


def fit(
    network: nn.Module,
    train: Labelled,
    validation: Labelled | None,
    settings: FitSettings,
    name: str = "training",
    on_epoch: Callable[[dict[str, float]], None] = lambda numbers: None,
) -> list[dict[str, float]]:
    """Train `network` in place and return the history, one dict an epoch.

    With validation rows and `patience` the weights of the best epoch are kept. On a CPU the result depends on the
    arguments alone.

    Raises:
        ValueError: without training rows, with patience and no validation rows, or without such an accelerator.
        Diverged: when the loss or the weights are no longer finite.
    """
    if not len(train):
        raise ValueError("no training rows; widen the window between schedule.start and the holdout")
    if settings.patience and (validation is None or not len(validation)):
        raise ValueError("early stopping needs validation rows; raise training.validation_days")
    progress = Progress(name, on_epoch)
    with _quiet(), seeded(settings.seed):
        module = BinaryClassifier(network, settings.learning_rate, settings.weight_decay)
        trainer = _trainer(settings, [*_callbacks(settings), progress])
        device = trainer.strategy.root_device
        batches = Batches(train.to(device), settings.batch_size, settings.seed)
        held_out = Batches(validation.to(device), VALIDATION_BATCH_SIZE) if validation is not None else None
        network.train()  # the Trainer keeps modes, and a champion comes in eval mode: it would train without dropout
        trainer.fit(module, batches, held_out)
    network.to("cpu").eval()
    is_finite = all(math.isfinite(number) for epoch in progress.history for number in epoch.values())
    if not is_finite or not all(torch.isfinite(weight).all() for weight in network.parameters()):
        raise Diverged(
            f"{name}: loss or weights are no longer finite after {len(progress.history)} epochs; "
            f"lower the learning rate (it is {settings.learning_rate})"
        )
    return progress.history


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's generators seeded, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _trainer(settings: FitSettings, callbacks: list[Callback]) -> L.Trainer:
    try:
        return L.Trainer(
            max_epochs=settings.epochs,
            accelerator=settings.accelerator,
            devices=1,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ModuleNotFoundError, ValueError) as error:  # absent, not installed, unknown
        here = sorted(name for name, each in AcceleratorRegistry.items() if each["accelerator"].is_available())
        raise ValueError(
            f"training.accelerator={settings.accelerator!r} cannot be used here; "
            f"set it to {' or '.join(['auto', *here])} ({error})"
        ) from error


def _callbacks(settings: FitSettings) -> list[Callback]:
    callbacks: list[Callback] = []
    if settings.patience:
        callbacks += [EarlyStopping("validation_loss", patience=settings.patience), _BestWeights()]
    if settings.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=settings.ema_decay))
    return callbacks


class _BestWeights(Callback):
    """Keeps the weights with the lowest validation loss in memory and ends with them."""

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self._lowest, self._weights = float("inf"), copy.deepcopy(pl_module.network.state_dict())

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        loss = trainer.callback_metrics["validation_loss"].item()
        if loss < self._lowest:
            self._lowest, self._weights = loss, copy.deepcopy(pl_module.network.state_dict())

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.network.load_state_dict(self._weights)


@contextmanager
def _quiet() -> Iterator[None]:
    # Lightning announces devices, and advises on DataLoader workers that we do not have; Progress says the rest.
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
