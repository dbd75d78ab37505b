"""One try of a training in one process: what Lightning is given, and what it leaves behind."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from models.data.batches import Batches, Loader, Rows, Shared
from models.training import checkpoints, devices
from models.training.callbacks import Averaging, Judge, Penalising, Rate, Undisturbed, floats_of, is_sharded
from models.training.graphs import Unrecordable
from models.training.module import GraphedLearner, Learner
from models.training.objectives import Objective
from models.training.progress import Progress, Pulse
from models.training.settings import FitSettings, Fitted, Hooks, seeded

MAY_CHANGE = ("batch_size", "compile", "graphs")  # settings that give way where they cannot be had
VALIDATION_BATCH_SIZE = 16_384
VALIDATION_FACTOR = 16  # at most so many times the rows of a training step: there is no gradient to be kept


@dataclass(frozen=True)
class Job:
    """A training as it is tried, here or in several processes; a smaller batch makes another one of it."""

    network: nn.Module
    objective: Objective
    train: Rows
    validation: Rows | None
    settings: FitSettings
    hooks: Hooks
    name: str
    folder: Path | None
    fingerprint: str
    every: int | None
    resumed: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def keeps_state(self) -> bool:
        """Whether it can be continued when it was killed."""
        return not (self.settings.strategy.startswith("fsdp") and self.settings.devices > 1)


def train_here(job: Job, rank: int, tell: devices.Tell) -> tuple[Fitted, dict[str, Any] | None]:
    """Train in this process; the whole weights are returned where the network holds only a part of them."""
    settings, network = job.settings, job.network
    with quiet(), seeded(settings.seed + rank):
        averaging = Averaging(settings.ema_decay) if settings.ema_decay else None
        trainer = trainer_of(settings)
        device = trainer.strategy.root_device
        train = _loader(job.train, settings.batch_size, None if settings.is_ordered else settings.seed, device, trainer)
        is_graphed = _is_graphed(job, device)
        if is_graphed and isinstance(train, Batches):
            train.are_picked = True
        judge, pulse = None, Pulse(lambda: tell(devices.ALIVE, None))
        if job.validation is not None:
            # Who trains on few rows at a time does so because they are large: texts and images.
            size = min(VALIDATION_BATCH_SIZE, VALIDATION_FACTOR * settings.batch_size)
            size = min(size, getattr(job.validation, "most_rows_a_batch", size))
            held_out = _loader(job.validation, size, None, device, trainer)
            judge = Judge(held_out, job.objective, settings.patience, settings.bar, averaging, pulse.go_on)
        progress = Progress(job.name, judge, lambda numbers: tell("epoch", numbers), lambda line: tell("line", line))
        ending = _Ending(network, judge, averaging)
        module, callbacks = _module(job, is_graphed)
        callbacks += [each for each in (Undisturbed(), averaging, judge, progress, pulse, ending) if each is not None]
        if job.folder and job.keeps_state:
            come_to = {name: getattr(settings, name) for name in MAY_CHANGE}
            saver = checkpoints.Saver(job.folder, train, job.fingerprint, come_to, job.notes, job.every)
            callbacks.append(saver)  # last, when the others have had their say
        untyped: Any = trainer  # it has its callbacks, but does not declare them
        untyped.callbacks += callbacks
        network.train()  # the Trainer keeps modes, and a champion comes in eval mode: it would train without dropout
        if settings.compile:
            devices.compile_in_place(network)
        try:
            trainer.fit(module, train, ckpt_path=job.resumed, weights_only=True)
        except torch.OutOfMemoryError as error:
            if isinstance(module, GraphedLearner) and module.has_recorded:  # plain steps give back what they took
                raise Unrecordable("a recorded step leaves too little memory for the rest") from error
            raise
        ending.settle()  # of a training that was killed after its last step, nothing else is done
    devices.undo_compilation(network)
    best_epoch = judge.best_epoch if judge else len(progress.history)
    is_hopeless = judge.is_hopeless if judge else False
    return Fitted(progress.history, progress.num_passes, best_epoch, is_hopeless, job.notes), ending.whole


def _is_graphed(job: Job, device: torch.device) -> bool:
    """Whether its steps become CUDA graphs."""
    network, penalty = job.network, job.hooks.penalty
    can_be = job.settings.graphs and job.settings.devices == 1 and device.type == "cuda"
    # The class itself must say so: one that adds to its parent may add what cannot be captured.
    says_so = not isinstance(network, L.LightningModule) and bool(vars(type(network)).get("is_capturable"))
    return can_be and says_so and (penalty is None or getattr(penalty, "is_capturable", False))


def _module(job: Job, is_graphed: bool) -> tuple[L.LightningModule, list[Callback]]:
    """What Lightning trains, and the hooks of the recipe."""
    hooks, settings, network = job.hooks, job.settings, job.network
    callbacks: list[Callback] = [Rate(hooks.rate)] if hooks.rate else []
    if isinstance(network, L.LightningModule):
        return network, [*callbacks, Penalising(hooks.penalty)] if hooks.penalty else callbacks
    learner = GraphedLearner if is_graphed else Learner
    return learner(network, job.objective, settings.learning_rate, settings.weight_decay, hooks.penalty), callbacks


def _loader(rows: Rows, batch_size: int, seed: int | None, device: torch.device, trainer: L.Trainer) -> Loader:
    rank, world = trainer.global_rank, trainer.world_size
    if world == 1:
        return rows.batches(batch_size, seed, device)
    if part := getattr(rows, "part", None):  # of rows that each process would else have to read in vain
        mine: Rows = part(rank, world)
        return mine.batches(max(1, batch_size // world), seed, device)
    return Shared(rows.batches(batch_size, seed, device), rank, world)


def trainer_of(settings: FitSettings) -> L.Trainer:
    """Lightning's Trainer as the settings want it; `ValueError` when this machine, or what is installed, cannot."""
    several: dict[str, Any] = {}
    plugins: list[Any] = [checkpoints.Files()]
    if settings.devices > 1:
        several = {"strategy": "ddp" if settings.strategy == "auto" else settings.strategy}
        plugins.append(LightningEnvironment())
    try:
        return L.Trainer(
            max_epochs=settings.epochs,
            accelerator=settings.accelerator,
            devices=settings.devices,
            precision=devices.lightning_precision(settings.precision, settings.accelerator),
            plugins=plugins,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            **several,
        )
    except (MisconfigurationException, ModuleNotFoundError, ValueError) as error:  # absent, not installed, unknown
        here = sorted(name for name, each in AcceleratorRegistry.items() if each["accelerator"].is_available())
        raise ValueError(
            f"training.accelerator={settings.accelerator!r}{_sharing(settings)} cannot be used here; "
            f"set it to {' or '.join(['auto', *here])} ({error})"
        ) from error


def _sharing(settings: FitSettings) -> str:
    if settings.devices == 1:
        return ""
    return f" with training.devices={settings.devices} and training.strategy={settings.strategy!r}"


class _Ending(Callback):
    """Gives the network the weights that training ends with: those of the best epoch, or the averaged ones."""

    def __init__(self, network: nn.Module, judge: Judge | None, averaging: Averaging | None) -> None:
        self.network, self.judge, self.averaging = network, judge, averaging
        self.whole: dict[str, Tensor] | None = None
        self._is_settled = False

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """While the processes are still together."""
        self.settle()
        if is_sharded(trainer):
            whole = trainer.strategy.lightning_module_state_dict()
            start = "" if pl_module is self.network else "network."
            self.whole = {key.removeprefix(start): value for key, value in whole.items() if key.startswith(start)}

    def settle(self) -> None:
        """Once."""
        if self._is_settled:
            return
        self._is_settled = True
        kept = self.judge.best if self.judge and self.judge.best else self.averaging.average if self.averaging else []
        for weight, value in zip(floats_of(self.network) if kept else [], kept, strict=True):
            weight.copy_(value)


@contextmanager
def quiet() -> Iterator[None]:
    """A block in which Lightning says nothing but warnings about itself."""
    # Lightning announces devices, and advises on DataLoader workers that we do not have; Progress says the rest.
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            # Of the steps before one is recorded as a CUDA graph.
            for said in ("This instance was constructed with capturable=True", "Synchronization debug mode is a proto"):
                warnings.filterwarnings("ignore", message=said)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
