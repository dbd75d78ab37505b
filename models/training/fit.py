"""One call that trains a network on rows, on whatever device there is, and goes on where it was killed."""

from __future__ import annotations

import copy
import gc
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from models.data.batches import Loader, Rows, Shared
from models.training import checkpoints, devices
from models.training.callbacks import Averaging, Judge, Penalising, Rate, floats_of
from models.training.errors import Diverged
from models.training.module import Learner
from models.training.objectives import Objective
from models.training.progress import Progress, Pulse, say
from models.training.settings import NOTHING_ADDED, FitSettings, Fitted, Hooks, OnEpoch, seeded

logger = logging.getLogger(__name__)
VALIDATION_BATCH_SIZE = 16_384
VALIDATION_FACTOR = 16  # at most so many times the rows of a training step: there is no gradient to be kept


@dataclass(frozen=True)
class _Job:
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


def fit(
    network: nn.Module,
    objective: Objective,
    train: Rows,
    validation: Rows | None,
    settings: FitSettings,
    hooks: Hooks = NOTHING_ADDED,
    *,
    checkpoint: Path | None = None,
    save_every: int | None = None,
    name: str = "training",
    on_epoch: OnEpoch = lambda numbers: None,
) -> Fitted:
    """Train `network` in place.

    With validation rows and `patience` the weights of the best epoch are kept. On a CPU the result depends on the
    arguments alone, killed and continued or not. When the memory of a device is not enough, the batch is halved.

    Args:
        network: called with the tensors of the rows. A LightningModule is trained by its own `training_step(batch, i)`
            and `configure_optimizers`; it is validated as any other, by what it returns when it is called.
        objective: what is made small, and how outputs are judged.
        train: rows to learn from.
        validation: rows to judge by, if any.
        settings: how long, how fast, and on what.
        hooks: what a recipe adds.
        checkpoint: a folder for the state of this training alone, written every half minute and at ends of epochs. A
            training that was killed goes on from there if it is the same; the caller deletes it in the end.
        save_every: steps between two states instead of half a minute.
        name: the first word of its log lines.
        on_epoch: told the numbers of each epoch; those of an epoch in which it was killed may come twice.

    Raises:
        ValueError: without training rows, with patience or a bar and no validation rows, or without the accelerator.
        Diverged: when the loss or the weights are no longer finite.
    """
    if not len(train):
        raise ValueError("no training rows; widen the window between schedule.start and the holdout")
    if validation is not None and not len(validation):
        validation = None
    if settings.patience and validation is None:
        raise ValueError("early stopping needs validation rows; raise training.validation_days")
    if settings.bar is not None and validation is None:
        raise ValueError("a bar for hopeless trainings needs validation rows; raise training.validation_days")
    fingerprint = _fingerprint(network, objective, train, validation, settings, hooks) if checkpoint else ""
    job = _Job(network, objective, train, validation, settings, hooks, name, checkpoint, fingerprint, save_every)
    if checkpoint and not _keeps_state(job):
        job = _noted(job, "a training by fsdp keeps no state: killed, it starts afresh")
    fitted = _until_it_fits(job, on_epoch)
    is_finite = all(math.isfinite(number) for epoch in fitted.history for number in epoch.values())
    if not is_finite or not all(torch.isfinite(weight).all() for weight in network.parameters()):
        raise Diverged(
            f"{name}: loss or weights are no longer finite after {len(fitted.history)} epochs; "
            f"lower the learning rate (it is {settings.learning_rate})"
        )
    return fitted


def _until_it_fits(job: _Job, on_epoch: OnEpoch) -> Fitted:
    """Try, with smaller batches and without compilation where that fails, from the last epoch that is on disk."""
    start = copy.deepcopy(job.network.state_dict())
    if found := _found(job):
        say(f"{job.name}: was ended after {found.step:,} steps, and goes on from there")
        job = replace(job, settings=replace(job.settings, batch_size=found.batch_size), notes=found.notes)
    while True:
        job = replace(job, resumed=found.path if found else None)
        try:
            return _run(job, on_epoch)
        except torch.OutOfMemoryError as error:
            job = _smaller(job, error)
        except Exception as error:
            if not job.settings.compile or not devices.is_compile_error(error):
                raise
            note = f"torch.compile failed ({type(error).__name__}): went on without it"
            job = _noted(replace(job, settings=replace(job.settings, compile=False)), note)
        devices.undo_compilation(job.network)
        job.network.to("cpu").load_state_dict(start)
        gc.collect()  # what the failed attempt held on the device, once nothing of its error is left
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        found = _found(job)


def _found(job: _Job) -> checkpoints.Found | None:
    return checkpoints.find(job.folder, job.fingerprint, job.name) if job.folder and _keeps_state(job) else None


def _keeps_state(job: _Job) -> bool:
    return not (job.settings.strategy.startswith("fsdp") and job.settings.devices > 1)


def _smaller(job: _Job, error: torch.OutOfMemoryError) -> _Job:
    size = job.settings.batch_size
    half = size // 2
    if half < job.settings.devices:
        raise RuntimeError(
            f"{job.name}: out of memory even at batch {size}; use a smaller network or a larger device ({error})"
        ) from error
    if job.folder:
        (job.folder / checkpoints.STEP).unlink(missing_ok=True)  # its place in the epoch is counted in larger batches
    smaller = replace(job, settings=replace(job.settings, batch_size=half))
    return _noted(smaller, f"out of memory at batch {size}: went on with {half}")


def _noted(job: _Job, note: str) -> _Job:
    logger.warning("%s: %s", job.name, note)
    return replace(job, notes=(*job.notes, note))


def _run(job: _Job, on_epoch: OnEpoch) -> Fitted:
    """One try: here, or in a process for each device."""

    def told(kind: str, value: Any) -> None:
        if kind == "epoch":
            on_epoch(value)
        else:
            say(value)

    if job.settings.devices == 1:
        fitted, weights = _train(job, 0, told)
    else:
        with _quiet():
            _trainer(job.settings)  # says what is wrong before processes are started
        several, stall = job.settings.devices, job.settings.stall_seconds
        fitted, weights = devices.on_each(several, _train_a_share, (job,), told, stall)
    if weights is not None:
        job.network.load_state_dict({key: torch.as_tensor(value) for key, value in weights.items()})
    job.network.to("cpu").eval()
    return fitted


def _train_a_share(job: _Job, rank: int, tell: devices.Tell) -> tuple[Fitted, dict[str, Any] | None]:
    # Tensors come in memory that the processes share, and each must step weights of its own.
    job = replace(job, network=copy.deepcopy(job.network))
    fitted, weights = _train(job, rank, tell)
    if rank == 0 and weights is None:
        weights = job.network.to("cpu").state_dict()
    # Through the queue as arrays: tensors would be handed over as open files, which end with this process.
    return fitted, {key: value.cpu().numpy() for key, value in weights.items()} if weights else None


def _train(job: _Job, rank: int, tell: devices.Tell) -> tuple[Fitted, dict[str, Any] | None]:
    """Train in this process; the whole weights are returned where the network holds only a part of them."""
    settings, network = job.settings, job.network
    with _quiet(), seeded(settings.seed + rank):
        averaging = Averaging(settings.ema_decay) if settings.ema_decay else None
        trainer = _trainer(settings)
        device = trainer.strategy.root_device
        train = _loader(job.train, settings.batch_size, None if settings.is_ordered else settings.seed, device, trainer)
        judge = None
        if job.validation is not None:
            # Who trains on few rows at a time does so because they are large: texts and images.
            size = min(VALIDATION_BATCH_SIZE, VALIDATION_FACTOR * settings.batch_size)
            size = min(size, getattr(job.validation, "most_rows_a_batch", size))
            held_out = _loader(job.validation, size, None, device, trainer)
            judge = Judge(held_out, job.objective, settings.patience, settings.bar, averaging)
        pulse = Pulse(lambda: tell(devices.ALIVE, None)) if settings.devices > 1 else None
        progress = Progress(job.name, judge, lambda numbers: tell("epoch", numbers), lambda line: tell("line", line))
        ending = _Ending(network, judge, averaging)
        module, callbacks = _module(job)
        callbacks += [each for each in (averaging, judge, progress, pulse, ending) if each is not None]
        if job.folder and _keeps_state(job):
            saver = checkpoints.Saver(job.folder, train, job.fingerprint, settings.batch_size, job.notes, job.every)
            callbacks.append(saver)  # last, when the others have had their say
        untyped: Any = trainer  # it has its callbacks, but does not declare them
        untyped.callbacks += callbacks
        network.train()  # the Trainer keeps modes, and a champion comes in eval mode: it would train without dropout
        if settings.compile:
            devices.compile_in_place(network)
        trainer.fit(module, train, ckpt_path=job.resumed, weights_only=True)
        ending.settle()  # of a training that was killed after its last step, nothing else is done
    devices.undo_compilation(network)
    best_epoch = judge.best_epoch if judge else len(progress.history)
    is_hopeless = judge.is_hopeless if judge else False
    return Fitted(progress.history, progress.num_passes, best_epoch, is_hopeless, job.notes), ending.whole


def _module(job: _Job) -> tuple[L.LightningModule, list[Callback]]:
    """What Lightning trains, and the hooks of the recipe."""
    hooks, settings, network = job.hooks, job.settings, job.network
    callbacks: list[Callback] = [Rate(hooks.rate)] if hooks.rate else []
    if isinstance(network, L.LightningModule):
        return network, [*callbacks, Penalising(hooks.penalty)] if hooks.penalty else callbacks
    learner = Learner(network, job.objective, settings.learning_rate, settings.weight_decay, hooks.penalty)
    return learner, callbacks


def _loader(rows: Rows, batch_size: int, seed: int | None, device: torch.device, trainer: L.Trainer) -> Loader:
    rank, world = trainer.global_rank, trainer.world_size
    if world == 1:
        return rows.batches(batch_size, seed, device)
    if part := getattr(rows, "part", None):  # of rows that each process would else have to read in vain
        mine: Rows = part(rank, world)
        return mine.batches(max(1, batch_size // world), seed, device)
    return Shared(rows.batches(batch_size, seed, device), rank, world)


def _trainer(settings: FitSettings) -> L.Trainer:
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


def _fingerprint(
    network: nn.Module,
    objective: Objective,
    train: Rows,
    validation: Rows | None,
    settings: FitSettings,
    hooks: Hooks,
) -> str:
    def known(rows: Rows | None) -> object:
        return rows and (len(rows), getattr(rows, "fingerprint", lambda: "")())

    has_hooks = (hooks.penalty is not None, hooks.rate is not None)
    told = {name: value for name, value in asdict(settings).items() if name != "stall_seconds"}
    parts = (objective.name, known(train), known(validation), sorted(told.items(), key=str), has_hooks)
    return checkpoints.fingerprint_of(network, *parts)


class _Ending(Callback):
    """Gives the network the weights that training ends with: those of the best epoch, or the averaged ones."""

    def __init__(self, network: nn.Module, judge: Judge | None, averaging: Averaging | None) -> None:
        self.network, self.judge, self.averaging = network, judge, averaging
        self.whole: dict[str, Tensor] | None = None
        self._is_settled = False

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """While the processes are still together."""
        self.settle()
        if "fsdp" in type(trainer.strategy).__name__.lower():
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
