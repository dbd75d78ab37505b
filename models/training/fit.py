"""One call that trains a network on rows, on whatever device there is, and goes on where it was killed."""

from __future__ import annotations

import copy
import gc
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.data.batches import Rows
from models.training import checkpoints, devices
from models.training.attempt import Job, quiet, train_here, trainer_of
from models.training.errors import Diverged
from models.training.graphs import Unrecordable
from models.training.objectives import Objective
from models.training.progress import say
from models.training.settings import NOTHING_ADDED, FitSettings, Fitted, Hooks, OnEpoch

logger = logging.getLogger(__name__)


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
    on_pulse: Callable[[], None] = lambda: None,
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
        on_epoch: told the numbers of each epoch; where a training was killed or had to begin again, those of some may
            come twice.
        on_pulse: called when it begins and, once a second at most, while steps are made and held-out rows looked at.

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
    job = Job(network, objective, train, validation, settings, hooks, name, checkpoint, fingerprint, save_every)
    if checkpoint and not job.keeps_state:
        job = _noted(job, "a training by fsdp keeps no state: killed, it starts afresh")
    fitted = _until_it_fits(job, on_epoch, on_pulse)
    is_finite = all(math.isfinite(number) for epoch in fitted.history for number in epoch.values())
    if not is_finite or not all(torch.isfinite(weight).all() for weight in network.parameters()):
        raise Diverged(
            f"{name}: loss or weights are no longer finite after {len(fitted.history)} epochs; "
            f"lower the learning rate (it is {settings.learning_rate})"
        )
    return fitted


def _until_it_fits(job: Job, on_epoch: OnEpoch, on_pulse: Callable[[], None]) -> Fitted:
    """Try, with smaller batches and plainer steps where that fails, from the last epoch that is on disk."""
    start = copy.deepcopy(job.network.state_dict())
    if found := _found(job):
        say(f"{job.name}: was ended after {found.step:,} steps, and goes on from there")
        job = replace(job, settings=replace(job.settings, **found.come_to), notes=found.notes)
    while True:
        job = replace(job, resumed=found.path if found else None)
        on_pulse()
        try:
            return _run(job, on_epoch, on_pulse)
        except torch.OutOfMemoryError as error:
            job = _smaller(job, error)
        except Unrecordable as error:
            note = f"{error}: went on without CUDA graphs"
            job = _noted(replace(job, settings=replace(job.settings, graphs=False)), note)
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


def _found(job: Job) -> checkpoints.Found | None:
    return checkpoints.find(job.folder, job.fingerprint, job.name) if job.folder and job.keeps_state else None


def _smaller(job: Job, error: torch.OutOfMemoryError) -> Job:
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


def _noted(job: Job, note: str) -> Job:
    logger.warning("%s: %s", job.name, note)
    return replace(job, notes=(*job.notes, note))


def _run(job: Job, on_epoch: OnEpoch, on_pulse: Callable[[], None]) -> Fitted:
    """One try: here, or in a process for each device."""

    def told(kind: str, value: Any) -> None:
        if kind == devices.ALIVE:
            on_pulse()
        elif kind == "epoch":
            on_epoch(value)
        else:
            say(value)

    if job.settings.devices == 1:
        fitted, weights = train_here(job, 0, told)
    else:
        with quiet():
            trainer_of(job.settings)  # says what is wrong before processes are started
        several, stall = job.settings.devices, job.settings.stall_seconds
        fitted, weights = devices.on_each(several, _train_a_share, (job,), told, stall)
    if weights is not None:
        job.network.load_state_dict({key: torch.as_tensor(value) for key, value in weights.items()})
    job.network.to("cpu").eval()
    return fitted


def _train_a_share(job: Job, rank: int, tell: devices.Tell) -> tuple[Fitted, dict[str, Any] | None]:
    # Tensors come in memory that the processes share, and each must step weights of its own.
    job = replace(job, network=copy.deepcopy(job.network))
    fitted, weights = train_here(job, rank, tell)
    if rank == 0 and weights is None:
        weights = job.network.to("cpu").state_dict()
    # Through the queue as arrays: tensors would be handed over as open files, which end with this process.
    return fitted, {key: value.cpu().numpy() for key, value in weights.items()} if weights else None


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
